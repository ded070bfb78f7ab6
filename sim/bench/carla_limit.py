"""What a CARLA client's round trip costs on this machine at best, to tell a slow server from a slow client.

For calls: a loop that answers every call with the same bytes, never sleeps and does nothing else. For ticks: our server without a world
behind it: once a client only ticks, the last snapshot goes out again under a new frame number, and nothing is computed. No step of a
world, however fast, can make `world.tick()` of the stock client faster than that with our two ports.

`serving()` listens on a free port in a process of its own; `python -m sim.bench.carla_limit [ROAD]` is that process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sim.carla.wire import rpc
from sim.carla.wire.calls import CALLS

PEER = "limit: the same bytes without any work"
_SETTLED = 100  # ticks in a row without any other call


@contextmanager
def serving(road: Path | None = None) -> Iterator[int]:
    """The port of the loop; with a road file that of the server without a world."""
    command = [sys.executable, "-m", "sim.bench.carla_limit", *([str(road)] if road else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _calls() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setblocking(False)
    version = CALLS["version"]
    while True:
        os.sched_yield()
        with contextlib.suppress(BlockingIOError):
            request = peer.recv(65536)
            if not request:
                return
            number = rpc.read(request)[1]
            peer.send(rpc.answer(number, version, rpc.Value("0.9.16")))


def _ticks(road: Path) -> None:
    from sim.carla.server.serve import ServeOptions, Server
    from sim.carla.server.world import WORLD_STREAM, World
    from sim.carla.wire.streams import Registry, pack_header

    step: Callable[[World], None] = World.tick
    alone = 0

    def tick(world: World) -> None:
        nonlocal alone
        alone += 1
        if alone < _SETTLED or world.streams is None:
            step(world)
            return
        episode = world.episode
        episode.advance()
        _, header, records = world.latest
        head = pack_header(Registry.WORLD, episode.frame, episode.elapsed_s)
        world.streams.send(WORLD_STREAM, (head, header, records))

    answer: Callable[..., Any] = Server._answer

    def answered(server: Server, caller: Any, call: str, arguments: tuple[Any, ...]) -> Any:
        nonlocal alone
        if call != "tick_cue":
            alone = 0
        return answer(server, caller, call, arguments)

    setattr(World, "tick", tick)  # noqa: B010 (mypy: a method)
    setattr(Server, "_answer", answered)  # noqa: B010
    server = Server(ServeOptions(map_file=road, port=0), lambda sentence: None)
    print(server.transport.port, flush=True)
    server.run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _ticks(Path(sys.argv[1]))
    else:
        _calls()
