"""Service to passengers: stations served inside the docking window, arrival, timetable."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protocols.judging import Event, EventKind, RunFacts, TraceBlock
from protocols.sentence import phrase, say
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
            event.text or say("station {number:d}", number=event.other),
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
            sentence = say(
                "{name:s} served {served:d} stations of at least {needed:d}, passed {missed:d} it had to serve",
                name=name, served=service.served, needed=needed, missed=service.missed,
            )  # fmt: skip
            out.append(
                CriterionResult(
                    say("station_stops/{name:s} served", name=name), enough, sentence, float(service.served), float(needed), "",
                    service.first_missed_s,
                )
            )  # fmt: skip
            sentence = say(
                "{name:s}: {times:d} times doors opened on the wrong side or while moving", name=name, times=service.faults
            )  # fmt: skip
            if service.faults:
                sentence = say("{faults!s}, first: {first!s}", faults=sentence, first=service.first_fault)  # fmt: skip
            out.append(
                CriterionResult(
                    say("station_stops/{name:s} door faults", name=name), service.faults == 0, sentence,
                    float(service.faults), 0.0, "", service.first_fault_s,
                )
            )  # fmt: skip
            for title, worst, limit, words in (
                (
                    phrase("station_stops/{name:s} along"),
                    service.along,
                    self.model.along_m,
                    phrase("{name:s} stopped at most {value_m:+.3f} m from the stop point, {station!s}"),
                ),
                (
                    phrase("station_stops/{name:s} gap"),
                    service.gap,
                    self.model.gap_m,
                    phrase("{name:s} docked at most {value_m:+.3f} m from the docking line, {station!s}"),
                ),
            ):  # fmt: skip
                if worst.value is None:
                    if service.served:
                        sentence = say("{name:s}: doors opened without a stop at the station", name=name)  # fmt: skip
                        out.append(CriterionResult(say(title, name=name), False, sentence))
                    continue
                passed = abs(worst.value) <= limit
                sentence = say(words, name=name, value_m=worst.value, station=worst.where)
                out.append(
                    CriterionResult(
                        say(title, name=name), passed, sentence, abs(worst.value), limit, "m", worst.t_s, worst.where
                    )
                )  # fmt: skip
            speed = service.rolling.value or 0.0
            limit = self.model.standstill_mps
            sentence = say(
                "{name:s} moved at most {speed_mps:.3f} m/s with open doors",
                name=name,
                speed_mps=speed,
            )
            out.append(
                CriterionResult(
                    say("station_stops/{name:s} doors", name=name), speed <= limit, sentence, speed, limit, "m/s", service.rolling.t_s
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
            title = say("arrival/{name:s}", name=name)
            if at_s is None:
                sentence = say(
                    "{name:s} did not reach its destination within {duration_s:.0f} s",
                    name=name,
                    duration_s=facts.duration_s,
                )
                out.append(CriterionResult(title, False, sentence, None, by_s, "s"))
            else:
                sentence = say(
                    "{name:s} arrived at {at_s:.1f} s, due by {by_s:.1f} s",
                    name=name,
                    at_s=at_s,
                    by_s=by_s,
                )
                out.append(CriterionResult(title, at_s <= by_s, sentence, at_s, by_s, "s", at_s))
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
        where = event.text or say("station {number:d}", number=event.other)
        side[name].take(event.value, seconds(event.t_ns), where)

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a vehicle and side."""
        out = []
        for name in self.early:
            if self.early[name].value is None and self.late[name].value is None:
                sentence = say("{name:s} left no station that has a planned time", name=name)
                out.append(CriterionResult(say("timetable/{name:s}", name=name), False, sentence))
                continue
            for word, worst, limit, words, placed in (
                (
                    phrase("early"),
                    self.early[name],
                    self.model.early_s,
                    phrase("{name:s} left at most {value_s:.1f} s early"),
                    phrase("{name:s} left at most {value_s:.1f} s early, {station!s}"),
                ),
                (
                    phrase("late"),
                    self.late[name],
                    self.model.late_s,
                    phrase("{name:s} left at most {value_s:.1f} s late"),
                    phrase("{name:s} left at most {value_s:.1f} s late, {station!s}"),
                ),
            ):
                value = abs(worst.value or 0.0)
                words = words if worst.value is None else placed
                sentence = say(words, name=name, value_s=value, station=worst.where)
                out.append(
                    CriterionResult(
                        say("timetable/{name:s} {side!s}", name=name, side=word), value <= limit, sentence, value, limit, "s", worst.t_s, worst.where
                    )
                )  # fmt: skip
        return out
