"""What a run is, in 8 bytes per tick: a chained digest over truth, messages and commands.

    truth_k    = BLAKE2b-8(fold of all columns of valid rows of the world's state at tick k, and their number)
    message_k  = BLAKE2b-8(for each message sent in tick k, in (sender, seq) order: sender, topic, seq, size, wire bytes)
    command_k  = BLAKE2b-8(for each command of tick k, in name order: name, then its fields)
    digest_k   = BLAKE2b-8(digest_{k-1}, k, truth_k, message_k, command_k)

The fold is one pass of invertible 64-bit mixing (see `_kernels.fold_truth`): any single changed bit changes it, at a tenth of the
cost of hashing every byte. It tells drift from sameness; it is no defence against forgery. Parts are kept beside the chain so
that a first difference can be attributed. Callers pass messages and commands already in the stated order.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.messages import SignalCommand, VehicleCommand
from sim.log import _kernels
from sim.state import ActorStates

_ORDER = (
    "x_m",
    "y_m",
    "z_m",
    "yaw_rad",
    "speed_mps",
    "accel_mps2",
    "yaw_rate_radps",
    "steer_rad",
    "hitch_rad",
    "lane",
    "s_m",
    "d_m",
    "flags",
    "doors",
)
_HEAD = struct.Struct("<QI")
_COMMAND = struct.Struct("<qddqq")
_LINK = struct.Struct("<8sq8s8s8s")


@dataclass(frozen=True, slots=True)
class TickDigest:
    """One tick: the chain's value and the parts that went into it, as 64-bit numbers."""

    tick: int
    digest: int
    truth: int
    message: int
    command: int


class DigestChain:
    """Feed truth, messages and commands of a tick in any order of these three, then `close_tick`."""

    def __init__(self) -> None:
        self._last = bytes(8)
        self._fold = np.zeros(4, np.uint64)
        self._views: tuple[Any, ...] = ()
        self._bound: tuple[Any, ...] = ()
        self._start_tick()

    def _start_tick(self) -> None:
        self._truth = bytes(8)
        self._message = hashlib.blake2b(digest_size=8)
        self._command = hashlib.blake2b(digest_size=8)

    def truth(self, states: ActorStates) -> None:
        """The world's state of this tick."""
        if not self._bound or self._bound[0] is not states or self._bound[1] is not states.x_m:
            self._bind(states)
        rows = _kernels.fold_truth(*self._views, self._fold)
        self._truth = hashlib.blake2b(
            self._fold.tobytes() + rows.to_bytes(8, "little"), digest_size=8
        ).digest()

    def message(self, sender: str, topic: str, seq: int, data: bytes) -> None:
        """One message sent in this tick, as its wire bytes; call in (sender, seq) order."""
        self._message.update(f"{sender}\0{topic}\0".encode() + _HEAD.pack(seq, len(data)))
        self._message.update(data)

    def command(self, name: str, command: VehicleCommand | SignalCommand) -> None:
        """One command of this tick; call in unit name order."""
        self._command.update(f"{name}\0".encode())
        if isinstance(command, VehicleCommand):
            values = (command.t_ns, command.accel_mps2, command.steer_rad)
            raw = _COMMAND.pack(*values, command.open_doors, command.flags)
        else:
            raw = _HEAD.pack(command.t_ns, command.group.size)
            raw += command.group.tobytes() + command.light.tobytes()
        self._command.update(raw)

    def close_tick(self, tick: int) -> TickDigest:
        """Links the tick into the chain."""
        message, command = self._message.digest(), self._command.digest()
        link = _LINK.pack(self._last, tick, self._truth, message, command)
        self._last = hashlib.blake2b(link, digest_size=8).digest()
        out = TickDigest(
            tick,
            int.from_bytes(self._last, "little"),
            int.from_bytes(self._truth, "little"),
            int.from_bytes(message, "little"),
            int.from_bytes(command, "little"),
        )
        self._start_tick()
        return out

    def _bind(self, states: ActorStates) -> None:
        views: list[Any] = [states.valid, states.id]
        for name in _ORDER:
            column = getattr(states, name)
            views.append(column.view(np.uint64) if column.dtype == np.float64 else column)
        self._views = tuple(views)
        self._bound = (states, states.x_m)
