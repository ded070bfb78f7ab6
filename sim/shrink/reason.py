"""Why a run failed, so that two runs can be said to fail for the same reason.

A reason is (kind, name, detail); two runs fail for the same reason when all three are equal.

    kind "criterion"   name: as in the verdict ("comfort/bus1 jerk"); detail: who, what and where, without numbers: who
                       came first, a sender, "late" or "never", "peak" or "share", whether anybody had asked; and the
                       road, stop line, station or signal group, so that the same rule broken elsewhere is another reason.
                       Of what never happened: how the vehicle's run ended, who was there to do it, how many were counted,
                       or else nobody there at all would be the smallest scene of each of them
    kind "error"       name: the unit ("rsu/J2"), else "the run"; detail: the sentence without ticks, times and numbers
    kind "crash"       an exception that nobody raised on purpose; name: its class; detail: as above

`moment_s` is when it was decided; None where only the end of the run decides (something that never happened).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from protocols.errors import IcvError, InfrastructureError
from protocols.judging import RunFacts
from scenarios.spec import SceneSpec
from scenarios.verdict import CriterionResult, Verdict

_UNIT = re.compile(r"\bunit (\S+) at tick (\d+) \(t=([0-9.]+) s\)")
_TIME = re.compile(r"\(?(?:at )?\bt ?= ?[0-9.]+ s\)?|\bat tick \d+")
NEVER, NEVER_DROVE = "never", "never drove"
SHARE = "share"  # of the ride above a limit: no moment decides that, and less time would change it
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")  # of an object, another one in every run
_NUMBER = re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run failed."""

    kind: Literal["criterion", "error", "crash"]
    name: str
    detail: str
    moment_s: float | None = field(default=None, compare=False)
    sentence: str = field(default="", compare=False)

    def __str__(self) -> str:
        """For a line in a file."""
        return f"{self.name} ({self.detail})" if self.detail else self.name

    @property
    def subject(self) -> str:
        """Whom or what a criterion of several results is about: a vehicle, a topic; "" for others."""
        return _subject(self.name) if self.kind == "criterion" else ""

    @property
    def criterion(self) -> str:
        """The kind of criterion in a scene file; "" for errors."""
        return re.split(r"[/ ]", self.name)[0] if self.kind == "criterion" else ""


def reasons_of(
    verdict: Verdict, facts: RunFacts, spec: SceneSpec, ended: Mapping[str, str] | None = None
) -> tuple[Reason, ...]:
    """Every criterion that failed, in the order of the verdict. `ended`: how each vehicle's run ended."""
    out = []
    for result in verdict.results:
        if not result.passed:
            detail = _detail(result, facts, spec)
            if detail in (NEVER, NEVER_DROVE):
                how = (ended or {}).get(_subject(result.name), "")
                detail = ", ".join(filter(None, (detail, how)))
            moment_s = None if result.t_s is None or detail == SHARE else float(result.t_s)
            where = ", ".join(filter(None, (detail, _area(result))))
            out.append(Reason("criterion", result.name, where, moment_s, result.sentence))
    return tuple(out)


def reason_of_error(error: Exception) -> Reason | None:
    """The reason that `error` ended a run; None when the scene itself is at fault and nothing ran."""
    text = str(error)
    found = _UNIT.search(text)
    what = _without_numbers(_UNIT.sub(r"unit \1", text).partition(". The log")[0])
    moment_s = float(found.group(3)) if found else None
    if isinstance(error, InfrastructureError):
        return Reason("error", found.group(1) if found else "the run", what, moment_s, text)
    if isinstance(error, IcvError):
        return None
    return Reason("crash", type(error).__name__, what, moment_s, text)


def _without_numbers(text: str) -> str:
    plain = _NUMBER.sub("#", _ADDRESS.sub("#", _TIME.sub("", text)))
    return " ".join("".join(c if c.isprintable() else " " for c in plain).split())[:300]


def _subject(name: str) -> str:
    found = re.match(r"[a-z_]+/([^ ]+)", name)
    return found.group(1) if found else ""


def _detail(result: CriterionResult, facts: RunFacts, spec: SceneSpec) -> str:
    kind = re.split(r"[/ ]", result.name)[0]
    vehicles = [vehicle.name for vehicle in spec.vehicles]
    if kind == "priority_granted":
        if facts.priority_requests:
            return "asked for, not granted"
        could = [word for word, there in (("vehicles", vehicles), ("roadside units", spec.roadside)) if there]  # fmt: skip
        return " ".join(["nobody asked", *(["of", " and ".join(could)] if could else [])])
    if kind == "message_periods":
        return result.where or ("nobody sent of units" if vehicles or spec.roadside else "nobody sent")  # fmt: skip
    if kind == "traffic_flow":
        return f"of {facts.traffic.get('spawned', 0.0):.0f}"
    if kind in ("arrival", "timetable") or result.name.endswith(" served"):
        return NEVER if result.t_s is None else "late or missed"
    if kind == "comfort" and not result.name.endswith(" emergencies"):
        if "never drove" in result.sentence:
            return NEVER_DROVE
        return "peak" if (result.value or 0.0) > (result.limit or 0.0) else SHARE
    if result.value is None:
        return "no figure"
    return _first(kind, result.sentence, vehicles) if kind in _COUNTED else ""


def _first(kind: str, sentence: str, vehicles: Sequence[str]) -> str:
    """Who and what came first, as the sentences of counting criteria end: `first at 9.95 s: a lane 4/0/2, ...`."""
    found = re.search(r"first at [0-9.]+ s: (.*)", sentence)
    words = found.group(1) if found else ""
    parts = []
    if kind == "background_clean":
        what, _, words = words.partition(", ")
        parts.append(what)
    for side in words.split(" with ")[:2] if kind != "signal_rules" else ():
        name = side.split(" ")[0]
        parts.append(name if name in vehicles else "background")
    return " with ".join(parts)


def _area(result: CriterionResult) -> str:
    """Where it was: the place that the verdict names; of a lane its road, since a lane changed on the way is no other failure."""
    kind = re.split(r"[/ ]", result.name)[0]
    if kind == "signal_rules":  # its place is a sentence with figures
        found = re.search(r"first at [0-9.]+ s: (group \d+, rule \d+)", result.sentence)
        return found.group(1) if found else ""
    if kind == "message_periods":
        return ""  # the sender, which is the detail
    lane = re.fullmatch(r"lane (.+)/[^/]+/[^/]+", result.where)
    return f"road {lane.group(1)}" if lane else result.where


_COUNTED = ("no_collision", "no_red_light", "lane_rules", "background_clean", "signal_rules")
