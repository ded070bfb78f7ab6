"""Where two runs part: the first differing tick by digests, then the topic, the sender and the field.

Digests decide whether runs differ; the recorded data then says where. Truth is sampled more coarsely than digests are taken, so a
difference in truth is looked for in the driven vehicles' traces at that tick, then in world samples from that tick on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from protocols.errors import LogError
from sim.log.reader import LogReader
from sim.log.records import LoggedMessage, Trace

_SAMPLES = 200  # world samples to look through after the tick of a truth difference


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """Where run b leaves run a. Values are texts; "-" where one side has nothing."""

    tick: int
    t_ns: int
    topic: str
    sender: str
    field: str
    a: str
    b: str

    def __str__(self) -> str:
        """One sentence."""
        who = f" of {self.sender}" if self.sender else ""
        return (
            f"runs differ first at tick {self.tick} (t={self.t_ns / 1e9:.2f} s): "
            f"{self.topic}.{self.field}{who} = {self.b}, expected {self.a}"
        )


def compare(a: LogReader, b: LogReader) -> FirstDifference | None:
    """The first difference of run `b` from run `a`, or None when every tick has the same digest.

    LogError when the logs cannot be compared (other tick length).
    """
    tick_ns = a.header().tick_ns
    if b.header().tick_ns != tick_ns:
        raise LogError(
            f"{a.path} has ticks of {tick_ns} ns and {b.path} of {b.header().tick_ns} ns; "
            "only runs with the same tick can be compared"
        )
    left, right = a.digests(), b.digests()
    common = min(left.tick.size, right.tick.size)
    differs = np.flatnonzero(
        (left.digest[:common] != right.digest[:common])
        | (left.tick[:common] != right.tick[:common])
    )
    if not differs.size:
        if left.tick.size == right.tick.size:
            return None
        longer = left if left.tick.size > common else right
        tick = int(longer.tick[common])
        counts = (str(left.tick.size), str(right.tick.size))
        return FirstDifference(tick, tick * tick_ns, "log/digest", "", "number of ticks", *counts)
    row = int(differs[0])
    tick = int(left.tick[row])
    at = (tick, tick * tick_ns)
    if left.truth[row] != right.truth[row]:
        return _truth(a, b, at, tick_ns)
    if left.command[row] != right.command[row]:
        return _command(a, b, at)
    if left.message[row] != right.message[row]:
        found = _messages(a, b, at, None)
        if found is not None:
            return found
    return _unknown(at, "log/digest", "digest", "other parts than the log holds differ")


def _truth(a: LogReader, b: LogReader, at: tuple[int, int], tick_ns: int) -> FirstDifference:
    found = _traces(a, b, at, is_command=False)
    if found is not None:
        return found
    pairs = zip(a.world(at[1]), b.world(at[1]), strict=False)
    for left, right in islice(pairs, _SAMPLES):
        where = (left.t_ns // tick_ns, left.t_ns)
        if left.id.tolist() != right.id.tolist():
            here, there = set(left.id.tolist()), set(right.id.tolist())
            return FirstDifference(
                *where,
                "truth/world",
                "",
                "id",
                f"{len(here)} actors" + _only(here - there),
                f"{len(there)} actors" + _only(there - here),
            )
        for field in dataclasses.fields(left):
            one, two = getattr(left, field.name), getattr(right, field.name)
            if isinstance(one, np.ndarray) and one.tobytes() != two.tobytes():
                k = _first_row(one, two)
                name = f"{field.name}[actor {left.id[k]}]"
                return FirstDifference(
                    *where, "truth/world", "", name, repr(one[k].item()), repr(two[k].item())
                )
    return _unknown(at, "truth/world", "state", "differs in a column or tick that is not sampled")


def _command(a: LogReader, b: LogReader, at: tuple[int, int]) -> FirstDifference:
    found = _traces(a, b, at, is_command=True) or _messages(a, b, at, "cmd/signal")
    return found or _unknown(at, "cmd/vehicle", "command", "differs in a field that is not sampled")


def _traces(
    a: LogReader, b: LogReader, at: tuple[int, int], is_command: bool
) -> FirstDifference | None:
    names = a.trace_names()
    if names != b.trace_names():
        return FirstDifference(*at, "truth/trace", "", "name", str(names), str(b.trace_names()))
    for name in names:
        left, right = _row(a.traces(name), at[1]), _row(b.traces(name), at[1])
        for field in left:
            if field.startswith("command_") != is_command:
                continue
            one, two = left[field], right.get(field)
            if two is not None and np.asarray(one).tobytes() != np.asarray(two).tobytes():
                topic = "cmd/vehicle" if is_command else "truth/trace"
                return FirstDifference(*at, topic, name, field, repr(one.item()), repr(two.item()))
    return None


def _row(trace: Trace, t_ns: int) -> dict[str, Any]:
    rows = np.flatnonzero(trace.t_ns == t_ns)
    if not rows.size:
        return {}
    columns = [n for n in Trace.__slots__ if n not in ("name", "id", "t_ns")]
    return {name: getattr(trace, name)[rows[0]] for name in columns}


def _messages(
    a: LogReader, b: LogReader, at: tuple[int, int], topic: str | None
) -> FirstDifference | None:
    left, right = (
        {(m.sender, m.seq, m.topic): m for m in log.messages(topic, at[1], at[1] + 1)}
        for log in (a, b)
    )
    for key in sorted(set(left) | set(right)):
        one, two = left.get(key), right.get(key)
        if one is None or two is None:
            sender, seq, name = key
            return FirstDifference(
                *at,
                name,
                sender,
                f"message {seq}",
                "-" if one is None else f"{len(one.data)} bytes",
                "-" if two is None else f"{len(two.data)} bytes",
            )
        if one.data != two.data:
            return _fields(one, two, at)
    return None


def _fields(one: LoggedMessage, two: LoggedMessage, at: tuple[int, int]) -> FirstDifference:
    left, right = one.decode(), two.decode()
    for field in dataclasses.fields(left):
        x, y = getattr(left, field.name), getattr(right, field.name)
        if isinstance(x, np.ndarray):
            if x.shape != y.shape:
                return FirstDifference(
                    *at, one.topic, one.sender, field.name, f"{x.size} rows", f"{y.size} rows"
                )
            if x.tobytes() != y.tobytes():
                k = _first_row(x, y)
                name = f"{field.name}[{k}]"
                return FirstDifference(
                    *at, one.topic, one.sender, name, repr(x[k].item()), repr(y[k].item())
                )
        elif x != y:
            return FirstDifference(*at, one.topic, one.sender, field.name, repr(x), repr(y))
    return _unknown(at, one.topic, "bytes", "differ in a field this version does not know")


def _first_row(x: Any, y: Any) -> int:
    """First row with other bytes (NaN equals NaN, 0.0 differs from -0.0)."""
    size = x.dtype.itemsize
    one, two = (np.frombuffer(v.tobytes(), np.uint8).reshape(-1, size) for v in (x, y))
    return int(np.flatnonzero((one != two).any(axis=1))[0])


def _only(ids: set[int]) -> str:
    return f", alone with {sorted(ids)[:5]}" if ids else ""


def _unknown(at: tuple[int, int], topic: str, field: str, why: str) -> FirstDifference:
    return FirstDifference(*at, topic, "", field, "the digest", why)
