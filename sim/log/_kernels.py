"""One pass over the truth arrays: the fold behind the digest, and the columns of a WorldState record.

(N,) arrays with a `valid` mask; bit patterns of float64 arrive as uint64 views. Rows with `valid` False never count.
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

_M0 = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)


@helper
def _mix(state: Any, word: Any) -> Any:
    # Invertible in `state` for a fixed word and in `word` for a fixed state: one changed bit always changes the result.
    state = (state ^ word) * _M0
    state = (state ^ (state >> _SHIFT)) * _M1
    return state


@kernel
def fold_truth(
    valid: Any,
    ident: Any,
    x: Any,
    y: Any,
    z: Any,
    yaw: Any,
    speed: Any,
    accel: Any,
    yaw_rate: Any,
    steer: Any,
    hitch: Any,
    lane: Any,
    s: Any,
    d: Any,
    flags: Any,
    doors: Any,
    out: Any,
) -> int:
    """Folds all columns of valid rows, in row order, into `out` (4,) uint64; returns the number of rows."""
    a = np.uint64(1)
    b = np.uint64(2)
    c = np.uint64(3)
    e = np.uint64(4)
    rows = 0
    for i in range(valid.size):
        if not valid[i]:
            continue
        rows += 1
        a = _mix(_mix(_mix(a, x[i]), yaw[i]), yaw_rate[i])
        b = _mix(_mix(_mix(b, y[i]), speed[i]), steer[i])
        c = _mix(_mix(_mix(c, z[i]), accel[i]), hitch[i])
        e = _mix(
            _mix(_mix(e, s[i]), d[i]),
            (np.uint64(ident[i]) << np.uint64(32)) | np.uint64(np.uint32(lane[i])),
        )
        a = _mix(a, (np.uint64(flags[i]) << np.uint64(8)) | np.uint64(np.uint8(doors[i])))
    out[0] = a
    out[1] = b
    out[2] = c
    out[3] = e
    return rows


@kernel
def gather_world(
    valid: Any,
    ident: Any,
    x: Any,
    y: Any,
    z: Any,
    yaw: Any,
    speed: Any,
    accel: Any,
    hitch: Any,
    lane: Any,
    flags: Any,
    doors: Any,
    out_u32: Any,
    out_f64: Any,
    out_f32: Any,
    out_lane: Any,
    out_doors: Any,
) -> int:
    """Valid rows, packed to the front: ids and flags (2, N), x and y (2, N), z yaw speed accel hitch (5, N), lane, doors
    (zigzag bytes). Returns their number, or -1 - row of the first number that is not finite."""
    n = 0
    for i in range(valid.size):
        if not valid[i]:
            continue
        total = x[i] + y[i] + z[i] + yaw[i] + speed[i] + accel[i] + hitch[i]
        if not np.isfinite(total):
            return -1 - i
        out_u32[0, n] = ident[i]
        out_u32[1, n] = flags[i]
        out_f64[0, n] = x[i]
        out_f64[1, n] = y[i]
        out_f32[0, n] = z[i]
        out_f32[1, n] = yaw[i]
        out_f32[2, n] = speed[i]
        out_f32[3, n] = accel[i]
        out_f32[4, n] = hitch[i]
        out_lane[n] = lane[i]
        door = doors[i]
        out_doors[n] = np.uint8(2 * door) if door >= 0 else np.uint8(-2 * door - 1)
        n += 1
    return n
