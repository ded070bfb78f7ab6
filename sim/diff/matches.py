"""Findings about whole records: one that only one log has, one sent at another time or under another number, two in another order."""

from __future__ import annotations

from collections.abc import Hashable

from sim.diff.align import Pair
from sim.diff.fields import fields
from sim.diff.model import NOTHING, Finding, Kind
from sim.diff.side import Item, Place
from sim.diff.table import Record, Table


def alone(topic: str, sender: str, item: Item, is_a: bool, tick_ns: int) -> Finding:
    """A record without a counterpart."""
    what = _what(topic, item)
    a, b = (what, NOTHING) if is_a else (NOTHING, what)
    kind = Kind.MISSING if is_a else Kind.EXTRA
    return Finding(
        kind, item[0] // tick_ns, item[0], topic, sender, "record", a, b, number(item[1])
    )


def _what(topic: str, item: Item) -> str:
    if topic == "truth/event":
        values = fields(topic, item[2]).values
        return f"{values.get('event', '?')} of {values.get('subject', '?')}: {values.get('text', '')}".rstrip(
            ": "
        )
    if topic == "log/note":
        return ", ".join(n for n in fields(topic, item[2]).values if n != "t_ns")
    return f"{len(item[2])} bytes"


def moved(table: Table, topic: str, sender: str, pair: Pair) -> None:
    """The same message, sent at another time."""
    row = table.topic(topic)
    t_ns, other = pair.a[0], pair.b[0]
    first = min(t_ns, other)
    found = Finding(
        Kind.DELAYED, first // table.tick_ns, first, topic, sender, "sent_at",
        f"{t_ns / 1e9:.3f} s", f"{other / 1e9:.3f} s", number(pair.a[1]), by=(other - t_ns) / 1e9, other=other,
    )  # fmt: skip
    if table.add(found, (t_ns / 1e9, other / 1e9)):
        row.delayed += 1
        table.remember(topic, Record(sender, first, number(pair.a[1])))
    else:
        row.tolerated += 1


def swapped(table: Table, topic: str, sender: str, pair: Pair, other: Pair) -> None:
    """Two messages of a stream that have changed places."""
    if pair.a[0] > other.a[0]:
        pair, other = other, pair
    t_ns, seq, second = pair.a[0], number(pair.a[1]), number(other.a[1])
    found = Finding(
        Kind.ORDER, t_ns // table.tick_ns, t_ns, topic, sender, "order",
        f"seq {seq}, then {second}", f"seq {second}, then {seq}", seq, other=second,
    )  # fmt: skip
    if table.add(found):
        table.topic(topic).swapped += 2
        table.remember(topic, Record(sender, t_ns, seq))
    else:
        table.topic(topic).tolerated += 2


def renumbered(table: Table, topic: str, sender: str, pair: Pair) -> None:
    """The same message under another number."""
    table.topic(topic).renumbered += 1
    t_ns = pair.a[0]
    one, two = number(pair.a[1]), number(pair.b[1])
    found = Finding(
        Kind.MESSAGE, t_ns // table.tick_ns, t_ns, topic, sender, "seq", str(one), str(two), one,
        by=float(two - one),
    )  # fmt: skip
    table.add(found, (float(one), float(two)))


def elsewhere(table: Table, x: Place, y: Place) -> None:
    """Two places that stand the other way round in b."""
    t_ns, sender = x[2], "" if x[1] == "sim" else x[1]
    found = Finding(
        Kind.ORDER, t_ns // table.tick_ns, t_ns, x[0], sender, "order", _place(x), _place(y),
        number(x[3]), other=number(y[3]), is_of_file=True,
    )  # fmt: skip
    table.topic(x[0]).swapped += table.add(found)


def number(name: Hashable) -> int:
    """A record's sequence number; -1 where something else names it."""
    return name if isinstance(name, int) else -1


def _place(place: Place) -> str:
    topic, sender, _, name = place
    return f"{topic} of {sender}" + (
        f" seq {name}" if isinstance(name, int) and topic.startswith("v2x/") else ""
    )
