"""The one table of topics: what travels under which name, who may send it, how often, and whether it is logged.

Radio columns: `radio_priority` is the eight-level PPPP-like class of the sidelink (1 most urgent), `overhead_bytes` what network,
transport and security headers add to the payload on the air (WSMP header and a signed message with certificate digest;
prior, confidence low until `protocols.security` measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocols.errors import CodecError
from protocols.messages import (
    BasicSafetyBatch,
    Map,
    Message,
    Plan,
    RoadsideCoordination,
    RoadsideSafety,
    SensorSharing,
    SignalCommand,
    Spat,
    VehicleCommand,
    VehicleIntention,
)


class Sender(Enum):
    """Kind of unit that may send on a topic; a unit's kind is the part of its name before the first slash."""

    OBU = "obu"  # on-board unit with its driver
    RSU = "rsu"  # roadside unit
    FLEET = "fleet"  # the batch of background vehicles
    CENTRE = "centre"  # control centre
    SIM = "sim"  # the simulation itself


class Keep(Enum):
    """What a consumer needs: the newest message of a sender, or every one."""

    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table. `period_ms` None: on occasion."""

    name: str
    message: type[Message] | None  # None: a record that only the log carries
    senders: frozenset[Sender]
    period_ms: int | None
    keep: Keep
    is_on_air: bool = False
    is_logged: bool = True
    is_compared: bool = True  # False: never part of a digest
    radio_priority: int = 8
    overhead_bytes: int = 0


_OBU = frozenset({Sender.OBU})
_RSU = frozenset({Sender.RSU})
_CARS = frozenset({Sender.OBU, Sender.FLEET})
_EYES = frozenset({Sender.OBU, Sender.RSU})
_SIM = frozenset({Sender.SIM})
_AIR = 120  # bytes of headers and signature around each payload

TOPICS: dict[str, Topic] = {
    row.name: row
    for row in (
        Topic("v2x/bsm", BasicSafetyBatch, _CARS, 100, Keep.LATEST, True, True, True, 5, _AIR),
        Topic("v2x/spat", Spat, _RSU, 100, Keep.LATEST, True, True, True, 4, _AIR),
        Topic("v2x/map", Map, _RSU, 1000, Keep.LATEST, True, True, True, 7, _AIR),
        Topic("v2x/rsm", RoadsideSafety, _RSU, 100, Keep.LATEST, True, True, True, 4, _AIR),
        Topic("v2x/ssm", SensorSharing, _EYES, 100, Keep.LATEST, True, True, True, 4, _AIR),
        Topic("v2x/vir", VehicleIntention, _OBU, None, Keep.ALL, True, True, True, 5, _AIR),
        Topic("v2x/rsc", RoadsideCoordination, _RSU, None, Keep.ALL, True, True, True, 4, _AIR),
        Topic(
            "cmd/vehicle", VehicleCommand, _OBU, 10, Keep.LATEST, is_logged=False
        ),  # in the trace
        Topic("cmd/signal", SignalCommand, _RSU, None, Keep.LATEST),
        Topic("obu/plan", Plan, _OBU, 100, Keep.LATEST),
        Topic("truth/world", None, _SIM, 50, Keep.ALL),
        Topic("truth/actor", None, _SIM, None, Keep.ALL),
        Topic("truth/trace", None, _SIM, 100, Keep.ALL),
        Topic("truth/signal", None, _SIM, None, Keep.ALL),
        Topic("truth/event", None, _SIM, None, Keep.ALL),
        Topic("log/header", None, _SIM, None, Keep.ALL, is_compared=False),
        Topic("log/digest", None, _SIM, 1000, Keep.ALL, is_compared=False),
        Topic("log/digest_part", None, _SIM, 1000, Keep.ALL, is_compared=False),
        Topic("log/radio", None, _SIM, None, Keep.ALL),
        Topic("log/note", None, frozenset(Sender), None, Keep.ALL),
        Topic("log/inbox", None, frozenset(Sender), None, Keep.ALL, is_compared=False),
        Topic("log/result", None, _SIM, None, Keep.ALL, is_compared=False),
        Topic("log/timing", None, _SIM, 1000, Keep.ALL, is_compared=False),
    )
}


def topic(name: str) -> Topic:
    """The row of `name`; CodecError lists the names that exist."""
    row = TOPICS.get(name)
    if row is None:
        raise CodecError(f"topic {name!r} does not exist; topics are {', '.join(sorted(TOPICS))}")
    return row


def sender_kind(name: str) -> Sender:
    """Kind of the unit called `name` (`obu/bus1`, `rsu/J1`, `fleet`); CodecError names the kinds that exist."""
    kind = name.partition("/")[0]
    try:
        return Sender(kind)
    except ValueError as error:
        kinds = ", ".join(row.value for row in Sender)
        raise CodecError(
            f"unit name {name!r} starts with {kind!r}, expected one of {kinds}, then a slash"
        ) from error
