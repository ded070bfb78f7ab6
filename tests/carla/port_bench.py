"""A transport in a thread, and sockets to talk to it with: what the tests of the two ports share."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from sim.carla.server.transport import (
    VOID,
    CallConnection,
    Connection,
    Error,
    Result,
    StreamConnection,
    Transport,
    Value,
)
from sim.carla.wire import rpc
from sim.carla.wire.calls import CALLS, Kind

WAIT_S = 10.0


class Bench:
    """A transport in a thread, with answers good enough to talk to, and a memory of all that happened."""

    def __init__(self, **options: Any) -> None:
        self.said: list[str] = []
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.subscribed: list[int] = []
        self.closed: list[Connection] = []
        self.held: list[tuple[CallConnection, int]] = []
        self.answers: dict[str, Callable[[CallConnection, tuple[Any, ...]], Result]] = {}
        self._inbox: list[Callable[[], None]] = []
        options.setdefault("port", 0)
        self.transport = Transport(
            self._dispatch,
            on_subscribe=self._subscribe,
            on_closed=self.closed.append,
            say=self.said.append,
            **options,
        )
        self._thread = threading.Thread(target=self.transport.run, args=(self._idle,), daemon=True)
        self._thread.start()

    def _idle(self) -> float:
        while self._inbox:
            self._inbox.pop(0)()
        return time.monotonic() + 0.002

    def _dispatch(
        self, connection: CallConnection, method: str, values: tuple[object, ...]
    ) -> Result:
        self.calls.append((method, values))
        if method in self.answers:
            return self.answers[method](connection, values)
        if method == "version":
            return Value("0.9.16")
        return VOID if CALLS[method].kind is Kind.VOID else Error(f"{method} is not served here")

    def _subscribe(self, stream_id: int, connection: StreamConnection) -> bool:
        self.subscribed.append(stream_id)
        return stream_id != 404

    def inside(self, what: Callable[[], Any]) -> Any:
        """Do something on the server's thread and wait for its outcome."""
        done = threading.Event()
        outcome: list[Any] = []

        def carry_out() -> None:
            outcome.append(what())
            done.set()

        self._inbox.append(carry_out)
        assert done.wait(WAIT_S)
        return outcome[0]

    def call(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.transport.port), timeout=WAIT_S)

    def stream(self, stream_id: int | None) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.transport.stream_port), timeout=WAIT_S)
        if stream_id is not None:
            before = len(self.subscribed)
            sock.sendall(struct.pack("<I", stream_id))
            self.until(lambda: len(self.subscribed) > before)
        return sock

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.001)

    def end(self) -> None:
        self.transport.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        self.transport.close()


def exactly(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        chunk = sock.recv(size - len(found))
        assert chunk, "closed"
        found += chunk
    return found


def is_closed_by_peer(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def versions(sock: socket.socket, number: int = 1) -> str:
    """One exchange; shows that the server is alive."""
    sock.sendall(rpc.request(number, "version"))
    expected = rpc.answer(number, CALLS["version"], Value("0.9.16"))
    assert exactly(sock, len(expected)) == expected
    return "0.9.16"
