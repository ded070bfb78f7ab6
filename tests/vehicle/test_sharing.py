"""SSM on board: heard, it is as good as RSM, and what only others see is braked for; sent, it holds own sight alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols import codec
from protocols.errors import ConfigError
from protocols.messages import Equipment, Participants, Polygon, SensorSharing
from protocols.sharing import as_rsm, no_obstacles
from tests.support.vehicle_loop import Thing, corridor_of, drive, path_of
from tests.vehicle.test_tracking import STEP_NS, bsm, make, own, rsm, seen
from vehicle.dynamics import vehicle_params
from vehicle.fusion import FusionConfig
from vehicle.fusion.tracking import OWN_SENSOR, RSM
from vehicle.onboard import OnboardConfig
from vehicle.sharing import OwnView

SHUTTLE = vehicle_params("shuttle")


def ssm(t_ns, x, y, yaw=0.0, speed=0.0, kind=1, size=(4.5, 1.8), sender=1, equipment=Equipment.RSU) -> SensorSharing:  # fmt: skip
    """One participant, as `rsm` of test_tracking has it."""

    def one(value: float) -> np.ndarray:
        return np.array([float(value)])

    return SensorSharing(
        t_ns, equipment, sender, 0.0, 0.0, 6.0, (),
        Participants(
            np.array([9], np.uint32), np.array([kind], np.uint8), one(1.0), np.array([7], np.uint8), one(x), one(y),
            one(yaw), one(speed), one(size[0]), one(size[1]), one(0.09), one(0.0), one(0.09), one(0.3), one(0.02), one(1.0),
        ),
        no_obstacles(),
    )  # fmt: skip


def same(a, b) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
    )


def test_ssm_and_rsm_of_the_same_thing_give_the_same_track_and_both_together_do_too():
    results = []
    for words in (("rsm",), ("ssm",), ("rsm", "ssm"), ("ssm", "rsm")):
        tracker = make()
        for k in range(12):
            t, x = k * STEP_NS, 20.0 + 1.0 * k + 0.2 * (-1) ** k
            for word in words:
                if word == "rsm":
                    tracker.add_rsm(rsm(t - 50_000_000, x, 4.0, 0.0, 10.0))
                else:
                    tracker.add_ssm(ssm(t - 50_000_000, x, 4.0, 0.0, 10.0))
            tracks = tracker.update(t, own(), 0.0)
        assert tracks.source.tolist() == [RSM]
        results.append(tracks)
    assert all(same(results[0], other) for other in results[1:])


def test_the_own_body_in_an_ssm_is_no_obstacle_and_an_old_ssm_is_not_taken():
    tracker = make()
    me = own(100.0, 50.0, 1.0)
    tracker.update(0, me, 0.0)
    place = (100.0 + 3.4 * np.cos(1.0), 50.0 + 3.4 * np.sin(1.0))
    tracker.add_ssm(ssm(STEP_NS, *place, 1.0, 0.0, kind=5))
    tracker.add_ssm(ssm(STEP_NS, 130.0, 50.0, sender=77, equipment=Equipment.OBU))  # the own echo
    assert tracker.update(STEP_NS, me, 0.0).id.size == 0
    tracker.add_ssm(ssm(STEP_NS, 130.0, 50.0))
    assert tracker.update(7 * STEP_NS, me, 0.0).id.size == 0  # 600 ms old
    tracker.add_ssm(ssm(7 * STEP_NS, 130.0, 50.0, sender=78, equipment=Equipment.OBU))
    assert tracker.update(7 * STEP_NS, me, 0.0).id.size == 1


def test_an_ssm_with_hostile_numbers_harms_nobody():
    """Legal on the wire, but no covariance at all."""
    tracker = make()
    bad = ssm(0, 20.0, 5.0)
    rows = dataclasses.replace(bad.participants, cov_xx_m2=np.array([-5.0]))
    bad = codec.decode("v2x/ssm", codec.encode(dataclasses.replace(bad, participants=rows)))
    tracker.add_ssm(bad)
    tracks = tracker.update(0, own(), 0.0)
    assert np.isfinite(tracks.sigma_m).all() and tracks.id.size == 1


def test_a_stamp_from_a_far_future_silences_nobody():
    """Somebody claims to be roadside unit 1 with an SSM of next year; the unit's RSM counts all the same."""
    tracker = make()
    tracker.add_ssm(ssm(2**62, 5000.0, 5000.0))
    for node in range(1000):
        tracker.add_ssm(ssm(0, 5000.0, 5000.0, sender=node + 10))
    tracker.add_rsm(rsm(0, 20.0, 5.0, 0.0, 0.0))
    assert tracker.update(0, own(), 0.0).id.size == 1
    assert len(tracker._ssm_ns) < 1000


@pytest.mark.parametrize("kind", [1, 9, 0])
def test_a_participant_that_only_an_ssm_shows_is_braked_for(kind):
    """A car, a person or a thing stands in the way where no own sensor ever sees it."""
    path = path_of([(400.0, 0.0)], 50 / 3.6)
    corridor = corridor_of(path, end_s_m=380.0)
    x, y, _ = path.at(200.0)
    size = (0.6, 0.6) if kind == 9 else (4.5, 1.8)
    hidden = Thing(lambda _t: (x, y, 0.0, 0.0), kind, *size, is_seen=lambda _t: False)

    def heard(t_ns):
        return ssm(t_ns, x, y, kind=kind, size=size)

    near = 200.0 - 0.5 * size[0]
    blind, _ = drive(corridor, SHUTTLE, 30.0, speed_mps=8.0, things=(hidden,))
    assert max(blind.front_s_m) > near + 20.0  # without it, nothing stops the shuttle
    told, unit = drive(corridor, SHUTTLE, 30.0, speed_mps=8.0, things=(hidden,), ssm=heard)
    assert near - 15.0 < max(told.front_s_m) < near
    assert told.speed_mps[-1] < 0.1
    assert min(told.accel_mps2) > -3.0  # told in time
    assert unit.view is None and all(item.topic != "v2x/ssm" for _, item in told.sent)


def test_a_vehicle_shares_what_its_own_sensors_see_ten_times_a_second():
    path = path_of([(400.0, 0.0)], 50 / 3.6)
    x, y, yaw = path.at(150.0)
    things = (
        Thing(lambda t: (x + 5.0 * t, y, yaw, 5.0)),
        Thing(lambda _t: (x, y + 6.0, 0.0, 0.0), 9, 0.6, 0.6),
    )
    trace, _ = drive(
        corridor_of(path, end_s_m=380.0), SHUTTLE, 6.0, speed_mps=8.0, things=things,
        config=OnboardConfig(share=("ssm",)),
        ssm=lambda t_ns: ssm(t_ns, x, y - 6.0),  # somebody else's
    )  # fmt: skip
    shared = [(t, item.message) for t, item in trace.sent if item.topic == "v2x/ssm"]
    assert len(shared) == pytest.approx(60, abs=2)
    t_s, last = shared[-1]
    assert codec.decode("v2x/ssm", codec.encode(last)).t_ns == last.t_ns
    assert (last.equipment, last.sender_id) == (Equipment.OBU, 5)
    p = last.participants
    assert sorted(p.kind.tolist()) == [1, 9]  # not the one it was told of
    car = int(np.argmin(p.kind))
    assert (p.x_m[car], p.y_m[car]) == pytest.approx((x + 5.0 * t_s, y), abs=0.5)
    assert p.speed_mps[car] == pytest.approx(5.0, abs=0.5)
    assert p.age_s == pytest.approx([t_s, t_s], abs=0.6)
    assert len(set(p.track_id.tolist())) == 2


def test_the_own_uncertainty_is_part_of_what_is_shared():
    """2 m of own sigma along x, 0.1 rad of heading: at 50 m ahead that is 5 m across."""
    look = Polygon(np.array([0.0, 10.0, 10.0, 0.0]), np.array([-1.0, -1.0, 1.0, 1.0]))
    view = OwnView(FusionConfig(), SHUTTLE, 7, (look,))
    me = own(100.0, 50.0, np.pi / 2)
    covariance = np.diag([4.0, 0.0, 0.01, 0.0, 0.0])
    view.update(0, me, 0.0)
    assert view.message(me, covariance, 0.0) is None  # nothing seen yet
    for k in range(10):
        view.add(seen(k * STEP_NS, (150.0, 50.0, 0.0, 0.0)), me)
        view.update(k * STEP_NS, me, 0.0)
        message = view.message(me, covariance, 0.0)
    assert message is not None
    p = message.participants
    assert p.cov_xx_m2[0] == pytest.approx(4.0, abs=0.05)
    assert p.cov_yy_m2[0] == pytest.approx(25.0, abs=0.05)
    assert p.cov_xy_m2[0] == pytest.approx(0.0, abs=1e-9)
    assert p.sigma_yaw_rad[0] == pytest.approx(np.pi / np.sqrt(3))  # it stands
    (region,) = message.region
    assert region.x_m == pytest.approx([101.0, 101.0, 99.0, 99.0])
    assert region.y_m == pytest.approx([50.0, 60.0, 60.0, 50.0])
    view.update(10 * STEP_NS, me, 0.0)
    assert view.message(me, covariance, 0.0) is None
    assert as_rsm(message).node_id == 7


def test_two_vehicles_do_not_assure_each_other_of_what_neither_sees():
    """One saw a car for a second; each then hears the other. It is gone for both after the usual time."""
    mine = OwnView(FusionConfig(), SHUTTLE, 7, ())
    theirs, tracker = OwnView(FusionConfig(), SHUTTLE, 8, ()), make()
    for k in range(40):
        t = k * STEP_NS
        mine.add(seen(t, *([(20.0, 3.0, 0.0, 0.0)] if k < 10 else [])), own())
        theirs.add(seen(t), own())
        mine.update(t, own(), 0.0)
        theirs.update(t, own(), 0.0)
        said = mine.message(own(), np.zeros((3, 3)), 0.0)
        other = theirs.message(own(), np.zeros((3, 3)), 0.0)
        assert said is not None and other is not None
        assert other.participants.x_m.size == 0
        if said.participants.x_m.size:
            last = k
        tracker.add_ssm(said)
        tracks = tracker.update(t, own(), 0.0)
    assert 9 <= last <= 15
    assert tracks.id.size == 0


def test_own_sight_and_ssm_of_one_car_are_one_track():
    tracker = make()
    for k in range(20):
        t, x = k * STEP_NS, 20.0 + 1.0 * k
        tracker.add_objects(seen(t, (x, 5.0, 10.0, 0.0)), own())
        tracker.add_bsm(bsm(t, 3, x - 1.3, 5.0, 0.0, 10.0))
        tracker.add_ssm(ssm(t, x + 0.3, 4.8, 0.0, 10.0))
        tracks = tracker.update(t, own(), 0.0)
        assert tracks.id.size <= 1
    assert tracks.source.tolist() == [OWN_SENSOR | 2 | RSM]


def test_a_period_between_two_plans_is_refused():
    with pytest.raises(ConfigError, match="ssm_period_ms = 150 is not a multiple of onboard"):
        drive(
            corridor_of(path_of([(100.0, 0.0)], 10.0)), SHUTTLE, 0.1,
            config=OnboardConfig(share=("ssm",), ssm_period_ms=150),
        )  # fmt: skip
