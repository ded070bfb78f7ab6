"""Runs that misbehave, for tests of the suite: what a task does is its scene's name."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError
from sim.suite.calls import answering
from sim.suite.job import guarded
from sim.suite.wire import Order

JOB = "tests.suite.jobs:misbehave"


def misbehave(order: Order, progress: Callable[[float], None]) -> dict[str, Any]:
    """Do what `order.scene` says."""
    return guarded(order, lambda: _do(order, progress))


def _do(order: Order, progress: Callable[[float], None]) -> dict[str, Any]:
    what = order.scene
    second = "_2-" in Path(order.folder).name  # `#2` in a folder's name
    outcome, digest = "pass", "d1"
    (Path(order.folder) / "run.mcap").write_bytes(b"log")
    if what == "exit0":
        os._exit(0)
    elif what == "exit7":
        os._exit(7)
    elif what in ("SIGSEGV", "SIGKILL", "SIGABRT"):
        os.kill(os.getpid(), getattr(signal, what))
    elif what == "hang":
        for k in range(1000):
            progress(float(k))
            time.sleep(0.6 if k < 3 else 1000.0)
    elif what == "swell":
        bytearray(order.memory_mb * 2_000_000)
    elif (
        what == "seep"
    ):  # pages of a reservation made before the limit: only the watch from outside sees them
        _seep()
    elif what == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    elif what == "bug":
        raise RuntimeError("planted")
    elif what == "input":
        raise ConfigError("vehicles.0.name: found 7, expected text.")
    elif what == "talk":
        os.write(1, b"from below\n")
        print("and from above")
    elif what == "fail" or (what == "flaky_outcome" and second):
        outcome = "fail"
    elif what == "flaky_digest" and second:
        digest = "d2"
    elif what == "fds":
        return _answer("pass", digest, " ".join(sorted(_open_files())))
    elif what == "pid":
        return _answer("pass", digest, f"{os.getpid()}")
    elif what == "slow":
        time.sleep(0.3)
    return _answer(outcome, digest, what)


def _answer(outcome: str, digest: str, sentence: str) -> dict[str, Any]:
    return {"outcome": outcome, "sentence": sentence, "digest": digest, "metrics": {"x": 1.0}}


def _open_files() -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.name != "0"]
    return [str(link.readlink()) for link in links if link.is_symlink()]


def _seep() -> None:
    import resource

    # A run that lifts its own cap, as native code may by mapping files.
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    held = []
    while True:
        held.append(b"x" * 20_000_000)
        time.sleep(0.02)


def called(order: Order, progress: Callable[[float], None]) -> dict[str, Any]:
    """A call that does what `order.more` says."""

    def body() -> dict[str, Any]:
        what, _, number = order.more.partition(" ")
        if what == "exit0":
            os._exit(0)
        elif what == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "bug":
            raise RuntimeError("planted")
        elif what == "input":
            raise ConfigError("no such thing.")
        elif what == "late":
            time.sleep(0.3)
        (Path(order.folder) / "here").touch()
        return {"said": number, "pid": os.getpid()}

    return answering(body)
