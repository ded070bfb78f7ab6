"""How an automated vehicle drives: the speed limit and the comfort of its passengers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.judging import RunFacts, TraceBlock
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.criteria.motion import Ride
from scenarios.verdict import CriterionResult

_UNITS = {"a_x": "m/s2", "a_y": "m/s2", "jerk": "m/s3"}


@dataclass(slots=True)
class _Excess:
    """Worst excess over the limit so far."""

    over_mps: float = -np.inf
    t_s: float = 0.0
    speed_mps: float = 0.0
    limit_mps: float = 0.0
    lane: int = -1


class Speeding(Quiet):
    """speed_limit: the limit of the lane under the front, plus a tolerance."""

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        self.worst = {name: _Excess() for name in context.chosen(model.vehicles)}

    def on_trace(self, block: TraceBlock) -> None:
        """Keep the worst excess."""
        worst = self.worst.get(block.name)
        if worst is None or not block.t_ns.size:
            return
        over = block.speed_mps - block.speed_limit_mps
        k = int(np.argmax(over))
        if over[k] > worst.over_mps:
            worst.over_mps, worst.t_s = float(over[k]), seconds(block.t_ns[k])
            worst.speed_mps = float(block.speed_mps[k])
            worst.limit_mps, worst.lane = float(block.speed_limit_mps[k]), int(block.lane[k])

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a vehicle."""
        out = []
        for name, worst in self.worst.items():
            if not np.isfinite(worst.over_mps):
                out.append(
                    CriterionResult(f"speed_limit/{name}", True, f"{name} met no posted limit")
                )
                continue
            allowed: float = self.model.tolerance_mps
            where = f"lane {self.context.lane_key(worst.lane)}" if worst.lane >= 0 else ""
            sentence = (
                f"{name} at most {worst.over_mps:+.2f} m/s from the posted limit "
                f"({worst.speed_mps:.2f} of {worst.limit_mps:.2f} m/s at {worst.t_s:.2f} s {where})"
            )
            out.append(
                CriterionResult(
                    f"speed_limit/{name}", worst.over_mps <= allowed, sentence, worst.over_mps, allowed, "m/s",
                    worst.t_s, where,
                )
            )  # fmt: skip
        return out


class Comfort(Quiet):
    """comfort: share of driving time above each limit, an absolute cap, and emergencies counted apart."""

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        limits = {"a_x": model.accel_mps2, "a_y": model.lateral_mps2, "jerk": model.jerk_mps3}
        self.caps = {
            "a_x": model.cap_accel_mps2, "a_y": model.cap_lateral_mps2, "jerk": model.cap_jerk_mps3
        }  # fmt: skip
        self.rides = {
            name: Ride(limits, model.emergency_mps2, context.rear.get(name))
            for name in context.chosen(model.vehicles)
        }

    def on_trace(self, block: TraceBlock) -> None:
        """Feed the ride."""
        if block.name in self.rides:
            self.rides[block.name].add(block)

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a vehicle and channel, and one for emergencies."""
        out = []
        for name, ride in self.rides.items():
            ride.finish()
            for key, channel in ride.channels.items():
                base = key.split(" ")[0]
                cap, unit, share = self.caps[base], _UNITS[base], channel.share_above
                passed = channel.peak <= cap and share <= self.model.share_above
                sentence = (
                    f"{name}: |{key}| p95 {channel.p95:.2f}, peak {channel.peak:.2f} {unit}; above {channel.limit:g} for "
                    f"{share:.1%} of the drive (at most {self.model.share_above:.1%}, never above {cap:g})"
                )
                if not channel.samples:
                    passed, sentence = False, f"{name} never drove, so there was no ride to judge"
                out.append(
                    CriterionResult(
                        f"comfort/{name} {key}", passed, sentence, channel.peak, cap, unit, channel.peak_t_s
                    )
                )  # fmt: skip
            allowed = self.model.max_emergencies
            out.append(
                CriterionResult(
                    f"comfort/{name} emergencies", ride.emergencies <= allowed,
                    f"{name} braked harder than {ride.emergency_mps2:g} m/s2 {ride.emergencies} times",
                    float(ride.emergencies), float(allowed), "", ride.first_emergency_s,
                )
            )  # fmt: skip
        return out
