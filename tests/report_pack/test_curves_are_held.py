"""The curves of a report are what its log says: motion, jerk, gap, time to collision, delay, planner; and the criteria at their moments.

Gap and time to collision are worked out here the long way: every body's outline, sampled, against the path that the vehicle then drove.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from scenarios.formats.opendrive import read
from tests.report_pack.held import Held
from tests.report_pack.shown import Column, Shown

Both = tuple[Held, Shown]
SEED = 20_260_518
F32 = 1e-6  # curves are f32: relative


def driven(held: Held, name: str) -> dict[str, Column]:
    """All ticks of an automated vehicle."""
    parts = [proto for _, proto in held.of("truth/trace", name)]
    out = {
        field: np.array([v for proto in parts for v in getattr(proto, field)], np.float64)
        for field in ("x_m", "y_m", "yaw_rad", "speed_mps", "accel_mps2", "s_m", "lane")
    }
    out["t_ns"] = np.array([p.start_ns + k * p.step_ns for p in parts for k in range(len(p.x_m))])
    return out


def test_speed_and_acceleration_are_the_traces(both: Both) -> None:
    held, shown = both
    for name in held.senders("truth/trace"):
        trace = driven(held, name)
        rows = np.flatnonzero(trace["t_ns"] % 100_000_000 == 0)
        for key, field in (("speed", "speed_mps"), ("accel", "accel_mps2")):
            t, y = shown.curve(f"{key}/{name}")
            assert t.tolist() == (trace["t_ns"][rows] // 10**6).tolist()
            assert np.allclose(y, trace[field][rows], rtol=F32, atol=1e-9)


def test_jerk_is_the_slope_of_the_filtered_acceleration(both: Both) -> None:
    held, shown = both
    for name in held.senders("truth/trace"):
        accel = driven(held, name)["accel_mps2"]
        t, y = shown.curve(f"jerk/{name}")
        # Two moving means in a row of as many ticks as the criterion's window, then the difference over 0.5 s.
        from scenarios.criteria.motion import WINDOW_S

        width = round(WINDOW_S / 0.01)
        once = np.convolve(accel, np.ones(width) / width, mode="valid")
        smooth = np.convolve(
            once, np.ones(width) / width, mode="valid"
        )  # centred `width - 1` later
        slope = (smooth[50:] - smooth[:-50]) / 0.5
        for at in range(0, t.size):
            k = 10 * at - (width - 1) - 25
            if 0 <= k < slope.size:
                assert y[at] == pytest.approx(slope[k], abs=1e-4)


# -- gap and time to collision -------------------------------------------------------------------------------------


def outline(row: dict[str, Any], x: float, y: float, yaw: float, hitch: float) -> list[Column]:
    """(n, 2) points along the outline of each section of a body."""

    def rectangle(cx: float, cy: float, turn: float, length: float) -> Column:
        u = np.linspace(-0.5, 0.5, 1 + math.ceil(length / 0.1))
        v = np.linspace(-0.5, 0.5, 1 + math.ceil(row["width"] / 0.1))
        edge = np.concatenate(
            [np.stack((u, np.full(u.size, k)), 1) for k in (-0.5, 0.5)]
            + [np.stack((np.full(v.size, k), v), 1) for k in (-0.5, 0.5)]
        ) * (length, row["width"])
        c, s = math.cos(turn), math.sin(turn)
        points: Column = edge @ np.array([[c, s], [-s, c]]) + (cx, cy)
        return points

    ahead = row["length"] / 2 - row["rear_overhang"]
    out = [rectangle(x + math.cos(yaw) * ahead, y + math.sin(yaw) * ahead, yaw, row["length"])]
    if row["rear_length"] > 0:
        jx, jy = x + math.cos(yaw) * row["hitch_x"], y + math.sin(yaw) * row["hitch_x"]
        turn, half = yaw - hitch, row["rear_length"] / 2
        out.append(rectangle(jx - math.cos(turn) * half, jy - math.sin(turn) * half, turn, row["rear_length"]))  # fmt: skip
    return out


def along(path: Column, s0: Column, points: Column) -> tuple[Column, Column, Column]:
    """(n,) distance along a dense path of the points nearest to it, metres beside it, and direction there."""
    gap = np.hypot(path[None, :, 0] - points[:, None, 0], path[None, :, 1] - points[:, None, 1])
    k = np.clip(gap.argmin(axis=1), 1, len(path) - 2)
    step = path[k + 1] - path[k - 1]
    step /= np.hypot(step[:, 0], step[:, 1])[:, None]
    off = points - path[k]
    s = s0[k] + (off * step).sum(axis=1)
    return s, step[:, 0] * off[:, 1] - step[:, 1] * off[:, 0], np.arctan2(step[:, 1], step[:, 0])


def test_gap_and_time_to_collision_by_the_outlines_of_bodies(both: Both) -> None:
    held, shown = both
    bodies = {row["id"]: row for row in shown.meta["actors"]}
    states = {t_ns // 10**6: proto for t_ns, proto in held.of("truth/world")}
    compared = 0
    for name, actor in shown.meta["vehicles"].items():
        trace, me = driven(held, name), bodies[actor]
        front, half = me["length"] - me["rear_overhang"], me["width"] / 2
        t, gaps = shown.curve(f"gap/{name}")
        other, ttcs = shown.curve(f"ttc/{name}")
        assert t.tolist() == other.tolist() == [k for k in states if k % shown.frame_ms == 0]
        for at in range(0, t.size, 5):
            ms = int(t[at])
            now = int(np.searchsorted(trace["t_ns"], ms * 10**6))
            end = np.array([math.cos(trace["yaw_rad"][-1]), math.sin(trace["yaw_rad"][-1])])
            path = np.stack((trace["x_m"][now:], trace["y_m"][now:]), 1)
            path = np.concatenate((path, path[-1] + np.arange(0.1, 160, 0.1)[:, None] * end))
            moved = np.concatenate(([True], np.hypot(*np.diff(path, axis=0).T) > 1e-4))
            path = path[moved]
            s0 = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))))
            keep = s0 < 160
            path, s0 = path[keep], s0[keep]
            gap, ttc, is_clear = math.inf, math.inf, True
            state = states[ms]
            for k, ident in enumerate(state.id):
                x, y = state.x_m[k], state.y_m[k]
                if ident == actor or math.hypot(x - path[0, 0], y - path[0, 1]) > 118:
                    continue
                for points in outline(bodies[ident], x, y, state.yaw_rad[k], state.hitch_rad[k]):
                    s, left, yaw = along(path, s0, points)
                    away = np.abs(left).min() if left.min() * left.max() > 0 else 0.0
                    if s.max() <= front or s.min() - front > 99 or away > half + 0.3:
                        continue
                    if abs(away - half) < 0.3 or np.ptp(yaw) > 0.1 or s.max() < front + 0.2:
                        is_clear = False  # a touch more or less, a bend below the body: both answers are good
                        continue
                    near = max(0.0, s.min() - front)
                    gap = min(gap, near)
                    closing = trace["speed_mps"][now] - state.speed_mps[k] * math.cos(state.yaw_rad[k] - yaw.mean())  # fmt: skip
                    if abs(closing) < 0.3:
                        is_clear = False
                    elif closing > 0:
                        ttc = min(ttc, near / closing)
            if not is_clear:
                continue
            shown_gap = math.inf if math.isnan(gaps[at]) else gaps[at]
            shown_ttc = math.inf if math.isnan(ttcs[at]) else ttcs[at]
            assert shown_gap == pytest.approx(gap, abs=0.4), (name, ms)
            if ttc < 29 or shown_ttc < 29:
                assert shown_ttc == pytest.approx(ttc, abs=0.4, rel=0.1), (name, ms)
            compared += math.isfinite(gap)
    assert compared > (30 if held.header.scenario == "faults" else -1)  # elsewhere the way is free


# -- the rest ------------------------------------------------------------------------------------------------------


def test_delay_is_what_was_lost_against_the_posted_limit(both: Both) -> None:
    held, shown = both
    net = read(held.path.parent / "crossroads.xodr") if held.header.scenario == "faults" else None
    for name in held.senders("truth/trace"):
        keys = {row["key"] for row in shown.meta["series"]}
        if f"delay/{name}" not in keys:
            continue
        t, y = shown.curve(f"delay/{name}")
        trace = driven(held, name)
        left = int(np.argmax(trace["speed_mps"] > 0.1))
        assert (np.diff(y) >= -1e-6).all() and (np.diff(y) <= 0.1 + 1e-5).all()
        assert not y[t * 10**6 <= trace["t_ns"][left]].any()
        if net is None:
            continue
        posted = [i >= 0 and net.lanes.has_speed[i] for i in trace["lane"].astype(int).tolist()]
        limit = np.where(posted, net.lanes.speed_mps[trace["lane"].astype(int)], 1e-3)
        share = np.clip(1 - trace["speed_mps"] / limit, 0, 1)
        share[:left] = 0
        lost = np.concatenate(([0.0], np.cumsum(share * 0.01)))
        assert np.abs(y - lost[np.searchsorted(trace["t_ns"], t * 10**6)]).max() < 0.1


def test_planner_times_are_those_of_the_log(both: Both) -> None:
    held, shown = both
    for name in held.senders("truth/trace"):
        expected = {}
        for t_ns, proto in held.of("log/timing"):
            table = dict(zip(proto.name, proto.cpu_s, strict=True))
            if "wall_s" not in table and f"obu/{name} plan_ms" in table:
                expected[t_ns // 10**6] = table[f"obu/{name} plan_ms"]
        t, y = shown.curve(f"plan_time/{name}")
        assert t.tolist() == list(expected) and np.allclose(y, list(expected.values()), rtol=F32)


def test_the_verdict_its_numbers_and_its_moments_are_the_runs(both: Both) -> None:
    held, shown = both
    meta = shown.meta
    (result,) = [json.loads(proto.result_json) for _, proto in held.of("log/result")]
    assert [meta[k] for k in ("outcome", "sentence", "seed", "digest")] == [result[k] for k in ("outcome", "sentence", "seed", "digest")]  # fmt: skip
    assert meta["criteria"] == [{**row, "t_s": row["t_s"]} for row in result["criteria"]]
    assert meta["numbers"] == result["vehicles"]
    assert {k: v for k, v in meta["facts"].items() if k != "timing"} == result["facts"]
    last = max(r.t_ns for records in held.records.values() for r in records)
    assert meta["duration_s"] == pytest.approx(last / 1e9, abs=0.011)
    assert all(row["t_s"] is None or 0 <= row["t_s"] <= last / 1e9 for row in meta["criteria"])
    events = held.of("truth/event")
    assert [(e["t_s"], e["kind"], e["subject"], e["text"], e["values"]) for e in meta["events"]] == [
        (p.t_ns / 1e9, p.kind, p.subject, p.text, {k: v if math.isfinite(v) else None for k, v in p.value.items()})
        for _, p in events
    ]  # fmt: skip
    # A criterion that failed is seen where it failed: an event of its kind stands at its moment.
    for row in meta["criteria"]:
        kinds = {"no_collision": "collision", "signal_rules": "signal_rule", "no_red_light": "red_light"}  # fmt: skip
        kind = kinds.get(row["name"].partition("/")[0])
        if kind and not row["passed"] and row["t_s"] is not None:
            assert any(p.kind == kind and abs(p.t_ns / 1e9 - row["t_s"]) < 0.02 for _, p in events)
