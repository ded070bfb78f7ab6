"""The library's corridor, resolved or wired, for tests that move bodies by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from protocols.roads.geometry import lane_pose
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from scenarios.load import load_scene
from sim.compose import RunOptions, _Builder
from sim.config import Resolved, resolve
from sim.log.header import RunHeader
from sim.loop import Loop
from sim.world import HeadlessWorld, UnitVehicle

ROADS = Path(__file__).parents[2] / "scenarios" / "roads"
EMPTY = ("demand.flows=[]", "demand.walkers=[]")


@cache
def corridor_net() -> RoadNetwork:
    """The corridor's road network."""
    return read(ROADS / "brt_corridor.xodr")


def resolved(*overrides: str) -> Resolved:
    """The library scene with `overrides`."""
    loaded = load_scene(Path("brt_corridor"), overrides)
    return resolve(loaded.spec, loaded.path.parent, corridor_net())


def wired(*overrides: str) -> Loop:
    """Everything of the scene, wired as `icv run` does."""
    header = RunHeader("test", "", 1, "", 10_000_000)
    return _Builder(resolved(*overrides), RunOptions(picture=False)).loop(header)


def put(
    world: HeadlessWorld, vehicle: UnitVehicle, lane_key: str, s_m: float, d_m: float = 0.0
) -> None:
    """Move the bus by hand: front bumper at (lane, s), `d_m` left of the centre, along the lane."""
    net, row = world.net, vehicle.row
    lane = next(k for k in range(net.num_lanes) if net.lane_key(k) == lane_key)
    pose = lane_pose(net, np.array([lane], np.int32), np.array([s_m]), np.array([d_m]))
    yaw = float(pose.yaw_rad[0])
    ahead = vehicle.params.front_x_m
    world.states.x_m[row] = pose.x_m[0] - ahead * np.cos(yaw)
    world.states.y_m[row] = pose.y_m[0] - ahead * np.sin(yaw)
    world.states.yaw_rad[row] = yaw
    places = np.flatnonzero(vehicle.line.lanes == lane)
    if places.size:
        vehicle.at = int(places[0])
    world.locate()
