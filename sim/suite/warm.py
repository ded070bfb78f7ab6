"""What a worker has before it is born: modules imported, kernels loaded, the commit looked up.

Runs a simulated second of every library scene into a folder that is thrown away. It happens once, in the process that workers are
forked from, so a worker, also one that replaces another, starts with everything in memory. That process has one thread, no socket
and no open file of ours: a fork copies nothing that could be shared by mistake.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from sim.stopping import SIGNALS

_SIMULATED = "duration_s=1.0"
_ONE_THREAD = (
    "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
)  # fmt: skip


def warm() -> None:
    """Import and load; a scene that cannot run here leaves its kernels cold, and its tasks will say why."""
    gc.disable()  # until all is there: the collector would walk through half-imported modules again and again
    from scenarios.load import library, load_scene
    from sim.compose import RunOptions, run_scene
    from sim.suite import job  # noqa: F401 - so that workers have it

    gc.freeze()
    for path in library().values():
        try:
            with _passing_folder() as folder:
                loaded = load_scene(path, [_SIMULATED])
                run_scene(
                    loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False)
                )
        except Exception:
            continue
    gc.collect()
    gc.enable()
    gc.freeze()  # a collection in a worker would touch, and so copy, every page it shares with its siblings


@contextmanager
def _passing_folder() -> Iterator[Path]:
    """A temporary folder that goes again, whenever the one signal comes that may (see `warmed`)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    folder = TemporaryDirectory(prefix="icv-warm-")
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            yield Path(folder.name)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    finally:
        folder.cleanup()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes started inside run their libraries on one thread: a fork of several would lose all but one."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def no_main() -> Iterator[None]:
    """Processes started inside do not run the main script again, which workers have no use for: it imports the whole command line."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
