"""What a junction's signal groups control, and which of them may be green together.

Two vehicle groups conflict where connecting lanes that they control cross or merge. How they conflict:

* `exclusive`: never green together;
* `must_yield[a, b]`: both may be green if `a` is shown GREEN_PERMISSIVE, because traffic of `a` gives way to traffic of `b`
  in a way that drivers know: a turn across oncoming traffic, a turn to the near side, a U-turn. A left turn across a bus
  lane of the same direction, or into a crossing street's green, is not one of these and is exclusive.

A pedestrian group is exclusive with vehicles that leave the stop line across its crossing, and with vehicles that reach it
going straight on. Turning vehicles wait for pedestrians on the road that they enter (Vienna Convention 1968, article 21),
so these may share a green. Arrays are local: group k of the junction is row k, `group[k]` its index in the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from protocols.errors import ConfigError
from protocols.messages import Maneuver
from protocols.roads.network import (
    F64,
    I32,
    Bool,
    ConflictKind,
    RightOfWay,
    RoadNetwork,
)
from protocols.sentence import phrase, say

STRAIGHT_RAD = np.deg2rad(35.0)  # a larger change of direction is a turn
U_TURN_RAD = np.deg2rad(150.0)
ONCOMING_RAD = np.deg2rad(135.0)
SAME_APPROACH_RAD = np.deg2rad(45.0)
MAX_DETECTOR_LANES = 4  # a loop may lie this many lanes upstream of the stop line's lane


class _Way(IntEnum):
    STRAIGHT = 0
    NEAR = 1  # right under right-hand traffic
    FAR = 2
    U_TURN = 3


@dataclass(frozen=True, slots=True)
class JunctionLayout:
    """(G,) signal groups of one junction and (G, G) relations between them."""

    junction: int
    id: str
    name: str
    group: I32  # network group indices, rising
    group_id: tuple[str, ...]
    group_name: tuple[str, ...]
    is_pedestrian: Bool
    num_lanes: I32  # lanes that each group holds
    crossing_m: F64  # length of the longest crossing of a pedestrian group, else 0
    only_far_turns: Bool  # every movement of the group turns across oncoming traffic
    exclusive: Bool
    must_yield: Bool
    lane_groups: dict[int, tuple[int, ...]]  # detector lane -> local groups
    crossing_group: dict[int, int]  # crossing -> local pedestrian group

    @property
    def num_groups(self) -> int:
        """Number of groups G."""
        return int(self.group.size)

    def may_share_green(self, a: int, b: int, permissive: frozenset[int]) -> bool:
        """Whether local groups `a` and `b` may be green at once, those in `permissive` giving way."""
        return not (
            self.exclusive[a, b]
            or (self.must_yield[a, b] and a not in permissive)
            or (self.must_yield[b, a] and b not in permissive)
        )

    def local(self, name: str, where: str) -> int:
        """Local number of the group with this id or name; ConfigError names `where` and the choices."""
        by_id = [k for k, text in enumerate(self.group_id) if text == name]
        found = by_id or [k for k, text in enumerate(self.group_name) if text == name]
        if len(found) == 1:
            return found[0]
        choices = ", ".join(sorted({*self.group_id, *filter(None, self.group_name)}))
        problem = phrase("is the name of several groups") if found else phrase("is no signal group")
        raise ConfigError(
            say(
                "{where}: '{name}' {problem!s} of junction '{junction}'. Use one of these names or ids: {names}.",
                where=where, name=name, problem=problem, junction=self.id, names=choices,
            )
        )  # fmt: skip


def junction_index(net: RoadNetwork, junction: str) -> int:
    """Index of the junction with this id (preferred) or name; ConfigError lists the junctions there are."""
    for names in (net.junctions.id, net.junctions.name):
        found = [j for j, text in enumerate(names) if text == junction]
        if len(found) == 1:
            return found[0]
    known = ", ".join(net.junctions.id[:20]) or "none"
    raise ConfigError(
        say(
            "signal plan: junction '{junction}' is not on road network '{network}'. Its junctions: {names}.",
            junction=junction, network=net.name, names=known,
        )
    )  # fmt: skip


def wrap_rad(angle_rad: float) -> float:
    """The angle in (-pi, pi]."""
    return float(np.pi - np.mod(np.pi - angle_rad, 2 * np.pi))


def turn_rad(net: RoadNetwork, lane: int) -> float:
    """Change of direction along `lane`, left positive; follows the lane on through its junction."""
    first = last = lane
    while True:
        nexts = net.lanes.next[net.lanes.next_start[last] : net.lanes.next_start[last + 1]]
        inside = [int(n) for n in nexts if net.lanes.junction[n] == net.lanes.junction[lane]]
        if len(inside) != 1 or net.lanes.junction[lane] < 0 or inside[0] == first:
            break
        last = inside[0]
    starts = net.lanes.point_start
    yaw = net.points.yaw_rad
    return wrap_rad(float(yaw[starts[last + 1] - 1] - yaw[starts[first]]))


def maneuver(net: RoadNetwork, lane: int) -> Maneuver:
    """Maneuver of a connecting lane, from its geometry."""
    turn = turn_rad(net, lane)
    if abs(turn) <= STRAIGHT_RAD:
        return Maneuver.STRAIGHT
    if abs(turn) >= U_TURN_RAD:
        return Maneuver.U_TURN
    return Maneuver.LEFT if turn > 0 else Maneuver.RIGHT


def _way(net: RoadNetwork, lane: int) -> _Way:
    kind = maneuver(net, lane)
    if kind == Maneuver.STRAIGHT:
        return _Way.STRAIGHT
    if kind == Maneuver.U_TURN:
        return _Way.U_TURN
    is_left_hand = int(net.lanes.direction[lane]) * int(net.lanes.odr_id[lane]) > 0
    return _Way.FAR if (kind == Maneuver.LEFT) != is_left_hand else _Way.NEAR


def _inside(net: RoadNetwork, junction: int, lane: int) -> list[int]:
    """`lane` and what follows it inside the junction."""
    out: list[int] = []
    todo = [lane]
    while todo:
        now = todo.pop()
        if now in out or net.lanes.junction[now] != junction:
            continue
        out.append(now)
        todo.extend(
            int(n)
            for n in net.lanes.next[net.lanes.next_start[now] : net.lanes.next_start[now + 1]]
        )
    return out


def group_junctions(net: RoadNetwork) -> I32:
    """(H,) junction that runs each signal group, -1 where none can be told.

    The file's own assignment, else the first junction that the group's stop lines lead into; for a pedestrian group, the
    junction whose stop lines hold a lane that it crosses, or whose connecting lanes it crosses or touches.
    """
    stops, lanes, crossings = net.stop_lines, net.lanes, net.crossings
    owner: I32 = net.groups.junction.astype(np.int32)
    if (owner >= 0).all():
        return owner

    def ahead(lane: int) -> list[int]:
        return [int(n) for n in lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]]]

    def behind(lane: int) -> list[int]:
        return [int(n) for n in lanes.prev[lanes.prev_start[lane] : lanes.prev_start[lane + 1]]]

    def assign(group: int, candidates: list[int]) -> None:
        known = [j for j in candidates if j >= 0]
        if net.groups.junction[group] < 0 and known:
            first = min(known)
            owner[group] = first if owner[group] < 0 else min(first, int(owner[group]))

    for row in np.flatnonzero(stops.group >= 0).tolist():
        lane, to_lane = int(stops.lane[row]), int(stops.to_lane[row])
        entered = [to_lane] if to_lane >= 0 else [lane, *ahead(lane)]
        assign(int(stops.group[row]), [int(lanes.junction[e]) for e in entered])
    held: dict[int, list[int]] = {}
    for row in np.flatnonzero(stops.group >= 0).tolist():
        held.setdefault(int(stops.lane[row]), []).append(int(owner[stops.group[row]]))
    for x in np.flatnonzero(crossings.group >= 0).tolist():
        for row in range(int(crossings.lane_start[x]), int(crossings.lane_start[x + 1])):
            lane = int(crossings.lane[row])
            beside = [lane, *ahead(lane), *behind(lane)]
            near = held.get(lane) or [int(lanes.junction[e]) for e in beside]
            assign(int(crossings.group[x]), near)
    return owner


@dataclass(slots=True)
class _Known:
    """Layouts of the network that was asked for last: every unit, referee and check of a scene asks for the same few."""

    net: RoadNetwork | None = None
    layouts: dict[int, JunctionLayout] = field(default_factory=dict)


_known = _Known()


def junction_layout(net: RoadNetwork, junction: int) -> JunctionLayout:
    """Groups of junction index `junction` and their conflicts, from stop lines, conflicts and crossings.

    Whoever asks again for the same network object gets the same layout; its arrays are read-only.
    """
    if _known.net is not net:
        _known.net, _known.layouts = net, {}
    layouts = _known.layouts
    if junction not in layouts:
        layouts[junction] = _junction_layout(net, junction)
    return layouts[junction]


def _junction_layout(net: RoadNetwork, junction: int) -> JunctionLayout:
    group = np.flatnonzero(group_junctions(net) == junction).astype(np.int32)
    local = {int(g): k for k, g in enumerate(group)}
    size = int(group.size)
    stops, lanes = net.stop_lines, net.lanes
    approach: list[set[int]] = [set() for _ in range(size)]
    entry: list[set[int]] = [set() for _ in range(size)]  # first connecting lane of each movement
    owners: dict[int, set[int]] = {}  # connecting lane -> local groups
    lane_groups: dict[int, set[int]] = {}
    entry_of: dict[int, int] = {}
    for row in np.flatnonzero(np.isin(stops.group, group)).tolist():
        k = local[int(stops.group[row])]
        lane, to_lane = int(stops.lane[row]), int(stops.to_lane[row])
        approach[k].add(lane)
        lane_groups.setdefault(lane, set()).add(k)
        if to_lane >= 0:
            first = [to_lane]
        elif lanes.junction[lane] == junction:
            first = [lane]
        else:
            first = [
                int(n) for n in lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]]
            ]
        for begin in first:
            for inner in _inside(net, junction, begin):
                entry[k].add(begin)
                owners.setdefault(inner, set()).add(k)
                entry_of.setdefault(inner, begin)
    exclusive = np.zeros((size, size), dtype=np.bool_)
    must_yield = np.zeros((size, size), dtype=np.bool_)
    _vehicle_conflicts(net, owners, entry_of, exclusive, must_yield)

    is_pedestrian = np.zeros(size, dtype=np.bool_)
    crossing_m = np.zeros(size)
    crossing_group: dict[int, int] = {}
    crossings = net.crossings
    for x in range(len(crossings.id)):
        p = local.get(int(crossings.group[x]), -1)
        if p < 0 or approach[p]:
            continue
        is_pedestrian[p] = True
        crossing_group[x] = p
        length = np.hypot(
            crossings.x1_m[x] - crossings.x0_m[x], crossings.y1_m[x] - crossings.y0_m[x]
        )
        crossing_m[p] = max(crossing_m[p], float(length))
        for row in range(int(crossings.lane_start[x]), int(crossings.lane_start[x + 1])):
            crossed, at_m = int(crossings.lane[row]), float(crossings.lane_out_m[row])
            for k in range(size):
                if _meets(net, int(group[k]), k, crossed, at_m, owners, entry_of):
                    exclusive[k, p] = exclusive[p, k] = True
    num_lanes = np.array([len(a) for a in approach], dtype=np.int32)
    only_far_turns = np.array(
        [bool(e) and all(_way(net, lane) in (_Way.FAR, _Way.U_TURN) for lane in e) for e in entry],
        dtype=np.bool_,
    )
    for shared in (
        group, is_pedestrian, num_lanes, crossing_m, only_far_turns, exclusive, must_yield,
    ):  # fmt: skip
        shared.setflags(write=False)
    return JunctionLayout(
        junction=junction,
        id=net.junctions.id[junction],
        name=net.junctions.name[junction] or net.junctions.id[junction],
        group=group,
        group_id=tuple(net.groups.id[int(g)] for g in group),
        group_name=tuple(net.groups.name[int(g)] for g in group),
        is_pedestrian=is_pedestrian,
        num_lanes=num_lanes,
        crossing_m=crossing_m,
        only_far_turns=only_far_turns,
        exclusive=exclusive,
        must_yield=must_yield,
        lane_groups={lane: tuple(sorted(ks)) for lane, ks in sorted(lane_groups.items())},
        crossing_group=crossing_group,
    )


def _vehicle_conflicts(
    net: RoadNetwork,
    owners: dict[int, set[int]],
    entry_of: dict[int, int],
    exclusive: Bool,
    must_yield: Bool,
) -> None:
    """Fill the relations of vehicle groups from the conflict rows of their lanes."""
    conflicts = net.conflicts
    starts, yaw = net.lanes.point_start, net.points.yaw_rad
    for lane in sorted(owners):
        way = _way(net, entry_of[lane])
        for row in range(int(conflicts.start[lane]), int(conflicts.start[lane + 1])):
            other = int(conflicts.other[row])
            if other not in owners or conflicts.kind[row] == ConflictKind.DIVERGING:
                continue
            waits = RightOfWay(int(conflicts.right_of_way[row]))
            if waits == RightOfWay.PRIORITY:
                continue  # the other lane's own row says how it yields
            apart = wrap_rad(float(yaw[starts[entry_of[lane]]] - yaw[starts[entry_of[other]]]))
            known = way in (_Way.NEAR, _Way.U_TURN) or (
                way == _Way.FAR and abs(apart) > ONCOMING_RAD
            )
            yields = waits == RightOfWay.YIELD and known
            for a in owners[lane]:
                for b in owners[other]:
                    if a == b:
                        # One group for several approaches: all give way. Lanes of one approach sort it out themselves.
                        must_yield[a, a] |= abs(apart) > SAME_APPROACH_RAD
                    elif yields:
                        must_yield[a, b] = True
                    else:
                        exclusive[a, b] = exclusive[b, a] = True


def _meets(
    net: RoadNetwork,
    network_group: int,
    k: int,
    crossed: int,
    at_m: float,
    owners: dict[int, set[int]],
    entry_of: dict[int, int],
) -> bool:
    """Whether green for vehicle group `k` sends traffic over a crossing on lane `crossed` without waiting there."""
    stops, lanes = net.stop_lines, net.lanes
    for row in range(int(stops.start[crossed]), int(stops.start[crossed + 1])):
        if int(stops.group[row]) == network_group and at_m > float(stops.s_m[row]):
            return True
    if k in owners.get(crossed, ()):
        # On the connecting lane: near its entry it is the approach's crossing, else the exit's.
        is_exit = at_m > 0.5 * float(lanes.length_m[crossed])
        return not is_exit or _way(net, entry_of[crossed]) == _Way.STRAIGHT
    before = lanes.prev[lanes.prev_start[crossed] : lanes.prev_start[crossed + 1]]
    return any(
        k in owners.get(int(p), ()) and _way(net, entry_of[int(p)]) == _Way.STRAIGHT for p in before
    )


def groups_of_detectors(
    net: RoadNetwork, layout: JunctionLayout, lane: I32
) -> list[tuple[int, ...]]:
    """Local groups that each loop (by its lane) reports demand for; follows the lane on to the stop line."""
    out: list[tuple[int, ...]] = []
    for begin in lane:
        now = int(begin)
        found: tuple[int, ...] = ()
        for _ in range(MAX_DETECTOR_LANES):
            if now in layout.lane_groups:
                found = layout.lane_groups[now]
                break
            nexts = net.lanes.next[net.lanes.next_start[now] : net.lanes.next_start[now + 1]]
            if nexts.size != 1:
                break
            now = int(nexts[0])
        out.append(found)
    return out
