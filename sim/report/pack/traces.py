"""Traces of automated vehicles at 10 Hz, with the jerk that the comfort criterion judges.

Jerk: acceleration low-passed at 2 Hz, its difference over 0.5 s, stamped at the middle (`scenarios.criteria.motion`), from the
full tick rate; at both ends of the trace the first and last acceleration are taken to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from protocols.columns import Layout
from protocols.errors import CodecError, LogError
from protocols.roads.network import F64
from protocols.sentence import say
from protocols.v1 import world_pb2
from protocols.wire import read_varint
from scenarios.criteria.motion import JERK_SPAN_S, WINDOW_S, low_pass
from sim.report.pack.columns import Array
from sim.report.pack.stack import Stack
from sim.report.pack.world import due, within_a_turn

PERIOD_NS = 100_000_000
_COLUMNS = {
    "x": "x_m", "y": "y_m", "z": "z_m", "yaw": "yaw_rad", "speed": "speed_mps", "accel": "accel_mps2",
    "yaw_rate": "yaw_rate_radps", "steer": "steer_rad", "hitch": "hitch_rad", "s": "s_m", "d": "d_m",
    "lane": "lane", "doors": "doors", "command_accel": "command_accel_mps2",
    "command_steer": "command_steer_rad",
}  # fmt: skip
MIN_STEP_NS, MAX_STEP_NS = (
    100_000,
    10_000_000_000,
)  # a filter over shorter ones would fill the memory
_TRACE_STACK = Stack(Layout(world_pb2.VehicleTrace), tuple(_COLUMNS.values()))


@dataclass(frozen=True, slots=True)
class TracePart:
    """Consecutive ticks of one vehicle at the full tick rate; columns (T,)."""

    actor: int
    step_ns: int
    columns: dict[str, Array]  # with `t_ns`


def part(path: Path, records: Sequence[bytes]) -> TracePart | None:
    """What some trace records hold; None for no records."""
    if not records:
        return None
    sizes, columns = _TRACE_STACK.read(path, records)
    heads = [_head(path, data) for data in records]
    t_ns = [
        start + step * np.arange(size, dtype=np.int64)
        for (_, start, step), size in zip(heads, sizes.tolist(), strict=True)
    ]
    table = {column: columns[field] for column, field in _COLUMNS.items()}
    return TracePart(heads[0][0], heads[0][2], {"t_ns": np.concatenate(t_ns), **table})


def _head(path: Path, data: bytes) -> tuple[int, int, int]:
    """(actor, start_ns, step_ns) of one record: the fields before its columns."""
    head = world_pb2.VehicleTrace()
    try:
        head.MergeFromString(data[: _first_column(data)])
    except (DecodeError, IndexError, CodecError) as error:
        raise LogError(
            say("{log}: a trace cannot be read ({why!s})", log=path, why=error)
        ) from error
    if not MIN_STEP_NS <= head.step_ns <= MAX_STEP_NS:
        raise LogError(
            say(
                "{log}: a trace with a row every {step_ns} ns, expected {least} to {most}; the file is damaged",
                log=path, step_ns=head.step_ns, least=MIN_STEP_NS, most=MAX_STEP_NS,
            )
        )  # fmt: skip
    return head.id, head.start_ns, head.step_ns


def _first_column(data: bytes) -> int:
    """Where the fields of one value end: fields 1 to 4, in order of number."""
    at = 0
    while at < len(data):
        tag, after = read_varint(data, at)
        if tag >> 3 > 4:
            return at
        if tag & 7 == 2:
            length, after = read_varint(data, after)
            at = after + length
        else:
            _, at = read_varint(data, after)
    return at


def table(parts: Sequence[TracePart]) -> dict[str, Array]:
    """Table `trace` of one vehicle, from all its parts."""
    whole = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in ("t_ns", *_COLUMNS)
    }
    keep = np.flatnonzero(due(whole["t_ns"], PERIOD_NS))
    felt = jerk(whole["accel"], parts[0].step_ns / 1e9)
    out: dict[str, Array] = {"t": whole["t_ns"][keep] // 1_000_000, "jerk": felt[keep]}
    out |= {name: whole[name][keep] for name in _COLUMNS}
    return out | {name: within_a_turn(out[name]) for name in ("yaw", "hitch")}


def jerk(accel_mps2: F64, step_s: float) -> F64:
    """(T,) felt jerk in m/s3 of (T,) accelerations at a constant step."""
    if step_s <= 0.0 or accel_mps2.size < 2:
        return np.zeros(accel_mps2.size)
    width, span = max(1, round(WINDOW_S / step_s)), max(1, round(JERK_SPAN_S / step_s))
    need = 2 * (width - 1) + span
    before = (width - 1) + span // 2
    padded = np.pad(accel_mps2, (before, need - before), mode="edge")
    smooth: F64 = low_pass(padded[None, :], width)[0]
    out: F64 = (smooth[span:] - smooth[:-span]) / (span * step_s)
    return out
