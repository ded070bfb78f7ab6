"""What a client may meet on its way from one episode to the next.

`load_world` lets go of the old episode when the server has answered, and only then asks for the new one. Two things kill the stock client
where they come in between; a server that loads for seconds never does them, this one loads in milliseconds and so takes care not to.

- A snapshot of the new episode on the old subscription: its callback keeps the old episode alive beyond the moment at which the new one
  subscribes, and the client frees the new subscription while it is being read. So the world stream is silent and nobody's tick is
  made until the client has asked for its token, and until then it is told the old episode's id: the first snapshot it then gets tells
  it, and its Traffic Manager, that the episode has changed.
- A Traffic Manager that runs by itself: it reads through the episode that is gone. So a client with managers is told that the episode is
  there when each of them waits for an answer itself, or when a while has passed, as synchronous ones ask for nothing. All calls of the
  client but those of the way wait, and are carried out afterwards in the order they came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sim.carla.wire.rpc import VOID

ON_THE_WAY = frozenset(("version", "get_episode_info", "get_sensor_token"))
ARRIVED = "get_sensor_token"
PATIENCE_S = (
    1.0  # then the world goes on: the one who loaded was not the stock client, or has stopped
)

LISTENS_S = (
    0.05  # a manager that runs by itself asks for something within this, even on a busy machine
)
Waiting = tuple[int, str, tuple[Any, ...]]  # the number of a request, its name, its arguments


@dataclass(slots=True)
class Way:
    """One connection's. `request` is the one that loaded, as long as it is not answered."""

    old_episode: int
    num_managers: int
    until_s: float
    tell_s: float
    request: int | None
    calls: list[Waiting] = field(default_factory=list)


class Handover:
    """Which connections are on their way. `perform` carries out a call that has waited, and answers it."""

    def __init__(self, perform: Callable[[Any, Waiting], None]) -> None:
        self._perform = perform
        self._ways: dict[Any, Way] = {}

    def __bool__(self) -> bool:
        return bool(self._ways)

    def begin(self, caller: Any, old_episode: int, num_managers: int, now_s: float) -> bool:
        """The episode that this caller asked for is there; whether to tell it now. Else it is told later, from here."""
        request = caller.number if num_managers else None
        until_s, tell_s = now_s + PATIENCE_S, now_s + LISTENS_S
        self._ways[caller] = Way(old_episode, num_managers, until_s, tell_s, request)
        return not num_managers

    def keeps(self, caller: Any, call: str, arguments: tuple[Any, ...]) -> bool:
        """Whether the call waits. One that does not may end the way; what waited is carried out before it."""
        way = self._ways.get(caller)
        if way is None:
            return False
        if call in ON_THE_WAY:
            if call == ARRIVED:
                self.end(caller)
            return False
        if (
            way.num_managers and call != "load_new_episode"
        ):  # who loads again has no use for the way
            way.calls.append((caller.number, call, arguments))
            if len(way.calls) >= way.num_managers:  # a manager that waits asks for nothing else
                self._tell(caller)
            return True
        self.end(caller)
        return False

    def episode_for(self, caller: Any) -> int | None:
        """The episode that a caller on its way still believes in; None for anybody else."""
        way = self._ways.get(caller)
        return None if way is None else way.old_episode

    def end(self, caller: Any, is_gone: bool = False) -> None:
        """The caller has arrived, or its connection is gone: then nobody waits for its answers."""
        if not is_gone:
            self._tell(caller)
        way = self._ways.pop(caller, None)
        if way is not None and not is_gone:
            for call in way.calls:
                self._perform(caller, call)

    def _tell(self, caller: Any) -> None:
        way = self._ways.get(caller)
        if way is not None and way.request is not None:
            request, way.request = way.request, None
            caller.answer(request, VOID)

    def hurry(self, now_s: float) -> None:
        """Those whose time has come are told, or go on."""
        for caller, way in list(self._ways.items()):
            if way.until_s <= now_s:
                self.end(caller)
            elif way.tell_s <= now_s:
                self._tell(caller)

    def due_s(self) -> float | None:
        """When to `hurry` next, None while nobody is on its way."""
        return min(
            (w.until_s if w.request is None else w.tell_s for w in self._ways.values()),
            default=None,
        )
