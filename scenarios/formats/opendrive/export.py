"""A derived OpenDRIVE that CARLA 0.9.16 drives on, for `icv map export`.

What CARLA's client cannot take is rewritten; what it ignores stays. Permissions are lost on the way: they stay in our network.

* Lane types it does not know (bus, taxi, HOV, ramps' old names ...) are invisible to it, and only `driving` lanes have a
  topology: every lane that any motor vehicle may use becomes `driving`, `curb` becomes `border`, other unknown ones `sidewalk`.
* A lane without `<roadMark>` crashes its lane-invasion sensor: each lane, the centre too, gets one of type none.
* `<border>` is not read by it: width records are written.
* A spiral whose two curvatures are all but equal makes its clothoid diverge: written as an arc. An arc that is all but
  straight makes its positions NaN: written as a line.
* Ids of roads and junctions must be integers, and a junction with the id of a road is taken for that road: such ids are
  renumbered.
* It knows signals by German type numbers only: lights become 1000001, stop, yield and speed limit signs 206, 205 and 274.
  One without `<validity>` it takes to hold the lanes of the opposite direction: written for those of its orientation.
* Without `<geoReference>` it warns and assumes one: written at latitude and longitude 0.

What its route planner cannot take is repaired first, see `repair.py`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from lxml import etree

from protocols.errors import RoadError
from protocols.roads.network import MOTOR, RoadNetwork
from scenarios.formats.opendrive.build import MAX_POINTS, build
from scenarios.formats.opendrive.parse import load_tree, parse
from scenarios.formats.opendrive.place import VEHICLES, number, signal_meaning
from scenarios.formats.opendrive.read import file_bytes
from scenarios.formats.opendrive.repair import repair_for_planner

KNOWN = frozenset(
    ("driving", "stop", "shoulder", "biking", "sidewalk", "border", "restricted", "parking", "bidirectional",
     "median", "special1", "special2", "special3", "roadworks", "tram", "rail", "entry", "exit", "offramp", "onramp", "none")
)  # fmt: skip
"""Lane types that CARLA 0.9.16 knows, lower case."""

LIGHT = "1000001"
LIGHTS = frozenset(
    (LIGHT, "1000002", "1000007", "1000008", "1000009", *(str(1000000 + k) for k in range(10, 21)), "F", "W", "A")
)  # fmt: skip
"""Signal types that CARLA takes for traffic lights."""
SIGNS = {"stop": "206", "yield": "205", "speed_limit": "274"}

ALIKE_PER_M = 1e-7  # curvatures closer than this are an arc
STRAIGHT_M = 0.001  # an arc that bends off by less is a line; CARLA loses such radii in rounding, or divides by 0
GEO_REFERENCE = "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"


def export_carla(path: Path, out: Path) -> dict[str, int]:
    """Write the derived file and return how often each rewrite was needed. Raises RoadError for an unreadable file."""
    path, out = Path(path), Path(out)
    text, done = derive(path, file_bytes(path), repair=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=out.parent, prefix=out.name, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(text)
    Path(draft).replace(out)
    return done


def derive(
    path: Path, data: bytes, *, repair: bool = True, max_points: int = MAX_POINTS
) -> tuple[bytes, dict[str, int]]:
    """The derived text of a road file's bytes, and how often each rewrite was needed. Raises RoadError.

    Without `repair` it has every lane of the original, and CARLA's route planner may fail on it. `max_points` as `build` has it.
    """
    root = load_tree(path, data)
    done: dict[str, int] = {}
    if repair:
        try:
            repair_for_planner(root, done)
        except (KeyError, ValueError, IndexError) as error:
            parse(path, data)  # says better what is wrong
            raise RoadError(f"{path}: lane sections cannot be read ({error}). Correct the file.") from error  # fmt: skip
        if done:
            data = etree.tostring(root)
    net = build(parse(path, data), path.stem, "", max_points=max_points)
    _lanes(root, net, done)
    _curves(root, done)
    _signals(root, net, done)
    _ids(root, done)
    header = root.find("header")
    if header is not None and header.find("geoReference") is None:
        etree.SubElement(header, "geoReference").text = GEO_REFERENCE
        _count(done, "geo_reference_added")
    text = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return text, done


def _count(done: dict[str, int], what: str) -> None:
    done[what] = done.get(what, 0) + 1


def _lanes(root: etree._Element, net: RoadNetwork, done: dict[str, int]) -> None:
    lane_of = {
        (int(net.lanes.section[i]), int(net.lanes.odr_id[i])): i for i in range(net.num_lanes)
    }
    section = -1
    for element in root.iterfind("road/lanes/laneSection"):
        section += 1
        for lane in element.iterfind("*/lane"):
            odr_id = int(lane.attrib["id"])
            if odr_id:
                _type(lane, int(net.lanes.permission[lane_of[section, odr_id]]), done)
                _width(lane, net, lane_of[section, odr_id], done)
            if lane.find("roadMark") is None:
                mark = etree.Element("roadMark", sOffset="0", type="none", weight="standard",
                                     color="standard", width="0")  # fmt: skip
                lane.insert(_place(lane, ("link", "width", "border")), mark)
                _count(done, "road_mark_added")


def _place(lane: etree._Element, before: tuple[str, ...]) -> int:
    """Position behind the last child of these names: the schema fixes the order."""
    return max((i + 1 for i, child in enumerate(lane) if child.tag in before), default=0)


def _type(lane: etree._Element, permission: int, done: dict[str, int]) -> None:
    kind = lane.get("type", "none").lower()
    if permission & int(MOTOR) and kind not in ("parking", "stop"):
        new = "driving"
    elif kind in KNOWN:
        return
    else:
        new = "border" if kind == "curb" else "sidewalk"
    if kind != new:
        lane.set("type", new)
        _count(done, f"lane_{kind}_to_{new}")


def _width(lane: etree._Element, net: RoadNetwork, index: int, done: dict[str, int]) -> None:
    if lane.find("width") is not None:
        return
    first, last = int(net.lanes.width_start[index]), int(net.lanes.width_start[index + 1])
    rows = [(float(net.width.s_m[i]), *map(float, net.width.coef[i])) for i in range(first, last)]
    at = _place(lane, ("link",))
    for row in reversed(rows or [(0.0, 0.0, 0.0, 0.0, 0.0)]):
        names = ("sOffset", "a", "b", "c", "d")
        lane.insert(
            at, etree.Element("width", {k: repr(v) for k, v in zip(names, row, strict=True)})
        )
    for border in lane.findall("border"):
        lane.remove(border)
    _count(done, "width_added")


def _curves(root: etree._Element, done: dict[str, int]) -> None:
    for spiral in root.findall("road/planView/geometry/spiral"):
        start, end = float(spiral.attrib["curvStart"]), float(spiral.attrib["curvEnd"])
        if abs(end - start) <= ALIKE_PER_M:
            parent = spiral.getparent()
            assert parent is not None
            arc = etree.Element("arc", curvature=repr((start + end) / 2))
            parent.replace(spiral, arc)
            _count(done, "spiral_to_arc")
    for arc in root.findall("road/planView/geometry/arc"):
        parent = arc.getparent()
        assert parent is not None
        bend_m = 0.5 * abs(float(arc.attrib["curvature"])) * float(parent.attrib["length"]) ** 2
        if bend_m < STRAIGHT_M:
            parent.replace(arc, etree.Element("line"))
            _count(done, "arc_to_line")


def _signals(root: etree._Element, net: RoadNetwork, done: dict[str, int]) -> None:
    for road, element in enumerate(root.iterfind("road")):
        for signal in element.iterfind("signals/signal"):
            _signal_type(signal, done)
            lanes = _signal_lanes(signal, net, road)
            if lanes and signal.find("validity") is None:
                validity = etree.Element("validity", fromLane=str(min(lanes)), toLane=str(max(lanes)))  # fmt: skip
                signal.insert(0, validity)
                _count(done, "signal_validity_added")


def _signal_type(signal: etree._Element, done: dict[str, int]) -> None:
    meaning = signal_meaning({str(k): str(v) for k, v in signal.attrib.items()})
    kind = str(signal.get("type", ""))
    if str(signal.get("dynamic", "no")).lower() in ("yes", "true", "1"):
        if meaning == "pedestrian_light" or kind in LIGHTS:
            return
        meaning, new = "light", LIGHT
    else:
        new = SIGNS.get(meaning, kind)
    if new != kind:
        signal.set("type", new)
        _count(done, f"signal_{meaning}_renamed")


def _signal_lanes(signal: etree._Element, net: RoadNetwork, road: int) -> list[int]:
    """Lane ids of the direction that a signal is oriented to; empty where it is for both."""
    orientation = str(signal.get("orientation", "none"))
    if orientation not in ("+", "-"):
        return []
    first, last = int(net.roads.section_start[road]), int(net.roads.section_start[road + 1])
    s = number({str(k): str(v) for k, v in signal.attrib.items()}, "s")
    at = int(np.searchsorted(net.sections.s0_m[first:last], s, side="right")) - 1
    section = first + max(at, 0)
    rows = range(int(net.sections.lane_start[section]), int(net.sections.lane_start[section + 1]))
    forward = orientation == "+"
    return [
        int(net.lanes.odr_id[k])
        for k in rows
        if (net.lanes.direction[k] > 0) == forward and net.lanes.permission[k] & np.uint32(VEHICLES)
    ]


def _ids(root: etree._Element, done: dict[str, int]) -> None:
    roads, junctions = root.findall("road"), root.findall("junction")
    numbers = [int(e.attrib["id"]) for e in (*roads, *junctions) if _fits(str(e.attrib["id"]))]
    free = max(numbers, default=0) + 1
    taken: set[str] = set()
    for tag, elements in (("road", roads), ("junction", junctions)):
        renamed: dict[str, str] = {}
        for element in elements:
            old = str(element.attrib["id"])
            if not _fits(old) or old in taken:
                renamed[old] = str(free)
                element.set("id", str(free))
                free += 1
                _count(done, f"{tag}_renumbered")
        taken |= {str(e.attrib["id"]) for e in elements}
        if renamed:
            _rename(root, tag, renamed)


def _fits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < 2**30


def _rename(root: etree._Element, tag: str, renamed: dict[str, str]) -> None:
    """Follow renamed ids to every place that names a road or a junction."""
    for link in root.iterfind("road/link/*"):
        if link.get("elementType", "road") == tag and link.get("elementId") in renamed:
            link.set("elementId", renamed[str(link.get("elementId"))])
    if tag == "junction":
        for road in root.iterfind("road"):
            if road.get("junction") in renamed:
                road.set("junction", renamed[str(road.get("junction"))])
        return
    for element in root.iterfind("junction/*"):
        for name in ("incomingRoad", "connectingRoad", "linkedRoad", "high", "low"):
            if element.get(name) in renamed:
                element.set(name, renamed[str(element.get(name))])
