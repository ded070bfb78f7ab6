"""Roads the acceptance tests drive on, made here: a straight street, with a wall across its far end and a light beside it where asked."""

from __future__ import annotations

LANE = (
    '<lane id="{0}" type="driving" level="false"><link/><width sOffset="0" a="4" b="0" c="0" d="0"/>'
    '<roadMark sOffset="0" type="broken" material="standard" color="white" width="0.12" laneChange="both"/></lane>'
)
SIGNAL = (
    '<signals><signal id="{0}" name="light" s="{1}" t="-14" zOffset="0" hOffset="0" orientation="+" dynamic="yes" country="OpenDRIVE"'
    ' type="1000001" subtype="-1" value="-1" height="1.2" width="0.6"><validity fromLane="-3" toLane="-1"/></signal></signals>'
)
WALL = (
    '<objects><object id="1" name="wall" type="building" s="{0}" t="0" zOffset="0" hdg="0" orientation="none"'
    ' length="2" width="30" height="6"/></objects>'
)


def street(
    length_m: float = 1200.0, *, wall_at_m: float | None = None, light_at_m: float | None = None
) -> str:
    """Three lanes of 4 m each way along the x axis, from x = 0; those with negative y of ours, positive y of CARLA, go forward."""
    forward = "".join(LANE.format(-k) for k in (1, 2, 3))
    back = "".join(LANE.format(k) for k in (3, 2, 1))
    wall = "" if wall_at_m is None else WALL.format(wall_at_m)
    light = "" if light_at_m is None else SIGNAL.format("L7", light_at_m)
    control = (
        ""
        if light_at_m is None
        else '<controller name="c" id="9" sequence="0"><control signalId="L7" type="0"/></controller>'
    )
    return (
        '<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="street" north="0" south="0" east="0" west="0"/>'
        f'<road name="" length="{length_m}" id="1" junction="-1"><link/>'
        '<type s="0" type="town"><speed max="50" unit="km/h"/></type>'
        f'<planView><geometry s="0" x="0" y="0" hdg="0" length="{length_m}"><line/></geometry></planView>'
        f'<lanes><laneSection s="0"><left>{back}</left><center><lane id="0" type="none" level="false"/></center>'
        f"<right>{forward}</right></laneSection></lanes>{wall}{light}</road>{control}</OpenDRIVE>"
    )
