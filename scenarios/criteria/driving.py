"""How an automated vehicle drives: the speed limit and the comfort of its passengers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.judging import RunFacts, TraceBlock
from protocols.sentence import phrase, say
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.criteria.motion import Ride
from scenarios.verdict import CriterionResult

_MPS2, _MPS3 = phrase("m/s2"), phrase("m/s3")
_UNITS = {phrase("a_x"): _MPS2, phrase("a_y"): _MPS2, phrase("jerk"): _MPS3}


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
            title = say("speed_limit/{name:s}", name=name)
            if not np.isfinite(worst.over_mps):
                out.append(
                    CriterionResult(title, True, say("{name:s} met no posted limit", name=name))
                )
                continue
            allowed: float = self.model.tolerance_mps
            where = self.context.lane(worst.lane)
            sentence = say(
                "{name:s} at most {over_mps:+.2f} m/s from the posted limit "
                "({speed_mps:.2f} of {limit_mps:.2f} m/s at {t_s:.2f} s {lane!s})",
                name=name, over_mps=worst.over_mps, speed_mps=worst.speed_mps, limit_mps=worst.limit_mps,
                t_s=worst.t_s, lane=where,
            )  # fmt: skip
            out.append(
                CriterionResult(
                    title, worst.over_mps <= allowed, sentence, worst.over_mps, allowed, "m/s", worst.t_s, where
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
                sentence = say(
                    "{name:s}: |{channel!s}| p95 {p95:.2f}, peak {peak:.2f} {unit!s}; above {limit:g} for {share:.1%} of the drive "
                    "(at most {allowed:.1%}, never above {cap:g})",
                    name=name, channel=key, p95=channel.p95, peak=channel.peak, unit=unit, limit=channel.limit,
                    share=share, allowed=self.model.share_above, cap=cap,
                )  # fmt: skip
                if not channel.samples:
                    passed = False
                    sentence = say("{name:s} never drove, so there was no ride to judge", name=name)
                out.append(
                    CriterionResult(
                        say("comfort/{name:s} {channel!s}", name=name, channel=key), passed, sentence, channel.peak, cap, unit, channel.peak_t_s
                    )
                )  # fmt: skip
            allowed = self.model.max_emergencies
            out.append(
                CriterionResult(
                    say("comfort/{name:s} emergencies", name=name), ride.emergencies <= allowed,
                    say(
                        "{name:s} braked harder than {limit_mps2:g} m/s2 {times:d} times",
                        name=name, limit_mps2=ride.emergency_mps2, times=ride.emergencies,
                    ),
                    float(ride.emergencies), float(allowed), "", ride.first_emergency_s,
                )
            )  # fmt: skip
        return out
