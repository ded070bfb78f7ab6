"""What became of messages in two logs: fates and delays of the same transmissions at the same receivers.

Transmissions of a tick are matched by sender and topic, receivers by name: numbers may be shifted where an earlier message is missing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from protocols.v1 import log_pb2
from protocols.wire import Column
from sim.diff.fields import shown
from sim.diff.model import Finding, Kind
from sim.diff.table import Table
from sim.radio.fates import Fate

TOPIC = "log/radio"


class Sent(NamedTuple):
    """One transmission and what became of it: (rows, R)."""

    sender: str
    topic: str
    seq: int
    fate: Column
    latency_us: Column  # -1 where it was not heard
    at: int  # first of its rows among those of the tick


@dataclass(slots=True)
class Tick:
    """All transmissions of one tick."""

    t_ns: int
    receivers: tuple[str, ...]
    sent: list[Sent]
    fate: Column  # of all of them: (rows, R)
    latency_us: Column


def read_tick(data: bytes) -> Tick | None:
    """A radio record; None when it does not add up."""
    try:
        proto = log_pb2.RadioFates.FromString(data)
    except DecodeError:
        return None
    try:
        fate = np.frombuffer(bytes(list(proto.fate)), np.uint8)
    except ValueError:  # no fate has a number above 255
        return None
    width = len(proto.receiver)
    rows = list(proto.num_rows)
    heard = fate == int(Fate.DELIVERED)
    number = len(proto.sender)
    if not (len(proto.topic) == len(proto.seq) == len(rows) == number):
        return None
    if fate.size != sum(rows) * width or int(np.count_nonzero(heard)) != len(proto.latency_us):
        return None
    latency = np.full(fate.size, -1, np.int64)
    latency[heard] = np.array(list(proto.latency_us), np.int64)
    fates: Column = fate.reshape(sum(rows), width)
    delays: Column = latency.reshape(sum(rows), width)
    sent, at = [], 0
    for sender, topic, seq, count in zip(proto.sender, proto.topic, proto.seq, rows, strict=True):
        sent.append(Sent(sender, topic, seq, fates[at : at + count], delays[at : at + count], at))
        at += count
    return Tick(proto.t_ns, tuple(proto.receiver), sent, fates, delays)


def compare_ticks(pairs: list[tuple[int, bytes, bytes]], table: Table) -> int:
    """Puts the differences of (t_ns, a, b) into the table; number of records that differ beyond tolerance."""
    differing = 0
    for t_ns, a, b in pairs:
        one, two = read_tick(a), read_tick(b)
        if one is None or two is None or _is_same(one, two):  # or in other bytes
            found = Finding(
                Kind.FATE, t_ns // table.tick_ns, t_ns, TOPIC, "", "bytes", shown("", a), shown("", b),
            )  # fmt: skip
            differing += table.add(found)
        else:
            differing += _compare(t_ns, one, two, table)
    return differing


def _compare(t_ns: int, one: Tick, two: Tick, table: Table) -> bool:
    columns: tuple[list[int], list[int]] = ([], [])
    for k, name in enumerate(one.receivers):
        if name in two.receivers:
            columns[0].append(k)
            columns[1].append(two.receivers.index(name))
    is_different = False
    if one.t_ns != two.t_ns:
        found = Finding(
            Kind.FATE, t_ns // table.tick_ns, t_ns, TOPIC, "", "t_ns", str(one.t_ns), str(two.t_ns)
        )
        is_different |= table.add(found, (float(one.t_ns), float(two.t_ns)))
    for name in sorted(set(one.receivers) ^ set(two.receivers)):
        a, b = (name if name in side.receivers else "-" for side in (one, two))
        is_different |= table.add(
            Finding(Kind.FATE, t_ns // table.tick_ns, t_ns, TOPIC, name, "receiver", a, b)
        )
    receivers = [one.receivers[k] for k in columns[0]]
    there = _by_name(two)
    rows = _rows_apart(one, two)
    for key, left in _by_name(one).items():
        right = there.pop(key, None)
        if right is None:
            is_different |= _alone(t_ns, left, Kind.MISSING, table)
            continue
        if left.seq != right.seq:
            is_different |= _number(t_ns, left, "seq", left.seq, right.seq, table)
        if left.fate.shape[0] != right.fate.shape[0]:
            is_different |= _number(
                t_ns, left, "num_rows", left.fate.shape[0], right.fate.shape[0], table
            )
        elif (
            rows is None or left.at != right.at or any(rows[left.at : left.at + left.fate.shape[0]])
        ):
            fates, delays = (left.fate, right.fate), (left.latency_us, right.latency_us)
            if one.receivers != two.receivers:
                fates = left.fate[:, columns[0]], right.fate[:, columns[1]]
                delays = left.latency_us[:, columns[0]], right.latency_us[:, columns[1]]
            if (fates[0] != fates[1]).any() or (delays[0] != delays[1]).any():
                is_different |= _one(t_ns, left, fates, delays, receivers, table)
    for right in there.values():
        is_different |= _alone(t_ns, right, Kind.EXTRA, table)
    return is_different


def _rows_apart(one: Tick, two: Tick) -> list[bool] | None:
    """Which rows of two ticks differ, all at once; None where they have others."""
    if one.receivers != two.receivers or one.fate.shape != two.fate.shape:
        return None
    out: list[bool] = (
        ((one.fate != two.fate) | (one.latency_us != two.latency_us)).any(axis=1).tolist()
    )
    return out


def _number(t_ns: int, sent: Sent, name: str, a: int, b: int, table: Table) -> bool:
    found = Finding(
        Kind.FATE, t_ns // table.tick_ns, t_ns, TOPIC, sent.sender, name, str(a), str(b), sent.seq,
        entity=sent.topic, by=float(b - a),
    )  # fmt: skip
    return table.add(found, (float(a), float(b)))


def _is_same(one: Tick, two: Tick) -> bool:
    """Whether two records say the same although their bytes differ (latencies of the lost, for one, are nowhere)."""
    return (
        one.t_ns == two.t_ns
        and one.receivers == two.receivers
        and [(s.sender, s.topic, s.seq) for s in one.sent]
        == [(s.sender, s.topic, s.seq) for s in two.sent]
        and one.fate.shape == two.fate.shape
        and bool((one.fate == two.fate).all())
        and bool((one.latency_us == two.latency_us).all())
    )


def _by_name(tick: Tick) -> dict[tuple[str, str, int], Sent]:
    out: dict[tuple[str, str, int], Sent] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for item in tick.sent:
        whose = item.sender, item.topic
        out[*whose, seen[whose]] = item
        seen[whose] += 1
    return out


def _alone(t_ns: int, item: Sent, kind: Kind, table: Table) -> bool:
    text = f"{item.topic} seq {item.seq}"
    a, b = (text, "-") if kind is Kind.MISSING else ("-", text)
    return table.add(
        Finding(kind, t_ns // table.tick_ns, t_ns, TOPIC, item.sender, "transmission", a, b, item.seq, entity=item.topic)
    )  # fmt: skip


def _one(
    t_ns: int, sent: Sent, fates: tuple[Column, Column], delays: tuple[Column, Column],
    receivers: list[str], table: Table,
) -> bool:  # fmt: skip
    """One transmission: the first differing row of every receiver is a finding, the rest is counted."""
    is_different = False
    tick = t_ns // table.tick_ns
    for kind, name, (a, b) in ((Kind.FATE, "fate", fates), (Kind.DELAYED, "latency_us", delays)):
        mask = a != b
        if kind is Kind.DELAYED:
            mask &= (a >= 0) & (b >= 0)
        if not mask.any():
            continue
        is_plain = not table.tolerances.of(TOPIC, name)
        for r in np.flatnonzero(mask.any(axis=0)).tolist():
            rows = np.flatnonzero(mask[:, r]).tolist()
            if is_plain:  # one finding, the rest below
                node = (TOPIC, kind, sent.sender, receivers[r])
                rows = rows[:1] if table.is_earlier(node, t_ns) else []
            for row in rows:
                x, y = int(a[row, r]), int(b[row, r])
                number = (float(x), float(y)) if kind is Kind.DELAYED else None
                found = Finding(
                    kind, tick, t_ns, TOPIC, sent.sender, name,
                    _text(kind, x), _text(kind, y), sent.seq, row if a.shape[0] > 1 else -1, sent.topic,
                    None if number is None else number[1] - number[0],
                    t_ns + y * 1000 if kind is Kind.DELAYED else -1, receivers[r],
                )  # fmt: skip
                if is_plain:
                    table.first(found)
                else:
                    is_different |= table.add(found, number)
        if is_plain:
            numbers = (a[mask], b[mask]) if kind is Kind.DELAYED else None
            whose = (sent.sender, sent.topic)
            table.count((TOPIC, name), tick, whose, int(np.count_nonzero(mask)), numbers)
            is_different = True
    return is_different


def _text(kind: Kind, value: int) -> str:
    if kind is Kind.DELAYED:
        return f"{value} us"
    known = Fate._value2member_map_.get(value)
    return str(value) if known is None else Fate(value).name
