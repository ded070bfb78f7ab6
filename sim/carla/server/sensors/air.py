"""What the V2X sensors of an episode have on the air this frame: every station sends once, then all of them listen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sim.carla.server.sensors.view import View


@dataclass(frozen=True, slots=True)
class Sent:
    """One message on the air."""

    channel: str
    kind: int  # stream type of those who understand it
    station: int  # id of the sending sensor
    seq: int  # of the station's messages
    x_m: float
    y_m: float
    height_m: float  # antenna above ground
    power_dbm: float
    content: bytes


class Station(Protocol):
    """A sensor that may send."""

    row: int
    actor_id: int

    def transmit(self, view: View) -> list[Sent]:
        """What it sends this frame."""
        ...


@dataclass(slots=True)
class Air:
    """Stations by actor id, and what they sent this frame."""

    stations: dict[int, Station] = field(default_factory=dict)
    _frame: int = -1
    _sent: list[Sent] = field(default_factory=list)

    def sent(self, view: View) -> list[Sent]:
        """Everything on the air in this frame, by id of the sender."""
        if view.frame != self._frame:
            self._frame = view.frame
            alive = view.table.row_of
            self.stations = {k: s for k, s in self.stations.items() if alive.get(k) == s.row}
            self._sent = [m for k in sorted(self.stations) for m in self.stations[k].transmit(view)]
        return self._sent
