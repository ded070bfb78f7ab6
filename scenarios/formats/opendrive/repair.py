"""Lane sections and roads without length, and circles: what CARLA's route planner fails on, taken out of the XML tree.

The planner takes the unit vector from the beginning of every lane of every section to the beginning of the next lane, and fails where
both are one point.

* A lane section shorter than `SHORT_M` is taken out, and what was linked to its lanes is linked to theirs: inside the road, from
  other roads and from junctions.
* A road shorter than that is taken out where a road follows or precedes it, which then takes its place. Connecting roads stay.
* A road that follows itself (a circle) is cut into two lane sections.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from lxml import etree

SHORT_M = 0.002  # CARLA keeps positions as 4-byte floats: at 10 km from the origin, steps of 1 mm
_SAME_M = 1e-9  # records this close begin at one place


def repair_for_planner(root: etree._Element, done: dict[str, int]) -> None:
    """Rewrite the tree; `done` counts. Raises KeyError, ValueError or IndexError for a tree that is no OpenDRIVE."""
    _short_sections(root, done)
    _short_roads(root, done)
    _circles(root, done)


def _count(done: dict[str, int], what: str) -> None:
    done[what] = done.get(what, 0) + 1


_Ids = dict[str, str]  # lane id in a section that is taken out -> lane id that takes its place


def _short_sections(root: etree._Element, done: dict[str, int]) -> None:
    """Take out lane sections shorter than SHORT_M, the only one of a road excepted."""
    roads = {str(road.get("id")): road for road in root.iterfind("road")}
    for road in roads.values():
        length = float(road.attrib["length"])
        sections = road.findall("lanes/laneSection")
        for i in range(len(sections) - 1, -1, -1):
            begin = float(sections[i].attrib["s"])
            end = float(sections[i + 1].attrib["s"]) if i + 1 < len(sections) else length
            if len(sections) == 1 or end - begin >= SHORT_M:
                continue
            before = sections[i - 1] if i > 0 else None
            after = sections[i + 1] if i + 1 < len(sections) else None
            _take_out(root, road, sections[i], before, after, end)
            del sections[i]
            _count(done, "short_section_removed")


def _take_out(
    root: etree._Element, road: etree._Element, section: etree._Element,
    before: etree._Element | None, after: etree._Element | None, end: float,
) -> None:  # fmt: skip
    ahead, behind = _through(section, after, "successor"), _through(section, before, "predecessor")
    if before is not None:
        for lane in _lanes_of(before):
            _relink(lane, "successor", ahead)
    else:
        _relink_outside(root, road, "start", ahead)
    if after is not None:
        for lane in _lanes_of(after):
            _relink(lane, "predecessor", behind)
        if before is None:
            after.set("s", str(section.get("s")))
    else:
        _relink_outside(root, road, "end", behind)
    parent = section.getparent()
    assert parent is not None
    parent.remove(section)
    begin = float(section.attrib["s"])
    _offsets(parent, begin, end, backwards=before is None)


def _offsets(lanes: etree._Element, begin: float, end: float, *, backwards: bool) -> None:
    """Let the lane offsets around a section that is gone hold to where its neighbour now reaches."""
    rows = [(float(row.get("s", "0")), row) for row in lanes.findall("laneOffset")]
    rows.sort(key=lambda item: item[0])
    if backwards:  # the section behind `end` now begins at `begin`
        inside = [row for s, row in rows if begin - _SAME_M <= s <= end + _SAME_M]
        for row in inside[:-1]:
            lanes.remove(row)
        if inside:
            inside[-1].set("s", repr(begin))
        return
    inside = [row for s, row in rows if begin - _SAME_M <= s < end - _SAME_M]
    if inside and not any(abs(s - end) <= _SAME_M for s, _ in rows):
        inside.pop().set("s", repr(end))  # it holds beyond the section too
    for row in inside:
        lanes.remove(row)


def _short_roads(root: etree._Element, done: dict[str, int]) -> None:
    """Take out roads shorter than SHORT_M between junctions, where one end is linked to a road."""
    for road in root.findall("road"):
        if float(road.attrib["length"]) >= SHORT_M or road.get("junction", "-1") != "-1":
            continue
        for tag, far_tag, end in (("successor", "predecessor", "start"), ("predecessor", "successor", "end")):  # fmt: skip
            link, far = road.find(f"link/{tag}"), road.find(f"link/{far_tag}")
            if link is None or link.get("elementType") == "junction":
                continue
            beyond = next((r for r in root.iterfind("road") if r.get("id") == link.get("elementId")), None)  # fmt: skip
            if beyond is None or beyond is road:
                continue
            _bridge(root, road, beyond, (link, far), (tag, far_tag, end))
            root.remove(road)
            _count(done, "short_road_removed")
            break


def _bridge(
    root: etree._Element, road: etree._Element, beyond: etree._Element,
    links: tuple[etree._Element, etree._Element | None], names: tuple[str, str, str],
) -> None:  # fmt: skip
    """Put `beyond`, the neighbour by link `tag`, in the place of `road` for whatever is linked to the other end of `road`."""
    (link, far), (tag, far_tag, end) = links, names
    own, contact = str(road.get("id")), str(link.get("contactPoint", "start"))
    sections = road.findall("lanes/laneSection")
    theirs = beyond.findall("lanes/laneSection")[0 if contact == "start" else -1]
    their_tag = "predecessor" if contact == "start" else "successor"
    ids = _through(sections[-1 if tag == "successor" else 0], None, tag)
    for lane in _lanes_of(theirs):  # a link may be written on one side only
        back = lane.find(f"link/{their_tag}")
        if back is not None:
            ids.setdefault(str(back.get("id")), str(lane.get("id")))
    _relink_outside(root, road, end, ids)
    for other in root.iterfind("road/link/*"):
        if (
            other.get("elementType", "road") == "road"
            and other.get("elementId") == own
            and other.get("contactPoint") == end
        ):
            other.set("elementId", str(beyond.get("id")))
            other.set("contactPoint", contact)
    for connection in root.iterfind("junction/connection"):
        if connection.get("incomingRoad") == own:
            connection.set("incomingRoad", str(beyond.get("id")))
    # The neighbour now ends where `road` ended.
    through = _through(sections[0 if tag == "successor" else -1], None, far_tag)
    mine = {new: through[old] for old, new in ids.items() if old in through}
    for lane in _lanes_of(theirs):
        back = lane.find(f"link/{their_tag}")
        if back is not None:
            new = mine.get(str(lane.get("id")))
            if new is not None:
                back.set("id", new)
            else:
                parent = back.getparent()
                assert parent is not None
                parent.remove(back)
    old_link = beyond.find(f"link/{their_tag}")
    if old_link is not None:
        parent = old_link.getparent()
        assert parent is not None
        parent.remove(old_link)
    if far is not None:
        their_links = beyond.find("link")
        if their_links is None:
            their_links = etree.Element("link")
            beyond.insert(0, their_links)
        new_link = etree.Element(their_tag, {str(k): str(v) for k, v in far.attrib.items()})
        their_links.insert(0 if their_tag == "predecessor" else len(their_links), new_link)


def _lanes_of(section: etree._Element) -> Iterator[etree._Element]:
    for side in ("left", "right"):
        yield from section.iterfind(f"{side}/lane")


def _through(section: etree._Element, beyond: etree._Element | None, tag: str) -> _Ids:
    """Lane ids of `section` to those they are linked with: of the section `beyond`, or of the neighbouring road."""
    ids: _Ids = {}
    for lane in _lanes_of(section):
        link = lane.find(f"link/{tag}")
        if link is not None:
            ids[str(lane.get("id"))] = str(link.get("id"))
    if beyond is not None:  # a link may be written on one side only
        back = "predecessor" if tag == "successor" else "successor"
        for lane in _lanes_of(beyond):
            link = lane.find(f"link/{back}")
            if link is not None:
                ids.setdefault(str(link.get("id")), str(lane.get("id")))
    return ids


def _relink(lane: etree._Element, tag: str, ids: _Ids) -> None:
    link = lane.find(f"link/{tag}")
    if link is None:
        return
    new = ids.get(str(link.get("id")))
    if new is not None:
        link.set("id", new)
    else:
        parent = link.getparent()
        assert parent is not None
        parent.remove(link)


def _relink_outside(root: etree._Element, road: etree._Element, end: str, ids: _Ids) -> None:
    """Follow lane ids that changed at one end of `road` to the roads and junctions that name them."""
    own = str(road.get("id"))
    for other in root.iterfind("road"):
        for tag, index in (("predecessor", 0), ("successor", -1)):
            link = other.find(f"link/{tag}")
            if link is None or link.get("elementType", "road") != "road":
                continue
            if link.get("elementId") == own and link.get("contactPoint") == end:
                for lane in _lanes_of(other.findall("lanes/laneSection")[index]):
                    _relink(lane, tag, ids)
    link = road.find(f"link/{'predecessor' if end == 'start' else 'successor'}")
    junction = link.get("elementId") if link is not None and link.get("elementType") == "junction" else None  # fmt: skip
    for connection in root.iterfind("junction/connection"):
        parent = connection.getparent()
        assert parent is not None
        names: list[str] = []
        if connection.get("connectingRoad") == own and connection.get("contactPoint") == end:
            names.append("to")
        if connection.get("incomingRoad") == own and parent.get("id") == junction:
            names.append("from")
        for name in names:
            for lane_link in connection.findall("laneLink"):
                new = ids.get(str(lane_link.get(name)))
                if new is not None:
                    lane_link.set(name, new)
                else:
                    connection.remove(lane_link)


def _circles(root: etree._Element, done: dict[str, int]) -> None:
    """Cut the only lane section of a road that follows itself in half."""
    for road in root.iterfind("road"):
        own = road.get("id")
        ends = [road.find(f"link/{tag}") for tag in ("predecessor", "successor")]
        if any(e is None or e.get("elementType") == "junction" or e.get("elementId") != own for e in ends):  # fmt: skip
            continue
        sections = road.findall("lanes/laneSection")
        if len(sections) != 1:
            continue
        first = sections[0]
        half = 0.5 * float(road.attrib["length"])
        second = copy.deepcopy(first)
        second.set("s", repr(float(first.attrib["s"]) + half))
        first.addnext(second)
        for section, tag in ((first, "successor"), (second, "predecessor")):
            for lane in _lanes_of(section):
                link = lane.find("link")
                if link is None:
                    link = etree.Element("link")
                    lane.insert(0, link)
                for old in link.findall(tag):
                    link.remove(old)
                new = etree.Element(tag, id=str(lane.get("id")))
                link.insert(0 if tag == "predecessor" else len(link), new)
        for lane in second.iterfind("*/lane"):
            _begin_later(lane, half)
        _count(done, "circle_cut")


def _begin_later(lane: etree._Element, by_m: float) -> None:
    """Rewrite what holds along a lane so that it counts from `by_m` farther on."""
    for tag in dict.fromkeys(str(child.tag) for child in lane if child.get("sOffset") is not None):
        records = sorted(lane.findall(tag), key=lambda r: float(r.get("sOffset", "0")))
        holds = [r for r in records if float(r.get("sOffset", "0")) <= by_m][-1:]
        for record in records:
            at = float(record.get("sOffset", "0")) - by_m
            if at > 0:
                record.set("sOffset", repr(at))
            elif record not in holds:
                lane.remove(record)
            else:
                record.set("sOffset", "0")
                if record.get("a") is not None:
                    a, b, c, d = (float(record.get(k, "0")) for k in "abcd")
                    h = -at
                    moved = (a + h * (b + h * (c + h * d)), b + h * (2 * c + 3 * h * d), c + 3 * h * d, d)  # fmt: skip
                    for key, value in zip("abcd", moved, strict=True):
                        record.set(key, repr(value))
