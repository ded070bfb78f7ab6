"""The server's two ports and the loop that serves them: calls on one, streams on the other, one thread.

`poll` handles what is there and returns; `run` does so until `stop`. A request is carried out by `dispatch`, whose answer goes out with a
direct send; messages of a stream go straight to its subscribers. So what `dispatch` sends on streams leaves before its own answer does.
After work the loop looks again without sleeping for up to `spin_s`, because a client that was just answered asks again within microseconds
and waking up would cost as much as the whole exchange; between looks it offers its processor to others, and where looking proves vain it looks for a shorter time.

Everything from a socket is hostile: whoever sends garbage, claims gigabytes or stops reading is closed with a sentence to `say`, and
nobody else notices. `on_closed` is called between rounds, never from within `dispatch` or `send`.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from msgspec import Raw

from protocols.errors import IcvError, InfrastructureError
from sim.carla.server.connection import (
    Bytes,
    CallConnection,
    Connection,
    Limits,
    StreamConnection,
)
from sim.carla.wire import rpc, streams
from sim.carla.wire.calls import CALLS
from sim.carla.wire.frames import Frames
from sim.carla.wire.rpc import LATER, VOID, Batch, Error, Result, Value, Void

__all__ = [
    "LATER",
    "VOID",
    "Batch",
    "CallConnection",
    "Connection",
    "Error",
    "Limits",
    "Result",
    "StreamConnection",
    "Transport",
    "Value",
    "Void",
]

Dispatch = Callable[[CallConnection, str, tuple[object, ...]], Result]
_BACKLOG = 256
_SWEEP_S = 1.0
_SENTENCES_PER_S = 20
_ACCEPTS = 64
_LISTEN_S = 0.25


class Transport:
    """Listens from the moment it is made; `port` and `stream_port` are the real ones.

    `port` 0 takes any free port; `stream_port` None takes the next one after `port` (any free one after port 0), 0 any free one.
    `on_subscribe` may answer False: the stream is unknown and the subscriber is closed. With `is_checking` every answer is compared with
    its type before it leaves: slow, for tests.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        *,
        host: str = "127.0.0.1",
        port: int = 2000,
        stream_port: int | None = None,
        on_subscribe: Callable[[int, StreamConnection], bool | None] | None = None,
        on_closed: Callable[[Connection], None] | None = None,
        say: Callable[[str], None] = print,
        limits: Limits | None = None,
        spin_s: float = 300e-6,
        is_checking: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._dispatch = dispatch
        self._on_subscribe = on_subscribe
        self._on_closed = on_closed
        self._say = say
        self._spin_s = self._spin_now_s = spin_s
        self._is_checking = is_checking
        self._said = 0
        self._silenced = 0
        self._connections: dict[int, Connection] = {}
        self._subscribers: dict[int, list[StreamConnection]] = {}
        self._expected: dict[int, list[float]] = {}
        self._doomed: list[tuple[Connection, str]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._next = 1
        self._busy_until_s = 0.0
        self._sweep_s = time.monotonic() + _SWEEP_S
        self._is_running = False
        Frames().feed(rpc.request(0, "version"))  # compiles now what the first crowded socket needs
        self._calls = _listen(host, port)
        self.host: str = host
        self.port: int = self._calls.getsockname()[1]
        if stream_port is None:
            stream_port = port + 1 if port else 0
        try:
            self._streams = _listen(host, stream_port)
        except InfrastructureError:
            self._calls.close()
            raise
        self.stream_port: int = self._streams.getsockname()[1]
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        for fd in (self._calls.fileno(), self._streams.fileno(), self._wake):
            self._epoll.register(fd, select.EPOLLIN)

    # -- what the owner calls -------------------------------------------------------------------

    def poll(self, timeout_s: float | None = None) -> int:
        """Handle what is there, wait for it up to `timeout_s` (None: until something comes); the number of events handled."""
        now_s = time.monotonic()
        due_s = self._sweep_s if timeout_s is None else min(self._sweep_s, now_s + timeout_s)
        if self._timers:
            due_s = min(due_s, self._timers[0][0])
        poll = self._epoll.poll
        until_s = min(due_s, self._busy_until_s)
        if now_s < until_s:
            events = poll(0)
            while not events and time.monotonic() < until_s:
                os.sched_yield()  # a client's threads may need this very processor to come to their next question
                events = poll(0)
            # Where clients take longer than that, on a busy machine, waiting without sleeping only takes the processor from them.
            self._spin_now_s = self._spin_s if events else self._spin_now_s / 2
            now_s = time.monotonic()
            if not events:
                events = poll(max(0.0, due_s - now_s))
        else:
            events = poll(max(0.0, due_s - now_s))
        connections = self._connections
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is not None:
                if not connection.is_closed:
                    connection.on_event(mask)
            elif fd == self._wake:
                os.eventfd_read(fd)
            else:
                self._accept(fd)
        now_s = time.monotonic()
        if events:
            self._busy_until_s = now_s + max(self._spin_now_s, self._spin_s / 16)
        while self._timers and self._timers[0][0] <= now_s:
            heapq.heappop(self._timers)[2]()
        if now_s >= self._sweep_s:
            self._sweep(now_s)
        while self._doomed:
            self._bury()
        return len(events)

    def run(self, idle: Callable[[], float | None] | None = None) -> None:
        """Poll until `stop`. `idle` is called before every round; it answers the monotonic time of its next deadline, or None."""
        self._is_running = True
        while self._is_running:
            deadline_s = idle() if idle is not None else None
            if not self._is_running:
                break
            self.poll(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))

    def stop(self) -> None:
        """End `run` after this round; may be called from a signal handler or another thread."""
        self._is_running = False
        os.eventfd_write(self._wake, 1)

    def call_at(self, when_s: float, what: Callable[[], None]) -> None:
        """Call once at a monotonic time, from within `poll`. There is no taking back: `what` looks whether it is still needed."""
        self._next += 1
        heapq.heappush(self._timers, (when_s, self._next, what))

    def send(self, stream_id: int, chunks: Sequence[Bytes]) -> int:
        """One message, header included, to every subscriber of a stream; the number of subscribers."""
        subscribers = self._subscribers.get(stream_id)
        if not subscribers:
            return 0
        message = (streams.LENGTH.pack(sum(map(len, chunks))), *chunks)
        for subscriber in subscribers:
            subscriber.push(message)
        return len(subscribers)

    def send_to(self, subscriber: StreamConnection, chunks: Sequence[Bytes]) -> None:
        """One message to one subscriber: the latest snapshot, for who has just come."""
        subscriber.push((streams.LENGTH.pack(sum(map(len, chunks))), *chunks))

    def subscribers(self, stream_id: int) -> Sequence[StreamConnection]:
        """Who listens to a stream."""
        return self._subscribers.get(stream_id, ())

    def close_stream(self, stream_id: int) -> None:
        """The stream has ended: its subscribers are closed without a word."""
        for subscriber in list(self.subscribers(stream_id)):
            self.give_up(subscriber, "")
        self._expected.pop(stream_id, None)

    def expect(self, stream_id: int, within_s: float = _LISTEN_S) -> None:
        """A client was told where a stream is, and will subscribe; `awaited` says whether it has."""
        self._expected.setdefault(stream_id, []).append(time.monotonic() + within_s)

    def awaited(self) -> float | None:
        """When waiting for expected subscriptions ends, None when none is missing."""
        if not self._expected:
            return None
        now_s = time.monotonic()
        for stream_id in list(self._expected):
            left = [when_s for when_s in self._expected[stream_id] if when_s > now_s]
            if left:
                self._expected[stream_id] = left
            else:
                del self._expected[stream_id]
        return max((when_s for left in self._expected.values() for when_s in left), default=None)

    def connections(self) -> list[Connection]:
        """Everybody connected, in the order they came."""
        return [c for c in self._connections.values() if not c.is_closed]

    def close(self) -> None:
        """Close every socket; `on_closed` is called for every connection."""
        for connection in self.connections():
            self.give_up(connection, "")
        while self._doomed:
            self._bury()
        for sock in (self._calls, self._streams):
            sock.close()
        self._epoll.close()
        os.close(self._wake)

    # -- what connections call ------------------------------------------------------------------

    def watch(self, connection: Connection, mask: int) -> None:
        self._epoll.modify(connection.sock.fileno(), mask)

    def give_up(self, connection: Connection, reason: str) -> None:
        """Close a connection once the round is over; nothing is sent to it or read from it any more."""
        if connection.is_closed:
            return
        connection.is_closed = True
        if isinstance(connection, StreamConnection) and connection.stream_id is not None:
            left = [
                c for c in self._subscribers.get(connection.stream_id, ()) if c is not connection
            ]
            if left:
                self._subscribers[connection.stream_id] = left
            else:
                self._subscribers.pop(connection.stream_id, None)
        self._doomed.append((connection, reason))

    def perform(self, connection: CallConnection, method: str, packed: Raw) -> Result:
        try:
            result = self._dispatch(connection, method, rpc.arguments(method, packed))
            if self._is_checking and isinstance(result, Value):
                rpc.verify(CALLS[method], result.value)
        except rpc.RefusedError as error:
            return Error(str(error))
        except IcvError as error:
            self.report(f"{connection}: {method}: {error}")
            return Error(str(error))
        except Exception as error:
            self._mistake(f"{connection}: {method}", error)
            return Error(f"{method} failed inside the server: {type(error).__name__}: {error}")
        return result

    def subscribe(self, connection: StreamConnection, stream_id: int) -> None:
        # A new list each time: `send` may be going through the old one.
        self._subscribers[stream_id] = [*self.subscribers(stream_id), connection]
        left = self._expected.get(stream_id)
        if left:
            left.pop(0)
            if not left:
                del self._expected[stream_id]
        if self._on_subscribe is None:
            return
        try:
            is_known = self._on_subscribe(stream_id, connection)
        except Exception as error:
            self._mistake(f"{connection}: subscribing to stream {stream_id}", error)
            is_known = False
        if is_known is False:
            self.give_up(connection, f"there is no stream {stream_id}")

    def report(self, sentence: str) -> None:
        """Say it, unless so much has been said within this second that a log would only fill up."""
        if self._said < _SENTENCES_PER_S:
            self._said += 1
            self._say(sentence)
        else:
            self._silenced += 1

    def _mistake(self, what: str, error: Exception) -> None:
        """The owner's code failed: the server stays up and says where."""
        trace = "".join(traceback.format_exception(error)[-4:])
        self.report(f"{what} failed inside the server:\n{trace}")

    # -- the loop's own -------------------------------------------------------------------------

    def _accept(self, fd: int) -> None:
        is_calls = fd == self._calls.fileno()
        listener = self._calls if is_calls else self._streams
        for _ in range(_ACCEPTS):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of files: rest a second, or the loop would spin on it
                self.report(f"cannot accept a connection: {error}")
                self._epoll.modify(fd, 0)
                self.call_at(
                    time.monotonic() + _SWEEP_S, lambda: self._epoll.modify(fd, select.EPOLLIN)
                )
                return
            peer = f"{address[0]}:{address[1]}"
            if len(self._connections) >= self.limits.connections:
                self.report(f"{peer}: refused, {self.limits.connections} connections are open")
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kind = CallConnection if is_calls else StreamConnection
            connection = kind(self, self._next, sock, peer)
            self._next += 1
            self._connections[sock.fileno()] = connection
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _sweep(self, now_s: float) -> None:
        self._sweep_s = now_s + _SWEEP_S
        for connection in self.connections():
            reason = connection.is_stalled(now_s)
            if reason is not None:
                self.give_up(connection, reason)
        if self._silenced:
            self._say(f"{self._silenced} more sentences of the last second are left out")
        self._said = self._silenced = 0

    def _bury(self) -> None:
        doomed, self._doomed = self._doomed, []
        for connection, reason in doomed:
            if reason:
                self.report(f"{connection}: closed: {reason}")
            fd = connection.sock.fileno()
            del self._connections[fd]
            self._epoll.unregister(fd)
            connection.sock.close()
        if self._on_closed is not None:
            for connection, _ in doomed:
                try:
                    self._on_closed(connection)
                except Exception as error:
                    self._mistake(f"{connection}: closing", error)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; InfrastructureError says why there is none."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        family = socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        raise InfrastructureError(
            f"cannot listen on {host} port {port}: {error}; choose another --port or end what uses it"
        ) from None
    return sock
