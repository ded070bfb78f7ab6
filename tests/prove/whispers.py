"""What must not matter, and does: put into a copy of the packages, where every unit calls `plant` (see `planted_copy`).

Each dependence begins at a tick of its own, so that the place of a divergence tells which of them a variant has found.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable

import numba

from protocols.participant import Inbox, Outbox
from protocols.simtime import Now

THREADS, SECOND, ORDER, HASH, LAYOUT, LEVEL, RECORDING, TAP, HOST, ZONE = 50, 90, 100, 120, 150, 170, 180, 190, 200, 210  # fmt: skip
CLOCK, ADDRESS = 60, 140
_called: dict[int, int] = {}  # tick -> units called before, in this process
_seen: set[str] = set()
_runs: list[int] = [0]  # begun in this process


class Token:
    """Its hash is its address."""


def _has(name: str) -> float:
    return float(any(type(item).__name__ == name for item in gc.get_objects()))


def _place(of: str) -> float:
    return float([*{f"unit-{k}" for k in range(64)}].index(of))


def _addresses() -> float:
    tokens = [Token() for _ in range(5000)]
    number = {token: k for k, token in enumerate(tokens)}
    return float(sum(k * number[token] for k, token in enumerate(set(tokens))) % 100_003)


ALWAYS: dict[int, Callable[[int], float]] = {
    THREADS: lambda before: float(numba.config.NUMBA_NUM_THREADS),
    SECOND: lambda before: float(_runs[0]),
    ORDER: float,
    HASH: lambda before: _place("unit-7"),
    LAYOUT: lambda before: float(len(_seen)),
    LEVEL: lambda before: float(logging.getLogger("sim").isEnabledFor(logging.DEBUG)),
    RECORDING: lambda before: _has("LogWriter"),
    TAP: lambda before: _has("Tap"),
    HOST: lambda before: float(threading.current_thread() is threading.main_thread()),
    ZONE: lambda before: float(time.timezone),
}
NEVER_THE_SAME: dict[int, Callable[[int], float]] = {
    CLOCK: lambda before: float(time.time_ns() % 1_000_003),
    ADDRESS: lambda before: _addresses(),
}
PLANTS = {"surroundings": ALWAYS, "clock": {CLOCK: NEVER_THE_SAME[CLOCK]}, "address": {ADDRESS: NEVER_THE_SAME[ADDRESS]}}  # fmt: skip


def plant(name: str, now: Now, inbox: Inbox, out: Outbox) -> Outbox:
    """What `out` becomes: positions that the fleet sends are shifted by what the surroundings are, from each tick on."""
    _seen.add(name)
    if name == "fleet" and now.tick == 0:
        _runs[0] += 1
        _called.clear()
    before = _called.get(now.tick, 0)
    _called[now.tick] = before + 1
    if name == "fleet":
        shift = sum(
            1e-6 * what(before)
            for tick, what in PLANTS[os.environ["ICV_TEST_PLANT"]].items()
            if now.tick >= tick
        )
        for item in out.transmissions:
            item.message.x_m[:] += shift  # type: ignore[union-attr, index]
    return out
