"""Pairs of records that are not equal bytes, compared field by field: many at once, rows matched by whose they are."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from protocols.wire import Column
from sim.diff.align import common, is_ascending
from sim.diff.batch import Batch, alone, column
from sim.diff.fields import LABELS, fields, id_name, is_named, shown
from sim.diff.layout import Fields, Rows, joined
from sim.diff.model import Finding, Kind, kind_of
from sim.diff.table import Record, Table

_KEY = 2**33  # above every id
_WIDE = 2**64  # above every number on the wire


class Unequal(NamedTuple):
    """Two records that are the same one with other content."""

    record: Record
    a: bytes
    b: bytes


def compare_records(topic: str, unequal: list[Unequal], table: Table) -> list[int]:
    """Puts all differences of `unequal`, ascending in time, into the table; numbers of those that differ beyond tolerance."""
    differing: set[int] = set()
    tables: dict[str, list[tuple[int, Rows, Rows]]] = {}
    for k, item in enumerate(unequal):
        one, two = fields(topic, item.a), fields(topic, item.b)
        if "bytes" in one.values or "bytes" in two.values:
            one, two = Fields({"bytes": item.a}), Fields({"bytes": item.b})
        if _values(topic, item.record, one.values, two.values, table):
            differing.add(k)
        for prefix in one.tables | two.tables:
            left = one.tables.get(prefix)
            right = two.tables.get(prefix)
            if left is not None and right is not None:
                tables.setdefault(prefix, []).append((k, left, right))
    records = [item.record for item in unequal]
    for prefix, pairs in sorted(tables.items(), key=itemgetter(0)):
        differing |= _compare_rows(topic, prefix, records, pairs, table)
    for k in sorted(set(range(len(unequal))) - differing):
        item = unequal[k]
        if table.tolerances.rules and not _is_equal(fields(topic, item.a), fields(topic, item.b)):
            continue  # what differs is tolerated
        # a field that this version does not know, or another encoding of the same
        t_ns = item.record.t_ns
        found = Finding(
            kind_of(topic), t_ns // table.tick_ns, t_ns, topic, item.record.sender, "bytes",
            shown("", item.a), shown("", item.b), item.record.seq,
        )  # fmt: skip
        if table.add(found):
            differing.add(k)
    return sorted(differing)


def _values(
    topic: str, record: Record, one: dict[str, Any], two: dict[str, Any], table: Table
) -> bool:
    is_different = False
    for name in names_of(one, two):
        x, y = one.get(name), two.get(name)
        if _is_same(x, y):
            continue
        number = both_numbers(x, y)
        is_told = number is not None and not is_named(name)
        found = Finding(
            kind_of(topic, name), record.t_ns // table.tick_ns, record.t_ns, topic, record.sender, name,
            "-" if name not in one else shown(name, x), "-" if name not in two else shown(name, y), record.seq,
            by=float(number[1] - number[0]) if number is not None and is_told else None,
        )  # fmt: skip
        is_different |= table.add(found, number)
    return is_different


def _is_same(x: Any, y: Any) -> bool:
    return type(x) is type(y) and (x == y if not isinstance(x, float) else _bits(x) == _bits(y))


def _is_equal(one: Fields, two: Fields) -> bool:
    """Whether two records say the same, to the last bit."""
    if one.values.keys() != two.values.keys() or one.tables.keys() != two.tables.keys():
        return False
    return all(_is_same(one.values[name], two.values[name]) for name in one.values) and all(
        (one.tables[name].ids, one.tables[name].columns)
        == (two.tables[name].ids, two.tables[name].columns)
        for name in one.tables
    )


def names_of(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Names of two records' values, those of both first; the same from either side."""
    common_names = [name for name in one if name in two]
    if common_names != [name for name in two if name in one]:
        common_names.sort()
    return common_names + sorted(one.keys() ^ two.keys())


def both_numbers(a: Any, b: Any) -> tuple[float, float] | None:
    """Two values as numbers; None where one is none. Yes and no are none."""
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int) and isinstance(b, int) and max(abs(a), abs(b)) < _WIDE:
        return a, b  # exactly, beyond the digits of a double too
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        try:
            return float(a), float(b)
        except OverflowError:
            return None
    return None


def _bits(value: Any) -> bytes:
    return struct.pack("<d", value)


def _compare_rows(
    topic: str,
    prefix: str,
    records: list[Record],
    pairs: list[tuple[int, Rows, Rows]],
    table: Table,
) -> set[int]:
    """One table of many pairs of records."""
    label = LABELS.get(topic, "row")
    differing: set[int] = set()
    straight: list[tuple[int, Rows, Rows]] = []
    crossed: list[tuple[int, Rows, Rows]] = []
    for k, one, two in pairs:
        if one.ids is not None and one.ids != two.ids:
            if one.size == two.size and _is_one_id(one, two):
                batch = Batch(
                    topic, [records[k]], np.zeros(one.size, np.int64), np.arange(one.size)
                )
                name = prefix + id_name(topic)
                if column(table, name, joined([one], ""), joined([two], ""), batch).any():
                    differing.add(k)
            else:
                crossed.append((k, one, two))
                continue
        elif one.size != two.size:
            if _add_count(topic, prefix, records[k], one.size, two.size, table):
                differing.add(k)
            one, two = _shortened(one, two)
        straight.append((k, one, two))
    if straight:
        sizes = [one.size for _, one, _ in straight]
        of = np.repeat([k for k, *_ in straight], sizes)
        row = np.concatenate([np.arange(size) for size in sizes])
        left, right = [one for _, one, _ in straight], [two for _, _, two in straight]
        ids = joined(left, "") if left[0].ids is not None else None
        batch = Batch(topic, records, of, row, ids, label)
        is_other = np.zeros(of.size, bool)
        for name in left[0].columns:
            is_other |= column(table, prefix + name, joined(left, name), joined(right, name), batch)
        differing.update(np.unique(of[is_other]).tolist())
    if crossed:
        differing |= _crossed(topic, prefix, label, records, crossed, table)
    return differing


def _is_one_id(one: Rows, two: Rows) -> bool:
    """Whether only one row goes by another id: then it is the same row, renamed."""
    return int((joined([one], "") != joined([two], "")).sum()) == 1


def _shortened(one: Rows, two: Rows) -> tuple[Rows, Rows]:
    """Both cut to the shorter."""
    size = min(one.size, two.size)
    out = []
    for rows in (one, two):
        columns = {n: raw[: size * rows.types[n].itemsize] for n, raw in rows.columns.items()}
        out.append(Rows(None, columns, rows.types, size))
    return out[0], out[1]


def _add_count(topic: str, prefix: str, record: Record, one: int, two: int, table: Table) -> bool:
    name = f"{prefix}rows"
    found = Finding(
        kind_of(topic, name), record.t_ns // table.tick_ns, record.t_ns, topic, record.sender, name,
        str(one), str(two), record.seq, by=float(two - one),
    )  # fmt: skip
    return table.add(found, (float(one), float(two)))


def _crossed(
    topic: str, prefix: str, label: str, records: list[Record],
    pairs: list[tuple[int, Rows, Rows]], table: Table,
) -> set[int]:  # fmt: skip
    """Tables whose rows are not the same ones: matched by id; rows of one side alone; rows in another order."""
    left, right = (_gather([(k, rows[side]) for k, *rows in pairs]) for side in (0, 1))
    _, at, there = common(left.key, right.key)
    order = np.argsort(at)
    at, there = at[order], there[order]
    differing: set[int] = set()
    name = prefix + id_name(topic)
    for side, taken, is_a in ((left, at, True), (right, there, False)):
        rest = np.ones(side.key.size, bool)
        rest[taken] = False
        if rest.any():
            batch = Batch(topic, records, side.of[rest], side.row[rest], side.ids[rest], label)
            differing.update(alone(table, name, batch, is_a).tolist())
    if at.size:
        batch = Batch(topic, records, left.of[at], left.row[at], left.ids[at], label)
        ones, twos = [one for _, one, _ in pairs], [two for _, _, two in pairs]
        is_other = np.zeros(at.size, bool)
        for part in pairs[0][1].columns:
            a = joined(ones, part)[at]
            b = joined(twos, part)[there]
            is_other |= column(table, prefix + part, a, b, batch)
        differing.update(np.unique(batch.of[is_other]).tolist())
    if is_ascending(left.key) and is_ascending(right.key):
        return differing  # every table ascends on both sides
    for k, one, two in pairs:
        m = _first_out_of_order(one, two)
        if m >= 0:
            record = records[k]
            x, y = (int(joined([rows], "")[m]) for rows in (one, two))
            found = Finding(
                Kind.ORDER, record.t_ns // table.tick_ns, record.t_ns, topic, record.sender, name,
                str(x), str(y), record.seq, m, f"{label} {x}",
            )  # fmt: skip
            if table.add(found):
                differing.add(k)
    return differing


def _first_out_of_order(one: Rows, two: Rows) -> int:
    """First row that stands elsewhere in two tables of the same rows; -1 otherwise."""
    if one.size != two.size:
        return -1
    x, y = joined([one], ""), joined([two], "")
    if (np.sort(x) != np.sort(y)).any():
        return -1
    return int(np.flatnonzero(x != y)[0])


@dataclass(frozen=True, slots=True)
class _Gathered:
    key: Column
    of: Column
    row: Column
    ids: Column


def _gather(parts: list[tuple[int, Rows]]) -> _Gathered:
    """Rows of many tables below each other. Of rows with one id in one table only the first has a counterpart."""
    ids = joined([rows for _, rows in parts], "").astype(np.int64)
    of = np.repeat([k for k, _ in parts], [rows.size for _, rows in parts])
    row = np.concatenate([np.arange(rows.size) for _, rows in parts])
    return _Gathered(of * _KEY + ids, of, row, ids)
