"""The world: contacts told once, people may brush past each other, and a body knows which lane it is on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols.judging import Event, EventKind
from protocols.messages import ActorKind, Light, SignalCommand, VehicleCommand
from sim.loop import Loop
from sim.state import Control
from sim.world import side_approaches
from tests.support.corridor import EMPTY, corridor_net, put, wired

TICK_NS = 10_000_000


@pytest.fixture
def quiet() -> Loop:
    """The corridor with the bus alone."""
    return wired(*EMPTY)


def stand(
    loop: Loop, row: int, actor: int, x_m: float, y_m: float, control: Control, size_m: float = 0.5
) -> None:
    """A body that nobody moves."""
    states, statics = loop.world.states, loop.world.statics
    states.valid[row], states.id[row], states.lane[row] = True, actor, -1
    states.x_m[row], states.y_m[row], states.z_m[row] = x_m, y_m, states.z_m[0]
    statics.control[row], statics.kind[row] = int(control), int(ActorKind.PEDESTRIAN)
    statics.length_m[row] = statics.width_m[row] = statics.total_length_m[row] = size_m
    statics.rear_overhang_m[row], statics.height_m[row] = 0.5 * size_m, 1.7


def contacts(loop: Loop, looks: int) -> list[Event]:
    """Contacts told in so many looks."""
    for k in range(looks):
        loop.world._contacts(k * 50_000_000)
    said = [event for event in loop.world.events if event.kind == EventKind.COLLISION]
    loop.world.events.clear()
    return said


def test_a_collision_is_told_once_per_touch_with_the_automated_vehicle_first(quiet: Loop):
    states = quiet.world.states
    states.speed_mps[0] = 3.0
    x, y = float(states.x_m[0]), float(states.y_m[0])
    stand(quiet, 5, 99, x + 2.0, y, Control.WALKER)
    (event,) = contacts(quiet, 10)
    assert (event.actor, event.other, event.value) == (1, 99, pytest.approx(3.0))
    states.x_m[5] += 100.0
    assert contacts(quiet, 2) == []
    states.x_m[5] -= 100.0
    assert len(contacts(quiet, 10)) == 1, "touched again"


def test_another_actor_in_the_same_row_is_another_touch(quiet: Loop):
    states = quiet.world.states
    stand(quiet, 5, 99, float(states.x_m[0]), float(states.y_m[0]), Control.WALKER)
    assert [event.other for event in contacts(quiet, 2)] == [99]
    states.id[5] = 100
    assert [event.other for event in contacts(quiet, 2)] == [100]


def test_people_who_brush_past_each_other_are_no_collision(quiet: Loop):
    stand(quiet, 5, 99, -500.0, -500.0, Control.WALKER)
    stand(quiet, 6, 100, -500.1, -500.0, Control.WALKER)
    assert contacts(quiet, 5) == []
    quiet.world.statics.control[6] = int(Control.TRAFFIC)
    assert len(contacts(quiet, 5)) == 1


def test_the_rear_section_of_the_bus_counts_as_the_bus(quiet: Loop):
    world, p = quiet.world, quiet.world.vehicles[0].params
    back = -p.hitch_x_m + 0.5 * p.rear_length_m
    yaw = float(world.states.yaw_rad[0])
    x = float(world.states.x_m[0]) - back * math.cos(yaw)
    y = float(world.states.y_m[0]) - back * math.sin(yaw)
    stand(quiet, 5, 99, x, y, Control.WALKER)
    assert len(contacts(quiet, 3)) == 1


def test_in_a_junction_the_lane_of_the_own_route_counts(quiet: Loop):
    """Left-turning lanes of other approaches cross the bus's way: the nearest lane alone would be theirs."""
    world, net = quiet.world, quiet.world.net
    bus = world.vehicles[0]
    for key in ("1000/0/-1", "2000/0/-1", "3000/0/-1", "4000/0/-1"):
        lane = next(k for k in range(net.num_lanes) if net.lane_key(k) == key)
        for s in np.arange(1.0, float(net.lanes.length_m[lane]) - 1.0, 1.0):
            for d in (-0.8, 0.0, 0.8):
                put(world, bus, key, float(s), d)
                assert net.lane_key(int(world.states.lane[0])) == key, (key, s, d)
                assert world.states.s_m[0] == pytest.approx(s, abs=0.05)
                assert world.states.d_m[0] == pytest.approx(d, abs=0.02)


def test_off_the_route_the_nearest_lane_counts_and_far_away_none(quiet: Loop):
    world, net = quiet.world, quiet.world.net
    put(world, world.vehicles[0], "1/0/-4", 200.0)
    assert net.lane_key(int(world.states.lane[0])) == "1/0/-4"
    world.states.y_m[0] += 200.0
    world.locate()
    assert int(world.states.lane[0]) == -1


def test_the_age_of_red_begins_when_the_light_turns_red_and_not_again(quiet: Loop):
    world = quiet.world
    group = np.array([3], dtype=np.int32)

    def shows(t_ns: int, light: Light) -> None:
        world.apply_signals(t_ns, [SignalCommand(t_ns, group, np.array([light], dtype=np.uint8))])

    shows(0, Light.YELLOW)
    shows(5, Light.RED)
    shows(9, Light.RED)
    assert world.red_since_ns[3] == 5
    shows(20, Light.GREEN_PROTECTED)
    shows(30, Light.RED)
    assert (world.red_since_ns[3], int(world.light[3])) == (30, Light.RED)


def test_an_on_call_station_is_asked_for_when_somebody_waits_there():
    for waiting in (0, 1):
        loop = wired(
            *EMPTY, "vehicles.0.passengers={ boarding_per_hour = 0.0 }",
            'vehicles.0.stops=[{ station = "Xihuan eastbound", on_call = true }, { station = "Tongbai eastbound" }]',
        )  # fmt: skip
        bus = loop.world.vehicles[0]
        assert bus.cabin is not None
        bus.cabin.stops[0].waiting = waiting
        loop.world.step(1, {}, [])
        bus.referee.route_s_m = 290.0  # carried past the platform at 216 m
        loop.world.states.lane[0] = -1
        bus.referee.observe(2, 0.01, loop.world.states, loop.world.light, loop.world.red_since_ns)
        missed = [e for e in bus.referee.events if e.kind == EventKind.MISSED_STATION]
        assert len(missed) == waiting


def test_side_approaches_are_the_cross_roads_of_the_junctions_that_the_bus_passes(quiet: Loop):
    net = corridor_net()
    roads = {
        net.lane_key(int(k)).split("/")[0]
        for k in side_approaches(net, [v.line for v in quiet.world.vehicles])
    }
    assert {"21", "22", "23", "24", "31", "32", "33", "34"} == roads
    assert side_approaches(net, []).size == 0


def test_the_articulated_bus_holds_lane_and_hitch_along_the_whole_corridor_at_speed(quiet: Loop):
    """Driven by hand: pure pursuit at 16 m/s, so a fault of bodies or road shows here and not as one of the driver."""
    world = quiet.world
    bus, states, net = world.vehicles[0], world.states, world.net
    xs, ys = _way(quiet)
    near, hitch, offset, progress = 0, 0.0, 0.0, 0.0
    for k in range(30_000):
        x, y, yaw = states.x_m[0], states.y_m[0], states.yaw_rad[0]
        speed = float(states.speed_mps[0])
        while near + 1 < xs.size and math.hypot(xs[near + 1] - x, ys[near + 1] - y) <= math.hypot(
            xs[near] - x, ys[near] - y
        ):
            near += 1
        goal = min(near + 24, xs.size - 1)  # samples lie 0.5 m apart
        dx, dy = xs[goal] - x, ys[goal] - y
        across = -math.sin(yaw) * dx + math.cos(yaw) * dy
        steer = math.atan(bus.params.wheelbase_m * 2.0 * across / (dx * dx + dy * dy))
        command = VehicleCommand(k * TICK_NS, min(1.0, 16.0 - speed), steer, 0, 0)
        world.step(
            k * TICK_NS + 1, {bus.unit: command}, []
        )  # off the decision ticks: nobody decides here
        assert states.lane[0] >= 0, k
        hitch = max(hitch, abs(float(states.hitch_rad[0])))
        offset = max(offset, abs(float(states.d_m[0])))
        last, progress = (
            progress,
            bus.line.progress(int(states.lane[0]), float(states.s_m[0]), progress),
        )
        assert last - 0.05 <= progress <= last + 0.3, (k, net.lane_key(int(states.lane[0])))
        if progress > bus.line.length_m - 25.0:
            break
    assert progress > bus.line.length_m - 25.0
    assert speed == pytest.approx(16.0, abs=0.2)
    assert hitch < 0.25 < bus.params.max_hitch_rad, (
        hitch
    )  # lane shifts before J3 are the sharpest bends
    assert offset < 1.0, offset


def _way(loop: Loop) -> tuple[np.ndarray, np.ndarray]:
    """Centre line of the bus's route, a point every half metre."""
    net, line = loop.world.net, loop.world.vehicles[0].line
    xs, ys = [], []
    for lane in line.lanes.tolist():
        rows = slice(int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1]))
        s = net.points.s_m[rows]
        at = np.arange(s[0], s[-1], 0.5)
        xs.append(np.interp(at, s, net.points.x_m[rows]))
        ys.append(np.interp(at, s, net.points.y_m[rows]))
    return np.concatenate(xs), np.concatenate(ys)
