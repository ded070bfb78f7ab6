"""Two logs read in lock-step: windows of simulation time, each with the records of both sides.

A window is closed when neither file can hold anything earlier any more, whatever the order inside the files. How long windows are is a
matter of memory alone: what is made of the records must not depend on it. Chunks of the same number and bytes in both files are counted and
left out, but for one record that keeps their place in the order of the file. Memory: one window and one chunk of each file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sim.diff.side import NEVER, Item, Place, Side, Stream


@dataclass(slots=True)
class Window:
    """Records of both sides before `end_ns` that no earlier window held; places of all that was read for it, later ones too."""

    end_ns: int
    a: dict[Stream, list[Item]] = field(default_factory=dict)
    b: dict[Stream, list[Item]] = field(default_factory=dict)
    order_a: list[Place] = field(default_factory=list)
    order_b: list[Place] = field(default_factory=list)


def windows(a: Side, b: Side, span_ns: int) -> Iterator[Window]:
    """All windows of two logs, in order of time."""
    end_ns = 0
    while True:
        least = min(a.least_ns(), b.least_ns())
        if least == NEVER:
            return
        end_ns = max(end_ns, least) + span_ns
        while min(a.next_ns, b.next_ns) < min(end_ns, NEVER):
            _read(a, b, end_ns)
        yield Window(end_ns, a.cut(end_ns), b.cut(end_ns), a.take_order(), b.take_order())


def _read(a: Side, b: Side, end_ns: int) -> None:
    """The next chunks. Nobody passes a chunk that is the same in both files without the other."""
    wants = [side for side in (a, b) if side.next_ns < end_ns and not side.is_done]
    for side, other in ((a, b), (b, a)):
        if side in wants and _is_same(a, b, side.at):
            if other.at < side.at:
                other.read()
            else:
                side.read(other)
            return
    for side in wants:
        side.read()


def _is_same(a: Side, b: Side, at: int) -> bool:
    """Whether chunk number `at` is the same bytes in both files and means the same."""
    if a.epoch != b.epoch or at >= min(len(a.chunks), len(b.chunks)):
        return False
    if a.known_same[0] != at:
        a.known_same = at, _is_equal(a, b, at)
    return a.known_same[1]


def _is_equal(a: Side, b: Side, at: int) -> bool:
    one, two = a.chunks[at], b.chunks[at]
    if (one.crc, one.size, one.length) != (two.crc, two.size, two.length):
        return False
    if (one.start_ns, one.end_ns) != (two.start_ns, two.end_ns):
        return False
    if not (one.is_whole and two.is_whole):
        return False
    for number in one.channels | two.channels:
        here, there = a.scan.channels.get(number), b.scan.channels.get(number)
        if here is None or there is None:
            return False
        if (here.topic, here.metadata) != (there.topic, there.metadata):
            return False
    return bool(one.channels) and one.kind == two.kind and a.compressed(one) == b.compressed(two)
