"""What happens to a vehicle and to lights whose unit says nothing any more. Numbers: watchdog.toml.

A vehicle keeps its last command for `vehicle.silence_s`, then brakes with `vehicle.decel_mps2` to a standstill and stays there: steering
and doors as last commanded, hazard lights on. Lights stay as last commanded for `lights.silence_s`, then flash yellow (pedestrian
groups go dark), as the failure monitor of a cabinet does. Both end with the unit's next answer; when that says nothing about
lights, the cabinet shows again what the unit had commanded. A unit that has never commanded lights leaves them as they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from protocols.judging import Event, EventKind
from protocols.messages import BsmFlag, Light, SignalCommand, VehicleCommand
from protocols.participant import Outbox
from protocols.roads.network import Bool, RoadNetwork
from protocols.sentence import say
from protocols.simtime import NS_PER_S

_FILE = Path(__file__).with_name("watchdog.toml")
_ALERT = int(BsmFlag.BRAKE | BsmFlag.HAZARD)


@dataclass(slots=True)
class _Watched:
    actor: int  # of the unit's vehicle; 0: it has none
    heard_ns: int = 0
    is_silent: bool = False
    vehicle: VehicleCommand | None = None
    signals: SignalCommand | None = None


@cache
def numbers() -> dict[str, float]:
    """`vehicle.silence_s` and the others."""
    with _FILE.open("rb") as file:
        table = tomllib.load(file)
    return {f"{part}.{key}": float(row["value"]) for part, rows in table.items() for key, row in rows.items()}  # fmt: skip


class Watchdog:
    """Watches `units`; `actors`: on-board unit -> actor id of its vehicle; `is_pedestrian`: (H,) by signal group."""

    def __init__(self, units: Iterable[str], actors: dict[str, int], is_pedestrian: Bool) -> None:
        self._units = {name: _Watched(actors.get(name, 0)) for name in sorted(units)}
        self._is_pedestrian = is_pedestrian
        self.events: list[Event] = []

    def watch(self, t_ns: int, outboxes: dict[str, Outbox]) -> None:
        """Looks at the answers of one tick and adds to them what silence brings about."""
        for name, unit in self._units.items():
            outbox = outboxes.get(name)
            if outbox is not None:
                self._hear(t_ns, unit, outbox)
            elif not unit.is_silent and t_ns - unit.heard_ns >= self._patience_ns(unit):
                unit.is_silent = True
                substitute = self._substitute(t_ns, name, unit)
                if substitute is not None:
                    outboxes[name] = substitute

    @staticmethod
    def _patience_ns(unit: _Watched) -> int:
        key = "vehicle.silence_s" if unit.actor else "lights.silence_s"
        return round(numbers()[key] * NS_PER_S)

    @staticmethod
    def _hear(t_ns: int, unit: _Watched, outbox: Outbox) -> None:
        if unit.is_silent and outbox.signals is None and unit.signals is not None:
            outbox.signals = replace(unit.signals, t_ns=t_ns)
        unit.heard_ns, unit.is_silent = t_ns, False
        unit.vehicle = outbox.vehicle or unit.vehicle
        unit.signals = outbox.signals or unit.signals

    def _substitute(self, t_ns: int, name: str, unit: _Watched) -> Outbox | None:
        silent_s = (t_ns - unit.heard_ns) / NS_PER_S
        if unit.actor:
            self._tell(
                t_ns, unit.actor, silent_s, say("{unit} is silent: its vehicle brakes", unit=name)
            )
            last = unit.vehicle or VehicleCommand(t_ns, 0.0, 0.0, 0, 0)
            decel = numbers()["vehicle.decel_mps2"]
            command = replace(last, t_ns=t_ns, accel_mps2=-decel, flags=last.flags | _ALERT)
            return Outbox(vehicle=command)
        if unit.signals is None:
            return None
        self._tell(t_ns, 0, silent_s, say("{unit} is silent: its lights flash yellow", unit=name))
        group = unit.signals.group
        off = np.where(self._is_pedestrian[group], int(Light.DARK), int(Light.FLASHING_YELLOW))
        return Outbox(signals=SignalCommand(t_ns, group, off.astype(np.uint8)))

    def _tell(self, t_ns: int, actor: int, silent_s: float, text: str) -> None:
        self.events.append(Event(t_ns, EventKind.WATCHDOG, actor, value=silent_s, text=text))


def pedestrian_groups(net: RoadNetwork) -> Bool:
    """(H,) groups that show their light to crossings only."""
    groups = np.arange(len(net.groups.id))
    of_crossing = np.isin(groups, net.crossings.group)
    is_pedestrian: Bool = of_crossing & ~np.isin(groups, net.stop_lines.group)
    return is_pedestrian
