"""Who answers which call: a table that the modules `calls_*` fill, and what a refusal looks like.

A handler takes the world, the connection that asks, and the call's arguments; it returns the answer's value, None for a call that has
none, or LATER. It raises `Refused` to send an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim.carla.server import columns as c

if TYPE_CHECKING:
    from sim.carla.server.actors import Actor
    from sim.carla.server.world import World

Handler = Callable[..., Any]
HANDLERS: dict[str, Handler] = {}


class Refused(Exception):
    """The sentence a client gets instead of an answer."""


def answers(*names: str) -> Callable[[Handler], Handler]:
    """Enters a function into the table under the names of the calls it answers."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            if name in HANDLERS:
                raise ValueError(f"two handlers for {name}")
            HANDLERS[name] = handler
        return handler

    return enter


def not_found(call: str, actor: int) -> Refused:
    """CARLA's words for an id nobody has."""
    return Refused(
        f"Responding error from function {call}: Actor could not be found in the registry. "
        f"Actor Id: {actor}"
    )


def row_of(world: World, call: str, actor: int) -> int:
    """The row of a living actor."""
    row = world.table.row_of.get(actor)
    if row is None:
        raise not_found(call, actor)
    return row


def actor_of(world: World, call: str, actor: int, kind: int = -1) -> Actor:
    """A living actor, of one kind where one is asked for."""
    one = world.actors.by_id.get(actor)
    if one is None:
        raise not_found(call, actor)
    if kind >= 0 and one.kind != kind:
        raise Refused(
            f"Responding error from function {call}: actor {actor} is not a {KIND_NAMES[kind]}"
        )
    return one


KIND_NAMES = {
    c.SPECTATOR: "spectator",
    c.VEHICLE: "vehicle",
    c.WALKER: "walker",
    c.SENSOR: "sensor",
    c.LIGHT: "traffic light",
    c.SIGN: "traffic sign",
    c.PROP: "prop",
    c.CONTROLLER: "controller",
    c.TRIGGER: "trigger",
}
