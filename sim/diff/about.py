"""What two logs say about themselves: their digests, how far they go, how the run ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from protocols.v1 import log_pb2
from sim.diff import digests
from sim.diff.columns import both_numbers, names_of
from sim.diff.fields import fields, shown
from sim.diff.model import NOTHING, Finding, Kind, LogFacts
from sim.diff.side import Item, Side
from sim.diff.table import Table


@dataclass(slots=True)
class About:
    """Both logs' records of that kind, by side ("a", "b") and topic."""

    records: dict[tuple[str, str], list[Item]] = field(default_factory=dict)

    def take(self, topic: str, a: list[Item], b: list[Item]) -> None:
        """The next records of a topic."""
        for side, items in (("a", a), ("b", b)):
            self.records.setdefault((side, topic), []).extend(items)

    def chain(self, side: str) -> digests.Chain:
        """The digests of one log."""
        blocks = [
            self.records.get((side, topic), []) for topic in ("log/digest", "log/digest_part")
        ]
        for items in blocks:
            items.sort(key=lambda item: item[0])  # stable: the order of the file inside a tick
        return digests.collect(*([item[2] for item in items] for items in blocks))

    def facts(self, name: str, side: Side, chain: digests.Chain) -> None:
        """Fills in what is to be said of one log, once it was read to its end."""
        facts = side.facts
        facts.ticks = int(chain.tick.size)
        for topic, unread in zip(("log/digest", "log/digest_part"), chain.unread, strict=True):
            facts.unread_ns += [self.records[name, topic][k][0] for k in unread]
        ends = (
            [side.last_ns] if side.has_data else [-facts.header.tick_ns]
        )  # it ends before its first tick
        if chain.tick.size and (facts.is_thin or not side.has_data):
            ends.append(int(chain.tick[-1]) * facts.header.tick_ns)
        facts.end_ns = max(ends)
        facts.start_ns = side.first_ns if side.has_data else 0
        blocks = self.records.get((name, "log/result"), [])
        blocks.sort(key=lambda item: item[0])
        facts.has_result = bool(blocks)
        if blocks:
            try:
                table = json.loads(log_pb2.RunResult.FromString(blocks[-1][2]).result_json)
                facts.outcome = str(table.get("outcome", ""))
            except Exception:
                facts.outcome = ""

    def result(self, one_log: LogFacts, other_log: LogFacts, table: Table) -> None:
        """Puts the differences of the two results into the table, and that only one log has one although both go as far."""
        end_ns = max(one_log.end_ns, other_log.end_ns)
        a, b = (self.records.get((side, "log/result"), []) for side in ("a", "b"))
        if not (a and b):
            whole = [not (facts.lost or facts.damaged) for facts in (one_log, other_log)]
            if bool(a) != bool(b) and all(whole) and one_log.end_ns == other_log.end_ns:
                self._one_result(one_log, other_log, end_ns, table)
            return
        one, two = fields("log/result", a[-1][2]).values, fields("log/result", b[-1][2]).values
        if any(isinstance(side.get("bytes"), bytes) for side in (one, two)):  # one cannot be read
            one, two = {"bytes": a[-1][2]}, {"bytes": b[-1][2]}
        is_different = False
        for name in names_of(one, two):
            x, y = one.get(name), two.get(name)
            if x == y or (_is_nan(x) and _is_nan(y)):
                continue
            number = both_numbers(x, y)
            found = Finding(
                Kind.RESULT, end_ns // table.tick_ns, end_ns, "log/result", "", name,
                shown(name, x) if name in one else NOTHING, shown(name, y) if name in two else NOTHING,
                by=None if number is None else float(number[1] - number[0]),
            )  # fmt: skip
            is_different |= table.add(found, number)
        table.topic("log/result").differing += is_different

    def _one_result(self, a: LogFacts, b: LogFacts, end_ns: int, table: Table) -> None:
        kind = Kind.MISSING if a.has_result else Kind.EXTRA
        one, two = (
            facts.outcome or "a result" if facts.has_result else NOTHING for facts in (a, b)
        )
        found = Finding(kind, end_ns // table.tick_ns, end_ns, "log/result", "", "record", one, two)
        if table.add(found):
            table.topic("log/result").missing += a.has_result
            table.topic("log/result").extra += b.has_result


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
