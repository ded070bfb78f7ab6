"""What is around me: one track per thing, from own detections, received BSM and received RSM or SSM.

Detections carry no identity. Each source's reports are moved to now with their own velocity, matched one to one to tracks
(nearest first by squared Mahalanobis distance plus log variance, inside a gate; BSM first by station id) and absorbed by a
constant-velocity Kalman filter. Both axes share one 2x2 covariance because every source's position noise is isotropic. Tracks
that lie within a body's size of each other and were not seen apart by one source in the same cycle are one thing. RSM and SSM
reports of vehicles inside the own body are oneself. An SSM is an RSM in other words; where a unit sends both, one of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.messages import BasicSafetyBatch, Equipment, RoadsideSafety, SensorSharing
from protocols.roads.network import F64, U8, U32
from protocols.sensing import ObjectList
from protocols.sharing import as_rsm
from vehicle.dynamics.params import VehicleParams
from vehicle.fusion import _kernels
from vehicle.fusion.config import FusionConfig
from vehicle.fusion.localisation import Estimate

I64 = npt.NDArray[np.int64]
OWN_SENSOR, BSM, RSM = 1, 2, 4  # source bits; RSM: or SSM
MAX_AGE_NS = 500_000_000
MAX_NODES = 256  # roadside units remembered; invented numbers cannot grow it


@dataclass(frozen=True, slots=True)
class Tracks:
    """(n,) confirmed tracks, world frame, positions are centres of bodies."""

    t_ns: int
    id: U32
    kind: U8
    x_m: F64
    y_m: F64
    vx_mps: F64
    vy_mps: F64
    yaw_rad: F64
    length_m: F64
    width_m: F64
    sigma_m: F64  # 1-sigma of either position axis
    speed_sigma_mps: F64
    source: U8  # bits OWN_SENSOR, BSM, RSM that ever contributed
    station_id: U32  # 0 unknown
    age_ns: I64  # since last seen

    @property
    def speed_mps(self) -> F64:
        """(n,) ground speed."""
        return np.asarray(np.hypot(self.vx_mps, self.vy_mps))


class Tracker:
    """Tracks of one vehicle."""

    def __init__(self, config: FusionConfig, params: VehicleParams, station_id: int) -> None:
        self._config = config
        self._params = params
        self._station_id = station_id
        self._f = np.zeros((config.capacity, 10))
        self._g = np.zeros((config.capacity, 8), np.int64)
        self._cfg: F64 = np.array((
            config.track_accel_sigma_mps2, config.track_velocity_sigma_mps, config.gate_sigma, config.gate_min_m,
            config.merge_m, config.coast_s * 1e9, config.young_coast_s * 1e9, config.range_m,
        ))  # fmt: skip
        self._own = np.zeros(9)
        self._own[4:] = (
            params.front_x_m, params.rear_overhang_m, 0.5 * params.width_m, -params.hitch_x_m, params.rear_length_m,
        )  # fmt: skip
        pairs = 16 * config.capacity  # gated pairs beyond this many are not looked at
        self._scratch = (
            np.zeros(config.capacity, np.bool_),
            np.zeros(pairs),
            np.zeros((pairs, 2), np.int64),
        )
        self._t_ns = 0
        self._next_id = 1
        self._pending: list[tuple[int, F64, I64]] = []  # (source, float columns, integer columns)
        # Roadside units: t_ns of the newest RSM and SSM taken from each, by node.
        self._rsm_ns: dict[int, int] = {}
        self._ssm_ns: dict[int, int] = {}

    def add_objects(self, objects: ObjectList, own: Estimate) -> None:
        """Own sensors' list, seen from the own pose at its instant (call when it arrives)."""
        n = objects.x_m.size
        if n == 0:
            return
        f = np.empty((n, 9))
        if objects.is_world_frame:
            f[:, 0], f[:, 1], f[:, 4] = objects.x_m, objects.y_m, objects.yaw_rad
            f[:, 2], f[:, 3] = objects.vx_mps, objects.vy_mps
        else:
            c, s = np.cos(own.yaw_rad), np.sin(own.yaw_rad)
            f[:, 0] = own.x_m + c * objects.x_m - s * objects.y_m
            f[:, 1] = own.y_m + s * objects.x_m + c * objects.y_m
            f[:, 2] = c * objects.vx_mps - s * objects.vy_mps
            f[:, 3] = s * objects.vx_mps + c * objects.vy_mps
            f[:, 4] = objects.yaw_rad + own.yaw_rad
        f[:, 5], f[:, 6], f[:, 7] = objects.length_m, objects.width_m, objects.sigma_m
        f[:, 8] = objects.t_ns
        g = np.zeros((n, 3), np.int64)
        g[:, 0], g[:, 1] = objects.kind, OWN_SENSOR
        self._pending.append((OWN_SENSOR, f, g))

    def add_bsm(self, batch: BasicSafetyBatch) -> None:
        """Vehicles about themselves; the own echo is dropped."""
        mine = batch.station_id == self._station_id
        near = (
            np.abs(batch.x_m - self._own[0]) + np.abs(batch.y_m - self._own[1])
            < 1.5 * self._config.range_m
        ) & ~mine
        rows = np.flatnonzero(near)
        if rows.size == 0:
            return
        f = np.empty((rows.size, 9))
        yaw, speed, length = batch.yaw_rad[rows], batch.speed_mps[rows], batch.length_m[rows]
        c, s = np.cos(yaw), np.sin(yaw)
        centre = 0.5 * length - batch.rear_overhang_m[rows]
        f[:, 0], f[:, 1] = batch.x_m[rows] + centre * c, batch.y_m[rows] + centre * s
        f[:, 2], f[:, 3], f[:, 4] = speed * c, speed * s, yaw
        f[:, 5], f[:, 6], f[:, 7] = length, batch.width_m[rows], self._config.bsm_sigma_m
        f[:, 8] = batch.t_ns
        g = np.zeros((rows.size, 3), np.int64)
        g[:, 0], g[:, 1], g[:, 2] = batch.kind[rows], BSM, batch.station_id[rows]
        self._pending.append((BSM, f, g))

    def add_rsm(self, message: RoadsideSafety) -> None:
        """What a roadside unit perceives."""
        if _is_said(self._ssm_ns, message.node_id, message.t_ns):
            return
        self._rsm_ns[message.node_id] = message.t_ns
        self._add_perceived(message)

    def add_ssm(self, message: SensorSharing) -> None:
        """What a roadside unit or another vehicle perceives; the own echo is dropped."""
        sender = message.sender_id
        if message.equipment == Equipment.RSU:
            if _is_said(self._rsm_ns, sender, message.t_ns):
                return
            self._ssm_ns[sender] = message.t_ns
        elif message.equipment == Equipment.OBU and sender == self._station_id:
            return
        self._add_perceived(as_rsm(message))

    def _add_perceived(self, message: RoadsideSafety) -> None:
        n = message.x_m.size
        if n == 0:
            return
        f = np.empty((n, 9))
        f[:, 0], f[:, 1], f[:, 4] = message.x_m, message.y_m, message.yaw_rad
        f[:, 2] = message.speed_mps * np.cos(message.yaw_rad)
        f[:, 3] = message.speed_mps * np.sin(message.yaw_rad)
        f[:, 5], f[:, 6], f[:, 7] = (
            message.length_m,
            message.width_m,
            np.maximum(message.sigma_m, 0.1),
        )
        f[:, 8] = message.t_ns
        g = np.zeros((n, 3), np.int64)
        g[:, 0], g[:, 1] = message.kind, RSM
        self._pending.append((RSM, f, g))

    def update(self, t_ns: int, own: Estimate, hitch_rad: float) -> Tracks:
        """Advance to `t_ns`, take in what was added since the last call."""
        self._own[0], self._own[1], self._own[2], self._own[3] = (
            own.x_m,
            own.y_m,
            own.yaw_rad,
            hitch_rad,
        )
        fresh = [p for p in self._pending if t_ns - p[1][0, 8] <= MAX_AGE_NS]
        # own eyes first, then names, then roadside; inside a source in order of arrival
        fresh.sort(key=lambda p: p[0])
        self._pending.clear()
        for newest in (self._rsm_ns, self._ssm_ns):
            if len(newest) > MAX_NODES:
                newest.clear()
        group = np.zeros(len(fresh) + 1, np.int64)
        if fresh:
            group[1:] = np.cumsum([p[1].shape[0] for p in fresh])
            det = np.concatenate([p[1] for p in fresh])
            deti = np.concatenate([p[2] for p in fresh])
            age = (t_ns - det[:, 8]) * 1e-9
            det[:, 0] += det[:, 2] * age
            det[:, 1] += det[:, 3] * age
        else:
            det, deti = np.zeros((0, 9)), np.zeros((0, 3), np.int64)
        dt = (t_ns - self._t_ns) * 1e-9
        self._t_ns = t_ns
        if det.shape[0] or self._g[:, 0].any():  # nothing known, nothing heard: nothing to do
            self._next_id = int(
                _kernels.track(
                    self._f,
                    self._g,
                    det,
                    deti,
                    group,
                    t_ns,
                    dt,
                    self._cfg,
                    self._own,
                    self._next_id,
                    np.zeros(det.shape[0], np.bool_),
                    *self._scratch,
                )
            )
        g = self._g
        # a single own detection may be a ghost; a BSM or RSM comes from a tracker already
        rows = np.flatnonzero((g[:, 0] != 0) & ((g[:, 5] >= 2) | ((g[:, 3] & (BSM | RSM)) != 0)))
        f = self._f[rows]
        g = g[rows]
        return Tracks(
            t_ns, g[:, 1].astype(np.uint32), g[:, 2].astype(np.uint8), f[:, 0], f[:, 1], f[:, 2], f[:, 3], f[:, 4],
            f[:, 5], f[:, 6], np.sqrt(f[:, 7]), np.sqrt(np.maximum(f[:, 9], 0.0)), g[:, 3].astype(np.uint8),
            g[:, 4].astype(np.uint32), t_ns - g[:, 6],
        )  # fmt: skip


def _is_said(newest_ns: dict[int, int], node: int, t_ns: int) -> bool:
    """Whether the unit's other message has said it already, or something newer; not what lies in a far future."""
    return 0 <= newest_ns.get(node, -1) - t_ns <= MAX_AGE_NS
