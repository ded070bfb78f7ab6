"""What is varied when a run has to prove that it is the same everywhere: one thing a variant, against one plain run.

Each variant runs in a process of its own. The plain run: units in the simulation's process, called in name order, one thread, hash
seed 0, log on, no picture, UTC, the caller's folder.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from protocols.bus import Order
from protocols.errors import ConfigError

Layout = Literal["one process", "a process a unit", "all units in one other process"]
OrderName = Literal["sorted", "reversed", "shuffled"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around a run that must not matter."""

    layout: Layout = "one process"  # the other two carry messages over ZeroMQ
    order: OrderName = "sorted"  # in which order units of a tick are called
    threads: int = 1  # of numba, OpenMP, OpenBLAS
    hash_seed: int = 0
    is_recorded: bool = True
    is_watched: bool = False  # picture, progress, and a tap that publishes every record
    is_elsewhere: bool = False  # another working folder, time zone, locale and log level
    is_cold: bool = False  # nothing compiled beforehand
    is_second: bool = False  # another run went before in the same process

    def __post_init__(self) -> None:
        if self.layout != "one process" and self.order != "sorted":
            raise ValueError(
                "order: over ZeroMQ units answer as they come; nobody calls them in an order"
            )
        if self.layout == "a process a unit" and self.threads != 1:
            raise ValueError("threads: a process a unit always has one, whatever is asked for")

    def environment(self) -> dict[str, str]:
        """Variables of the process."""
        threads = str(self.threads)
        env = {
            "PYTHONHASHSEED": str(self.hash_seed),
            "NUMBA_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        if self.is_elsewhere:
            env |= {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "1", "PYTHONDEVMODE": "1"}
        return env


@dataclass(frozen=True, slots=True)
class Variant:
    """One run of a proof."""

    name: str
    varies: str  # a phrase for people
    around: Surroundings

    def changed(self) -> dict[str, Any]:
        """Fields that differ from the plain run."""
        plain = asdict(PLAIN.around)
        return {k: v for k, v in asdict(self.around).items() if v != plain[k]}


PLAIN = Variant("plain", "nothing: what the others are compared with", Surroundings())


def variants(is_thorough: bool = False) -> tuple[Variant, ...]:
    """All variants; `is_thorough` adds those that take minutes."""
    threads = max(2, os.cpu_count() or 1)
    out = [
        Variant("again", "nothing, in another process", Surroundings()),
        Variant("reversed", "order of units: reversed", Surroundings(order="reversed")),
        Variant("shuffled", "order of units: another one at every tick", Surroundings(order="shuffled")),
        Variant("processes", "carrier ZeroMQ, a process for each unit", Surroundings(layout="a process a unit")),
        Variant("two", "carrier ZeroMQ, all units in one other process", Surroundings(layout="all units in one other process")),
        Variant("threads", f"{threads} threads", Surroundings(threads=threads)),
        Variant("hash", "hash seed 4242", Surroundings(hash_seed=4242)),
        Variant("silent", "recording off", Surroundings(is_recorded=False)),
        Variant("watched", "picture, progress and a tap on every record", Surroundings(is_watched=True)),
        Variant("elsewhere", "working folder, time zone, locale, log level", Surroundings(is_elsewhere=True)),
        Variant("second", "another run before it in the same process, as in a suite's worker", Surroundings(is_second=True)),
        Variant("mixed", "several at once: ZeroMQ, hash seed, threads", Surroundings("all units in one other process", "sorted", threads, 7)),
    ]  # fmt: skip
    if is_thorough:
        out.append(Variant("cold", "kernels compiled anew", Surroundings(is_cold=True)))
    return tuple(out)


def chosen(names: Sequence[str], is_thorough: bool) -> tuple[Variant, ...]:
    """The variants called `names`, all when there are none; ConfigError lists those that exist."""
    known = {variant.name: variant for variant in variants(True)}
    for name in names:
        if name not in known:
            raise ConfigError(f"--only {name}: no such variant; there are {', '.join(known)}.")
    return tuple(known[name] for name in dict.fromkeys(names)) or variants(is_thorough)


def order(name: OrderName) -> Order | None:
    """The order of calls as the bus takes it."""
    if name == "reversed":
        return lambda names: list(reversed(names))
    if name == "shuffled":
        draw = random.Random(7)

        def shuffle(names: Sequence[str]) -> Iterable[str]:
            out = list(names)
            draw.shuffle(out)
            return out

        return shuffle
    return None
