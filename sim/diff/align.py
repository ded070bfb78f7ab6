"""Which record of one log is which of the other, inside one stream (topic and sender).

Records are matched by the tick they were sent in, their content and their number. What is left waits `HOLD_NS` of simulation time: for the
same content under the same number at another tick first; when its time is up, for the same content under another number, then for what
else is left of its own tick. What is still alone has no counterpart. Two that have changed places are told together.

Everything happens in the order of simulation time, and nothing is handed out before all that could change it has been seen. So the answer
does not depend on how many records are given at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from protocols.wire import Column
from sim.diff.side import Item

HOLD_NS = 10_000_000_000  # how far apart in time two records may be and still be the same one
_SWAP_REACH = 3  # differing records of a stream further on that one may have changed places with


class How(Enum):
    """How two records belong together."""

    FIELD = "field"  # same tick and number, other content
    RENUMBERED = "renumbered"  # same tick, other number
    MOVED = "moved"  # same content, another tick; numbers shift when others were sent in between


def is_ascending(column: Column) -> bool:
    """Each row is more than the one before."""
    return bool((column[1:] > column[:-1]).all())


def common(a: Column, b: Column) -> tuple[Column, Column, Column]:
    """What two columns of whole numbers have in common, ascending, and its rows in both; the first of several alike."""
    if a.size and b.size and is_ascending(a) and is_ascending(b):
        rows = np.searchsorted(b, a)
        rows[rows == b.size] = 0
        here = np.flatnonzero(b[rows] == a)
        return a[here], here, rows[here]
    found: tuple[Column, Column, Column] = np.intersect1d(a, b, return_indices=True)
    return found


class Pair(NamedTuple):
    """Two records that are the same one, but not equal."""

    a: Item
    b: Item
    how: How


@dataclass(slots=True)
class Matched:
    """What one call hands out, ascending in time."""

    pairs: list[Pair] = field(default_factory=list)
    swaps: list[tuple[Pair, Pair]] = field(default_factory=list)
    alone: list[tuple[Item, bool]] = field(default_factory=list)  # (record, whether it is a's)


@dataclass(slots=True, eq=False)
class _Alone:
    """A record whose counterpart may still come."""

    item: Item
    is_a: bool
    is_open: bool = True


_Queues = dict[Hashable, deque[_Alone]]


@dataclass(slots=True)
class Aligner:
    """One stream; remembers what has no counterpart yet, and pairs that may still turn out to have changed places."""

    _waiting: deque[_Alone] = field(default_factory=deque)  # ascending in time, a's before b's
    _content: _Queues = field(default_factory=dict)  # (is_a, content)
    _named: _Queues = field(default_factory=dict)  # (is_a, content, number)
    _pairs: list[Pair] = field(default_factory=list)
    _alone: list[tuple[Item, bool]] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be handed out."""
        return bool(self._waiting or self._pairs or self._alone)

    def match(self, a: list[Item], b: list[Item], end_ns: int) -> Matched:
        """Takes all records of both sides before `end_ns` that were not given before; hands out what is certain."""
        if a != b:
            for one in self._ticks(a, b):
                self._expire(one.item[0] - HOLD_NS)
                self._arrive(one)
        elif not self.is_busy:
            return Matched()
        self._expire(end_ns - HOLD_NS)
        return self._hand_out(end_ns - HOLD_NS)

    # -- inside a tick ---------------------------------------------------------------------------------------------

    def _ticks(self, a: list[Item], b: list[Item]) -> list[_Alone]:
        """Matches records of equal ticks; what is left, ascending in time."""
        a, b = sorted(a, key=itemgetter(0)), sorted(b, key=itemgetter(0))
        rest: list[_Alone] = []
        there = {item[0]: item for item in b}
        if len(there) != len(b) or len({item[0] for item in a}) != len(a):
            ticks: tuple[dict[int, list[Item]], dict[int, list[Item]]]
            ticks = (defaultdict(list), defaultdict(list))
            for side, items in zip(ticks, (a, b), strict=True):
                for item in items:
                    side[item[0]].append(item)
            for t_ns in sorted(ticks[0].keys() | ticks[1].keys()):
                one, two = ticks[0].get(t_ns, []), ticks[1].get(t_ns, [])
                if one != two:
                    self._tick(one, two, rest)
            return rest
        for item in a:  # the usual stream: one record a tick on both sides. Saves hashing them
            other = there.get(item[0])
            if other is not None and (item[1] == other[1] or item[2] == other[2]):
                del there[item[0]]
                if item[1] != other[1]:
                    self._pairs.append(Pair(item, other, How.RENUMBERED))
                elif item[2] != other[2]:
                    self._pairs.append(Pair(item, other, How.FIELD))
            else:
                rest.append(_Alone(item, True))
        rest += [_Alone(item, False) for item in there.values()]
        rest.sort(key=lambda one: one.item[0])  # stable: a's before b's
        return rest

    def _tick(self, a: list[Item], b: list[Item], rest: list[_Alone]) -> None:
        """Several records of one tick: equal ones, then equal content, then equal numbers."""
        equal = Counter(a) & Counter(b)
        a, b = _without(a, equal), _without(b, equal)
        for key, how in ((2, How.RENUMBERED), (1, How.FIELD)):
            there: dict[Hashable, deque[Item]] = defaultdict(deque)
            for item in b:
                there[item[key]].append(item)
            left = []
            taken: Counter[Item] = Counter()
            for item in a:
                others = there.get(item[key])
                if others:
                    other = others.popleft()
                    taken[other] += 1
                    self._pairs.append(Pair(item, other, how))
                else:
                    left.append(item)
            a, b = left, _without(b, taken)
        rest += [_Alone(item, True) for item in a]
        rest += [_Alone(item, False) for item in b]

    # -- from tick to tick -----------------------------------------------------------------------------------------

    def _arrive(self, one: _Alone) -> None:
        """Meets the same content under the same number, or waits."""
        content, name = one.item[2], one.item[1]
        other = _oldest(self._named, (not one.is_a, content, name))
        if other is not None:
            self._move(one, other)
            return
        self._waiting.append(one)
        self._content.setdefault((one.is_a, content), deque()).append(one)
        self._named.setdefault((one.is_a, content, name), deque()).append(one)

    def _expire(self, before_ns: int) -> None:
        """Nothing that comes from now on can be the counterpart of what is older."""
        waiting = self._waiting
        while waiting and waiting[0].item[0] < before_ns:
            t_ns = waiting[0].item[0]
            group = []
            while waiting and waiting[0].item[0] == t_ns:
                group.append(waiting.popleft())
            for one in group:
                if one.is_open:
                    other = _oldest(self._content, (not one.is_a, one.item[2]))
                    if other is not None:
                        self._move(one, other)
            a, b = ([x for x in group if x.is_open and x.is_a is side] for side in (True, False))
            if len(a) == len(b) == 1 and _may_be(a[0].item[1], b[0].item[1]):
                self._pairs.append(Pair(a[0].item, b[0].item, How.RENUMBERED))
            else:
                self._alone += [(x.item, x.is_a) for x in a + b]
            for one in group:
                one.is_open = False
                _forget(self._content, (one.is_a, one.item[2]))
                _forget(self._named, (one.is_a, one.item[2], one.item[1]))

    def _move(self, one: _Alone, other: _Alone) -> None:
        one.is_open = other.is_open = False
        a, b = (one, other) if one.is_a else (other, one)
        self._pairs.append(Pair(a.item, b.item, How.MOVED))

    # -- what is certain -------------------------------------------------------------------------------------------

    def _hand_out(self, before_ns: int) -> Matched:
        """Pairs that began before a time until `HOLD_NS` after which everything is known."""
        out = Matched()
        out.alone, self._alone = self._alone, []
        self._pairs.sort(key=_begin)
        pairs: list[Pair | None] = [*self._pairs]
        at = 0
        while at < len(pairs):
            pair = pairs[at]
            at += 1
            if pair is None:
                continue
            if _begin(pair) >= before_ns:
                at -= 1
                break
            other = _swapped_with(pairs, at - 1)
            if other < 0:
                out.pairs.append(pair)
            else:
                partner = pairs[other]
                assert partner is not None
                out.swaps.append((pair, partner))
                pairs[other] = None
        self._pairs = [pair for pair in pairs[at:] if pair is not None]
        return out


def _begin(pair: Pair) -> int:
    """When the difference begins."""
    return min(pair.a[0], pair.b[0])


def _without(items: list[Item], taken: Counter[Item]) -> list[Item]:
    """What is left when so many of each are taken, the first ones first."""
    taken, out = taken.copy(), []
    for item in items:
        if taken[item] > 0:
            taken[item] -= 1
        else:
            out.append(item)
    return out


def _oldest(queues: _Queues, key: Hashable) -> _Alone | None:
    """The first that still waits."""
    queue = queues.get(key)
    while queue and not queue[0].is_open:
        queue.popleft()
    return queue[0] if queue else None


def _forget(queues: _Queues, key: Hashable) -> None:
    if _oldest(queues, key) is None:
        queues.pop(key, None)


def _may_be(one: object, two: object) -> bool:
    """Two events of one tick are only the same one when kind or subject is."""
    if isinstance(one, tuple) and isinstance(two, tuple):
        return any(x == y for x, y in zip(one, two, strict=True))
    return True


def _swapped_with(pairs: list[Pair | None], k: int) -> int:
    """The later pair that has changed places with pair k; -1 for none: content against content, time against time, number against number."""
    one = pairs[k]
    assert one is not None
    a, b, how = one
    t_ns, left = _begin(one), _SWAP_REACH
    for m in range(k + 1, len(pairs)):
        two = pairs[m]
        if two is None:
            continue
        later_ns = _begin(two)
        if later_ns > (t_ns + HOLD_NS if how is How.FIELD else t_ns):
            return -1
        if two.how is not how:
            continue
        if how is How.FIELD:
            if b[2] == two.a[2] and two.b[2] == a[2]:
                return m
            left -= 1
            if not left:
                return -1
        elif how is How.MOVED:
            if (a[0], b[0]) == (two.b[0], two.a[0]):
                return m
        elif (a[1], b[1]) == (two.b[1], two.a[1]) and a[2] == b[2] and two.a[2] == two.b[2]:
            return m
    return -1
