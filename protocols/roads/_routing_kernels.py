"""Kernels of `routing.py`: cost to go over the lane graph, and what lies ahead on a known way."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.jit import kernel


@kernel
def cost_to_go(
    target: Any, admitted: Any, drive_s: Any, from_start: Any, from_lane: Any, left: Any,
    right: Any, change_left_s: Any, change_right_s: Any, heap_cost: Any, heap_lane: Any, cost: Any,
) -> None:  # fmt: skip
    """Reverse Dijkstra from the lanes `target` (increasing) into `cost` (L,), inf on entry.

    cost[lane] = min(drive_s[lane] + min cost[successor], change cost + cost[neighbour]); the
    heap breaks ties by lane index. It needs room for every edge and every target.
    """
    size = 0
    for k in range(target.size):
        if admitted[target[k]]:
            cost[target[k]] = 0.0
            heap_cost[size] = 0.0
            heap_lane[size] = target[k]  # equal costs, increasing lanes: a valid heap
            size += 1
    while size > 0:
        at, lane = heap_cost[0], heap_lane[0]
        size -= 1
        moved_cost, moved_lane = heap_cost[size], heap_lane[size]
        hole = 0
        while 2 * hole + 1 < size:
            child = 2 * hole + 1
            if child + 1 < size and (
                heap_cost[child + 1] < heap_cost[child]
                or (
                    heap_cost[child + 1] == heap_cost[child]
                    and heap_lane[child + 1] < heap_lane[child]
                )
            ):
                child += 1
            if moved_cost < heap_cost[child] or (
                moved_cost == heap_cost[child] and moved_lane <= heap_lane[child]
            ):
                break
            heap_cost[hole], heap_lane[hole] = heap_cost[child], heap_lane[child]
            hole = child
        heap_cost[hole], heap_lane[hole] = moved_cost, moved_lane
        if at > cost[lane]:
            continue
        for c in range(-2, from_start[lane + 1] - from_start[lane]):
            if c == -2:
                new = right[lane]  # it would change to its left
                if new < 0 or left[new] != lane:
                    continue
                new_cost = at + change_left_s[new]
            elif c == -1:
                new = left[lane]
                if new < 0 or right[new] != lane:
                    continue
                new_cost = at + change_right_s[new]
            else:
                new = from_lane[from_start[lane] + c]
                new_cost = at + drive_s[new]
            if not admitted[new] or not new_cost < cost[new]:
                continue
            cost[new] = new_cost
            hole = size
            size += 1
            while hole > 0:
                parent = (hole - 1) // 2
                if heap_cost[parent] < new_cost or (
                    heap_cost[parent] == new_cost and heap_lane[parent] <= new
                ):
                    break
                heap_cost[hole], heap_lane[hole] = heap_cost[parent], heap_lane[parent]
                hole = parent
            heap_cost[hole], heap_lane[hole] = new_cost, new


@kernel
def look_ahead(
    lane: Any, s_m: Any, upcoming: Any, horizon_m: float, length_m: Any, left: Any, right: Any,
    stop_start: Any, stop_s_m: Any, stop_to: Any, conflict_start: Any,
    stop_row: Any, stop_distance_m: Any, conflict_lane: Any, conflict_distance_m: Any,
) -> None:  # fmt: skip
    """First stop line and first lane with conflicts on the way of every vehicle (N,).

    `upcoming` (N, K): lanes after `lane`, -1 at the end; a neighbour there means a lane change.
    A lane with conflicts counts from its own start, so its distance is <= 0 on the lane itself.
    """
    for n in range(lane.size):
        stop_row[n], conflict_lane[n] = -1, -1
        stop_distance_m[n], conflict_distance_m[n] = np.inf, np.inf
        here = lane[n]
        if here < 0:
            continue
        s = s_m[n]
        base = -s  # way to the start of lane `here`
        k = 0
        while True:
            after = -1
            if k < upcoming.shape[1]:
                after = upcoming[n, k]
            is_change = after >= 0 and (after == left[here] or after == right[here])
            if conflict_lane[n] < 0 and conflict_start[here + 1] > conflict_start[here]:
                conflict_lane[n] = here
                conflict_distance_m[n] = base
            if stop_row[n] < 0 and not is_change:
                for row in range(stop_start[here], stop_start[here + 1]):
                    if stop_s_m[row] < s:
                        continue
                    if stop_to[row] >= 0 and after >= 0 and stop_to[row] != after:
                        continue
                    stop_row[n] = row
                    stop_distance_m[n] = base + stop_s_m[row]
                    break
            if after < 0 or (stop_row[n] >= 0 and conflict_lane[n] >= 0):
                break
            if is_change:  # same place on the neighbour, which may be a little longer or shorter
                scaled = s * length_m[after] / length_m[here]
                base += s - scaled
                s = scaled
            else:
                base += length_m[here]
                s = 0.0
                if base > horizon_m:
                    break
            here = after
            k += 1
        if stop_distance_m[n] > horizon_m:
            stop_row[n], stop_distance_m[n] = -1, np.inf
        if conflict_distance_m[n] > horizon_m:
            conflict_lane[n], conflict_distance_m[n] = -1, np.inf
