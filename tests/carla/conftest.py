"""A CARLA server in a process of its own, and clients of the stock wheel in processes of their own, each with a deadline.

`server` is shared by the tests of a session and starts every test with a reloaded, asynchronous world; `start_server` makes one
with other options. `server.client(code)` runs `code` in a fresh Python that has `carla`, `client` and `world` at hand and
returns what the code leaves in `result`, by way of JSON; `tm_port` is a free port. Pieces of code are dedented one by one and joined.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 240.0  # the first start on a machine compiles the kernels
MARK = "@@result@@"
PROLOGUE = """
import json, os, socket, sys, time, math
import carla
port = {port}
tm_port = {tm_port}  # nobody's, for a Traffic Manager
client = carla.Client("127.0.0.1", port)
client.set_timeout({rpc_timeout})
world = client.get_world() if {with_world} else None
result = None
"""
EPILOGUE = """
sys.stdout.flush()
sys.stderr.flush()
os.write(1, ("\\n{mark}" + json.dumps(result) + "\\n").encode())
os._exit(0)  # the wheel's threads may race at exit; that is not what is tested
"""


class ClientFailed(AssertionError):
    """A client process raised, died or ran past its deadline; what it printed is in the message."""


class Server:
    """One `serve` in a child process."""

    def __init__(self, **options: Any) -> None:
        self.port = int(options.pop("port", 0)) or free_port()
        code = (
            "import sys, json; from pathlib import Path\n"
            "from sim.carla.server.serve import ServeOptions, serve\n"
            "o = json.loads(sys.argv[1])\n"
            "o.update({k: Path(o[k]) for k in ('map_file', 'maps_dir', 'recordings') if o.get(k)})\n"
            "sys.exit(serve(ServeOptions(**o)))\n"
        )
        given = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
        given["port"] = self.port
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, json.dumps(given)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self.said = ""
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        while "ready" not in self.said:
            if self.process.poll() is not None or time.monotonic() > until:
                self.listen(0.0)
                self.stop()
                raise RuntimeError(f"the server did not start:\n{self.said}")
            self.listen(0.2)

    def listen(self, timeout_s: float) -> str:
        """Everything the server has printed, after waiting `timeout_s` for more."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(timeout_s):
                chunk = os.read(self.process.stdout.fileno(), 65536)
                if not chunk:
                    break
                self.said += chunk.decode(errors="replace")
                timeout_s = 0.0
        return self.said

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def client(
        self,
        *code: str,
        timeout_s: float = 60.0,
        tries: int = 3,
        with_world: bool = True,
        rpc_timeout_s: float = 10.0,
    ) -> Any:
        """`result` as the code left it. A client that dies from a signal is tried again; one that raises is not.

        The wheel has races of its own: of clients that hold two connections over reloads, one in 24 died on a busy machine
        ("close: Bad file descriptor", a socket of its own closed twice).
        """
        for left in reversed(range(tries)):
            child = self.start_client(*code, with_world=with_world, rpc_timeout_s=rpc_timeout_s)
            try:
                out, err = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                out, err = child.communicate()
                raise ClientFailed(self._story("ran past its deadline", out, err)) from None
            if child.returncode < 0 and left:
                continue
            if child.returncode != 0 or MARK not in out:
                raise ClientFailed(self._story(f"ended with {child.returncode}", out, err))
            return json.loads(out.rpartition(MARK)[2])
        raise AssertionError("unreachable")

    def start_client(
        self, *code: str, with_world: bool = True, rpc_timeout_s: float = 10.0
    ) -> subprocess.Popen[str]:
        """The same, running: for tests with several clients or with one that vanishes."""
        program = (
            PROLOGUE.format(
                port=self.port,
                tm_port=free_port(),
                rpc_timeout=rpc_timeout_s,
                with_world=with_world,
            )
            + "\n".join(textwrap.dedent(piece) for piece in code)
            + EPILOGUE.format(mark=MARK)
        )
        return subprocess.Popen(
            [sys.executable, "-u", "-c", program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _story(self, what: str, out: str, err: str) -> str:
        return (
            f"the client {what}\n--- stdout\n{out[-3000:]}\n--- stderr\n{err[-3000:]}\n"
            f"--- server\n{self.listen(0.1)[-3000:]}"
        )

    def stop(self) -> None:
        """Ask, then insist."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


RESET = """
settings = carla.WorldSettings()
world.apply_settings(settings)
client.load_world(client.get_available_maps()[0])  # whatever map the last test left
result = "reset"
"""


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of the library's roads for the whole session; every answer is compared with its type."""
    recordings = tmp_path_factory.mktemp("recordings")
    server = Server(seed=1, is_checking=True, recordings=recordings)
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared server; if the last test changed its world it is reloaded first."""
    shared_server.client(RESET)
    return shared_server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """A function that starts servers with options of `ServeOptions`; they end with the test."""
    started: list[Server] = []

    def start(**options: Any) -> Server:
        started.append(Server(**options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def ring(straight_m: float = 300.0, radius_m: float = 60.0) -> str:
    """A closed road of four straights and four quarter circles, two lanes one way and one the other: traffic never runs out of road."""
    lane = (
        '<lane id="{0}" type="driving" level="false"><link><predecessor id="{0}"/><successor id="{0}"/></link>'
        '<width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>'
    )
    roads, x, y, heading = [], 0.0, 0.0, 0.0
    for k in range(8):
        is_line = k % 2 == 0
        length = straight_m if is_line else radius_m * math.pi / 2
        shape = "<line/>" if is_line else f'<arc curvature="{1.0 / radius_m}"/>'
        roads.append(
            f'<road name="" length="{length}" id="{k + 1}" junction="-1"><link>'
            f'<predecessor elementType="road" elementId="{(k - 1) % 8 + 1}" contactPoint="end"/>'
            f'<successor elementType="road" elementId="{(k + 1) % 8 + 1}" contactPoint="start"/></link>'
            '<type s="0" type="town"><speed max="50" unit="km/h"/></type>'
            f'<planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry></planView>'
            f'<lanes><laneSection s="0"><left>{lane.format(1)}</left><center><lane id="0" type="none" level="false"/></center>'
            f"<right>{lane.format(-1)}{lane.format(-2)}</right></laneSection></lanes></road>"
        )
        if is_line:
            x, y = x + length * math.cos(heading), y + length * math.sin(heading)
        else:
            x += radius_m * (math.sin(heading + math.pi / 2) - math.sin(heading))
            y -= radius_m * (math.cos(heading + math.pi / 2) - math.cos(heading))
            heading += math.pi / 2
    header = '<header revMajor="1" revMinor="4" name="ring" north="0" south="0" east="0" west="0"/>'
    return f'<?xml version="1.0"?><OpenDRIVE>{header}{"".join(roads)}</OpenDRIVE>'
