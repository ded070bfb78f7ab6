"""Being asked to stop: Ctrl-C and SIGTERM (a CI server at its time limit) end a command alike, as a KeyboardInterrupt that knows its name.

So temporary folders, child processes and half-written files are cleared away by the same `with` and `finally` in both cases, and the
exit code is 130.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CTRL_C = "Ctrl-C"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], None]


def called(number: int) -> str:
    """What people call it."""
    return CTRL_C if number == signal.SIGINT else signal.Signals(number).name


def interrupt(number: int) -> KeyboardInterrupt:
    """The exception for signal `number`."""
    return KeyboardInterrupt(called(number))


def name_of(error: KeyboardInterrupt) -> str:
    """What stopped us; Python's own handler, which says nothing, is there for Ctrl-C alone."""
    return str(error.args[0]) if error.args else CTRL_C


@contextmanager
def stoppable(handler: Handler | None = None) -> Iterator[None]:
    """Inside, both signals call `handler`, by default one that raises; only the main thread can say so."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            before[number] = signal.signal(number, handler or _raise)
    try:
        yield
    finally:
        for taken, old in before.items():
            signal.signal(taken, old)


def _raise(number: int, frame: FrameType | None) -> None:
    raise interrupt(number)
