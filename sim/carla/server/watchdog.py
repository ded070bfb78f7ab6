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
from typing import Any

import msgspec

SILENCE_S = 0.1
MIN_STREAK = 3  # ticks in a row that a manager answered with a batch, before so short a silence means anything
LONG_SILENCE_S = 1.0  # before that, where the client that ticks has a manager: its first ticks can be lost as well
PATIENCE = 4.0  # a manager is lost only when silent for this many times its slowest answer of late
SLOWEST_S = 0.05  # taken for that at first; a busy machine answers late, and a poke at a healthy manager shifts it by a cycle
FADES = 0.999  # of that, in each tick
GIVE_UP_S = 2.0
ANSWER_BYTES = 5
MAX_ANSWER_BYTES = 4096
AGAIN_S = 0.5  # between two pokes of one silence


class Poke:
    """set_synchronous_mode(false) and (true) to a manager on `host`:`port`.

    Both leave in one piece. Were the second one to wait for the first one's answer, the manager would by then have begun a cycle that
    nobody asked for.
    """

    def __init__(self, host: str, port: int, now_s: float) -> None:
        self.begun_s = now_s
        self.is_delivered = False
        self.is_done = False  # delivered or given up
        self._is_sent = False
        self._heard = b""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if self._socket.connect_ex((host, port)) not in (0, errno.EINPROGRESS):
            self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self.is_done = True
        self._socket.close()

    def advance(self, now_s: float) -> None:
        """As far as it goes without waiting."""
        if self.is_done:
            return
        if now_s - self.begun_s > GIVE_UP_S:
            self.close()
            return
        try:
            if not self._is_sent:
                # A few bytes into an empty send buffer: all of them fit, or the connection is not there yet.
                self._socket.sendall(WAKE)
                self._is_sent = True
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self.close()
            return
        self._heard += data
        self.is_delivered = len(_answers(self._heard)) >= 2
        if self.is_delivered or not data or len(self._heard) > MAX_ANSWER_BYTES:
            self.close()


def _request(number: int, is_on: bool) -> bytes:
    return msgspec.msgpack.encode([0, number, "set_synchronous_mode", [is_on]])


WAKE = _request(0, False) + _request(1, True)


def _answers(heard: bytes) -> list[bytes]:
    """What rpclib answers to a call without a result is [1, number, nil, nil]: five bytes."""
    return [
        heard[k : k + ANSWER_BYTES]
        for k in range(0, len(heard) - ANSWER_BYTES + 1, ANSWER_BYTES)
        if heard[k : k + 2] == b"\x94\x01"
    ]


class Watchdog:
    """Knows after every request whether silence would be a lost wake-up."""

    def __init__(self) -> None:
        self._ticker: Any = None  # the connection whose last request was tick_cue
        self._ticked_s = 0.0
        self._has_batch = False
        self._streak = 0
        self._owners: set[Any] = set()  # connections that registered a manager
        self._slowest_s = SLOWEST_S  # from a tick to the manager's first word on it
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
        elif call == "get_episode_settings":
            # The manager's last word of the cycle before; it often comes after the next tick_cue, and just then a wake-up gets lost.
            pass
        elif caller is self._ticker or call == "get_vehicle_light_states":
            is_answer = self._ticker is not None and call == "get_vehicle_light_states"
            if is_answer and self._poked_s < self._ticked_s:
                self._slowest_s = max(FADES * self._slowest_s, now_s - self._ticked_s)
            self._ticker = None
        if call == "add_traffic_manager_running":
            self._owners.add(caller)

    def gone(self, caller: Any) -> None:
        """A connection closed."""
        self._owners.discard(caller)
        if caller is self._ticker:
            self._ticker = None

    def is_due(self, now_s: float) -> bool:
        """Whether `watch` would do something."""
        if self._poke is not None:
            return True
        if self._ticker is None or now_s - self._poked_s <= AGAIN_S:
            return False
        silence_s = now_s - self._ticked_s
        if self._streak >= MIN_STREAK:
            return silence_s > max(SILENCE_S, min(PATIENCE * self._slowest_s, LONG_SILENCE_S))
        return silence_s > LONG_SILENCE_S and self._ticker in self._owners

    def watch(self, managers: Collection[tuple[str, int]], now_s: float) -> bool:
        """Poke where a wake-up seems lost; to be called while nothing else is to be done. True when a poke has arrived."""
        has_woken = False
        if self._poke is not None:
            self._poke.advance(now_s)
            if not self._poke.is_done:
                return False
            has_woken = self._poke.is_delivered
            self.num_delivered += has_woken
            self._poke = None
        if managers and self.is_due(now_s):
            self._poked_s = now_s
            self.num_pokes += 1
            # One manager at a time; the next silence takes the next one.
            host, port = sorted(managers)[(self.num_pokes - 1) % len(managers)]
            with contextlib.suppress(OSError):
                self._poke = Poke(host, port, now_s)
        return has_woken

    @property
    def is_busy(self) -> bool:
        """Whether a poke is under way, so that the loop should not sleep long."""
        return self._poke is not None

    def close(self) -> None:
        """Let go of everything."""
        if self._poke is not None:
            self._poke.close()
            self._poke = None
