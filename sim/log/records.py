"""What the reader hands out: messages, world samples, actors, traces, events. Columns are numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols import codec
from protocols.messages import Message
from protocols.roads.network import F64, I8, I32, U8, U32
from sim.radio.fates import I64

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One message as it was sent."""

    topic: str
    sender: str
    seq: int
    t_ns: int
    data: bytes

    def decode(self) -> Message:
        """The message itself."""
        return codec.decode(self.topic, self.data)


@dataclass(frozen=True, slots=True)
class WorldSample:
    """Everything that moved at one instant; (n,) columns."""

    t_ns: int
    id: U32
    x_m: F64
    y_m: F64
    z_m: F32
    yaw_rad: F32
    speed_mps: F32
    accel_mps2: F32
    hitch_rad: F32
    lane: I32
    flags: U32
    doors: I8


@dataclass(frozen=True, slots=True)
class Actors:
    """All actors that ever appeared in the log; (n,) columns in order of appearance."""

    id: U32
    kind: U8
    length_m: F32
    width_m: F32
    height_m: F32
    wheelbase_m: F32
    rear_overhang_m: F32
    hitch_x_m: F32
    rear_length_m: F32


@dataclass(frozen=True, slots=True)
class Trace:
    """One driven vehicle at every base tick; (T,) columns."""

    name: str
    id: int
    t_ns: I64
    x_m: F64
    y_m: F64
    z_m: F64
    yaw_rad: F64
    speed_mps: F64
    accel_mps2: F64
    yaw_rate_radps: F64
    steer_rad: F64
    hitch_rad: F64
    s_m: F64
    d_m: F64
    lane: I32
    doors: I8
    command_accel_mps2: F64
    command_steer_rad: F64
    command_doors: I8


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line in the report."""

    t_ns: int
    kind: str
    subject: str
    text: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Note:
    """Diagnostics of one unit at one tick."""

    t_ns: int
    sender: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Digests:
    """Per tick: the chain, and the parts that went into it; (n,) columns."""

    tick: I64
    digest: U64
    truth: U64
    message: U64
    command: U64
