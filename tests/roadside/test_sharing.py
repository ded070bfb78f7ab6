"""SSM of a roadside unit: the rows of its RSM, with honest confidences, and things that are no road users apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.messages import (
    ActorKind,
    Equipment,
    ObstacleType,
    Polygon,
    RoadsideSafety,
    SensorSharing,
    SharedSource,
)
from protocols.participant import Inbox, Outbox
from protocols.sensing import Readings, SensorKind, VelocityKind
from protocols.sharing import as_rsm
from protocols.simtime import Now
from roadside.perception import Perception
from roadside.unit import RoadsideUnit, Sharing
from tests.roadside.signals.crossroads_plans import network, plan
from tests.roadside.tracking.test_tracker import DT_NS, objects

REGION = (Polygon(np.array([9.0, 0.0, -9.0, 0.0]), np.array([0.0, 9.0, 0.0, -9.0])),)


def unit(*messages: str, **more) -> RoadsideUnit:
    """A unit at the test junction."""
    sharing = Sharing(messages, region=REGION, **more)
    return RoadsideUnit("rsu/X", network(), [plan()], tick_ms=10, sharing=sharing)


def drive_past(rsu: RoadsideUnit, steps: int = 30) -> list[Outbox]:
    """A car and a standing bus, seen with noise."""
    rng = np.random.default_rng(5)
    outs = []
    for step in range(steps):
        noise = rng.normal(0, 0.2, (4, 2))
        seen = objects(
            step, np.array([50.0 - step, -30.0]) + noise[0], np.array([5.0, -5.0]) + noise[1],
            np.array([-10.0, 0.0]) + noise[2], noise[3], [1, 4], yaw_rad=np.array([np.pi, 0.0]),
        )  # fmt: skip
        t_ns = step * DT_NS
        outs.append(rsu.on_tick(Now(step * 10, t_ns), Inbox((), Readings(objects=seen))))
    return outs


def sent(out: Outbox, kind: type) -> list:
    return [t.message for t in out.transmissions if isinstance(t.message, kind)]


def test_ssm_says_what_rsm_says():
    for out in drive_past(unit("rsm", "ssm")):
        (rsm,), (ssm,) = sent(out, RoadsideSafety), sent(out, SensorSharing)
        again = as_rsm(ssm)
        for field in dataclasses.fields(RoadsideSafety):
            assert np.array_equal(getattr(again, field.name), getattr(rsm, field.name)), field.name
    assert ssm.participants.x_m.size == 2
    assert (ssm.equipment, ssm.sender_id) == (Equipment.RSU, 1)
    assert (ssm.x_m, ssm.y_m, ssm.z_m) == pytest.approx((0.0, 0.0, 6.0), abs=0.1)
    assert ssm.region == REGION
    assert ssm.participants.kind.tolist() == [ActorKind.BUS, ActorKind.CAR]
    assert ssm.participants.kind_confidence.tolist() == [1.0, 1.0]
    assert ssm.participants.source.tolist() == [SharedSource.INTEGRATED] * 2


def test_a_unit_shares_what_its_scene_says():
    outs = drive_past(unit("ssm"))
    assert [len(sent(out, SensorSharing)) for out in outs] == [1] * 30
    assert not any(sent(out, RoadsideSafety) for out in outs)
    outs = drive_past(unit("rsm", "ssm", ssm_period_ms=300))
    assert [k for k, out in enumerate(outs) if sent(out, SensorSharing)] == list(range(0, 30, 3))
    assert [len(sent(out, RoadsideSafety)) for out in outs] == [1] * 30
    plain = RoadsideUnit("rsu/X", network(), [plan()], tick_ms=10)
    assert not any(sent(out, SensorSharing) for out in drive_past(plain))
    assert not any(sent(out, RoadsideSafety) for out in drive_past(unit()))


@pytest.mark.parametrize(("words", "period_ms"), [(("cam",), 100), (("ssm",), 150), (("ssm",), 0)])
def test_what_a_unit_cannot_share_is_refused(words, period_ms):
    with pytest.raises(ConfigError, match="expected 'rsm', 'ssm' and a multiple of 100 ms"):
        unit(*words, ssm_period_ms=period_ms)


def test_what_has_no_class_and_stands_is_an_obstacle_under_the_same_number_until_it_moves():
    """A radar sees a thing 40 m off that stands for 3 s, drives to 4 m/s and back, and stands again, beside one that always stands."""
    perception = Perception(1, (0.0, 0.0))
    rng = np.random.default_rng(3)
    x, was = 40.0, []
    for step in range(110):
        speed = float(np.interp(step, [30, 50, 60, 80], [0.0, 4.0, 4.0, 0.0]))
        x += 0.1 * speed
        noise = rng.normal(0, 0.1, (4, 2))
        lists = objects(
            step, [x, 0.0] + noise[0], [0.0, 60.0] + noise[1], [speed, 0.0] + noise[2], noise[3], [0, 0],
            sensor="radar/east", source=SensorKind.RADAR, velocity=VelocityKind.FULL, sigma_v=0.2,
        )  # fmt: skip
        rsm = perception.observe(step * DT_NS, Readings(detections=(lists,)))
        assert rsm is not None
        ssm = perception.share(rsm, 6.0, ())
        assert sorted([*ssm.participants.track_id, *ssm.obstacles.track_id]) == sorted(rsm.track_id)
        was.append((ssm.obstacles, ssm.participants))
    things, users = was[25]
    assert things.track_id.size == 2 and users.track_id.size == 0
    assert things.type.tolist() == [ObstacleType.UNSPECIFIED] * 2
    assert things.source.tolist() == [SharedSource.RADAR] * 2
    mover = int(things.track_id[things.x_m.argmax()])
    for things, users in (was[50], was[109]):  # once moved, never an obstacle
        assert users.track_id.tolist() == [mover]
        assert things.track_id.size == 1
    assert things.y_m == pytest.approx([60.0], abs=0.3)


def test_confidence_is_the_share_of_looks_that_agree():
    """A camera takes a van for a car in three looks of ten."""
    rng = np.random.default_rng(11)
    perception = Perception(1, (0.0, 0.0))
    shares = []
    for step in range(400):
        kind = ActorKind.CAR if rng.random() < 0.3 else ActorKind.VAN
        lists = objects(step, [20.0], [5.0], kind=[kind], source=SensorKind.CAMERA)
        rsm = perception.observe(step * DT_NS, Readings(detections=(lists,)))
        assert rsm is not None
        ssm = perception.share(rsm, 6.0, ())
        if step >= 50:
            shares += ssm.participants.kind_confidence[
                ssm.participants.kind == ActorKind.VAN
            ].tolist()
    assert len(shares) > 300
    assert np.mean(shares) == pytest.approx(0.7, abs=0.06)
    assert ssm.participants.source.tolist() == [SharedSource.VIDEO]


@pytest.mark.parametrize("scatter_rad", [0.03, 0.1, 0.3])
def test_the_stated_error_of_a_heading_is_its_true_one(scatter_rad):
    """60 standing cars, headings with known noise: 1 sigma claimed against 1 sigma made."""
    rng = np.random.default_rng(7)
    perception = Perception(1, (0.0, 0.0))
    x, y = (c.ravel().astype(float) for c in np.meshgrid(np.arange(10) * 12.0, np.arange(6) * 8.0))
    true = rng.uniform(-3, 3, x.size)
    error, claim = [], []
    for step in range(60):
        yaw = true + rng.normal(0, scatter_rad, x.size)
        lists = objects(step, x, y, yaw_rad=yaw, sigma=0.1, sigma_v=0.1)
        rsm = perception.observe(step * DT_NS, Readings(objects=lists))
        assert rsm is not None
        if step < 5 or step % 10:
            continue
        p = perception.share(rsm, 6.0, ()).participants
        away = np.hypot(p.x_m[:, None] - x, p.y_m[:, None] - y)
        off = p.yaw_rad - true[away.argmin(1)]
        error += (np.mod(off + np.pi, 2 * np.pi) - np.pi).tolist()
        claim += p.sigma_yaw_rad.tolist()
    assert len(error) > 250
    rms = np.sqrt(np.mean(np.square(error))) / np.sqrt(np.mean(np.square(claim)))
    assert 0.85 < rms < 1.15
    within = np.mean(np.abs(error) < 3.0 * np.array(claim))
    assert within > 0.9  # claimed from some six looks each: Student's tails, not Gauss's


def test_a_heading_that_nobody_saw_is_as_good_as_the_course():
    """A radar target on the move: sigma of the velocity across over the speed; one that stands may face anywhere."""
    rng = np.random.default_rng(2)
    perception = Perception(1, (0.0, 0.0))
    for step in range(40):
        noise = rng.normal(0, 0.3, (4, 2))
        lists = objects(
            step, [20.0 + step, 0.0] + noise[0], [0.0, 40.0] + noise[1], [10.0, 0.0] + noise[2], noise[3], [0, 0],
            source=SensorKind.RADAR, sigma_v=0.3,
        )  # fmt: skip
        rsm = perception.observe(step * DT_NS, Readings(detections=(lists,)))
    assert rsm is not None
    ssm = perception.share(rsm, 6.0, ())
    assert ssm.participants.sigma_yaw_rad == pytest.approx(
        ssm.participants.sigma_v_mps / ssm.participants.speed_mps, rel=0.3
    )
    assert ssm.obstacles.sigma_yaw_rad == pytest.approx([np.pi / np.sqrt(3)])
