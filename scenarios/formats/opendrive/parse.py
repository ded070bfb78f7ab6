"""OpenDRIVE XML to plain columns: one walk over the tree, no interpretation beyond numbers and units.

Accepts 1.4 to 1.8 (and 1.1 to 1.3 as far as the elements are the same). The parser expands no entity, opens no other file and
refuses files above `MAX_BYTES`. Lanes appear in file order here; `lanes.py` sorts them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lxml import etree

from protocols.errors import RoadError
from protocols.roads.network import PlanKind
from protocols.sentence import say
from scenarios.formats.opendrive.access import LANE_TYPES, MARK_KINDS
from scenarios.formats.opendrive.tables import Connection, Item, Junction, RoadLink, Row, Tables

MAX_BYTES = 256 * 1024 * 1024
UNITS = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
CHANGE = {"none": 0, "increase": 1, "decrease": 2, "both": 3}


def load_tree(path: Path, data: bytes) -> etree._Element:
    """Root element of the file, without namespaces. Raises RoadError for what is not OpenDRIVE."""
    if len(data) > MAX_BYTES:
        raise RoadError(
            say("{file}: {size} bytes, at most {allowed} are read. Split the map into parts.", file=path, size=len(data), allowed=MAX_BYTES)
        )  # fmt: skip
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,  # half of the nodes are indentation
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise RoadError(
            say("{file}: not well-formed XML ({why!s}). Expected an OpenDRIVE file; check that it is complete.", file=path, why=error.msg)
        ) from error  # fmt: skip
    if isinstance(root.tag, str) and root.tag.startswith("{"):
        for element in root.iter():
            if isinstance(element.tag, str):
                element.tag = etree.QName(element).localname
    if root.tag != "OpenDRIVE":
        raise RoadError(
            say("{file}: the outermost element is <{tag}>, expected <OpenDRIVE>. Give an OpenDRIVE (.xodr) file.", file=path, tag=root.tag)
        )  # fmt: skip
    return root


def parse(path: Path, data: bytes) -> Tables:
    """Walk the whole file once. Raises RoadError naming the road for missing or unreadable numbers."""
    root = load_tree(path, data)
    tables = Tables(str(path))
    for element in root:
        tag = element.tag
        if tag == "road":
            try:
                _road(tables, element)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise RoadError(
                    say(
                        "{file}: road '{id}': {why!s}. Expected the attributes of OpenDRIVE 1.4 to 1.8; correct the file.",
                        file=path, id=element.get("id", "?"), why=_reason(error),
                    )
                ) from error  # fmt: skip
        elif tag in ("junction", "controller", "header"):
            try:
                _TOP[tag](tables, element)
            except (ValueError, TypeError, KeyError) as error:
                raise RoadError(
                    say(
                        "{file}: {tag} '{id}': {why!s}. Correct the file.",
                        file=path, tag=tag, id=element.get("id", ""), why=_reason(error),
                    )
                ) from error  # fmt: skip
        elif tag not in ("userData", "include", "dataQuality", "station", "junctionGroup"):
            tables.note(f"<{tag}> at the top level is not an OpenDRIVE element and was left out")
        elif tag == "include":
            tables.note("<include> was not followed: other files are never opened")
    if not tables.version:
        raise RoadError(
            say("{file}: no <header> with revMajor and revMinor. Give an OpenDRIVE file.", file=path)
        )  # fmt: skip
    if not tables.road_id:
        raise RoadError(
            say("{file}: the file holds no <road>. Give a file with at least one road.", file=path)
        )
    return tables


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"attribute or element {error} is missing"
    return f"a value cannot be read ({error})"


def _header(tables: Tables, element: etree._Element) -> None:
    major, minor = int(float(element.attrib["revMajor"])), int(float(element.attrib["revMinor"]))
    tables.version = f"{major}.{minor}"
    tables.name = element.get("name", "")
    if major != 1:
        raise ValueError(
            say("OpenDRIVE {version}, versions 1.1 to 1.8 are read", version=tables.version)
        )
    if minor > 8:
        tables.note(f"version {tables.version} is newer than 1.8; unknown elements were left out")
    for child in element:
        if child.tag == "geoReference":
            tables.geo_reference = (child.text or "").strip()
        elif child.tag == "offset":
            get = child.get
            tables.offset = (
                float(get("x", "0")),
                float(get("y", "0")),
                float(get("z", "0")),
                float(get("hdg", "0")),
            )


def _cubic(rows: list[Row], owner: int, element: etree._Element, key: str = "s") -> None:
    get = element.get
    rows.append(
        (
            owner,
            float(get(key, "0")),
            float(get("a", "0")),
            float(get("b", "0")),
            float(get("c", "0")),
            float(get("d", "0")),
        )
    )


def _road(tables: Tables, element: etree._Element) -> None:
    road = len(tables.road_id)
    attributes = element.attrib
    tables.road_id.append(str(attributes["id"]))
    tables.road_name.append(str(attributes.get("name", "")))
    tables.road_length.append(float(attributes["length"]))
    tables.road_junction.append(str(attributes.get("junction", "-1")))
    tables.road_lht.append(str(attributes.get("rule", "RHT")).upper() == "LHT")
    tables.road_predecessor.append(RoadLink(""))
    tables.road_successor.append(RoadLink(""))
    has_plan = has_lanes = False
    for child in element:
        tag = child.tag
        if tag == "planView":
            has_plan = _plan(tables, road, child)
        elif tag == "lanes":
            has_lanes = _lanes(tables, road, child)
        elif tag == "link":
            for link in child:
                entry = RoadLink(
                    link.get("elementType", "road"),
                    link.get("elementId", ""),
                    link.get("contactPoint", ""),
                )
                if link.tag == "predecessor":
                    tables.road_predecessor[road] = entry
                elif link.tag == "successor":
                    tables.road_successor[road] = entry
        elif tag == "elevationProfile":
            for record in child.iterchildren("elevation"):
                _cubic(tables.elevation, road, record)
        elif tag == "lateralProfile":
            for record in child:
                if record.tag == "superelevation":
                    _cubic(tables.superelevation, road, record)
                elif record.tag in ("shape", "crossSectionSurface", "crossfall"):
                    tables.note(f"<{record.tag}> of the lateral profile was left out (flat across)")
        elif tag == "type":
            speed = child.find("speed")
            limit = float("nan") if speed is None else _speed(tables, speed)
            tables.road_speed.append((road, float(child.get("s", "0")), limit))
        elif tag == "objects":
            _objects(tables, road, child)
        elif tag == "signals":
            _signals(tables, road, child)
        elif tag == "surface":
            tables.note("<surface> (road surface detail) was left out")
        elif tag == "railroad":
            if len(child):
                tables.note("<railroad> was left out")
        elif tag not in ("userData", "include", "dataQuality"):
            tables.note(f"<{tag}> inside <road> is not known and was left out")
    if not has_plan:
        raise KeyError("planView/geometry")
    if not has_lanes:
        raise KeyError("lanes/laneSection")


def _plan(tables: Tables, road: int, element: etree._Element) -> bool:
    rows = tables.plan
    found = False
    for record in element:
        if record.tag != "geometry":
            continue
        get = record.attrib
        head = (road, float(get["s"]), float(get["x"]), float(get["y"]), float(get["hdg"]))
        length = float(get["length"])
        shape = next((c for c in record if c.tag in _SHAPES), None)
        if shape is None:
            raise KeyError("line, arc, spiral, poly3 or paramPoly3 inside geometry")
        kind, names = _SHAPES[shape.tag]
        values = [float(shape.attrib[name]) for name in names]
        if kind == PlanKind.PARAM_POLY3 and shape.get("pRange", "normalized") != "arcLength":
            # p runs 0..1: rescale so that it runs 0..length.
            k = length if length > 0 else 1.0
            values = [v / k ** (i % 4) for i, v in enumerate(values)]
        elif kind == PlanKind.POLY3:
            values = [0.0, 1.0, 0.0, 0.0, *values]
        values += [0.0] * (8 - len(values))
        rows.append((*head, length, float(kind), *values))
        found = True
    return found


_SHAPES: dict[str, tuple[PlanKind, tuple[str, ...]]] = {
    "line": (PlanKind.LINE, ()),
    "arc": (PlanKind.ARC, ("curvature",)),
    "spiral": (PlanKind.SPIRAL, ("curvStart", "curvEnd")),
    "poly3": (PlanKind.POLY3, ("a", "b", "c", "d")),
    "paramPoly3": (PlanKind.PARAM_POLY3, ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV")),
}


def _speed(tables: Tables, element: etree._Element) -> float:
    text = element.get("max", "")
    unit = element.get("unit", "m/s")
    try:
        value = float(text)
    except ValueError:
        if text not in ("no limit", "undefined", ""):
            tables.note(f"speed limit '{text}' is not a number and was left out")
        return float("nan")
    if unit not in UNITS:
        tables.note(f"speed unit '{unit}' is not m/s, km/h or mph and was left out")
        return float("nan")
    return value * UNITS[unit] if value >= 0 else float("nan")


def _lanes(tables: Tables, road: int, element: etree._Element) -> bool:
    found = False
    for child in element:
        if child.tag == "laneOffset":
            _cubic(tables.lane_offset, road, child)
        elif child.tag == "laneSection":
            section = len(tables.section)
            tables.section.append((road, float(child.attrib["s"])))
            if child.get("singleSide") in ("true", "1"):
                tables.note("laneSection singleSide is read as a section of both sides")
            for side in child:
                if side.tag in ("left", "right", "center"):
                    for lane in side:
                        if lane.tag == "lane":
                            _lane(tables, section, lane)
            found = True
    return found


def _lane(tables: Tables, section: int, element: etree._Element) -> None:
    get = element.get
    odr_id = int(element.attrib["id"])
    if odr_id:
        lane = len(tables.lane)
        kind = get("type", "none")
        code = LANE_TYPES.get(kind.lower())
        if code is None:
            tables.note(f"lane type '{kind}' is not known and was read as 'none'")
            code = 0
        turned = get("direction")
        tables.lane.append((section, odr_id, code, 1 if turned == "reversed" else 0))
        if turned == "both":
            tables.note("lane direction 'both' was read as the standard direction")
    else:
        lane = -1
    for child in element:
        tag = child.tag
        if tag == "width":
            if lane >= 0:
                _cubic(tables.width, lane, child, "sOffset")
        elif tag == "roadMark":
            _mark(tables, lane, section, child)
        elif tag == "link":
            for link in child:
                if lane >= 0 and (target := link.get("id")) is not None:
                    tables.lane_link.append((lane, int(link.tag == "successor"), int(target)))
        elif lane < 0:
            continue
        elif tag == "speed":
            tables.lane_speed.append(
                (lane, float(child.get("sOffset", "0")), _speed(tables, child))
            )
        elif tag == "border":
            _cubic(tables.border, lane, child, "sOffset")
        elif tag == "access":
            named = child.get("restriction")
            who = [r.get("type", "") for r in child.iterchildren("restriction")]
            if named is not None:
                who.insert(0, named)
            tables.access.append(
                (lane, float(child.get("sOffset", "0")), child.get("rule", "deny"), tuple(who))
            )
        elif tag == "height":
            tables.note("lane <height> was left out: lanes lie on the road's surface")


def _mark(tables: Tables, lane: int, section: int, element: etree._Element) -> None:
    get = element.get
    text = get("type", "none")
    kind = MARK_KINDS.get(text.lower().replace("_", " "))
    if kind is None:
        tables.note(f"roadMark type '{text}' is not known and was read as 'solid'")
        kind = 1
    tables.mark.append(
        (
            lane,
            section,
            float(get("sOffset", "0")),
            kind,
            float(get("width", "0")),
            CHANGE.get(get("laneChange", ""), -1),
        )
    )
    tables.mark_colour.append(get("color", "standard"))


def _validity(item: Item, element: etree._Element) -> None:
    item.validity.append((int(element.attrib["fromLane"]), int(element.attrib["toLane"])))


def _user(item: Item, element: etree._Element) -> None:
    code = element.get("code")
    if code is not None:
        item.user[code] = element.get("value", "")


def _signals(tables: Tables, road: int, element: etree._Element) -> None:
    for child in element:
        if child.tag not in ("signal", "signalReference"):
            continue
        item = Item(road, {str(k): str(v) for k, v in child.attrib.items()})
        for part in child:
            if part.tag == "validity":
                _validity(item, part)
            elif part.tag == "userData":
                _user(item, part)
            elif part.tag == "reference":
                item.references.append({str(k): str(v) for k, v in part.attrib.items()})
        (tables.signals if child.tag == "signal" else tables.signal_references).append(item)


def _objects(tables: Tables, road: int, element: etree._Element) -> None:
    for child in element:
        if child.tag != "object":
            tables.note(f"<{child.tag}> inside <objects> was left out")
            continue
        item = Item(road, {str(k): str(v) for k, v in child.attrib.items()})
        for part in child:
            if part.tag == "validity":
                _validity(item, part)
            elif part.tag == "userData":
                _user(item, part)
            elif part.tag == "outline":
                item.outlines.append(_outline(part))
            elif part.tag == "outlines":
                item.outlines.extend(_outline(o) for o in part.iterchildren("outline"))
            elif part.tag == "repeat":
                item.has_repeat = True
                tables.note("object <repeat> was left out: the object appears once")
        tables.objects.append(item)


def _outline(element: etree._Element) -> list[tuple[bool, Row]]:
    corners: list[tuple[bool, Row]] = []
    for corner in element:
        get = corner.attrib
        if corner.tag == "cornerRoad":
            row = (float(get["s"]), float(get["t"]), float(get.get("dz", "0")))
            corners.append((True, row))
        elif corner.tag == "cornerLocal":
            row = (float(get["u"]), float(get["v"]), float(get.get("z", "0")))
            corners.append((False, row))
    return corners


def _junction(tables: Tables, element: etree._Element) -> None:
    junction = len(tables.junctions)
    kind = element.get("type", "default")
    controllers: list[str] = []
    priorities: list[tuple[str, str]] = []
    if kind not in ("default", "direct"):
        tables.note(f"junction type '{kind}' was read as 'default'")
    for child in element:
        tag = child.tag
        if tag == "connection":
            get = child.get
            links = [
                (int(link.attrib["from"]), int(link.attrib["to"]))
                for link in child.iterchildren("laneLink")
            ]
            tables.connections.append(
                Connection(
                    junction,
                    get("incomingRoad", ""),
                    get("connectingRoad", "") or get("linkedRoad", ""),
                    get("contactPoint", "start"),
                    links,
                )
            )
        elif tag == "controller":
            controllers.append(str(child.attrib["id"]))
        elif tag == "priority":
            priorities.append((child.get("high", ""), child.get("low", "")))
    tables.junctions.append(
        Junction(str(element.attrib["id"]), element.get("name", ""), kind, controllers, priorities)
    )


def _controller(tables: Tables, element: etree._Element) -> None:
    signals = [str(c.attrib["signalId"]) for c in element.iterchildren("control")]
    tables.controllers.append((str(element.attrib["id"]), element.get("name", ""), signals))


_TOP: dict[str, Callable[[Tables, etree._Element], None]] = {
    "header": _header,
    "junction": _junction,
    "controller": _controller,
}
