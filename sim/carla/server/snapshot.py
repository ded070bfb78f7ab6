"""The snapshot of a tick: every actor's record behind one header, ready for the world stream."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server.table import Table
from sim.carla.wire.streams import RECORD_BYTES as RECORD
from sim.carla.wire.streams import SIGN_ID_BYTES as LABEL
from sim.carla.wire.streams import SNAPSHOT_HEADER

Bytes = npt.NDArray[np.uint8]

_COMMON = [
    ("id", "<u4", 0), ("state", "u1", 4),
    *((n, "<f4", 5 + 4 * k) for k, n in enumerate(
        ("x", "y", "z", "pitch", "yaw", "roll", "vx", "vy", "vz", "wx", "wy", "wz", "ax", "ay", "az"))),
]  # fmt: skip
_VEHICLE = [
    ("throttle", "<f4", 65), ("steer", "<f4", 69), ("brake", "<f4", 73),
    ("hand_brake", "u1", 77), ("reverse", "u1", 78), ("manual_gear", "u1", 79), ("gear", "<i4", 80),
    ("speed_limit", "<f4", 84), ("light_state", "u1", 88), ("has_light", "u1", 89), ("light_id", "<u4", 90),
    ("failure", "u1", 94),
]  # fmt: skip
_WALKER = [
    ("dir_x", "<f4", 65), ("dir_y", "<f4", 69), ("dir_z", "<f4", 73), ("speed", "<f4", 77), ("jump", "u1", 81),
]  # fmt: skip
_LIGHT = [
    ("green_s", "<f4", 97), ("yellow_s", "<f4", 101), ("red_s", "<f4", 105), ("elapsed_s", "<f4", 109),
    ("pole", "<u4", 113), ("frozen", "u1", 117), ("light", "u1", 118),
]  # fmt: skip


def _dtype(fields: list[tuple[str, str, int]]) -> np.dtype[np.void]:
    return np.dtype(
        {
            "names": [name for name, _, _ in fields],
            "formats": [kind for _, kind, _ in fields],
            "offsets": [offset for _, _, offset in fields],
            "itemsize": RECORD,
        }
    )


VEHICLE_RECORD = _dtype([*_COMMON, *_VEHICLE])
WALKER_RECORD = _dtype([*_COMMON, *_WALKER])
LIGHT_RECORD = _dtype([*_COMMON, *_LIGHT])


class Snapshots:
    """Packs a table; its buffer grows with it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.labels: Bytes = np.zeros((0, LABEL), dtype=np.uint8)
        self._fit()

    def _fit(self) -> None:
        capacity = self._table.capacity
        labels = np.zeros((capacity, LABEL), dtype=np.uint8)
        labels[: self.labels.shape[0]] = self.labels
        self.labels = labels
        self._buffer = bytearray(capacity * RECORD)
        self._vehicles = np.frombuffer(self._buffer, dtype=VEHICLE_RECORD)
        self._walkers = np.frombuffer(self._buffer, dtype=WALKER_RECORD)
        self._lights = np.frombuffer(self._buffer, dtype=LIGHT_RECORD)
        self._raw = np.frombuffer(self._buffer, dtype=np.uint8).reshape(capacity, RECORD)
        self._view = memoryview(self._buffer)

    def label(self, row: int, text: str) -> None:
        """The sign id an actor of kind LIGHT or SIGN carries; cut to 31 bytes, as the wire has room for a closing NUL."""
        if self.labels.shape[0] < self._table.capacity:
            self._fit()
        raw = text.encode()[: LABEL - 1]
        self.labels[row] = 0
        self.labels[row, : len(raw)] = np.frombuffer(raw, dtype=np.uint8)

    def pack(
        self, episode: int, platform_s: float, delta_s: float, state: int
    ) -> tuple[bytes, bytes]:
        """Header and records of the table as it stands."""
        table = self._table
        if self.labels.shape[0] < table.capacity:
            self._fit()
        count = kernels.pack(
            table.f, table.i, table.high, self.labels, self._vehicles, self._walkers, self._lights, self._raw
        )  # fmt: skip
        header = SNAPSHOT_HEADER.pack(episode, platform_s, delta_s, 0, 0, 0, state)
        return header, bytes(self._view[: count * RECORD])
