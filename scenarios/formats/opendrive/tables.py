"""What `parse.py` collects: plain columns in file order, numbers in SI units, nothing interpreted yet."""

from __future__ import annotations

from dataclasses import dataclass, field

Row = tuple[float, ...]
Attributes = dict[str, str]


@dataclass(slots=True)
class RoadLink:
    """`<predecessor>` or `<successor>` of a road."""

    kind: str  # "road", "junction" or ""
    id: str = ""
    contact: str = ""  # "start", "end" or ""


@dataclass(slots=True)
class Item:
    """A `<signal>`, `<signalReference>` or `<object>` with what it contains."""

    road: int
    attributes: Attributes
    validity: list[tuple[int, int]] = field(default_factory=list)
    user: Attributes = field(default_factory=dict)
    outlines: list[list[tuple[bool, Row]]] = field(
        default_factory=list
    )  # (is road coordinate, row)
    references: list[Attributes] = field(default_factory=list)
    has_repeat: bool = False


@dataclass(slots=True)
class Connection:
    """`<connection>` of a junction; `links` are (from lane, to lane)."""

    junction: int
    incoming: str
    connecting: str
    contact: str
    links: list[tuple[int, int]]


@dataclass(slots=True)
class Junction:
    """`<junction>` without its connections."""

    id: str
    name: str
    type: str
    controllers: list[str]
    priorities: list[tuple[str, str]]  # (high road, low road)


@dataclass(slots=True)
class Tables:
    """Columns of one file. Rows that begin with an integer owner are grouped by it in file order."""

    path: str
    version: str = ""
    name: str = ""
    geo_reference: str = ""
    offset: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # x, y, z, hdg of the header
    road_id: list[str] = field(default_factory=list)
    road_name: list[str] = field(default_factory=list)
    road_length: list[float] = field(default_factory=list)
    road_junction: list[str] = field(default_factory=list)
    road_lht: list[bool] = field(default_factory=list)
    road_predecessor: list[RoadLink] = field(default_factory=list)
    road_successor: list[RoadLink] = field(default_factory=list)
    plan: list[Row] = field(default_factory=list)  # road, s, x, y, hdg, length, kind, 8 params
    elevation: list[Row] = field(default_factory=list)  # road, s, a, b, c, d
    superelevation: list[Row] = field(default_factory=list)
    lane_offset: list[Row] = field(default_factory=list)
    road_speed: list[Row] = field(default_factory=list)  # road, s, m/s (nan: none stated)
    section: list[Row] = field(default_factory=list)  # road, s
    lane: list[tuple[int, int, int, int]] = field(default_factory=list)  # section, id, type, turned
    lane_link: list[tuple[int, int, int]] = field(default_factory=list)  # lane, is successor, id
    width: list[Row] = field(default_factory=list)  # lane, sOffset, a, b, c, d
    border: list[Row] = field(default_factory=list)
    mark: list[Row] = field(
        default_factory=list
    )  # lane or -1, section, sOffset, kind, width, change
    mark_colour: list[str] = field(default_factory=list)
    lane_speed: list[Row] = field(default_factory=list)  # lane, sOffset, m/s
    access: list[tuple[int, float, str, tuple[str, ...]]] = field(default_factory=list)
    signals: list[Item] = field(default_factory=list)
    signal_references: list[Item] = field(default_factory=list)
    objects: list[Item] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    controllers: list[tuple[str, str, list[str]]] = field(default_factory=list)  # id, name, signals
    seen: dict[str, int] = field(default_factory=dict)  # things left out or repaired, counted

    def note(self, what: str) -> None:
        """Count one more occurrence of `what`, a clause that `build` turns into a sentence."""
        self.seen[what] = self.seen.get(what, 0) + 1
