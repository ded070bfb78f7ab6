"""The tables of a pack: their columns, units and how each is stored.

t in ms since the start (of `perceived`: when it was sent; `said`: the stamp that the unit gave it), x y z s d in m, angles in rad, speeds in m/s, accelerations in m/s2. `trace`, `plan` and `perceived` are
tables of one unit each: their names end with it.
"""

from __future__ import annotations

from sim.report.pack.columns import Table

_T = ("t", "i32:d:s")
_PLACE = "i32:0.01:d:s"
_ANGLE = "i16:0.0001:s"

WORLD = Table(
    "block",
    (
        _T, ("start", "i32:d:s"),
        ("id", "u32:d:s"), ("x", _PLACE), ("y", _PLACE), ("yaw", _ANGLE), ("speed", "i32:0.01:s"),
        ("accel", "i32:0.01:s"), ("hitch", _ANGLE), ("doors", "i8"),
    ),
)  # fmt: skip
SIGNALS = Table("run", (_T, ("light", "u8")))
SPAT = Table(
    "block", (_T, ("group", "i16"), ("light", "u8"), ("remaining", "i32:0.1"))
)  # remaining -1: the unit cannot say
TRACE = Table(
    "run",
    (
        _T, ("x", _PLACE), ("y", _PLACE), ("z", _PLACE), ("yaw", "i16:0.0001:d:s"),
        ("speed", "i32:0.001:d:s"), ("accel", "i32:0.001:d:s"), ("jerk", "i32:0.001:d:s"),
        ("yaw_rate", "i32:0.0001:d:s"), ("steer", "i32:0.0001:d:s"), ("hitch", "i16:0.0001:d:s"),
        ("s", _PLACE), ("d", "i32:0.001:d:s"), ("lane", "i32:d:s"), ("doors", "i8"),
        ("command_accel", "i32:0.001:d:s"), ("command_steer", "i32:0.0001:d:s"),
    ),
)  # fmt: skip
PLAN = Table(
    "block", (_T, ("start", "i32:d:s"), ("x", _PLACE), ("y", _PLACE), ("speed", "i16:0.01:s"))
)
PERCEIVED = Table(
    "block",
    (
        _T, ("said", "i32:d:s"), ("start", "i32:d:s"),
        ("x", _PLACE), ("y", _PLACE), ("yaw", _ANGLE), ("speed", "i32:0.01:s"),
        ("length", "i16:0.01:s"), ("width", "i16:0.01:s"), ("sigma", "u16:0.01:s"), ("kind", "u8"),
    ),
)  # fmt: skip
MESSAGES = Table(
    "block",
    (
        _T, ("topic", "u8"), ("sender", "u16:s"), ("seq", "u32:d:s"), ("size", "u32:s"),
        ("rows", "u16:s"), ("heard", "u32:s"), ("lost", "u32:s"), ("fate0", "i32:d:s"),
        ("bytes0", "i32:s"),
    ),
)  # fmt: skip
FATES = Table("block", (("fate", "u8"), ("latency_us", "u32:s")))
BYTES = Table("block", (("data", "u8"),))
SERIES = Table("run", (_T, ("y", "f32:s")))
