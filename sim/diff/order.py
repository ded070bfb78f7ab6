"""Where the same records stand in another order in two files.

A place is a record that both files have once. Going through a's places as they were written, each step back in b is one place where the
order differs. What a place is becomes certain when every record of its tick has been seen; until then it waits, so the answer does not
depend on how many records are given at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sim.diff.side import Place

_TWICE = -1


@dataclass(slots=True)
class Order:
    """Both files, as far as they were seen."""

    _a: deque[Place] = field(default_factory=deque)  # in the order of the file, not looked at yet
    _once: dict[Place, bool] = field(default_factory=dict)  # of a: whether it was seen once only
    _b: dict[Place, int] = field(default_factory=dict)  # its number in the order of the file
    _number: int = 0  # of b's next place
    _last: tuple[Place, int] | None = None

    def compare(self, a: list[Place], b: list[Place], end_ns: int) -> list[tuple[Place, Place]]:
        """Takes the next places of both files; (x, y) for each x before y in a that stand the other way round in b.

        All records before `end_ns` have been given by now.
        """
        if a == b and not self._a and not self._b:
            self._number += len(b)
            self._last = None  # what comes is later in both
            return []
        for place in a:
            self._once[place] = place not in self._once
        self._a.extend(a)
        for place in b:
            self._b[place] = _TWICE if place in self._b else self._number
            self._number += 1
        out = []
        while self._a and self._a[0][2] < end_ns:
            place = self._a.popleft()
            number = self._b.get(place, _TWICE)
            if number == _TWICE or not self._once[place]:
                continue
            if self._last is not None and number < self._last[1]:
                out.append((self._last[0], place))
            self._last = place, number
        left = set(self._a)
        self._once = {p: once for p, once in self._once.items() if p[2] >= end_ns or p in left}
        self._b = {p: number for p, number in self._b.items() if p[2] >= end_ns or p in left}
        return out
