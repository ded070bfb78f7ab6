"""Small road networks as OpenDRIVE text, read by the real reader: one straight road, and two roads that cross.

Lanes are 3.5 m wide and run with the road (right-hand traffic); the reference line is their left edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read

WIDTH_M = 3.5
ARM_M = 250.0
BOX_M = 20.0


def road(
    name: str,
    x: float,
    y: float,
    yaw: float,
    length: float,
    *,
    lanes: Sequence[str] = ("driving",),
    junction: str = "-1",
    before: str = "",
    after: str = "",
    signals: str = "",
    objects: str = "",
    speed_mps: float = 15.0,
) -> str:
    """One straight one-way road; `lanes` from the left. `before`, `after`: link elements."""
    link_of_lane = '<link><predecessor id="{0}"/><successor id="{0}"/></link>'
    rows = "".join(
        f'<lane id="{-n}" type="{kind}" level="false">{link_of_lane.format(-n)}'
        f'<width sOffset="0" a="{WIDTH_M}" b="0" c="0" d="0"/>'
        f'<roadMark sOffset="0" type="broken" weight="standard" color="standard" width="0.15" laneChange="both"/>'
        f'<speed sOffset="0" max="{speed_mps}"/></lane>'
        for n, kind in enumerate(lanes, start=1)
    )
    return (
        f'<road name="{name}" length="{length}" id="{name}" junction="{junction}" rule="RHT">'
        f"<link>{before}{after}</link>"
        f'<planView><geometry s="0" x="{x}" y="{y}" hdg="{yaw}" length="{length}"><line/></geometry></planView>'
        f'<lanes><laneSection s="0"><center><lane id="0" type="none" level="false"/></center>'
        f"<right>{rows}</right></laneSection></lanes>"
        f"<objects>{objects}</objects><signals>{signals}</signals></road>"
    )


def crosswalk(name: str, s: float, lanes: int, group: str = "") -> str:
    """A 4 m wide crossing of all `lanes` at road distance s, with 1 m of verge at either side."""
    reach = lanes * WIDTH_M + 2.0
    user = f'<userData code="icv.signal_group" value="{group}"/>' if group else ""
    half = reach / 2
    corners = "".join(
        f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>'
        for u, v in ((-half, -2), (half, -2), (half, 2), (-half, 2))
    )
    return (
        f'<object id="{name}" name="{name}" type="crosswalk" s="{s}" t="{-lanes * WIDTH_M / 2}" zOffset="0" '
        f'orientation="none" hdg="{math.pi / 2}" pitch="0" roll="0" height="0" length="{reach}" width="4">'
        f'<outlines><outline id="0" closed="true" outer="true">{corners}</outline></outlines>{user}</object>'
    )


def light(name: str, s: float, lanes: int) -> str:
    """A traffic light for all lanes of a road, at distance s."""
    return (
        f'<signal s="{s}" t="{-lanes * WIDTH_M}" id="{name}" name="{name}" dynamic="yes" orientation="+" '
        f'zOffset="5" country="OpenDRIVE" type="1000001" subtype="-1" value="-1" height="0.9" width="0.3">'
        f'<validity fromLane="{-lanes}" toLane="-1"/></signal>'
    )


def bus_stop(name: str, s: float, lane: int) -> str:
    """A platform whose vehicles stand with their front at road distance s, served from `lane`."""
    return (
        f'<object id="{name}" name="{name}" type="busStop" subtype="platform" s="{s - 8}" t="-9" zOffset="0" '
        f'orientation="+" hdg="0" pitch="0" roll="0" height="0.3" length="20" width="2">'
        f'<validity fromLane="{lane}" toLane="{lane}"/><userData code="icv.stop_s" value="{s}"/></object>'
    )


def load(folder: Path, text: str) -> RoadNetwork:
    """Reads `text` as a road file."""
    head = (
        '<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="6" name="small" version="1" '
        'north="0" south="0" east="0" west="0"/>'
    )
    path = folder / "small.xodr"
    path.write_text(head + text + "</OpenDRIVE>", encoding="utf-8")
    return read(path)


def straight(folder: Path, length: float = 1000.0, **options: object) -> RoadNetwork:
    """One road from the origin eastwards."""
    return load(folder, road("1", 0.0, 0.0, 0.0, length, **options))  # type: ignore[arg-type]


def crossing(
    folder: Path, *, is_signalised: bool = False, has_priority: bool = True, lanes: int = 1
) -> RoadNetwork:
    """West to east (roads w, e) and south to north (s, n), straight on only; the west has priority unless told."""
    half = BOX_M / 2

    def to(kind: str, what: str, point: str = "") -> str:
        where = f' contactPoint="{point}"' if point else ""
        element = "junction" if what == "j" else "road"
        return f'<{kind} elementType="{element}" elementId="{what}"{where}/>'

    kinds = ("driving",) * lanes
    text = ""
    for entry, box, leave, x, y, yaw in (
        ("w", "we", "e", 1.0, 0.0, 0.0),
        ("s", "sn", "n", 0.0, 1.0, math.pi / 2),
    ):
        signals = light(f"light_{entry}", ARM_M - 2.0, lanes) if is_signalised else ""
        shift = -WIDTH_M * lanes / 2  # the boxes meet in the middle
        ox, oy = shift * y, -shift * x
        start = -(half + ARM_M)
        text += road(entry, ox + start * x, oy + start * y, yaw, ARM_M, lanes=kinds,
                     after=to("successor", "j"), signals=signals)  # fmt: skip
        text += road(box, ox - half * x, oy - half * y, yaw, BOX_M, lanes=kinds, junction="j",
                     before=to("predecessor", entry, "end"), after=to("successor", leave, "start"))  # fmt: skip
        text += road(leave, ox + half * x, oy + half * y, yaw, ARM_M, lanes=kinds,
                     before=to("predecessor", "j"))  # fmt: skip
    links = "".join(f'<laneLink from="{-n}" to="{-n}"/>' for n in range(1, lanes + 1))
    text += '<junction id="j" name="j">'
    for n, (entry, box) in enumerate((("w", "we"), ("s", "sn"))):
        text += (
            f'<connection id="{n}" incomingRoad="{entry}" connectingRoad="{box}" contactPoint="start">'
            f"{links}</connection>"
        )
    text += '<priority high="we" low="sn"/>' if has_priority else ""
    return load(folder, text + "</junction>")
