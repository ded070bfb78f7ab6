"""Comfort of a ride, as standing passengers feel it: longitudinal and lateral acceleration and jerk, front and rear.

In: truth columns (T,) of one vehicle at a constant tick, block by block. Out: per channel the peak, the 95th percentile and the
share of driving time above a limit. Memory does not grow with the run: percentiles come from a histogram.

* Low-pass 2 Hz: a moving average of 0.16 s applied twice (a triangular window). Its gain at frequency f is
  (sin(pi f T) / (pi f T))^2, 0.71 at 2 Hz for T = 0.16 s; no phase shift, because the window is symmetric.
* Jerk: difference of the filtered longitudinal acceleration over 0.5 s, divided by 0.5 s, stamped at its middle.
* Rear section of an articulated vehicle, rolling without slip, hitch angle h = front yaw - rear yaw, joint at c in front of the
  front section's rear axle (negative: behind), rear wheelbase L:  v2 = v cos h - c w sin h,  w2 = (v sin h + c w cos h) / L.
  Then a_x = dv2/dt and a_y = v2 w2 at the rear axle.
* Emergency braking (filtered a_x below a threshold) is another question than comfort: 2 s before and after it are left out
  of shares, percentiles and peaks, and the episodes are counted.

Source: facts on comfort metrics (sampling >= 50 Hz, low-pass 2 Hz, jerk by central difference over 0.5 to 1 s). Valid for ticks of
20 ms and less; coarser ticks shorten the window to one sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from protocols.judging import TraceBlock
from protocols.roads.network import F64, Bool
from protocols.sentence import say
from scenarios.criteria.context import RearSection, seconds

WINDOW_S = 0.16
JERK_SPAN_S = 0.5
EMERGENCY_MARGIN_S = 2.0
DRIVING_MPS = 0.1  # slower than this the vehicle stands, and the time does not count as driving
_BIN = 0.01
_BINS = 2000  # up to 20 m/s2 or m/s3; larger values fall into the last bin, the peak stays exact


@dataclass(slots=True)
class Channel:
    """One figure of comfort, as it accumulates."""

    limit: float
    samples: int = 0
    above: int = 0
    peak: float = 0.0
    peak_t_s: float = 0.0
    histogram: F64 = field(default_factory=lambda: np.zeros(_BINS))

    def add(self, value: F64, t_ns: F64) -> None:
        """Absolute values (n,) at times (n,)."""
        if not value.size:
            return
        self.samples += value.size
        self.above += int(np.count_nonzero(value > self.limit))
        top = int(np.argmax(value))
        if value[top] > self.peak:
            self.peak, self.peak_t_s = float(value[top]), seconds(t_ns[top])
        rows = np.minimum((value / _BIN).astype(np.int64), _BINS - 1)
        self.histogram += np.bincount(rows, minlength=_BINS)

    @property
    def share_above(self) -> float:
        """Share of driving time above the limit."""
        return self.above / self.samples if self.samples else 0.0

    @property
    def p95(self) -> float:
        """95th percentile, to one histogram bin (0.01)."""
        if not self.samples:
            return 0.0
        row = int(np.searchsorted(np.cumsum(self.histogram), 0.95 * self.samples))
        return min((row + 1) * _BIN, self.peak)


def low_pass(raw: F64, width: int) -> F64:
    """Two moving averages of `width` samples over the last axis: (C, n) -> (C, n - 2 (width - 1)).

    Summed in a fixed order, sample by sample, so the result does not depend on how a run was cut into blocks.
    """
    for _ in range(2):
        n = raw.shape[1] - width + 1
        total = raw[:, :n].copy()
        for k in range(1, width):
            total += raw[:, k : k + n]
        raw = total / width
    return raw


def rear_motion(v: F64, w: F64, h: F64, rear: RearSection) -> tuple[F64, F64]:
    """Speed and yaw rate (n,) of the rear section from speed, yaw rate and hitch angle of the front one."""
    across = rear.hitch_x_m * w
    return (
        v * np.cos(h) - across * np.sin(h),
        (v * np.sin(h) + across * np.cos(h)) / rear.wheelbase_m,
    )


class Ride:
    """Comfort of one vehicle. `names` are the channels: a_x, a_y, jerk, and the same with ` rear`."""

    def __init__(
        self, limits: dict[str, float], emergency_mps2: float, rear: RearSection | None
    ) -> None:
        self.rear = rear
        self.emergency_mps2 = emergency_mps2
        self.emergencies = 0
        self.first_emergency_s: float | None = None
        self.channels = {
            (say("{channel!s} rear", channel=name) if is_rear else name): Channel(limit)
            for is_rear in ((False, True) if rear else (False,))
            for name, limit in limits.items()
        }
        self._raw: F64 | None = None  # (rows, n) rows: t_ns, speed, a_x, a_y, (v2, a_y2)
        self._felt: F64 | None = (
            None  # (rows, n) rows: t_ns, speed, a_x, a_y, jerk, (a_x2, a_y2, jerk2)
        )
        self._is_emergency = False
        self._decided = 0  # columns of _felt already counted

    def add(self, block: TraceBlock) -> None:
        """The next rows of the vehicle."""
        v, w = block.speed_mps, block.yaw_rate_radps
        rows = [block.t_ns, v, block.accel_mps2, v * w]
        if self.rear:
            v2, w2 = rear_motion(v, w, block.hitch_rad, self.rear)
            rows += [v2, v2 * w2]
        raw = np.stack(rows)
        self._raw = raw if self._raw is None else np.concatenate((self._raw, raw), axis=1)
        self._filter()
        self._count(is_last=False)

    def finish(self) -> None:
        """Count the last seconds too."""
        self._count(is_last=True)

    def _filter(self) -> None:
        """Raw columns -> felt columns, as far as the windows reach; keeps the tail that the next block needs."""
        raw = self._raw
        if raw is None or raw.shape[1] < 3:
            return
        dt_s = seconds(raw[0, 1] - raw[0, 0])
        width = max(1, round(WINDOW_S / dt_s))
        span = max(1, round(JERK_SPAN_S / dt_s))
        # One column more than the windows: the rear section's acceleration is a difference of speeds.
        need = 1 + 2 * (width - 1) + span
        n = raw.shape[1] - need
        if n <= 0:
            return
        values = raw[2:, 1:].copy()
        if self.rear:
            values[2] = np.diff(raw[4]) / dt_s
        smooth = low_pass(values, width)  # (rows, n + span)
        middle = 1 + (width - 1) + span // 2  # raw column of the first felt column
        centre = smooth[:, span // 2 : span // 2 + n]
        jerk = (smooth[:, span:] - smooth[:, :n]) / (span * dt_s)
        felt = [
            raw[0, middle : middle + n],
            raw[1, middle : middle + n],
            centre[0],
            centre[1],
            jerk[0],
        ]
        if self.rear:
            felt += [centre[2], centre[3], jerk[2]]
        block = np.stack(felt)
        self._felt = block if self._felt is None else np.concatenate((self._felt, block), axis=1)
        self._raw = raw[:, n:]

    def _count(self, is_last: bool) -> None:
        """Felt columns -> channels, once it is known whether an emergency is near."""
        felt = self._felt
        if felt is None or felt.shape[1] < 2:
            return
        margin = max(1, math.ceil(EMERGENCY_MARGIN_S / seconds(felt[0, 1] - felt[0, 0])))
        n = felt.shape[1]
        end = n if is_last else n - margin
        start = self._decided
        if end <= start:
            return
        braking = felt[2] < -self.emergency_mps2
        self._count_emergencies(braking, felt[0], start, end)
        total = np.concatenate(([0], np.cumsum(braking)))
        column = np.arange(start, end)
        near = total[np.minimum(column + margin + 1, n)] - total[np.maximum(column - margin, 0)] > 0
        keep: Bool = (felt[1, start:end] > DRIVING_MPS) & ~near
        t_ns = felt[0, start:end][keep]
        for row, channel in enumerate(self.channels.values(), start=2):
            channel.add(np.abs(felt[row, start:end][keep]), t_ns)
        drop = max(0, end - margin)
        self._felt = felt[:, drop:]
        self._decided = end - drop

    def _count_emergencies(self, braking: Bool, t_ns: F64, start: int, end: int) -> None:
        now = braking[start:end]
        before = np.concatenate(([self._is_emergency], now[:-1]))
        begins = np.flatnonzero(now & ~before)
        self.emergencies += begins.size
        if begins.size and self.first_emergency_s is None:
            self.first_emergency_s = seconds(t_ns[start + begins[0]])
        self._is_emergency = bool(now[-1])
