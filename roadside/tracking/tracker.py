"""Tracks of everything that a roadside unit's sensors see: object lists without identity in, lasting tracks out.

In: one `ObjectList` for each sensor that delivers, world frame. Out: `Tracks`, columns (n,) sorted by track id. Each track is an
IMM of constant velocity and coordinated turn with full covariance; each list is gated, paired at least total cost, and taken in
on its own, oldest first, so that sensors fuse one after the other. A list older than the state is led back to. Three hits make a
track; unseen ones are dropped after a second, unless others hide them: then they wait, without driving through what stands
before them. docs/perception.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.messages import ActorKind
from protocols.roads.network import F64, U8, U32
from protocols.sensing import ObjectList, SensorKind
from protocols.simtime import NS_PER_MS, NS_PER_S
from roadside.tracking import _assign_kernels, _imm_kernels, _life_kernels
from roadside.tracking.config import TrackingConfig
from roadside.tracking.scan import NUM_KINDS, Scan, read_scan

I64 = npt.NDArray[np.int64]
INSIDE = 0.7  # share of a box in which there is no room for another object's centre
FACE = 1.15  # the same for lidars: they see the near face and put the centre there
BRAKE_MPS2 = 2.5  # of who comes up behind a queue unseen
STANDSTILL_GAP_M = 1.5
WIDEST: F64 = np.array(
    [1.5, 0.5, 2.0, 0.5]
)  # 1 sigma of what nobody sees: m along, across, m/s along, across
SAME_NS = 100 * NS_PER_MS
SLOW_MPS = 1.0  # below it, a hidden track waits
_SHAPELESS = (1 << SensorKind.RADAR) | (1 << SensorKind.ULTRASONIC)
_HEIGHT_M: F64 = np.array(
    [1.5, 1.5, 2.2, 3.2, 3.2, 3.2, 2.7, 1.5, 1.6, 1.7]
)  # by ActorKind, typical
assert _HEIGHT_M.size == max(ActorKind) + 1


@dataclass(frozen=True, slots=True)
class Tracks:
    """Reported tracks at one instant, world frame; (x_m, y_m) is the centre of the object. Columns (n,)."""

    t_ns: int  # of the newest measurement
    track_id: U32
    kind: U8
    x_m: F64
    y_m: F64
    yaw_rad: F64
    vx_mps: F64
    vy_mps: F64
    speed_mps: F64
    length_m: F64
    width_m: F64
    sigma_m: F64  # of one axis: root of the mean of both variances
    cov_m2: F64  # (n, 3) xx, xy, yy of the position
    sigma_v_mps: F64  # as sigma_m, of the velocity
    age_s: F64  # since the first detection
    sources: U8  # bits 1 << SensorKind of the sensors that have seen it
    kind_confidence: F64  # share of the sensors' votes for `kind`; 0: no votes
    sigma_yaw_rad: F64


class Tracker:
    """Holds the tracks between updates. (x_m, y_m): where the sensor stands; None: nothing is known of who hides whom."""

    def __init__(
        self, config: TrackingConfig | None = None, place: tuple[float, float] | None = None
    ) -> None:
        """No tracks yet."""
        self.config = c = config or TrackingConfig()
        self.num_refused = 0  # lists that came too late
        size = c.max_tracks
        self._x = np.zeros((size, 2, 5))
        self._p = np.zeros((size, 2, 5, 5))
        self._mu = np.zeros((size, 2))
        self._xm = np.zeros((size, 5))
        self._pm = np.zeros((size, 5, 5))
        self._shape = np.zeros((size, 4))
        self._votes = np.zeros((size, NUM_KINDS))
        self._best_kind = np.zeros(size, dtype=np.int64)
        self._trend = np.zeros((size, 2))
        self._meta = np.zeros((size, 9), dtype=np.int64)
        self._setting = np.array(
            [
                c.quiet_accel_mps2,
                c.accel_sigma_mps2,
                0.1,  # s: accelerations are stated as held over the 10 Hz step
                c.turn_sigma_radps,
                c.turn_memory_s,
                c.quiet_s,
                c.manoeuvre_s,
            ],
            dtype=np.float64,
        )
        limits = (c.tentative_ms, c.confirmed_ms, c.hidden_ms, c.hidden_moving_ms)
        self._limit_ns = np.array(limits, dtype=np.int64) * NS_PER_MS
        self._reported_ns = c.reported_ms * NS_PER_MS
        self._place = place
        self._slots: I64 = np.zeros(0, dtype=np.int64)  # in use, by id: the order of beginning
        self._out = np.zeros((16, size))
        self._whole = np.zeros((3, size), dtype=np.int64)
        self._scratch = np.zeros((5, 5))
        self._view = np.zeros((5, size))
        self._cut = np.zeros(2)
        self._room = 0
        self._t_ns = -1
        self._tidy_ns = 0
        self._next_id = 1

    def update(self, lists: Sequence[ObjectList], now_ns: int) -> Tracks:
        """Take in what arrived by `now_ns` and return the confirmed tracks at the time of the newest measurement.

        Lists older than `max_age_ms` are left out and counted. ValueError for a list from the future, in body axes, or with values
        that are not finite, unknown or no covariance.
        """
        limit = self.config.max_age_ms * NS_PER_MS
        for objects in sorted(lists, key=lambda o: (o.t_ns, o.sensor, o.source)):
            if objects.t_ns > now_ns:
                raise ValueError(
                    f"object list of t = {objects.t_ns} ns comes from the future; it is {now_ns} ns"
                )
            if now_ns - objects.t_ns > limit:
                self.num_refused += 1
                continue
            self._take(read_scan(objects, self.config.velocity_sigma_mps))
        if lists:
            self._tidy()
        return self._report()

    def ids(self) -> set[int]:
        """Ids of all tracks, also of those that are not reported now."""
        return set(self._meta[self._slots, 0].tolist())

    def _take(self, scan: Scan) -> None:
        """One list: predict, pair, correct, begin."""
        slots = self._slots
        if self._t_ns < 0:
            self._t_ns = scan.t_ns
        if scan.t_ns > self._t_ns:
            if slots.size:
                _imm_kernels.predict(
                    slots, self._x, self._p, self._mu, self._xm, self._pm,
                    (scan.t_ns - self._t_ns) / NS_PER_S, self._setting, self._scratch,
                )  # fmt: skip
            self._t_ns = scan.t_ns
        n, m = scan.table.shape[0], slots.size
        if n == 0:
            return
        c = self.config
        back = (self._t_ns - scan.t_ns) / NS_PER_S
        self._reserve(n, m)
        pair = self._pair[:n]
        _assign_kernels.gate(
            slots, self._xm, self._pm, self._best_kind, scan.table, scan.velocity, back, scan.sigma_v_mps,
            c.gate, c.kind_penalty, self._view, self._start, self._column, self._cost,
        )  # fmt: skip
        _assign_kernels.assign(
            self._start, self._column, self._cost, 3.0 * c.gate, m, self._ints, self._floats, pair
        )
        if m:
            _imm_kernels.correct(
                pair, slots, scan.table, scan.velocity, back, scan.sigma_v_mps,
                self._x, self._p, self._mu, self._xm, self._pm, self._scratch,
            )  # fmt: skip
            _life_kernels.note(
                pair, slots, scan.table, scan.t_ns, scan.source, scan.weight, c.num_confirm,
                self._xm, self._meta, self._votes, self._best_kind, self._shape, self._trend,
            )  # fmt: skip
        self._begin(scan, slots, pair, back)

    def _begin(
        self,
        scan: Scan,
        slots: I64,
        pair: I64,
        back: float,
    ) -> None:
        """New tracks where a detection is left over and there is room for another body."""
        count = _life_kernels.newcomers(
            pair,
            slots,
            scan.table,
            FACE if scan.source == SensorKind.LIDAR else INSIDE,
            0.0 if scan.weight >= 0.5 else 2.0,
            scan.t_ns,
            self._xm,
            self._shape,
            self._meta,
            self._fresh,
        )
        if count == 0:
            return
        free = np.flatnonzero(self._meta[:, 0] == 0)[:count]  # full: what has no room waits
        rows = self._fresh[: free.size].copy()
        table = scan.table
        if back:
            table = table.copy()
            table[:, :2] += back * table[:, 2:4]
        c = self.config
        _imm_kernels.begin(
            free, rows, table, scan.velocity, scan.sigma_v_mps, c.start_speed_mps, c.turn_sigma_radps,
            self._x, self._p, self._mu, self._xm, self._pm,
        )  # fmt: skip
        seen = table[rows]
        kind = seen[:, 10].astype(np.int64)
        self._shape[free, 0] = np.cos(seen[:, 4])
        self._shape[free, 1] = np.sin(seen[:, 4])
        self._shape[free, 2:] = seen[:, 5:7]
        self._votes[free] = 0.0
        self._votes[free, kind] = scan.weight * (kind > 0)
        self._best_kind[free] = kind
        meta = self._meta
        meta[free, 0] = self._next_id + np.arange(free.size)
        meta[free, 1] = 1
        meta[free, 2] = 1 << scan.source
        meta[free, 3] = c.num_confirm <= 1
        meta[free, 4:6] = scan.t_ns
        meta[free, 6:9] = 0
        self._trend[free, 0] = 0.0
        self._trend[free, 1] = np.hypot(self._xm[free, 2], self._xm[free, 3])
        self._next_id += free.size
        self._slots = np.concatenate((self._slots, free))

    def _tidy(self) -> None:
        """Who is hidden, who waits, who is gone."""
        slots, meta = self._slots, self._meta
        if slots.size == 0:
            self._tidy_ns = self._t_ns
            return
        # Sensors do not measure at the same instant: what another one saw a moment ago counts as seen.
        newest = self._t_ns - SAME_NS
        if self._place is not None:
            _life_kernels.hide(
                slots, newest, self._t_ns - self._tidy_ns, _SHAPELESS, 1 << SensorKind.SET, *self._place, self.config.mount_height_m, _HEIGHT_M,
                self._xm, self._shape, meta, self._best_kind, self._cut,
            )  # fmt: skip
            _life_kernels.wait(
                slots, newest, (self._t_ns - self._tidy_ns) / NS_PER_S, BRAKE_MPS2, STANDSTILL_GAP_M, WIDEST,
                self._xm, self._shape, meta, self._trend, self._x, self._p, self._pm,
            )  # fmt: skip
        _life_kernels.doubles(slots, INSIDE, _SHAPELESS, self._xm, self._shape, meta)
        left = _life_kernels.drop(
            slots,
            self._t_ns,
            self._t_ns - self._tidy_ns,
            self._place is None,
            self._limit_ns,
            SLOW_MPS,
            self._xm,
            meta,
        )
        self._slots = slots[:left]
        self._tidy_ns = self._t_ns

    def _report(self) -> Tracks:
        n = _life_kernels.report(
            self._slots, max(self._t_ns, 0), self._reported_ns, SLOW_MPS, _SHAPELESS,
            self._xm, self._pm, self._shape, self._meta, self._best_kind, self._votes,
            self._out, self._whole,
        )  # fmt: skip
        f = self._out[:, :n].copy()
        ident, kind, sources = self._whole[:, :n]
        return Tracks(
            t_ns=max(self._t_ns, 0),
            track_id=ident.astype(np.uint32),
            kind=kind.astype(np.uint8),
            x_m=f[0],
            y_m=f[1],
            yaw_rad=f[2],
            vx_mps=f[3],
            vy_mps=f[4],
            speed_mps=f[5],
            length_m=f[6],
            width_m=f[7],
            sigma_m=f[8],
            cov_m2=f[9:12].T,
            sigma_v_mps=f[12],
            age_s=f[13],
            sources=sources.astype(np.uint8),
            kind_confidence=f[14],
            sigma_yaw_rad=f[15],
        )

    def _reserve(self, n: int, m: int) -> None:
        """Scratch for n detections and m tracks; grows, never shrinks."""
        if n + m + 1 <= self._room:
            return
        self._room = room = 2 * (n + m + 1)
        self._start = np.zeros(room + 1, dtype=np.int64)
        self._pair = np.zeros(room, dtype=np.int64)
        self._fresh = np.zeros(room, dtype=np.int64)
        self._column = np.zeros(room * room, dtype=np.int64)
        self._cost = np.zeros(room * room)
        self._ints = np.zeros((4, room + 1), dtype=np.int64)
        self._floats = np.zeros((3, room + 1))
