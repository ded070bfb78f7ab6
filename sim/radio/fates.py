"""What becomes of a message on its way to each receiver, and why not.

Columns are row-major (n, R): n rows of one transmission (a batch has one row per vehicle), R receivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from protocols.roads.network import U8, U32

I64 = npt.NDArray[np.int64]


class Fate(IntEnum):
    """Delivered, or the reason for the loss. Numbers are those of `icv.v1.Fate`."""

    UNSPECIFIED = 0  # the receiver is the sender itself
    DELIVERED = 1
    OUT_OF_RANGE = 2
    BELOW_SENSITIVITY = 3
    PROPAGATION = 4  # heard too weakly: random loss after the packet error curve
    HALF_DUPLEX = 5
    COLLISION = 6
    CONGESTION = 7
    LOSS_FAULT = 8  # lost by a message fault of the scene
    PARTITION = 9  # a partition fault of the scene lies between sender and receiver
    GARBLED = 10  # came through, but the receiver's decoder refused the bytes


_DELIVERED = int(Fate.DELIVERED)  # comparing an array with an enumeration's member costs a look-up


@dataclass(frozen=True, slots=True)
class TickFates:
    """Everything sent at one tick and what became of it: M transmissions, `num_rows.sum()` rows, R receivers."""

    t_ns: int
    receivers: tuple[str, ...]  # (R,)
    senders: tuple[str, ...]  # (M,)
    topics: tuple[str, ...]  # (M,)
    seq: U32  # (M,)
    num_rows: U32  # (M,)
    fate: U8  # (rows, R)
    deliver_ns: I64  # (rows, R); counts only where `fate` is DELIVERED

    def latency_us(self) -> U32:
        """Microseconds from sending to delivery of the delivered rows, in row-major order."""
        heard = self.deliver_ns[self.fate == _DELIVERED]
        heard -= self.t_ns
        heard //= 1000
        latency: U32 = heard.astype(np.uint32)
        return latency

    def counts(self) -> dict[Fate, int]:
        """Number of (row, receiver) pairs by fate."""
        number = np.bincount(self.fate.ravel()).tolist()
        return {Fate(code): count for code, count in enumerate(number) if count}
