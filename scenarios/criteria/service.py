"""Service to passengers: stations served inside the docking window, arrival, timetable."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protocols.judging import Event, EventKind, RunFacts, TraceBlock
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.verdict import CriterionResult


@dataclass(slots=True)
class _Worst:
    """A figure furthest from zero (or from its window), and when."""

    value: float | None = None
    t_s: float | None = None
    where: str = ""

    def take(self, value: float, t_s: float, where: str) -> None:
        if self.value is None or abs(value) > abs(self.value):
            self.value, self.t_s, self.where = value, t_s, where


@dataclass(slots=True)
class _Service:
    """One vehicle's record."""

    served: int = 0
    missed: int = 0
    faults: int = 0  # doors on the wrong side or while moving
    first_fault: str = ""
    first_fault_s: float | None = None
    stop_offset_m: dict[int, float] = field(
        default_factory=dict
    )  # station -> last stop, until doors open
    along: _Worst = field(default_factory=_Worst)
    gap: _Worst = field(default_factory=_Worst)
    rolling: _Worst = field(default_factory=_Worst)  # speed with doors open
    first_missed_s: float | None = None


class Stations(Quiet):
    """station_stops: where the vehicle stood when its doors opened, and how many stations it served."""

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        self.service = {name: _Service() for name in context.chosen(model.vehicles)}

    def on_trace(self, block: TraceBlock) -> None:
        """Speed while doors are open."""
        service = self.service.get(block.name)
        if service is None:
            return
        rows = np.flatnonzero(block.doors)
        if rows.size:
            k = int(rows[np.argmax(np.abs(block.speed_mps[rows]))])
            service.rolling.take(float(abs(block.speed_mps[k])), seconds(block.t_ns[k]), "")

    def on_event(self, event: Event) -> None:
        """Stops count once the doors open there: a bus may creep forward before."""
        service = self.service.get(self.context.name(event.actor))
        if service is None:
            return
        station, t_s, where = (
            event.other,
            seconds(event.t_ns),
            event.text or f"station {event.other}",
        )
        if event.kind == EventKind.STOPPED_AT_STATION:
            service.stop_offset_m[station] = event.value
        elif event.kind == EventKind.DOOR_FAULT:
            service.faults += 1
            if service.first_fault_s is None:
                service.first_fault_s, service.first_fault = t_s, where
        elif event.kind == EventKind.DOORS_OPENED and station >= 0:
            service.served += 1
            service.gap.take(event.value, t_s, where)
            offset_m = service.stop_offset_m.pop(station, None)
            if offset_m is not None:
                service.along.take(offset_m, t_s, where)
        elif event.kind == EventKind.MISSED_STATION:
            service.missed += 1
            if service.first_missed_s is None:
                service.first_missed_s = t_s

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Served, window along the platform, gap, doors."""
        out = []
        stops = {v.name: v.stops for v in self.context.spec.vehicles}
        for name, service in self.service.items():
            asked = self.model.min_served
            needed = sum(not stop.on_call for stop in stops[name]) if asked is None else asked
            enough = service.served >= needed and not service.missed
            sentence = f"{name} served {service.served} stations of at least {needed}, passed {service.missed} it had to serve"
            prefix = f"station_stops/{name}"
            out.append(
                CriterionResult(
                    f"{prefix} served", enough, sentence, float(service.served), float(needed), "",
                    service.first_missed_s,
                )
            )  # fmt: skip
            fault = f", first: {service.first_fault}" if service.faults else ""
            out.append(
                CriterionResult(
                    f"{prefix} door faults", service.faults == 0,
                    f"{name}: {service.faults} times doors opened on the wrong side or while moving{fault}",
                    float(service.faults), 0.0, "", service.first_fault_s,
                )
            )  # fmt: skip
            for what, worst, limit, words in (
                (
                    "along",
                    service.along,
                    self.model.along_m,
                    "stopped at most {:+.3f} m from the stop point",
                ),
                (
                    "gap",
                    service.gap,
                    self.model.gap_m,
                    "docked at most {:+.3f} m from the docking line",
                ),
            ):
                if worst.value is None:
                    if service.served:
                        sentence = f"{name}: doors opened without a stop at the station"
                        out.append(CriterionResult(f"{prefix} {what}", False, sentence))
                    continue
                passed = abs(worst.value) <= limit
                sentence = f"{name} {words.format(worst.value)}, {worst.where}"
                out.append(
                    CriterionResult(
                        f"{prefix} {what}", passed, sentence, abs(worst.value), limit, "m", worst.t_s, worst.where
                    )
                )  # fmt: skip
            speed = service.rolling.value or 0.0
            limit = self.model.standstill_mps
            sentence = f"{name} moved at most {speed:.3f} m/s with open doors"
            out.append(
                CriterionResult(
                    f"{prefix} doors", speed <= limit, sentence, speed, limit, "m/s", service.rolling.t_s
                )
            )  # fmt: skip
        return out


class Arrivals(Quiet):
    """arrival: at the destination before the deadline."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a vehicle."""
        out = []
        deadlines = {v.name: v.arrive_by_s for v in self.context.spec.vehicles}
        for name in self.context.chosen(self.model.vehicles):
            by_s = self.model.by_s or deadlines[name] or facts.duration_s
            at_s = facts.arrived_s.get(name)
            if at_s is None:
                sentence = f"{name} did not reach its destination within {facts.duration_s:.0f} s"
                out.append(CriterionResult(f"arrival/{name}", False, sentence, None, by_s, "s"))
            else:
                sentence = f"{name} arrived at {at_s:.1f} s, due by {by_s:.1f} s"
                out.append(
                    CriterionResult(
                        f"arrival/{name}", at_s <= by_s, sentence, at_s, by_s, "s", at_s
                    )
                )
        return out


class Timetable(Quiet):
    """timetable: departures compared with the plan."""

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        names = context.chosen(model.vehicles)
        self.early = {name: _Worst() for name in names}
        self.late = {name: _Worst() for name in names}

    def on_event(self, event: Event) -> None:
        """Worst departure to either side; departures without a planned time carry NaN."""
        name = self.context.name(event.actor)
        if (
            event.kind != EventKind.LEFT_STATION
            or name not in self.early
            or math.isnan(event.value)
        ):
            return
        side = self.early if event.value < 0 else self.late
        where = event.text or f"station {event.other}"
        side[name].take(event.value, seconds(event.t_ns), where)

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a vehicle and side."""
        out = []
        for name in self.early:
            if self.early[name].value is None and self.late[name].value is None:
                sentence = f"{name} left no station that has a planned time"
                out.append(CriterionResult(f"timetable/{name}", False, sentence))
                continue
            for word, worst, limit in (
                ("early", self.early[name], self.model.early_s),
                ("late", self.late[name], self.model.late_s),
            ):
                value = abs(worst.value or 0.0)
                sentence = f"{name} left at most {value:.1f} s {word}" + (
                    f", {worst.where}" if worst.value is not None else ""
                )
                out.append(
                    CriterionResult(
                        f"timetable/{name} {word}", value <= limit, sentence, value, limit, "s", worst.t_s, worst.where
                    )
                )  # fmt: skip
        return out
