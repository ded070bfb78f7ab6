"""Curves over time of a run: what the plots show.

Gaps in a curve are NaN. Per vehicle: speed, acceleration, jerk (10 Hz), gap and time to collision (see `ahead`), time lost against the
posted limit since departure, departures against the timetable, the planner's candidates and cost. Of the run: delivery ratio by topic
in bins of 1 s (of pairs of sender and receiver that were not out of range), background vehicles and their mean speed once a second,
units' notes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.roads.network import F64
from sim.log.records import Event
from sim.radio.fates import I64
from sim.report.pack.ahead import gap_and_ttc
from sim.report.pack.columns import Array
from sim.report.pack.facts import Facts

MOVING_MPS = 0.1  # delay counts from when the vehicle first moved
MAX_NOTES = 40  # curves of units' notes; the rest stays in the log
MIN_NOTES = 100  # values of a curve; what is said now and then is no curve


@dataclass(frozen=True, slots=True)
class Curve:
    """One plot's data."""

    key: str
    title_en: str
    title_zh: str
    unit: str
    group: str
    vehicle: str  # "" for the run
    t: I64  # ms
    y: F64


def curves(
    facts: Sequence[Facts],
    traces: Mapping[str, Mapping[str, Array]],
    limits: Mapping[str, F64],
    vehicles: Mapping[str, int],
    actors: Mapping[int, Mapping[str, Any]],
    topics: Sequence[str],
) -> list[Curve]:
    """All curves; `limits` holds posted limits at the rows of each trace, NaN where none is posted."""
    events = [event for block in facts for event in block.events]
    out: list[Curve] = []
    for name, trace in traces.items():
        out += _motion(name, trace)
        out += _ahead(name, vehicles[name], facts, trace, actors)
        out += _schedule(name, trace, limits.get(name), vehicles[name], events)
        out += _planner(name, facts)
    return out + _delivery(facts, topics) + _background(facts) + _notes(facts)


def _motion(name: str, trace: Mapping[str, Array]) -> list[Curve]:
    rows = (
        ("speed", "Speed", "车速", "m/s"),
        ("accel", "Acceleration", "加速度", "m/s²"),
        (
            "jerk",
            "Jerk (as the comfort criterion filters it)",
            "加加速度（按乘坐舒适性判据滤波）",
            "m/s³",
        ),
    )
    return [
        Curve(f"{key}/{name}", en, zh, unit, "motion", name, trace["t"], np.asarray(trace[key], np.float64))
        for key, en, zh, unit in rows
    ]  # fmt: skip


def _ahead(
    name: str,
    actor: int,
    facts: Sequence[Facts],
    trace: Mapping[str, Array],
    actors: Mapping[int, Mapping[str, Any]],
) -> list[Curve]:
    parts = [block.near[name] for block in facts if name in block.near]
    t, gap, ttc = gap_and_ttc(actor, parts, trace, actors)
    return [
        Curve(f"gap/{name}", "Gap to the road user ahead on its path", "与路径前方最近交通参与者的间距", "m", "safety", name, t, gap),
        Curve(f"ttc/{name}", "Time to collision on its path (up to 30 s)", "路径上的碰撞时间 TTC（30 s 以内）", "s", "safety", name, t, ttc),
    ]  # fmt: skip


def _schedule(
    name: str, trace: Mapping[str, Array], limit: F64 | None, actor: int, events: Sequence[Event]
) -> list[Curve]:
    out = []
    t = trace["t"]
    if limit is not None and t.size > 1 and np.isfinite(limit).any():
        speed = np.asarray(trace["speed"], np.float64)
        share = np.clip(1.0 - speed / limit, 0.0, 1.0)
        has_left = np.cumsum(speed > MOVING_MPS) > 0
        share = np.where(np.isfinite(share) & has_left, share, 0.0)
        step = np.diff(t, append=t[-1:]) / 1e3
        lost = np.concatenate(([0.0], np.cumsum(share * step)[:-1]))
        out.append(
            Curve(f"delay/{name}", "Delay since departure: time lost against driving at the posted limit, stops included",
                  "出发后的延误：相对按限速行驶损失的时间（含停站）", "s", "schedule", name, t, lost)
        )  # fmt: skip
    left = [e for e in events if e.kind == "left_station" and e.subject == str(actor)]
    late = [(e.t_ns // 1_000_000, e.values.get("value", math.nan)) for e in left]
    late = [(at, value) for at, value in late if math.isfinite(value)]
    if late:
        out.append(
            Curve(f"timetable/{name}", "Departures against the timetable (late is positive)", "发车相对时刻表（晚点为正）",
                  "s", "schedule", name, np.array([at for at, _ in late], np.int64), np.array([value for _, value in late]))
        )  # fmt: skip
    return out


def _planner(name: str, facts: Sequence[Facts]) -> list[Curve]:
    costs = [
        (t, ms) for block in facts for key, t, ms in block.costs if key == f"obu/{name} plan_ms"
    ]
    out = []
    if costs:
        out.append(
            Curve(f"plan_time/{name}", "Planner: time of a cycle (mean of a second; about the machine)",
                  "规划器：每周期耗时（每秒均值，与机器有关）", "ms", "planner", name,
                  np.array([t for t, _ in costs], np.int64), np.array([ms for _, ms in costs]))
        )  # fmt: skip
    return out + _choices(name, facts)


def _choices(name: str, facts: Sequence[Facts]) -> list[Curve]:
    parts = [block.plans[name] for block in facts if name in block.plans]
    if not parts:
        return []
    t, candidates, cost = (np.concatenate(column) for column in zip(*parts, strict=True))
    return [
        Curve(f"candidates/{name}", "Planner: candidates looked at", "规划器：候选轨迹数", "", "planner", name, t, candidates),
        Curve(f"cost/{name}", "Planner: cost of the chosen plan", "规划器：所选轨迹的代价", "", "planner", name, t, cost),
    ]  # fmt: skip


def _delivery(facts: Sequence[Facts], topics: Sequence[str]) -> list[Curve]:
    out = []
    for number, topic in sorted(enumerate(topics), key=lambda item: item[1]):
        parts = [block.delivery[number] for block in facts if number in block.delivery]
        if parts:
            t, heard, reachable = (np.concatenate(column) for column in zip(*parts, strict=True))
            out.append(
                Curve(f"delivery/{topic}", f"Delivery ratio {topic} (pairs not out of range)",
                      f"包接收率 PRR：{topic}（不计超出距离者）", "", "v2x", "", t, heard / reachable)
            )  # fmt: skip
    return out


def _background(facts: Sequence[Facts]) -> list[Curve]:
    parts = [block.traffic for block in facts]
    if not any(count.any() for _, count, _ in parts):
        return []
    t, count, mean = (np.concatenate(column) for column in zip(*parts, strict=True))
    return [
        Curve("traffic/speed", "Background vehicles: mean speed", "背景车辆：平均车速", "m/s", "traffic", "", t, mean),
        Curve("traffic/count", "Background vehicles: number", "背景车辆：数量", "", "traffic", "", t, count),
    ]  # fmt: skip


def _notes(facts: Sequence[Facts]) -> list[Curve]:
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for block in facts:
        for sender, name, t, value in block.notes:
            found.setdefault((sender, name), []).append((t, value))
    regular = {key: rows for key, rows in sorted(found.items()) if len(rows) >= MIN_NOTES}
    return [
        Curve(f"note/{sender}/{name}", f"{sender}: {name}", f"{sender}:{name}", "", "diagnostics", "",
              np.array([t for t, _ in rows], np.int64), np.array([value for _, value in rows]))
        for (sender, name), rows in list(regular.items())[:MAX_NOTES]
    ]  # fmt: skip
