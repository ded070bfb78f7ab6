"""Who owns which row of the shared state: a free list of rows, and actor ids that never come back.

Rows are handed out lowest first, so that the same history of arrivals and departures gives the same rows.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class RowAllocator:
    """Rows 0..capacity-1 and ids from 1. `high` is one past the highest row ever used."""

    capacity: int
    high: int = 0
    next_id: int = 1
    _free: list[int] = field(default_factory=list)

    @property
    def num_free(self) -> int:
        """Rows still to be had."""
        return self.capacity - self.high + len(self._free)

    def take(self) -> tuple[int, int] | None:
        """(row, actor id), or None when every row is taken."""
        if self._free:
            row = heapq.heappop(self._free)
        elif self.high < self.capacity:
            row = self.high
            self.high += 1
        else:
            return None
        actor = self.next_id
        self.next_id += 1
        return row, actor

    def give_back(self, row: int) -> None:
        """Row `row` is free again; its id is spent."""
        if not 0 <= row < self.high:
            raise ValueError(f"row {row} was never handed out (high mark {self.high})")
        heapq.heappush(self._free, row)
