"""What the suite and a worker say to each other: JSON, one message a line, over a socket pair.

Down: an order. Up: `ready`, now and then `at` with the simulated time, and one `result` per order. Lines rather than a blocking
receive: a worker that stops in the middle of a message must not stop the suite.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from protocols.errors import InfrastructureError
from protocols.sentence import say

OUTPUT = "output.txt"  # what a run prints, in its folder
MAX_LINE = 16_000_000  # bytes; a result has some thousands


@dataclass(frozen=True, slots=True)
class Order:
    """One task as a worker needs it. `folder`: absolute, where log and result go."""

    scene: str
    overrides: tuple[str, ...]
    folder: str
    record: bool = True
    memory_mb: int = 4096
    maps: str = ""  # folder of read maps, or ""
    more: str = ""  # what a job that is no run of a scene wants to know


_FIELDS = tuple(item.name for item in fields(Order))


def pack(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def pack_order(order: Order) -> bytes:
    """An order as a line."""
    return pack({name: getattr(order, name) for name in _FIELDS})


def unpack_order(line: bytes) -> Order:
    """The order in a line."""
    table = json.loads(line)
    return Order(**{**table, "overrides": tuple(table["overrides"])})


class Lines:
    """Cuts what arrives on a socket into lines; `read` never waits."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._rest = bytearray()

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """(messages, whether the other side is still there). InfrastructureError for what is no message."""
        is_open = True
        while True:
            try:
                data = self._channel.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                is_open = False
                break
            self._rest += data
            if len(self._rest) > MAX_LINE:
                raise InfrastructureError(
                    say(
                        "a worker's message has more than {allowed:d} bytes; expected a result of some thousand",
                        allowed=MAX_LINE,
                    )
                )
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [_message(line) for line in whole], is_open


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict) or "kind" not in message:
        raise InfrastructureError(
            say("a worker said {line!r}, which is no message", line=line[:80])
        )
    return message
