"""The smart island: a campus loop for a shuttle, a plaza with shared space, one gate road.

The loop (about 1.7 km) runs counter-clockwise in reference direction: lane -1 drives counter-
clockwise on the outside, lane 1 clockwise on the inside. Three unsignalised T-junctions: K1 (gate
road, west), K2 (plaza, south), K3 (plaza, north); the loop has priority. Names and tables for scene
authors: `docs/roads.md`.
"""

from __future__ import annotations

from math import pi
from typing import Final

from scenarios.roads import crossing
from scenarios.roads.crossing import Leg
from scenarios.roads.model import Cubic, Junction, Lane, Map, Mark, Road, Section, Signal, Thing
from scenarios.roads.plan import Piece, Pose, bend, chain, pose_at

GEO_REFERENCE: Final = (
    "+proj=tmerc +lat_0=34.76 +lon_0=113.66 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
)
HALF_X_M, HALF_Y_M = 300.0, 160.0  # the loop is a rounded rectangle around the origin
PLAZA_X_M: Final = 40.0
GAP_M: Final = 16.0  # junction centre to its legs
CORNER: Final = bend(45.0, pi / 2, 20.0)
LANE_M, STRIP_M, SIDEWALK_M = 3.5, 1.75, 2.5
GATE_M: Final = 220.0
SHARED_M: Final = (80.0, 210.0)  # road s of the shared space on the plaza road

_DASH: Final = Mark("broken", colour="yellow", change="none")
_EDGE: Final = Mark("solid")
_KERB: Final = Mark("curb")


def build() -> Map:
    """The whole map."""
    road_map = Map("smart_island", GEO_REFERENCE)
    corner_m = abs(pose_at(chain(Pose(0.0, 0.0, 0.0), *CORNER), _corner_length_m()).x_m)
    down_m = HALF_Y_M - GAP_M - corner_m
    across_m = 2 * HALF_X_M - 2 * corner_m
    west_m = HALF_X_M + PLAZA_X_M - GAP_M - corner_m  # corner to plaza
    east_m = across_m - west_m - 2 * GAP_M
    loop_a = _loop(
        "1", "Loop K1-K2", chain(Pose(-HALF_X_M, -GAP_M, -pi / 2), _line(down_m), *CORNER,
        _line(west_m)), (),
    )  # fmt: skip
    side_m = 2 * (HALF_Y_M - corner_m)
    plan_b = chain(
        Pose(PLAZA_X_M + GAP_M, -HALF_Y_M, 0.0), _line(east_m), *CORNER, _line(side_m), *CORNER,
        _line(east_m),
    )  # fmt: skip
    # Cycle lanes along the east side of the loop, from corner to corner.
    cycle_from_m = round(east_m, 3)
    cycle_to_m = round(east_m + 2 * _corner_length_m() + side_m, 3)
    loop_b = _loop("2", "Loop K2-K3", plan_b, (cycle_from_m, cycle_to_m))
    loop_c = _loop(
        "3", "Loop K3-K1", chain(Pose(PLAZA_X_M - GAP_M, HALF_Y_M, pi), _line(west_m), *CORNER,
        _line(down_m)), (),
    )  # fmt: skip
    gate = _gate()
    plaza = _plaza()
    road_map.roads.extend((loop_a, loop_b, loop_c, gate, plaza))
    _junction(road_map, "K1", (Leg(loop_c, True), Leg(loop_a, False), Leg(gate, False)))
    _junction(road_map, "K2", (Leg(loop_a, True), Leg(loop_b, False), Leg(plaza, False)))
    _junction(road_map, "K3", (Leg(loop_b, True), Leg(loop_c, False), Leg(plaza, True)))
    _stations(road_map)
    _crosswalks(road_map)
    _furniture(road_map)
    return road_map


def _line(length_m: float) -> tuple[float, float, float]:
    return (length_m, 0.0, 0.0)


def _corner_length_m() -> float:
    return sum(step[0] for step in CORNER)


def _section(
    s_m: float, kinds: tuple[str, ...], speed_kmh: float, link: tuple[bool, bool]
) -> Section:
    """Both directions alike; `kinds` are lane 1.. outwards, `link` to the sections beside."""
    widths = {"driving": LANE_M, "sidewalk": SIDEWALK_M}
    lanes: list[Lane] = []
    for side in (1, -1):
        for k, kind in enumerate(kinds, start=1):
            lanes.append(
                Lane(
                    side * k,
                    kind,
                    (Cubic(0.0, widths.get(kind, STRIP_M)),),
                    (_EDGE if kind == "driving" else _KERB,),
                    speed_kmh if kind == "driving" else 0.0,
                    side * k if link[0] and kind in widths else None,
                    side * k if link[1] and kind in widths else None,
                )
            )
    return Section(s_m, tuple(lanes), _DASH)


def _loop(
    road_id: str, name: str, plan: tuple[Piece, ...], cycle_span_m: tuple[float, ...]
) -> Road:
    green, cycle = ("driving", "border", "sidewalk"), ("driving", "biking", "sidewalk")
    sections: tuple[Section, ...] = (_section(0.0, green, 30.0, (False, False)),)
    if cycle_span_m:
        sections = (
            _section(0.0, green, 30.0, (False, True)),
            _section(cycle_span_m[0], cycle, 30.0, (True, True)),
            _section(cycle_span_m[1], green, 30.0, (True, False)),
        )
    return Road(road_id, name, plan, sections, 30.0)


def _gate() -> Road:
    plan = chain(Pose(-HALF_X_M - GAP_M, 0.0, pi), _line(GATE_M))
    sections = (_section(0.0, ("driving", "border", "sidewalk"), 40.0, (False, False)),)
    return Road("4", "Gate road", plan, sections, 40.0)


def _plaza() -> Road:
    length_m = 2 * (HALF_Y_M - GAP_M)
    kinds = ("driving", "border", "sidewalk")
    sections = (
        _section(0.0, kinds, 20.0, (False, True)),
        _section(SHARED_M[0], kinds, 15.0, (True, True)),
        _section(SHARED_M[1], kinds, 20.0, (True, False)),
    )
    plan = chain(Pose(PLAZA_X_M, -HALF_Y_M + GAP_M, pi / 2), _line(length_m))
    return Road("5", "Plaza", plan, sections, 20.0)


def _junction(road_map: Map, name: str, legs: tuple[Leg, Leg, Leg]) -> None:
    """A T: the loop in, the loop on, and the side road, which gives way."""
    junction = Junction(f"{100 * int(name[1])}", name)
    road_map.junctions.append(junction)
    for leg in legs:
        link = ("junction", junction.id, "")
        if leg.at_end:
            leg.road.after = link
        else:
            leg.road.before = link
    number = 0
    for from_leg in legs:
        for to_leg in legs:
            if from_leg is to_leg:
                continue
            is_through = from_leg is not legs[2] and to_leg is not legs[2]
            way = (from_leg, from_leg.sign, to_leg, -to_leg.sign)
            road_id = f"{1000 * int(name[1]) + number}"
            speed_kmh = 30.0 if is_through else 15.0
            crossing.connect(road_map, junction, road_id, way, "driving", speed_kmh, 0.0)
            number += 1
    side = legs[2]
    junction.priorities.extend((leg.road.id, side.road.id) for leg in legs[:2])
    side.road.signals.append(
        Signal(
            id=f"{name}.yield",
            name=f"{name} give way",
            s_m=side.s_m(2.0),
            t_m=side.sign * (LANE_M + 0.8),
            orientation="+" if side.at_end else "-",
            lanes=(side.sign, side.sign),
            type="205",
            country="DE",
            is_dynamic=False,
            z_offset_m=2.2,
        )
    )


def _stations(road_map: Map) -> None:
    """Platforms on the green strip, at the driver's right."""
    rows: tuple[tuple[str, str, str, float, int, str], ...] = (
        # id, name, road, road s of the platform's middle, lane, how it is served
        ("Gate", "Gate", "1", 45.0, -1, "fixed"),
        ("Library", "Library", "1", 250.0, -1, "fixed"),
        ("Library.cw", "Library clockwise", "1", 290.0, 1, "fixed"),
        ("Lab", "Lab", "2", 660.0, -1, "on_call"),
        ("Dorm", "Dorm", "3", 120.0, -1, "fixed"),
        ("Dorm.cw", "Dorm clockwise", "3", 160.0, 1, "fixed"),
        ("Clinic", "Clinic", "2", 80.0, -1, "on_call"),
    )
    for station_id, name, road_id, middle_m, lane, how in rows:
        t_m = (LANE_M + STRIP_M / 2) * (1 if lane > 0 else -1)
        crossing.station(
            road_map.road(road_id), station_id, name, (middle_m - 8.0, middle_m + 8.0), t_m,
            STRIP_M - 0.15, (lane,), extra=(("icv.service", how),),
        )  # fmt: skip


def _walk(road: Road, object_id: str, s_m: float, data: tuple[tuple[str, str], ...] = ()) -> None:
    road.objects.append(
        Thing(
            id=object_id,
            name=object_id,
            type="crosswalk",
            s_m=s_m,
            t_m=0.0,
            length_m=2 * (LANE_M + STRIP_M) + 1.0,
            width_m=4.0,
            hdg_rad=pi / 2,
            data=data,
            has_outline=True,
        )
    )


def _crosswalks(road_map: Map) -> None:
    """Unmarked places to cross, and the signalised one at the library (X1)."""
    for number, s_m in enumerate((100.0, 145.0, 190.0), start=1):
        _walk(road_map.road("5"), f"plaza.walk_{number}", s_m)
    _walk(road_map.road("3"), "dorm.walk", 140.0)
    _walk(road_map.road("2"), "clinic.walk", 110.0)
    road, s_m = road_map.road("1"), 270.0
    drivers = crossing.group(road_map, None, "401", "X1.road")
    walkers = crossing.group(road_map, None, "411", "X1.ped")
    _walk(road, "library.walk", s_m, (("icv.signal_group", walkers.id),))
    for number, lane in ((1, -1), (2, 1)):
        drivers.signals.append(f"{drivers.id}{number}")
        road.signals.append(
            Signal(
                id=drivers.signals[-1],
                name=drivers.name,
                s_m=s_m + 3.5 * lane,
                t_m=lane * (LANE_M + 0.8),
                orientation="+" if lane < 0 else "-",
                lanes=(lane, lane),
            )
        )
        walkers.signals.append(f"{walkers.id}{number}")
        road.signals.append(
            Signal(
                id=walkers.signals[-1],
                name=walkers.name,
                s_m=s_m,
                t_m=lane * (LANE_M + STRIP_M + 0.5),
                orientation="none",
                lanes=(3 * lane, 3 * lane),
                type="1000002",
                z_offset_m=2.5,
            )
        )


def _furniture(road_map: Map) -> None:
    """The shared space's outline and a row of parking bays off the loop."""
    road_map.road("5").objects.append(
        Thing(
            id="plaza",
            name="Plaza shared space",
            type="sharedSpace",
            s_m=sum(SHARED_M) / 2,
            t_m=0.0,
            length_m=SHARED_M[1] - SHARED_M[0],
            width_m=2 * (LANE_M + STRIP_M + SIDEWALK_M),
            has_outline=True,
        )
    )
    for number in range(10):
        road_map.road("3").objects.append(
            Thing(
                id=f"bay_{number}",
                name=f"Parking bay {number}",
                type="parkingSpace",
                s_m=200.0 + 2.6 * number,
                t_m=LANE_M + STRIP_M + SIDEWALK_M + 2.7,
                length_m=5.2,
                width_m=2.5,
                hdg_rad=pi / 2,
                has_outline=True,
            )
        )
