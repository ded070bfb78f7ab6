"""Signals as heard by radio: which light holds this vehicle at a stop line, and whether to pass, stop or ease off.

MAP ties a movement (approach lane, connecting lane) to a phase id, SPAT gives that phase's light and times. No fresh SPAT means
red. At yellow the vehicle stops if a comfortable brake suffices (dilemma zone: otherwise it passes if it can before the
yellow ends, otherwise it brakes harder if that suffices, otherwise it passes).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf, sqrt

from protocols.messages import Light, Map, PhaseState, Spat
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import LineEvent

GREEN = (Light.GREEN_PERMISSIVE, Light.GREEN_PROTECTED)


class Verdict(Enum):
    """What a light asks for."""

    PASS = "pass"
    STOP = "stop"
    STOP_THEN_YIELD = "stop then yield"  # flashing red, dark head
    YIELD = "yield"  # flashing yellow


@dataclass(frozen=True, slots=True)
class Advice:
    """Verdict, a speed cap that reaches the green without standing (inf: none), and why."""

    verdict: Verdict
    cap_mps: float
    reason: str
    is_committed: bool = False  # passes from now on whatever the light does
    is_permissive: bool = False  # green, but give way


class SignalBoard:
    """What MAP and SPAT have said so far."""

    def __init__(self) -> None:
        self._movement: dict[tuple[str, str], tuple[int, int]] = {}  # (from, to) -> node, phase
        self._lane_phases: dict[str, list[tuple[int, int]]] = {}
        self._phase: dict[tuple[int, int], tuple[int, PhaseState]] = {}

    def hear_map(self, message: Map) -> None:
        """Remember every signalised movement."""
        for lane in message.lanes:
            phases = []
            for movement in lane.movements:
                if movement.phase_id > 0:
                    key = (message.node_id, movement.phase_id)
                    self._movement[lane.lane, movement.to_lane] = key
                    if key not in phases:
                        phases.append(key)
            if phases:
                self._lane_phases[lane.lane] = phases

    def hear_spat(self, message: Spat) -> None:
        """Remember every phase, unless a newer report is known."""
        for phase in message.phases:
            key = (message.node_id, phase.phase_id)
            known = self._phase.get(key)
            if known is None or known[0] <= message.t_ns:
                self._phase[key] = (message.t_ns, phase)

    def movement(self, line: LineEvent) -> tuple[int, int, str] | None:
        """(node, phase, connecting lane) of the movement that crosses `line`, None while no MAP has named it."""
        for to_lane in line.to_lanes:
            found = self._movement.get((line.from_lane, to_lane))
            if found is not None:
                return (*found, to_lane)
        phases = self._lane_phases.get(line.from_lane, [])
        if len(phases) == 1:  # a lone phase holds every way on
            return (*phases[0], line.to_lanes[-1])
        for lane, to_lane in line.twins:  # heads of one group always show the same
            same = self._movement.get((lane, to_lane))
            if same is None and to_lane == "" and len(self._lane_phases.get(lane, [])) == 1:
                same = self._lane_phases[lane][0]
            if same is not None:
                return (*same, line.to_lanes[-1])
        return None

    def phase(self, line: LineEvent, t_ns: int, max_age_s: float) -> PhaseState | None:
        """State of the phase that holds `line`, None unless fresh."""
        movement = self.movement(line)
        known = self._phase.get(movement[:2]) if movement else None
        if known is None or t_ns - known[0] > max_age_s * 1e9:
            return None
        return known[1]


def seconds_to_cover(
    distance_m: float, speed_mps: float, top_mps: float, accel_mps2: float
) -> float:
    """Time to drive `distance_m`, accelerating to `top_mps`."""
    if distance_m <= 0.0:
        return 0.0
    top = max(top_mps, speed_mps, 0.5)
    build = (top * top - speed_mps * speed_mps) / (2.0 * accel_mps2)
    if distance_m <= build:
        return (
            sqrt(speed_mps * speed_mps + 2.0 * accel_mps2 * distance_m) - speed_mps
        ) / accel_mps2
    return (top - speed_mps) / accel_mps2 + (distance_m - build) / top


def stopping_m(speed_mps: float, decel_mps2: float, delay_s: float) -> float:
    """Distance to standstill: half the time it takes to build the brake up counts as delay."""
    return speed_mps * delay_s + speed_mps * speed_mps / (2.0 * decel_mps2)


def advise(
    phase: PhaseState | None, distance_m: float, speed_mps: float, top_mps: float, t_ns: int,
    is_committed: bool, config: DrivingConfig,
) -> Advice:  # fmt: skip
    """What the light asks of a vehicle whose bumper is `distance_m` before its place at the stop line (`stop_gap_m` short)."""
    if is_committed:
        return Advice(Verdict.PASS, inf, "", True)
    line_m = distance_m + config.stop_gap_m
    # who creeps or stands can always stop; beyond recall is only who is fast and near
    can_stop_hard = speed_mps < 1.5 or line_m >= stopping_m(speed_mps, config.hard_decel_mps2, 0.2)
    if phase is None:
        if not can_stop_hard and line_m < 0.5 * speed_mps:
            return Advice(Verdict.PASS, inf, "", True)
        return Advice(Verdict.STOP, inf, "no signal heard")
    light = phase.light
    if light in GREEN:
        return _at_green(phase, distance_m, speed_mps, top_mps, t_ns, config)
    if light == Light.FLASHING_YELLOW:
        return Advice(Verdict.YIELD, inf, "flashing yellow")
    if light in (Light.FLASHING_RED, Light.DARK):
        return Advice(Verdict.STOP_THEN_YIELD, inf, "signal out of order")
    if light == Light.YELLOW:
        end_ns = phase.min_end_ns or phase.likely_end_ns or phase.max_end_ns
        left_s = (end_ns - t_ns) * 1e-9 if end_ns is not None else (
            config.yellow_s - (t_ns - phase.start_ns) * 1e-9
        )  # fmt: skip
        if distance_m >= stopping_m(speed_mps, config.yellow_decel_mps2, 0.8):
            return Advice(Verdict.STOP, inf, "yellow")
        if speed_mps > 0.5 and distance_m / speed_mps < left_s:
            return Advice(Verdict.PASS, inf, "", True)
        if can_stop_hard:
            return Advice(Verdict.STOP, inf, "yellow, hard")
        return Advice(Verdict.PASS, inf, "", True)
    # red, and anything unknown counts as red
    if not can_stop_hard and line_m < 0.5 * speed_mps:
        return Advice(Verdict.PASS, inf, "", True)  # clearing beats standing in the junction
    return Advice(Verdict.STOP, _ease_off_mps(phase, distance_m, t_ns, top_mps, config), "red")


def _at_green(
    phase: PhaseState, distance_m: float, speed_mps: float, top_mps: float, t_ns: int, config: DrivingConfig
) -> Advice:  # fmt: skip
    permissive = phase.light == Light.GREEN_PERMISSIVE
    go = Advice(Verdict.PASS, inf, "", False, permissive)
    # what is left is the controller's expectation; it changes the mind only while a comfortable stop is possible
    end_ns = phase.likely_end_ns if phase.likely_end_ns is not None else phase.max_end_ns
    if end_ns is None:
        return go
    arrival_s = seconds_to_cover(distance_m, speed_mps, top_mps, config.accel_mps2)
    if arrival_s <= (end_ns - t_ns) * 1e-9 + 0.5:
        return go
    if distance_m < stopping_m(speed_mps, config.decel_mps2, 1.0):
        return go
    cap = _ease_off_mps(phase, distance_m, t_ns, top_mps, config)
    return Advice(Verdict.STOP, cap, "green ends", False, permissive)


def _ease_off_mps(
    phase: PhaseState, distance_m: float, t_ns: int, top_mps: float, config: DrivingConfig
) -> float:  # fmt: skip
    """Speed at which the brake point of the stop line is reached just as green comes; inf if it is not known.

    x - v^2 / 2b = v t, solved for v.
    """
    if phase.next_green_start_ns is None:
        return inf
    wait_s = (phase.next_green_start_ns - t_ns) * 1e-9 + config.glosa_margin_s
    if wait_s <= 0.0 or distance_m <= 0.0:
        return inf
    b = config.decel_mps2
    speed = b * (-wait_s + sqrt(wait_s * wait_s + 2.0 * distance_m / b))
    return min(max(speed, config.glosa_min_mps), max(top_mps, config.glosa_min_mps))
