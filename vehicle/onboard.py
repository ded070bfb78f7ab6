"""The on-board unit: one automated vehicle as a participant. Readings and messages in; commands, plans and messages out.

Every control period: localise, place on the path, follow the last plan. Every planning period: track, decide, plan, ask for
priority, broadcast the own BSM and, where the scene wants it, an SSM of what the own sensors see. Planning ticks are spread over
the stations by their number, so that many units do not all plan in the same tick. Until localisation is ready the vehicle brakes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from protocols.errors import ConfigError
from protocols.messages import (
    BasicSafetyBatch,
    BsmFlag,
    Map,
    Plan,
    Polygon,
    RoadsideCoordination,
    RoadsideSafety,
    SensorSharing,
    Spat,
    VehicleCommand,
)
from protocols.participant import Inbox, Outbox, Transmission
from protocols.roads.matching import build_index
from protocols.roads.network import F64, RoadNetwork
from protocols.sensing import CabinReading
from protocols.sentence import say
from protocols.simtime import NS_PER_MS, Now, ticks
from vehicle.control import ControlConfig, Controller
from vehicle.driving import Driver, DrivingConfig, Mission, build_corridor
from vehicle.dynamics import VehicleParams
from vehicle.fusion import Estimate, FusionConfig, Localiser, Tracker, Tracks
from vehicle.fusion.lanes import LanePlacer
from vehicle.planning import Planner, PlanningConfig, Pose, Trajectory
from vehicle.planning.lane_following import LaneFollower
from vehicle.planning.reference import STEP_M
from vehicle.sharing import OwnView

HARD_BRAKE_MPS2 = 3.92  # 0.4 g, the BSM's event threshold
FIRST_LOOK_M = 160.0  # the start is looked for on this much of the path


class OnboardConfig(BaseModel):
    """Everything a scene may set under `[onboard]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    control_period_ms: int = Field(default=20, ge=1, le=100)
    planning_period_ms: int = Field(default=100, ge=10, le=1000)
    share: tuple[Literal["ssm"], ...] = ()  # messages that say what the own sensors see
    ssm_period_ms: int = Field(default=100, ge=10, le=10_000)
    planning: PlanningConfig = PlanningConfig()
    fusion: FusionConfig = FusionConfig()
    control: ControlConfig = ControlConfig()
    driving: DrivingConfig = DrivingConfig()


class OnboardUnit:
    """One automated vehicle. Raises RoadError when the mission has no way, ConfigError on periods that do not fit."""

    def __init__(
        self, name: str, station_id: int, network: RoadNetwork, params: VehicleParams, config: OnboardConfig,
        mission: Mission, tick_ms: int = 10, region: tuple[Polygon, ...] = (),
    ) -> None:  # fmt: skip
        """`region`: where the own sensors look, body axes; for the SSM."""
        if config.planning_period_ms % config.control_period_ms:
            raise ConfigError(
                say(
                    "onboard.planning_period_ms = {planning_period_ms} is not a multiple of onboard.control_period_ms = "
                    "{control_period_ms}",
                    planning_period_ms=config.planning_period_ms, control_period_ms=config.control_period_ms,
                )
            )  # fmt: skip
        if config.share and config.ssm_period_ms % config.planning_period_ms:
            raise ConfigError(
                say(
                    "onboard.ssm_period_ms = {ssm_period_ms} is not a multiple of onboard.planning_period_ms = "
                    "{planning_period_ms}",
                    ssm_period_ms=config.ssm_period_ms, planning_period_ms=config.planning_period_ms,
                )
            )  # fmt: skip
        self._name = name
        self._station_id = station_id
        self._params = params
        self._config = config
        self._period_ticks = ticks(config.control_period_ms, tick_ms, "onboard.control_period_ms")
        self._plan_every = config.planning_period_ms // config.control_period_ms
        self._phase = station_id % self._plan_every
        corridor = build_corridor(network, mission, params, config.driving.approach_m)
        self.corridor = corridor
        self.lanes, ways = read_map(network)
        self.planner = Planner(corridor.path, params, config.planning, ways)
        self.driver = Driver(
            corridor, params, config.driving, station_id, int(mission.depart_s * 1e9),
            self.planner.envelope_mps, STEP_M,
        )  # fmt: skip
        self.localiser = Localiser(config.fusion)
        self.tracker = Tracker(config.fusion, params, station_id)
        self.view = OwnView(config.fusion, params, station_id, region) if config.share else None
        self._ssm_due_ns = 0
        self.controller = Controller(
            self.planner.table, params, config.control, config.control_period_ms * 1e-3
        )
        self._s_m: float | None = None
        self._plan: Trajectory | None = None
        self._cabin: CabinReading | None = None
        self._hitch_rad = 0.0
        self._doors = 0
        self._flags = int(BsmFlag.AUTOMATED)
        self._bsm_length: F64 = np.array([params.length_m])
        self._bsm_width: F64 = np.array([params.width_m])
        self._bsm_overhang: F64 = np.array([params.rear_overhang_m])
        self._bsm_id = np.array([station_id], np.uint32)
        self._bsm_kind = np.array([int(params.kind)], np.uint8)
        self._z_m = 0.0
        self._accel_mps2 = 0.0
        self._urgent = False

    @property
    def name(self) -> str:
        """Unit name, `obu/...`."""
        return self._name

    @property
    def period_ticks(self) -> int:
        """Base ticks per control period."""
        return self._period_ticks

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """Sense, decide, act."""
        readings = inbox.readings
        out = Outbox()
        t_ns = now.t_ns
        own = self.localiser.update(t_ns, readings.gnss, readings.imu, readings.odometry)
        if readings.odometry is not None:
            self._hitch_rad = readings.odometry.hitch_rad
        if readings.gnss is not None:
            self._z_m = readings.gnss.z_m
        if readings.cabin is not None:
            self._cabin = readings.cabin
        if readings.objects is not None and self.localiser.is_ready:
            self.tracker.add_objects(readings.objects, own)
            if self.view is not None:
                self.view.add(readings.objects, own)
        for received in inbox.messages:
            message = received.message
            if isinstance(message, BasicSafetyBatch):
                self.tracker.add_bsm(message)
            elif isinstance(message, RoadsideSafety):
                self.tracker.add_rsm(message)
            elif isinstance(message, SensorSharing):
                self.tracker.add_ssm(message)
            elif isinstance(message, (Spat, Map, RoadsideCoordination)):
                self.driver.hear(message)
        if not self.localiser.is_ready:
            out.vehicle = VehicleCommand(t_ns, self._config.control.hold_mps2, 0.0, 0, self._flags)
            return out
        s, d, heading = self._locate(own)
        if self._plan is None or (now.tick // self._period_ticks) % self._plan_every == self._phase:
            self._replan(t_ns, own, s, d, heading, out)
        assert self._plan is not None
        command = self.controller.command(self._plan, t_ns, own.speed_mps, self._urgent)
        self._accel_mps2 = command.accel_mps2
        out.vehicle = VehicleCommand(
            t_ns,
            command.accel_mps2,
            command.steer_rad,
            self._doors if own.speed_mps < 0.1 else 0,
            self._flags,
        )
        return out

    def _locate(self, own: Estimate) -> tuple[float, float, float]:
        if self._s_m is None:
            place = self.planner.project(
                np.array([own.x_m]),
                np.array([own.y_m]),
                0.0,
                self.corridor.start_s_m + FIRST_LOOK_M,
            )
            self._s_m = float(place[0, 0])
        located = self.controller.locate(own.x_m, own.y_m, own.yaw_rad, self._s_m)
        self._s_m = located[0]
        return located

    def _replan(
        self, t_ns: int, own: Estimate, s: float, d: float, heading: float, out: Outbox
    ) -> None:
        params = self._params
        front = s + params.front_x_m
        tracks = self.lanes.place(self.tracker.update(t_ns, own, self._hitch_rad))
        frenet = self.planner.project(tracks.x_m, tracks.y_m, s - 60.0, s + 160.0)
        directive = self.driver.decide(
            t_ns, front, own.speed_mps, tracks, frenet[:, 0], frenet[:, 1], self._cabin
        )
        pose = Pose(s, d, heading, own.speed_mps, self._accel_mps2, self._hitch_rad)
        plan = self.planner.plan(
            t_ns,
            pose,
            planner_objects(tracks, directive.reach_m),
            directive.cap_mps,
            directive.stop_s_m - params.front_x_m,
        )
        self._plan = plan
        self._doors = directive.doors
        mode, reason = directive.mode, directive.reason
        hardest = float(plan.column[: max(2, round(1.0 / plan.dt_s)), 2].min())
        self._urgent = plan.tier > 0 and hardest < -self._config.planning.comfort_decel_mps2 - 0.1
        if plan.tier == 2 and own.speed_mps > 0.1:
            mode, reason, self._urgent = "emergency", "no free trajectory", True
        elif self._urgent:
            mode, reason = "emergency", "object or line ahead"
        elif mode in ("cruise", "arrive") and plan.lead_gap_m < 2.0 * own.speed_mps + 8.0:
            mode, reason = "follow", "vehicle ahead"
        self._flags = self._lights(front, own, directive.doors)
        out.plan = Plan(
            t_ns, plan.dt_s, plan.column[:, 5], plan.column[:, 6], plan.column[:, 7], plan.column[:, 1], mode,
            plan.num_candidates, min(plan.cost, 1e9), reason,
        )  # fmt: skip
        out.notes.append(("plan_tier", float(plan.tier)))
        out.transmissions.append(Transmission("v2x/bsm", self._bsm(t_ns, own)))
        if self.view is not None:
            self._share(t_ns, own, self.view, out)
        request = self.driver.request(t_ns, front, own.speed_mps)
        if request is not None:
            out.transmissions.append(Transmission("v2x/vir", request))

    def _share(self, t_ns: int, own: Estimate, view: OwnView, out: Outbox) -> None:
        view.update(t_ns, own, self._hitch_rad)
        if t_ns < self._ssm_due_ns:
            return
        ssm = view.message(own, self.localiser.covariance, self._z_m)
        if ssm is not None:
            self._ssm_due_ns = t_ns + self._config.ssm_period_ms * NS_PER_MS
            out.transmissions.append(Transmission("v2x/ssm", ssm))

    def _lights(self, front_s_m: float, own: Estimate, doors: int) -> int:
        flags = int(BsmFlag.AUTOMATED)
        if self._accel_mps2 < -0.3:
            flags |= BsmFlag.BRAKE
        if self._accel_mps2 < -HARD_BRAKE_MPS2 and own.speed_mps > 0.5:
            flags |= BsmFlag.HARD_BRAKE | BsmFlag.HAZARD
        turn = self.driver.indicator(front_s_m)
        if turn:
            flags |= BsmFlag.LEFT_INDICATOR if turn > 0 else BsmFlag.RIGHT_INDICATOR
        if self._cabin is not None and self._cabin.doors != 0:
            flags |= BsmFlag.DOORS_OPEN
        return int(flags)

    def _bsm(self, t_ns: int, own: Estimate) -> BasicSafetyBatch:
        return BasicSafetyBatch(
            t_ns, self._bsm_id, self._bsm_kind, np.array([own.x_m]), np.array([own.y_m]), np.array([self._z_m]),
            np.array([own.yaw_rad]), np.array([max(own.speed_mps, 0.0)]), np.array([own.accel_mps2]),
            np.array([own.yaw_rate_radps]), self._bsm_length, self._bsm_width, self._bsm_overhang,
            np.array([self._flags], np.uint32),
        )  # fmt: skip


def read_map(network: RoadNetwork) -> tuple[LanePlacer, LaneFollower]:
    """What of the road network the unit places and predicts others with; both look it up in one index."""
    index = build_index(network)
    return LanePlacer(index), LaneFollower(network, index)


def planner_objects(tracks: Tracks, reach_m: F64) -> F64:
    """(M, 8) rows the planner takes: x, y, course, speed, half length, half width, is vulnerable, reach."""
    out = np.empty((tracks.x_m.size, 8))
    if tracks.x_m.size == 0:
        return out
    out[:, 0], out[:, 1] = tracks.x_m, tracks.y_m
    speed = np.hypot(tracks.vx_mps, tracks.vy_mps)
    vulnerable = tracks.kind >= 8
    course = np.arctan2(tracks.vy_mps, tracks.vx_mps)
    # a body's course is its yaw when it stands; people have no useful yaw
    out[:, 2] = np.where(vulnerable & (speed > 0.3), course, tracks.yaw_rad)
    along = tracks.vx_mps * np.cos(out[:, 2]) + tracks.vy_mps * np.sin(out[:, 2])
    out[:, 3] = np.where(np.abs(along) < 0.15, 0.0, along)
    out[:, 4] = 0.5 * np.maximum(tracks.length_m, 0.4)
    out[:, 5] = 0.5 * np.maximum(tracks.width_m, 0.4)
    out[:, 6], out[:, 7] = vulnerable, reach_m
    return out


__all__ = ["OnboardConfig", "OnboardUnit", "planner_objects"]
