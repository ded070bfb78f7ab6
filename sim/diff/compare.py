"""`diff_logs(a, b)`: reads both logs once, in lock-step, fills the table, and asks for the cause.

What has no counterpart is missing only inside the part of time that both logs have, and outside what is damaged; the rest is told as
a log that ended early, began late or broke off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sim.diff import cause, digests, matches, radio, trace
from sim.diff.about import About
from sim.diff.align import Aligner, How
from sim.diff.columns import Unequal, compare_records
from sim.diff.config import key_changes, version_changes
from sim.diff.model import Difference, Finding, KeyChange, Kind
from sim.diff.order import Order
from sim.diff.side import ABOUT, Item, Side, Stream
from sim.diff.signals import TOPIC as TOPIC_OF_LIGHTS
from sim.diff.signals import Lights
from sim.diff.table import Record, Table
from sim.diff.tolerance import Tolerances
from sim.diff.windows import Window, windows

SPAN_NS = 10_000_000_000  # of a window: longer ones take more memory, shorter ones more time
_FOREVER = 2**80
_SAMPLED = ("truth/world", "truth/actor")


def diff_logs(
    a: Path, b: Path, tolerances: Tolerances | None = None, span_ns: int = SPAN_NS
) -> Difference:
    """Everything about two logs; LogError only when one cannot be read at all. `span_ns` of each is in memory at a time."""
    left = Side(a)
    try:
        right = Side(b)
    except BaseException:
        left.close()
        raise
    try:
        return Comparison(left, right, tolerances or Tolerances(), span_ns).run()
    finally:
        left.close()
        right.close()


@dataclass(slots=True)
class Comparison:
    """Both logs, and what was found so far."""

    a: Side
    b: Side
    tolerances: Tolerances
    span_ns: int = SPAN_NS
    table: Table = field(init=False)
    keys: list[KeyChange] = field(default_factory=list)
    aligners: dict[Stream, Aligner] = field(default_factory=dict)
    traces: dict[str, trace.TraceAligner] = field(default_factory=dict)
    lights: Lights = field(init=False)
    about: About = field(default_factory=About)
    order: Order = field(default_factory=Order)
    is_sampled_alike: bool = True
    is_thin: bool = False
    _undecided: list[tuple[Finding, Record]] = field(default_factory=list)
    _rows_undecided: list[tuple[str, trace.Gone]] = field(default_factory=list)

    def read(self) -> None:
        """Reads both to their end and fills the table."""
        a, b = self.a, self.b
        one, two = a.facts, b.facts
        self.table = Table(one.header.tick_ns, self.tolerances)
        self.lights = Lights(a, b, self.table)
        self.keys = key_changes(one.header, two.header)
        self.is_sampled_alike = not any(
            key.key.startswith("scene.record") or key.key.startswith("scene.tick_ms")
            for key in self.keys
        )
        for side in (a, b):
            topics = side.topics()
            side.facts.is_thin = not topics & {"truth/world", "truth/trace", "log/radio"}
        self.is_thin = one.is_thin or two.is_thin
        for window in windows(a, b, self.span_ns):
            self._window(window)
        self._window(Window(_FOREVER))
        for found, record in self._undecided:
            self._add_alone(found, record)
        for name, gone in self._rows_undecided:
            self._rows_alone(name, gone)
        if self.traces:
            row = self.table.topic(trace.TOPIC)
            row.differing = sum(vehicle.differing for vehicle in self.traces.values())
            row.tolerated = sum(vehicle.tolerated for vehicle in self.traces.values())
        self.table.settle()

    def run(self) -> Difference:
        """Everything."""
        self.read()
        a, b = self.a, self.b
        one, two = a.facts, b.facts
        chain = {"a": self.about.chain("a"), "b": self.about.chain("b")}
        for name, side in (("a", a), ("b", b)):
            self.about.facts(name, side, chain[name])
        found = digests.compare(chain["a"], chain["b"], one.header.tick_ns == two.header.tick_ns)
        self.about.result(one, two, self.table)
        self._count()
        return cause.explain(
            cause.Case(
                a, b, self.table, self.keys, version_changes(one.header, two.header), found,
            )
        )  # fmt: skip

    # -- one window ------------------------------------------------------------------------------------------------

    def _window(self, window: Window) -> None:
        end_ns = window.end_ns
        unequal: dict[str, list[Unequal]] = {}
        fates: list[tuple[int, bytes, bytes]] = []
        streams = set(window.a) | set(window.b)
        streams |= {stream for stream, aligner in self.aligners.items() if aligner.is_busy}
        streams |= {(trace.TOPIC, name) for name, aligner in self.traces.items() if aligner.is_busy}
        lights: tuple[list[Item], list[Item]] = ([], [])
        for stream in sorted(streams):
            topic = stream[0]
            items_a, items_b = window.a.get(stream, []), window.b.get(stream, [])
            if topic in ABOUT:
                self.about.take(topic, items_a, items_b)
            elif self.is_thin and topic != "truth/event":
                continue
            elif topic == trace.TOPIC:
                self._trace(stream[1], items_a, items_b, end_ns)
            elif topic == TOPIC_OF_LIGHTS:
                lights[0].extend(items_a)
                lights[1].extend(items_b)
            else:
                self._stream(stream, items_a, items_b, end_ns, unequal, fates)
        if not self.is_thin:
            self.lights.compare(*lights)
        for topic, pairs in unequal.items():
            pairs.sort(key=lambda item: item.record.t_ns)
            differing = compare_records(topic, pairs, self.table)
            self.table.topic(topic).differing += len(differing)
            self.table.topic(topic).tolerated += len(pairs) - len(differing)
            for k in differing:
                self.table.remember(topic, pairs[k].record)
        fates.sort(key=lambda item: item[0])
        self.table.topic(radio.TOPIC).differing += radio.compare_ticks(fates, self.table)
        if not self.is_thin:
            for x, y in self.order.compare(window.order_a, window.order_b, end_ns):
                matches.elsewhere(self.table, x, y)

    def _stream(
        self, stream: Stream, a: list[Item], b: list[Item], end_ns: int,
        unequal: dict[str, list[Unequal]], fates: list[tuple[int, bytes, bytes]],
    ) -> None:  # fmt: skip
        topic, sender = stream[0], "" if stream[1] == "sim" else stream[1]
        aligner = self.aligners.setdefault(stream, Aligner())
        matched = aligner.match(a, b, end_ns)
        for one, two in matched.swaps:
            matches.swapped(self.table, topic, sender, one, two)
        for pair in matched.pairs:
            if pair.how is How.MOVED:
                matches.moved(self.table, topic, sender, pair)
                continue
            if pair.a[1] != pair.b[1] and isinstance(pair.a[1], int):
                matches.renumbered(self.table, topic, sender, pair)
            if pair.a[2] == pair.b[2]:
                continue
            if topic == radio.TOPIC:
                fates.append((pair.a[0], pair.a[2], pair.b[2]))
            else:
                record = Record(sender, pair.a[0], matches.number(pair.a[1]))
                unequal.setdefault(topic, []).append(Unequal(record, pair.a[2], pair.b[2]))
        for item, is_a in matched.alone:
            self._alone(topic, sender, item, is_a)

    def _alone(self, topic: str, sender: str, item: Item, is_a: bool) -> None:
        found = matches.alone(topic, sender, item, is_a, self.table.tick_ns)
        record = Record(sender, found.t_ns, found.seq)
        if (self.b if is_a else self.a).is_final(found.t_ns):
            self._add_alone(found, record)
        else:
            self._undecided.append((found, record))

    def _add_alone(self, found: Finding, record: Record) -> None:
        row, is_a = self.table.topic(found.topic), found.kind is Kind.MISSING
        if (self.b if is_a else self.a).lacks(found.t_ns) or (
            found.topic in (*_SAMPLED, "log/inbox") and not self.is_sampled_alike
        ):
            row.outside += 1
        elif self.table.add(found):
            row.missing += is_a
            row.extra += not is_a
            self.table.remember(found.topic, record)
        else:
            row.tolerated += 1

    # -- truth -----------------------------------------------------------------------------------------------------

    def _trace(self, name: str, a: list[Item], b: list[Item], end_ns: int) -> None:
        aligner = self.traces.setdefault(name, trace.TraceAligner(name))
        for gone in aligner.match(a, b, end_ns, self.table):
            other = self.b if gone.is_a else self.a
            last_ns = gone.stamps[-1]
            if other.is_done or (
                other.is_final(last_ns)
                and (not other.facts.lost or last_ns <= other.last_trace.get(name, -1))
            ):
                self._rows_alone(name, gone)
            else:
                self._rows_undecided.append((name, gone))

    def _rows_alone(self, name: str, gone: trace.Gone) -> None:
        """Rows of one block that only one side has."""
        row = self.table.topic(trace.TOPIC)
        other = self.b if gone.is_a else self.a
        inside = [t for t in gone.stamps if not other.lacks(t)]
        if other.facts.lost:  # its last block may not have been written
            inside = [t for t in inside if t <= other.last_trace.get(name, -1)]
        if not self.is_sampled_alike:
            inside = []
        row.outside += len(gone.stamps) > len(inside)
        if inside and self.table.add(trace.absence(name, gone.is_a, inside[0], self.table)):
            row.missing += gone.is_a
            row.extra += not gone.is_a

    def _count(self) -> None:
        for topic in sorted(set(self.a.counts) | set(self.b.counts)):
            row = self.table.topic(topic)
            row.in_a, row.in_b = self.a.counts[topic], self.b.counts[topic]
