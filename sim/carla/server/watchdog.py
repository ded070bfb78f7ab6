"""The Traffic Manager's lost wake-up: noticing it, and calling the manager's own server so that it goes on.

The manager lives in the client. Its begin/end handshake sometimes misses a notification when a server answers as fast as this one:
the client's main thread then waits for a cycle that the manager never began, and no request comes any more. Switching the manager's
synchronous mode off and on again notifies both sides and changes nothing else.

`Watchdog` looks at the order of requests; `Poke` is one such call, carried on a step at a time and never waited for.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Collection
from enum import Enum
from typing import Any

import msgspec

SILENCE_S = 0.1
MIN_STREAK = 3  # ticks in a row that a manager answered with a batch, before silence means anything
GIVE_UP_S = 2.0
MAX_ANSWER_BYTES = 4096
AGAIN_S = 0.5  # between two pokes of one silence


class Poke:
    """set_synchronous_mode(false), then (true), to a manager on `host`:`port`."""

    class Step(Enum):
        CONNECTING = 0
        OFF = 1
        ON = 2
        DONE = 3

    def __init__(self, host: str, port: int, now_s: float) -> None:
        self.begun_s = now_s
        self.is_delivered = False
        self.step = Poke.Step.CONNECTING
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._heard = b""
        state = self._socket.connect_ex((host, port))
        if state not in (0, errno.EINPROGRESS):
            self.close()

    @property
    def is_done(self) -> bool:
        """Delivered or given up."""
        return self.step is Poke.Step.DONE

    def close(self) -> None:
        """Let go of the socket."""
        self.step = Poke.Step.DONE
        self._socket.close()

    def advance(self, now_s: float) -> None:
        """As far as it goes without waiting."""
        if self.is_done:
            return
        if now_s - self.begun_s > GIVE_UP_S:
            self.close()
            return
        try:
            if self.step is Poke.Step.CONNECTING:
                self._send(0, False)
                self.step = Poke.Step.OFF
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self.close()
            return
        if not data:
            self.close()
            return
        self._heard += data
        try:
            msgspec.msgpack.decode(self._heard)
        except msgspec.DecodeError:  # not all of it yet; nothing else is asked before it is here
            if len(self._heard) > MAX_ANSWER_BYTES:
                self.close()
            return
        self._heard = b""
        try:
            self._answered()
        except OSError:
            self.close()

    def _answered(self) -> None:
        if self.step is Poke.Step.OFF:
            self._send(1, True)
            self.step = Poke.Step.ON
        elif self.step is Poke.Step.ON:
            self.is_delivered = True
            self.close()

    def _send(self, message: int, is_on: bool) -> None:
        # A few bytes into an empty send buffer: either all of them fit or the connection is broken.
        self._socket.sendall(msgspec.msgpack.encode([0, message, "set_synchronous_mode", [is_on]]))


class Watchdog:
    """Knows after every request whether silence would be a lost wake-up."""

    def __init__(self) -> None:
        self._ticker: Any = None  # the connection whose last request was tick_cue
        self._ticked_s = 0.0
        self._has_batch = False
        self._streak = 0
        self._poke: Poke | None = None
        self._poked_s = -1e9
        self.num_pokes = 0
        self.num_delivered = 0

    def saw(self, caller: Any, call: str, now_s: float) -> None:
        """A request came in."""
        if call == "tick_cue":
            self._streak = self._streak + 1 if self._has_batch else 0
            self._has_batch = False
            self._ticker = caller
            self._ticked_s = now_s
        elif call == "apply_batch":
            self._has_batch = True
            self._ticker = None
        elif caller is self._ticker or call == "get_vehicle_light_states":
            self._ticker = None

    def gone(self, caller: Any) -> None:
        """A connection closed."""
        if caller is self._ticker:
            self._ticker = None

    def watch(self, managers: Collection[tuple[str, int]], now_s: float) -> None:
        """Poke where a wake-up seems lost; to be called while nothing else is to be done."""
        if self._poke is not None:
            self._poke.advance(now_s)
            if not self._poke.is_done:
                return
            self.num_delivered += self._poke.is_delivered
            self._poke = None
        if (
            managers
            and self._ticker is not None
            and self._streak >= MIN_STREAK
            and now_s - self._ticked_s > SILENCE_S
            and now_s - self._poked_s > AGAIN_S
        ):
            self._poked_s = now_s
            self.num_pokes += 1
            # One manager at a time; the next silence takes the next one.
            host, port = sorted(managers)[(self.num_pokes - 1) % len(managers)]
            with contextlib.suppress(OSError):
                self._poke = Poke(host, port, now_s)

    @property
    def is_busy(self) -> bool:
        """Whether a poke is under way, so that the loop should not sleep long."""
        return self._poke is not None

    def close(self) -> None:
        """Let go of everything."""
        if self._poke is not None:
            self._poke.close()
            self._poke = None
