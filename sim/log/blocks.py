"""Scratch columns that the writer fills and turns into wire bytes: a world sample, and the open block of a trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.columns import Layout
from protocols.messages import VehicleCommand
from protocols.roads.network import F64
from protocols.v1 import world_pb2
from protocols.wire import varint
from sim.log import _kernels
from sim.state import ActorStates

TRACE_TICKS = 50  # rows of one VehicleTrace

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


class TraceBlock:
    """The open block of one driven vehicle."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = 0
        self.start_ns = 0
        self.rows = 0
        self._f64 = np.zeros((TRACE_TICKS, len(_TRACE_STATES) + 2))
        self._lane = np.zeros(TRACE_TICKS, np.int32)
        self._doors = np.zeros((2, TRACE_TICKS), np.int8)
        self._bound: object = None
        self._columns: list[F64] = []

    def add(self, t_ns: int, states: ActorStates, row: int, command: VehicleCommand | None) -> None:
        k = self.rows
        if k == 0:
            self.start_ns = t_ns
            self.id = int(states.id[row])
        if self._bound is not states.x_m:
            self._bound = states.x_m
            self._columns = [getattr(states, name) for name in _TRACE_STATES]
        values = [column[row] for column in self._columns]
        if command is None:
            values += (0.0, 0.0)
        else:
            values += (command.accel_mps2, command.steer_rad)
            self._doors[1, k] = command.open_doors
        self._f64[k] = values
        self._lane[k] = states.lane[row]
        self._doors[0, k] = states.doors[row]
        self.rows = k + 1

    def clear(self) -> None:
        self.rows = 0
        self._doors[:] = 0

    def wire(self, step_ns: int) -> bytes:
        n = self.rows
        last = len(_TRACE_STATES)
        columns = np.ascontiguousarray(self._f64[:n].T)
        return _TRACE.pack_values(
            (
                self.name,
                self.id,
                self.start_ns,
                step_ns,
                *columns[:last],
                self._lane[:n],
                self._doors[0, :n],
                columns[last],
                columns[last + 1],
                self._doors[1, :n],
            )
        )
