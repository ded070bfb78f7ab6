"""Where an automated vehicle stands when a run begins."""

from __future__ import annotations

import numpy as np

from protocols.roads.geometry import lane_pose
from protocols.roads.network import RoadNetwork
from sim.config import ResolvedVehicle
from sim.route_line import RouteLine
from sim.state import ActorStates, ActorStatics, Control


def place_body(
    net: RoadNetwork,
    states: ActorStates,
    statics: ActorStatics,
    row: int,
    actor: int,
    item: ResolvedVehicle,
    line: RouteLine,
) -> None:
    """Put an automated vehicle at its start: front bumper at the start point, along the lane."""
    p, lane = item.params, int(line.lanes[0])
    s_rear = max(item.spec.start_s_m - p.front_x_m, 0.0)
    pose = lane_pose(net, np.array([lane], np.int32), np.array([s_rear]), np.array([0.0]))
    states.valid[row], states.id[row] = True, actor
    states.x_m[row], states.y_m[row] = pose.x_m[0], pose.y_m[0]
    states.z_m[row], states.yaw_rad[row] = pose.z_m[0], pose.yaw_rad[0]
    states.speed_mps[row] = item.spec.speed_mps
    states.lane[row], states.s_m[row] = lane, item.spec.start_s_m
    statics.kind[row], statics.user_class[row] = int(p.kind), int(p.user_class)
    statics.control[row] = int(Control.UNIT)
    statics.length_m[row], statics.width_m[row], statics.height_m[row] = (
        p.length_m, p.width_m, p.height_m,
    )  # fmt: skip
    statics.wheelbase_m[row], statics.rear_overhang_m[row] = p.wheelbase_m, p.rear_overhang_m
    statics.hitch_x_m[row], statics.rear_length_m[row] = p.hitch_x_m, p.rear_length_m
    statics.rear_wheelbase_m[row], statics.total_length_m[row] = (
        p.rear_wheelbase_m, p.total_length_m,
    )  # fmt: skip
