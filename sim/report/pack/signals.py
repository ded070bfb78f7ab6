"""What signals show (truth, at every change) and what roadside units say they will do (SPAT, once a second)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from protocols.columns import Layout
from protocols.errors import LogError
from protocols.sentence import say
from protocols.v1 import spat_pb2, world_pb2
from sim.report.pack.columns import Array
from sim.report.pack.source import Rows
from sim.report.pack.world import records, unpack

_SIGNALS = Layout(world_pb2.SignalStates)
SPAT_PERIOD_NS = 1_000_000_000
UNKNOWN_S = -1.0  # of `remaining`: the unit cannot say


def lights(path: Path, found: list[tuple[int, bytes]], num_groups: int) -> dict[str, Array]:
    """Table `signals` of all records; lights beyond the network's groups are left out."""
    t = np.zeros(len(found), np.int64)
    light = np.zeros((len(found), num_groups), np.uint8)
    for k, (t_ns, data) in enumerate(found):
        column = unpack(path, _SIGNALS, data)["light"][:num_groups]
        t[k] = t_ns // 1_000_000
        light[k, : column.size] = column
    return {"t": t, "light": light.reshape(-1)}


def num_groups(path: Path, data: bytes) -> int:
    """How many groups a record shows."""
    return int(unpack(path, _SIGNALS, data)["light"].size)


def spat(path: Path, rows: list[Rows], channels: dict[int, str]) -> dict[str, Array]:
    """Table `spat` of one block: each unit's first SPAT of every second, one row per signal group of the network."""
    t, group, light, remaining = [], [], [], []
    for channel in channels:
        for t_ns, data in records(rows, [channel], SPAT_PERIOD_NS):
            try:
                proto = spat_pb2.Spat.FromString(data)
            except DecodeError as error:
                raise LogError(
                    say("{log}: a SPAT cannot be read ({why!s})", log=path, why=error)
                ) from error
            for phase in proto.phase:
                end = 0
                for name in ("likely_end_ns", "min_end_ns", "max_end_ns"):
                    if phase.HasField(name):  # type: ignore[arg-type]
                        end = getattr(phase, name)
                        break
                t.append(t_ns // 1_000_000)
                group.append(phase.phase_id - 1)  # phases are groups of the network, from 1
                light.append(int(phase.light))
                remaining.append(max(0.0, (end - t_ns) / 1e9) if end else UNKNOWN_S)
    order = np.lexsort((np.array(group, np.int64), np.array(t, np.int64)))
    return {
        "t": np.array(t, np.int64)[order],
        "group": np.array(group, np.int64)[order],
        "light": np.array(light, np.int64)[order],
        "remaining": np.array(remaining, np.float64)[order],
    }
