"""From the scene's `[[faults]]` to what carries them out: names checked, windows made, wrappers for bus, ports and air at hand."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from protocols.bus import Bus
from protocols.errors import ConfigError
from protocols.judging import Event, EventKind
from protocols.roads.network import RoadNetwork
from protocols.sentence import say
from protocols.simtime import NS_PER_MS, NS_PER_S
from protocols.topics import TOPICS
from scenarios.fault_spec import (
    ClockOffsetSpec,
    CrashSpec,
    FaultSpec,
    GarbageSpec,
    HangSpec,
    MessageDelaySpec,
    MessageLossSpec,
    PartitionSpec,
    SensorFaultSpec,
    SlowSpec,
)
from scenarios.spec import SceneSpec
from sim.faults.bus import FaultyBus, UnitFaults
from sim.faults.clocks import UnitClock
from sim.faults.messages import MessageFaults
from sim.faults.sensors import FaultyPort, Port, check_sensor
from sim.faults.watchdog import Watchdog, pedestrian_groups
from sim.faults.windows import FOREVER_NS, Window, window

_ON_AIR = tuple(sorted(name for name, row in TOPICS.items() if row.is_on_air))


@dataclass(slots=True)
class Faults:
    """All faults of a run."""

    messages: MessageFaults
    units: dict[str, UnitFaults]
    sensors: dict[str, dict[str, list[Window[SensorFaultSpec]]]]  # unit -> sensor -> faults
    watchdog: Watchdog
    _ahead: list[tuple[int, int, Event]] = field(
        default_factory=list
    )  # (from, number, event), sorted

    def bus(self, bus: Bus) -> Bus:
        """`bus` with the faults of units."""
        return FaultyBus(bus, self.units, self.watchdog) if self.units else bus

    def port(self, unit: str, port: Port) -> Port:
        """The unit's port with the faults of its sensors."""
        return FaultyPort(port, self.sensors[unit]) if unit in self.sensors else port

    def events(self, t_ns: int) -> list[Event]:
        """What has begun or ended by now, and what the watchdog did, since the last call."""
        out, self.watchdog.events = self.watchdog.events, []
        while self._ahead and self._ahead[0][0] <= t_ns:
            out.append(self._ahead.pop(0)[2])
        return out


def make_faults(
    spec: SceneSpec, units: Collection[str], actors: Mapping[str, int], net: RoadNetwork
) -> Faults | None:
    """The faults of `spec`; None when it has none. `units`: all units; `actors`: on-board unit -> actor id.

    ConfigError names the key of whatever does not exist.
    """
    if not spec.faults:
        return None
    messages = MessageFaults(spec.seed)
    by_unit: dict[str, UnitFaults] = {}
    sensors: dict[str, dict[str, list[Window[SensorFaultSpec]]]] = {}
    clocks: dict[str, list[Window[ClockOffsetSpec]]] = {}
    ahead: list[tuple[int, int, Event]] = []
    for index, fault in enumerate(spec.faults):
        _check(spec, units, f"faults.{index}", fault)
        ahead += _events(index, fault, actors)
        match fault:
            case CrashSpec():
                by_unit.setdefault(fault.unit, UnitFaults()).crash.append(window(index, fault))
            case HangSpec():
                by_unit.setdefault(fault.unit, UnitFaults()).hang.append(window(index, fault))
            case SlowSpec():
                by_unit.setdefault(fault.unit, UnitFaults()).slow.append(window(index, fault))
            case ClockOffsetSpec():
                clocks.setdefault(fault.unit, []).append(window(index, fault))
            case GarbageSpec():
                messages.garbage.setdefault(fault.unit, []).append(window(index, fault))
            case MessageLossSpec() | MessageDelaySpec() | PartitionSpec():
                messages.windows.append(window(index, fault))
            case _:
                mine = sensors.setdefault(fault.unit, {})
                mine.setdefault(fault.sensor, []).append(window(index, fault))
    for name, windows in clocks.items():
        by_unit.setdefault(name, UnitFaults()).clock = UnitClock(windows)
    may_fall_silent = [n for n, f in by_unit.items() if f.crash or f.hang or f.slow]
    watchdog = Watchdog(may_fall_silent, dict(actors), pedestrian_groups(net))
    ahead.sort(key=lambda item: item[:2])
    return Faults(messages, by_unit, sensors, watchdog, ahead)


def _events(
    index: int, fault: FaultSpec, actors: Mapping[str, int]
) -> list[tuple[int, int, Event]]:
    at = window(index, fault)
    unit = getattr(fault, "unit", "")
    actor = actors.get(unit, 0)
    text = say("faults.{index:d}: {kind!s:s}", index=index, kind=fault.kind)
    if unit:
        text = say("{fault!s} of {unit}", fault=text, unit=unit)
    if hasattr(fault, "sensor"):
        text = say("{fault!s}, {sensor}", fault=text, sensor=fault.sensor)
    out = [(at.from_ns, EventKind.FAULT_STARTED)]
    if at.to_ns != FOREVER_NS:
        out.append((at.to_ns, EventKind.FAULT_ENDED))
    return [
        (t_ns, index, Event(t_ns, kind, actor, value=float(index), text=text)) for t_ns, kind in out
    ]


def _check(spec: SceneSpec, units: Collection[str], where: str, fault: FaultSpec) -> None:
    match fault:
        case PartitionSpec():
            for k, group in enumerate(fault.groups):
                _units(units, group, f"{where}.groups.{k}")
        case MessageLossSpec() | MessageDelaySpec():
            _units(units, fault.senders, f"{where}.senders")
            _units(units, fault.receivers, f"{where}.receivers")
            for k, topic in enumerate(fault.topics):
                if topic not in _ON_AIR:
                    raise ConfigError(
                        say(
                            "{where}.topics.{k}: '{topic}' is not sent on the air; topics are {names}.",
                            where=where, k=k, topic=topic, names=", ".join(_ON_AIR),
                        )
                    )  # fmt: skip
        case _:
            _unit(units, fault.unit, f"{where}.unit")
    if isinstance(fault, SlowSpec):
        delay_ns, tick_ns = round(fault.delay_s * NS_PER_S), spec.tick_ms * NS_PER_MS
        if delay_ns % tick_ns:
            raise ConfigError(
                say(
                    "{where}.delay_s: found {delay_s:g}; expected a whole number of {tick_ms} ms ticks.",
                    where=where, delay_s=fault.delay_s, tick_ms=spec.tick_ms,
                )
            )  # fmt: skip
    if isinstance(fault, SensorFaultSpec):
        check_sensor(spec, where, fault)


def _units(units: Collection[str], names: tuple[str, ...], where: str) -> None:
    for k, name in enumerate(names):
        _unit(units, name, f"{where}.{k}")


def _unit(units: Collection[str], name: str, where: str) -> None:
    if name not in units:
        known = sorted(units)
        close = difflib.get_close_matches(name, known, 3, 0.4) or known
        raise ConfigError(
            say(
                "{where}: no unit '{name}' in this scene. Nearest known: {names}.",
                where=where,
                name=name,
                names=", ".join(close),
            )
        )
