"""The path a vehicle is asked to follow: equally spaced samples of the route, and how fast it may be driven at each of them.

`ReferencePath` is the route's centre line resampled every `STEP_M` (cubic Hermite through the road network's samples, so that
its chords do not show). `speed_envelope` bounds the speed everywhere: posted limit under the whole vehicle, the vehicle's own
limit, lateral comfort in curves, and a backward pass that makes every drop reachable at a comfortable deceleration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.roads.network import F64

STEP_M = 0.5


@dataclass(frozen=True, slots=True)
class ReferencePath:
    """(P,) samples at s = 0, STEP_M, 2 STEP_M, ...; yaw is continuous (unwrapped)."""

    x_m: F64
    y_m: F64
    yaw_rad: F64
    curvature_per_m: F64
    s_m: F64
    speed_limit_mps: F64
    left_m: F64  # centre to the left edge of what may be driven on
    right_m: F64

    @property
    def length_m(self) -> float:
        """Path length."""
        return float(self.s_m[-1])

    def at(self, s_m: float) -> tuple[float, float, float]:
        """(x, y, yaw) at `s_m`, held at the ends."""
        return (
            float(np.interp(s_m, self.s_m, self.x_m)),
            float(np.interp(s_m, self.s_m, self.y_m)),
            float(np.interp(s_m, self.s_m, self.yaw_rad)),
        )


def resample(
    s_m: F64, x_m: F64, y_m: F64, yaw_rad: F64, curvature_per_m: F64, speed_limit_mps: F64, left_m: F64, right_m: F64
) -> ReferencePath:  # fmt: skip
    """Equally spaced path through samples (n,) with non-decreasing s; samples closer than 1 mm are merged."""
    keep = np.concatenate(([True], np.diff(s_m) > 1e-3))
    if keep.sum() < 2:
        raise ValueError(
            f"a reference path needs two points apart, got {int(keep.sum())} of {s_m.size}"
        )
    s, x, y = s_m[keep] - s_m[0], x_m[keep], y_m[keep]
    yaw = np.unwrap(yaw_rad[keep])
    grid: F64 = np.arange(0.0, float(s[-1]) + 1e-9, STEP_M)
    i = np.clip(np.searchsorted(s, grid, side="right") - 1, 0, s.size - 2)
    h = s[i + 1] - s[i]
    u = (grid - s[i]) / h
    h00, h10 = 2 * u**3 - 3 * u**2 + 1, u**3 - 2 * u**2 + u
    h01, h11 = -2 * u**3 + 3 * u**2, u**3 - u**2
    cos, sin = np.cos(yaw), np.sin(yaw)

    def between(column: F64) -> F64:
        values = column[keep]
        return np.asarray(values[i] + u * (values[i + 1] - values[i]))

    return ReferencePath(
        x_m=h00 * x[i] + h10 * h * cos[i] + h01 * x[i + 1] + h11 * h * cos[i + 1],
        y_m=h00 * y[i] + h10 * h * sin[i] + h01 * y[i + 1] + h11 * h * sin[i + 1],
        yaw_rad=yaw[i] + u * (yaw[i + 1] - yaw[i]),
        curvature_per_m=between(curvature_per_m),
        s_m=grid,
        speed_limit_mps=np.asarray(speed_limit_mps[keep][i]),
        left_m=between(left_m),
        right_m=between(right_m),
    )


def speed_envelope(
    path: ReferencePath, front_x_m: float, max_speed_mps: float, lat_accel_mps2: float, decel_mps2: float
) -> tuple[F64, F64]:  # fmt: skip
    """(v, a): the fastest allowed speed of the origin at each sample, and the acceleration of riding along it (<= 0).

    A lower limit holds from where the front bumper meets it; curvature counts from where the front axle meets it, too.
    """
    ahead = int(np.ceil(front_x_m / STEP_M))
    curve = np.sqrt(lat_accel_mps2 / np.maximum(np.abs(path.curvature_per_m), 1e-6))
    v = np.minimum(np.minimum(path.speed_limit_mps, curve), max_speed_mps)
    padded = np.concatenate((v, np.full(ahead, v[-1])))
    v = np.lib.stride_tricks.sliding_window_view(padded, ahead + 1).min(axis=1)
    # v(s)^2 <= v(q)^2 + 2 b (q - s) for all q >= s: a running minimum from the far end
    energy = v**2 + 2.0 * decel_mps2 * path.s_m
    v = np.sqrt(np.minimum.accumulate(energy[::-1])[::-1] - 2.0 * decel_mps2 * path.s_m)
    slope = np.diff(v**2, append=v[-1] ** 2) / (2.0 * STEP_M)
    return v, np.minimum(slope, 0.0)
