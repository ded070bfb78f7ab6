"""One client's socket: what waits to be sent, what waits to be read, and when it is given up.

Nothing here blocks. What a socket does not take at once is queued. A queue that grows past its limit or stands still for too long, and a
sender of garbage, end the connection: `Hub.give_up` is told why. A client that asks and does not read its answers is no longer read.
"""

from __future__ import annotations

import select
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from protocols.errors import CodecError
from sim.carla.wire import frames, rpc, streams
from sim.carla.wire.calls import CALLS, Call

MIB = 1 << 20
CHUNK = 64 * 1024  # also how much of one client is served before the others are looked at
_PIECES = 64  # of a queue, in one system call
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_GONE = "the client closed it"

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost."""

    connections: int = 1000
    answers_bytes: int = 1 * MIB
    """Answers waiting for a client before its requests wait too."""
    stream_bytes: int = 64 * MIB
    """Messages waiting for a subscriber before it is dropped: about 2,700 snapshots of 200 vehicles."""
    late: int = 256
    """Requests of one client whose answers are held back before its next requests wait."""
    stall_s: float = 30.0
    """How long half a request, a silent subscriber or an unread queue may stand still."""


class Hub(Protocol):
    """What a connection asks of the transport it belongs to."""

    limits: Limits

    def watch(self, connection: Connection, mask: int) -> None:
        """Wake the connection for these events only."""

    def give_up(self, connection: Connection, reason: str) -> None:
        """Close it once the round is over."""

    def perform(self, connection: CallConnection, method: str, packed: Raw) -> rpc.Result:
        """Carry out a request."""

    def subscribe(self, connection: StreamConnection, stream_id: int) -> None:
        """The client named its stream."""

    def report(self, sentence: str) -> None:
        """Say something went wrong."""


class Connection(ABC):
    """What both kinds share: an output queue, and a name in sentences."""

    __slots__ = (
        "_mask",
        "_outbox",
        "hub",
        "id",
        "is_closed",
        "peer",
        "progress_s",
        "queued",
        "sock",
    )

    def __init__(self, hub: Hub, number: int, sock: socket.socket, peer: str) -> None:
        self.hub = hub
        self.id = number
        self.sock = sock
        self.peer = peer
        self.queued = 0
        self.is_closed = False
        self.progress_s = time.monotonic()
        self._outbox: deque[Bytes] = deque()
        self._mask: int = _IN

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.id} ({self.peer})"

    def on_event(self, mask: int) -> None:
        """The socket can be read, can be written, or is broken."""
        if mask & _OUT and self.queued:
            self._flush()
        if mask & _IN and not self.is_closed:
            self.on_readable()
        elif mask & (select.EPOLLHUP | select.EPOLLERR) and not self.is_closed:
            self.hub.give_up(self, _GONE)

    @abstractmethod
    def on_readable(self) -> None:
        """There is something to read, perhaps the end."""

    def is_stalled(self, now_s: float) -> str | None:
        """Why the connection should be given up, None while it should not."""
        if self.queued and now_s - self.progress_s > self.hub.limits.stall_s:
            return f"it has not read for {self.hub.limits.stall_s:g} s and {self.queued} bytes wait"
        return None

    def push(self, pieces: Sequence[Bytes]) -> None:
        """Send now what the socket takes, queue the rest. The pieces may be reused as soon as this returns."""
        if self.is_closed:
            return
        sent = 0
        if not self.queued:
            try:
                sent = self.sock.send(pieces[0]) if len(pieces) == 1 else self.sock.sendmsg(pieces)
            except BlockingIOError:
                pass
            except OSError:
                self.hub.give_up(self, _GONE)
                return
            if len(pieces) == 1 and sent == len(pieces[0]):
                return
        total = sum(map(len, pieces))
        if sent == total:
            return
        if not self.queued:
            self.progress_s = time.monotonic()
        self._outbox.append(b"".join(pieces)[sent:])
        self.queued += total - sent
        self._on_queue()
        self._rewatch()

    def _flush(self) -> None:
        pieces = [self._outbox[k] for k in range(min(len(self._outbox), _PIECES))]
        try:
            sent = self.sock.sendmsg(pieces)
        except BlockingIOError:
            return
        except OSError:
            self.hub.give_up(self, _GONE)
            return
        self.progress_s = time.monotonic()
        self.queued -= sent
        while sent:
            first = self._outbox[0]
            if sent < len(first):
                self._outbox[0] = memoryview(first)[sent:]
                break
            sent -= len(first)
            self._outbox.popleft()
        self._on_queue()
        if not self.is_closed:
            self._rewatch()

    @abstractmethod
    def _on_queue(self) -> None:
        """The queue became longer or shorter."""

    def _is_reading(self) -> bool:
        return True

    def _rewatch(self) -> None:
        mask = (_IN if self._is_reading() else 0) | (_OUT if self.queued else 0)
        if mask != self._mask and not self.is_closed:
            self._mask = mask
            self.hub.watch(self, mask)

    def _receive(self) -> bytes | None:
        """What arrived; None when nothing did or the connection ended."""
        try:
            chunk = self.sock.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            chunk = b""
        if not chunk:
            self.hub.give_up(self, _GONE)
            return None
        return chunk


class CallConnection(Connection):
    """A client's calls, answered in the order they arrived unless an answer is held back.

    `number` is that of the request being carried out: who answers LATER keeps it for `answer`.
    """

    __slots__ = (
        "_answers",
        "_frames",
        "_inbox",
        "_is_amid",
        "_is_serving",
        "_late",
        "_start_s",
        "number",
    )

    def __init__(self, hub: Hub, number: int, sock: socket.socket, peer: str) -> None:
        super().__init__(hub, number, sock, peer)
        self.number = 0
        self._frames = frames.Frames()
        self._inbox: deque[bytes] = deque()
        self._answers: list[bytes] = []
        self._late: dict[int, Call | None] = {}
        self._is_serving = False
        self._is_amid = False  # something is left of what came before
        self._start_s = 0.0

    def on_readable(self) -> None:
        chunk = self._receive()
        if chunk is None:
            return
        try:
            if not self._is_amid:
                parts = frames.whole(chunk)
                if parts is not None:  # one request and nothing else, as nearly always
                    self._is_serving = True
                    self._serve(parts)
                    self._is_serving = False
                    self._send_answers()
                    if self._late:
                        self._rewatch()
                    return
            self._inbox.extend(self._frames.feed(chunk))
        except CodecError as error:
            self._is_serving = False
            self.hub.give_up(self, str(error))
            return
        self._start_s = time.monotonic()
        self._work()
        self._is_amid = bool(self._frames.pending or self._inbox)

    def is_stalled(self, now_s: float) -> str | None:
        waiting = self._frames.pending if self._is_reading() and not self._inbox else 0
        if waiting and now_s - self._start_s > self.hub.limits.stall_s:
            return f"half a request ({waiting} bytes) and nothing more for {self.hub.limits.stall_s:g} s"
        return super().is_stalled(now_s)

    def answer(self, number: int, result: rpc.Result) -> None:
        """The answer that was held back; too late for a client that is gone, which is nobody's fault."""
        if self.is_closed or number not in self._late:
            return
        call = self._late.pop(number)
        self._answers.append(self._packed(number, call, result))
        if not self._is_serving:
            self._send_answers()
            self._work()

    def _work(self) -> None:
        """Serve the complete requests, as long as the client reads its answers."""
        if self._is_serving:
            return
        self._is_serving = True
        try:
            while self._inbox and self._is_reading() and not self.is_closed:
                self._serve(rpc.read(self._inbox.popleft()))
                answers = self._answers
                if answers and (len(answers) >= _PIECES or len(answers[-1]) > CHUNK):
                    self._send_answers()
        except CodecError as error:
            self._send_answers()
            self.hub.give_up(self, str(error))
        finally:
            self._is_serving = False
        self._send_answers()
        self._rewatch()

    def _serve(self, parts: frames.Parts) -> None:
        _, number, method, packed = parts
        self.number = number
        call = CALLS.get(method)
        result = self.hub.perform(self, method, packed)
        if result is rpc.LATER:
            self._late[number] = call
        else:
            self._answers.append(self._packed(number, call, result))

    def _packed(self, number: int, call: Call | None, result: rpc.Result) -> bytes:
        """An answer that cannot be packed is a mistake of the server, not of the client: the client is told and goes on."""
        try:
            return rpc.answer(number, call, result)
        except (CodecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            name = "a call" if call is None else call.name
            sentence = f"{name}: the server made an answer that cannot travel: {error}"
            self.hub.report(sentence)
            return rpc.answer(number, call, rpc.Error(sentence))

    def _send_answers(self) -> None:
        answers = self._answers
        if answers:
            self._answers = []
            self.push(answers)

    def _on_queue(self) -> None:  # streams do not mind
        if not self.queued and self._inbox:
            self._work()

    def _is_reading(self) -> bool:
        limits = self.hub.limits
        return self.queued <= limits.answers_bytes and len(self._late) < limits.late


class StreamConnection(Connection):
    """A subscriber: it names its stream once and then only listens. `stream_id` is None until it has."""

    __slots__ = ("_head", "stream_id")

    def __init__(self, hub: Hub, number: int, sock: socket.socket, peer: str) -> None:
        super().__init__(hub, number, sock, peer)
        self.stream_id: int | None = None
        self._head = b""

    def on_readable(self) -> None:
        chunk = self._receive()
        if chunk is None:
            return
        self._head += chunk
        if len(self._head) > streams.LENGTH.size:
            self.hub.give_up(
                self,
                f"a subscriber sends the {streams.LENGTH.size} bytes of its stream's number and nothing "
                f"else; it sent {self._head[:16].hex(' ')}",
            )
        elif len(self._head) == streams.LENGTH.size:
            (self.stream_id,) = streams.LENGTH.unpack(self._head)
            self.hub.subscribe(self, self.stream_id)

    def is_stalled(self, now_s: float) -> str | None:
        if self.stream_id is None and now_s - self.progress_s > self.hub.limits.stall_s:
            return f"it named no stream for {self.hub.limits.stall_s:g} s"
        return super().is_stalled(now_s)

    def _on_queue(self) -> None:  # streams do not mind
        if self.queued > self.hub.limits.stream_bytes:
            self.hub.give_up(
                self, f"{self.queued} bytes of stream {self.stream_id} wait and it does not read"
            )
