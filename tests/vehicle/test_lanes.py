"""Vehicles known by radio only are placed on lanes; measured ones are left where they were measured."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.messages import ActorKind
from protocols.roads.geometry import lane_pose
from protocols.roads.matching import build_index
from protocols.roads.network import RoadNetwork
from protocols.roads.routing import find_lane
from scenarios.formats.opendrive import read
from scenarios.roads import path_of
from vehicle.fusion.lanes import LanePlacer
from vehicle.fusion.tracking import BSM, OWN_SENSOR, Tracks


@pytest.fixture(scope="module")
def net() -> RoadNetwork:
    return read(path_of("brt_corridor"))


def one(net: RoadNetwork, lane: str, d_m: float, source: int, kind: ActorKind) -> Tracks:
    """A track beside the middle of `lane`, `d_m` to the left, facing along it."""
    pose = lane_pose(net, find_lane(net, lane), 60.0, d_m)
    f = np.ones(1)
    return Tracks(
        t_ns=0, id=np.ones(1, np.uint32), kind=np.full(1, int(kind), np.uint8),
        x_m=pose.x_m.copy(), y_m=pose.y_m.copy(), vx_mps=0 * f, vy_mps=0 * f,
        yaw_rad=pose.yaw_rad.copy(), length_m=4.6 * f, width_m=1.8 * f, sigma_m=0.2 * f,
        speed_sigma_mps=0.1 * f, source=np.full(1, source, np.uint8),
        station_id=np.ones(1, np.uint32), age_ns=np.zeros(1, np.int64),
    )  # fmt: skip


def lateral(net: RoadNetwork, lane: str, tracks: Tracks) -> float:
    """Offset to the left of the middle of `lane`."""
    at = lane_pose(net, find_lane(net, lane), 60.0, 0.0)
    left_x, left_y = -np.sin(at.yaw_rad[0]), np.cos(at.yaw_rad[0])
    dx, dy = tracks.x_m[0] - at.x_m[0], tracks.y_m[0] - at.y_m[0]
    return float(dx * left_x + dy * left_y)


def test_a_queueing_car_whose_receiver_errs_towards_the_bus_lane_stays_in_its_lane(
    net: RoadNetwork,
) -> None:
    # 1/1/-4 is the inner car lane; 1.6 m to the left its side would reach over the pocket.
    told = one(net, "1/1/-4", 1.6, BSM, ActorKind.CAR)
    placed = LanePlacer(build_index(net)).place(told)
    assert lateral(net, "1/1/-4", placed) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("source", "kind", "d_m"),
    [
        (
            BSM | OWN_SENSOR,
            ActorKind.CAR,
            1.6,
        ),  # seen by our own sensors: an intruder is an intruder
        (BSM, ActorKind.BUS, 1.0),  # buses may be in the bus lane
        (BSM, ActorKind.BICYCLE, 1.0),
    ],
)
def test_measured_vehicles_and_other_classes_are_not_moved(
    net: RoadNetwork, source: int, kind: ActorKind, d_m: float
) -> None:
    told = one(net, "1/1/-4", d_m, source, kind)
    placed = LanePlacer(build_index(net)).place(told)
    assert lateral(net, "1/1/-4", placed) == pytest.approx(d_m, abs=1e-9)


def test_a_car_told_in_the_middle_of_the_bus_lane_of_a_block_is_not_explained_away(
    net: RoadNetwork,
) -> None:
    # Between the bus lane's middle and the inner car lane's middle lie 6.75 m: too far for a receiver's error.
    told = one(net, "2/1/-2", 0.0, BSM, ActorKind.CAR)
    assert LanePlacer(build_index(net)).place(told) is told
