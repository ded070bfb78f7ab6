"""The actors of an episode: two matrices and who sits in which row.

Rows are reused lowest first, ids never within an episode. `f` and `i` are replaced when the table grows, so nobody keeps them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sim.carla.server import columns as c

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Table:
    """Rows `0..high` may be occupied; `i[row, ID]` is 0 where none is."""

    f: Floats = field(default_factory=lambda: np.zeros((64, c.FLOATS)))
    i: Ints = field(default_factory=lambda: np.zeros((64, c.INTS), dtype=np.int64))
    high: int = 0  # one beyond the last row in use
    row_of: dict[int, int] = field(default_factory=dict)  # actor id -> row
    _free: list[int] = field(default_factory=list)

    @property
    def capacity(self) -> int:
        return int(self.f.shape[0])

    def add(self, actor: int, kind: int) -> int:
        """A cleared row for a new actor."""
        if actor in self.row_of or actor <= 0:
            raise ValueError(f"actor {actor} is already in the table or is not an id")
        if self._free:
            row = heapq.heappop(self._free)
        else:
            row = self.high
            self.high += 1
            if row >= self.capacity:
                self.f = np.vstack([self.f, np.zeros_like(self.f)])
                self.i = np.vstack([self.i, np.zeros_like(self.i)])
        self.f[row] = 0.0
        self.i[row] = 0
        self.f[row, c.FRICTION] = 1.0
        self.f[row, c.GROUND_NZ] = 1.0
        self.i[row, c.ID] = actor
        self.i[row, c.KIND] = kind
        self.i[row, c.STATE] = 1
        self.row_of[actor] = row
        return row

    def remove(self, actor: int) -> int:
        """The row it had; free from now on."""
        row = self.row_of.pop(actor)
        self.i[row, c.ID] = 0
        self.i[row, c.COLLIDES] = 0
        self.i[row, c.SIMULATE] = 0
        heapq.heappush(self._free, row)
        while self.high > 0 and self.i[self.high - 1, c.ID] == 0:
            self.high -= 1
            self._free.remove(self.high)
            heapq.heapify(self._free)
        return row

    def rows(self) -> Ints:
        """Occupied rows, ascending."""
        return np.flatnonzero(self.i[: self.high, c.ID])
