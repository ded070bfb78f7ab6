"""Identities among roadside units: who gives them, who takes them over, and that they survive the way from view to view."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.messages import Equipment, RoadsideSafety, SensorSharing
from protocols.participant import Inbox, Received
from protocols.sensing import Readings
from protocols.simtime import Now
from roadside.perception import NODE_SHIFT, Perception
from roadside.unit import RoadsideUnit
from tests.roadside.signals.crossroads_plans import network, plan
from tests.roadside.tracking.test_tracker import DT_NS, objects

REACH_M = 100.0


class Street:
    """Units at `places` on the x axis that see `REACH_M` far and hear each other's RSM, or SSM, one period later."""

    def __init__(self, places, seed=1, miss=0.03, message="rsm"):
        self.message = message
        self.units = [Perception(k + 1, (x, 0.0)) for k, x in enumerate(places)]
        self.places, self.miss = places, miss
        self.rng = np.random.default_rng(seed)
        self.heard: list[RoadsideSafety | SensorSharing] = []
        self.step = 0

    def tick(self, x, y, vx):
        """RSM of all units after one look at the cars at (x, y) with velocity vx along the street."""
        x, y, vx = (np.asarray(v, dtype=np.float64) for v in (x, y, vx))
        out, said = [], []
        for unit, place in zip(self.units, self.places, strict=True):
            for item in self.heard:
                unit.hear(item)
            seen = (np.abs(x - place) < REACH_M) & (self.rng.random(x.size) >= self.miss)
            seen = self.rng.permutation(np.flatnonzero(seen))
            noise = self.rng.normal(0, 0.3, (4, seen.size))
            lists = objects(
                self.step, x[seen] + noise[0], y[seen] + noise[1], vx[seen] + noise[2], noise[3], sigma_v=0.3,
                yaw_rad=np.where(vx[seen] < 0, np.pi, 0.0),
            )  # fmt: skip
            rsm = unit.observe(self.step * DT_NS, Readings(objects=lists))
            assert rsm is not None
            out.append(rsm)
            said.append(rsm if self.message == "rsm" else unit.share(rsm, 6.0, ()))
        self.heard = said
        self.step += 1
        return out


def number_at(rsm, x, y):
    """Number of the row nearest to a place within 2 m; 0: none."""
    away = np.hypot(rsm.x_m - x, rsm.y_m - y)
    return int(rsm.track_id[away.argmin()]) if away.size and away.min() < 2.0 else 0


def follow(street, steps, start, lanes, speed):
    """Numbers by car and unit over the drive: list (steps) of (cars, units)."""
    rows = []
    start, lanes, speed = np.array(start), np.array(lanes), np.array(speed)
    for step in range(steps):
        x = start + speed * 0.1 * step
        out = street.tick(x, lanes, speed)
        rows.append([[number_at(rsm, a, b) for rsm in out] for a, b in zip(x, lanes, strict=True)])
    return np.array(rows)


@pytest.mark.parametrize(
    ("apart_m", "what"), [(140.0, "overlapping"), (200.0, "touching"), (212.0, "a gap of 12 m")]
)
def test_identity_survives_the_way_through_three_units(apart_m, what):
    """Eight cars in two lanes each way, 12 m apart in their lane: every car has one number from the first unit to the last."""
    kept = total = 0
    for seed in range(3):
        street = Street((0.0, apart_m, 2 * apart_m), seed)
        end = 2 * apart_m
        start = [-70.0, -82.0, -94.0, -75.0, end + 70.0, end + 82.0, end + 94.0, end + 75.0]
        lanes = [0.0, 0.0, 0.0, 3.5, 7.0, 7.0, 7.0, 10.5]
        speed = [14.0, 14.0, 14.0, 13.0, -14.0, -14.0, -14.0, -13.0]
        rows = follow(street, round((2 * apart_m + 130.0) / 1.4), start, lanes, speed)
        for car in range(8):
            by_unit = [rows[:, car, k][rows[:, car, k] > 0] for k in range(3)]
            assert all(column.size > 50 for column in by_unit)
            first, second, third = by_unit if car < 4 else by_unit[::-1]
            total += 2
            kept += int(first[-1] == second[-1]) + int(second[-1] == third[-1])
            assert len(set(third.tolist())) <= 2
    assert kept == total, what


def test_identity_goes_from_unit_to_unit_in_ssm_as_in_rsm():
    """The same street, seed by seed: every number of every unit at every step."""
    numbers = {}
    for message in ("rsm", "ssm"):
        street = Street((0.0, 140.0, 280.0), 2, message=message)
        start, lanes, speed = [-70.0, -82.0, 350.0, 362.0], [0.0, 3.5, 7.0, 7.0], [14.0, 13.0, -14.0, -14.0]  # fmt: skip
        numbers[message] = follow(street, 280, start, lanes, speed)
    assert (numbers["rsm"] == numbers["ssm"]).all()
    first, _, last = (column[column > 0] for column in numbers["ssm"][:, 0, :].T)
    assert first[-1] == last[-1]


def test_numbers_of_a_vehicle_are_not_taken_over():
    """A vehicle counts its tracks by itself; its SSM is no neighbour's."""
    giver, unit = Perception(2, (0.0, 0.0)), Perception(1, (50.0, 0.0))
    for step in range(30):
        x = [1.0 * step]
        lists = Readings(objects=objects(step, x, [0.0], [10.0]))
        rsm = giver.observe(step * DT_NS, lists)
        assert rsm is not None
        ssm = giver.share(rsm, 6.0, ())
        unit.hear(dataclasses.replace(ssm, equipment=Equipment.OBU))
        if step >= 10:
            seen = unit.observe(step * DT_NS, lists)
    assert seen is not None
    assert seen.track_id.tolist() == [1 << NODE_SHIFT | 1]


def test_beyond_memory_a_car_is_a_new_one():
    street = Street((0.0, 300.0))
    rows = follow(street, 330, [-80.0], [0.0], [14.0])
    first, second = (rows[:, 0, k][rows[:, 0, k] > 0] for k in range(2))
    assert first[0] >> NODE_SHIFT == 1 and second[0] >> NODE_SHIFT == 2


def test_units_that_see_the_same_from_the_start_agree_on_the_older_number():
    """Both begin at once: the smaller number wins on both sides, and stays."""
    street = Street((0.0, 50.0), miss=0.0)
    rows = follow(street, 40, [0.0, 20.0, 40.0], [0.0, 3.5, 0.0], [2.0, 2.0, 2.0])
    assert (rows[15:, :, 0] == rows[15:, :, 1]).all()
    assert (rows[15:] == rows[15]).all()
    assert set((rows[15, :, 0] >> NODE_SHIFT).tolist()) == {1}
    assert len(set(rows[15, :, 0].tolist())) == 3


def test_numbers_of_different_cars_are_never_the_same():
    street = Street((0.0, 140.0), seed=4)
    for step in range(150):
        x = np.array([-60.0, -48.0, 180.0, 195.0, 60.0]) + 0.4 * step * np.array(
            [1, 1, -1, -1, 0.0]
        )
        out = street.tick(x, [0.0, 0.0, 3.5, 3.5, 7.0], [4.0, 4.0, -4.0, -4.0, 0.0])
        for rsm in out:
            assert len(set(rsm.track_id.tolist())) == rsm.track_id.size
        if step > 5:
            numbers = [{number_at(rsm, a, b) for rsm in out} - {0} for a, b in zip(x, [0.0, 0.0, 3.5, 3.5, 7.0], strict=True)]  # fmt: skip
            for k, mine in enumerate(numbers):
                assert not any(mine & other for other in numbers[k + 1 :])


def test_age_goes_with_the_number():
    street = Street((0.0, 140.0), miss=0.0)
    for step in range(120):
        x = -90.0 + 1.4 * step
        out = street.tick([x], [0.0], [14.0])
    age = [rsm.age_s.tolist() for rsm in out]
    assert age[1] == pytest.approx(
        [11.9], abs=0.01
    )  # since the first unit's first sight, at step 0


def test_order_of_neighbours_does_not_matter():
    def run(flip):
        street = Street((0.0, 60.0, 120.0))
        for step in range(60):
            if flip:
                street.heard.reverse()
            x = np.array([-30.0, -20.0, 100.0]) + np.array([1.0, 1.0, -1.0]) * step
            out = street.tick(x, [0.0, 3.0, 6.0], [10.0, 10.0, -10.0])
        return [rsm.track_id.tolist() for rsm in out]

    assert run(False) == run(True)


@pytest.mark.parametrize("message", ["rsm", "ssm"])
def test_a_unit_takes_over_what_it_hears_on_the_air(message):
    """Through the inbox, as the radio delivers it."""
    giver = Perception(77, (-150.0, 0.0))
    unit = RoadsideUnit("rsu/X", network(), [plan()], tick_ms=10)
    messages: tuple[Received, ...] = ()
    for step in range(60):
        x = -100.0 + 1.4 * step
        t_ns = step * DT_NS
        lists = objects(step, [x], [0.0], [14.0], sigma_v=0.3)
        readings = Readings(objects=lists) if step >= 40 else Readings()
        out = unit.on_tick(Now(step * 10, t_ns), Inbox(messages, readings))
        said = giver.observe(t_ns, Readings(objects=lists if step < 42 else objects(step, [], [])))
        assert said is not None
        item = said if message == "rsm" else giver.share(said, 6.0, ())
        messages = (Received(f"v2x/{message}", "rsu/Y", step, t_ns, t_ns + DT_NS, item),)
    (rsm,) = [t.message for t in out.transmissions if isinstance(t.message, RoadsideSafety)]
    assert rsm.node_id == 1
    assert rsm.track_id.tolist() == [77 << NODE_SHIFT | 1]


def test_the_own_echo_is_not_a_neighbour():
    unit = Perception(3, (0.0, 0.0))
    for step in range(20):
        rsm = unit.observe(
            step * DT_NS, Readings(objects=objects(step, [1.0 * step], [0.0], [10.0]))
        )
        assert rsm is not None
        unit.hear(rsm)
    assert rsm.track_id.tolist() == [3 << NODE_SHIFT | 1]


def test_without_readings_nothing_is_said_and_a_node_that_does_not_fit_is_refused():
    assert Perception(1, (0.0, 0.0)).observe(0, Readings()) is None
    for node_id in (0, 4096):
        with pytest.raises(ConfigError, match=r"is not in 1\.\.4095"):
            Perception(node_id, (0.0, 0.0))
