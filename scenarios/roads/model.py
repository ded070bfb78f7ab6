"""What a generated map consists of, before it is written: roads, lanes, signals, objects, junctions.

These are the few OpenDRIVE elements our own maps need, with defaults that suit them. Widths are
cubics along the lane section; `Cubic(0, w)` is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scenarios.roads.plan import Piece, Pose, length, pose_at


@dataclass(frozen=True, slots=True)
class Cubic:
    """a + b ds + c ds^2 + d ds^3 from `s_m` on."""

    s_m: float
    a: float
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0

    def at(self, s_m: float) -> float:
        """Value at `s_m`."""
        ds = s_m - self.s_m
        return self.a + ds * (self.b + ds * (self.c + ds * self.d))


def blend(s_m: float, over_m: float, before: float, after: float) -> tuple[Cubic, Cubic]:
    """A smooth step from `before` to `after` between `s_m` and `s_m + over_m`, then constant."""
    gap = after - before
    rise = Cubic(s_m, before, 0.0, 3.0 * gap / over_m**2, -2.0 * gap / over_m**3)
    return rise, Cubic(s_m + over_m, after)


def value_at(cubics: tuple[Cubic, ...], s_m: float, default: float = 0.0) -> float:
    """Value of a piecewise cubic; `default` where it has no record."""
    out = default
    for cubic in cubics:
        if cubic.s_m <= s_m + 1e-9:
            out = cubic.at(s_m)
    return out


@dataclass(frozen=True, slots=True)
class Mark:
    """Outer road mark of a lane from `s_m` of its section on."""

    kind: str
    s_m: float = 0.0
    colour: str = "white"
    change: str = "none"  # "none" or "both"
    width_m: float = 0.15


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of a section. `before`, `after`: lane ids in the neighbouring section or road."""

    id: int
    type: str
    width: tuple[Cubic, ...]
    marks: tuple[Mark, ...] = ()
    speed_kmh: float = 0.0  # 0: the road's
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Lanes from road s `s_m` on; `centre` is the mark of lane 0."""

    s_m: float
    lanes: tuple[Lane, ...]
    centre: Mark | None = None

    def lane(self, lane_id: int) -> Lane:
        """The lane of this id."""
        return next(lane for lane in self.lanes if lane.id == lane_id)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal head or a sign; `lanes` is its validity (from, to)."""

    id: str
    name: str
    s_m: float
    t_m: float
    orientation: str
    lanes: tuple[int, int]
    type: str = "1000001"
    country: str = "OpenDRIVE"
    is_dynamic: bool = True
    subtype: str = "-1"
    z_offset_m: float = 5.0


@dataclass(frozen=True, slots=True)
class Thing:
    """An `<object>`; outline corners are local (u, v), `hdg_rad` turns u away from road s."""

    id: str
    name: str
    type: str
    s_m: float
    t_m: float
    length_m: float
    width_m: float
    subtype: str = ""
    height_m: float = 0.0
    hdg_rad: float = 0.0
    orientation: str = "none"
    lanes: tuple[tuple[int, int], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    has_outline: bool = False


@dataclass(slots=True)
class Road:
    """A road under construction; links are (element type, id, contact point)."""

    id: str
    name: str
    plan: tuple[Piece, ...]
    sections: tuple[Section, ...]
    speed_kmh: float
    junction: str = "-1"
    before: tuple[str, str, str] | None = None
    after: tuple[str, str, str] | None = None
    elevation: tuple[Cubic, ...] = (Cubic(0.0, 0.0),)
    lane_offset: tuple[Cubic, ...] = ()
    signals: list[Signal] = field(default_factory=list)
    objects: list[Thing] = field(default_factory=list)

    @property
    def length_m(self) -> float:
        """Length of the reference line."""
        return length(self.plan)

    def edges_m(self, lane_id: int, at_end: bool) -> tuple[float, float]:
        """t of the inner edge of a lane at one end of the road, and its width there."""
        section = self.sections[-1 if at_end else 0]
        s_m = self.length_m if at_end else 0.0
        side = 1 if lane_id > 0 else -1
        t_m = value_at(self.lane_offset, s_m)
        for k in range(1, abs(lane_id)):
            t_m += side * value_at(section.lane(side * k).width, s_m - section.s_m)
        return t_m, value_at(section.lane(lane_id).width, s_m - section.s_m)

    def lane_end(self, lane_id: int, at_end: bool) -> tuple[Pose, float]:
        """Inner edge of a lane at one end of the road in its travel direction (RHT), and width."""
        t_m, width_m = self.edges_m(lane_id, at_end)
        pose = pose_at(self.plan, self.length_m if at_end else 0.0).beside(t_m)
        return (pose if lane_id < 0 else pose.beside(0.0, 3.141592653589793)), width_m


@dataclass(slots=True)
class Connection:
    """One row of a `<junction>`."""

    incoming: str
    connecting: str
    from_lane: int


@dataclass(slots=True)
class Junction:
    """Connecting roads between legs, the signal groups in charge, and (high, low) priorities."""

    id: str
    name: str
    connections: list[Connection] = field(default_factory=list)
    controllers: list[str] = field(default_factory=list)
    priorities: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Controller:
    """One signal group: heads that always show the same."""

    id: str
    name: str
    signals: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Map:
    """A whole file."""

    name: str
    geo_reference: str
    roads: list[Road] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)

    def road(self, road_id: str) -> Road:
        """The road of this id."""
        return next(road for road in self.roads if road.id == road_id)
