"""The chains of two logs: the first tick at which they part, by what went into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.columns import Layout
from protocols.errors import CodecError
from protocols.v1 import log_pb2
from protocols.wire import Column

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

    def of(self, part: str) -> int:
        """First differing tick of a part."""
        return int(getattr(self, part))


def collect(chain: list[bytes], parts: list[bytes]) -> Chain:
    """The chain in the blocks of a log, in file order; blocks that cannot be read are left out."""
    ticks, digest = _columns(_DIGESTS, chain, ("digest",))
    part_ticks, columns = _columns(_PARTS, parts, PARTS)
    return Chain(ticks, digest["digest"], part_ticks, columns)


def _columns(
    layout: Layout, blocks: list[bytes], names: tuple[str, ...]
) -> tuple[Column, dict[str, Column]]:
    ticks: list[Column] = [np.zeros(0, np.int64)]
    out: dict[str, list[Column]] = {name: [np.zeros(0, np.uint64)] for name in names}
    for block in blocks:
        try:
            values = layout.unpack(block)
        except CodecError:
            continue
        ticks.append(values["start_tick"] + np.arange(values[names[0]].size, dtype=np.int64))
        for name in names:
            out[name].append(values[name])
    return np.concatenate(ticks), {name: np.concatenate(columns) for name, columns in out.items()}


def compare(a: Chain, b: Chain, has_one_tick: bool) -> Parting:
    """Where two chains part."""
    if not has_one_tick:
        return Parting(False)
    common, here, there = np.intersect1d(a.tick, b.tick, return_indices=True)
    if not common.size:
        return Parting(False)
    first = {"digest": _first(common, a.digest[here], b.digest[there])}
    both, here, there = np.intersect1d(a.part_tick, b.part_tick, return_indices=True)
    for name in PARTS:
        first[name] = _first(both, a.parts[name][here], b.parts[name][there])
    alone = min(_alone(a.tick, b.tick), _alone(a.part_tick, b.part_tick))
    return Parting(True, common=int(common.size), alone=-1 if alone == _NONE else alone, **first)


def _alone(a: Column, b: Column) -> int:
    """First tick that one of two chains lacks although it goes on later."""
    if not (a.size and b.size):
        return int(min(a[0] if a.size else _NONE, b[0] if b.size else _NONE))
    lacking = np.setxor1d(a, b)
    lacking = lacking[(lacking <= min(a.max(), b.max())) & (lacking >= max(a.min(), b.min()))]
    return int(lacking[0]) if lacking.size else _NONE


def _first(ticks: Column, a: Column, b: Column) -> int:
    rows = np.flatnonzero(a != b)
    return int(ticks[rows[0]]) if rows.size else -1
