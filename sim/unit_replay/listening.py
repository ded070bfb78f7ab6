"""Listens in on what units are called with, and changes nothing: a bus around a bus, outside of whatever breaks units."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocols.bus import Bus
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from protocols.unit_wire import encode_tick
from sim.log.writer import LogWriter

Listen = Callable[[Now, Mapping[str, Inbox]], None]
EVERYBODY = "*"


class ListeningBus:
    """`bus`, with `listen` called before every exchange."""

    def __init__(self, bus: Bus, listen: Listen) -> None:
        self._bus = bus
        self._listen = listen

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        return self._bus.names

    def due(self, tick: int) -> tuple[str, ...]:
        """Units to be called at `tick`, sorted."""
        return self._bus.due(tick)

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """One tick."""
        self._listen(now, inboxes)
        return self._bus.exchange(now, inboxes)

    def reset(self, now: Now, name: str) -> None:
        """The unit `name` starts over."""
        self._bus.reset(now, name)

    def close(self) -> None:
        """Lets go of the units."""
        self._bus.close()


def into(log: LogWriter, names: tuple[str, ...]) -> Listen:
    """Writes the inboxes of `names` to `log`, as the Tick frames that a unit elsewhere would get."""

    def listen(now: Now, inboxes: Mapping[str, Inbox]) -> None:
        for name, inbox in inboxes.items():
            if name in names or EVERYBODY in names:
                log.inbox(name, now.t_ns, encode_tick(now, inbox))

    return listen
