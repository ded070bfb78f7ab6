"""Clients' vehicles and walkers among the scene's traffic: where they stand on the lanes, so that our drivers see them.

Every decision of the traffic model (100 ms) they are matched to lanes. A body in a lane is described by the box around it along that
lane, whatever way it is turned; one that only touches the lane's edge is not in anybody's way. Drivers see it as a vehicle that keeps
its speed (`sim.traffic.external`), a walker on the roadway as something that stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from protocols.messages import ActorKind
from protocols.roads import matching
from protocols.roads.network import F64, I32, MOTOR, Bool, RoadNetwork, UserClass
from sim.carla.server import columns as c
from sim.carla.server.table import Ints
from sim.rows import RowAllocator
from sim.state import ActorStates, ActorStatics, Control
from sim.traffic import Traffic
from sim.traffic import _kernels as k

if TYPE_CHECKING:
    from sim.carla.server.world import World

NEAR_M = 12.0  # from a lane's centre to the middle of a body that may still reach into it
LEVEL_M = 3.0  # above or below a lane
EDGE_M = 0.3  # a body that reaches this far into a lane is in the way
NEARER_M = 0.5
TAGS = {
    15: ActorKind.TRUCK,
    16: ActorKind.BUS,
    18: ActorKind.MOTORCYCLE,
    19: ActorKind.BICYCLE,
}  # CityObjectLabel of a vehicle; anything else is a car


@dataclass(slots=True)
class Guests:
    """One episode's. `owner` (by row of the table) has the ids of the actors that are not guests."""

    net: RoadNetwork
    index: matching.RoadIndex
    states: ActorStates
    statics: ActorStatics
    rows: RowAllocator
    traffic: Traffic
    is_guest: Bool = field(init=False)  # by our row
    _lanes: Bool = field(init=False)
    _row_of: dict[int, int] = field(default_factory=dict)  # actor -> our row
    _leaving: list[int] = field(default_factory=list)  # rows the traffic model still lists

    def __post_init__(self) -> None:
        self.is_guest = np.zeros(self.states.valid.size, np.bool_)
        self._lanes = matching.lanes_allowed(self.index, MOTOR | UserClass.BICYCLE)

    def sync(self, world: World, owner: Ints) -> None:
        """Who is there now, and where."""
        for row in self._leaving:
            self.rows.give_back(row)
        self._leaving.clear()
        high = world.table.high
        i = world.table.i[:high]
        kind = i[:, c.KIND]
        there = ((kind == c.VEHICLE) | (kind == c.WALKER)) & (i[:, c.ID] != 0)
        there &= (i[:, c.PARENT] == 0) & (owner[:high] != i[:, c.ID])
        at = np.flatnonzero(there)
        if at.size == 0 and not self._row_of:
            return
        actors = i[at, c.ID].tolist()
        for actor in [known for known in self._row_of if known not in actors]:
            row = self._row_of.pop(actor)
            self.states.valid[row] = self.is_guest[row] = False
            self._leaving.append(row)
        kept = [n for n, actor in enumerate(actors) if self._admit(actor)]
        if kept:
            self._place(world, at[kept], [self._row_of[actors[n]] for n in kept])

    def _admit(self, actor: int) -> bool:
        if actor in self._row_of:
            return True
        taken = self.rows.take()
        if taken is None:
            return False
        row, ident = taken
        self._row_of[actor] = row
        st = self.states
        st.valid[row], st.id[row], self.is_guest[row] = True, ident, True
        st.hitch_rad[row] = st.steer_rad[row] = st.yaw_rate_radps[row] = 0.0
        st.flags[row], st.doors[row] = 0, 0
        return True

    def _place(self, world: World, at: Ints, row_list: list[int]) -> None:
        f, i = world.table.f[at], world.table.i[at]
        turn = np.radians(f[:, c.YAW])
        cos, sin = np.cos(turn), np.sin(turn)
        x = f[:, c.X] + f[:, c.BOX_X] * cos - f[:, c.BOX_Y] * sin
        y = -(f[:, c.Y] + f[:, c.BOX_X] * sin + f[:, c.BOX_Y] * cos)
        z = f[:, c.Z] + f[:, c.BOX_Z] - f[:, c.EXT_Z]
        yaw = -turn
        lane, s, d, heading = self._lane(x, y, z, yaw)
        off = np.where(lane >= 0, yaw - heading, 0.0)
        along = np.abs(np.cos(off)) * f[:, c.EXT_X] + np.abs(np.sin(off)) * f[:, c.EXT_Y]
        across = np.abs(np.sin(off)) * f[:, c.EXT_X] + np.abs(np.cos(off)) * f[:, c.EXT_Y]
        width = self.traffic.tables.lf[np.maximum(lane, 0), k.LWID]
        lane = np.where(np.abs(d) - across < 0.5 * width - EDGE_M, lane, -1).astype(np.int32)
        heading = np.where(lane >= 0, heading, yaw)
        lane, s, d = self._ahead(x, y, z, heading, lane, s, d, along)
        st, sc, rows = self.states, self.statics, np.array(row_list, np.int64)
        st.x_m[rows], st.y_m[rows], st.z_m[rows], st.yaw_rad[rows] = x, y, z, heading
        st.speed_mps[rows] = f[:, c.VX] * np.cos(heading) - f[:, c.VY] * np.sin(heading)
        st.accel_mps2[rows] = f[:, c.AX] * np.cos(heading) - f[:, c.AY] * np.sin(heading)
        st.lane[rows], st.s_m[rows], st.d_m[rows] = lane, s, d
        is_walker = i[:, c.KIND] == c.WALKER
        sc.control[rows] = np.where(is_walker, int(Control.WALKER), int(Control.UNIT))
        sc.kind[rows] = [
            int(ActorKind.PEDESTRIAN if walks else TAGS.get(tag, ActorKind.CAR))
            for walks, tag in zip(is_walker.tolist(), i[:, c.TAG].tolist(), strict=True)
        ]
        sc.user_class[rows] = np.where(
            is_walker, int(UserClass.PEDESTRIAN), int(UserClass.PASSENGER)
        )
        sc.length_m[rows] = sc.total_length_m[rows] = 2.0 * along
        sc.width_m[rows], sc.height_m[rows] = 2.0 * across, 2.0 * f[:, c.EXT_Z]
        sc.rear_overhang_m[rows], sc.wheelbase_m[rows] = along, 0.0
        sc.hitch_x_m[rows] = sc.rear_length_m[rows] = sc.rear_wheelbase_m[rows] = 0.0
        # The traffic model reads a body's size when it first sees it; ours turn.
        vf, vi = self.traffic.vf, self.traffic.vi
        listed = rows[(vi[rows, k.KIND] == k.EXTERNAL) & (vi[rows, k.ID] == st.id[rows])]
        vf[listed, k.LEN], vf[listed, k.WID] = sc.total_length_m[listed], sc.width_m[listed]

    def _lane(self, x: F64, y: F64, z: F64, yaw: F64) -> tuple[I32, F64, F64, F64]:
        """Lane under each middle, and there: travel distance, offset, direction.

        Where lanes cross, the one in the body's own direction; where it stands in a lane the wrong way round, that lane.
        """
        as_turned = matching.match(
            self.index, x, y, yaw, z, allowed=self._lanes, max_distance_m=NEAR_M
        )
        nearest = matching.match(
            self.index, x, y, None, z, allowed=self._lanes, max_distance_m=NEAR_M
        )
        width = self.traffic.tables.lf[np.maximum(as_turned.lane, 0), k.LWID]
        swap = nearest.valid & (np.abs(as_turned.d_m) > 0.5 * width)
        swap &= np.abs(nearest.d_m) + NEARER_M < np.abs(as_turned.d_m)

        def pick(a: F64, b: F64) -> F64:
            return np.where(swap, b, a)

        lane = np.where(swap, nearest.lane, as_turned.lane)
        level = np.abs(z - pick(as_turned.z_m, nearest.z_m)) < LEVEL_M
        lane = np.where(level, lane, -1).astype(np.int32)
        return (
            lane,
            pick(as_turned.s_m, nearest.s_m),
            pick(as_turned.d_m, nearest.d_m),
            pick(as_turned.yaw_rad, nearest.yaw_rad),
        )

    def _ahead(
        self, x: F64, y: F64, z: F64, heading: F64, lane: I32, s: F64, d: F64, along: F64
    ) -> tuple[I32, F64, F64]:
        """The same for the front bumper: on this lane or already on one after it."""
        end = self.net.lanes.length_m[np.maximum(lane, 0)]
        front = s + along
        for n in np.flatnonzero((lane >= 0) & (front > end)).tolist():
            px = x[n] + along[n] * math.cos(heading[n])
            py = y[n] + along[n] * math.sin(heading[n])
            found = matching.match(
                self.index, [px], [py], [heading[n]], [z[n]], allowed=self._lanes,
                max_distance_m=0.5 * NEAR_M,
            )  # fmt: skip
            if found.valid[0] and int(found.lane[0]) != int(lane[n]):
                lane[n], front[n], d[n] = found.lane[0], found.s_m[0], found.d_m[0]
            else:
                front[n] = end[n]
        return lane, front, d
