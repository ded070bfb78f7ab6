"""What a CARLA client's round trip costs on this machine at best: a loop that answers every call with the same bytes, never sleeps and does
nothing else. No server that the stock client talks to over a socket can be faster by much.

`serve()` listens on a free port in a process of its own; `python -m sim.bench.carla_limit` is that process.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sim.carla.wire import rpc
from sim.carla.wire.calls import CALLS

PEER = "limit: the same bytes without any work"


@contextmanager
def serving() -> Iterator[int]:
    """The port of the loop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sim.bench.carla_limit"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _loop() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setblocking(False)
    version = CALLS["version"]
    while True:
        with contextlib.suppress(BlockingIOError):
            request = peer.recv(65536)
            if not request:
                return
            number = rpc.read(request)[1]
            peer.send(rpc.answer(number, version, rpc.Value("0.9.16")))


if __name__ == "__main__":
    _loop()
