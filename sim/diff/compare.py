"""`diff_logs(a, b)`: reads both logs once, in lock-step, fills the table, and asks for the cause.

What has no counterpart is missing only inside the part of time that both logs have, and outside what is damaged; the rest is told as
a log that ended early, began late or broke off.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

from protocols.v1 import log_pb2
from sim.diff import cause, digests, radio, trace
from sim.diff.align import Aligner, How, Pair
from sim.diff.columns import Unequal, both_numbers, compare_records
from sim.diff.config import key_changes, version_changes
from sim.diff.fields import fields, shown
from sim.diff.model import NOTHING, Difference, Finding, KeyChange, Kind
from sim.diff.order import Order
from sim.diff.signals import TOPIC as TOPIC_OF_LIGHTS
from sim.diff.signals import Lights
from sim.diff.table import Record, Table
from sim.diff.tolerance import Tolerances
from sim.diff.windows import ABOUT, Item, Place, Side, Stream, Window, windows

SPAN_NS = 10_000_000_000  # of a window: longer ones take more memory, shorter ones more time
_FOREVER = 2**80
_SAMPLED = ("truth/world", "truth/actor")
MAX_MESSAGES = 5000  # differing messages remembered per stream, the earliest


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
    about: dict[tuple[str, str], list[Item]] = field(default_factory=dict)  # (side, topic)
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
        for records in self.table.messages.values():
            _keep_earliest(records)

    def run(self) -> Difference:
        """Everything."""
        self.read()
        a, b = self.a, self.b
        one, two = a.facts, b.facts
        chain = {"a": self._chain("a"), "b": self._chain("b")}
        for name, side in (("a", a), ("b", b)):
            self._facts(name, side, chain[name])
        found = digests.compare(chain["a"], chain["b"], one.header.tick_ns == two.header.tick_ns)
        self._result()
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
                for side, items in (("a", items_a), ("b", items_b)):
                    self.about.setdefault((side, topic), []).extend(items)
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
                self._remember(topic, pairs[k].record)
        fates.sort(key=lambda item: item[0])
        self.table.topic(radio.TOPIC).differing += radio.compare_ticks(fates, self.table)
        if not self.is_thin:
            for x, y in self.order.compare(window.order_a, window.order_b, end_ns):
                self._order(x, y)

    def _stream(
        self, stream: Stream, a: list[Item], b: list[Item], end_ns: int,
        unequal: dict[str, list[Unequal]], fates: list[tuple[int, bytes, bytes]],
    ) -> None:  # fmt: skip
        topic, sender = stream[0], "" if stream[1] == "sim" else stream[1]
        aligner = self.aligners.setdefault(stream, Aligner())
        matched = aligner.match(a, b, end_ns)
        for one, two in matched.swaps:
            self._swap(topic, sender, one, two)
        for pair in matched.pairs:
            if pair.how is How.MOVED:
                self._moved(topic, sender, pair)
                continue
            if pair.a[1] != pair.b[1] and isinstance(pair.a[1], int):
                self.table.topic(topic).renumbered += 1
                self._renumbered(topic, sender, pair)
            if pair.a[2] == pair.b[2]:
                continue
            if topic == radio.TOPIC:
                fates.append((pair.a[0], pair.a[2], pair.b[2]))
            else:
                record = Record(sender, pair.a[0], _seq(pair.a[1]))
                unequal.setdefault(topic, []).append(Unequal(record, pair.a[2], pair.b[2]))
        for item, is_a in matched.alone:
            self._alone(topic, sender, item, is_a)

    def _alone(self, topic: str, sender: str, item: Item, is_a: bool) -> None:
        what = self._what(topic, item)
        kind = Kind.MISSING if is_a else Kind.EXTRA
        a, b = (what, NOTHING) if is_a else (NOTHING, what)
        t_ns, seq = item[0], _seq(item[1])
        found = Finding(kind, t_ns // self.table.tick_ns, t_ns, topic, sender, "record", a, b, seq)
        if (self.b if is_a else self.a).is_final(t_ns):
            self._add_alone(found, Record(sender, t_ns, seq))
        else:
            self._undecided.append((found, Record(sender, t_ns, seq)))

    def _add_alone(self, found: Finding, record: Record) -> None:
        row, is_a = self.table.topic(found.topic), found.kind is Kind.MISSING
        if (self.b if is_a else self.a).lacks(found.t_ns) or (
            found.topic in (*_SAMPLED, "log/inbox") and not self.is_sampled_alike
        ):
            row.outside += 1
        elif self.table.add(found):
            row.missing += is_a
            row.extra += not is_a
            self._remember(found.topic, record)
        else:
            row.tolerated += 1

    def _what(self, topic: str, item: Item) -> str:
        if topic == "truth/event":
            values = fields(topic, item[2]).values
            return f"{values.get('event', '?')} of {values.get('subject', '?')}: {values.get('text', '')}".rstrip(
                ": "
            )
        if topic == "log/note":
            return ", ".join(n for n in fields(topic, item[2]).values if n != "t_ns")
        return f"{len(item[2])} bytes"

    def _moved(self, topic: str, sender: str, pair: Pair) -> None:
        row = self.table.topic(topic)
        t_ns, other = pair.a[0], pair.b[0]
        first = min(t_ns, other)
        found = Finding(
            Kind.DELAYED, first // self.table.tick_ns, first, topic, sender, "sent_at",
            f"{t_ns / 1e9:.3f} s", f"{other / 1e9:.3f} s", _seq(pair.a[1]), by=(other - t_ns) / 1e9, other=other,
        )  # fmt: skip
        if self.table.add(found, (t_ns / 1e9, other / 1e9)):
            row.delayed += 1
            self._remember(topic, Record(sender, first, _seq(pair.a[1])))
        else:
            row.tolerated += 1

    def _swap(self, topic: str, sender: str, pair: Pair, other: Pair) -> None:
        if pair.a[0] > other.a[0]:
            pair, other = other, pair
        t_ns, seq, second = pair.a[0], _seq(pair.a[1]), _seq(other.a[1])
        found = Finding(
            Kind.ORDER, t_ns // self.table.tick_ns, t_ns, topic, sender, "order",
            f"seq {seq}, then {second}", f"seq {second}, then {seq}", seq, other=second,
        )  # fmt: skip
        if self.table.add(found):
            self.table.topic(topic).swapped += 2
            self._remember(topic, Record(sender, t_ns, seq))
        else:
            self.table.topic(topic).tolerated += 2

    def _renumbered(self, topic: str, sender: str, pair: Pair) -> None:
        t_ns = pair.a[0]
        one, two = _seq(pair.a[1]), _seq(pair.b[1])
        found = Finding(
            Kind.MESSAGE, t_ns // self.table.tick_ns, t_ns, topic, sender, "seq", str(one), str(two), one,
            by=float(two - one),
        )  # fmt: skip
        self.table.add(found, (float(one), float(two)))

    def _remember(self, topic: str, record: Record) -> None:
        known = self.table.messages.setdefault((topic, record.sender), [])
        known.append(record)
        if len(known) >= 2 * MAX_MESSAGES:
            _keep_earliest(known)

    def _order(self, x: Place, y: Place) -> None:
        """Two places that stand the other way round in b."""
        t_ns, sender = x[2], "" if x[1] == "sim" else x[1]
        found = Finding(
            Kind.ORDER, t_ns // self.table.tick_ns, t_ns, x[0], sender, "order", _place(x), _place(y),
            _seq(x[3]), other=_seq(y[3]),
        )  # fmt: skip
        self.table.topic(x[0]).swapped += self.table.add(found)

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

    # -- the end ---------------------------------------------------------------------------------------------------

    def _chain(self, side: str) -> digests.Chain:
        blocks = [self.about.get((side, topic), []) for topic in ("log/digest", "log/digest_part")]
        for items in blocks:
            items.sort(key=lambda item: item[0])  # stable: the order of the file inside a tick
        return digests.collect(*([item[2] for item in items] for items in blocks))

    def _facts(self, name: str, side: Side, chain: digests.Chain) -> None:
        facts = side.facts
        facts.ticks = int(chain.tick.size)
        for topic, unread in zip(("log/digest", "log/digest_part"), chain.unread, strict=True):
            facts.unread_ns += [self.about[name, topic][k][0] for k in unread]
        ends = [side.last_ns]
        if chain.tick.size:
            ends.append(
                int(chain.tick[-1]) * facts.header.tick_ns
                if side.last_ns < 0 or facts.is_thin
                else side.last_ns
            )
        facts.end_ns = max(ends)
        facts.start_ns = max(side.first_ns, 0)
        blocks = self.about.get((name, "log/result"), [])
        blocks.sort(key=lambda item: item[0])
        facts.has_result = bool(blocks)
        if blocks:
            try:
                table = json.loads(log_pb2.RunResult.FromString(blocks[-1][2]).result_json)
                facts.outcome = str(table.get("outcome", ""))
            except Exception:
                facts.outcome = ""

    def _result(self) -> None:
        a, b = (self.about.get((side, "log/result"), []) for side in ("a", "b"))
        if not (a and b):
            return
        one, two = fields("log/result", a[-1][2]).values, fields("log/result", b[-1][2]).values
        t_ns = max(self.a.facts.end_ns, self.b.facts.end_ns)
        is_different = False
        for name in one | two:
            x, y = one.get(name), two.get(name)
            if x == y:
                continue
            number = both_numbers(x, y)
            found = Finding(
                Kind.RESULT, t_ns // self.table.tick_ns, t_ns, "log/result", "", name,
                shown(name, x) if name in one else NOTHING, shown(name, y) if name in two else NOTHING,
                by=None if number is None else number[1] - number[0],
            )  # fmt: skip
            is_different |= self.table.add(found, number)
        self.table.topic("log/result").differing += is_different

    def _count(self) -> None:
        for topic in sorted(set(self.a.counts) | set(self.b.counts)):
            row = self.table.topic(topic)
            row.in_a, row.in_b = self.a.counts[topic], self.b.counts[topic]


def _keep_earliest(records: list[Record]) -> None:
    records.sort(key=lambda record: (record.t_ns, record.seq))
    del records[MAX_MESSAGES:]


def _seq(name: Hashable) -> int:
    return name if isinstance(name, int) else -1


def _place(place: Place) -> str:
    topic, sender, _, name = place
    return f"{topic} of {sender}" + (
        f" seq {name}" if isinstance(name, int) and topic.startswith("v2x/") else ""
    )
