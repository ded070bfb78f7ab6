"""Traffic lights for maps whose files have none: by a rule, or by a sidecar file `X.lights.toml` beside `X.xodr`.

They are written into the road file's text as `<signal>`, `<controller>` and `<junction><controller>`, before anything reads it, so
that the lights of the server and the landmarks of its clients are the same. One controller per approach.

The rule: a junction without lights gets some when three or more roads lead into it and ways through it cross.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocols.errors import ConfigError
from protocols.roads import _kernels
from protocols.roads.geometry import geo_of
from protocols.roads.network import MOTOR, ConflictKind, RoadNetwork
from scenarios.formats.opendrive.export import LIGHT
from scenarios.formats.opendrive.parse import load_tree

MIN_APPROACHES = 3
SETBACK_M = 1.0  # stop line before the end of the road
BESIDE_M = 1.0  # pole right of the outermost lane
MAX_BYTES = 1_000_000
_SIGNALS_FOLLOW = ("link", "type", "planView", "elevationProfile", "lateralProfile", "lanes", "objects")  # fmt: skip

Times = tuple[float, float, float]
Seconds = Field(default=None, gt=0.0, le=3600.0)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApproachFile(_Strict):
    """One road that leads into the junction; without `lanes`, all that do."""

    road: str
    lanes: tuple[int, ...] = ()


class JunctionFile(_Strict):
    """Lights of one junction; without `approach`, one for each road that leads in."""

    id: str
    approach: tuple[ApproachFile, ...] = ()
    green_s: float | None = Seconds
    yellow_s: float | None = Seconds
    red_s: float | None = Seconds


class LightsFile(_Strict):
    """`X.lights.toml`."""

    rule: bool = False
    junction: tuple[JunctionFile, ...] = ()


@dataclass(slots=True)
class _Approach:
    road: int
    direction: int
    lanes: set[int] = field(default_factory=set)  # rows of the network


def read_sidecar(road_file: Path) -> LightsFile | None:
    """The file beside a road file, None where there is none. Raises ConfigError naming what is wrong in it."""
    path = road_file.with_name(f"{road_file.stem}.lights.toml")
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: more than {MAX_BYTES} bytes. Expected a short list of junctions.")  # fmt: skip
        return LightsFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Expected TOML with [[junction]] tables.") from error  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}. See `JunctionFile` for what may stand there.") from error  # fmt: skip


def add_lights(path: Path, data: bytes, net: RoadNetwork, wanted: LightsFile) -> tuple[bytes, dict[str, Times]]:  # fmt: skip
    """The road file with lights, and the times of controllers that do not have CARLA's.

    `net` is the network of `data`. Raises ConfigError when the sidecar names a junction or road that is not there.
    """
    chosen: dict[int, JunctionFile | None] = {}
    for entry in wanted.junction:
        if entry.id not in net.junctions.id:
            raise ConfigError(f"{path}: junction '{entry.id}' of the lights file is not on the map. Junctions: {', '.join(net.junctions.id[:20])}.")  # fmt: skip
        chosen[net.junctions.id.index(entry.id)] = entry
    if wanted.rule:
        for junction in range(len(net.junctions.id)):
            if junction not in chosen and _deserves(net, junction):
                chosen[junction] = None
    if not chosen:
        return data, {}
    root = load_tree(path, data)
    roads, junctions = root.findall("road"), root.findall("junction")
    free = _free_number(root)
    times: dict[str, Times] = {}
    for junction in sorted(chosen):
        given = chosen[junction]
        for approach in _chosen(path, net, junction, given):
            free += 1
            _write(net, roads[approach.road], junctions[junction], approach, str(free))
            if given is not None and (given.green_s or given.yellow_s or given.red_s):
                times[str(free)] = (given.green_s or 10.0, given.yellow_s or 3.0, given.red_s or 2.0)  # fmt: skip
            controller = etree.Element("controller", id=str(free), name=f"light{free}", sequence="0")  # fmt: skip
            etree.SubElement(controller, "control", signalId=str(free), type="0")
            roads[-1].addnext(controller)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8"), times


def _free_number(root: etree._Element) -> int:
    """A number above every id of the file."""
    ids = (str(e.get("id")) for e in root.iter("road", "junction", "signal", "object", "controller"))  # fmt: skip
    return max((int(i) for i in ids if i.isascii() and i.isdecimal() and len(i) < 9), default=0)


def approaches(net: RoadNetwork, junction: int) -> list[_Approach]:
    """Roads that lead motor traffic into a junction, in order of road and direction."""
    lanes = net.lanes
    found: dict[tuple[int, int], _Approach] = {}
    members = net.junctions.lane[net.junctions.lane_start[junction] : net.junctions.lane_start[junction + 1]]  # fmt: skip
    for inner in members:
        for before in lanes.prev[lanes.prev_start[inner] : lanes.prev_start[inner + 1]]:
            if lanes.junction[before] >= 0 or not lanes.permission[before] & np.uint32(int(MOTOR)):
                continue
            key = int(lanes.road[before]), int(lanes.direction[before])
            found.setdefault(key, _Approach(*key)).lanes.add(int(before))
    return [found[key] for key in sorted(found)]


def _deserves(net: RoadNetwork, junction: int) -> bool:
    if net.junctions.is_signalised[junction]:
        return False
    if len(approaches(net, junction)) < MIN_APPROACHES:
        return False
    members = net.junctions.lane[net.junctions.lane_start[junction] : net.junctions.lane_start[junction + 1]]  # fmt: skip
    start, kind = net.conflicts.start, net.conflicts.kind
    return any(bool((kind[start[m] : start[m + 1]] == ConflictKind.CROSSING).any()) for m in members)  # fmt: skip


def _chosen(
    path: Path, net: RoadNetwork, junction: int, given: JunctionFile | None
) -> list[_Approach]:
    found = approaches(net, junction)
    if given is None or not given.approach:
        return found
    out: list[_Approach] = []
    for entry in given.approach:
        mine = [a for a in found if net.roads.id[a.road] == entry.road]
        if not mine:
            raise ConfigError(f"{path}: road '{entry.road}' of the lights file leads no lane into junction '{given.id}'. Roads that do: {', '.join(sorted({net.roads.id[a.road] for a in found}))}.")  # fmt: skip
        for approach in mine:
            kept = {k for k in approach.lanes if not entry.lanes or int(net.lanes.odr_id[k]) in entry.lanes}  # fmt: skip
            if kept:
                out.append(_Approach(approach.road, approach.direction, kept))
    return out


def _write(
    net: RoadNetwork, road: etree._Element, junction: etree._Element, approach: _Approach, number: str
) -> None:  # fmt: skip
    lanes, geo = net.lanes, geo_of(net)
    some = min(approach.lanes)
    section = int(lanes.section[some])
    low, high = float(net.sections.s0_m[section]), float(net.sections.s1_m[section])
    forward = approach.direction > 0
    s = max(high - SETBACK_M, low) if forward else min(low + SETBACK_M, high)
    edges: list[float] = []
    for lane in approach.lanes:
        t, _, _, width = _kernels._lane_t(geo.road, geo.lane, geo.span, geo.offset, geo.width, lane, s)  # fmt: skip
        edges.append(t - approach.direction * (0.5 * width + BESIDE_M))
    right = min(edges) if forward else max(edges)
    signal = etree.Element(
        "signal", s=repr(s), t=repr(float(right)), id=number, name=f"light{number}", dynamic="yes",
        orientation="+" if forward else "-", zOffset="0", country="OpenDRIVE", type=LIGHT, subtype="-1",
        value="-1", hOffset="0", pitch="0", roll="0", height="3.5", width="0.4",
    )  # fmt: skip
    for odr_id in sorted(int(lanes.odr_id[k]) for k in approach.lanes):
        etree.SubElement(signal, "validity", fromLane=str(odr_id), toLane=str(odr_id))
    holder = road.find("signals")
    if holder is None:
        holder = etree.Element("signals")
        at = max((i + 1 for i, child in enumerate(road) if child.tag in _SIGNALS_FOLLOW), default=0)
        road.insert(at, holder)
    holder.append(signal)
    etree.SubElement(junction, "controller", id=number, type="0", sequence="0")
