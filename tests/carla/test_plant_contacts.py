"""What happens when things touch: nothing passes through anything, momentum stays, walkers walk and are pushed."""

import math

import numpy as np
import pytest

from sim.carla.server import columns as c
from sim.carla.server.table import Floats
from tests.carla.test_plant_world import CAR, Body, PlantWorld, walls

WALL = (
    20.0,
    0.0,
    2.0,
    0.0,
    0.1,
    10.0,
    2.0,
)  # 0.2 m thick, across the way of a car that drives along x
PROP = Body((0.5, 0.5, 0.5), (0.0, 0.0, 0.5), 0, 0.0, "", 0.0, 0.0, 0.0)


def slippery(world: PlantWorld, row: int) -> None:
    """No tyres and no air: only contacts act."""
    world.f[row, c.FRICTION] = 0.0
    pc = world.plant.physics_control(row)
    fields = {k: getattr(pc, k) for k in pc.__struct_fields__} | {"drag_coefficient": 0.0}
    world.plant.set_physics_control(row, type(pc)(**fields))


def overlap(world: PlantWorld, a: int, b: int) -> float:
    """How deep two boxes stand in each other, by corners against sides: sampled, independent of the kernels."""

    def corners(row: int) -> tuple[Floats, Floats]:
        x, y, yaw = world.f[row, c.X], world.f[row, c.Y], math.radians(world.f[row, c.YAW])
        turn = np.array(((math.cos(yaw), -math.sin(yaw)), (math.sin(yaw), math.cos(yaw))))
        grid = np.linspace(-1.0, 1.0, 41)
        u, v = np.meshgrid(grid, grid)
        half = world.f[row, c.EXT_X : c.EXT_Y + 1]
        points = (np.column_stack((u.ravel(), v.ravel())) * half) @ turn.T
        return points + np.array((x, y)), turn

    points, _ = corners(a)
    _, turn = corners(b)
    local = (points - world.f[b, c.X : c.Y + 1]) @ turn
    inside = world.f[b, c.EXT_X : c.EXT_Y + 1] - np.abs(local)
    return float(inside.min(axis=1).max())


def pairs(world: PlantWorld) -> set[tuple[int, int]]:
    return {(int(k["a_row"]), int(k["b_row"])) for k in world.contacts}


def test_two_equal_cars_head_on_keep_their_momentum_and_stop() -> None:
    world = PlantWorld()
    a, b = world.spawn(0.0), world.spawn(12.0, yaw=180.0)
    for row, v in ((a, 14.0), (b, -14.0)):
        slippery(world, row)
        world.push(row, v)
    met = False
    for _ in range(30):
        world.step()
        assert world.f[a, c.VX] + world.f[b, c.VX] == pytest.approx(0.0, abs=1e-9)
        if world.contacts.size and not met:
            met = True
            hit = world.contacts[0]
            assert (hit["a_row"], hit["b_row"], hit["first"]) == (a, b, True)
            # each loses 14 m/s and gets back at most a fifth of it
            assert -1500.0 * 14.0 * 1.2 <= hit["impulse"][0] <= -1500.0 * 14.0
    assert met
    assert -3.0 <= world.f[a, c.VX] <= 0.0
    assert world.at(a, c.Y, c.WZ) == pytest.approx((0.0, 0.0), abs=1e-9)  # hit square, so no turn
    assert overlap(world, a, b) < 0.03


def test_unequal_masses_share_momentum_and_never_gain_energy() -> None:
    world = PlantWorld()
    truck = world.spawn(0.0, 0.3, mass_kg=12000.0)
    car = world.spawn(9.0, -0.4, 160.0, mass_kg=1000.0)
    for row, v in ((truck, 10.0), (car, -20.0)):
        slippery(world, row)
        world.push(row, v)
    world.step()

    def state() -> tuple[Floats, float, float]:
        f = world.f
        p = 12000.0 * f[truck, c.VX : c.VY + 1] + 1000.0 * f[car, c.VX : c.VY + 1]
        energy, spin = 0.0, 0.0
        for row, mass in ((truck, 12000.0), (car, 1000.0)):
            inertia = mass * (4.8**2 + 1.9**2) / 12.0
            w = math.radians(f[row, c.WZ])
            x, y, vx, vy = f[row, [c.X, c.Y, c.VX, c.VY]]
            energy += 0.5 * mass * (vx * vx + vy * vy) + 0.5 * inertia * w * w
            spin += inertia * w + mass * (x * vy - y * vx)
        return p.copy(), energy, spin

    p, energy, spin = state()
    hits = 0
    for _ in range(40):
        world.step()
        hits += world.contacts.size
        p2, energy2, spin2 = state()
        assert p2 == pytest.approx(p, abs=1e-6)
        assert energy2 <= energy + 1e-6
        energy = energy2
    assert hits > 0
    assert spin2 == pytest.approx(spin, rel=0.02)  # moving apart shifts it a little


@pytest.mark.parametrize("speed", [2.0, 15.0, 50.0, 150.0])
def test_a_wall_of_20_centimetres_stops_a_car_at_any_speed(speed: float) -> None:
    world = PlantWorld()
    world.statics = walls(WALL)
    car = world.spawn()
    world.control(car, throttle=1.0)
    world.push(car, speed)
    seen = False
    for _ in range(300):
        world.step()
        seen = seen or (car, -1) in pairs(world)
        assert world.f[car, c.X] + 2.4 <= 19.9 + 0.05
    assert seen
    assert world.f[car, c.X] + 2.4 == pytest.approx(19.9, abs=0.05)
    assert abs(world.f[car, c.VX]) < 0.05
    assert abs(world.f[car, c.YAW]) < 0.5


def test_a_glancing_hit_turns_the_car_along_the_wall() -> None:
    world = PlantWorld()
    world.statics = walls((20.0, 6.0, 2.0, 0.0, 60.0, 0.5, 2.0))  # along x
    car = world.spawn(0.0, 0.0, 20.0)
    world.push(car, 15.0 * math.cos(math.radians(20.0)), 15.0 * math.sin(math.radians(20.0)))
    world.step(60)
    assert world.f[car, c.YAW] < 5.0
    assert world.f[car, c.VX] > 5.0 and world.f[car, c.Y] < 4.8


def test_a_car_that_is_rear_ended_is_pushed_slides_and_comes_to_rest() -> None:
    world = PlantWorld()
    pushed, pusher = world.spawn(10.0), world.spawn(0.0)
    world.push(pusher, 15.0)
    world.control(pushed, brake=1.0)
    world.step(20)
    assert world.f[pushed, c.X] > 10.5
    world.control(pusher, brake=1.0)
    world.step(200)
    assert 10.5 < world.f[pushed, c.X] < 40.0
    assert not world.at(pushed, c.VX, c.VY, c.WZ).any()
    assert overlap(world, pushed, pusher) < 0.03


def test_a_car_cannot_drive_through_another_however_long_it_tries() -> None:
    world = PlantWorld()
    parked, driver = world.spawn(8.0, 0.0, 90.0), world.spawn(0.0)
    world.control(parked, hand_brake=1)
    world.control(driver, throttle=1.0)
    deepest = 0.0
    for _ in range(200):
        world.step()
        deepest = max(deepest, overlap(world, driver, parked))
    assert deepest < 0.06
    assert world.f[parked, c.X] > 8.0 or abs(world.f[parked, c.YAW] - 90.0) > 1.0


def test_a_contact_is_first_once_and_ends_when_they_part() -> None:
    world = PlantWorld()
    world.statics = walls(WALL)
    car = world.spawn(17.45)  # too near to bounce
    world.control(car, throttle=0.5)
    firsts, touching = 0, 0
    for _ in range(100):
        world.step()
        firsts += int(world.contacts["first"].sum()) if world.contacts.size else 0
        touching += world.contacts.size
    assert firsts == 1 and touching > 20
    world.control(car, reverse=1)
    world.step(100)
    assert world.contacts.size == 0


def test_a_removed_vehicles_contact_is_forgotten() -> None:
    world = PlantWorld()
    world.statics = walls((3.0, 0.0, 2.0, 0.0, 0.65, 10.0, 2.0))  # 5 cm inside
    car = world.spawn()
    world.step()
    assert world.contacts["first"].tolist() == [True]
    world.plant.remove(car)
    world.table.remove(1)
    assert world.spawn() == car
    world.step()
    assert world.contacts["first"].tolist() == [True]


def test_bodies_above_or_below_each_other_do_not_touch() -> None:
    world = PlantWorld()
    world.statics = walls(
        (0.0, 0.0, 6.0, 0.0, 5.0, 5.0, 1.0),  # a bridge
        (0.0, 0.0, 0.02, 0.0, 5.0, 5.0, 0.04),  # a mat
    )
    car, above = world.spawn(), world.spawn(z=9.0)
    world.table.i[above, c.GRAVITY] = 0
    world.step(5)
    assert world.contacts.size == 0
    assert world.f[car, c.X] == 0.0


def test_what_does_not_collide_is_driven_through() -> None:
    world = PlantWorld()
    car, ghost = world.spawn(), world.spawn(8.0)
    world.control(ghost, collides=0)
    world.push(car, 15.0)
    world.step(40)
    assert world.f[car, c.X] > 15.0 and world.f[ghost, c.X] == 8.0


def test_what_is_attached_does_not_collide_with_what_it_hangs_on() -> None:
    world = PlantWorld()
    car = world.spawn()
    box = world.spawn(1.0, body=PROP, kind=c.PROP)
    world.control(box, simulate=0, parent=int(world.table.i[car, c.ID]))
    world.step(10)
    assert world.f[car, c.X] == 0.0 and world.contacts.size == 0


@pytest.mark.parametrize("fixed", [{"simulate": 0}, {"mass": 0.0}])
def test_an_immovable_body_stops_a_car_and_stays(fixed: dict[str, float]) -> None:
    world = PlantWorld()
    car = world.spawn()
    block = world.spawn(10.0, 0.2, 30.0, body=PROP, kind=c.PROP)
    if "mass" in fixed:
        world.f[block, c.MASS] = 0.0
    else:
        world.control(block, **fixed)
    world.push(car, 10.0)
    world.step(100)
    assert world.at(block, c.X, c.Y, c.YAW) == pytest.approx((10.0, 0.2, 30.0))
    assert world.f[car, c.X] < 8.0


def test_a_loose_prop_falls_is_pushed_and_comes_to_rest() -> None:
    world = PlantWorld()
    box = world.spawn(8.0, 0.1, z=2.0, body=PROP, kind=c.PROP, mass_kg=40.0)
    world.f[box, c.MASS] = 40.0
    world.step(30)
    assert world.f[box, c.Z] == pytest.approx(0.0, abs=1e-6)
    car = world.spawn()
    world.push(car, 10.0)
    world.step(20)
    world.control(car, brake=1.0)
    world.step(100)
    assert world.f[box, c.X] > 10.0
    assert not world.at(box, c.VX, c.VY, c.VZ, c.WZ).any()


def test_a_heap_of_200_cars_squeezed_together_comes_to_rest() -> None:
    world = PlantWorld()
    world.statics = walls((100.0, 15.0, 2.0, 0.0, 0.5, 60.0, 2.0))
    rows = [world.spawn(k % 20 * 4.7, k // 20 * 1.87, (k * 7) % 5 - 2.0) for k in range(200)]
    for row in rows:
        world.control(row, throttle=0.3)
    most = 0.0
    for _ in range(300):
        world.step()
        most = max(most, float(np.abs(world.f[rows, c.VX : c.VZ + 1]).max()))
    neighbours = {
        (int(a), int(b)) for a, b in world.contacts[["a_row", "b_row"]].tolist() if b >= 0
    }
    assert max(overlap(world, a, b) for a, b in neighbours) < 0.2
    assert world.contacts.size > 200
    assert most < 12.0  # nothing is shot out
    for row in rows:
        world.control(row, throttle=0.0, brake=1.0)
    world.step(400)
    assert np.abs(world.f[rows, c.VX : c.VY + 1]).max() < 1e-6
    before = world.f[rows, c.X : c.Y + 1].copy()
    world.step(100)
    assert np.abs(world.f[rows, c.X : c.Y + 1] - before).max() < 0.02
    assert world.f[rows, c.X].max() + 2.4 < 99.6


def crash(others_first: bool, others: int) -> Floats:
    """Two cars meet at an angle; others drive and crash a kilometre away, in rows before or after them."""
    world = PlantWorld()

    def far() -> None:
        for k in range(others):
            row = world.spawn(1000.0 + 3.0 * k, 700.0, 40.0 * k, mass_kg=9000.0)
            world.control(row, throttle=1.0, steer=0.3)

    if others_first:
        far()
    pair = [world.spawn(0.0, 0.0), world.spawn(20.0, 8.0, -90.0)]
    walker = world.walker(12.0, 0.0)
    world.f[walker, [c.WALK_Y, c.WALK_SPEED]] = (1.0, 1.5)
    if not others_first:
        far()
    world.push(pair[0], 14.0)
    world.push(pair[1], 0.0, -6.0)
    world.control(pair[0], steer=0.05)
    world.statics = walls((30.0, 0.0, 2.0, 10.0, 0.5, 20.0, 2.0))
    trace = []
    for _ in range(120):
        world.step()
        trace.append(world.f[[*pair, walker], : c.AZ + 1].copy())
    return np.array(trace)


def test_far_away_actors_change_nothing_whatever_their_rows() -> None:
    alone = crash(True, 0)
    assert np.array_equal(alone, crash(True, 0))
    assert np.array_equal(alone, crash(True, 7))
    assert np.array_equal(alone, crash(False, 7))
    assert np.abs(alone[-1, 0, c.YAW]) > 1.0  # they did meet


def test_a_walker_goes_where_it_is_sent_on_its_feet_and_looks_there() -> None:
    world = PlantWorld(slope_x=0.1)
    walker = world.walker(0.0, 0.0)
    world.f[walker, [c.WALK_X, c.WALK_Y, c.WALK_SPEED]] = (3.0, 4.0, 1.5)  # any length will do
    world.step(40)
    assert world.at(walker, c.X, c.Y) == pytest.approx((0.6 * 3.0, 0.8 * 3.0))
    assert world.f[walker, c.YAW] == pytest.approx(math.degrees(math.atan2(4.0, 3.0)))
    assert world.f[walker, c.Z] == pytest.approx(0.1 * 1.8 + 0.93, abs=0.01)
    assert world.at(walker, c.VX, c.VY) == pytest.approx((0.9, 1.2))
    world.f[walker, c.WALK_SPEED] = 0.0
    world.step()
    place = world.at(walker, c.X, c.Y, c.YAW)
    world.step(20)
    assert np.array_equal(world.at(walker, c.X, c.Y, c.YAW), place)
    assert not world.at(walker, c.VX, c.VY).any()


def test_a_walker_jumps_once_for_one_control() -> None:
    world = PlantWorld()
    walker = world.walker(0.0, 0.0)
    world.step(2)
    world.control(walker, jump=1)
    heights = []
    for _ in range(80):
        world.step()
        heights.append(world.f[walker, c.Z] - 0.93)
    assert 0.4 < max(heights) < 1.2
    assert max(heights[30:]) < 1e-3
    world.control(walker, jump=0)
    world.step()
    world.control(walker, jump=1)
    world.step(3)
    assert world.f[walker, c.Z] > 1.0


def test_a_walker_that_is_hit_is_thrown_slides_and_then_walks_on() -> None:
    world = PlantWorld()
    car, walker = world.spawn(), world.walker(6.0, 0.3)
    world.push(car, 10.0)
    world.f[walker, [c.WALK_Y, c.WALK_SPEED]] = (1.0, 0.2)
    for _ in range(40):
        world.step()
        if world.contacts.size:
            break
    hit = world.contacts[0]
    assert {hit["a_row"], hit["b_row"]} == {car, walker}
    assert world.f[walker, c.VX] > 8.0
    assert world.f[car, c.VX] > 8.5  # 75 kg against 1500 kg
    world.control(car, brake=1.0)
    world.step(200)
    assert world.f[walker, c.X] > 12.0
    assert world.at(walker, c.VX, c.VY) == pytest.approx((0.0, 0.2), abs=1e-9)


def test_a_walker_does_not_push_a_parked_car_but_is_stopped_by_it() -> None:
    world = PlantWorld()
    car, walker = world.spawn(5.0), world.walker(0.0, 0.0)
    world.f[walker, [c.WALK_X, c.WALK_SPEED]] = (1.0, 2.0)
    world.step(200)
    assert world.f[car, c.X] == 5.0
    assert world.f[walker, c.X] + 0.2 == pytest.approx(2.6, abs=0.05)


def test_a_parked_row_of_cars_is_in_nobodys_way() -> None:
    """Bumper to bumper with a hand's breadth between them, nothing moves and nothing is reported."""
    world = PlantWorld()
    rows = [world.spawn(k * 4.9) for k in range(20)]
    before = world.f[rows].copy()
    for _ in range(50):
        world.step()
        assert world.contacts.size == 0
    assert np.array_equal(world.f[rows, : c.AZ + 1], before[:, : c.AZ + 1])


def test_the_side_that_is_hit_does_not_depend_on_the_step() -> None:
    """A car just clips another's corner with 10 cm: it is stopped lengthwise, not squeezed sideways past it."""
    for dt in (0.02, 0.05, 0.2):
        world = PlantWorld(dt_s=dt)
        a, b = world.spawn(0.0), world.spawn(11.03, 1.8)
        for row in (a, b):
            slippery(world, row)
        world.push(a, 12.0)
        for _ in range(200):
            world.step()
            if world.contacts.size:
                break
        x, y, _ = world.contacts[0]["impulse"]
        assert abs(x) > 3.0 * abs(y)
        assert CAR.extent[0] == 2.4
