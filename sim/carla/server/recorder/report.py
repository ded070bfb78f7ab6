"""What is in a recording, in CARLA's words: tools read these texts, so spaces and numbers are as CARLA prints them.

Numbers have six significant digits, as C++ streams print them. A file that ends in the middle of a packet is told up to there, and a
sentence before the last two lines says so.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sim.carla.server.recorder import files
from sim.carla.server.recorder import packets as p
from sim.carla.server.recorder.packets import Packet

MAX_TEXT_CHARS = 256 << 20
GEAR_SWITCH_S = 0.5  # not in the file; CARLA prints the default of its struct
_CATEGORIES = "ovwt"
_LAMPS = (  # in CARLA's order of printing
    ("Position", 1),
    ("LowBeam", 2),
    ("HighBeam", 4),
    ("Brake", 8),
    ("RightBlinker", 16),
    ("LeftBlinker", 32),
    ("Reverse", 64),
    ("Interior", 256),
    ("Fog", 128),
    ("Special1", 512),
    ("Special2", 1024),
)


@dataclass(slots=True)
class _Text:
    """Lines so far, with the frame's headline printed when its first line comes."""

    lines: list[str] = field(default_factory=list)
    chars: int = 0
    frame: int = 0
    elapsed: float = 0.0
    is_framed: bool = False

    def line(self, text: str) -> None:
        self.chars += len(text) + 1
        if self.chars > MAX_TEXT_CHARS:
            raise p.Broken(f"the text is longer than {MAX_TEXT_CHARS} characters")
        self.lines.append(text)

    def headline(self) -> None:
        if not self.is_framed:
            self.is_framed = True
            self.line(f"Frame {self.frame} at {number(self.elapsed)} seconds")

    def end(self, broken: str, digits: str = "g") -> str:
        if broken:
            self.lines.append(f"\nThe file is read up to here only: {broken}")
        duration = number(self.elapsed) if digits == "g" else f"{self.elapsed:.0f}"
        self.lines += [f"\nFrames: {self.frame}", f"Duration: {duration} seconds", ""]
        return "\n".join(self.lines)


def number(value: float) -> str:
    """As `std::ostream << value` prints it."""
    return "0" if value == 0.0 and math.copysign(1.0, value) > 0 else f"{value:.6g}"


def file_info(directory: Path, name: str, show_all: bool) -> str:
    """The answer to show_recorder_file_info."""
    _, stream, sentence = files.open_existing(directory, name)
    if stream is None:
        return sentence
    with stream:
        text = _Text()
        broken = _opened(stream, text)
        if broken is not None:
            return broken
        why = ""
        try:
            for kind, payload in p.read_packets(stream):
                _tell(kind, payload, text, show_all)
        except p.Broken as error:
            why = str(error)
        return text.end(why)


def _opened(stream: BinaryIO, text: _Text) -> str | None:
    """Print the header; the whole answer where there is none."""
    try:
        head = p.read_header(stream)
    except p.Broken:
        return "File is not a CARLA recorder\n"
    text.line(f"Version: {head.version}")
    text.line(f"Map: {head.map_name}")
    try:
        date = time.strftime("%m/%d/%y %H:%M:%S", time.gmtime(head.date_s))
    except (OverflowError, ValueError, OSError):
        date = str(head.date_s)
    text.line(f"Date: {date}\n")
    return None


def _tell(kind: int, payload: bytes, text: _Text, show_all: bool) -> None:
    """Print one packet."""
    if kind == Packet.FRAME_START:
        text.frame, _, text.elapsed = read_frame(payload)
        text.is_framed = False
        if show_all:
            text.headline()
    elif kind == Packet.ADDED:
        for a in p.read_added(payload):
            text.headline()
            text.line(f" Create {a.actor}: {a.id} ({a.type}) at ({_triple(a.location_cm)})")
            for _, name, value in a.attributes:
                text.line(f"  {name} = {value}")
    elif kind == Packet.PHYSICS:
        if show_all:
            found = p.read_physics(payload)
            text.headline()
            text.line(f" Physics Control events: {len(found)}")
            for one in found:
                _tell_physics(one, text)
    elif kind == Packet.PLATFORM_TIME:
        if show_all:
            if len(payload) != p.SECONDS.size:
                raise p.Broken("a packet has less in it than it says")
            text.headline()
            text.line(f" Current platform time: {number(*p.SECONDS.unpack(payload))}")
    elif kind in p.RECORDS:
        _tell_records(Packet(kind), payload, text, show_all)


def _tell_records(kind: Packet, payload: bytes, text: _Text, show_all: bool) -> None:
    if kind in (Packet.REMOVED, Packet.PARENT, Packet.COLLISION):
        for r in p.read_records(kind, payload):
            text.headline()
            if kind == Packet.REMOVED:
                text.line(f" Destroy {r[0]}")
            elif kind == Packet.PARENT:
                text.line(f" Parenting {r[0]} with {r[1]} (parent)")
            else:
                one, other = (" (hero) " if hero else "" for hero in r[3:])
                text.line(f" Collision id {r[0]} between {r[1]}{one} with {r[2]}{other}")
        return
    if not show_all:
        return
    rows = p.read_records(kind, payload)
    text.headline()
    text.line(f" {_TITLES[kind]}: {len(rows)}")
    for row in rows:
        text.line(f"  Id: {row[0]} {_DETAILS[kind](row)}")


def _triple(values: tuple[float, ...]) -> str:
    return ", ".join(map(number, values))


def _lamps(row: p.Record) -> str:
    return " ".join(name for name, bit in _LAMPS if int(row[1]) & bit) or "None"


def _two(first: str, second: str, row: p.Record) -> str:
    return f"{first}: ({_triple(row[1:4])}) {second}: ({_triple(row[4:7])})"


_TITLES = {
    Packet.POSITION: "Positions",
    Packet.LIGHT_STATE: "State traffic lights",
    Packet.VEHICLE: "Vehicle animations",
    Packet.WALKER: "Walker animations",
    Packet.VEHICLE_LAMPS: "Vehicle light animations",
    Packet.SCENE_LAMP: "Scene light changes",
    Packet.KINEMATICS: "Dynamic actors",
    Packet.BOX: "Actor bounding boxes",
    Packet.TRIGGER: "Actor trigger volumes",
    Packet.LIGHT_TIMES: "Traffic Light time events",
}
_DETAILS: dict[Packet, Callable[[p.Record], str]] = {
    Packet.POSITION: lambda r: _two("Location", "Rotation", r),
    Packet.LIGHT_STATE: lambda r: (
        f"state: {chr(0x30 + (int(r[3]) & 63))} frozen: {int(r[1])} elapsedTime: {number(r[2])}"
    ),
    Packet.VEHICLE: lambda r: (
        f"Steering: {number(r[1])} Throttle: {number(r[2])} Brake: {number(r[3])}"
        f" Handbrake: {int(r[4])} Gear: {int(r[5])}"
    ),
    Packet.WALKER: lambda r: f"speed: {number(r[1])}",
    Packet.VEHICLE_LAMPS: _lamps,
    Packet.SCENE_LAMP: lambda r: (
        f"enabled: {bool(r[6])} intensity: {number(r[1])} RGB_color: ({_triple(r[2:5])})"
    ),
    Packet.KINEMATICS: lambda r: _two("linear_velocity", "angular_velocity", r),
    Packet.BOX: lambda r: _two("origin", "extension", r),
    Packet.TRIGGER: lambda r: _two("origin", "extension", r),
    Packet.LIGHT_TIMES: lambda r: (
        f"green_time: {number(r[1])} yellow_time: {number(r[2])} red_time: {number(r[3])}"
    ),
}
_PHYSICS = (
    "max_rpm",
    "MOI",
    "damping_rate_full_throttle",
    "damping_rate_zero_throttle_clutch_engaged",
    "damping_rate_zero_throttle_clutch_disengaged",
    "use_gear_auto_box",
    "clutch_strength",
    "final_ratio",
    "mass",
    "drag_coefficient",
)


def _tell_physics(one: p.Physics, text: _Text) -> None:
    text.line(f"  Id: {one.actor}")
    for name, value in zip(_PHYSICS, one.numbers, strict=False):
        shown = str(bool(value)).lower() if name == "use_gear_auto_box" else number(value)
        text.line(f"   {name} = {shown}")
        if name == "use_gear_auto_box":
            text.line(f"   gear_switch_time = {number(GEAR_SWITCH_S)}")
    text.line(f"   center_of_mass = ({_triple(one.numbers[10:13])})")
    for name, curve in (
        ("torque_curve", one.torque_curve),
        ("steering_curve", one.steering_curve),
    ):
        text.line(f"   {name} =" + "".join(f" ({_triple(point)})" for point in curve))
    text.line("   forward_gears:")
    for k, (ratio, down, up) in enumerate(one.gears):
        text.line(
            f"    gear {k}: ratio {number(ratio)} down_ratio {number(down)} up_ratio {number(up)}"
        )
    text.line("   wheels:")
    for k, w in enumerate(one.wheels):
        text.line(
            f"    wheel {k}: tire_friction {number(w[0])} damping_rate {number(w[1])}"
            f" max_steer_angle {number(w[2])} radius {number(w[3])}"
            f" max_brake_torque {number(w[4])} max_handbrake_torque {number(w[5])}"
            f" position ({_triple(w[9:12])})"
        )


def read_frame(payload: bytes) -> tuple[int, float, float]:
    """Number, duration and elapsed time of a frame's start."""
    try:
        index, duration, elapsed = p.FRAME.unpack(payload)
    except struct.error:
        raise p.Broken("a frame's start has the wrong size") from None
    if not (math.isfinite(duration) and math.isfinite(elapsed)):
        raise p.Broken("a frame's time is not a number")
    return index, duration, elapsed


def collisions(directory: Path, name: str, type1: str, type2: str) -> str:
    """The answer to show_recorder_collisions: each contact once, when it begins."""
    _, stream, sentence = files.open_existing(directory, name)
    if stream is None:
        return sentence
    with stream:
        text = _Text()
        refusal = _opened(stream, text)
        if refusal is not None:
            return refusal
        text.line(f"{'Time':>8} {'Types':>6} {'Id':>6} {'Actor 1':<35} {'Id':>6} {'Actor 2':<35}")
        actors: dict[int, tuple[str, str]] = {p.NO_ACTOR: ("o", "")}
        before: set[tuple[float, float]] = set()
        now: set[tuple[float, float]] = set()
        why, has_any = "", False
        try:
            for kind, payload in p.read_packets(stream):
                if kind == Packet.FRAME_START:
                    text.frame, _, text.elapsed = read_frame(payload)
                    before, now = now, set()
                elif kind == Packet.ADDED:
                    for a in p.read_added(payload):
                        actors[a.actor] = (_category(a.type), a.id)
                elif kind == Packet.COLLISION:
                    for _, one, other, hero1, hero2 in p.read_records(Packet.COLLISION, payload):
                        first, second = (actors.get(int(k), ("o", "")) for k in (one, other))
                        if not (
                            _passes(type1, first[0], bool(hero1))
                            and _passes(type2, second[0], bool(hero2))
                        ):
                            continue
                        if (one, other) not in before:
                            has_any = True
                            text.line(
                                f"{text.elapsed:>8.0f}   {first[0]} {second[0]}  {_id(one):>6}"
                                f" {first[1]:<35} {_id(other):>6} {second[1]:<35}"
                            )
                        now.add((one, other))
        except p.Broken as error:
            why = str(error)
        # CARLA's stream stays fixed to whole seconds once a row has been printed.
        return text.end(why, "0" if has_any else "g")


def _id(value: float) -> str:
    return str(int(value))


def _category(kind: int) -> str:
    return _CATEGORIES[kind] if kind < len(_CATEGORIES) else "o"


def _passes(wanted: str, category: str, is_hero: bool) -> bool:
    return wanted in ("a", category) or (wanted == "h" and is_hero)


def blocked(directory: Path, name: str, min_time_s: float, min_distance_cm: float) -> str:
    """The answer to show_recorder_actors_blocked: who stayed within a distance for a while, longest first."""
    _, stream, sentence = files.open_existing(directory, name)
    if stream is None:
        return sentence
    with stream:
        text = _Text()
        refusal = _opened(stream, text)
        if refusal is not None:
            return refusal
        text.line(f"{'Time':>8} {'Id':>6} {'Actor':<35} {'Duration':>10}")
        rows: list[tuple[float, str]] = []
        why = ""
        try:
            for row in _stops(stream, text, min_time_s, min_distance_cm):
                rows.append(row)
        except p.Broken as error:
            why = str(error)
        for _, line in sorted(rows, key=lambda row: -row[0]):
            text.line(line)
        return text.end(why)


@dataclass(slots=True)
class _Stop:
    name: str = ""
    place: tuple[float, ...] = (0.0, 0.0, 0.0)
    since_s: float = 0.0
    duration_s: float = 0.0


def _stops(
    stream: BinaryIO, text: _Text, min_time_s: float, min_distance_cm: float
) -> Iterator[tuple[float, str]]:
    """Durations and rows, in the order in which the stops end."""
    actors: dict[int, _Stop] = {}
    duration = 0.0

    def row(actor: int, stop: _Stop) -> tuple[float, str]:
        return (
            stop.duration_s,
            f"{stop.since_s:>8.0f} {actor:>6} {stop.name:<35} {stop.duration_s:>10.0f}",
        )

    broken: p.Broken | None = None
    try:
        for kind, payload in p.read_packets(stream):
            if kind == Packet.FRAME_START:
                text.frame, duration, text.elapsed = read_frame(payload)
            elif kind == Packet.ADDED:
                for a in p.read_added(payload):
                    actors[a.actor] = _Stop(a.id)
            elif kind == Packet.POSITION:
                for record in p.read_records(Packet.POSITION, payload):
                    actor = int(record[0])
                    stop = actors.setdefault(actor, _Stop())
                    if math.dist(stop.place, record[1:4]) < min_distance_cm:
                        if stop.duration_s == 0.0:
                            stop.since_s = text.elapsed
                        stop.duration_s += max(duration, 0.0)
                    else:
                        if stop.duration_s >= min_time_s:
                            yield row(actor, stop)
                        stop.duration_s = 0.0
                        stop.place = record[1:4]
    except p.Broken as error:
        broken = error
    for actor, stop in actors.items():
        if stop.duration_s >= min_time_s:
            yield row(actor, stop)
    if broken is not None:
        raise broken
