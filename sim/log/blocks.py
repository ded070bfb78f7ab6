"""Scratch columns that the writer fills and turns into wire bytes: a world sample, and the open rows of a trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.columns import Layout
from protocols.judging import TraceBlock
from protocols.messages import VehicleCommand
from protocols.v1 import world_pb2
from protocols.wire import varint
from sim.log import _kernels
from sim.state import ActorStates

_NO_COMMAND = (0.0, 0.0, 0)
_TRACE = Layout(world_pb2.VehicleTrace)
_TRACE_STATES = (
    "x_m",
    "y_m",
    "z_m",
    "yaw_rad",
    "speed_mps",
    "accel_mps2",
    "yaw_rate_radps",
    "steer_rad",
    "hitch_rad",
    "s_m",
    "d_m",
)


class WorldBlock:
    """Scratch columns for WorldState, reused from sample to sample."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.u32 = np.zeros((2, capacity), np.uint32)
        self._f64 = np.zeros((2, capacity), np.float64)
        self._f32 = np.zeros((5, capacity), np.float32)
        self._lane = np.zeros(capacity, np.int32)
        self._doors = np.zeros(capacity, np.uint8)
        self._rows = -1
        self._heads: list[bytes] = []

    def gather(self, states: ActorStates) -> int:
        """Fills the columns; number of rows, or -1 - row of the first that is not finite."""
        count: int = _kernels.gather_world(
            states.valid,
            states.id,
            states.x_m,
            states.y_m,
            states.z_m,
            states.yaw_rad,
            states.speed_mps,
            states.accel_mps2,
            states.hitch_rad,
            states.lane,
            states.flags,
            states.doors,
            self.u32,
            self._f64,
            self._f32,
            self._lane,
            self._doors,
        )
        return count

    def wire(self, t_ns: int, rows: int) -> bytes:
        """Wire bytes of the `rows` gathered rows."""
        parts: list[Any] = [b"\x08" + varint(t_ns)] if t_ns else []
        if rows:
            columns = (
                self.u32[0, :rows],
                self._f64[0, :rows],
                self._f64[1, :rows],
                *self._f32[:, :rows],
                self._lane[:rows],
                self.u32[1, :rows],
                self._doors[:rows],
            )
            if rows != self._rows:
                self._rows = rows
                self._heads = [
                    varint(number << 3 | 2) + varint(column.nbytes)
                    for number, column in enumerate(columns, start=2)
                ]
            for head, column in zip(self._heads, columns, strict=True):
                parts.append(head)
                parts.append(column)
        return b"".join(parts)


class TraceRows:
    """What one driven vehicle did: the referee's block of ticks, and the commands given in them.

    A block is closed before the commands of its last tick are known, so it waits for them.
    """

    def __init__(self) -> None:
        self._commands: list[tuple[float, float, int]] = []
        self._block: TraceBlock | None = None

    def command(self, command: VehicleCommand | None) -> bool:
        """One tick's command; True when a block is complete."""
        if command is None:
            self._commands.append(_NO_COMMAND)
        else:
            self._commands.append((command.accel_mps2, command.steer_rad, command.open_doors))
        return self._block is not None and len(self._commands) >= self._block.t_ns.size

    def block(self, block: TraceBlock) -> bool:
        """The next ticks; True when their commands are all there."""
        self._block = block
        return len(self._commands) >= block.t_ns.size

    def take(self, step_ns: int) -> tuple[int, bytes] | None:
        """(stamp of the last row, wire bytes) of every tick whose command is known; None without any."""
        block, self._block = self._block, None
        if block is None:
            return None
        n = min(block.t_ns.size, len(self._commands))
        if n == 0:
            return None
        accel, steer, doors = np.array(self._commands[:n]).T.copy()
        del self._commands[:n]
        start_ns = int(block.t_ns[0])
        data = _TRACE.pack_values(
            (
                block.name,
                block.actor,
                start_ns,
                step_ns,
                *(getattr(block, name)[:n] for name in _TRACE_STATES),
                block.lane[:n],
                block.doors[:n].astype(np.int8),
                accel,
                steer,
                doors.astype(np.int8),
            )
        )
        return start_ns + (n - 1) * step_ns, data
