"""Every message of a block and what became of it, as tables: index rows, fates, wire bytes.

Messages come from their channels, fates from the radio's records of the same tick; both are joined by (tick, topic, sender, sequence
number). A message that the radio knows and no channel holds (garbled on purpose by a fault) has a row of size 0. A message without a
radio record (not on the air: plans, signal commands; or its record is lost) has `rows` 0 and no fates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import U8, Bool
from sim.radio.fates import I64, Fate
from sim.report.pack.columns import Array
from sim.report.pack.radio import Directory, Radio, read_radio
from sim.report.pack.source import Rows, Source


@dataclass(frozen=True, slots=True)
class BlockMessages:
    """All messages of one block; columns (m,) in order of sending, fates (n, R) for all rows of all messages.

    `place`: (chunk in `parts`, row there) of the message itself, -1 where no channel holds it.
    """

    parts: list[Rows]
    t: I64  # ms
    topic: I64
    sender: I64
    seq: I64
    size: I64
    rows: I64
    heard: I64
    lost: I64
    reachable: I64  # pairs of row and receiver that were not out of range
    fate: U8
    latency_us: Array
    place: I64  # (m, 2)

    def data(self, row: int) -> bytes | None:
        """Wire bytes of one message; None where the log has none."""
        part, at = (int(number) for number in self.place[row])
        if part < 0:
            return None
        rows = self.parts[part]
        return rows.raw[rows.begin[at] : rows.end[at]]

    def table(self, bytes0: Array) -> dict[str, Array]:
        """Index rows with the names of the pack."""
        width = self.fate.shape[1]
        entries = self.rows * width
        return {
            "t": self.t, "topic": self.topic, "sender": self.sender, "seq": self.seq, "size": self.size,
            "rows": self.rows, "heard": self.heard, "lost": self.lost,
            "fate0": np.cumsum(entries) - entries, "bytes0": bytes0,
        }  # fmt: skip

    def fates(self) -> dict[str, Array]:
        """Fates with the names of the pack."""
        return {"fate": self.fate.reshape(-1), "latency_us": self.latency_us.reshape(-1)}


def messages(source: Source, parts: list[Rows], directory: Directory) -> BlockMessages:
    """All messages in `parts`, which are one block's."""
    logged = _logged(source, parts, directory)
    radio = read_radio(source, parts, directory)
    return _joined(parts, logged, radio, len(directory.receivers.names))


# -- what channels hold ----------------------------------------------------------------------------------------------


def _logged(source: Source, parts: list[Rows], directory: Directory) -> I64:
    """(m, 6): t_ns, topic, sender, seq, part, row; in file order."""
    found = [np.zeros((0, 6), np.int64)]
    for number, part in enumerate(parts):
        mine = []
        for channel in part.channels:
            name = source.name(channel)
            if is_message(name.topic):
                at = part.of((channel,))
                table = np.empty((at.size, 6), np.int64)
                table[:, 0], table[:, 3] = part.t_ns[at], part.seq[at]
                table[:, 1] = directory.topics.number(name.topic)
                table[:, 2] = directory.units.number(name.sender)
                table[:, 4], table[:, 5] = number, at
                mine.append(table)
        if mine:
            whole = np.concatenate(mine)
            found.append(whole[np.argsort(whole[:, 5])])
    return np.concatenate(found)


def is_message(topic: str) -> bool:
    """Whether a channel of this topic holds messages, rather than records about the run."""
    return topic.startswith(("v2x/", "cmd/", "obu/"))


# -- both together ---------------------------------------------------------------------------------------------------


def _joined(parts: list[Rows], logged: I64, radio: Radio, width: int) -> BlockMessages:
    first = np.concatenate(([0], np.cumsum(radio.rows)))  # where each transmission's fates begin
    of = _partner(logged[:, :4], radio.key)  # radio row of each logged message, -1 for none
    alone = np.ones(radio.key.shape[0], np.bool_)
    alone[of[of >= 0]] = False
    extra = np.flatnonzero(alone)
    count = logged.shape[0] + extra.size
    place = np.full((count, 2), -1, np.int64)
    place[: logged.shape[0]] = logged[:, 4:]
    key = np.concatenate((logged[:, :4], radio.key[extra]))
    of = np.concatenate((of, extra))
    order = np.argsort(key[:, 0], kind="stable")
    key, place, of = key[order], place[order], of[order]

    has = of >= 0
    rows = np.zeros(count, np.int64)
    rows[has] = radio.rows[of[has]]
    fate, latency = radio.fate, radio.latency_us
    if not np.array_equal(of[has], np.arange(radio.key.shape[0])):
        # Another order than the radio's: rows follow their messages.
        starts = first[of[has]]
        lengths = rows[has]
        ends = np.cumsum(lengths)
        take = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
        fate, latency = fate[take], latency[take]
    bounds = np.concatenate(([0], np.cumsum(rows)))
    size = np.zeros(count, np.int64)
    for number, part in enumerate(parts):
        mine = place[:, 0] == number
        at = place[mine, 1]
        size[mine] = part.end[at] - part.begin[at]
    return BlockMessages(
        parts=parts,
        t=key[:, 0] // 1_000_000,
        topic=key[:, 1],
        sender=key[:, 2],
        seq=key[:, 3],
        size=size,
        rows=rows,
        heard=_per_message(fate == Fate.DELIVERED, bounds),
        lost=_per_message(fate > Fate.DELIVERED, bounds),
        reachable=_per_message((fate == Fate.DELIVERED) | (fate > Fate.OUT_OF_RANGE), bounds),
        fate=np.ascontiguousarray(fate),
        latency_us=latency,
        place=place,
    )


def _partner(left: I64, right: I64) -> I64:
    """For each row of `left` the row of `right` with the same key, -1 for none; equal keys pair up in order."""
    out = np.full(left.shape[0], -1, np.int64)
    if not left.shape[0] or not right.shape[0]:
        return out
    both = np.concatenate((left, right))
    is_right = np.arange(both.shape[0]) >= left.shape[0]
    order = np.lexsort((is_right, both[:, 3], both[:, 2], both[:, 1], both[:, 0]))
    ranked = both[order]
    fresh: Bool = np.ones(order.size, np.bool_)
    fresh[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    start = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    lefts = np.flatnonzero(~is_right[order])
    rank = lefts - start[group[lefts]]  # left rows of a key come first
    num_left = np.bincount(group[lefts], minlength=start.size)
    num_right = np.bincount(group, minlength=start.size) - num_left
    has = rank < num_right[group[lefts]]
    lefts, rank = lefts[has], rank[has]
    partner = start[group[lefts]] + num_left[group[lefts]] + rank
    out[order[lefts]] = order[partner] - left.shape[0]
    return out


def _per_message(flag: Bool, bounds: I64) -> I64:
    """Sum of flags (n, R) over the rows of each message."""
    total = np.concatenate(([0], np.cumsum(flag.sum(axis=1, dtype=np.int64))))
    return total[bounds[1:]] - total[bounds[:-1]]


def place_bytes(block: BlockMessages, rows: I64) -> tuple[I64, I64]:
    """(rows in the order in which their wire bytes lie, offset of every message's, -1 for those left out).

    Messages of one sender and topic lie together: they resemble each other, and deflate looks back 32 KiB only.
    """
    chosen = rows[block.place[rows, 0] >= 0]
    chosen = chosen[np.lexsort((chosen, block.sender[chosen], block.topic[chosen]))]
    size = block.size[chosen]
    offset = np.full(block.t.size, -1, np.int64)
    offset[chosen] = np.cumsum(size) - size
    return chosen, offset


def join_bytes(block: BlockMessages, chosen: I64) -> bytes:
    """Wire bytes of messages back to back, in the order of `chosen`."""
    part, at = block.place[chosen, 0], block.place[chosen, 1]
    begin = np.zeros(chosen.size, np.int64)
    for number, rows in enumerate(block.parts):
        mine = part == number
        begin[mine] = rows.begin[at[mine]]
    raws = [rows.raw for rows in block.parts]
    end = begin + block.size[chosen]
    pieces = [
        raws[k][a:b] for k, a, b in zip(part.tolist(), begin.tolist(), end.tolist(), strict=True)
    ]
    return b"".join(pieces)
