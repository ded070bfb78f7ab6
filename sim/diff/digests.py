"""The chains of two logs: the first tick at which they part, by what went into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.v1 import log_pb2
from protocols.wire import Column
from sim.diff.align import common

_DIGESTS = Layout(log_pb2.Digests)
_PARTS = Layout(log_pb2.DigestParts)
_NONE = 2**62
PARTS = ("truth", "message", "command")


@dataclass(frozen=True, slots=True)
class Chain:
    """One log's digests; columns (n,). Parts may hold fewer ticks where a log broke off."""

    tick: Column
    digest: Column
    part_tick: Column
    parts: dict[str, Column]
    unread: tuple[tuple[int, ...], tuple[int, ...]] = (
        (),
        (),
    )  # blocks of chain and parts that cannot be read


@dataclass(frozen=True, slots=True)
class Parting:
    """First ticks that differ, -1 for none; `is_known` False where the logs cannot be held against each other."""

    is_known: bool
    digest: int = -1
    truth: int = -1
    message: int = -1
    command: int = -1
    common: int = 0  # ticks that both have
    alone: int = -1  # first tick before the end of both that has a digest in one of them only
    beyond: int = -1  # the same, behind the end of one of them too
    is_only_a: bool = True  # whose it is

    def of(self, part: str) -> int:
        """First differing tick of a part."""
        return int(getattr(self, part))


def collect(chain: list[bytes], parts: list[bytes]) -> Chain:
    """The chain in the blocks of a log, in file order; blocks that cannot be read are left out."""
    ticks, digest, unread = _columns(_DIGESTS, chain, ("digest",))
    part_ticks, columns, lost = _columns(_PARTS, parts, PARTS)
    return Chain(ticks, digest["digest"], part_ticks, columns, (unread, lost))


def _columns(
    layout: Layout, blocks: list[bytes], names: tuple[str, ...]
) -> tuple[Column, dict[str, Column], tuple[int, ...]]:
    ticks: list[Column] = [np.zeros(0, np.int64)]
    out: dict[str, list[Column]] = {name: [np.zeros(0, np.uint64)] for name in names}
    unread: list[int] = []
    for k, block in enumerate(blocks):
        try:
            values = layout.unpack(block)
        except CodecError:
            unread.append(k)
            continue
        ticks.append(values["start_tick"] + np.arange(values[names[0]].size, dtype=np.int64))
        for name in names:
            out[name].append(values[name])
    columns = {name: np.concatenate(parts) for name, parts in out.items()}
    return np.concatenate(ticks), columns, tuple(unread)


def compare(a: Chain, b: Chain, has_one_tick: bool) -> Parting:
    """Where two chains part."""
    if not has_one_tick:
        return Parting(False)
    both, here, there = common(a.tick, b.tick)
    num_common = int(both.size)
    if not num_common and (a.tick.size > 0) == (b.tick.size > 0):
        return Parting(False)
    first = {"digest": _first(both, a.digest[here], b.digest[there])}
    both, here, there = common(a.part_tick, b.part_tick)
    for name in PARTS:
        first[name] = _first(both, a.parts[name][here], b.parts[name][there])
    alone = min(_alone(a.tick, b.tick), _alone(a.part_tick, b.part_tick))
    beyond, is_only_a = _beyond(a, b)
    return Parting(
        True, common=num_common, alone=-1 if alone[0] == _NONE else alone[0],
        beyond=beyond, is_only_a=alone[1] if alone[0] != _NONE else is_only_a, **first,
    )  # fmt: skip


def _alone(a: Column, b: Column) -> tuple[int, bool]:
    """First tick that one of two chains lacks although it goes on later, and whether a has it."""
    if not (a.size and b.size):
        return (int(a[0]), True) if a.size else (int(b[0]), False) if b.size else (_NONE, True)
    lacking = _lacking(a, b)
    lacking = lacking[(lacking <= min(a.max(), b.max())) & (lacking >= max(a.min(), b.min()))]
    return (int(lacking[0]), bool((a == lacking[0]).any())) if lacking.size else (_NONE, True)


def _beyond(a: Chain, b: Chain) -> tuple[int, bool]:
    """First tick that one chain, or its parts, has and the other lacks, -1 for none; and whether a has it."""
    found = (_NONE, True)
    for one, two in ((a.tick, b.tick), (a.part_tick, b.part_tick)):
        lacking = _lacking(one, two)
        if lacking.size:
            found = min(found, (int(lacking[0]), bool((one == lacking[0]).any())))
    return found if found[0] != _NONE else (-1, True)


def _lacking(a: Column, b: Column) -> Column:
    """Ticks that only one of two chains has."""
    if a.size == b.size and bool((a == b).all()):
        return a[:0]
    return np.setxor1d(a, b)


def _first(ticks: Column, a: Column, b: Column) -> int:
    rows = np.flatnonzero(a != b)
    return int(ticks[rows[0]]) if rows.size else -1
