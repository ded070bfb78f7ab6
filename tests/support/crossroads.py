"""A four-leg junction written out as OpenDRIVE, small enough to know every movement by heart.

Legs E, N, W, S lie at 0, 90, 180, 270 degrees; each road starts 20 m from the middle and runs 150 m outwards. Inbound (right-hand
traffic): lane 1 turns left, lane 2 goes straight on or turns right; outbound lanes -1 and -2. Stop lines at s = 8 m, crossings of
14 m at s = 5 m. Signal groups: `E.left`, `E.through`, `E.ped`, and so on, where the letter names the approach or the leg crossed.
"""

from __future__ import annotations

from itertools import pairwise
from math import cos, hypot, pi, sin
from pathlib import Path
from tempfile import TemporaryDirectory

from protocols.roads.network import RoadNetwork

LEGS = "ENWS"
WIDTH_M = 3.5
START_M = 20.0
LENGTH_M = 150.0


def _lane(lane: int, kind: str = "driving", link: str = "") -> str:
    return (
        f'<lane id="{lane}" type="{kind}" level="false"><link>{link}</link>'
        f'<width sOffset="0" a="{WIDTH_M}" b="0" c="0" d="0"/></lane>'
    )


def _leg(k: int) -> str:
    heading = k * pi / 2
    x, y = START_M * cos(heading), START_M * sin(heading)
    signals = ""
    for n, (name, lane) in enumerate((("left", 1), ("through", 2))):
        signals += (
            f'<signal s="8" t="{(lane - 0.5) * WIDTH_M}" id="{k}{n}" name="{LEGS[k]}.{name}" dynamic="yes" '
            f'orientation="-" zOffset="5" country="OpenDRIVE" type="1000001" subtype="-1" value="-1">'
            f'<validity fromLane="{lane}" toLane="{lane}"/></signal>'
        )
    signals += (
        f'<signal s="5" t="-8" id="{k}2" name="{LEGS[k]}.ped" dynamic="yes" orientation="none" zOffset="2" '
        f'country="OpenDRIVE" type="1000002" subtype="-1" value="-1"/>'
    )
    corners = "".join(
        f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>'
        for u, v in ((-7, -2), (7, -2), (7, 2), (-7, 2))
    )
    return f"""<road name="{LEGS[k]}" length="{LENGTH_M}" id="{k + 1}" junction="-1" rule="RHT">
<link><predecessor elementType="junction" elementId="100"/></link>
<type s="0" type="town"><speed max="50" unit="km/h"/></type>
<planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{LENGTH_M}"><line/></geometry></planView>
<lanes><laneSection s="0">
<left>{_lane(2)}{_lane(1)}</left><center><lane id="0" type="none" level="false"/></center><right>{_lane(-1)}{_lane(-2)}</right>
</laneSection></lanes>
<objects><object id="{LEGS[k]}.walk" name="{LEGS[k]}.walk" type="crosswalk" s="5" t="0" zOffset="0" orientation="none"
 hdg="{pi / 2}" pitch="0" roll="0" height="0" length="14" width="4"><outlines><outline id="0" closed="true" outer="true">
{corners}</outline></outlines><userData code="icv.signal_group" value="{k}12"/></object></objects>
<signals>{signals}</signals></road>"""


def _connection(road: int, k: int, lane: int, j: int, to_lane: int) -> str:
    """Connecting road from inbound `lane` of leg k to outbound `to_lane` of leg j, a cubic between the two poses."""
    a, b = k * pi / 2, j * pi / 2
    ta, tb = (lane - 0.5) * WIDTH_M, -(abs(to_lane) - 0.5) * WIDTH_M
    xa, ya = START_M * cos(a) - ta * sin(a), START_M * sin(a) + ta * cos(a)
    xb, yb = START_M * cos(b) - tb * sin(b), START_M * sin(b) + tb * cos(b)
    heading = a + pi  # inbound
    u = (xb - xa) * cos(heading) + (yb - ya) * sin(heading)
    v = -(xb - xa) * sin(heading) + (yb - ya) * cos(heading)
    turn = b - heading
    reach = 1.1 * hypot(u, v)
    du, dv = reach * cos(turn), reach * sin(turn)
    cu, ddu = 3 * u - 2 * reach - du, -2 * u + reach + du
    cv, ddv = 3 * v - dv, -2 * v + dv
    points = [
        (reach * p + cu * p**2 + ddu * p**3, cv * p**2 + ddv * p**3)
        for p in (i / 2000 for i in range(2001))
    ]
    length = sum(hypot(q[0] - p[0], q[1] - p[1]) for p, q in pairwise(points))
    link = f'<predecessor id="{lane}"/><successor id="{to_lane}"/>'
    return f"""<road name="" length="{length}" id="{road}" junction="100" rule="RHT">
<link><predecessor elementType="road" elementId="{k + 1}" contactPoint="start"/>
<successor elementType="road" elementId="{j + 1}" contactPoint="start"/></link>
<planView><geometry s="0" x="{xa}" y="{ya}" hdg="{heading}" length="{length}">
<paramPoly3 aU="0" bU="{reach}" cU="{cu}" dU="{ddu}" aV="0" bV="0" cV="{cv}" dV="{ddv}" pRange="normalized"/></geometry></planView>
<lanes><laneOffset s="0" a="{WIDTH_M / 2}" b="0" c="0" d="0"/><laneSection s="0">
<center><lane id="0" type="none" level="false"/></center><right>{_lane(-1, link=link)}</right></laneSection></lanes></road>"""


def crossroads_xml() -> str:
    """The whole file."""
    roads, connections, controllers, members = "", "", "", ""
    number = 1000
    for k in range(4):
        roads += _leg(k)
        for lane, j, to_lane in (
            (1, (k + 3) % 4, -1),
            (2, (k + 2) % 4, -2),
            (2, (k + 1) % 4, -2),
        ):
            roads += _connection(number, k, lane, j, to_lane)
            connections += (
                f'<connection id="{number}" incomingRoad="{k + 1}" connectingRoad="{number}" contactPoint="start">'
                f'<laneLink from="{lane}" to="-1"/></connection>'
            )
            number += 1
        for n, name in enumerate(("left", "through", "ped")):
            controllers += (
                f'<controller id="{k}1{n}" name="{LEGS[k]}.{name}" sequence="0">'
                f'<control signalId="{k}{n}" type="0"/></controller>'
            )
            members += f'<controller id="{k}1{n}" type="0" sequence="0"/>'
    return (
        '<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="6" name="crossroads" version="1"/>'
        f'{roads}{controllers}<junction id="100" name="X">{connections}{members}</junction></OpenDRIVE>'
    )


def crossroads() -> RoadNetwork:
    """The network, read by the platform's own reader."""
    from scenarios.formats.opendrive import read

    with TemporaryDirectory() as folder:
        path = Path(folder) / "crossroads.xodr"
        path.write_text(crossroads_xml(), encoding="utf-8")
        return read(path)
