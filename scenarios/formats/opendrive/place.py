"""Small shared look-ups of signals and objects: where a road position is, which lanes hold there, what a code means."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from protocols.roads import _kernels
from protocols.roads.network import F64, Lanes, Points, Roads, Sections, UserClass
from scenarios.formats.opendrive.tables import Attributes

VEHICLES = int(
    UserClass.PASSENGER | UserClass.BUS | UserClass.TRUCK | UserClass.DELIVERY | UserClass.EMERGENCY
    | UserClass.TAXI | UserClass.MOTORCYCLE | UserClass.SHUTTLE | UserClass.BICYCLE
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """What signals and objects need of the network that is being built."""

    roads: Roads
    sections: Sections
    lanes: Lanes
    points: Points
    geo: _kernels.Geo

    def poses(self, road: npt.ArrayLike, s_m: npt.ArrayLike, t_m: npt.ArrayLike) -> F64:
        """(N, 6) x, y, z, yaw, curvature, s of road positions."""
        index = np.atleast_1d(np.asarray(road, np.int32))
        out = np.empty((index.size, 6))
        _kernels.poses(
            self.geo, index, np.atleast_1d(np.asarray(s_m, np.float64)),
            np.atleast_1d(np.asarray(t_m, np.float64)), False, self.lanes.point_start,
            self.points.s_m, self.points.road_s_m, out,
        )  # fmt: skip
        return out

    def lanes_at(self, road: int, s_m: float) -> npt.NDArray[np.int64]:
        """Lanes of the section of `road` that holds at `s_m`."""
        first, last = int(self.roads.section_start[road]), int(self.roads.section_start[road + 1])
        at = int(np.searchsorted(self.sections.s0_m[first:last], s_m, side="right")) - 1
        section = first + max(at, 0)
        return np.arange(
            self.sections.lane_start[section], self.sections.lane_start[section + 1], dtype=np.int64
        )

    def along(self, lane: int, road_s_m: float) -> float:
        """Travel distance on `lane` of a road position, clamped to the lane."""
        rows = slice(int(self.lanes.point_start[lane]), int(self.lanes.point_start[lane + 1]))
        road_s, s = self.points.road_s_m[rows], self.points.s_m[rows]
        if self.lanes.direction[lane] < 0:
            road_s, s = road_s[::-1], s[::-1]
        return float(np.interp(road_s_m, road_s, s))

    def centre_t(self, lane: int, road_s_m: float) -> float:
        """Road t of the lane's centre."""
        g = self.geo
        return float(_kernels._lane_t(g.road, g.lane, g.span, g.offset, g.width, lane, road_s_m)[0])


@dataclass(frozen=True, slots=True)
class Code:
    """One row of signs.toml."""

    meaning: str
    countries: frozenset[str]
    types: frozenset[str]


@cache
def codes(table: str) -> tuple[Code, ...]:
    """Rows of `signal` or `object` in signs.toml."""
    text = resources.files("scenarios.formats.opendrive").joinpath("signs.toml").read_text("utf-8")
    return tuple(
        Code(
            row["meaning"],
            frozenset(c.lower() for c in row.get("country", ["*"])),
            frozenset(t.lower() for t in row["type"]),
        )
        for row in tomllib.loads(text)[table]
    )


def signal_meaning(attributes: Attributes) -> str:
    """What a signal's country and type mean, "" when not listed. A listed country wins over "*"."""
    kind = attributes.get("type", "").lower()
    country = attributes.get("country", "").lower()
    found = ""
    for code in codes("signal"):
        if kind in code.types:
            if country in code.countries:
                return code.meaning
            if "*" in code.countries:
                found = code.meaning
    return found


def object_meaning(attributes: Attributes) -> str:
    """What an object's type, subtype or name mean, "" when not listed."""
    words: Iterable[str] = (attributes.get(k, "").lower() for k in ("type", "subtype", "name"))
    for word in words:
        for code in codes("object"):
            if word and word in code.types:
                return code.meaning
    return ""


def number(attributes: Attributes, key: str, default: float = 0.0) -> float:
    """A finite number of an element, or `default` when it is absent or unreadable."""
    try:
        value = float(attributes.get(key, default))
    except ValueError:
        return default
    return value if np.isfinite(value) else default
