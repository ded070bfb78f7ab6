"""Who may use a lane: from its type and from `<access>` rules, old and new spelling.

OpenDRIVE 1.4-1.7 writes `<access rule="allow" restriction="bus"/>`, 1.8 nests `<restriction type="bus"/>`. Rules that hold at one
place are read together: with any `allow` only those listed may pass; otherwise all that the lane type admits, less those
denied. A rule without `rule` denies (1.4, 1.5 had only restrictions). `none` restricts nobody, `simulator` and
`throughTraffic` name no participant class of ours. Emergency vehicles may use every lane that any motor vehicle may, unless denied
by name (they are exempt on duty: Road Traffic Safety Law of China, art. 53; similar elsewhere), so that a bus lane written as
`type="bus"` and one written as `allow bus` admit the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocols.roads.network import MOTOR, LaneType, MarkKind, UserClass

_BIKE = UserClass.BICYCLE
_WALK = UserClass.PEDESTRIAN
_BUS = UserClass.BUS | UserClass.EMERGENCY
_NOBODY = UserClass(0)

LANE_TYPES: dict[str, int] = {
    **{t.name.lower().replace("_", ""): int(t) for t in LaneType},
    "mwyentry": int(LaneType.ENTRY),  # 1.1-1.3 names
    "mwyexit": int(LaneType.EXIT),
}
"""Lane type by lower-case name without separators; a name that is not here is unknown."""

MARK_KINDS: dict[str, int] = {k.name.lower().replace("_", " "): int(k) for k in MarkKind}

BY_TYPE: dict[LaneType, UserClass] = {
    LaneType.DRIVING: MOTOR | _BIKE,
    LaneType.BIDIRECTIONAL: MOTOR | _BIKE,
    LaneType.ENTRY: MOTOR,
    LaneType.EXIT: MOTOR,
    LaneType.ON_RAMP: MOTOR,
    LaneType.OFF_RAMP: MOTOR,
    LaneType.CONNECTING_RAMP: MOTOR,
    LaneType.SLIP_LANE: MOTOR | _BIKE,
    LaneType.BUS: _BUS,
    LaneType.TAXI: UserClass.TAXI | UserClass.EMERGENCY,
    # High-occupancy lanes: buses, taxis and shared shuttles qualify; single cars do not.
    LaneType.HOV: _BUS | UserClass.TAXI | UserClass.SHUTTLE,
    LaneType.TRAM: UserClass.TRAM,
    LaneType.BIKING: _BIKE,
    LaneType.SIDEWALK: _WALK,
    LaneType.WALKING: _WALK,
    LaneType.SHARED: _BIKE | _WALK,
    LaneType.PARKING: UserClass.PASSENGER | UserClass.TAXI | UserClass.DELIVERY,
    LaneType.STOP: UserClass.EMERGENCY,  # hard shoulder
}
"""Classes admitted by lane type alone; types not listed admit nobody."""

BY_RESTRICTION: dict[str, UserClass] = {
    "none": _NOBODY,
    "simulator": _NOBODY,
    "throughtraffic": _NOBODY,
    "autonomoustraffic": UserClass.SHUTTLE,
    "bicycle": _BIKE,
    "bus": UserClass.BUS,
    "delivery": UserClass.DELIVERY,
    "emergency": UserClass.EMERGENCY,
    "motorcycle": UserClass.MOTORCYCLE,
    "passengercar": UserClass.PASSENGER,
    "pedestrian": _WALK,
    "taxi": UserClass.TAXI,
    "tram": UserClass.TRAM,
    "truck": UserClass.TRUCK,
    "trucks": UserClass.TRUCK,
}
"""Participants of `<access>` by lower-case name without spaces."""


def permission(
    kind: LaneType, rules: Iterable[tuple[str, tuple[str, ...]]]
) -> tuple[UserClass, list[str]]:
    """Classes admitted under the (rule, restrictions) that hold together, and the names not understood."""
    base = BY_TYPE.get(kind, _NOBODY)
    allowed, denied = _NOBODY, _NOBODY
    has_allow = False
    unknown: list[str] = []
    for rule, names in rules:
        who = _NOBODY
        understood = False
        for name in names:
            found = BY_RESTRICTION.get(name.lower().replace(" ", "").replace("_", ""))
            if found is None:
                unknown.append(name)
                continue
            who |= found
            understood = understood or name != "none"
        if rule == "allow":
            # "allow none" states no restriction; an unknown name alone must not close the lane.
            has_allow = has_allow or understood
            allowed |= who
        else:
            denied |= who
    result = allowed if has_allow else base
    if has_allow and result & MOTOR:
        result |= UserClass.EMERGENCY
    return result & ~denied, unknown
