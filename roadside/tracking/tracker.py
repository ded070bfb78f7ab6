"""Tracks of everything that a roadside unit's sensors see: object lists without identity in, lasting tracks out.

In: `ObjectList` in the world frame. Out: `Tracks`, columns (n,) sorted by track id. Constant-velocity Kalman filter per
track, pairing at least total cost inside a gate, class by decaying votes, size as a running mean. Valid for road users
whose acceleration stays within a few `accel_sigma_mps2`; no model of turning, no occlusion reasoning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64, U8, U32
from protocols.sensing import ObjectList
from protocols.simtime import NS_PER_S
from roadside.tracking import _kernels
from roadside.tracking.config import TrackingConfig

NUM_KINDS = max(ActorKind) + 1
MIN_SIGMA_M = 0.05  # a sensor that claims less is not believed


@dataclass(frozen=True, slots=True)
class Tracks:
    """Reported tracks at one instant, world frame; (x_m, y_m) is the centre of the object."""

    t_ns: int
    track_id: U32
    kind: U8
    x_m: F64
    y_m: F64
    yaw_rad: F64
    speed_mps: F64
    length_m: F64
    width_m: F64
    sigma_m: F64


class Tracker:
    """Holds the tracks between updates."""

    def __init__(self, config: TrackingConfig | None = None) -> None:
        """No tracks yet."""
        self.config = config or TrackingConfig()
        c = self.config
        self._track = np.zeros((c.max_tracks, 11))
        self._meta = np.zeros((c.max_tracks, 5), dtype=np.int64)
        self._votes = np.zeros((c.max_tracks, NUM_KINDS))
        self._setting = np.array(
            [
                c.accel_sigma_mps2,
                c.velocity_sigma_mps,
                c.gate,
                c.kind_penalty,
                c.num_confirm,
                c.num_miss_tentative,
                c.num_miss_confirmed,
            ],
            dtype=np.float64,
        )
        self._t_ns: int | None = None
        self._next_id = 1

    def update(self, objects: ObjectList) -> Tracks:
        """Take in one object list and return the confirmed tracks at its time.

        ValueError for a list in body axes, a list older than the last one, or a column that is not finite or not (n,).
        """
        detection = self._table(objects)
        dt_ns = 0 if self._t_ns is None else objects.t_ns - self._t_ns
        if dt_ns < 0:
            raise ValueError(
                f"object list of t = {objects.t_ns} ns is older than the last one, {self._t_ns} ns; feed lists in order"
            )
        self._t_ns = objects.t_ns
        if (
            detection.shape[0] or self._meta[:, 0].any()
        ):  # nothing known, nothing seen: nothing to do
            self._next_id = int(
                _kernels.update(
                    self._track,
                    self._meta,
                    self._votes,
                    detection,
                    dt_ns / NS_PER_S,
                    self._next_id,
                    self._setting,
                )
            )
        meta = self._meta
        keep = np.flatnonzero(
            (meta[:, 0] > 0) & (meta[:, 4] > 0) & (meta[:, 2] <= self.config.num_miss_reported)
        )
        keep = keep[np.argsort(meta[keep, 0])]
        track = self._track[keep].T
        return Tracks(
            t_ns=objects.t_ns,
            track_id=meta[keep, 0].astype(np.uint32),
            kind=self._votes[keep].argmax(axis=1).astype(np.uint8),
            x_m=track[0].copy(),
            y_m=track[1].copy(),
            yaw_rad=np.arctan2(track[8], track[7]),
            speed_mps=np.hypot(track[2], track[3]),
            length_m=track[9].copy(),
            width_m=track[10].copy(),
            sigma_m=np.sqrt(track[4]),
        )

    def _table(self, objects: ObjectList) -> F64:
        if not objects.is_world_frame:
            raise ValueError(
                "object list is in body axes; a roadside tracker needs the world frame"
            )
        size = objects.x_m.size
        table = np.empty((size, 9))
        columns: tuple[F64 | U8, ...] = (
            objects.x_m, objects.y_m, objects.vx_mps, objects.vy_mps, objects.yaw_rad,
            objects.length_m, objects.width_m, objects.sigma_m, objects.kind,
        )  # fmt: skip
        for c, column in enumerate(columns):
            table[:, c] = column
        if not np.isfinite(table).all():
            raise ValueError(
                f"object list of t = {objects.t_ns} ns holds a value that is not finite"
            )
        np.maximum(table[:, 7], MIN_SIGMA_M, out=table[:, 7])
        if size and not (table[:, 8].min() >= 0 and table[:, 8].max() < NUM_KINDS):
            raise ValueError(f"object list of t = {objects.t_ns} ns holds an unknown kind")
        return table
