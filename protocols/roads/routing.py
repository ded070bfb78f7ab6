"""Ways through the lane graph: cost to go, one route, and what lies ahead on a route.

The graph: a node per lane; an edge to every successor, costing the time to drive the lane at its
speed limit; and an edge to either neighbour in the same direction, costing a lane change. Lanes
that do not admit the user class are not in it. Costs are seconds *from entering a lane* until a
target lane is reached (0 on the target itself); inf where there is no way.

A change across a mark that forbids it costs `SOLID_CHANGE_S`, so it is taken only where there is
no other way (files without usable marks exist); inside junctions nobody changes lanes. Where the
lane runs on for less than `CHANGE_ROOM_M` before a junction, a fork or its end, a change costs more
in proportion: lanes are chosen in good time, and not all in front of the stop line.

Of ways that cost the same a route takes the one that changes lanes earliest.

The path of a route for planners is `paths.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads import _routing_kernels
from protocols.roads.network import F64, I32, Bool, RoadNetwork, UserClass
from protocols.sentence import say

CHANGE_S: Final = 5.0
CHANGE_ROOM_M: Final = 150.0
SOLID_CHANGE_S: Final = 600.0
DEFAULT_SPEED_MPS: Final = 50 / 3.6  # where the file states no limit

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Route:
    """Lanes from start to goal in order; `is_change[i]`: lane i is entered sideways from lane i-1.

    `from_s_m` lies on the first lane, `to_s_m` on the last. `length_m` counts a stretch with lane
    changes once, by the length of its last lane.
    """

    lanes: I32
    is_change: Bool
    from_s_m: float
    to_s_m: float
    length_m: float
    cost_s: float


@dataclass(frozen=True, slots=True)
class Ahead:
    """What lies ahead of N vehicles: all (N,); index -1 and distance inf where there is none."""

    stop_line: I32  # row of `net.stop_lines`
    stop_distance_m: F64
    stop_group: I32  # its signal group, -1 for a sign or none
    conflict_lane: I32  # first lane on the way that owns conflict rows (the current one counts)
    conflict_distance_m: F64  # to the start of that lane; negative when already on it


@dataclass(frozen=True, slots=True)
class _Graph:
    admitted: Bool
    drive_s: F64
    from_start: I64  # reverse of `lanes.next`
    from_lane: I64
    change_left_s: F64
    change_right_s: F64


def _graph(net: RoadNetwork, user_class: UserClass) -> _Graph:
    lanes = net.lanes
    successor = lanes.next.astype(np.int64)
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.next_start))
    order = np.argsort(successor, kind="stable")
    counts = np.bincount(successor, minlength=net.num_lanes)
    speed_mps = np.where(
        lanes.has_speed & (lanes.speed_mps > 0), lanes.speed_mps, DEFAULT_SPEED_MPS
    )
    room = np.maximum(1.0, CHANGE_ROOM_M / np.maximum(_run_m(net), 0.1))
    banned = lanes.junction >= 0
    return _Graph(
        admitted=(lanes.permission & np.uint32(user_class)) != 0,
        drive_s=lanes.length_m / speed_mps,
        from_start=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        from_lane=owner[order],
        change_left_s=np.where(
            banned, np.inf, np.where(lanes.may_change_left, CHANGE_S, SOLID_CHANGE_S) * room
        ),
        change_right_s=np.where(
            banned, np.inf, np.where(lanes.may_change_right, CHANGE_S, SOLID_CHANGE_S) * room
        ),
    )


def _run_m(net: RoadNetwork) -> F64:
    """(L,) how far each lane runs on by single successors outside junctions, at least itself."""
    lanes = net.lanes
    only = np.flatnonzero(np.diff(lanes.next_start) == 1)
    after = np.full(net.num_lanes, -1, dtype=np.int64)
    after[only] = lanes.next[lanes.next_start[only]]
    after[(after >= 0) & (lanes.junction[after] >= 0)] = -1
    run_m = lanes.length_m.astype(np.float64)
    for _ in range(8):  # every round doubles the number of lanes looked over: 256 in all
        run_m = np.where(after >= 0, run_m + run_m[after], run_m)
        after = np.where(after >= 0, after[after], -1)
    return run_m


def costs_to_go(
    net: RoadNetwork, targets: Sequence[Sequence[int] | I32], user_class: UserClass
) -> npt.NDArray[np.float32]:
    """(D, L) seconds from entering each lane to any lane of `targets[d]`; inf where unreachable."""
    graph = _graph(net, user_class)
    out = np.empty((len(targets), net.num_lanes), dtype=np.float32)
    for d, lanes in enumerate(targets):
        out[d] = _cost(net, graph, lanes)
    return out


def cost_to_go(net: RoadNetwork, target_lanes: Sequence[int] | I32, user_class: UserClass) -> F64:
    """(L,) seconds from entering each lane to the nearest of `target_lanes`; inf: no way."""
    return _cost(net, _graph(net, user_class), target_lanes)


def _cost(net: RoadNetwork, graph: _Graph, target_lanes: Sequence[int] | I32) -> F64:
    target = np.unique(np.asarray(target_lanes, dtype=np.int64))
    if target.size and not (target[0] >= 0 and target[-1] < net.num_lanes):
        raise ValueError(f"target lanes {target.tolist()} are not all in 0..{net.num_lanes - 1}")
    room = graph.from_lane.size + 2 * net.num_lanes + target.size
    cost = np.full(net.num_lanes, np.inf)
    _routing_kernels.cost_to_go(
        target, graph.admitted, graph.drive_s, graph.from_start, graph.from_lane, net.lanes.left,
        net.lanes.right, graph.change_left_s, graph.change_right_s, np.empty(room),
        np.empty(room, dtype=np.int64), cost,
    )  # fmt: skip
    return cost


def find_lane(net: RoadNetwork, key: str) -> int:
    """Index of the lane written `road/section/lane`, as `RoadNetwork.lane_key` writes it."""
    parts = key.rsplit("/", 2)
    if len(parts) == 3 and parts[0] in net.roads.id:
        road = net.roads.id.index(parts[0])
        first = net.sections.lane_start[net.roads.section_start[road]]
        last = net.sections.lane_start[net.roads.section_start[road + 1]]
        for lane in range(int(first), int(last)):
            if net.lane_key(lane) == key:
                return lane
        known = [net.lane_key(lane) for lane in range(int(first), int(last))]
    else:
        known = [net.lane_key(lane) for lane in range(net.num_lanes)]
    close = difflib.get_close_matches(key, known, n=5, cutoff=0.0) if len(known) <= 5000 else []
    close = close or known[:5]
    raise RoadError(
        say(
            "Lane '{lane}' is not on road network '{network}'; a lane is written road/section/lane. Nearest names: {names}. List all "
            "with `icv map info`.",
            lane=key,
            network=net.name,
            names=", ".join(close),
        )
    )


def route(
    net: RoadNetwork,
    from_lane: int,
    from_s_m: float,
    to_lane: int,
    to_s_m: float,
    user_class: UserClass,
) -> Route:
    """Cheapest way; RoadError when there is none for this user class or an end lies off its lane.

    A goal behind the start on the same stretch is reached by going round.
    """
    for lane, s_m in ((from_lane, from_s_m), (to_lane, to_s_m)):
        if not 0 <= lane < net.num_lanes:
            raise RoadError(
                say("Lane index {lane} is not on road network '{network}'.", lane=lane, network=net.name)
            )  # fmt: skip
        if not -1e-6 <= s_m <= net.lanes.length_m[lane] + 1e-6:
            raise RoadError(
                say(
                    "Travel distance {s_m:.2f} m is not on lane {lane} of '{network}', which is {length_m:.2f} m long.",
                    s_m=s_m,
                    lane=net.lane_key(lane),
                    network=net.name,
                    length_m=net.lanes.length_m[lane],
                )
            )
    graph = _graph(net, user_class)
    who = UserClass(user_class).name or "user"
    for lane in (from_lane, to_lane):
        if not graph.admitted[lane]:
            raise RoadError(
                say(
                    "Lane {lane} of '{network}' does not admit {user}; choose a lane that does, or another vehicle class.",
                    lane=net.lane_key(lane),
                    network=net.name,
                    user=who.lower(),
                )
            )
    cost = _cost(net, graph, [to_lane])
    lanes, is_change, total = _first_stretch(net, graph, cost, from_lane, from_s_m, to_lane, to_s_m)
    if not np.isfinite(total):
        raise RoadError(
            say(
                "No way for {user} from lane {lane} to lane {goal} on road network '{network}'; check lane links and permissions, or "
                "choose another goal.",
                user=who.lower(),
                lane=net.lane_key(from_lane),
                goal=net.lane_key(to_lane),
                network=net.name,
            )
        )
    while lanes[-1] != to_lane:
        lane, change, _ = _best_step(net, graph, cost, lanes[-1])
        lanes.append(lane)
        is_change.append(change)
    return _finish(net, graph, lanes, is_change, from_s_m, to_s_m)


def _steps(net: RoadNetwork, graph: _Graph, lane: int) -> list[tuple[int, bool, float]]:
    """(lane, is change, cost of the step) of every way on from `lane`."""
    lanes = net.lanes
    out: list[tuple[int, bool, float]] = [
        (int(after), False, float(graph.drive_s[lane]))
        for after in lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]]
    ]
    for beside, back, change_s in (
        (int(lanes.left[lane]), lanes.right, graph.change_left_s),
        (int(lanes.right[lane]), lanes.left, graph.change_right_s),
    ):
        if beside >= 0 and back[beside] == lane:
            out.append((beside, True, float(change_s[lane])))
    return [step for step in out if graph.admitted[step[0]]]


def _best_step(net: RoadNetwork, graph: _Graph, cost: F64, lane: int) -> tuple[int, bool, float]:
    # Where it costs the same (to a microsecond), change early: later there may be no gap.
    return min(
        _steps(net, graph, lane), key=lambda step: (round(step[2] + cost[step[0]], 6), not step[1])
    )


def _first_stretch(
    net: RoadNetwork,
    graph: _Graph,
    cost: F64,
    from_lane: int,
    from_s_m: float,
    to_lane: int,
    to_s_m: float,
) -> tuple[list[int], list[bool], float]:
    """First lanes of the way and its cost, leaving the stretch forwards if the goal is behind."""
    sideways: dict[int, tuple[float, list[int]]] = {from_lane: (0.0, [from_lane])}
    open_ = [from_lane]
    while open_:
        lane = open_.pop(0)
        for beside, change, price in _steps(net, graph, lane):
            reached = sideways[lane][0] + price
            if change and np.isfinite(price) and beside not in sideways:
                sideways[beside] = (reached, [*sideways[lane][1], beside])
                open_.append(beside)
    progress = from_s_m / net.lanes.length_m[from_lane]
    is_behind = to_lane in sideways and (
        to_s_m < from_s_m
        if to_lane == from_lane
        else to_s_m < progress * net.lanes.length_m[to_lane]
    )
    if not is_behind:
        return [from_lane], [False], float(cost[from_lane])
    best: tuple[list[int], list[bool], float] = ([from_lane], [False], np.inf)
    for price, path in sideways.values():
        for after, change, drive_s in _steps(net, graph, path[-1]):
            total = price + drive_s + float(cost[after])
            if not change and total < best[2]:
                best = ([*path, after], [False] + [True] * (len(path) - 1) + [False], total)
    return best


def _finish(
    net: RoadNetwork,
    graph: _Graph,
    lanes: list[int],
    is_change: list[bool],
    from_s_m: float,
    to_s_m: float,
) -> Route:
    row = np.asarray(lanes, dtype=np.int64)
    change = np.asarray(is_change, dtype=np.bool_)
    leaves = np.append(~change[1:], True)  # last lane of its stretch
    length_m = float(net.lanes.length_m[row[leaves]].sum())
    first_stretch_m = float(net.lanes.length_m[row[leaves][0]])
    length_m -= from_s_m / float(net.lanes.length_m[row[0]]) * first_stretch_m
    length_m -= float(net.lanes.length_m[row[-1]]) - to_s_m
    went_left = np.zeros(row.size, dtype=np.bool_)
    went_left[1:] = net.lanes.left[row[:-1]] == row[1:]
    before = np.concatenate((row[:1], row[:-1]))
    step_s = np.where(
        change,
        np.where(went_left, graph.change_left_s[before], graph.change_right_s[before]),
        graph.drive_s[before],
    )
    return Route(
        lanes=row.astype(np.int32),
        is_change=change,
        from_s_m=float(from_s_m),
        to_s_m=float(to_s_m),
        length_m=length_m,
        cost_s=float(step_s[1:].sum()),
    )


def look_ahead(
    net: RoadNetwork, lane: I32, s_m: F64, upcoming: I32, horizon_m: float = 300.0
) -> Ahead:
    """Next stop line and next lane with conflicts of N vehicles, no further than `horizon_m`.

    `lane`, `s_m` (N,): where the fronts are (lane -1: no vehicle). `upcoming` (N, K): the lanes
    after that, padded with -1; a lane change is a neighbour in the list. Where the lane after an
    approach is unknown, any stop line of the approach counts.
    """
    size = int(lane.size)
    if s_m.shape != (size,) or upcoming.ndim != 2 or upcoming.shape[0] != size:
        raise ValueError(f"{size} lanes, but s {s_m.shape} and upcoming {upcoming.shape}")
    stop_line, conflict_lane = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    stop_m, conflict_m = np.empty(size), np.empty(size)
    _routing_kernels.look_ahead(
        lane, s_m, upcoming, horizon_m, net.lanes.length_m, net.lanes.left, net.lanes.right,
        net.stop_lines.start, net.stop_lines.s_m, net.stop_lines.to_lane, net.conflicts.start,
        stop_line, stop_m, conflict_lane, conflict_m,
    )  # fmt: skip
    group = np.full(size, -1, dtype=np.int32)
    found = stop_line >= 0
    group[found] = net.stop_lines.group[stop_line[found]]
    return Ahead(stop_line, stop_m, group, conflict_lane, conflict_m)


def next_stop_line(
    net: RoadNetwork, lane: int, s_m: float, way: I32 | Sequence[int], horizon_m: float = 300.0
) -> tuple[int, float]:
    """(row of `net.stop_lines`, distance) for one vehicle; (-1, inf) when nothing holds it."""
    ahead = look_ahead(
        net,
        np.asarray([lane], dtype=np.int32),
        np.asarray([s_m], dtype=np.float64),
        np.asarray(way, dtype=np.int32).reshape(1, -1),
        horizon_m,
    )
    return int(ahead.stop_line[0]), float(ahead.stop_distance_m[0])


def next_conflicts(
    net: RoadNetwork, lane: int, s_m: float, way: I32 | Sequence[int], horizon_m: float = 300.0
) -> tuple[range, float]:
    """(rows of `net.conflicts` of the next lane that has some, distance to that lane's start).

    Distance is negative on the lane itself; (empty range, inf) when there are none ahead.
    """
    ahead = look_ahead(
        net,
        np.asarray([lane], dtype=np.int32),
        np.asarray([s_m], dtype=np.float64),
        np.asarray(way, dtype=np.int32).reshape(1, -1),
        horizon_m,
    )
    at = int(ahead.conflict_lane[0])
    if at < 0:
        return range(0), np.inf
    rows = range(int(net.conflicts.start[at]), int(net.conflicts.start[at + 1]))
    return rows, float(ahead.conflict_distance_m[0])
