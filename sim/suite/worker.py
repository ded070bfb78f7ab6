"""A worker process: takes orders from its socket, one at a time, and answers each.

It ignores Ctrl-C (the suite decides), dies with its parent, writes what a run prints into the task's folder, caps its address space
at the task's memory limit, and measures processor time and peak memory per task. Linux; elsewhere limits and peaks are not kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from sim.suite.wire import OUTPUT, Order, pack, unpack_order
from sim.timing import Clock

_PR_SET_PDEATHSIG = 1
_SAY_EVERY_NS = 500_000_000
_MB = 1_000_000

Run = Callable[[Order, Callable[[float], None]], dict[str, Any]]
"""an order and a progress callback -> the fields of a result"""


def serve(
    channel: socket.socket,
    job: str,
    cwd: str,
    clock: Clock = time.perf_counter_ns,
    cpu: Callable[[], float] = time.process_time,
) -> None:
    """Until the suite hangs up. `job`: `module:function` that takes an order and a progress callback and gives a table."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()
    os.chdir(cwd)
    module, _, function = job.partition(":")
    run: Run = getattr(importlib.import_module(module), function)
    channel.setblocking(True)
    incoming = channel.makefile("rb")
    try:
        channel.sendall(pack({"kind": "ready"}))
        for line in incoming:
            result = make(run, unpack_order(line), _reporter(channel, clock), clock, cpu)
            channel.sendall(pack({"kind": "result", **result}))
    except (BrokenPipeError, ConnectionError):
        pass  # the suite is gone, and nobody waits for an answer
    os._exit(0)  # nothing of the parent's exit handlers is ours to run


def make(
    run: Run,
    order: Order,
    progress: Callable[[float], None],
    clock: Clock = time.perf_counter_ns,
    cpu: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """One order within its memory, with its output in its folder; the run's table, and what it took."""
    started, cpu_before = clock(), cpu()
    path = Path(order.folder) / OUTPUT
    _redirect(path)
    _reset_peak()
    _cap_memory(order.memory_mb)
    try:
        result = run(order, progress)
    finally:
        _cap_memory(None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # a full disk is told by the run itself
                stream.flush()
    said_something = path.stat().st_size > 0
    if not said_something:
        path.unlink()
    return {
        **result,
        "has_output": said_something,
        "wall_s": (clock() - started) / 1e9,
        "cpu_s": cpu() - cpu_before,
        "peak_mb": peak_mb(),
        "resident_mb": resident_mb(os.getpid()),
    }


def _reporter(channel: socket.socket, clock: Clock) -> Callable[[float], None]:
    """A progress callback that says where the run is, twice a second."""
    said = clock()

    def progress(t_s: float) -> None:
        nonlocal said
        now = clock()
        if now - said >= _SAY_EVERY_NS:
            said = now
            channel.sendall(pack({"kind": "at", "t_s": t_s}))

    return progress


def _redirect(path: Path) -> None:
    """What is printed, also by C code and in a crash, goes to `path`."""
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    faulthandler.enable(2)


# --- memory ------------------------------------------------------------------------------------------------------------


def resident_mb(pid: int) -> float:
    """Memory of a process now, in MB; 0 when it is gone or unknown."""
    return _statm(pid)[1]


def peak_mb() -> float:
    """This process's highest resident memory since the task began."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / _MB
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MB


def _reset_peak() -> None:
    with contextlib.suppress(OSError):  # then the peak is that of the worker's whole life
        Path("/proc/self/clear_refs").write_text("5")


def _cap_memory(limit_mb: int | None) -> None:
    """Let the address space grow until `limit_mb` could be resident: an allocation beyond it is a MemoryError, told in words."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = hard
    if limit_mb is not None:
        size, resident = _statm(os.getpid())
        if size:
            soft = round((size - resident + limit_mb) * _MB)
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _statm(pid: int) -> tuple[float, float]:
    """(address space, resident) in MB."""
    try:
        size, resident, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0.0, 0.0
    page = os.sysconf("SC_PAGE_SIZE") / _MB
    return int(size) * page, int(resident) * page


def _die_with_parent() -> None:
    """A suite that is killed leaves nobody behind, not even a worker that hangs.

    The server lives until nobody holds its pipe, and its children get a copy that they need for children of their own: without
    that copy the server ends with the suite, and with the server, by this signal, its workers.
    """
    server: Any = getattr(forkserver, "_forkserver", None)
    pipe = getattr(server, "_forkserver_alive_fd", None)
    if pipe is not None:
        os.close(pipe)
        server._forkserver_alive_fd = None
    end_with_parent()


def end_with_parent() -> None:
    """The system kills this process when the thread that started it ends, in whatever way. Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
