"""The BRT corridor: a 3.5 km arterial with median bus lanes, five stations, four junctions.

Chainage runs from west to east along the reference line, which follows the middle of the median.
Cross section of either direction, from the middle outwards (lane ids -1.. eastbound, +1.. west-
bound): median, bus lane, separator (platforms and left-turn pockets lie in it), two car lanes,
green strip, cycle lane, sidewalk. Names and tables for scene authors: `docs/roads.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Final

from scenarios.roads import crossing
from scenarios.roads.crossing import Leg
from scenarios.roads.model import Controller, Cubic, Junction, Lane, Map, Mark, Road, Section, blend
from scenarios.roads.plan import Piece, Pose, bend, chain, pose_at

GEO_REFERENCE: Final = (
    "+proj=tmerc +lat_0=34.75 +lon_0=113.62 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
)
MEDIAN_M, BUS_M, SEPARATOR_M, INNER_M, OUTER_M = 1.0, 3.5, 3.25, 3.5, 3.25
GREEN_M, CYCLE_M, SIDEWALK_M = 1.0, 2.5, 3.0
POCKET_M: Final = 100.0  # left-turn pocket, of which the last 40 m may not be changed
SOLID_M: Final = 40.0
MAIN_GAP_M: Final = 24.0  # junction centre to the arterial's legs
MAIN_GAP_J3_M: Final = 30.0  # the north side street of J3 is wider by its bus lane
SIDE_GAP_M: Final = 31.0  # junction centre to the side streets' legs
SIDE_LENGTH_M: Final = 320.0
# Island station: the bus lanes swing out by this much to make room for the platform.
ISLAND_SWING_M: Final = 1.75
ISLAND_EASE_M: Final = 60.0
ISLAND_SPAN_M: Final = (315.0, 380.0)  # on road 3
# West leg of J3: the median opens by this much towards the westbound side for the bus-only lane.
BUS_POCKET_SHIFT_M: Final = 3.0
BUS_POCKET_EASE_M: Final = 70.0

_SIDE_T_M: Final = MEDIAN_M + BUS_M + SEPARATOR_M / 2
_PLATFORM_M: Final = 2.8

_BROKEN: Final = Mark("broken", change="both")
_KERB: Final = Mark("curb")
_SOLID: Final = Mark("solid")
_YELLOW: Final = Mark("solid", colour="yellow")

Step = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Block:
    """One stretch of the arterial. Pockets: approach with a left-turn lane at its end or start."""

    id: str
    name: str
    steps: tuple[Step, ...]
    pocket_at_end: bool
    pocket_at_start: bool


def build() -> Map:
    """The whole map."""
    road_map = Map("brt_corridor", GEO_REFERENCE)
    gaps = (MAIN_GAP_M, MAIN_GAP_M, MAIN_GAP_J3_M, MAIN_GAP_M)
    heights_m = (0.0, 0.0, 0.0, 4.5)
    start = Pose(0.0, 0.0, 0.0)
    arterial: list[Road] = []
    centres: list[Pose] = []
    for number, block in enumerate(_blocks()):
        if number:
            start = start.ahead(gaps[number - 1])
            centres.append(start)
            start = start.ahead(gaps[number - 1])
        plan = chain(start, *block.steps)
        arterial.append(_arterial(block, plan))
        start = pose_at(plan, arterial[-1].length_m)
    # Up at 1.5 % between J3 and J4, down behind J4; blends keep the grade continuous.
    arterial[3].elevation = (Cubic(0.0, 0.0), *blend(150.0, 450.0, 0.0, 4.5))
    arterial[4].elevation = (Cubic(0.0, 4.5), *blend(30.0, 400.0, 4.5, 0.0))
    road_map.roads.extend(arterial)
    for number, centre in enumerate(centres, start=1):
        _junction(
            road_map, number, centre, arterial[number - 1 : number + 1], heights_m[number - 1]
        )
    _stations(road_map)
    return road_map


def _blocks() -> tuple[_Block, ...]:
    swing_left = bend(350.0, 0.25, 40.0)
    swing_right = bend(350.0, -0.25, 40.0)
    wide_right = bend(500.0, -0.2, 40.0)
    wide_left = bend(500.0, 0.2, 40.0)
    return (
        _Block("1", "Arterial west of J1", ((480.0, 0.0, 0.0),), True, False),
        _Block(
            "2",
            "Arterial J1-J2",
            ((110.0, 0.0, 0.0), *swing_left, (216.0, 0.0, 0.0), *swing_right, (130.0, 0.0, 0.0)),
            True,
            True,
        ),
        _Block(
            "3",
            "Arterial J2-J3",
            ((80.0, 0.0, 0.0), *wide_right, (484.0, 0.0, 0.0)),
            True,
            True,
        ),
        _Block(
            "4",
            "Arterial J3-J4",
            ((110.0, 0.0, 0.0), *wide_left, (220.0, 0.0, 0.0), *swing_left, (160.0, 0.0, 0.0)),
            True,
            True,
        ),
        _Block("5", "Arterial east of J4", ((520.0, 0.0, 0.0),), False, True),
    )


def _half(
    side: int,
    width_of: dict[int, tuple[Cubic, ...]],
    pocket: bool,
    solid_from_m: float | None,
    solid_until_m: float | None,
) -> list[Lane]:
    """Lanes of one direction in one section; `_linked` adds their links."""
    rows: tuple[tuple[str, float, tuple[Mark, ...], float], ...] = (
        ("median", MEDIAN_M, (_KERB,), 0.0),
        ("bus", BUS_M, (_YELLOW,), 60.0),
        ("driving" if pocket else "median", SEPARATOR_M, (_KERB,), 0.0),
        ("driving", INNER_M, (_BROKEN,), 0.0),
        ("driving", OUTER_M, (_KERB,), 0.0),
        ("border", GREEN_M, (_KERB,), 0.0),
        ("biking", CYCLE_M, (_KERB,), 20.0),
        ("sidewalk", SIDEWALK_M, (_KERB,), 0.0),
    )
    lanes: list[Lane] = []
    for k, (kind, width_m, marks, speed_kmh) in enumerate(rows, start=1):
        if k == 4 or (k == 3 and pocket):
            # Solid white towards the stop line, where lanes must have been chosen.
            marks = (_BROKEN,)
            if solid_from_m is not None:
                marks = (_BROKEN, Mark("solid", s_m=solid_from_m))
            if solid_until_m is not None:
                marks = (_SOLID, Mark("broken", s_m=solid_until_m, change="both"))
        width = width_of.get(k, (Cubic(0.0, width_m),))
        lanes.append(Lane(side * k, kind, width, marks, speed_kmh))
    return lanes


def _arterial(block: _Block, plan: tuple[Piece, ...]) -> Road:
    """One block: pocket of the westbound approach, middle, pocket of the eastbound approach."""
    road = Road(block.id, block.name, plan, (), 60.0)
    total_m = road.length_m
    cuts: list[tuple[float, bool, bool]] = []
    if block.pocket_at_start:
        cuts.append((0.0, True, False))
    cuts.append((POCKET_M if block.pocket_at_start else 0.0, False, False))
    if block.pocket_at_end:
        cuts.append((total_m - POCKET_M, False, True))
    sections: list[Section] = []
    for number, (s_m, west_pocket, east_pocket) in enumerate(cuts):
        widths_east: dict[int, tuple[Cubic, ...]] = {}
        widths_west: dict[int, tuple[Cubic, ...]] = {}
        if block.id == "3" and not west_pocket and not east_pocket:
            widths_east, widths_west = _island_widths(total_m - POCKET_M - s_m, s_m)
        lanes = _half(1, widths_west, west_pocket, None, SOLID_M if west_pocket else None) + _half(
            -1, widths_east, east_pocket, POCKET_M - SOLID_M if east_pocket else None, None
        )
        if block.id == "3" and east_pocket:
            lanes = _with_bus_pocket(lanes)
        lanes = [_linked(lane, number, len(cuts), block.id) for lane in lanes]
        sections.append(Section(s_m, tuple(lanes), Mark("none")))
    road.sections = tuple(sections)
    if block.id == "3":
        road.lane_offset = (
            Cubic(0.0, 0.0),
            *blend(
                total_m - POCKET_M - BUS_POCKET_EASE_M, BUS_POCKET_EASE_M, 0.0, BUS_POCKET_SHIFT_M
            ),
        )
    return road


def _island_widths(
    section_m: float, section_s_m: float
) -> tuple[dict[int, tuple[Cubic, ...]], dict[int, tuple[Cubic, ...]]]:
    """Widths of the middle section of J2-J3: island platform, then room for the bus pocket."""
    begin_m, end_m = (s - section_s_m for s in ISLAND_SPAN_M)
    out_m, back_m = begin_m - 35.0 - ISLAND_EASE_M, end_m + 35.0
    wide, narrow = MEDIAN_M + ISLAND_SWING_M, SEPARATOR_M - ISLAND_SWING_M
    median = (
        Cubic(0.0, MEDIAN_M),
        *blend(out_m, ISLAND_EASE_M, MEDIAN_M, wide),
        *blend(back_m, ISLAND_EASE_M, wide, MEDIAN_M),
    )
    separator = (
        Cubic(0.0, SEPARATOR_M),
        *blend(out_m, ISLAND_EASE_M, SEPARATOR_M, narrow),
        *blend(back_m, ISLAND_EASE_M, narrow, SEPARATOR_M),
    )
    ease_m = section_m - BUS_POCKET_EASE_M
    shift = BUS_POCKET_SHIFT_M
    east = {
        1: (*median, *blend(ease_m, BUS_POCKET_EASE_M, MEDIAN_M, MEDIAN_M + shift)),
        3: separator,
    }
    west = {
        1: median,
        3: (*separator, *blend(ease_m, BUS_POCKET_EASE_M, SEPARATOR_M, SEPARATOR_M - shift)),
    }
    return east, west


def _with_bus_pocket(lanes: list[Lane]) -> list[Lane]:
    """Approach section with a bus-only left-turn lane inside the eastbound bus lane.

    Eastbound ids move out by one; the centre line has moved north by `BUS_POCKET_SHIFT_M`, which
    the westbound separator gives up.
    """
    out: list[Lane] = []
    change = Mark("broken", colour="yellow", change="both")
    solid = Mark("solid", s_m=POCKET_M - SOLID_M, colour="yellow")
    for lane in lanes:
        if lane.id == 3:
            lane = Lane(3, lane.type, (Cubic(0.0, SEPARATOR_M - BUS_POCKET_SHIFT_M),), lane.marks)
        elif lane.id == -1:
            left_m = MEDIAN_M + BUS_POCKET_SHIFT_M - BUS_M
            out.append(Lane(-1, "median", (Cubic(0.0, left_m),), (_KERB,)))
            lane = Lane(-2, "bus", (Cubic(0.0, BUS_M),), (change, solid), 40.0)
        elif lane.id < 0:
            lane = Lane(lane.id - 1, lane.type, lane.width, lane.marks, lane.speed_kmh)
        out.append(lane)
    return out


def _linked(lane: Lane, number: int, count: int, block_id: str) -> Lane:
    """The lane with links to the sections before and after it; pockets begin without one."""
    before: int | None = lane.id if number else None
    after: int | None = lane.id if number < count - 1 else None
    if block_id == "3" and lane.id < 0:
        if number == count - 1:  # ids beyond the bus pocket are one further out
            before = lane.id + 1 if lane.id < -2 else None
        elif number == count - 2:  # the median narrows at once: no link either
            after = lane.id - 1 if lane.id < -1 else None
    # A left-turn pocket and the separator behind or before it are different things.
    pocket_id = -4 if block_id == "3" and number == count - 1 else -3
    if lane.id == pocket_id and lane.type == "driving":
        before = None
    if lane.id == 3 and lane.type == "driving":
        after = None
    if abs(lane.id) == 3 and lane.type == "median":
        before, after = None, None
    return Lane(lane.id, lane.type, lane.width, lane.marks, lane.speed_kmh, before, after)


def _side(road_id: str, name: str, start: Pose, z_m: float, turn_rad: float, has_bus: bool) -> Road:
    """A side street from the junction outwards; its traffic into the junction has positive ids."""
    rows: tuple[tuple[str, float, Mark, float], ...] = (
        ("median", 0.5, _KERB, 0.0),
        *((("bus", BUS_M, _YELLOW, 40.0), ("median", 3.0, _KERB, 0.0)) if has_bus else ()),
        ("driving", 3.25, _BROKEN, 0.0),
        ("driving", 3.25, _SOLID, 0.0),
        ("biking", 2.0, _KERB, 20.0),
        ("sidewalk", 2.5, _KERB, 0.0),
    )
    lanes: list[Lane] = []
    for side in (1, -1):
        for k, (kind, width_m, mark, speed_kmh) in enumerate(rows, start=1):
            marks: tuple[Mark, ...] = (mark,)
            if mark is _BROKEN and side > 0:  # towards the stop line at road s = 0
                marks = (_SOLID, Mark("broken", s_m=SOLID_M, change="both"))
            lanes.append(Lane(side * k, kind, (Cubic(0.0, width_m),), marks, speed_kmh))
    if turn_rad:
        curve = bend(300.0, turn_rad, 30.0)
        rest_m = SIDE_LENGTH_M - 110.0 - sum(step[0] for step in curve)
        plan = chain(start, (110.0, 0.0, 0.0), *curve, (rest_m, 0.0, 0.0))
    else:
        plan = chain(start, (SIDE_LENGTH_M, 0.0, 0.0))
    section = Section(0.0, tuple(lanes), Mark("none"))
    return Road(road_id, name, plan, (section,), 40.0, elevation=(Cubic(0.0, z_m),))


def _junction(road_map: Map, number: int, centre: Pose, main: list[Road], z_m: float) -> None:
    """Junction `number` with side streets, all movements, signals and crosswalks."""
    name = f"J{number}"
    junction = Junction(str(100 * number), name)
    is_bus_left = number == 3
    north = _side(
        f"{20 + number}", f"North side street of {name}", centre.ahead(0.0)
        .beside(SIDE_GAP_M, pi / 2), z_m, (0.0, 0.2, 0.0, -0.2)[number - 1], is_bus_left,
    )  # fmt: skip
    south = _side(
        f"{30 + number}", f"South side street of {name}", centre.ahead(0.0)
        .beside(-SIDE_GAP_M, -pi / 2), z_m, (-0.2, 0.0, 0.2, 0.0)[number - 1], False,
    )  # fmt: skip
    road_map.roads.extend((north, south))
    west, east = Leg(main[0], True), Leg(main[1], False)
    top, bottom = Leg(north, False), Leg(south, False)
    for leg in (west, east, top, bottom):
        link = ("junction", junction.id, "")
        if leg.at_end:
            leg.road.after = link
        else:
            leg.road.before = link
    road_map.junctions.append(junction)

    # Eastbound approach ids are one further out beside the bus pocket; side ids beside bus lanes.
    in_w = 1 if is_bus_left else 0
    n = 2 if is_bus_left else 0
    ways: list[tuple[Leg, int, Leg, int, str, float]] = [
        (west, -2 - in_w, east, -2, "bus", 50.0),
        (east, 2, west, 2, "bus", 50.0),
        (west, -4 - in_w, east, -4, "driving", 50.0),
        (west, -5 - in_w, east, -5, "driving", 50.0),
        (east, 4, west, 4, "driving", 50.0),
        (east, 5, west, 5, "driving", 50.0),
        (west, -3 - in_w, top, -2 - n, "driving", 30.0),
        (east, 3, bottom, -2, "driving", 30.0),
        (west, -5 - in_w, bottom, -3, "driving", 20.0),
        (east, 5, top, -3 - n, "driving", 20.0),
        (top, 2 + n, bottom, -2, "driving", 40.0),
        (top, 3 + n, bottom, -3, "driving", 40.0),
        (bottom, 2, top, -2 - n, "driving", 40.0),
        (bottom, 3, top, -3 - n, "driving", 40.0),
        (top, 2 + n, east, -4, "driving", 30.0),
        (bottom, 2, west, 4, "driving", 30.0),
        (top, 3 + n, west, 5, "driving", 20.0),
        (bottom, 3, east, -5, "driving", 20.0),
        (west, -7 - in_w, east, -7, "biking", 15.0),
        (east, 7, west, 7, "biking", 15.0),
        (top, 4 + n, bottom, -4, "biking", 15.0),
        (bottom, 4, top, -4 - n, "biking", 15.0),
        (west, -7 - in_w, bottom, -4, "biking", 10.0),
        (east, 7, top, -4 - n, "biking", 10.0),
        (top, 4 + n, west, 7, "biking", 10.0),
        (bottom, 4, east, -7, "biking", 10.0),
    ]
    if is_bus_left:
        ways.append((west, -2, top, -2, "bus", 30.0))
        ways.append((top, 2, east, -2, "bus", 30.0))
    for k, (from_leg, from_lane, to_leg, to_lane, kind, speed_kmh) in enumerate(ways):
        way = (from_leg, from_lane, to_leg, to_lane)
        crossing.connect(road_map, junction, str(1000 * number + k), way, kind, speed_kmh, z_m)

    def add(index: int, label: str) -> Controller:
        return crossing.group(road_map, junction, f"{100 * number + index}", f"{name}.{label}")

    heads: list[tuple[str, Leg, tuple[tuple[int, int], ...]]] = [
        ("bus_east", west, ((-2 - in_w, -2 - in_w),)),
        ("bus_west", east, ((2, 2),)),
        ("main_east_through", west, ((-5 - in_w, -4 - in_w), (-7 - in_w, -7 - in_w))),
        ("main_west_through", east, ((4, 5), (7, 7))),
        ("main_east_left", west, ((-3 - in_w, -3 - in_w),)),
        ("main_west_left", east, ((3, 3),)),
        ("side_north", top, ((2 + n, 4 + n),)),
        ("side_south", bottom, ((2, 4),)),
    ]
    for index, (label, leg, lanes) in enumerate(heads, start=1):
        controller = add(index, label)
        for k, pair in enumerate(lanes, start=1):
            crossing.head(controller, leg, k, pair)
    walks = (("west", west), ("east", east), ("north", top), ("south", bottom))
    for index, (label, leg) in enumerate(walks, start=11):
        sidewalk = 8 if leg.road in main else 5 + (n if leg is top else 0)
        controller = add(index, f"ped_{label}")
        crosswalk_id = f"{name}.walk_{label}"
        crossing.crosswalk(controller, leg, crosswalk_id, sidewalk, in_w if leg is west else 0)
    if is_bus_left:
        crossing.head(add(21, "bus_left"), west, 1, (-2, -2))
        crossing.head(add(22, "bus_north"), top, 1, (2, 2))


def _stations(road_map: Map) -> None:
    """Five stations on the arterial and the terminal on the north side street of J3."""
    side: tuple[tuple[str, str, str, tuple[float, float], tuple[float, float]], ...] = (
        # id, name, road, eastbound platform, westbound platform (staggered)
        ("S1", "Xihuan", "1", (215.0, 280.0), (290.0, 355.0)),
        ("S2", "Tongbai", "2", (270.0, 335.0), (345.0, 410.0)),
        ("S4", "Dongfeng", "4", (285.0, 350.0), (360.0, 425.0)),
        ("S5", "Huanghe", "5", (180.0, 245.0), (255.0, 320.0)),
    )
    for station_id, name, road_id, east, west in side:
        road = road_map.road(road_id)
        for label, span, lane in (("east", east, -2), ("west", west, 2)):
            t_m = -_SIDE_T_M if lane < 0 else _SIDE_T_M
            crossing.station(
                road, f"{station_id}.{label}", f"{name} {label}bound", span, t_m, _PLATFORM_M, (lane,)
            )  # fmt: skip
    crossing.station(
        road_map.road("3"), "S3", "Zijingshan", ISLAND_SPAN_M, 0.0,
        2 * (MEDIAN_M + ISLAND_SWING_M) - 0.5, (-2, 2),
    )  # fmt: skip
    terminal_t_m = -(0.5 + BUS_M + 1.5)
    crossing.station(
        road_map.road("23"), "T", "Beiguan terminal", (180.0, 245.0), terminal_t_m, 2.6, (-2,)
    )
