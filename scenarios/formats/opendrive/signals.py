"""`<signal>`, `<signalReference>` and `<controller>` to heads, groups and stop lines.

A head or stop/yield sign on an ordinary road holds the lanes of its validity (by default all vehicle lanes of the direction it
is oriented to) at its own s, or at a stop line marked nearby. One on a connecting road holds every lane that leads into the
connecting lanes it is valid for, at that lane's end and only for traffic bound for the connecting lane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64, Bool, SignalGroups, Signals, StopLines
from scenarios.formats.opendrive.lanes import starts
from scenarios.formats.opendrive.parse import UNITS
from scenarios.formats.opendrive.place import (
    VEHICLES,
    Layout,
    number,
    object_meaning,
    signal_meaning,
)
from scenarios.formats.opendrive.tables import Item, Tables

STOP_LINE_REACH_M = 40.0  # a marked stop line this near to a head belongs to it
MAX_HOPS = 32  # lanes followed back to where a connecting road is entered
# A head whose stop line is farther from the next junction stands for something else, for example a
# crossing between junctions.
JUNCTION_REACH_M = 100.0
_KIND = {"stop": 1, "yield": 2}


@dataclass(frozen=True, slots=True)
class Heads:
    """Everything signals lead to."""

    signals: Signals
    groups: SignalGroups
    stop_lines: StopLines


def read_signals(tables: Tables, layout: Layout) -> Heads:
    """Signals of the file in file order; unknown static signs are kept without effect."""
    items = tables.signals
    dynamic = [i.attributes.get("dynamic", "no").lower() in ("yes", "true", "1") for i in items]
    meaning = [signal_meaning(i.attributes) for i in items]
    group, group_id, group_name = _groups(tables, dynamic)
    rows = _stop_lines(tables, layout, dynamic, meaning, group)
    group_junction = _group_junctions(tables, layout, group_id, rows)

    attributes = [i.attributes for i in items]
    road = np.array([i.road for i in items], np.int32)
    s = np.array([number(a, "s") for a in attributes])
    t = np.array([number(a, "t") for a in attributes])
    pose = layout.poses(road, s, t) if items else np.zeros((0, 6))
    turn = np.array([_face(a) for a in attributes])
    value, has_value = _values(tables, items, meaning)
    signals = Signals(
        id=tuple(a.get("id", "") for a in attributes),
        name=tuple(a.get("name", "") for a in attributes),
        type=tuple(a.get("type", "") for a in attributes),
        subtype=tuple(a.get("subtype", "") for a in attributes),
        country=tuple(a.get("country", "") for a in attributes),
        is_dynamic=np.array(dynamic, np.bool_),
        road=road,
        s_m=s,
        t_m=t,
        x_m=pose[:, 0].copy(),
        y_m=pose[:, 1].copy(),
        z_m=pose[:, 2] + np.array([number(a, "zOffset") for a in attributes]),
        yaw_rad=np.pi - np.mod(np.pi - (pose[:, 3] + turn), 2 * np.pi),
        value=value,
        has_value=has_value,
        group=np.array(group, np.int32),
    )
    count = layout.lanes.road.size
    lines = np.array(sorted(rows), np.float64).reshape(-1, 5)
    lane = lines[:, 0].astype(np.int32)
    stop_lines = StopLines(
        lane,
        np.ascontiguousarray(lines[:, 1]),
        lines[:, 2].astype(np.int32),
        lines[:, 3].astype(np.int32),
        lines[:, 4].astype(np.uint8),
        starts(lane, count),
    )
    groups = SignalGroups(tuple(group_id), tuple(group_name), np.array(group_junction, np.int32))
    return Heads(signals, groups, stop_lines)


def _face(attributes: dict[str, str]) -> float:
    """Turn from the road's heading to where the face looks: towards the traffic it is meant for.

    Older writers put pi into hOffset of signals oriented "-" (absolute), newer ones 0 (relative to the orientation).
    """
    offset = number(attributes, "hOffset")
    if attributes.get("orientation", "+") == "-":
        return offset - np.pi if np.cos(offset) < 0 else offset
    return np.pi + offset


def _values(tables: Tables, items: list[Item], meaning: list[str]) -> tuple[F64, Bool]:
    value, has = np.zeros(len(items)), np.zeros(len(items), np.bool_)
    for i, item in enumerate(items):
        text = item.attributes.get("value")
        if text is None:
            continue
        amount = number(item.attributes, "value", np.nan)
        if not np.isfinite(amount):
            continue
        if meaning[i] == "speed_limit":
            unit = item.attributes.get("unit", "m/s")
            if unit not in UNITS:
                tables.note(
                    f"signal value unit '{unit}' is not a speed unit; the value was left out"
                )
                continue
            amount *= UNITS[unit]
        value[i], has[i] = amount, True
    return value, has


def _groups(tables: Tables, dynamic: list[bool]) -> tuple[list[int], list[str], list[str]]:
    """Group of every signal (-1 static), then ids and names of the groups: controllers first."""
    ids = [c[0] for c in tables.controllers]
    names = [c[1] for c in tables.controllers]
    owner: dict[str, int] = {}
    for g, (_, _, signals) in enumerate(tables.controllers):
        for signal in signals:
            if signal in owner:
                tables.note("a signal has several controllers; the first one counts")
            owner.setdefault(signal, g)
    group: list[int] = []
    for item, is_dynamic in zip(tables.signals, dynamic, strict=True):
        signal = item.attributes.get("id", "")
        if not is_dynamic:
            group.append(-1)
            continue
        if signal not in owner:
            owner[signal] = len(ids)
            ids.append(f"signal:{signal}")
            names.append(item.attributes.get("name", ""))
        group.append(owner[signal])
    return group, ids, names


_Line = tuple[int, float, int, int, int]  # lane, s, to lane, group, kind


def _stop_lines(
    tables: Tables, layout: Layout, dynamic: list[bool], meaning: list[str], group: list[int]
) -> set[_Line]:
    by_id = {item.attributes.get("id", ""): i for i, item in enumerate(tables.signals)}
    placed: list[tuple[Item, int]] = [(item, i) for i, item in enumerate(tables.signals)]
    for item in tables.signal_references:
        i = by_id.get(item.attributes.get("id", ""), -1)
        if i < 0:
            tables.note("a signalReference names a signal that the file does not hold")
        else:
            placed.append((item, i))
    painted = _painted(tables, meaning)
    nearest: dict[tuple[int, int, int, int], float] = {}
    for item, i in placed:
        kind = 0 if dynamic[i] else _KIND.get(meaning[i], -1)
        if kind < 0 or meaning[i] == "pedestrian_light":
            continue
        held = _held_lanes(layout, item)
        if not held:
            tables.note("a signal that holds traffic is valid for no vehicle lane")
        for lane in held:
            for at, s, to_lane in _where(tables, layout, item, lane, painted):
                key = (at, to_lane, group[i], kind)
                nearest[key] = min(nearest.get(key, np.inf), s)
    return {(lane, s, to, g, kind) for (lane, to, g, kind), s in nearest.items()}


def _held_lanes(layout: Layout, item: Item) -> list[int]:
    """Vehicle lanes at the signal that its validity, or else its orientation, covers."""
    lanes = layout.lanes
    out: list[int] = []
    orientation = item.attributes.get("orientation", "+")
    for lane in layout.lanes_at(item.road, number(item.attributes, "s")):
        if not lanes.permission[lane] & VEHICLES:
            continue
        odr_id, direction = int(lanes.odr_id[lane]), int(lanes.direction[lane])
        if item.validity:
            covered = any(min(v) <= odr_id <= max(v) for v in item.validity)
        else:
            covered = orientation not in ("+", "-") or (direction > 0) == (orientation == "+")
        if covered:
            out.append(int(lane))
    return out


def _where(
    tables: Tables,
    layout: Layout,
    item: Item,
    lane: int,
    painted: dict[int, list[tuple[float, str, str]]],
) -> list[tuple[int, float, int]]:
    """(lane, s, to lane) rows of one held lane."""
    lanes = layout.lanes
    if lanes.junction[lane] < 0:
        road_s = number(item.attributes, "s")
        side = "+" if lanes.direction[lane] > 0 else "-"
        named = {r.get("elementId", "") for r in item.references}
        lines = [
            (name not in named, abs(s - road_s), s)
            for s, orientation, name in painted.get(item.road, [])
            if name in named
            or (abs(s - road_s) <= STOP_LINE_REACH_M and orientation in (side, "none"))
        ]
        if lines:
            road_s = min(lines)[2]
        same = [
            int(i)
            for i in layout.lanes_at(item.road, road_s)
            if lanes.odr_id[i] == lanes.odr_id[lane]
        ]
        lane = same[0] if same else lane
        return [(lane, layout.along(lane, road_s), -1)]
    first = lane
    for _ in range(MAX_HOPS):  # back to where the connecting road is entered
        before = lanes.prev[lanes.prev_start[first] : lanes.prev_start[first + 1]]
        inner = [int(p) for p in before if lanes.road[p] == lanes.road[first]]
        if not inner:
            break
        first = inner[0]
    before = lanes.prev[lanes.prev_start[first] : lanes.prev_start[first + 1]]
    if not before.size:
        tables.note("a signal stands on a connecting lane that no lane leads to")
    return [(int(p), float(lanes.length_m[p]), first) for p in before]


def _painted(tables: Tables, meaning: list[str]) -> dict[int, list[tuple[float, str, str]]]:
    """Marked stop lines by road: (s, orientation, id)."""
    out: dict[int, list[tuple[float, str, str]]] = {}
    marked = [s for s, m in zip(tables.signals, meaning, strict=True) if m == "stop_line"]
    marked += [o for o in tables.objects if object_meaning(o.attributes) == "stop_line"]
    for item in marked:
        a = item.attributes
        out.setdefault(item.road, []).append(
            (number(a, "s"), a.get("orientation", "none"), a.get("id", ""))
        )
    return out


def _group_junctions(
    tables: Tables, layout: Layout, group_id: list[str], rows: set[_Line]
) -> list[int]:
    """Junction by `<junction><controller>`, else the next one within reach of a stop line."""
    out = [-1] * len(group_id)
    index = {g: i for i, g in enumerate(group_id)}
    for j, junction in enumerate(tables.junctions):
        for controller in junction.controllers:
            if controller in index:
                out[index[controller]] = j
            else:
                tables.note("a junction names a controller that the file does not hold")
    lanes = layout.lanes
    for lane, s_m, to_lane, group, _ in sorted(rows):
        if group < 0 or out[group] >= 0:
            continue
        at = to_lane if to_lane >= 0 else lane
        way_m = -s_m
        seen: set[int] = set()
        while at not in seen and way_m <= JUNCTION_REACH_M:
            if lanes.junction[at] >= 0:
                out[group] = int(lanes.junction[at])
                break
            if lanes.next_start[at] == lanes.next_start[at + 1]:
                break
            seen.add(at)
            way_m += float(lanes.length_m[at])
            at = int(lanes.next[lanes.next_start[at]])
    return out
