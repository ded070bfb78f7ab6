"""The plant bit by bit: kernels against their own Python, one vehicle against a block of many, rows in another order, a run against its digest."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from sim.carla.server import columns as c
from sim.carla.server.plant import _contact_kernels, _plant_kernels
from sim.carla.server.plant import layout as p
from sim.carla.wire import structs
from tests.carla import plant_twin
from tests.carla.test_plant_world import CAR, Body, PlantWorld, walls

LORRY = Body((5.0, 1.25, 1.6), (0.2, 0.0, 1.6), 4, 12000.0, "truck", 0.0, 6.0, 0.5)
BICYCLE = Body((0.8, 0.25, 0.8), (0.0, 0.0, 0.8), 2, 90.0, "bicycle", 0.0, 1.1, 0.34)
PROP = Body((0.5, 0.4, 0.5), (0.0, 0.0, 0.5), 0, 0.0, "", 0.0, 0.0, 0.0)
HOSTILE = (math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-310, -0.0, 1e6)


def populate(world: PlantWorld, rng: np.random.Generator, count: int, spread_m: float) -> None:
    for _ in range(count):
        x, y = rng.uniform(-spread_m, spread_m, 2)
        yaw, kind = float(rng.uniform(-180.0, 180.0)), rng.random()
        if kind < 0.75:
            body = (CAR, CAR, LORRY, BICYCLE)[rng.integers(4)]
            row = world.spawn(x, y, yaw, None if rng.random() < 0.8 else 2.0, body=body)
        elif kind < 0.9:
            row = world.walker(x, y, yaw=yaw)
        else:
            row = world.spawn(x, y, yaw, body=PROP, kind=c.PROP, mass_kg=80.0)
        if rng.random() < 0.4:
            world.push(row, *rng.uniform(-15.0, 15.0, 2))
        world.table.i[row, c.GRAVITY] = rng.random() > 0.05
        world.table.i[row, c.SIMULATE] = rng.random() > 0.05


def disturb(world: PlantWorld, rng: np.random.Generator, row: int, hostile: bool = False) -> None:
    """Anything a client may ask of one row, from `rng` alone."""
    f, i = world.table.f, world.table.i
    draw = rng.random(12)
    if draw[0] < 0.2:
        f[row, c.THROTTLE : c.BRAKE + 1] = rng.uniform(-0.3, 1.2, 3) * (rng.random(3) < 0.6)
        i[row, c.HAND_BRAKE], i[row, c.REVERSE] = draw[1] < 0.1, draw[2] < 0.15
        i[row, c.MANUAL_GEAR], i[row, c.GEAR] = draw[3] < 0.1, rng.integers(-2, 8)
    if draw[4] < 0.03 and i[row, c.KIND] == c.VEHICLE:
        wish = rng.uniform(-1.0, 1.0, 5) * (0.7, 1.0, 20.0, 3.0, 1.0)
        world.plant.set_ackermann(row, structs.VehicleAckermannControl(*map(float, wish)))
    elif draw[4] > 0.97:
        i[row, c.ACKERMANN] = 0
    if draw[5] < 0.05:
        i[row, c.CV_ON] = draw[6] < 0.5
        f[row, c.CV_X : c.CV_Z + 1] = rng.uniform(-15.0, 15.0, 3) * (1.0, 0.3, draw[7] < 0.1)
    if draw[8] < 0.05:
        size = 10.0 ** rng.uniform(1.0, 6.0, 12) * (rng.random(12) < 0.4)
        f[row, c.FORCE_X : c.SPIN_Z + 1] = rng.uniform(-1.0, 1.0, 12) * size
    if draw[9] < 0.03:
        i[row, c.TW_ON], f[row, c.TW_Z] = 1, rng.uniform(-2000.0, 2000.0)
    if draw[10] < 0.05:
        f[row, c.WALK_X : c.WALK_Z + 1], f[row, c.WALK_SPEED] = rng.uniform(-1.0, 1.0, 3), 1.5
    if hostile and draw[11] < 0.05:
        column = rng.integers(c.FLOATS)
        if column not in (c.BOX_X, c.BOX_Y):  # Python has no integer cell for a box at NaN
            f[row, column] = HOSTILE[rng.integers(len(HOSTILE))]


def bits(world: PlantWorld, row: int) -> bytes:
    """All that is known of a row but its number."""
    i = world.table.i[row].copy()
    i[c.ID] = 0
    return b"".join(a.tobytes() for a in (world.f[row], i, world.plant._q[row]))


@contextmanager
def in_python() -> Iterator[None]:
    """The plant's kernels as plain Python."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        for module, name in ((_plant_kernels, "advance"), (_contact_kernels, "collide")):
            patch.setattr(module, name, getattr(module, name).py_func)
        yield


def several(seed: int, dt_s: float, ticks: int, hostile: bool) -> list[bytes]:
    """Random bodies in a yard; every bit of every tick."""
    rng = np.random.default_rng(seed)
    slope_x, slope_y = map(float, rng.choice([0.0, 0.05, -0.2], 2))
    world = PlantWorld(slope_x, slope_y, dt_s)
    world.substep_s = dt_s / int(rng.choice([1, 2, 5]))
    world.statics = walls((0.0, 0.0, 1.0, 30.0, 6.0, 0.2, 1.0), (9.0, 9.0, 1.0, 0.0, 0.3, 4.0, 1.0))
    populate(world, rng, 19, 14.0)
    seen = []
    for _ in range(ticks):
        for row in range(world.table.high):
            disturb(world, rng, row, hostile)
        world.step()
        rows = b"".join(bits(world, row) for row in range(world.table.high))
        seen.append(hashlib.sha256(rows + world.contacts.tobytes()).digest())
    return seen


@pytest.mark.parametrize(("seed", "dt_s", "hostile"), [(1, 0.05, False), (2, 2.0, False), (3, 0.05, True), (4, 0.01, True)])  # fmt: skip
def test_kernels_equal_their_own_python(seed: int, dt_s: float, hostile: bool) -> None:
    compiled = several(seed, dt_s, 15, hostile)
    with in_python():
        assert several(seed, dt_s, 15, hostile) == compiled


def alone(
    seed: int, count: int, rows: list[int], ticks: int, dt_s: float, substep_s: float
) -> dict[int, list[bytes]]:
    """Vehicles `rows` of a family of `count`, far from each other, in this order of rows: every bit of each at every tick."""
    world = PlantWorld(0.02, -0.03, dt_s)
    world.substep_s = substep_s
    draws = {}
    for row, vehicle in enumerate(rows):
        rng = draws[vehicle] = np.random.default_rng((seed, vehicle))
        body = (CAR, LORRY, BICYCLE)[vehicle % 3]
        world.spawn(1e4 * vehicle, 0.0, float(rng.uniform(-180.0, 180.0)), body=body)
        if rng.random() < 0.5:
            world.push(row, *rng.uniform(-20.0, 20.0, 2))
    seen: dict[int, list[bytes]] = {vehicle: [] for vehicle in rows}
    for _ in range(ticks):
        for row, vehicle in enumerate(rows):
            disturb(world, draws[vehicle], row)
        world.step()
        for row, vehicle in enumerate(rows):
            seen[vehicle].append(bits(world, row))
    return seen


@pytest.mark.parametrize("dt_s", [0.05, 1.0])
def test_a_vehicle_depends_neither_on_how_many_others_there_are_nor_on_its_row(dt_s: float) -> None:
    count = 2 * _plant_kernels.LANES + 5  # full blocks and a rest
    together = alone(5, count, list(range(count)), 40, dt_s, dt_s / 5)
    assert len({together[0][-1], together[1][-1], together[2][-1]}) == 3
    for vehicle in range(count):
        assert alone(5, count, [vehicle], 40, dt_s, dt_s / 5)[vehicle] == together[vehicle]
    shuffled = [int(k) for k in np.random.default_rng(6).permutation(count)]
    assert alone(5, count, shuffled, 40, dt_s, dt_s / 5) == together


@pytest.mark.parametrize(
    ("seed", "dt_s", "parts"), [(1, 0.05, 5), (2, 0.05, 1), (3, 0.01, 1), (4, 3.0, 20), (5, 0.2, 4)]
)
def test_a_block_of_lanes_comes_to_what_one_vehicle_after_the_other_does(
    seed: int, dt_s: float, parts: int
) -> None:
    rng = np.random.default_rng(seed)
    world = PlantWorld(0.05, 0.1 * (seed % 2), dt_s)
    world.substep_s = dt_s / parts
    count = _plant_kernels.LANES + 4
    for k in range(count):
        z = None if k % 5 else 1.5
        row = world.spawn(1e4 * k, 0.0, 17.0 * k, z, body=(CAR, LORRY, BICYCLE)[k % 3])
        if k % 6 == 0:
            world.control(row, brake=1.0)
        elif k % 3:
            world.push(row, *rng.uniform(-20.0, 20.0, 2))
    f, i, q = world.table.f, world.table.i, world.plant._q
    stood = flew = rolled = 0
    with np.errstate(all="ignore"):
        for tick in range(40):
            for row in range(count):
                if row % 6 or tick > 25:
                    disturb(world, rng, row, hostile=seed == 2)
            f[:, c.GROUND_Z] = world.slope[0] * f[:, c.X] + world.slope[1] * f[:, c.Y]
            twin_f, twin_i, twin_q = f.copy(), i.copy(), q.copy()
            for row in range(count):
                plant_twin.drive(twin_f, twin_i, twin_q, row, dt_s, parts)
            _plant_kernels.advance(f, i, q, count, dt_s, parts, world.plant._lane)
            for k in range(3):  # what `advance` notes before a step
                twin_q[:, p.OLD_VX + k] = q[:, p.OLD_VX + k]
            twin_q[:, [p.OLD_X, p.OLD_Y]] = q[:, [p.OLD_X, p.OLD_Y]]
            for name, ours, twins in (("f", f, twin_f), ("i", i, twin_i), ("q", q, twin_q)):
                other = np.argwhere(ours.view(np.int64) != twins.view(np.int64))
                assert not other.size, (name, other[:5].tolist())
            still = (f[:count, c.VX] == 0.0) & (f[:count, c.WZ] == 0.0)
            high = f[:count, c.Z] > f[:count, c.GROUND_Z] + 0.5
            stood, flew = stood + int(still.sum()), flew + int(high.sum())
            rolled += int((~still & ~high).sum())
    assert min(stood, flew, rolled) > 10
