"""A report shows what its log holds: truth, signals, perception and plans, at random moments of three very different runs.

The log is read with the `mcap` package and the protobuf classes, the report's HTML as `docs/reports.md` describes it. What may differ is
what that page states: positions to 1 cm, angles to 0.1 mrad, speeds to 1 cm/s (traces 1 mm/s), frames of the truth every 0.2 s with straight
lines between them, perception and plans twice a second, SPAT once a second.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Any

import numpy as np

from tests.report_pack.held import Held
from tests.report_pack.shown import Frame, Shown

Both = tuple[Held, Shown]
SEED = 20_260_518
HALF_CM = 0.005 + 1e-6  # the log's doubles; its f32 speeds are exact to less
ANGLE = 0.5e-4 + 1e-6
# A straight line over 0.2 s leaves what drives at most a dt^2 / 8 beside it: 9 m/s2 of braking, twice that where it begins or ends.
CHORD_M = 2 * 9.0 * 0.2**2 / 8
_WORLD = {"x": ("x_m", HALF_CM), "y": ("y_m", HALF_CM), "speed": ("speed_mps", HALF_CM), "accel": ("accel_mps2", HALF_CM),
          "yaw": ("yaw_rad", ANGLE), "hitch": ("hitch_rad", ANGLE), "id": ("id", 0), "doors": ("doors", 0)}  # fmt: skip
_SEEN = {"x": ("x_m", HALF_CM), "y": ("y_m", HALF_CM), "yaw": ("yaw_rad", ANGLE), "speed": ("speed_mps", HALF_CM), "kind": ("kind", 0),
         "length": ("length_m", HALF_CM), "width": ("width_m", HALF_CM), "sigma": ("sigma_m", HALF_CM)}  # fmt: skip
_PLAN = {"x": ("x_m", HALF_CM), "y": ("y_m", HALF_CM), "speed": ("speed_mps", HALF_CM)}
_TRACE = {"x": HALF_CM, "y": HALF_CM, "z": HALF_CM, "s": HALF_CM, "d": 5.1e-4, "speed": 5.1e-4, "accel": 5.1e-4, "yaw": ANGLE, "steer": ANGLE,
          "hitch": ANGLE, "yaw_rate": ANGLE, "command_accel": 5.1e-4, "command_steer": ANGLE, "lane": 0, "doors": 0}  # fmt: skip
_UNITS = {"speed": "_mps", "accel": "_mps2", "yaw": "_rad", "steer": "_rad", "hitch": "_rad", "yaw_rate": "_radps",
          "command_accel": "_mps2", "command_steer": "_rad", "lane": "", "doors": ""}  # fmt: skip


def turned(a: Any, b: Any) -> Any:
    """Angles from b to a, the shorter way round."""
    return (np.asarray(a) - np.asarray(b) + math.pi) % (2 * math.pi) - math.pi


def same_rows(frame: Frame, proto: Any, columns: dict[str, tuple[str, float]]) -> None:
    """Every row of a frame is that of the message, within the tolerance of its column."""
    for name, (field, tolerance) in columns.items():
        held = np.array(getattr(proto, field), np.float64)
        shown = frame.rows[name]
        assert shown.size == held.size, (name, frame.t_ms)
        away = turned(shown, held) if field in ("yaw_rad", "hitch_rad") else shown - held
        assert np.abs(away).max(initial=0.0) <= tolerance, (name, frame.t_ms)


def skips_of(held: Held) -> dict[tuple[int, int], float]:
    """(actor, t ms) -> how far it came since the sample before beside what its velocities say: a kink in the path that it follows."""
    before: dict[int, tuple[int, complex, complex]] = {}
    out = {}
    for t_ns, proto in held.of("truth/world"):
        t = t_ns // 10**6
        for ident, x, y, v, yaw in zip(proto.id, proto.x_m, proto.y_m, proto.speed_mps, proto.yaw_rad, strict=True):  # fmt: skip
            place, velocity = complex(x, y), v * complex(math.cos(yaw), math.sin(yaw))
            t0, place0, velocity0 = before.get(ident, (t, place, velocity))
            out[ident, t] = abs(place - place0 - (velocity + velocity0) / 2 * (t - t0) / 1e3)
            before[ident] = t, place, velocity
    return out


def moments(end_ms: int, count: int, stream: int) -> list[int]:
    found: list[int] = np.random.default_rng((SEED, stream)).integers(0, end_ms, count).tolist()
    return found


def test_each_frame_of_the_truth_has_the_log_s_rows(both: Both) -> None:
    held, shown = both
    states = {t_ns // 10**6: proto for t_ns, proto in held.of("truth/world")}
    frames = shown.frames("world")
    assert [frame.t_ms for frame in frames] == [t for t in states if t % shown.frame_ms == 0]
    for frame in frames:
        same_rows(frame, states[frame.t_ms], _WORLD)


def test_between_frames_everybody_is_where_the_log_says(both: Both) -> None:
    held, shown = both
    frames = shown.frames("world")
    stamps = [frame.t_ms for frame in frames]
    kinds = {row["id"]: row["kind_name"] for row in shown.meta["actors"]}
    skips = skips_of(held)
    bodies = 0
    for t_ns, proto in held.of("truth/world"):
        t = t_ns // 10**6
        k = bisect_right(stamps, t) - 1
        if stamps[k] == t or k + 1 == len(stamps):
            continue
        f = (t - stamps[k]) / (stamps[k + 1] - stamps[k])
        a, b = (frames[j].rows for j in (k, k + 1))
        here = {ident: row for row, ident in enumerate(proto.id)}
        first = {ident: row for row, ident in enumerate(a["id"].tolist())}
        then = {ident: row for row, ident in enumerate(b["id"].tolist())}
        # Who is there for less than two frames may be missing, or not have gone yet; nobody else.
        assert here.keys() >= first.keys() & then.keys()
        assert not here.keys() - first.keys() - then.keys()
        for ident in first.keys() & then.keys():
            i, j, row = first[ident], then[ident], here[ident]
            x, y = (a[c][i] + (b[c][j] - a[c][i]) * f for c in ("x", "y"))
            yaw = a["yaw"][i] + turned(b["yaw"][j], a["yaw"][i]) * f
            away = math.hypot(x - proto.x_m[row], y - proto.y_m[row])
            assert away < CHORD_M + HALF_CM + max(skips[ident, t], skips[ident, t + 100]), (
                ident,
                t,
            )
            if kinds[ident] in ("pedestrian", "bicycle"):
                continue  # they turn and stop from one sample to the next
            assert abs(turned(yaw, proto.yaw_rad[row])) < 0.05, (ident, t)
            speed = a["speed"][i] + (b["speed"][j] - a["speed"][i]) * f
            assert abs(speed - proto.speed_mps[row]) < 9.0 * 0.1 + HALF_CM, (ident, t)
            bodies += 1
    assert bodies > 150 or shown.frame_ms == 100


def test_traces_are_the_logs_every_tenth_of_a_second(both: Both) -> None:
    held, shown = both
    assert set(shown.meta["vehicles"]) == set(held.senders("truth/trace"))
    for name, actor in shown.meta["vehicles"].items():
        parts = held.of("truth/trace", name)
        assert {proto.id for _, proto in parts} == {actor}
        stamps = [proto.start_ns + k * proto.step_ns for _, proto in parts for k in range(len(proto.x_m))]  # fmt: skip
        table = shown.table(f"trace/{name}")
        rows = [k for k, t in enumerate(stamps) if t % 100_000_000 == 0]
        assert table["t"].tolist() == [stamps[k] // 10**6 for k in rows]
        for column, tolerance in _TRACE.items():
            field = column + _UNITS.get(column, "_m")
            whole = np.array([v for _, proto in parts for v in getattr(proto, field)], np.float64)
            away = table[column] - whole[rows]
            if column in ("yaw", "hitch"):
                away = turned(table[column], whole[rows])
            assert np.abs(away).max() <= tolerance, column
        (row,) = [row for row in shown.meta["actors"] if row["id"] == actor]
        assert row["name"] == name


def test_actors_are_as_the_log_describes_them(both: Both) -> None:
    held, shown = both
    rows = {row["id"]: row for row in shown.meta["actors"]}
    count = 0
    for _, proto in held.of("truth/actor"):
        for k, ident in enumerate(proto.id):
            row = rows[ident]
            assert row["kind"] == proto.kind[k]
            for field in ("length", "width", "height", "wheelbase", "rear_overhang", "hitch_x", "rear_length"):  # fmt: skip
                assert abs(row[field] - getattr(proto, f"{field}_m")[k]) < 6e-4
            count += 1
    assert count == len(shown.meta["actors"]) > 3


def test_lights_at_any_moment_are_those_of_the_last_change(both: Both) -> None:
    held, shown = both
    changes = held.of("truth/signal")
    stamps = [t_ns // 10**6 for t_ns, _ in changes]
    table, groups = shown.table("signals"), len(shown.meta["roads"]["groups"])
    assert groups == len(changes[0][1].light) > 0
    for t in [*stamps, *moments(round(shown.meta["duration_s"] * 1e3), 60, 1)]:
        row = int(np.searchsorted(table["t"], t, side="right")) - 1
        light = table["light"][row * groups : (row + 1) * groups]
        assert light.tolist() == list(changes[bisect_right(stamps, t) - 1][1].light)


def test_remaining_times_are_those_that_the_units_announce(both: Both) -> None:
    held, shown = both
    announced = {}
    for t_ns, proto in held.of("v2x/spat"):
        for phase in proto.phase:
            end = next((getattr(phase, name) for name in ("likely_end_ns", "min_end_ns", "max_end_ns") if phase.HasField(name)), None)  # fmt: skip
            announced[t_ns // 10**6, phase.phase_id - 1] = phase.light, end
    told = 0
    for block in shown.blocks("spat"):
        for t, group, light, left in zip(*(block[c].tolist() for c in ("t", "group", "light", "remaining")), strict=True):  # fmt: skip
            said, end = announced[t, group]
            assert light == said
            assert abs(left - (-1.0 if end is None else max(0.0, end / 1e9 - t / 1e3))) <= 0.05 + 1e-6  # fmt: skip
            told += 1
    seconds = {(t // 1000, group) for t, group in announced}
    assert told == len(
        seconds
    )  # once a second, and each group in every second that it was announced


def test_what_units_perceive_is_what_they_said_with_its_stamp(both: Both) -> None:
    held, shown = both
    for unit in held.senders("v2x/rsm"):
        said = {t_ns // 10**6: proto for t_ns, proto in held.of("v2x/rsm", unit)}
        frames = shown.frames(f"perceived/{unit}")
        assert {frame.t_ms // shown.said_ms for frame in frames} == {
            t // shown.said_ms for t in said
        }
        assert all(b.t_ms > a.t_ms for a, b in pairwise(frames))
        for frame in frames:
            same_rows(frame, said[frame.t_ms], _SEEN)
            # A slow unit, or one whose clock is wrong, speaks of another moment than that of sending.
            assert frame.head["said"] == said[frame.t_ms].t_ns // 10**6


def test_what_is_perceived_stands_beside_the_truth_of_its_stamp(both: Both) -> None:
    held, shown = both
    states = {t_ns // 10**6: proto for t_ns, proto in held.of("truth/world")}
    kinds = {row["id"]: row for row in shown.meta["actors"]}
    near = far = 0
    for unit in held.senders("v2x/rsm"):
        for frame in shown.frames(f"perceived/{unit}"):
            state = states.get(frame.head["said"])
            if state is None:
                continue  # the stamp of a slow unit may lie between two samples of the truth
            rows = [kinds[i] for i in state.id]
            middle = [row["length"] / 2 - row["rear_overhang"] for row in rows]
            rear = np.array(state.yaw_rad) - state.hitch_rad  # sections of a bus are seen as two
            joint = [row["hitch_x"] for row in rows]
            half = np.array([row["rear_length"] / 2 for row in rows])
            x = np.concatenate(
                (
                    state.x_m + np.cos(state.yaw_rad) * middle,
                    state.x_m + np.cos(state.yaw_rad) * joint - np.cos(rear) * half,
                )
            )
            y = np.concatenate(
                (
                    state.y_m + np.sin(state.yaw_rad) * middle,
                    state.y_m + np.sin(state.yaw_rad) * joint - np.sin(rear) * half,
                )
            )
            for px, py, sigma in zip(*(frame.rows[c] for c in ("x", "y", "sigma")), strict=True):
                gap = np.hypot(x - px, y - py).min(initial=np.inf)
                near, far = near + (gap < 3.0 + 4 * sigma), far + (gap >= 3.0 + 4 * sigma)
    assert near > 20 * far


def test_plans_are_those_that_were_made(both: Both) -> None:
    held, shown = both
    for unit in held.senders("obu/plan"):
        made = {t_ns // 10**6: proto for t_ns, proto in held.of("obu/plan", unit)}
        frames = shown.frames(f"plan/{unit.removeprefix('obu/')}")
        assert {frame.t_ms // shown.said_ms for frame in frames} == {
            t // shown.said_ms for t in made
        }
        for frame in frames:
            same_rows(frame, made[frame.t_ms], _PLAN)
        for key, field in (("candidates", "num_candidates"), ("cost", "cost")):
            t, y = shown.curve(f"{key}/{unit.removeprefix('obu/')}")
            assert t.tolist() == [frame.t_ms for frame in frames]
            assert y.tolist() == [np.float32(getattr(made[k], field)) for k in t.tolist()]
