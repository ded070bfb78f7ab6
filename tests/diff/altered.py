"""A log against a copy of it with one change, from both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.diff.compare import diff_logs
from sim.diff.data import as_json
from sim.diff.model import Difference, Kind
from sim.diff.page import render
from sim.diff.tolerance import Tolerances
from tests.diff import mutate
from tests.diff.mutate import Record

S = 1_000_000_000
Change = Callable[[list[Record]], Any]
Diff = Callable[..., Difference]
MIRRORED = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}


def held(
    log: Path, folder: Path, change: Change, tolerances: Tolerances | None = None
) -> Difference:
    """The log against a changed copy; the copy is the same as itself, and against the log the cause is the same from the other side."""
    epoch, items = mutate.read(log)
    out = change(items)
    copies = folder / "b.mcap", folder / "again.mcap"
    for path, chunk_bytes in zip(copies, (256 * 1024, 20_000), strict=True):
        mutate.write(path, epoch, items if out is None else out, chunk_bytes)
    assert diff_logs(*copies).is_same
    found, turned = diff_logs(log, copies[0], tolerances), diff_logs(copies[0], log, tolerances)
    assert (found.cause is None) == (turned.cause is None)
    if found.cause is not None and turned.cause is not None and not found.cause.is_of_file:
        one, two = found.cause, turned.cause
        assert (one.tick, one.topic, one.sender, one.entity) == (two.tick, two.topic, two.sender, two.entity)  # fmt: skip
        assert (one.a, one.b) == (two.b, two.a)
        assert one.kind is MIRRORED.get(two.kind, two.kind)
    json.loads(as_json(found))
    assert render(found)
    return found


def first(items: list[Record], topic: str, after_ns: int = 2 * S) -> int:
    return next(k for k, item in enumerate(items) if item.topic == topic and item.t_ns >= after_ns)


def edit(topic: str, change: Callable[[Any], Any], after_ns: int = 2 * S) -> Change:
    """One record changed."""

    def apply(items: list[Record]) -> None:
        at = first(items, topic, after_ns)
        proto: Any = mutate.message_class(topic).FromString(items[at].data)
        change(proto)
        items[at] = replace(items[at], data=proto.SerializeToString(deterministic=True))

    return apply


def put(name: str, value: Any) -> Callable[[Any], None]:
    return lambda proto: getattr(proto, name).__setitem__(0, value)


def unknown(topic: str) -> Change:
    """A field that no version knows."""

    def apply(items: list[Record]) -> None:
        at = first(items, topic)
        items[at] = replace(items[at], data=items[at].data + b"\xfa\x3f\x03abc")

    return apply


def header(change: Callable[[Any], Any]) -> Change:
    return edit("log/header", change, -1)
