"""Routing against exhaustive relaxation on small random nets, and routes worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.errors import RoadError
from protocols.roads import _routing_kernels
from protocols.roads.conflicts import find_conflicts
from protocols.roads.network import RoadNetwork, StopLines, UserClass
from protocols.roads.paths import reference_path
from protocols.roads.routing import (
    CHANGE_S,
    SOLID_CHANGE_S,
    cost_to_go,
    costs_to_go,
    find_lane,
    look_ahead,
    next_conflicts,
    next_stop_line,
    route,
)
from scenarios.formats import opendrive
from scenarios.roads import path_of
from tests.support.naive_roads import Strip, arc, bellman_ford, flat_lanes, line

CAR, BUS = UserClass.PASSENGER, UserClass.BUS


@pytest.fixture(scope="module")
def island() -> RoadNetwork:
    return opendrive.read(path_of("smart_island"))


@pytest.fixture(scope="module")
def corridor() -> RoadNetwork:
    return opendrive.read(path_of("brt_corridor"))


def net_of(island: RoadNetwork, strips: list[Strip]) -> RoadNetwork:
    """A network whose lanes are `strips`, a road each unless they say otherwise; no stop lines."""
    lanes, points, junctions = flat_lanes(strips)
    num_roads = int(lanes.road.max()) + 1
    num_sections = int(lanes.section.max()) + 1
    names = tuple(f"r{k}" for k in range(num_roads))
    section_road = np.zeros(num_sections, dtype=np.int32)
    section_road[lanes.section] = lanes.road
    roads = replace(
        island.roads,
        id=names,
        name=names,
        length_m=np.full(num_roads, 100.0),
        section_start=np.searchsorted(section_road, np.arange(num_roads + 1)).astype(np.int32),
    )
    lane_start = np.searchsorted(lanes.section, np.arange(num_sections + 1)).astype(np.int32)
    none = np.zeros(0, dtype=np.int32)
    return replace(
        island,
        name="by hand",
        lanes=lanes,
        points=points,
        junctions=junctions,
        roads=roads,
        sections=replace(island.sections, road=section_road, lane_start=lane_start),
        conflicts=find_conflicts(lanes, points, junctions),
        stop_lines=StopLines(
            none, np.zeros(0), none, none, none.astype(np.uint8),
            np.zeros(len(strips) + 1, dtype=np.int32),
        ),
    )  # fmt: skip


def two_lane_road(island: RoadNetwork, *, may_change: bool = True) -> RoadNetwork:
    """Two parallel lanes 0 (left), 1 (right) of 100 m at 10 m/s; 0 leads to 2, 1 leads to 3."""
    return net_of(
        island,
        [
            Strip(line((0, 0), (100, 0)), after=(2,), right=1, road=0, section=0, odr_id=-1,
                  junction=-1, may_change=may_change),
            Strip(line((0, -3.5), (100, -3.5)), after=(3,), left=0, road=0, section=0, odr_id=-2,
                  junction=-1, may_change=may_change),
            Strip(line((100, 0), (150, 0)), before=(0,), road=1, section=1, junction=-1),
            Strip(arc((100, -23.5), 20, 90, 0), before=(1,), road=2, section=2, junction=-1),
        ],
    )  # fmt: skip


def test_cost_to_go_is_driving_time_plus_lane_changes(island: RoadNetwork) -> None:
    cost = cost_to_go(two_lane_road(island), [3], CAR)
    assert cost[3] == 0.0
    assert cost[1] == pytest.approx(10.0)
    assert cost[0] == pytest.approx(10.0 + CHANGE_S)
    assert cost[2] == np.inf


def test_a_solid_mark_is_crossed_only_at_the_price_of_a_detour(island: RoadNetwork) -> None:
    cost = cost_to_go(two_lane_road(island, may_change=False), [3], CAR)
    assert cost[0] == pytest.approx(10.0 + SOLID_CHANGE_S)


def test_several_targets_give_the_nearest(island: RoadNetwork) -> None:
    cost = cost_to_go(two_lane_road(island), [2, 3], CAR)
    assert cost.tolist() == pytest.approx([10.0, 10.0, 0.0, 0.0])


def random_net(island: RoadNetwork, seed: int, num: int = 24) -> RoadNetwork:
    draw = np.random.default_rng(seed)
    strips = []
    for k in range(num):
        after = tuple(sorted(draw.choice(num, size=draw.integers(0, 3), replace=False).tolist()))
        pair = k % 4 < 2  # lanes 0,1 and 4,5, ... are neighbours
        strips.append(
            Strip(
                line((0, 4.0 * k), (draw.uniform(20, 200), 4.0 * k)),
                after=after,
                road=k,
                section=k,
                junction=-1 if draw.random() < 0.8 else 0,
                permission=int(CAR) if draw.random() < 0.85 else int(BUS),
                speed_mps=draw.uniform(5, 20),
                right=k + 1 if pair and k % 2 == 0 else -1,
                left=k - 1 if pair and k % 2 == 1 else -1,
                may_change=bool(draw.random() < 0.7),
            )
        )
    return net_of(island, strips)


def naive_run_m(net: RoadNetwork, lane: int) -> float:
    """How far a lane runs on by single successors, but no further than 150 m."""
    run_m = float(net.lanes.length_m[lane])
    while run_m < 150.0:
        after = net.lanes.next[net.lanes.next_start[lane] : net.lanes.next_start[lane + 1]]
        if len(after) != 1 or net.lanes.junction[after[0]] >= 0:
            return run_m
        lane = int(after[0])
        run_m += float(net.lanes.length_m[lane])
    return run_m


def naive_edges(net: RoadNetwork) -> list[tuple[int, int, float]]:
    lanes = net.lanes
    edges = []
    for a in range(net.num_lanes):
        for b in lanes.next[lanes.next_start[a] : lanes.next_start[a + 1]].tolist():
            edges.append((a, b, float(lanes.length_m[a] / lanes.speed_mps[a])))
        for b, may in (
            (lanes.left[a], lanes.may_change_left),
            (lanes.right[a], lanes.may_change_right),
        ):
            if b >= 0 and lanes.junction[a] < 0:
                room = max(1.0, 150.0 / naive_run_m(net, a))
                edges.append((a, int(b), (5.0 if may[a] else 600.0) * room))
    admits = (lanes.permission & np.uint32(CAR)) != 0
    return [(a, b, price) for a, b, price in edges if admits[a] and admits[b]]


@pytest.mark.parametrize("seed", range(8))
def test_costs_equal_relaxation_of_all_edges(island: RoadNetwork, seed: int) -> None:
    net = random_net(island, seed)
    edges = naive_edges(net)
    admits = (net.lanes.permission & np.uint32(CAR)) != 0
    batch = costs_to_go(net, [[k] for k in range(net.num_lanes)], CAR)
    assert batch.dtype == np.float32 and batch.shape == (net.num_lanes, net.num_lanes)
    for target in range(net.num_lanes):
        expected = bellman_ford(net.num_lanes, edges, {target} if admits[target] else set())
        np.testing.assert_allclose(cost_to_go(net, [target], CAR), expected, rtol=1e-12)
        np.testing.assert_allclose(batch[target], expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_a_route_costs_what_the_relaxation_says_and_is_driveable(
    island: RoadNetwork, seed: int
) -> None:
    net = random_net(island, seed)
    edges = naive_edges(net)
    price: dict[tuple[int, int], float] = {}
    for a, b, p in edges:
        price[a, b] = min(p, price.get((a, b), np.inf))
    found = 0
    for goal in range(0, net.num_lanes, 3):
        if not net.lanes.permission[goal] & np.uint32(CAR):
            continue
        expected = bellman_ford(net.num_lanes, edges, {goal})
        for start in range(net.num_lanes):
            if not net.lanes.permission[start] & np.uint32(CAR):
                continue
            if np.isinf(expected[start]):
                with pytest.raises(RoadError, match="No way for passenger from lane r"):
                    route(net, start, 0.0, goal, 0.0, CAR)
                continue
            way = route(net, start, 0.0, goal, float(net.lanes.length_m[goal]), CAR)
            steps = list(zip(way.lanes[:-1].tolist(), way.lanes[1:].tolist(), strict=True))
            assert way.cost_s == pytest.approx(sum(price[step] for step in steps))
            assert way.cost_s == pytest.approx(float(expected[start]))
            found += 1
    assert found > 10


def test_a_route_counts_a_stretch_with_changes_once(island: RoadNetwork) -> None:
    net = two_lane_road(island)
    way = route(net, 0, 20.0, 3, 10.0, CAR)
    assert way.lanes.tolist() == [0, 1, 3]
    assert way.is_change.tolist() == [False, True, False]
    assert way.length_m == pytest.approx(80.0 + 10.0)
    assert way.cost_s == pytest.approx(CHANGE_S + 10.0)


def test_of_equal_ways_the_one_that_changes_early_is_taken(island: RoadNetwork) -> None:
    # Two lanes for two sections of 100 m; the goal lies behind the right lane.
    strips = []
    for k in (0, 1):
        for side in (0, 1):
            me = 2 * k + side
            y = -3.5 * side
            strips.append(
                Strip(line((100 * k, y), (100 * k + 100, y)), after=(me + 2,), road=k, section=k,
                      odr_id=-1 - side, junction=-1, left=me - 1 if side else -1,
                      right=-1 if side else me + 1)
            )  # fmt: skip
    for side in (0, 1):
        y = -3.5 * side
        strips.append(Strip(line((200, y), (300, y)), road=2 + side, section=2 + side, junction=-1))
    way = route(net_of(island, strips), 0, 0.0, 5, 0.0, CAR)
    assert way.lanes.tolist() == [0, 1, 3, 5]


def test_lanes_are_chosen_before_the_last_metres(corridor: RoadNetwork) -> None:
    """To turn left at J2 from the outer lane, one change is made before the pocket begins."""
    start, goal = find_lane(corridor, "1/0/-5"), find_lane(corridor, "22/0/-2")
    way = route(corridor, start, 0.0, goal, 100.0, CAR)
    changed = [corridor.lane_key(int(lane)) for lane in way.lanes[way.is_change]]
    assert len(changed) == 2
    assert changed[0] in ("1/0/-4", "2/1/-4")  # not in the 100 m before or behind J1
    assert changed[1] == "2/2/-3"


def ring(island: RoadNetwork) -> RoadNetwork:
    """Four lanes in a square of 100 m, one after the other."""
    corner = [(0, 0), (100, 0), (100, 100), (0, 100)]
    return net_of(
        island,
        [
            Strip(line(corner[k], corner[(k + 1) % 4]), before=((k - 1) % 4,), after=((k + 1) % 4,),
                  junction=-1)
            for k in range(4)
        ],
    )  # fmt: skip


def test_a_goal_behind_the_start_is_reached_by_going_round(island: RoadNetwork) -> None:
    net = ring(island)
    assert route(net, 1, 30.0, 1, 50.0, CAR).lanes.tolist() == [1]
    assert route(net, 1, 30.0, 1, 50.0, CAR).length_m == pytest.approx(20.0)
    way = route(net, 1, 50.0, 1, 30.0, CAR)
    assert way.lanes.tolist() == [1, 2, 3, 0, 1]
    assert way.length_m == pytest.approx(380.0)


def test_a_goal_behind_on_a_dead_end_cannot_be_reached(island: RoadNetwork) -> None:
    net = two_lane_road(island)
    with pytest.raises(RoadError, match="No way for passenger from lane r0/0/-1 to lane r0/0/-2"):
        route(net, 0, 60.0, 1, 20.0, CAR)


def test_an_end_off_its_lane_or_closed_to_the_class_is_refused(island: RoadNetwork) -> None:
    net = two_lane_road(island)
    with pytest.raises(RoadError, match=r"101\.00 m is not on lane r0/0/-1 of 'by hand'"):
        route(net, 0, 101.0, 3, 0.0, CAR)
    with pytest.raises(RoadError, match="r1/0/-1 of 'by hand' does not admit bus"):
        route(net, 2, 0.0, 2, 0.0, BUS)
    with pytest.raises(RoadError, match="Lane index 9 is not on"):
        route(net, 9, 0.0, 3, 0.0, CAR)


def test_an_unknown_lane_is_answered_with_near_names(corridor: RoadNetwork) -> None:
    assert corridor.lane_key(find_lane(corridor, "3/2/-2")) == "3/2/-2"
    with pytest.raises(RoadError, match=r"'3/2/-12' is not on .*Nearest names: .*3/2/-2"):
        find_lane(corridor, "3/2/-12")
    with pytest.raises(RoadError, match="a lane is written road/section/lane"):
        find_lane(corridor, "median")


def with_stop_line(net: RoadNetwork, lane: int, s_m: float, to_lane: int) -> RoadNetwork:
    start = np.zeros(net.num_lanes + 1, dtype=np.int32)
    start[lane + 1 :] = 1
    stops = StopLines(
        np.asarray([lane], np.int32), np.asarray([s_m]), np.asarray([to_lane], np.int32),
        np.asarray([7], np.int32), np.zeros(1, np.uint8), start,
    )  # fmt: skip
    return replace(net, stop_lines=stops)


def test_the_next_stop_line_is_found_across_lanes_and_only_on_the_way(island: RoadNetwork) -> None:
    net = with_stop_line(ring(island), 2, 80.0, 3)
    assert next_stop_line(net, 0, 10.0, [1, 2, 3]) == (0, pytest.approx(90.0 + 100.0 + 80.0))
    assert next_stop_line(net, 2, 80.0, [3]) == (0, pytest.approx(0.0))
    assert next_stop_line(net, 2, 80.1, [3]) == (-1, np.inf)  # passed
    assert next_stop_line(net, 2, 10.0, [0]) == (-1, np.inf)  # bound for another lane
    assert next_stop_line(net, 2, 10.0, []) == (0, pytest.approx(70.0))  # way unknown
    assert next_stop_line(net, 0, 10.0, [1, 2, 3], horizon_m=200.0) == (-1, np.inf)


def test_a_vehicle_that_changes_lanes_looks_along_its_new_lane(island: RoadNetwork) -> None:
    net = with_stop_line(two_lane_road(island), 1, 95.0, -1)
    ahead = look_ahead(
        net,
        np.asarray([0, 0, -1], dtype=np.int32),
        np.asarray([20.0, 20.0, 0.0]),
        np.asarray([[1, 3], [2, -1], [-1, -1]], dtype=np.int32),
    )
    assert ahead.stop_distance_m.tolist() == pytest.approx([75.0, np.inf, np.inf])
    assert ahead.stop_group.tolist() == [7, -1, -1]
    assert ahead.stop_line.tolist() == [0, -1, -1]


def test_the_next_lane_with_conflicts_counts_from_its_start(island: RoadNetwork) -> None:
    net = net_of(
        island,
        [
            Strip(line((-60, 0), (-20, 0)), after=(1,), junction=-1),
            Strip(line((-20, 0), (20, 0)), before=(0,)),
            Strip(line((0, -20), (0, 20))),
        ],
    )
    rows, distance_m = next_conflicts(net, 0, 10.0, [1])
    assert [int(net.conflicts.other[row]) for row in rows] == [2]
    assert distance_m == pytest.approx(30.0)
    rows, distance_m = next_conflicts(net, 1, 5.0, [])
    assert len(rows) == 1 and distance_m == pytest.approx(-5.0)
    assert next_conflicts(net, 0, 10.0, []) == (range(0), np.inf)


def test_compiled_kernels_equal_their_python_twins(island: RoadNetwork) -> None:
    net = random_net(island, 3)
    draw = np.random.default_rng(1)
    num = net.num_lanes
    order = np.argsort(net.lanes.next, kind="stable")
    owner = np.repeat(np.arange(num), np.diff(net.lanes.next_start))
    start = np.concatenate(([0], np.cumsum(np.bincount(net.lanes.next, minlength=num))))
    arguments = (
        np.asarray([2, 5]), np.ones(num, dtype=np.bool_), draw.uniform(1, 9, num), start,
        owner[order], net.lanes.left, net.lanes.right, draw.uniform(1, 9, num),
        draw.uniform(1, 9, num), np.empty(200), np.empty(200, dtype=np.int64),
    )  # fmt: skip
    compiled, plain = np.full(num, np.inf), np.full(num, np.inf)
    _routing_kernels.cost_to_go(*arguments, compiled)
    _routing_kernels.cost_to_go.py_func(*arguments, plain)
    assert compiled.tolist() == plain.tolist()


def test_a_reference_path_follows_the_corridor_without_kinks(corridor: RoadNetwork) -> None:
    start, goal = find_lane(corridor, "1/0/-4"), find_lane(corridor, "24/0/-3")
    way = route(corridor, start, 5.0, goal, 250.0, CAR)
    path = reference_path(corridor, way, step_m=1.0)
    assert way.is_change.sum() >= 1
    # A lane change of 3.5 m over 40 m is 0.2 m longer than the lanes; a few of them, with slack.
    assert path.s_m[-1] == pytest.approx(way.length_m, abs=3.0)
    step_m = np.hypot(np.diff(path.x_m), np.diff(path.y_m))
    assert step_m.min() > 0.3 and step_m.max() < 1.1
    heading = np.arctan2(np.diff(path.y_m), np.diff(path.x_m))
    middle = np.angle(np.exp(1j * path.yaw_rad[:-1]) + np.exp(1j * path.yaw_rad[1:]))
    off = np.angle(np.exp(1j * (heading - middle)))
    assert np.rad2deg(np.abs(off).max()) < 0.5
    # Curvature is the turn of the path itself.
    turned = np.angle(np.exp(1j * np.diff(heading)))
    measured = turned / ((step_m[1:] + step_m[:-1]) / 2)
    smooth = np.abs(np.diff(path.curvature_per_m)) < 0.005
    both = smooth[1:] & smooth[:-1]
    assert np.abs(measured - path.curvature_per_m[1:-1])[both].max() < 0.01
    assert path.speed_limit_mps.max() == pytest.approx(60 / 3.6)
    assert path.speed_limit_mps.min() >= 20 / 3.6 - 1e-9
    assert path.lane[0] == start and path.lane[-1] == goal
    assert path.lane_s_m[-1] == pytest.approx(250.0)


def test_a_lane_change_on_the_path_is_a_smooth_s(island: RoadNetwork) -> None:
    net = two_lane_road(island)
    path = reference_path(net, route(net, 0, 0.0, 1, 100.0, CAR), step_m=0.5)
    assert path.y_m[0] == pytest.approx(0.0) and path.y_m[-1] == pytest.approx(-3.5)
    # 5 m lead, 40 m change: in the middle it is half-way over.
    assert np.interp(25.0, path.x_m, path.y_m) == pytest.approx(-1.75, abs=0.01)
    assert np.interp(45.0, path.x_m, path.y_m) == pytest.approx(-3.5, abs=1e-3)
    assert (np.diff(path.y_m) <= 1e-9).all()
    # Quintic blend: steepest slope 15/8 of the mean one.
    assert np.tan(-path.yaw_rad.min()) == pytest.approx(15 / 8 * 3.5 / 40, rel=0.01)
    assert path.yaw_rad[[0, -1]] == pytest.approx([0.0, 0.0])
