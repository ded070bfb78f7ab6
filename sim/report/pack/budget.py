"""Which messages carry their wire bytes in a pack of limited size.

Index rows and fates are always there. Bytes: first all messages that say much in little (everything but batches of many vehicles
and lists of objects), then of batches all within a second of moments that matter (failed criteria, events of interest),
then as many more as fit: every one, or those at most every 100, 200, 500 ms, 1, 2, 5 s of each sender. A share of the budget
belongs to each block; what early blocks leave over goes to later ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.roads.network import Bool
from sim.log.records import Event
from sim.radio.fates import I64
from sim.report.pack.messages import BlockMessages
from sim.report.pack.meta import all_messages

BATCHES = ("v2x/rsm", "v2x/ssm", "obu/plan")  # and every v2x/bsm of more than one vehicle
MOMENT_MS = 1000
INTEREST = (
    "collision", "red_light", "bus_lane", "signal_rule", "off_road", "hard_braking", "door_fault",
    "missed_station", "priority_granted", "fault_started", "fault_ended", "watchdog",
    "run_broken",
)  # fmt: skip
_STEPS_MS = (0, 100, 200, 500, 1000, 2000, 5000)
_PROBE = 64 * 1024


@dataclass(slots=True)
class Budget:
    """Bytes (deflated) that all sections of blocks still to come may take; `left` None: everything fits.

    `weights`: about how much of the log each block takes; what a block may take is shared out by it.
    """

    left: int | None
    weights: list[int]
    chosen: int = 0
    total: int = 0
    _held: int = 0  # messages whose bytes the log has
    _moments_whole: bool = True
    _done: int = 0  # blocks chosen for
    _spent: int = 0  # blocks whose size is known
    _others: float = (
        0.0  # bytes without wire bytes over weight, of the last block whose size is known
    )

    def choose(self, block: BlockMessages, topics: Sequence[str], moments_ms: I64) -> I64:
        """Rows of the messages of the next block that carry bytes, in order."""
        number = self._done
        self._done += 1
        has = block.place[:, 0] >= 0
        self.total += int(block.t.size)
        self._held += int(has.sum())
        keep = has
        if self.left is not None:
            is_batch = _batches(block, topics) & has
            keep = has & ~is_batch
            rest = max(sum(self.weights[self._spent :]), 1)
            weight = self.weights[number] if number < len(self.weights) else 0
            room = self.left * weight / rest - self._others * weight - _deflated(block, keep)
            ratio = _ratio(block, is_batch)
            near = is_batch & _near(block.t, moments_ms)
            need = float(block.size[near].sum()) * ratio
            if need <= 2.0 * room:
                keep |= near
                room -= need
            else:
                self._moments_whole = False
            for step in _STEPS_MS:
                more = is_batch & ~keep & _every(block, step)
                if float(block.size[more].sum()) * ratio <= room:
                    keep |= more
                    break
        rows = np.flatnonzero(keep)
        self.chosen += int(rows.size)
        return rows

    def spend(self, others: int, wire: int) -> None:
        """The next block has taken this much, without and with wire bytes."""
        weight = self.weights[self._spent] if self._spent < len(self.weights) else 0
        self._spent += 1
        if weight:
            self._others = others / weight
        if self.left is not None:
            self.left = max(0, self.left - others - wire)

    def sentences(self) -> dict[str, Any]:
        """`meta.budget`."""
        if self.chosen == self._held:
            return all_messages(self.total, self._held)
        near_en = ", all within 1 s of moments that matter" if self._moments_whole else ""
        near_zh = "，关键时刻前后 1 s 内全部保留" if self._moments_whole else ""
        return {
            "messages": self.total,
            "with_bytes": self.chosen,
            "sentence_en": (
                f"{self.chosen} of {self.total} messages carry their bytes in this file; of batches and lists of objects "
                f"a selection in time{near_en}. `icv view` on the log shows all."
            ),
            "sentence_zh": (
                f"本文件中 {self.total} 条消息里有 {self.chosen} 条带有原始字节；批量消息与目标列表按时间抽取{near_zh}。"
                "用 `icv view` 打开日志可查看全部。"
            ),
        }


def moments(
    criteria: Sequence[Mapping[str, Any]], events: Sequence[Event], automated: Collection[int]
) -> I64:
    """Sorted ms of failed criteria and events of interest; hard braking counts for automated vehicles only."""
    at = [row["t_s"] * 1e3 for row in criteria if not row["passed"] and row["t_s"] is not None]
    names = {str(actor) for actor in automated}
    at += [
        event.t_ns / 1e6
        for event in events
        if event.kind in INTEREST and (event.kind != "hard_braking" or event.subject in names)
    ]
    return np.array(sorted(round(t_ms) for t_ms in at), np.int64)


def _batches(block: BlockMessages, topics: Sequence[str]) -> Bool:
    big = [k for k, name in enumerate(topics) if name in BATCHES]
    out: Bool = np.isin(block.topic, big) | (block.rows > 1)
    return out


def _near(t: I64, moments_ms: I64) -> Bool:
    low = np.searchsorted(moments_ms, t - MOMENT_MS, side="left")
    high = np.searchsorted(moments_ms, t + MOMENT_MS, side="right")
    out: Bool = high > low
    return out


def _every(block: BlockMessages, step_ms: int) -> Bool:
    """The first message of each sender and topic in every `step_ms`; all for 0."""
    out: Bool = np.ones(block.t.size, np.bool_)
    if step_ms == 0 or not out.size:
        return out
    order = np.lexsort((block.t, block.sender, block.topic))
    key = np.stack((block.topic, block.sender, block.t // step_ms))[:, order]
    out[order[1:]] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    return out


def _ratio(block: BlockMessages, rows: Bool) -> float:
    """Deflated size over size of some messages, from a sample."""
    found = np.flatnonzero(rows)
    sample = b""
    for row in found[:: max(1, found.size // 16)].tolist():
        sample += block.data(row) or b""
        if len(sample) >= _PROBE:
            break
    return len(zlib.compress(sample, 1)) / len(sample) if sample else 1.0


def _deflated(block: BlockMessages, keep: Bool) -> float:
    """Rough size of messages that repeat themselves."""
    return 0.05 * float(block.size[keep].sum())
