"""Cuts what arrives on the port for calls into requests, and says why when it cannot.

The bytes come from anyone: a request may be split, may claim to be four gigabytes long or ten thousand arrays deep. Nothing is
allocated for a claim; a request is handed out when its last byte is here. An ordinary request may have 16 MiB; only calls that carry a
road file or a picture may have 128 MiB (the largest road file a client may generate a world from is 100 MB).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import DecodeError, Raw
from msgspec.msgpack import Decoder

from protocols.errors import CodecError
from sim.carla.wire import _frames_kernels as k
from sim.carla.wire import structs
from sim.carla.wire.calls import LARGE_CALLS

MIB = 1 << 20
LONGEST = 128 * MIB
LONGEST_ORDINARY = 16 * MIB
_AT_ONCE = 512
_REASONS = {
    k.NOT_A_REQUEST: "the bytes are not a MessagePack-RPC request",
    k.TOO_DEEP: f"a request is nested deeper than {k.DEPTH} levels",
    k.TOO_LONG: f"a request is, or claims to be, longer than {LONGEST // MIB} MiB",
    k.RESERVED: "a request holds the byte MessagePack reserves (c1)",
}
UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes of unknown origin may raise."""

Parts = tuple[Literal[0], structs.U32, str, Raw]
"""Type, number and name of a request, and its arguments as they came."""

ENVELOPE: Decoder[Parts] = Decoder(Parts)


class Frames:
    """The unread bytes of one connection."""

    __slots__ = ("_ends", "_is_large", "_pending", "_stack", "_state")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._stack = np.zeros(k.DEPTH, np.int64)
        self._state = np.zeros(k.STATES, np.int64)
        self._ends = np.zeros(_AT_ONCE, np.int64)
        self._is_large = False

    @property
    def pending(self) -> int:
        """Bytes of a request that is not complete."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The requests that `chunk` completes; CodecError where nothing of this sender can be trusted any more."""
        if self._pending:
            self._pending += chunk
            requests, used = self._cut(self._pending)
            del self._pending[:used]
        else:
            requests, used = self._cut(chunk)
            self._pending += memoryview(chunk)[used:]
        self._state[k.POSITION] -= used
        self._state[k.START] = 0
        if not self._pending:
            self._is_large = False
        elif len(self._pending) > LONGEST_ORDINARY and not self._is_large:
            method = _method(self._pending)
            if method not in LARGE_CALLS:
                raise CodecError(
                    f"a request for {method!r} is longer than {LONGEST_ORDINARY // MIB} MiB"
                )
            self._is_large = True
        return requests

    def _cut(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        """Complete requests at the start of `data`, and how many bytes they take."""
        view = np.frombuffer(data, np.uint8)
        requests: list[bytes] = []
        start = 0
        found = _AT_ONCE
        while found == _AT_ONCE:
            found = k.find_ends(view, LONGEST, self._stack, self._state, self._ends)
            for end in self._ends[:found].tolist():
                requests.append(bytes(data[start:end]))
                start = end
        problem = int(self._state[k.PROBLEM])
        if problem:
            raise CodecError(f"{_REASONS[problem]}; it begins {_opening(data, start)}")
        return requests, start


def whole(chunk: bytes) -> Parts | None:
    """The parts of a request when `chunk` is exactly one, as it nearly always is; None when it is not."""
    try:
        return ENVELOPE.decode(chunk)
    except UNREADABLE:
        return None


def _method(data: bytearray) -> str | None:
    """The name of the call an incomplete request is for, None where it has none."""
    head = bytes(data[:128])
    for width in (1, 2, 3, 5, 9):  # bytes of the number of the request
        name = head[2 + width :]
        if name and 0xA0 <= name[0] <= 0xBF:
            return name[1 : 1 + (name[0] & 0x1F)].decode("ascii", "replace")
        if name and name[0] == 0xD9:
            return name[2 : 2 + name[1]].decode("ascii", "replace")
    return None


def _opening(data: bytes | bytearray, start: int) -> str:
    return bytes(data[start : start + 16]).hex(" ") or "with nothing"
