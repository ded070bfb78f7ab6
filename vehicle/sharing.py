"""What a vehicle tells others of its surroundings: SSM of what its own sensors see, and of nothing else.

What came by radio stays out, or two vehicles would assure each other of what only one has seen. So the view has a tracker of its own,
fed by own sensors alone. Its covariances hold the uncertainty of the own place and heading as well.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.messages import Equipment, Participants, Polygon, SensorSharing, SharedSource
from protocols.roads.network import F64
from protocols.sensing import ObjectList
from protocols.sharing import no_obstacles
from vehicle.dynamics import VehicleParams
from vehicle.fusion import Estimate, FusionConfig, Tracker, Tracks

SHARED_NS = 500_000_000  # unseen that long, a track is no longer told
COURSE_MPS = 0.3  # people faster than this face where they go
ANY_YAW_RAD = math.pi / math.sqrt(3.0)  # 1 sigma of a heading that nobody knows


class OwnView:
    """Tracks of one vehicle's own sensors. `region`: where they look, body axes."""

    def __init__(
        self,
        config: FusionConfig,
        params: VehicleParams,
        station_id: int,
        region: tuple[Polygon, ...],
    ) -> None:
        self._tracker = Tracker(config, params, station_id)
        self._station_id = station_id
        self._region = region
        self._first_ns: dict[int, int] = {}  # by track
        self._has_news = False
        self._tracks: Tracks | None = None

    def add(self, objects: ObjectList, own: Estimate) -> None:
        """A list of the own sensors, seen from the own pose at its instant."""
        self._tracker.add_objects(objects, own)
        self._has_news = True

    def update(self, t_ns: int, own: Estimate, hitch_rad: float) -> None:
        """Advance to `t_ns`."""
        self._tracks = self._tracker.update(t_ns, own, hitch_rad)
        ids = self._tracks.id.tolist()
        self._first_ns = {ident: self._first_ns.get(ident, t_ns) for ident in ids}

    def message(self, own: Estimate, covariance: F64, z_m: float) -> SensorSharing | None:
        """SSM as of the last update; None when no sensor has delivered since the last one. `covariance`: x, y, yaw first."""
        tracks = self._tracks
        if not self._has_news or tracks is None:
            return None
        self._has_news = False
        t_ns, ids = tracks.t_ns, tracks.id.tolist()
        rows = np.flatnonzero(tracks.age_ns <= SHARED_NS)
        x, y, speed = tracks.x_m[rows], tracks.y_m[rows], tracks.speed_mps[rows]
        vx, vy, kind = tracks.vx_mps[rows], tracks.vy_mps[rows], tracks.kind[rows]
        yaw = np.where((kind >= 8) & (speed > COURSE_MPS), np.arctan2(vy, vx), tracks.yaw_rad[rows])
        sigma_v = tracks.speed_sigma_mps[rows]
        # The own heading's error turns what lies far off sideways.
        dx, dy, turn = x - own.x_m, y - own.y_m, float(covariance[2, 2])
        own_var = tracks.sigma_m[rows] ** 2
        first = np.array([self._first_ns[ids[k]] for k in rows.tolist()], np.float64)
        participants = Participants(
            track_id=tracks.id[rows],
            kind=kind,
            kind_confidence=np.zeros(rows.size),
            source=np.full(rows.size, SharedSource.INTEGRATED, np.uint8),
            x_m=x,
            y_m=y,
            yaw_rad=yaw,
            speed_mps=vx * np.cos(yaw) + vy * np.sin(yaw),
            length_m=tracks.length_m[rows],
            width_m=tracks.width_m[rows],
            cov_xx_m2=own_var + covariance[0, 0] + turn * dy * dy,
            cov_xy_m2=covariance[0, 1] - turn * dx * dy,
            cov_yy_m2=own_var + covariance[1, 1] + turn * dx * dx,
            sigma_v_mps=sigma_v,
            sigma_yaw_rad=np.minimum(sigma_v / np.maximum(speed, 1e-3), ANY_YAW_RAD),
            age_s=(t_ns - first) * 1e-9,
        )
        return SensorSharing(
            t_ns, Equipment.OBU, self._station_id, own.x_m, own.y_m, z_m, self._seen_from(own),
            participants, no_obstacles(),
        )  # fmt: skip

    def _seen_from(self, own: Estimate) -> tuple[Polygon, ...]:
        c, s = math.cos(own.yaw_rad), math.sin(own.yaw_rad)
        return tuple(
            Polygon(own.x_m + c * p.x_m - s * p.y_m, own.y_m + s * p.x_m + c * p.y_m)
            for p in self._region
        )
