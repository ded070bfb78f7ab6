"""Which of some hundred short trajectories to drive next.

A candidate is a longitudinal profile times a lateral move, both relative to the reference path:

* longitudinal: envelope followers (jerk-limited rides along the speed envelope, onto a stop point, behind a lead vehicle by
  the intelligent driver model) at several fractions of the allowed speed; quartics to speed targets; quintics onto the stop
  point; braking ramps from 1.2 to 5 m/s2;
* lateral: quintics in s from the present offset to an offset of the list, over one of two lengths (Werling et al. 2010,
  low-speed form, which stays drivable down to standstill).

Each is checked against limits, in two tiers: *comfort* (standing passengers) and *emergency*. The cheapest comfort candidate
whose swept sections meet no predicted object wins; if there is none, the cheapest of the emergency tier; if that is empty too,
the fallback brakes on the path with the last entry of `brakes_mps2`. A candidate must also be able to stop behind what it
follows after the horizon ends. With nothing near, only the lane centre is sampled.

Vehicles that drive along the path are predicted to keep their offset from it, others to keep to their lane; people, and vehicles
on no lane, to keep their velocity. The joint angle of an articulated bus is integrated along each candidate that is tested. Speeds
are those of the origin (rear axle).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, inf, sin, tan

import numpy as np

from protocols.roads.network import F64
from vehicle.dynamics.params import VehicleParams
from vehicle.planning import _kernels, _prediction_kernels
from vehicle.planning.config import PlanningConfig
from vehicle.planning.lane_following import LaneFollower
from vehicle.planning.reference import STEP_M, ReferencePath, speed_envelope

COMFORT, EMERGENCY, FALLBACK = 0, 1, 2
NO_OBJECTS: F64 = np.zeros((0, 8))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What was chosen. `column` is (T + 1, 8): s, v, a, jerk, d, x, y, yaw at steps of `dt_s` from `t_ns`."""

    t_ns: int
    dt_s: float
    column: F64
    start_s_m: float
    lateral: F64  # (8,) quintic coefficients in (s - start_s_m), length, target offset
    tier: int  # COMFORT, EMERGENCY or FALLBACK
    cost: float
    num_candidates: int
    num_checked: int  # candidates whose swept boxes were tested
    lead_gap_m: float  # inf without a lead
    lead_speed_mps: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the vehicle is on its path: s, d, yaw against the path, speed along the body, acceleration, joint angle."""

    s_m: float
    d_m: float
    heading_rad: float
    speed_mps: float
    accel_mps2: float
    hitch_rad: float


class Planner:
    """Plans for one vehicle on one path; keeps the last trajectory so that plans join smoothly.

    Without `lanes` it has no map: vehicles off the path are predicted straight on.
    """

    def __init__(
        self, path: ReferencePath, params: VehicleParams, config: PlanningConfig | None = None,
        lanes: LaneFollower | None = None,
    ) -> None:  # fmt: skip
        self.config = config = config or PlanningConfig()
        self.params = params
        self.path = path
        self._lanes = lanes or LaneFollower(None, None)
        env_v, env_a = speed_envelope(
            path, params.front_x_m, params.max_speed_mps, config.lat_accel_mps2, config.decel_mps2
        )
        self.table: F64 = np.ascontiguousarray(
            np.stack(
                (
                    path.x_m, path.y_m, path.yaw_rad, path.curvature_per_m,
                    env_v, env_a, path.left_m, path.right_m,
                ),
                axis=1,
            )
        )  # fmt: skip
        w = config.weights
        self._cfg: F64 = np.array((
            config.dt_s, config.max_accel_mps2, config.decel_mps2, config.jerk_mps3, config.end_jerk_mps3,
            config.comfort_decel_mps2, config.comfort_jerk_mps3, config.comfort_lat_accel_mps2,
            min(config.emergency_decel_mps2, params.max_decel_mps2), config.emergency_jerk_mps3,
            config.emergency_lat_accel_mps2, config.time_gap_s, config.standstill_gap_m, config.margin_long_m,
            config.margin_lat_m, config.edge_margin_m, w.jerk, w.accel, w.lat_accel, w.progress,
            w.overspeed, w.offset, w.heading, w.target_offset, w.change, w.headway,
        ))  # fmt: skip
        self._body: F64 = np.array((
            params.front_x_m, params.rear_overhang_m, 0.5 * params.width_m, -params.hitch_x_m, params.rear_wheelbase_m,
            params.rear_length_m, params.max_curvature_per_m,
        ))  # fmt: skip
        self._num = round(config.horizon_s / config.dt_s)
        self._num -= self._num % 2
        lists = (
            config.lat_offsets_m, config.lat_lengths_m, config.speed_scales, config.speed_fractions,
            config.durations_s, config.stop_durations_s, tuple(sorted(config.brakes_mps2)),
        )  # fmt: skip
        self._lists = [np.array(values, dtype=np.float64) for values in lists]
        most = (
            len(config.speed_scales) + 2 + len(config.speed_fractions) * len(config.durations_s)
            + len(config.stop_durations_s) + len(config.brakes_mps2)
        )  # fmt: skip
        wide = len(config.lat_offsets_m) * len(config.lat_lengths_m)
        self._prof = np.zeros((most, self._num + 1, 4))
        self._grid = np.zeros((most, self._num + 1, 9))
        self.cost: F64 = np.zeros((most, wide))
        self.tier = np.zeros((most, wide), np.int64)
        self._lat = np.zeros((wide, 8))
        self._result = np.zeros(9)
        self._found = np.zeros(2, np.int64)
        self._scratch = (
            np.zeros(self._num + 1), np.zeros(most), np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(9),
        )  # fmt: skip
        self.last: Trajectory | None = None

    def project(self, x_m: F64, y_m: F64, from_s_m: float, to_s_m: float) -> F64:
        """(n, 3) s, d and path yaw of points (n,), looked for on path[from_s_m, to_s_m]."""
        out = np.empty((x_m.size, 3))
        if x_m.size:
            _prediction_kernels.project_points(
                self.table, STEP_M, x_m, y_m, from_s_m, to_s_m, self._scratch[4], out
            )
        return out

    @property
    def envelope_mps(self) -> F64:
        """(P,) fastest allowed speed at each path sample."""
        return np.asarray(self.table[:, 4])

    def plan(
        self, t_ns: int, pose: Pose, objects: F64, cap_mps: float = inf, stop_s_m: float = inf
    ) -> Trajectory:
        """Next trajectory. `objects` (M, 8): x, y, yaw, speed, half length, half width, is vulnerable (1 or 0), and the
        distance after which it is expected to have stopped for us (inf: it just goes on).

        `cap_mps` bounds the speed everywhere; `stop_s_m` is where the *origin* must stand at the latest.
        """
        start = self._start(t_ns, pose)
        out = np.empty((self._num + 1, 8))
        last_target = 0.0 if self.last is None else float(self.last.lateral[7])
        info = np.zeros((objects.shape[0], 6))
        pose_table = np.empty((objects.shape[0], self._num + 1, 4))
        found = self._found
        if objects.shape[0]:
            lanes = self._lanes
            _prediction_kernels.predict(
                self.table, STEP_M, start, objects, self._body, self.config.near_lat_m, self.config.dt_s, self._num,
                lanes.line, lanes.first, lanes.onto, lanes.fork, *lanes.lanes_of(objects),
                self._scratch[4], pose_table, info, found,
            )  # fmt: skip
        else:
            found[:] = 0, -1  # none relevant, no lead
        _kernels.plan(
            self.table, STEP_M, start, cap_mps, min(max(stop_s_m, float(start[0])), 1e9), pose.hitch_rad, last_target, objects, self._body,
            self._cfg, *self._lists, self._num, self._prof, self._grid, self.cost, self.tier, self._lat,
            *self._scratch, pose_table, info, int(found[0]), int(found[1]),
            out, self._result,
        )  # fmt: skip
        r = self._result
        self.last = Trajectory(
            t_ns=t_ns,
            dt_s=self.config.dt_s,
            column=out,
            start_s_m=float(start[0]),
            lateral=self._lat[int(r[1])].copy(),
            tier=int(r[2]),
            cost=float(r[3]),
            num_candidates=int(r[4]),
            num_checked=int(r[5]),
            lead_gap_m=float(r[7]),
            lead_speed_mps=float(r[8]),
        )
        return self.last

    def _start(self, t_ns: int, pose: Pose) -> F64:
        """(s, v, a, d, p, q): the last plan's state now if the vehicle is near it, else the vehicle's own."""
        last = self.last
        if last is not None:
            u = (t_ns - last.t_ns) * 1e-9 / last.dt_s
            i = int(u + 1e-6)
            if i < self._num:
                f = u - i
                s, v, a = (1.0 - f) * last.column[i, :3] + f * last.column[i + 1, :3]
                d, p, q = _kernels.lateral(
                    s - last.start_s_m, last.lateral[6], last.lateral, last.lateral[7]
                )
                if (
                    abs(s - pose.s_m) < 0.6
                    and abs(v - pose.speed_mps) < 0.8
                    and abs(d - pose.d_m) < 0.4
                ):
                    return np.array((s, v, a, d, p, q))
        i = min(max(int(pose.s_m / STEP_M), 0), self.table.shape[0] - 1)
        one = 1.0 - float(self.table[i, 3]) * pose.d_m
        slope = one * tan(min(max(pose.heading_rad, -1.2), 1.2))
        # turning circle of straight wheels keeps the curvature of the path itself
        rate = pose.speed_mps * max(cos(pose.heading_rad), 0.0) / one
        return np.array((pose.s_m, max(rate, 0.0), pose.accel_mps2, pose.d_m, slope, 0.0))


def heading_error_rad(yaw_rad: float, path_yaw_rad: float) -> float:
    """Yaw against the path's, in (-pi, pi]."""
    turn = yaw_rad - path_yaw_rad
    return atan2(sin(turn), cos(turn))
