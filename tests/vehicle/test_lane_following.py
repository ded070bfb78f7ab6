"""Vehicles off our path are predicted along the lanes of the map: who keeps clear of us, who crosses, who is on no lane."""

from __future__ import annotations

from math import cos, inf, pi, sin

import numpy as np
import pytest
from pytest import approx

from protocols.roads.geometry import lane_pose
from protocols.roads.matching import build_index
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from tests.support import xodr
from tests.support.crossroads import crossroads
from tests.support.vehicle_loop import path_of
from vehicle.dynamics import vehicle_params
from vehicle.planning import Planner, Pose, _prediction_kernels
from vehicle.planning.lane_following import LaneFollower
from vehicle.planning.planner import COMFORT, NO_OBJECTS
from vehicle.planning.reference import STEP_M

SHUTTLE = vehicle_params("shuttle")
HALF_LENGTH_M, HALF_WIDTH_M = 2.25, 0.9
STEPS, DT_S = 50, 0.1
# eastbound through the crossroads, in the outer lane (y = -5.25); the nose is near x = -36
EAST = path_of([(300.0, 0.0)], 10.0, origin=(-150.0, -5.25, 0.0))
EGO = Pose(110.0, 0.0, 0.0, 10.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def net() -> RoadNetwork:
    return crossroads()


@pytest.fixture(scope="module")
def lanes(net: RoadNetwork) -> LaneFollower:
    return LaneFollower(net, build_index(net))


def car(x: float, y: float, yaw: float, speed: float, room: float = inf) -> np.ndarray:
    return np.array([(x, y, yaw, speed, HALF_LENGTH_M, HALF_WIDTH_M, 0.0, room)])


def predicted(
    lanes: LaneFollower, objects: np.ndarray, kernel: object = _prediction_kernels.predict
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(pose, info, found) seen by a shuttle at `EGO` on `EAST`."""
    planner = Planner(EAST, SHUTTLE, lanes=lanes)
    start = np.array((EGO.s_m, EGO.speed_mps, 0.0, 0.0, 0.0, 0.0))
    pose, info = np.zeros((objects.shape[0], STEPS + 1, 4)), np.zeros((objects.shape[0], 6))
    found = np.zeros(2, np.int64)
    kernel(  # type: ignore[operator]
        planner.table, STEP_M, start, objects, planner._body, 8.0, DT_S, STEPS, lanes.line, lanes.first, lanes.onto, lanes.fork,
        *lanes.lanes_of(objects), np.zeros(9), pose, info, found,
    )  # fmt: skip
    return pose, info, found.tolist()


def turning(net: RoadNetwork, x: float, y: float, end_yaw: float) -> int:
    """The junction lane that begins at (x, y) and ends facing `end_yaw`."""
    for lane in np.flatnonzero(net.lanes.junction >= 0).tolist():
        a, b = int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1]) - 1
        is_there = abs(net.points.x_m[a] - x) + abs(net.points.y_m[a] - y) < 0.1
        if is_there and cos(float(net.points.yaw_rad[b]) - end_yaw) > 0.99:
            return lane
    raise AssertionError("no such lane")


def car_on(net: RoadNetwork, lane: int, share: float, speed: float) -> np.ndarray:
    at = lane_pose(net, lane, share * float(net.lanes.length_m[lane]), 0.0)
    return car(float(at.x_m[0]), float(at.y_m[0]), float(at.yaw_rad[0]), speed)


def test_an_oncoming_car_in_a_curve_keeps_its_lane_and_does_not_slow_us(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Left bend round (0, 60), lanes 3.5 m wide: ours on radius 61.75, the oncoming one inside on 58.25.
    width = '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>'
    sections = xodr.section(xodr.lane(1, width=width), xodr.lane(-1, width=width))
    plan = xodr.geometry(f'<arc curvature="{1 / 60}"/>', 120.0)
    file = xodr.write(
        tmp_path_factory.mktemp("bend"), xodr.road(length=120.0, plan=plan, sections=sections)
    )
    bend = read(file)
    follower = LaneFollower(bend, build_index(bend))
    path = path_of([(120.0, 1 / 61.75)], 7.0, origin=(0.0, -1.75, 0.0))
    oncoming = car(58.25 * sin(0.8), 60.0 - 58.25 * cos(0.8), 0.8 + pi, 8.0)
    ego = Pose(10.0, 0.0, 0.0, 6.5, 0.0, 0.0)
    free = Planner(path, SHUTTLE, lanes=follower).plan(0, ego, NO_OBJECTS)
    met = Planner(path, SHUTTLE, lanes=follower).plan(0, ego, oncoming)
    assert met.tier == COMFORT
    assert met.lead_gap_m == inf
    assert met.column[:, 0] == approx(free.column[:, 0], abs=0.2)


def test_a_car_that_turns_across_our_way_is_relevant(net: RoadNetwork, lanes: LaneFollower) -> None:
    # From the east, turning left into the southern leg: the leg is four lanes wide, so it meets
    # y = -5.25 within 7 m of the middle. A quarter into the turn it still points at most 45 degrees away from west.
    pose, info, _ = predicted(lanes, car_on(net, turning(net, 20.0, 1.75, -pi / 2), 0.25, 8.0))
    assert info[0, 4] == 1.0
    at = int(np.argmin(np.abs(pose[0, :, 1] + 5.25)))
    assert abs(pose[0, at, 0]) < 7.0
    assert pose[0, -1, 0] == approx(-1.75, abs=0.05)
    assert pose[0, -1, 2:] == approx((0.0, -1.0), abs=1e-3)  # southbound in the end


def test_a_car_that_turns_off_before_our_way_is_not_relevant(
    net: RoadNetwork, lanes: LaneFollower
) -> None:
    # From the north, turning right into the western leg: it ends at y >= 1.75 + 3.5, straight on it would meet us.
    right = car_on(net, turning(net, -5.25, 20.0, pi), 0.5, 6.0)
    _, info, found = predicted(lanes, right)
    assert info[0, 4] == 0.0
    assert found == [0, -1]
    _, info, _ = predicted(LaneFollower(None, None), right)
    assert info[0, 4] == 1.0


@pytest.mark.parametrize("into_m", [-25.0, 1.0])
def test_before_a_fork_and_until_the_lanes_part_a_car_goes_straight_on(
    net: RoadNetwork, lanes: LaneFollower, into_m: float
) -> None:
    # From the south in the outer lane (x = 5.25): straight on or right. 5 s at 8 m/s are 40 m.
    pose, info, _ = predicted(lanes, car(5.25, -20.0 + into_m, pi / 2 - 0.02, 8.0))
    assert info[0, 4] == 1.0
    assert pose[0, -1] == approx((5.25, 20.0 + into_m, 0.0, 1.0), abs=0.03)


def test_a_car_on_no_lane_goes_straight_on(lanes: LaneFollower) -> None:
    pose, info, _ = predicted(lanes, car(60.0, 25.0, -pi / 2, 8.0))
    assert info[0, 4] == 1.0
    assert pose[0, [0, 25, 50], 1] == approx((25.0, 5.0, -15.0))
    assert pose[0, :, 0] == approx(60.0)


def test_who_stops_for_us_goes_no_farther_along_its_lane(lanes: LaneFollower) -> None:
    # 8 m from y = -22 end at y = -14, 1 s later at 8 m/s
    pose, _, _ = predicted(lanes, car(5.25, -22.0, pi / 2, 8.0, room=8.0))
    assert pose[0, [0, 5, 10, 50], 1] == approx((-22.0, -18.0, -14.0, -14.0), abs=1e-6)


def test_who_joins_our_way_behind_us_does_not_drive_through_us(
    net: RoadNetwork, lanes: LaneFollower
) -> None:
    # Our nose is 30 m beyond the junction; from the south a car turns right into our lane and would be faster.
    ahead = Pose(200.0, 0.0, 0.0, 2.0, 0.0, 0.0)
    joining = car_on(net, turning(net, 5.25, -20.0, 0.0), 0.5, 12.0)
    plan = Planner(EAST, SHUTTLE, lanes=lanes).plan(0, ahead, joining)
    free = Planner(EAST, SHUTTLE, lanes=lanes).plan(0, ahead, NO_OBJECTS)
    assert plan.tier == COMFORT
    assert plan.column[-1, 0] == approx(free.column[-1, 0], abs=0.5)


def test_the_kernel_is_its_own_python(net: RoadNetwork, lanes: LaneFollower) -> None:
    walker = np.array([(-20.0, 0.0, -pi / 2, 1.2, 0.3, 0.3, 1.0, inf)])
    objects = np.vstack((
        car_on(net, turning(net, 20.0, 1.75, -pi / 2), 0.5, 6.0), car(5.25, -40.0, pi / 2, 8.0, 12.0),
        car(60.0, 25.0, -pi / 2, 8.0), car(-20.0, -5.0, 0.02, 7.0), car(60.0, 1.75, pi, 9.0), walker,
    ))  # fmt: skip
    compiled = predicted(lanes, objects)
    plain = predicted(lanes, objects, _prediction_kernels.predict.py_func)
    assert compiled[0].tolist() == plain[0].tolist()
    assert compiled[1].tolist() == plain[1].tolist()
    assert compiled[2] == plain[2]
