"""Identifiers: who is who in messages, and what keeps the number ranges apart.

Station ids are actor ids (1 .. 2^31 - 1, never reused in a run). Roadside units have node ids of their own; on the radio a node
becomes the station `NODE_STATION_BASE + node_id`, so that a roadside unit and a vehicle never share a radio identity.
"""

from __future__ import annotations

NODE_STATION_BASE = 1 << 31


def node_station(node_id: int) -> int:
    """Radio station id of a roadside unit; ValueError outside 0 .. 2^31 - 1."""
    if not 0 <= node_id < NODE_STATION_BASE:
        raise ValueError(f"node_id = {node_id}, expected 0..{NODE_STATION_BASE - 1}")
    return NODE_STATION_BASE + node_id


def unit_name(kind: str, name: str) -> str:
    """Stable unit name `kind/name`; ValueError when either part is empty or holds a slash or a space."""
    for part in (kind, name):
        if not part or "/" in part or any(letter.isspace() for letter in part):
            raise ValueError(f"unit name part {part!r} is empty or holds a slash or a space")
    return f"{kind}/{name}"
