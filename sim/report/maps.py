"""A road network in words: what is on it, what was found about it, its lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from protocols.roads.network import MOTOR, LaneType, RoadNetwork, UserClass
from scenarios.formats.opendrive import Finding


def info_lines(info: Mapping[str, Any]) -> Iterator[str]:
    """`scenarios.formats.opendrive.info` for people."""
    x0, y0, x1, y1 = info["extent_m"] or (0.0, 0.0, 0.0, 0.0)
    types = ", ".join(
        f"{v['lanes']} {name} ({v['km']:.2f} km)" for name, v in info["lane_types"].items()
    )
    open_to = ", ".join(f"{name} {km:.2f} km" for name, km in info["km_open_to"].items())
    speeds = ", ".join(f"{3.6 * mps:.0f}" for mps in info["speed_limits_mps"]) or "none"
    rows = (
        ("map", f"{info['name']}, OpenDRIVE {info['version']}, SHA-256 {info['digest'][:16]}"),
        ("georeference", info["geo_reference"] or "none"),
        ("extent", f"{x1 - x0:.0f} m east-west, {y1 - y0:.0f} m north-south"),
        ("roads", f"{info['roads']}, {info['road_km']:.2f} km, {info['left_hand_roads']} with left-hand traffic"),
        ("lanes", f"{info['lanes']}: {types}"),
        ("open to", open_to or "nobody"),
        ("speed limits", f"{speeds} km/h; {info['lanes_without_speed']} lanes without one"),
        ("junctions", f"{info['junctions']}, {info['signalised_junctions']} with signals, {info['conflict_areas']} conflict areas"),
        ("signals", f"{info['signals']} in {info['signal_groups']} groups, {info['stop_lines']} stop lines"),
        ("stations", ", ".join(info["stations"]) or "none"),
        ("crossings", str(info["crossings"])),
        ("notes", str(len(info["notes"]))),
    )  # fmt: skip
    for name, text in rows:
        yield f"{name:<13} {text}"
    for note in info["notes"]:
        yield f"  - {note}"


def finding_line(found: Finding) -> str:
    """One finding."""
    return f"{found.severity:<8} {found.where}: {found.sentence} [{found.rule}]"


def lane_lines(net: RoadNetwork) -> Iterator[str]:
    """One line a lane: key, type, length, speed limit, who may use it."""
    lanes = net.lanes
    yield f"{'lane':<14} {'type':<12} {'length':>9} {'limit':>10}  who"
    for lane in range(net.num_lanes):
        speed = f"{lanes.speed_mps[lane] * 3.6:.0f} km/h" if lanes.has_speed[lane] else "-"
        kind = LaneType(int(lanes.type[lane])).name.lower()
        who = _who(int(lanes.permission[lane]))
        yield f"{net.lane_key(lane):<14} {kind:<12} {lanes.length_m[lane]:>7.1f} m {speed:>10}  {who}"


def _who(bits: int) -> str:
    """Classes by name; motor traffic as a whole by two words."""
    motor = int(MOTOR)
    if bits & motor == motor:
        rest = [user.name.lower() for user in UserClass if bits & ~motor & user and user.name]
        return ", ".join(["motor traffic", *rest])
    return (
        ", ".join(user.name.lower() for user in UserClass if bits & user and user.name) or "nobody"
    )
