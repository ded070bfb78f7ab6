"""A task that does nothing, for `sim.bench.suite`. Alone here, so that a worker that is given it imports nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenarios.verdict import Outcome
from sim.suite.wire import Order


def nothing(order: Order, progress: Callable[[float], None]) -> dict[str, Any]:
    """A run that does nothing."""
    return {"outcome": Outcome.PASS.value, "sentence": "nothing to do", "digest": "0"}
