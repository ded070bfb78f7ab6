"""From a request to its answer: finds the handler, wraps what it returns in the shape of the call's kind."""

from __future__ import annotations

from typing import Any

from protocols.errors import IcvError
from sim.carla.server import (  # noqa: F401 (importing fills the table)
    batch,
    calls_actor,
    calls_light,
    calls_misc,
    calls_vehicle,
    calls_world,
)
from sim.carla.server.handlers import HANDLERS, Refused
from sim.carla.server.world import World
from sim.carla.wire.calls import CALLS, Kind
from sim.carla.wire.rpc import LATER, VOID, Error, Result, Value

_HAS_VALUE = frozenset(name for name, call in CALLS.items() if call.kind is Kind.VALUE)


class Dispatcher:
    """Answers the calls of every client of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        missing = sorted(set(CALLS) - set(HANDLERS))
        extra = sorted(set(HANDLERS) - set(CALLS))
        if missing or extra:
            raise ValueError(
                f"calls without a handler: {missing}; handlers without a call: {extra}"
            )

    def answer(self, caller: Any, call: str, arguments: tuple[Any, ...]) -> Result:
        """The answer, an error as one of the values it can have."""
        try:
            value = HANDLERS[call](self._world, caller, *arguments)
        except (Refused, IcvError) as error:
            return Error(str(error))
        if call in _HAS_VALUE:
            return LATER if value is LATER else Value(value)
        if value is None:
            return VOID
        result: Result = value  # of a batch
        return result
