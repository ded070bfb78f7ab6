"""A `Map` as OpenDRIVE 1.7 text, the same bytes every time.

Lengths and positions are written to 1 micrometre, angles and coefficients to 12 digits, which keeps
every joint far inside the 1 cm that the tests allow.
"""

from __future__ import annotations

from lxml import etree

from scenarios.roads.model import Cubic, Junction, Lane, Map, Mark, Road, Section, Signal, Thing
from scenarios.roads.plan import Piece

_HEADER_DATE = "2025-01-01T00:00:00"  # fixed: the file must not depend on when it was written


def to_bytes(road_map: Map) -> bytes:
    """The whole file, UTF-8."""
    root = etree.Element("OpenDRIVE")
    header = _add(
        root, "header", revMajor="1", revMinor="7", name=road_map.name, version="1.00",
        date=_HEADER_DATE, vendor="icv",
    )  # fmt: skip
    _add(header, "geoReference").text = etree.CDATA(road_map.geo_reference)
    for road in road_map.roads:
        _road(root, road)
    for controller in road_map.controllers:
        element = _add(root, "controller", id=controller.id, name=controller.name, sequence="0")
        for signal_id in controller.signals:
            _add(element, "control", signalId=signal_id, type="0")
    for junction in road_map.junctions:
        _junction(root, junction)
    text = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return bytes(text)


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, tag, attributes)


def _length(value: float) -> str:
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _fine(value: float) -> str:
    return f"{value + 0.0:.12g}"


def _road(root: etree._Element, road: Road) -> None:
    element = _add(
        root, "road", name=road.name, length=_length(road.length_m), id=road.id,
        junction=road.junction, rule="RHT",
    )  # fmt: skip
    link = _add(element, "link")
    for tag, ref in (("predecessor", road.before), ("successor", road.after)):
        if ref is not None:
            kind, ref_id, contact = ref
            ref_element = _add(link, tag, elementType=kind, elementId=ref_id)
            if contact:
                ref_element.set("contactPoint", contact)
    road_type = _add(element, "type", s="0", type="town")
    _add(road_type, "speed", max=_length(road.speed_kmh), unit="km/h")
    _plan(_add(element, "planView"), road.plan)
    profile = _add(element, "elevationProfile")
    for cubic in road.elevation:
        _cubic(profile, "elevation", "s", cubic)
    _add(element, "lateralProfile")
    lanes = _add(element, "lanes")
    for cubic in road.lane_offset:
        _cubic(lanes, "laneOffset", "s", cubic)
    for section in road.sections:
        _section(lanes, section)
    if road.objects:
        objects = _add(element, "objects")
        for thing in road.objects:
            _object(objects, thing)
    if road.signals:
        signals = _add(element, "signals")
        for signal in road.signals:
            _signal(signals, signal)


def _plan(parent: etree._Element, plan: tuple[Piece, ...]) -> None:
    s_m = 0.0
    for piece in plan:
        element = _add(
            parent, "geometry", s=_length(s_m), x=_length(piece.start.x_m),
            y=_length(piece.start.y_m), hdg=_fine(piece.start.yaw_rad),
            length=_length(piece.length_m),
        )  # fmt: skip
        if piece.cubic:
            names = ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV")
            shape = _add(element, "paramPoly3", pRange="normalized")
            for name, value in zip(names, piece.cubic, strict=True):
                shape.set(name, _fine(value))
        elif piece.curvature_in != piece.curvature_out:
            _add(
                element, "spiral", curvStart=_fine(piece.curvature_in),
                curvEnd=_fine(piece.curvature_out),
            )  # fmt: skip
        elif piece.curvature_in:
            _add(element, "arc", curvature=_fine(piece.curvature_in))
        else:
            _add(element, "line")
        s_m += piece.length_m


def _cubic(parent: etree._Element, tag: str, s_name: str, cubic: Cubic) -> None:
    element = _add(parent, tag)
    element.set(s_name, _length(cubic.s_m))
    for name, value in zip("abcd", (cubic.a, cubic.b, cubic.c, cubic.d), strict=True):
        element.set(name, _fine(value))


def _section(parent: etree._Element, section: Section) -> None:
    element = _add(parent, "laneSection", s=_length(section.s_m))
    ordered = sorted(section.lanes, key=lambda lane: -lane.id)
    left = [lane for lane in ordered if lane.id > 0]
    right = [lane for lane in ordered if lane.id < 0]
    if left:
        _lanes(_add(element, "left"), left)
    centre = _add(_add(element, "center"), "lane", id="0", type="none", level="false")
    if section.centre is not None:
        _mark(centre, section.centre)
    if right:
        _lanes(_add(element, "right"), right)


def _lanes(parent: etree._Element, lanes: list[Lane]) -> None:
    for lane in lanes:
        element = _add(parent, "lane", id=str(lane.id), type=lane.type, level="false")
        link = _add(element, "link")
        if lane.before is not None:
            _add(link, "predecessor", id=str(lane.before))
        if lane.after is not None:
            _add(link, "successor", id=str(lane.after))
        for cubic in lane.width:
            _cubic(element, "width", "sOffset", cubic)
        for mark in lane.marks:
            _mark(element, mark)
        if lane.speed_kmh:
            _add(element, "speed", sOffset="0", max=_length(lane.speed_kmh), unit="km/h")


def _mark(parent: etree._Element, mark: Mark) -> None:
    _add(
        parent, "roadMark", sOffset=_length(mark.s_m), type=mark.kind, weight="standard",
        color=mark.colour, width=_length(mark.width_m), laneChange=mark.change,
    )  # fmt: skip


def _object(parent: etree._Element, thing: Thing) -> None:
    element = _add(
        parent, "object", id=thing.id, name=thing.name, type=thing.type, s=_length(thing.s_m),
        t=_length(thing.t_m), zOffset="0", validLength="0", orientation=thing.orientation,
        hdg=_fine(thing.hdg_rad), pitch="0", roll="0", height=_length(thing.height_m),
        length=_length(thing.length_m), width=_length(thing.width_m),
    )  # fmt: skip
    if thing.subtype:
        element.set("subtype", thing.subtype)
    if thing.has_outline:
        outline = _add(_add(element, "outlines"), "outline", id="0", closed="true", outer="true")
        half_u, half_v = thing.length_m / 2, thing.width_m / 2
        for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            _add(
                outline, "cornerLocal", u=_length(u * half_u), v=_length(v * half_v), z="0",
                height=_length(thing.height_m),
            )  # fmt: skip
    for from_lane, to_lane in thing.lanes:
        _add(element, "validity", fromLane=str(from_lane), toLane=str(to_lane))
    for code, value in thing.data:
        _add(element, "userData", code=code, value=value)


def _signal(parent: etree._Element, signal: Signal) -> None:
    element = _add(
        parent, "signal", s=_length(signal.s_m), t=_length(signal.t_m), id=signal.id,
        name=signal.name, dynamic="yes" if signal.is_dynamic else "no",
        orientation=signal.orientation, zOffset=_length(signal.z_offset_m),
        country=signal.country, type=signal.type, subtype=signal.subtype, value="-1",
        height="0.9", width="0.3", hOffset="0", pitch="0", roll="0",
    )  # fmt: skip
    _add(element, "validity", fromLane=str(signal.lanes[0]), toLane=str(signal.lanes[1]))


def _junction(root: etree._Element, junction: Junction) -> None:
    element = _add(root, "junction", id=junction.id, name=junction.name, type="default")
    for number, row in enumerate(junction.connections):
        connection = _add(
            element, "connection", id=str(number), incomingRoad=row.incoming,
            connectingRoad=row.connecting, contactPoint="start",
        )  # fmt: skip
        connection.append(etree.Element("laneLink", {"from": str(row.from_lane), "to": "-1"}))
    for high, low in junction.priorities:
        _add(element, "priority", high=high, low=low)
    for controller in junction.controllers:
        _add(element, "controller", id=controller, type="0")
