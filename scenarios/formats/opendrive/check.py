"""Findings about a road file, for `icv map check`: what is broken, doubtful or worth knowing.

Every rule looks at the network as it was read, so that a finding says what a simulation on it would meet. Severities: `error`
(do not simulate), `warning` (traffic may behave oddly there), `info`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols.errors import RoadError
from protocols.roads import _kernels
from protocols.roads.geometry import geo_of
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive.place import VEHICLES, signal_meaning
from scenarios.formats.opendrive.read import read

GAP_M = 0.05  # between two geometry records, or two linked lanes: wider than any rounding
WIDE_GAP_M = 0.5
KINK_RAD = np.deg2rad(3.0)
LENGTH_M = 0.01  # stated road length against its geometry
SHORT_M = 0.001


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: `where` is road/section/lane as written in the file."""

    severity: str
    rule: str
    where: str
    sentence: str


def check(path: Path) -> list[Finding]:
    """Findings, worst first; a file that cannot be read gives exactly one."""
    try:
        net = read(Path(path))
    except RoadError as error:
        return [Finding("error", "unreadable", str(path), str(error))]
    rules = (
        _reference_line,
        _sections,
        _widths,
        _joints,
        _junction_lanes,
        _speeds,
        _signals,
        _notes,
    )
    found = [finding for rule in rules for finding in rule(net)]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda f: order[f.severity])


def _reference_line(net: RoadNetwork) -> Iterator[Finding]:
    plans, geo = net.plans, geo_of(net)
    for road, name in enumerate(net.roads.id):
        first, last = int(net.roads.plan_start[road]), int(net.roads.plan_start[road + 1])
        for g in range(first, last - 1):
            end = float(plans.s_m[g] + plans.length_m[g])
            x, y, yaw, *_ = _kernels._ref(geo.plan, g, end)
            gap = float(np.hypot(x - plans.x_m[g + 1], y - plans.y_m[g + 1]))
            kink = abs(float(np.angle(np.exp(1j * (yaw - plans.yaw_rad[g + 1])))))
            where = f"{name} s={plans.s_m[g + 1]:.3f}"
            if gap > GAP_M:
                severity = "error" if gap > WIDE_GAP_M else "warning"
                yield Finding(severity, "reference_line_gap", where,
                              f"The reference line jumps by {gap:.3f} m between two geometry records.")  # fmt: skip
            if kink > KINK_RAD:
                yield Finding("warning", "reference_line_kink", where,
                              f"The reference line turns by {np.rad2deg(kink):.1f} degrees at one point.")  # fmt: skip
            if abs(end - plans.s_m[g + 1]) > LENGTH_M:
                yield Finding("warning", "reference_line_s", where,
                              f"A geometry record begins at {plans.s_m[g + 1]:.3f} m, the one before ends at {end:.3f} m.")  # fmt: skip
        stated = float(net.roads.length_m[road])
        end = float(plans.s_m[last - 1] + plans.length_m[last - 1])
        if abs(end - stated) > LENGTH_M:
            yield Finding("warning", "road_length", name,
                          f"The road states a length of {stated:.3f} m, its geometry ends at {end:.3f} m.")  # fmt: skip


def _sections(net: RoadNetwork) -> Iterator[Finding]:
    sections = net.sections
    for section in np.flatnonzero(sections.s1_m - sections.s0_m < SHORT_M):
        road = int(sections.road[section])
        if net.roads.length_m[road] < SHORT_M:
            text = f"The road is only {net.roads.length_m[road]:.6f} m long."
        else:
            text = f"Two lane sections begin at {sections.s0_m[section]:.3f} m, or one begins beyond the road's end."
        yield Finding("warning", "section_without_length", net.roads.id[road], text)
    first = net.roads.section_start[:-1]
    for late in np.flatnonzero(sections.s0_m[first] > SHORT_M):
        yield Finding("error", "road_without_lanes", net.roads.id[int(late)],
                      f"The first lane section begins at {sections.s0_m[first[late]]:.3f} m, not at 0.")  # fmt: skip


def _widths(net: RoadNetwork) -> Iterator[Finding]:
    lanes, width = net.lanes, net.width
    span = (net.sections.s1_m - net.sections.s0_m)[lanes.section]
    for lane in range(net.num_lanes):
        first, last = int(lanes.width_start[lane]), int(lanes.width_start[lane + 1])
        if first == last:
            yield Finding("warning", "width_missing", net.lane_key(lane), "The lane has no width.")
            continue
        edges = np.append(np.clip(width.s_m[first:last], 0, span[lane]), span[lane])
        for i in range(first, last):
            ds = np.linspace(0.0, max(edges[i - first + 1] - width.s_m[i], 0.0), 33)
            low = float(np.polyval(width.coef[i, ::-1], ds).min())
            if low < -1e-3:
                yield Finding("error", "width_negative", net.lane_key(lane),
                              f"The lane's width falls to {low:.3f} m; it was read as 0 there.")  # fmt: skip
                break


def _joints(net: RoadNetwork) -> Iterator[Finding]:
    """Lanes that are linked but do not meet, and road ends whose lanes lead nowhere."""
    lanes, points = net.lanes, net.points
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.next_start))
    a, b = lanes.point_start[owner + 1] - 1, lanes.point_start[lanes.next]
    gap = np.hypot(points.x_m[a] - points.x_m[b], points.y_m[a] - points.y_m[b])
    step = np.abs(points.z_m[a] - points.z_m[b])
    kink = np.abs(np.angle(np.exp(1j * (points.yaw_rad[a] - points.yaw_rad[b]))))
    drivable = ((lanes.permission[owner] & lanes.permission[lanes.next]) & VEHICLES) != 0
    for row in np.flatnonzero(drivable & ((gap > GAP_M) | (step > GAP_M) | (kink > 2 * KINK_RAD))):
        where = f"{net.lane_key(int(owner[row]))} -> {net.lane_key(int(lanes.next[row]))}"
        severity = "error" if max(gap[row], step[row]) > 4 * WIDE_GAP_M else "warning"
        yield Finding(severity, "lane_joint", where,
                      f"Linked lanes are {gap[row]:.3f} m apart, {step[row]:.3f} m in height, {np.rad2deg(kink[row]):.1f} degrees in direction.")  # fmt: skip


def _junction_lanes(net: RoadNetwork) -> Iterator[Finding]:
    lanes = net.lanes
    inside = (lanes.junction >= 0) & ((lanes.permission & VEHICLES) != 0)
    for name, start in (("leads to", lanes.prev_start), ("follows", lanes.next_start)):
        for lane in np.flatnonzero(inside & (np.diff(start) == 0)):
            yield Finding("warning", "connecting_lane_unreachable", net.lane_key(int(lane)),
                          f"No lane {name} this connecting lane.")  # fmt: skip


def _speeds(net: RoadNetwork) -> Iterator[Finding]:
    lanes = net.lanes
    missing = ~lanes.has_speed & ((lanes.permission & VEHICLES) != 0)
    for road in np.unique(lanes.road[missing]):
        yield Finding("info", "speed_missing", net.roads.id[int(road)],
                      "Vehicle lanes have no speed limit in the file; the simulation's default holds.")  # fmt: skip


def _signals(net: RoadNetwork) -> Iterator[Finding]:
    held = np.unique(net.stop_lines.group)
    crossing = np.unique(net.crossings.group)
    for group, name in enumerate(net.groups.id):
        if group in held or group in crossing:
            continue
        heads = [i for i, g in enumerate(net.signals.group) if g == group]
        walkers = bool(heads) and all(_is_for_walkers(net, i) for i in heads)
        yield Finding("info" if walkers else "warning", "signal_without_lane", f"controller {name}",
                      "The signal group is valid for no vehicle lane and no crossing.")  # fmt: skip
    for junction in np.flatnonzero(np.diff(net.junctions.lane_start) == 0):
        yield Finding("info", "junction_without_lanes", f"junction {net.junctions.id[int(junction)]}",
                      "No road belongs to this junction; expected for direct junctions only.")  # fmt: skip


def _is_for_walkers(net: RoadNetwork, signal: int) -> bool:
    code = {"type": net.signals.type[signal], "country": net.signals.country[signal]}
    return signal_meaning(code) == "pedestrian_light"


def _notes(net: RoadNetwork) -> Iterator[Finding]:
    for note in net.notes:
        broken = "does not hold" in note or "opposing" in note
        yield Finding("warning" if broken else "info", "read_with_note", net.name, note)
