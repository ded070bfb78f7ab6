"""Simulation time: integer nanoseconds since the scenario's start, and the tick that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.sentence import say

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Now:
    """One tick: its number and its stamp. `t_ns = tick * tick_ns`, tick 0 is the scenario's start."""

    tick: int
    t_ns: int

    @property
    def t_s(self) -> float:
        """Seconds since start; for reports and formulas, never for bookkeeping."""
        return self.t_ns / NS_PER_S


def ticks(period_ms: int, tick_ms: int, what: str) -> int:
    """Number of base ticks in `period_ms`; ValueError names `what` if it is not a whole positive number of ticks."""
    if period_ms <= 0 or period_ms % tick_ms:
        raise ValueError(
            say(
                "{what} = {period_ms} ms is not a whole number of {tick_ms} ms ticks; use a multiple of {tick_ms} ms",
                what=what, period_ms=period_ms, tick_ms=tick_ms,
            )
        )  # fmt: skip
    return period_ms // tick_ms
