"""When vehicles of a flow want to leave, and who they are. Every flow has its own streams, so flows cannot disturb each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols import streams

NORMAL_LIMIT = 2.5  # sigmas: drivers beyond that are not on the road


@dataclass(frozen=True, slots=True)
class Departure:
    """One vehicle that wants to leave at `t_s`; the three shares in 0..1 pick origin, destination and class."""

    t_s: float
    number: int
    origin_share: float
    destination_share: float
    class_share: float
    speed_sigmas: float


@dataclass(slots=True)
class Departures:
    """The endless sequence of departures of one flow (vehicles or walkers); `due(t)` yields those up to t."""

    name: str
    per_hour: float
    start_s: float
    end_s: float | None
    is_even: bool
    seed: int
    only: tuple[int, ...] | None = (
        None  # numbers that are handed out; the draws are the same either way
    )
    _clock: np.random.Generator = field(init=False)
    _people: np.random.Generator = field(init=False)
    _next_s: float = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        self._clock = streams.generator(self.seed, f"traffic/flow/{self.name}/departures")
        self._people = streams.generator(self.seed, f"traffic/flow/{self.name}/who")
        self._next_s = self.start_s + self._gap_s() * (0.5 if self.is_even else 1.0)

    def _gap_s(self) -> float:
        if self.per_hour <= 0:
            return float("inf")
        mean = 3600.0 / self.per_hour
        return mean if self.is_even else float(self._clock.exponential(mean))

    def due(self, t_s: float) -> list[Departure]:
        """Departures up to and including `t_s` that were not handed out yet."""
        out: list[Departure] = []
        end_s = float("inf") if self.end_s is None else self.end_s
        while self._next_s <= t_s and self._next_s < end_s:
            origin, goal, kind = (float(share) for share in self._people.random(3))
            sigmas = float(np.clip(self._people.standard_normal(), -NORMAL_LIMIT, NORMAL_LIMIT))
            if self.only is None or self._number in self.only:
                out.append(Departure(self._next_s, self._number, origin, goal, kind, sigmas))
            self._number += 1
            self._next_s += self._gap_s()
        return out


def pick(weights: list[float], share: float) -> int:
    """Index whose cumulative weight covers `share` of the total."""
    total = sum(weights)
    level = share * total
    for k, weight in enumerate(weights):
        level -= weight
        if level < 0:
            return k
    return max(k for k, weight in enumerate(weights) if weight > 0)
