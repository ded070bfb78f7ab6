"""Being asked to stop: Ctrl-C and SIGTERM (a CI server at its time limit) end a command alike, as a KeyboardInterrupt that knows its name.

So temporary folders, child processes and half-written files are cleared away by the same `with` and `finally` in both cases, and the
exit code is 130.
"""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

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


def settled() -> None:
    """All is written and said: a signal that finds the interpreter clearing up does not change the exit code any more."""
    atexit.unregister(_ignore)
    atexit.register(_ignore)


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, frame: FrameType | None) -> None:
    raise interrupt(number)


class Stop:
    """Remembers Ctrl-C and SIGTERM, for a command that has to end in order.

    The first asks; one more, or one while nobody can be asked (`must_raise`), interrupts, once: from then on, and where `is_deaf` is set,
    signals are only remembered, so that what clears away, or says the last word, is done undisturbed.
    """

    def __init__(self, must_raise: Callable[[], bool] = lambda: False) -> None:
        self.number = 0  # of the first signal
        self.must_raise = must_raise
        self.is_deaf = False
        self._signals = stoppable(self._asked)

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signals.__exit__(None, None, None)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        again, self.number = self.number != 0, self.number or number
        if not self.is_deaf and (again or self.must_raise()):
            self.is_deaf = True
            raise interrupt(self.number)
