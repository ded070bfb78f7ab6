"""Which messages of a recorded run could have mattered, and in which groups they are tried.

A message that nobody heard cannot have mattered and is no candidate. The others are grouped by topic and sender; a group is a
window of sending times, so dropping it also drops what the sender says in that window only because the run has parted. A group
of one is that one message.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from protocols import topics
from protocols.errors import InputError
from sim.log.reader import LogReader
from sim.radio.fates import Fate
from sim.whatif.apply import FORGED_SEQ
from sim.whatif.edit import Drop, Edit, Selector


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One message that somebody heard."""

    t_ns: int
    seq: int


@dataclass(frozen=True, slots=True)
class Group:
    """Messages of one topic and sender in [start_ns, end_ns), of which `items` were heard in the recording."""

    topic: str
    sender: str
    start_ns: int
    end_ns: int
    items: tuple[Item, ...]

    @property
    def is_single(self) -> bool:
        """Whether it is one message."""
        return len(self.items) == 1

    @property
    def order(self) -> tuple[int, str, str, int, int, int]:
        """A total order: by time, then name, then size."""
        return (self.start_ns, self.topic, self.sender, self.end_ns, len(self.items), self.items[0].seq)  # fmt: skip

    def edits(self) -> tuple[Edit, ...]:
        """The drop of all of it."""
        if self.items[0].t_ns == self.items[-1].t_ns:  # one tick: by number, or it would be more
            return tuple(Drop(Selector(self.topic, self.sender, item.seq)) for item in self.items)
        return (Drop(Selector(self.topic, self.sender, None, self.start_ns, self.end_ns)),)

    def halves(self) -> tuple[Group, ...]:
        """Two groups that make up this one."""
        middle = len(self.items) // 2
        return (self.part(0, middle), self.part(middle, len(self.items))) if middle else (self,)

    def part(self, first: int, end: int) -> Group:
        """Rows `first` to `end` of the heard messages; windows of neighbours touch."""
        items = self.items[first:end]
        start_ns = self.start_ns if first == 0 else items[0].t_ns
        end_ns = self.end_ns if end == len(self.items) else self.items[end].t_ns
        return Group(self.topic, self.sender, start_ns, max(end_ns, start_ns), items)

    def holds(self, other: Group) -> bool:
        """Whether `other` is a part of it."""
        return (
            (self.topic, self.sender) == (other.topic, other.sender)
            and len(other.items) < len(self.items)
            and self.items[0] <= other.items[0]
            and other.items[-1] <= self.items[-1]
        )

    def __str__(self) -> str:
        """As `--drop` takes it; several of one tick by the first one's number."""
        text = str(self.edits()[0])
        more = len(self.items) - 1 if self.items[0].t_ns == self.items[-1].t_ns else 0
        return f"{text} and {more} more of that tick" if more else text


def heard_groups(
    reader: LogReader, tick_ns: int, only: Collection[str] = (), window: tuple[int, int] | None = None
) -> list[Group]:  # fmt: skip
    """All that was heard, by topic and sender, of topics `only` (empty: all) and sent in `window` [from, to) ns.

    InputError when a topic of `only` is none on the air.
    """
    on_air = [name for name, row in topics.TOPICS.items() if row.is_on_air]
    for name in only:
        if name not in on_air:
            raise InputError(f"--topic {name}: expected one of {', '.join(sorted(on_air))}.")
    start_ns, end_ns = window or (0, reader.end_ns() + tick_ns)
    rows: dict[tuple[str, str], list[Item]] = {}
    for fates in reader.fates(start_ns, end_ns):
        if not len(fates.topics):
            continue
        first = np.concatenate(([0], np.cumsum(fates.num_rows)[:-1])).astype(np.int64)
        is_heard = (fates.fate == Fate.DELIVERED).any(axis=1)
        for topic, sender, seq, row, count in zip(
            fates.topics, fates.senders, fates.seq.tolist(), first.tolist(), fates.num_rows.tolist(), strict=True,
        ):  # fmt: skip
            is_wanted = (not only or topic in only) and seq < FORGED_SEQ
            if is_wanted and is_heard[row : row + count].any():
                rows.setdefault((topic, sender), []).append(Item(fates.t_ns, seq))
    return [
        Group(topic, sender, start_ns, end_ns, tuple(sorted(items)))
        for (topic, sender), items in sorted(rows.items())
    ]
