"""Columns of one OpenDRIVE file to a `RoadNetwork`: checks numbers, sorts, samples, links, finds conflicts.

Sampling and conflict search are compiled loops; everything else works on whole columns. What was repaired or left out ends up
in `notes`, one sentence per kind of finding with its count.
"""

from __future__ import annotations

import numpy as np

from protocols.errors import RoadError
from protocols.roads import _kernels
from protocols.roads.conflicts import find_conflicts
from protocols.roads.geometry import pack, sample_lanes
from protocols.roads.network import (
    F64,
    I32,
    Cubics,
    Junctions,
    Lanes,
    PlanKind,
    Plans,
    Points,
    RoadNetwork,
    Roads,
    Sections,
    SpeedLimits,
)
from protocols.sentence import say
from scenarios.formats.opendrive import lanes as lane_rows
from scenarios.formats.opendrive.lanes import LaneRows, csr, starts, table
from scenarios.formats.opendrive.objects import read_objects
from scenarios.formats.opendrive.place import Layout
from scenarios.formats.opendrive.signals import Heads, read_signals
from scenarios.formats.opendrive.speeds import speed_limits
from scenarios.formats.opendrive.tables import Row, Tables

MAX_COORDINATE_M = 1e8
MAX_LENGTH_M = 1e6
MAX_TURN_RAD = 1e3  # of one geometry record
MAX_POINTS = 5_000_000


def build(tables: Tables, name: str, digest: str, *, max_points: int = MAX_POINTS) -> RoadNetwork:
    """Network of the parsed file. Raises RoadError for numbers that no road can have, or lanes of more than `max_points`."""
    road_index = _index(tables)
    junction_index: dict[str, int] = {}
    for i, junction in enumerate(tables.junctions):
        junction_index.setdefault(junction.id, i)
    roads, plans, cubics = _roads(tables, junction_index)
    sections, section_start = _sections(tables, roads)
    lanes = lane_rows.order_lanes(tables, sections.road, roads.is_left_hand)
    lane_start = starts(lanes.section, sections.road.size)
    sections = Sections(sections.road, sections.s0_m, sections.s1_m, lane_start)
    roads = _with_sections(roads, section_start)
    width_start, width_s, width_coef = lane_rows.widths(tables, lanes)
    _check_finite(
        tables,
        width_coef,
        lanes.road[np.repeat(np.arange(lanes.road.size), np.diff(width_start))],
        "lane width",
    )
    points, point_start, length, geo = _sample(
        tables,
        roads,
        plans,
        cubics,
        sections,
        lanes,
        (width_start, width_s, width_coef),
        max_points,
    )
    marks = lane_rows.road_marks(tables, lanes, sections.s0_m, sections.s1_m)
    side = lane_rows.neighbours(lanes, marks, roads.is_left_hand)
    ends = lane_rows.road_ends(tables, road_index, junction_index)
    source, target = lane_rows.links(tables, lanes, ends, section_start, sections.road, road_index)
    count = lanes.road.size
    next_start, next_ = csr(source, target, count)
    prev_start, prev = csr(target, source, count)
    limits = speed_limits(tables, lanes, sections.s0_m, sections.s1_m, points, point_start)
    out = Lanes(
        lanes.road,
        lanes.section,
        lanes.odr_id,
        lanes.type,
        lanes.direction,
        lane_rows.permissions(tables, lanes, (sections.s1_m - sections.s0_m)[lanes.section]),
        roads.junction[lanes.road],
        length,
        limits.speed_mps,
        limits.has_speed,
        side.left,
        side.right,
        side.may_left,
        side.may_right,
        side.opposite,
        width_start,
        next_start,
        next_,
        prev_start,
        prev,
        point_start,
        limits.start,
    )
    width = Cubics(width_s, width_coef)
    layout = Layout(roads, sections, out, points, geo)
    heads = read_signals(tables, layout)
    junctions = _junctions(tables, out, heads)
    sign_kind = np.zeros(count, np.uint8)
    signs = heads.stop_lines.kind > 0
    held = np.where(
        heads.stop_lines.to_lane[signs] >= 0,
        heads.stop_lines.to_lane[signs],
        heads.stop_lines.lane[signs],
    )
    sign_kind[held] = heads.stop_lines.kind[signs]
    conflicts = find_conflicts(
        out, points, junctions, priority=_priority(tables, road_index), sign_kind=sign_kind
    )
    places = read_objects(tables, layout, heads.groups)
    return RoadNetwork(
        name=name,
        digest=digest,
        version=tables.version,
        geo_reference=tables.geo_reference,
        roads=roads,
        plans=plans,
        elevation=cubics[0],
        superelevation=cubics[1],
        lane_offset=cubics[2],
        sections=sections,
        lanes=out,
        width=width,
        points=points,
        speed_limits=SpeedLimits(limits.s_m, limits.piece_mps),
        road_marks=marks,
        junctions=junctions,
        conflicts=conflicts,
        signals=heads.signals,
        groups=heads.groups,
        stop_lines=heads.stop_lines,
        stations=places.stations,
        crossings=places.crossings,
        objects=places.objects,
        notes=_notes(tables),
    )


def _index(tables: Tables) -> dict[str, int]:
    out: dict[str, int] = {}
    for i, road in enumerate(tables.road_id):
        if road in out:
            raise RoadError(
                say("{file}: two roads have the id '{road}', expected unique ids. Rename one of them.", file=tables.path, road=road)
            )  # fmt: skip
        out[road] = i
    return out


def _check_finite(tables: Tables, values: F64, road: I32, what: str) -> None:
    """Raise RoadError naming the road of the first row with NaN, infinity or an absurd size."""
    bad = ~np.isfinite(values) | (np.abs(values) > MAX_COORDINATE_M)
    rows = np.flatnonzero(bad.any(axis=tuple(range(1, bad.ndim))))  # also where there is no row
    if rows.size:
        where = tables.road_id[int(road[rows[0]])]
        found = values[rows[0]]
        raise RoadError(
            say(
                "{file}: road '{where}': {what} holds {found}, expected finite numbers up to {allowed}. Correct the file.",
                file=tables.path, where=where, what=what, found=np.array2string(np.atleast_1d(found), precision=6),
                allowed=f"{MAX_COORDINATE_M:.0e}",
            )
        )  # fmt: skip


def _owned(tables: Tables, rows: list[Row], what: str) -> tuple[I32, Cubics]:
    """CSR by road and the cubic records, sorted by s."""
    data = table(rows, 6)
    owner = data[:, 0].astype(np.int64)
    _check_finite(tables, data[:, 1:3], owner.astype(np.int32), what)
    if not np.isfinite(data).all():
        _check_finite(tables, data, owner.astype(np.int32), what)
    order = np.lexsort((data[:, 1], owner))
    data = data[order]
    start = starts(owner[order], len(tables.road_id))
    return start, Cubics(np.ascontiguousarray(data[:, 1]), np.ascontiguousarray(data[:, 2:]))


def _roads(
    tables: Tables, junction_index: dict[str, int]
) -> tuple[Roads, Plans, tuple[Cubics, Cubics, Cubics]]:
    count = len(tables.road_id)
    length = np.array(tables.road_length)
    index = np.arange(count, dtype=np.int32)
    _check_finite(tables, length, index, "length")
    bad = np.flatnonzero((length < 0) | (length > MAX_LENGTH_M))
    if bad.size:
        raise RoadError(
            say(
                "{file}: road '{road}': length {length_m:g} m, expected 0 to {allowed}. Correct the file.",
                file=tables.path, road=tables.road_id[int(bad[0])], length_m=length[bad[0]], allowed=f"{MAX_LENGTH_M:.0e}",
            )
        )  # fmt: skip
    data = table(tables.plan, 15)
    data = data[np.lexsort((data[:, 1], data[:, 0]))]
    _check_finite(tables, data[:, 1:6], data[:, 0].astype(np.int32), "planView geometry")
    if not np.isfinite(data).all():
        _check_finite(tables, data, data[:, 0].astype(np.int32), "planView geometry")
    kind = data[:, 6].astype(np.uint8)
    turn = np.abs(data[:, 5]) * np.maximum(np.abs(data[:, 7]), np.abs(data[:, 8]))
    wild = np.flatnonzero(
        ((kind == PlanKind.ARC) | (kind == PlanKind.SPIRAL)) & (turn > MAX_TURN_RAD)
        | (data[:, 5] < 0)
    )
    if wild.size:
        row = data[wild[0]]
        raise RoadError(
            say(
                "{file}: road '{road}': geometry at s = {s_m:g} has length {length_m:g} m and turns by {turn_rad:.3g} rad, "
                "expected a length of 0 or more and at most {allowed:.0f} rad. Correct the file.",
                file=tables.path, road=tables.road_id[int(row[0])], s_m=row[1], length_m=row[5], turn_rad=turn[wild[0]],
                allowed=MAX_TURN_RAD,
            )
        )  # fmt: skip
    # Empty records carry no road; a road that has nothing else keeps them.
    useful = data[:, 5] > 0
    has_useful = np.zeros(count, np.bool_)
    has_useful[data[useful, 0].astype(np.int64)] = True
    drop = ~useful & has_useful[data[:, 0].astype(np.int64)]
    for _ in range(int(drop.sum())):
        tables.note("geometry of length 0 was left out")
    data = data[~drop]
    owner = data[:, 0].astype(np.int32)
    length_m = np.maximum(data[:, 5], 1e-9)
    kind = data[:, 6].astype(np.uint8)
    plans = Plans(
        owner,
        np.ascontiguousarray(data[:, 1]),
        np.ascontiguousarray(data[:, 2]),
        np.ascontiguousarray(data[:, 3]),
        np.ascontiguousarray(data[:, 4]),
        length_m,
        kind,
        np.ascontiguousarray(data[:, 7:15]),
        _arcs(data, length_m),
    )
    elevation_start, elevation = _owned(tables, tables.elevation, "elevation")
    super_start, superelevation = _owned(tables, tables.superelevation, "superelevation")
    offset_start, lane_offset = _owned(tables, tables.lane_offset, "laneOffset")
    junction = np.full(count, -1, np.int32)
    for road, text in enumerate(tables.road_junction):
        if text not in ("-1", ""):
            junction[road] = junction_index.get(text, -1)
            if text not in junction_index:
                tables.note("a road names a junction that the file does not hold")
    if any(tables.offset):
        x, y, z, hdg = tables.offset
        tables.note(
            f"header <offset> ({x:g}, {y:g}, {z:g}, {hdg:g}) was not applied: coordinates stay those of the file"
        )
    empty = np.zeros(count + 1, np.int32)
    roads = Roads(
        tuple(tables.road_id),
        tuple(tables.road_name),
        length,
        junction,
        np.array(tables.road_lht, np.bool_),
        starts(owner, count),
        empty,
        elevation_start,
        super_start,
        offset_start,
    )
    return roads, plans, (elevation, superelevation, lane_offset)


def _arcs(data: F64, length_m: F64) -> F64:
    """(G,) true arc lengths; only paramPoly3 curves can differ from the length that the file states."""
    plan = np.zeros((length_m.size, 17))
    plan[:, 6] = plan[:, 8] = length_m
    plan[:, 7] = data[:, 6]
    plan[:, 9:] = data[:, 7:15]
    if (plan[:, 7] == PlanKind.PARAM_POLY3).any():
        _kernels.poly_arcs(plan)
    return np.ascontiguousarray(plan[:, 8])


def _with_sections(roads: Roads, section_start: I32) -> Roads:
    return Roads(
        roads.id,
        roads.name,
        roads.length_m,
        roads.junction,
        roads.is_left_hand,
        roads.plan_start,
        section_start,
        roads.elevation_start,
        roads.superelevation_start,
        roads.lane_offset_start,
    )


def _sections(tables: Tables, roads: Roads) -> tuple[Sections, I32]:
    """Sections in file order; they must come in order of s within a road."""
    data = table(tables.section, 2)
    road = data[:, 0].astype(np.int32)
    _check_finite(tables, data[:, 1], road, "laneSection s")
    s0 = np.ascontiguousarray(data[:, 1])
    back = np.flatnonzero((np.diff(s0) < 0) & (np.diff(road) == 0))
    if back.size:
        where = tables.road_id[int(road[back[0]])]
        raise RoadError(
            say(
                "{file}: road '{where}': laneSection s = {s_m:g} follows s = {before_m:g}, expected rising s. Sort the lane "
                "sections.",
                file=tables.path, where=where, s_m=s0[back[0] + 1], before_m=s0[back[0]],
            )
        )  # fmt: skip
    start = starts(road, len(tables.road_id))
    s1 = np.append(s0[1:], 0.0)
    last = start[1:] - 1
    s1[last] = np.maximum(roads.length_m, s0[last])
    return Sections(road, s0, s1, np.zeros(0, np.int32)), start


def _sample(
    tables: Tables,
    roads: Roads,
    plans: Plans,
    cubics: tuple[Cubics, Cubics, Cubics],
    sections: Sections,
    lanes: LaneRows,
    width: tuple[I32, F64, F64],
    max_points: int,
) -> tuple[Points, I32, F64, _kernels.Geo]:
    geo = pack(
        roads,
        plans,
        cubics,
        sections,
        (lanes.road, lanes.section, lanes.odr_id, lanes.direction),
        (width[0], Cubics(width[1], width[2])),
    )
    try:
        start, rows, length = sample_lanes(geo, max_points)
    except OverflowError as error:
        raise RoadError(
            say(
                "{file}: sampling the lanes needs {why!s}. Expected a map below about {allowed} lane kilometres; look for "
                "absurd curvatures or lengths.",
                file=tables.path, why=error, allowed=max_points // 250,
            )
        ) from error  # fmt: skip
    s, x, y, z, yaw, bend, wide, road_s = np.ascontiguousarray(rows.T)
    return Points(s, x, y, z, yaw, bend, wide, road_s), start, length, geo


def _junctions(tables: Tables, lanes: Lanes, heads: Heads) -> Junctions:
    member = np.flatnonzero(lanes.junction >= 0)
    start, lane = csr(
        lanes.junction[member].astype(np.int64), member.astype(np.int64), len(tables.junctions)
    )
    signalised = np.zeros(len(tables.junctions), np.bool_)
    signalised[heads.groups.junction[heads.groups.junction >= 0]] = True
    return Junctions(
        tuple(j.id for j in tables.junctions),
        tuple(j.name for j in tables.junctions),
        start,
        lane,
        signalised,
    )


def _priority(tables: Tables, road_index: dict[str, int]) -> I32:
    rows = [
        (road_index[high], road_index[low])
        for junction in tables.junctions
        for high, low in junction.priorities
        if high in road_index and low in road_index
    ]
    return np.array(rows, np.int32).reshape(-1, 2)


def _notes(tables: Tables) -> tuple[str, ...]:
    """One sentence per kind of repair, with how often it was needed."""
    return tuple(
        f"{what[0].upper()}{what[1:]}{f' ({n} times)' if n > 1 else ''}."
        for what, n in tables.seen.items()
    )
