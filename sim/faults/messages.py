"""Messages that are lost, late, kept apart or garbled, each for a reason that stands in the log (`sim.radio.fates`).

What the channel has lost stays lost for the channel's reason. Loss is drawn for every (fault, message, row, receiver) by itself from the
stream `fault/<number>`, so nothing depends on what else is sent. What is in flight when a partition begins still arrives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt

from protocols import codec, streams
from protocols.errors import CodecError
from protocols.roads.network import U8, U32
from protocols.simtime import NS_PER_S
from scenarios.fault_spec import (
    GarbageSpec,
    MessageDelaySpec,
    MessageFaultSpec,
    MessageLossSpec,
    PartitionSpec,
)
from sim.faults.windows import Window, first
from sim.radio.fates import I64, Fate

_U64 = npt.NDArray[np.uint64]


@dataclass(slots=True)
class MessageFaults:
    """All message faults of a scene. `seed`: the run's."""

    seed: int
    windows: list[Window[MessageFaultSpec]] = field(default_factory=list)
    garbage: dict[str, list[Window[GarbageSpec]]] = field(default_factory=dict)  # by unit
    _receivers: tuple[str, ...] = ()
    _receiver_keys: _U64 = field(default_factory=lambda: np.zeros(0, np.uint64))

    def strike(
        self, t_ns: int, sender: str, topic: str, seq: int, rows: U32, receivers: tuple[str, ...],
        fate: U8, deliver_ns: I64,
    ) -> None:  # fmt: skip
        """One message sent at `t_ns`: changes fate and deliver_ns (n, R) in place. `rows`: station id of each row (n,)."""
        for item in self.windows:
            if not item.holds(t_ns):
                continue
            spec = item.spec
            if isinstance(spec, PartitionSpec):
                hears = _hears(spec, sender, receivers)
                fate[(fate == Fate.DELIVERED) & ~hears] = Fate.PARTITION
                continue
            if (spec.senders and sender not in spec.senders) or (spec.topics and topic not in spec.topics):  # fmt: skip
                continue
            struck = fate == Fate.DELIVERED
            if spec.receivers:
                struck &= np.array([name in spec.receivers for name in receivers], np.bool_)
            if isinstance(spec, MessageDelaySpec):
                deliver_ns[struck] += round(spec.delay_s * NS_PER_S)
            elif isinstance(spec, MessageLossSpec):
                draws = self._draws(item.index, sender, seq, rows, receivers)
                fate[struck & (draws < spec.share)] = Fate.LOSS_FAULT
        if self.is_garbled(sender, t_ns):
            fate[fate == Fate.DELIVERED] = Fate.GARBLED

    def is_garbled(self, sender: str, t_ns: int) -> bool:
        """Whether what `sender` sends now is garbage."""
        return sender in self.garbage and first(self.garbage[sender], t_ns) is not None

    def garbled(self, sender: str, t_ns: int, topic: str, data: bytes) -> bytes:
        """Bytes in the place of `data` that the decoder of `topic` refuses."""
        key = f"{streams.key(self.seed, f'garbage/{sender}')}\0{t_ns}\0".encode() + data
        for attempt in count():
            size = max(len(data), 8)  # few random bytes could happen to be a message
            out = hashlib.shake_128(key + bytes([attempt])).digest(size)
            try:
                codec.decode(topic, out)
            except CodecError:
                break
        return out

    def _draws(
        self, index: int, sender: str, seq: int, rows: U32, receivers: tuple[str, ...]
    ) -> npt.NDArray[np.float64]:
        """(n, R) in [0, 1)."""
        if receivers != self._receivers:
            keys = [streams.key(self.seed, f"receiver/{name}") for name in receivers]
            self._receivers, self._receiver_keys = receivers, np.array(keys, np.uint64)
        key = np.uint64(streams.key(self.seed, f"fault/{index}/{sender}/{seq}"))
        mixed = _mix(_mix(rows.astype(np.uint64) ^ key)[:, None] ^ self._receiver_keys)
        return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _hears(spec: PartitionSpec, sender: str, receivers: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(R,) who is not cut off from `sender`."""
    group = {name: k for k, names in enumerate(spec.groups) for name in names}
    own = group.get(sender)
    return np.array([own is None or group.get(name, own) == own for name in receivers], np.bool_)


def _mix(z: _U64) -> _U64:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014), element by element."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
