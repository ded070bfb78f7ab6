"""A viewer's server on a free port of this machine, asked over real sockets."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from sim.viewer.server import listen, make_app, make_server
from sim.viewer.shelf import Shelf

PAGE = {"index.html": "<p>page", "viewer.js": "1;", "viewer.css": "p{}"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """As JSON."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Client:
    """Asks one server; paths go out as they are written."""

    port: int

    def get(self, path: str, host: str | None = None, method: str = "GET") -> Answer:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {} if host is None else {"Host": host}
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)
        finally:
            connection.close()

    def socket(self, path: str, origin: str | None = None) -> ClientConnection:
        """A WebSocket."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", origin=origin, max_size=10**8)  # type: ignore[arg-type]


@contextmanager
def serving(root: Path, static: Path, names: tuple[str, ...] = ()) -> Iterator[Client]:
    """A server of the runs in `root`."""
    for name, text in PAGE.items():
        (static / name).write_text(text)
    listener = listen("127.0.0.1", 0)
    server = make_server(make_app(Shelf(root), names, static))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Client(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def age(root: Path) -> None:
    """Makes the logs in `root` old: none is a run in progress."""
    for path in root.rglob("*.mcap"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
