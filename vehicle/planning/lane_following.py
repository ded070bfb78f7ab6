"""Which lane carries each tracked vehicle, so that the planner predicts it along the road instead of straight on.

Uses the shared road network and the tracks, never truth. Each moving vehicle is matched to the lane whose centre and heading fit
best, so among the overlapping lanes of a junction the one it turns along. Before a fork, and behind it until the lanes have
parted, nobody knows: the straightest stands for all (right of way is `driving/giveway.py`'s to judge). Who fits no lane is
predicted straight on, as is everybody where there is no map. The matches are judged and driven along in `_prediction_kernels.py`.
"""

from __future__ import annotations

import numpy as np

from protocols.roads.matching import RoadIndex, lanes_allowed, match
from protocols.roads.network import F64, I32, MOTOR, RoadNetwork

REACH_M = 3.0  # sideways and turned together, in the metric of `match`: 2.5 m, or 1.5 m at the full 0.8 rad


class LaneFollower:
    """Centre lines and links of one network, as the prediction kernel walks them.

    line (P, 5): s, x, y, cos and sin of the travel direction; first (L + 1,): where each lane begins in `line`; onto (L,): the
    lane after it, -1 where the road ends; fork (L,): the lane before it if that leads elsewhere, too, else -1.
    """

    def __init__(self, network: RoadNetwork | None, index: RoadIndex | None) -> None:
        self._index = index
        self.line: F64 = np.zeros((0, 5))
        self.first: I32 = np.zeros(1, np.int32)
        self.onto: I32 = np.zeros(0, np.int32)
        self.fork: I32 = np.zeros(0, np.int32)
        if network is None or index is None:
            return
        p = network.points
        self.line = np.stack((p.s_m, p.x_m, p.y_m, np.cos(p.yaw_rad), np.sin(p.yaw_rad)), axis=1)
        self.first = network.lanes.point_start.copy()
        self.onto = straightest_successors(network)
        self.fork = forks(network)
        self._allowed = lanes_allowed(index, MOTOR)

    def lanes_of(self, objects: F64) -> tuple[I32, F64, F64, F64]:
        """(M,) nearest lane of each planner object or -1, and its s, d and the lane's yaw there."""
        if self._index is None:
            none = np.zeros(objects.shape[0])
            return np.full(objects.shape[0], -1, np.int32), none, none, none
        x, y, yaw = objects[:, 0], objects[:, 1], objects[:, 2]
        found = match(self._index, x, y, yaw, allowed=self._allowed, max_distance_m=REACH_M)
        return found.lane, found.s_m, found.d_m, found.yaw_rad


def straightest_successors(network: RoadNetwork) -> I32:
    """(L,) the successor of each lane that turns least from the lane's end to its own end; -1 for none."""
    lanes, yaw = network.lanes, network.points.yaw_rad
    end = yaw[lanes.point_start[1:] - 1]
    owner = np.repeat(np.arange(lanes.length_m.size), np.diff(lanes.next_start))
    turn = np.abs((end[lanes.next] - end[owner] + np.pi) % (2.0 * np.pi) - np.pi)
    onto: I32 = np.full(lanes.length_m.size, -1, np.int32)
    order = np.lexsort((lanes.next, turn, owner))[::-1]
    onto[owner[order]] = lanes.next[order]  # the last write to a lane is its straightest
    return onto


def forks(network: RoadNetwork) -> I32:
    """(L,) the one lane before each lane, where that lane has other successors too; -1 elsewhere."""
    lanes = network.lanes
    fork: I32 = np.full(lanes.length_m.size, -1, np.int32)
    only = np.flatnonzero(np.diff(lanes.prev_start) == 1)
    before = lanes.prev[lanes.prev_start[only]]
    several = np.diff(lanes.next_start)[before] > 1
    fork[only[several]] = before[several]
    return fork
