"""Colours and lettering of the picture, in one place so that both halves agree."""

from __future__ import annotations

from protocols.messages import Light
from protocols.roads.network import LaneType

PAPER = "#ffffff"
INK = "#1d2733"
FAINT = "#8a94a0"
GRID = "#e6e9ed"
ROAD = "#ccd3db"
JUNCTION = "#bcc5ce"
BUS_LANE = "#e8a585"
CYCLE = "#cfe3cf"
WALK = "#f0eee7"
GREEN_STRIP = "#e3edd9"
PLATFORM = "#5b6fa8"
RSU = "#7a3fb0"
BACKGROUND = "#9aa5b1"
GRANT = "#7a3fb0"
SPEED_MAP = "plasma"

LANES = {
    LaneType.BIKING: CYCLE,
    LaneType.SIDEWALK: WALK,
    LaneType.WALKING: WALK,
    LaneType.SHARED: WALK,
    LaneType.PARKING: "#dfe3ea",
    LaneType.SHOULDER: "#e9ebee",
    LaneType.BORDER: GREEN_STRIP,
    LaneType.MEDIAN: GREEN_STRIP,
    LaneType.NONE: GREEN_STRIP,
}

LIGHTS = {
    Light.RED: "#d8433b",
    Light.FLASHING_RED: "#d8433b",
    Light.YELLOW: "#efb32f",
    Light.FLASHING_YELLOW: "#efb32f",
    Light.GREEN_PERMISSIVE: "#7cc48a",
    Light.GREEN_PROTECTED: "#35a35a",
}

OUTCOMES = {"pass": "#2e8b4f", "fail": "#c5352e"}


def latin(text: str, instead: str = "") -> str:
    """`text` as far as the font that comes with matplotlib can write it; `instead` when little is left."""
    if text.isascii():
        return text
    kept = "".join(c for c in text if ord(c) < 0x250 or c in "–—→·")
    kept = " ".join(kept.split()).strip("/()- ")
    return kept if len(kept) * 2 >= len(text) else instead


def rsu_label(name: str) -> str:
    """Name of a roadside unit that cannot be taken for its junction's."""
    short = latin(name).removeprefix("rsu").lstrip("/-_ ")
    return f"RSU {short}".rstrip()
