"""Lane columns of the file to `Lanes`: order, widths, links, neighbours, road marks, permissions and speeds.

All of it is done on whole columns; the few loops left run over rare rows (borders, access rules, several speed records).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads.network import F64, I8, I32, U8, Bool, LaneType, MarkKind, RoadMarks
from protocols.sentence import say
from scenarios.formats.opendrive import access
from scenarios.formats.opendrive.tables import RoadLink, Row, Tables

I64 = npt.NDArray[np.int64]

_START, _END = 0, 1  # ends of a lane in road direction


@dataclass(slots=True)
class LaneRows:
    """Lanes in network order, before anything that needs sampled points."""

    rank: I64  # file row -> lane number
    section: I32
    road: I32
    odr_id: npt.NDArray[np.int16]
    type: U8
    direction: I8
    key: I64  # section and id in one sortable number, ascending `key_order`
    key_order: I64


def starts(owner: npt.NDArray[np.integer], count: int) -> I32:
    """CSR starts (count + 1,) of rows that are sorted by `owner`."""
    out = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(owner, minlength=count), out=out[1:])
    return out


def table(rows: list[Row], columns: int) -> F64:
    """Rows as a float matrix, also when there is none."""
    return np.array(rows, np.float64) if rows else np.zeros((0, columns))


def order_lanes(tables: Tables, section_road: I32, left_hand: Bool) -> LaneRows:
    """Sort lanes by section, then leftmost first. Raises RoadError when a section names a lane twice."""
    raw = np.array(tables.lane, np.int64) if tables.lane else np.zeros((0, 4), np.int64)
    if raw.size and np.abs(raw[:, 1]).max() > 10_000:
        bad = int(np.argmax(np.abs(raw[:, 1])))
        raise RoadError(
            say(
                "{file}: road '{road}': lane id {number}, expected -10000 to 10000. Renumber the lanes.",
                file=tables.path, road=_road_of(tables, raw[bad, 0]), number=raw[bad, 1],
            )
        )  # fmt: skip
    order = np.lexsort((-raw[:, 1], raw[:, 0]))
    rows = raw[order]
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    key = _key(rows[:, 0], rows[:, 1])
    key_order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[key_order]) == 0)
    if twice.size:
        row = rows[key_order[twice[0]]]
        raise RoadError(
            say(
                "{file}: road '{road}': lane {number} appears twice in one lane section. Every lane id may appear once; "
                "correct the file.",
                file=tables.path, road=_road_of(tables, row[0]), number=row[1],
            )
        )  # fmt: skip
    road = section_road[rows[:, 0]] if rows.size else np.zeros(0, np.int32)
    forward = (rows[:, 1] < 0) != left_hand[road]
    forward ^= rows[:, 3] != 0
    return LaneRows(
        rank,
        rows[:, 0].astype(np.int32),
        road.astype(np.int32),
        rows[:, 1].astype(np.int16),
        rows[:, 2].astype(np.uint8),
        np.where(forward, 1, -1).astype(np.int8),
        key[key_order],
        key_order,
    )


def _key(section: npt.NDArray[np.integer], odr_id: npt.NDArray[np.integer]) -> I64:
    return section.astype(np.int64) * 32768 + odr_id.astype(np.int64)


def _road_of(tables: Tables, section: int) -> str:
    return tables.road_id[int(tables.section[int(section)][0])]


def find_lanes(lanes: LaneRows, section: I64, odr_id: I64) -> I64:
    """Lane numbers by (section, OpenDRIVE id); -1 where there is no such lane."""
    wanted = _key(section, odr_id)
    if not lanes.key.size:
        return np.full(wanted.shape, -1)
    at = np.minimum(np.searchsorted(lanes.key, wanted), lanes.key.size - 1)
    return np.where(lanes.key[at] == wanted, lanes.key_order[at], -1)


def widths(tables: Tables, lanes: LaneRows) -> tuple[I32, F64, F64]:
    """CSR starts, record starts and coefficients of all widths; `<border>` records become widths."""
    count = lanes.section.size
    rows = table(tables.width, 6)
    owner = lanes.rank[rows[:, 0].astype(np.int64)]
    if tables.border:
        extra = _borders(tables, lanes, owner, rows)
        tables.note("lane <border> records were converted to widths")
        owner = np.concatenate((owner, extra[:, 0].astype(np.int64)))
        rows = np.concatenate((rows, extra))
    order = np.lexsort((rows[:, 1], owner))
    rows, owner = rows[order], owner[order]
    start = starts(owner, count)
    for _ in range(int((np.diff(start) == 0).sum())):
        tables.note("lane without <width> was read with width 0")
    return start, np.ascontiguousarray(rows[:, 1]), np.ascontiguousarray(rows[:, 2:])


def _borders(tables: Tables, lanes: LaneRows, width_owner: I64, width_rows: F64) -> F64:
    """Width records (lane, s, a, b, c, d) of the lanes that only have borders."""
    border = table(tables.border, 6)
    border_owner = lanes.rank[border[:, 0].astype(np.int64)]
    has_width = np.zeros(lanes.section.size, np.bool_)
    has_width[width_owner] = True
    out: list[Row] = []
    for section in np.unique(lanes.section[border_owner]):
        members = np.flatnonzero(lanes.section == section)
        for side in (1, -1):
            inner: list[Row] = [(0.0, 0.0, 0.0, 0.0, 0.0)]  # piecewise |t| of the edge so far
            ids = members[lanes.odr_id[members] * side > 0]
            for lane in sorted(ids, key=lambda i: abs(int(lanes.odr_id[i]))):
                if has_width[lane]:
                    own = [tuple(r[1:]) for r in width_rows[width_owner == lane]]
                    inner = _combine(inner, own, 1.0)
                    continue
                own = [
                    (float(r[1]), *(float(side * v) for v in r[2:]))
                    for r in border[border_owner == lane]
                ]
                if not own:
                    continue
                out.extend((float(lane), *piece) for piece in _combine(own, inner, -1.0))
                inner = own
    return table(out, 6)


def _combine(one: list[Row], two: list[Row], sign: float) -> list[Row]:
    """Piecewise cubics one + sign * two, with a record wherever either begins one."""
    out: list[Row] = []
    for s in sorted({r[0] for r in one} | {r[0] for r in two}):
        a, b = _shifted(one, s), _shifted(two, s)
        out.append((s, *(p + sign * q for p, q in zip(a, b, strict=True))))
    return out


def _shifted(pieces: list[Row], s: float) -> Row:
    """Coefficients at s of the piece that holds there (the first one before its begin)."""
    piece = max((r for r in pieces if r[0] <= s), key=lambda r: r[0], default=pieces[0])
    h, (a, b, c, d) = s - piece[0], piece[1:]
    return (
        a + h * (b + h * (c + h * d)),
        b + h * (2 * c + 3 * h * d),
        c + 3 * h * d,
        d,
    )


def permissions(tables: Tables, lanes: LaneRows, length: F64) -> npt.NDArray[np.uint32]:
    """(L,) UserClass bits; where rules change along a lane, those that hold over most of it count."""
    by_type = np.array([int(access.BY_TYPE.get(t, 0)) for t in LaneType], np.uint32)
    out: npt.NDArray[np.uint32] = by_type[lanes.type]
    grouped: dict[int, dict[float, list[tuple[str, tuple[str, ...]]]]] = {}
    for row, offset, rule, names in tables.access:
        grouped.setdefault(int(lanes.rank[row]), {}).setdefault(offset, []).append((rule, names))
    for lane, pieces in grouped.items():
        marks = [*sorted(pieces), float(length[lane])]
        share = [(marks[i + 1] - marks[i], -i) for i in range(len(marks) - 1)]
        best = -max(share)[1]
        if len(pieces) > 1:
            tables.note("<access> changes along a lane: the rules over most of its length count")
        kind = LaneType(int(lanes.type[lane]))
        classes, unknown = access.permission(kind, pieces[marks[best]])
        out[lane] = int(classes)
        for name in unknown:
            tables.note(f"<access> restriction '{name}' is not known and was left out")
    return out


@dataclass(slots=True)
class Ends:
    """What the road ends are linked to, as columns: (R, 2) for start and end of every road."""

    road: I64  # linked road, -1 none
    junction: I64  # linked junction, -1 none
    contact: I64  # _START or _END of the linked road


def road_ends(tables: Tables, road_index: dict[str, int], junction_index: dict[str, int]) -> Ends:
    """Resolve `<link>` of every road."""
    count = len(tables.road_id)
    ends = Ends(
        np.full((count, 2), -1, np.int64),
        np.full((count, 2), -1, np.int64),
        np.zeros((count, 2), np.int64),
    )
    both = (tables.road_predecessor, tables.road_successor)
    for side in (_START, _END):
        for road, link in enumerate(both[side]):
            if link.kind == "junction":
                ends.junction[road, side] = junction_index.get(link.id, -1)
                if link.id not in junction_index:
                    tables.note("a road is linked to a junction that the file does not hold")
            elif link.kind == "road":
                target = road_index.get(link.id, -1)
                ends.road[road, side] = target
                ends.contact[road, side] = _contact(tables, link, side)
                if target < 0:
                    tables.note("a road is linked to a road that the file does not hold")
    return ends


def _contact(tables: Tables, link: RoadLink, side: int) -> int:
    if link.contact not in ("start", "end"):
        tables.note("a road link without contactPoint was read as joining head to tail")
        return _START if side == _END else _END
    return _END if link.contact == "end" else _START


def links(
    tables: Tables,
    lanes: LaneRows,
    ends: Ends,
    section_start: I32,
    section_road: I32,
    road_index: dict[str, int],
) -> tuple[I64, I64]:
    """Pairs (from lane, to lane) in travel direction, sorted and unique."""
    first, last = section_start[:-1].astype(np.int64), section_start[1:].astype(np.int64) - 1
    a, a_end, b, b_end = _junction_joints(tables, lanes, ends, first, last, road_index)

    rows = np.array(tables.lane_link, np.int64) if tables.lane_link else np.zeros((0, 3), np.int64)
    lane, side, target = lanes.rank[rows[:, 0]], rows[:, 1], rows[:, 2]
    # A connecting lane's end that a laneLink settles is not read a second time from the lane.
    settled = np.isin(lane * 2 + side, b * 2 + b_end)
    lane, side, target = lane[~settled], side[~settled], target[~settled]
    section = lanes.section[lane].astype(np.int64)
    road = section_road[section].astype(np.int64)
    inner = np.where(side == _END, section < last[road], section > first[road])
    other_road = np.where(inner, road, ends.road[road, side])
    contact = np.where(inner, 1 - side, ends.contact[road, side])
    other = np.where(
        inner,
        section + 2 * side - 1,
        np.where(contact == _END, last[other_road], first[other_road]),
    )
    found = find_lanes(lanes, other, target)
    ok = (other_road >= 0) & (found >= 0)
    for _ in range(int(((other_road >= 0) & (found < 0)).sum())):
        tables.note("a lane link names a lane that the next section or road does not hold")
    a = np.concatenate((a, lane[ok]))
    a_end = np.concatenate((a_end, side[ok]))
    b = np.concatenate((b, found[ok]))
    b_end = np.concatenate((b_end, contact[ok]))

    # A joint leads from a to b where traffic leaves a there and enters b there, or the other way.
    leaves_a = a_end == (lanes.direction[a] > 0)
    leaves_b = b_end == (lanes.direction[b] > 0)
    forth, back = leaves_a & ~leaves_b, leaves_b & ~leaves_a
    for _ in range(int((leaves_a == leaves_b).sum())):
        tables.note("a lane link joins lanes of opposing directions and was left out")
    source = np.concatenate((a[forth], b[back]))
    target = np.concatenate((b[forth], a[back]))
    pair = np.unique(source * lanes.section.size + target)
    return np.divmod(pair, max(lanes.section.size, 1))


def _junction_joints(
    tables: Tables,
    lanes: LaneRows,
    ends: Ends,
    first: I64,
    last: I64,
    road_index: dict[str, int],
) -> tuple[I64, I64, I64, I64]:
    """laneLinks as joints (incoming lane, its end, connecting lane, its end)."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    for connection in tables.connections:
        incoming = road_index.get(connection.incoming, -1)
        connecting = road_index.get(connection.connecting, -1)
        if incoming < 0 or connecting < 0:
            tables.note("a junction connection names a road that the file does not hold")
            continue
        side = _END if connection.contact == "end" else _START
        if (
            ends.road[connecting, side] not in (-1, incoming)
            and ends.road[connecting, 1 - side] in (-1, incoming)
            and ends.junction[connecting, 1 - side] < 0
        ):
            side = 1 - side
            tables.note("a connection's contactPoint contradicts its road's links; the links count")
        if ends.road[connecting, side] == incoming:
            joint = int(ends.contact[connecting, side])
        else:
            at = [e for e in (_START, _END) if ends.junction[incoming, e] == connection.junction]
            if not at:
                tables.note("a junction connection joins a road that is not linked to the junction")
                continue
            joint = at[-1]
        if not connection.links:
            tables.note("a junction connection has no <laneLink>; the lanes' own links count")
        s_in = int(last[incoming] if joint == _END else first[incoming])
        s_con = int(last[connecting] if side == _END else first[connecting])
        rows.extend((s_in, f, joint, s_con, t, side) for f, t in connection.links)
    table_ = np.array(rows, np.int64) if rows else np.zeros((0, 6), np.int64)
    a = find_lanes(lanes, table_[:, 0], table_[:, 1])
    b = find_lanes(lanes, table_[:, 3], table_[:, 4])
    ok = (a >= 0) & (b >= 0)
    for _ in range(int((~ok & (table_[:, 1] != 0)).sum())):
        tables.note("a laneLink names a lane that the road does not hold")
    return a[ok], table_[ok, 2], b[ok], table_[ok, 5]


def csr(owner: I64, values: I64, count: int) -> tuple[I32, I32]:
    """Starts and values of pairs, sorted by owner, then value."""
    order = np.lexsort((values, owner))
    return starts(owner[order], count), values[order].astype(np.int32)


@dataclass(slots=True)
class Sides:
    """(L,) neighbours in travel direction."""

    left: I32
    right: I32
    may_left: Bool
    may_right: Bool
    opposite: I32


def neighbours(lanes: LaneRows, marks: RoadMarks, left_hand: Bool) -> Sides:
    """Adjacent lanes of a section, and whether the marks between them may be crossed over most of their length."""
    count = lanes.section.size
    index = np.arange(count, dtype=np.int32)
    joined = np.zeros(count + 1, np.bool_)  # joined[i]: lanes i-1 and i lie side by side
    joined[1:-1] = lanes.section[1:] == lanes.section[:-1]
    same = np.zeros(count + 1, np.bool_)
    same[1:-1] = joined[1:-1] & (lanes.direction[1:] == lanes.direction[:-1])
    forward = lanes.direction > 0
    up = np.where(same[:-1], index - 1, -1)  # towards the road's left
    down = np.where(same[1:], index + 1, -1)
    rise, fall = _crossable(lanes, marks)
    may_up = same[:-1] & rise[:-1]
    may_down = same[1:] & fall[1:]
    facing_up = np.where(joined[:-1] & ~same[:-1], index - 1, -1)
    facing_down = np.where(joined[1:] & ~same[1:], index + 1, -1)
    # Oncoming traffic is on the driver's left under right-hand traffic, on the right under left-hand traffic.
    look_up = forward != left_hand[lanes.road]
    opposite = np.where(look_up, facing_up, facing_down)
    spare = np.where(look_up, facing_down, facing_up)
    return Sides(
        np.where(forward, up, down).astype(np.int32),
        np.where(forward, down, up).astype(np.int32),
        np.where(forward, may_up, may_down),
        np.where(forward, may_down, may_up),
        np.where(opposite >= 0, opposite, spare).astype(np.int32),
    )


def _crossable(lanes: LaneRows, marks: RoadMarks) -> tuple[Bool, Bool]:
    """(L + 1,) may lane i change to i-1 (towards higher ids), and may i-1 change to i, over most of the boundary."""
    count = lanes.section.size
    # The mark between i-1 and i is the outer mark of whichever of the two is nearer the reference line.
    inner = np.zeros(count + 1, np.int64)
    inner[1:-1] = np.where(lanes.odr_id[1:] > 0, np.arange(1, count), np.arange(count - 1))
    total, rise, fall = np.zeros(count), np.zeros(count), np.zeros(count)
    owned = marks.lane >= 0
    lane = marks.lane[owned]
    span = np.maximum(marks.s1_m[owned] - marks.s0_m[owned], 1e-9)
    change = marks.lane_change[owned]
    np.add.at(total, lane, span)
    np.add.at(rise, lane, span * ((change == 1) | (change == 3)))
    np.add.at(fall, lane, span * (change >= 2))
    may_rise = (rise * 2 >= total)[np.minimum(inner, max(count - 1, 0))] if count else inner > 0
    may_fall = (fall * 2 >= total)[np.minimum(inner, max(count - 1, 0))] if count else inner > 0
    return may_rise, may_fall


def road_marks(tables: Tables, lanes: LaneRows, s0: F64, s1: F64) -> RoadMarks:
    """Mark pieces with the crossing permission spelled out."""
    rows = table(tables.mark, 6)
    lane = rows[:, 0].astype(np.int64)
    lane = np.where(lane >= 0, lanes.rank[lane] if lanes.rank.size else -1, -1)
    section = rows[:, 1].astype(np.int64)
    order = np.lexsort((rows[:, 2], lane, section))
    rows, lane, section = rows[order], lane[order], section[order]
    begin = s0[section] + rows[:, 2]
    end = s1[section].copy()
    follows = (lane[1:] == lane[:-1]) & (section[1:] == section[:-1])
    end[:-1][follows] = begin[1:][follows]
    kind = rows[:, 3].astype(np.uint8)
    stated = rows[:, 5].astype(np.int64)
    # Outer broken: who is outside may come in. Inwards is up (towards higher ids) right of the reference line.
    odr_id = np.where(lane >= 0, lanes.odr_id[lane] if lane.size else 0, 0)
    inwards, outwards = np.where(odr_id < 0, 1, 2), np.where(odr_id < 0, 2, 1)
    change = np.zeros(kind.size, np.int64)
    for both in (MarkKind.NONE, MarkKind.BROKEN, MarkKind.BROKEN_BROKEN, MarkKind.BOTTS_DOTS):
        change[kind == both] = 3
    change = np.where(kind == MarkKind.SOLID_BROKEN, inwards, change)
    change = np.where(kind == MarkKind.BROKEN_SOLID, outwards, change)
    change = np.where(stated >= 0, stated, change)
    colours = tables.mark_colour
    return RoadMarks(
        lane.astype(np.int32),
        section.astype(np.int32),
        begin,
        np.maximum(end, begin),
        kind,
        tuple([colours[i] for i in order]),
        np.ascontiguousarray(rows[:, 4]),
        change.astype(np.uint8),
    )
