"""How far two recorded runs of one scene agree, and what makes the difference: headless against a CARLA server, above all.

Three questions for each automated vehicle. Where was it at the same time (position, speed)? Did it take the same path (distance of
one path from the other)? When did it pass the same place (time at equal distance driven, and the events at stations)? The reasons
are measured, not guessed: with what delay and how strongly acceleration follows its command, and how much the vehicle turns for
the angle of its wheels, on either side.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from protocols.errors import LogError
from protocols.roads.network import F64
from sim.log.reader import LogReader
from sim.log.records import Event, Trace

LAGS_S = 1.0  # how long an acceleration may take to follow its command
MOVING_MPS = 3.0
TURNING_RADPS = 0.02
GRID_M = 0.5  # for the time at equal distance
PASSING_MPS = 1.5  # a place is passed at more than this
_TIMED = ("stopped_at_station", "left_station", "arrived", "doors_opened")


@dataclass(frozen=True, slots=True)
class Response:
    """How one side follows commands."""

    accel_lag_s: float  # delay at which acceleration looks most like its command
    accel_gain: float  # of acceleration over command at that delay
    turn_gain: (
        float | None
    )  # yaw rate over v tan(steer) per metre of wheelbase, of side B relative to A


@dataclass(frozen=True, slots=True)
class VehicleAgreement:
    """One vehicle in both runs. Every largest value comes with the time at which it stands."""

    name: str
    position_m: tuple[float, float]  # (value, t_s)
    speed_mps: tuple[float, float]
    path_m: tuple[float, float]
    passing_s: tuple[float, float]  # later on side B positive; with the distance driven, m
    distance_m: tuple[float, float]  # driven on either side
    events: dict[str, float]  # B minus A in s, of those that both have
    a: Response
    b: Response
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two runs."""

    scenario: str
    outcomes: tuple[str, str]
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)  # criterion -> both words
    vehicles: tuple[VehicleAgreement, ...] = ()

    @property
    def same_verdicts(self) -> bool:
        """No criterion says something else."""
        return self.outcomes[0] == self.outcomes[1] and not self.changed

    def json(self) -> str:
        """For machines."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    def text(self) -> str:
        """For people."""
        lines = [f"{self.scenario}: A says {self.outcomes[0]}, B says {self.outcomes[1]}"]
        lines += [f"  {name}: {a} / {b}" for name, (a, b) in self.changed.items()] or [
            "  every criterion says the same"
        ]
        for v in self.vehicles:
            lines.append(f"{v.name}: {v.distance_m[0]:.1f} m / {v.distance_m[1]:.1f} m driven")
            lines.append(
                f"  at the same time   position at most {v.position_m[0]:.2f} m apart (t={v.position_m[1]:.1f} s), "
                f"speed {v.speed_mps[0]:.2f} m/s (t={v.speed_mps[1]:.1f} s)"
            )
            lines.append(f"  the path           at most {v.path_m[0]:.3f} m apart (t={v.path_m[1]:.1f} s)")  # fmt: skip
            lines.append(
                f"  the same place     at most {v.passing_s[0]:+.2f} s (B later is +) after {v.passing_s[1]:.0f} m"
            )
            lines += [f"  {what:<34} {late:+.2f} s" for what, late in v.events.items()]
            lines += [f"  why: {reason}" for reason in v.reasons]
        return "\n".join(lines)


def agree(a: Path, b: Path) -> Agreement:
    """Compare the runs in two logs; LogError when they are not of one scene or a result is missing."""
    one, two = LogReader.open(a), LogReader.open(b)
    name = one.header().scenario
    if two.header().scenario != name or one.header().tick_ns != two.header().tick_ns:
        raise LogError(
            f"{a} is a run of {name!r}, {b} of {two.header().scenario!r}: expected two runs of one scene with one tick."
        )
    first, second = _result(one), _result(two)
    words = [
        {c["name"]: "pass" if c["passed"] else "FAIL" for c in result["criteria"]}
        for result in (first, second)
    ]
    changed = {
        key: (words[0].get(key, "absent"), words[1].get(key, "absent"))
        for key in sorted(set(words[0]) | set(words[1]))
        if words[0].get(key) != words[1].get(key)
    }
    vehicles = tuple(
        _vehicle(one.traces(unit), two.traces(unit), one.events(), two.events())
        for unit in one.trace_names()
        if unit in two.trace_names()
    )
    outcomes = (str(first["outcome"]), str(second["outcome"]))
    return Agreement(name, outcomes, changed, vehicles)


def _result(log: LogReader) -> dict[str, Any]:
    text = log.result()
    if text is None:
        raise LogError(f"{log.path}: the run never came to its end, so there is no verdict to compare.")  # fmt: skip
    try:
        result: dict[str, Any] = json.loads(text)
        outcome, criteria = str(result["outcome"]), result["criteria"]
        return {"outcome": outcome, "criteria": [{"name": str(c["name"]), "passed": c["passed"] is True} for c in criteria]}  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(
            f"{log.path}: the recorded result cannot be read ({error!r}); the log is damaged, or another version wrote it."
        ) from error


def _vehicle(a: Trace, b: Trace, events_a: list[Event], events_b: list[Event]) -> VehicleAgreement:
    n = min(a.t_ns.size, b.t_ns.size)
    t_s = a.t_ns[:n] * 1e-9
    apart = np.hypot(a.x_m[:n] - b.x_m[:n], a.y_m[:n] - b.y_m[:n])
    speed = np.abs(a.speed_mps[:n] - b.speed_mps[:n])
    path = _off_path(a, b)
    passing, at_m = _passing(a, b)
    dt_s = float(t_s[1] - t_s[0]) if n > 1 else 0.01
    turns = _turn(a), _turn(b)
    turn = turns[1] / turns[0] if turns[0] and turns[1] else None
    left, right = _response(a, dt_s, None), _response(b, dt_s, turn)
    worst = int(np.argmax(apart))
    late = _events(a, b, events_a, events_b)
    return VehicleAgreement(
        a.name,
        (float(apart[worst]), float(t_s[worst])),
        (float(speed.max()), float(t_s[int(np.argmax(speed))])),
        path,
        (passing, at_m),
        (float(_driven(a)[-1]), float(_driven(b)[-1])),
        late,
        left,
        right,
        _reasons(left, right, float(apart[worst]), path[0], passing),
    )


def _driven(trace: Trace) -> F64:
    """Distance driven at each row."""
    step = np.hypot(np.diff(trace.x_m), np.diff(trace.y_m))
    return np.concatenate(([0.0], np.cumsum(step)))


def _off_path(a: Trace, b: Trace) -> tuple[float, float]:
    """Largest distance of B's positions from A's path, and B's time there. The path's ends are left out."""
    keep = np.concatenate(([True], np.diff(_driven(a) // GRID_M) > 0))
    x, y = a.x_m[keep], a.y_m[keep]
    if x.size < 2:
        return 0.0, 0.0
    along = _driven(a)[keep]
    rows = np.flatnonzero(np.concatenate(([True], np.diff(_driven(b) // GRID_M) > 0)))
    worst, when = 0.0, 0.0
    way = _driven(b)
    for row in rows:
        first = max(int(np.searchsorted(along, way[row] - 20.0)) - 1, 0)
        last = min(int(np.searchsorted(along, way[row] + 20.0)) + 1, x.size - 1)
        if last <= first or last == x.size - 1:
            continue
        px, py = x[first:last], y[first:last]
        ux, uy = x[first + 1 : last + 1] - px, y[first + 1 : last + 1] - py
        share = ((b.x_m[row] - px) * ux + (b.y_m[row] - py) * uy) / np.maximum(ux * ux + uy * uy, 1e-12)  # fmt: skip
        share = np.clip(share, 0.0, 1.0)
        off = float(np.hypot(px + share * ux - b.x_m[row], py + share * uy - b.y_m[row]).min())
        if off > worst:
            worst, when = off, float(b.t_ns[row]) * 1e-9
    return worst, when


def _passing(a: Trace, b: Trace) -> tuple[float, float]:
    """Largest difference in time at equal distance driven, with its sign, and that distance."""
    way_a, way_b = _driven(a), _driven(b)
    grid = np.arange(GRID_M, min(way_a[-1], way_b[-1]), GRID_M)
    if not grid.size:
        return 0.0, 0.0
    rows = [
        np.minimum(np.searchsorted(way, grid, side="right"), way.size - 1) for way in (way_a, way_b)
    ]
    # Where either side stops or creeps, half a metre may be half a minute: that is another place, not another time.
    rolls = (a.speed_mps[rows[0]] > PASSING_MPS) & (b.speed_mps[rows[1]] > PASSING_MPS)
    if not rolls.any():
        return 0.0, 0.0
    grid = grid[rolls]
    times = [a.t_ns[rows[0][rolls]] * 1e-9, b.t_ns[rows[1][rolls]] * 1e-9]
    late = times[1] - times[0]
    k = int(np.argmax(np.abs(late)))
    return float(late[k]), float(grid[k])


def _events(a: Trace, b: Trace, one: list[Event], two: list[Event]) -> dict[str, float]:
    late: dict[str, float] = {}
    mine = [[e for e in events if e.subject == str(t.id) and e.kind in _TIMED] for t, events in ((a, one), (b, two))]  # fmt: skip
    seen: list[dict[str, int]] = [{}, {}]
    for side, events in enumerate(mine):
        for event in events:
            seen[side].setdefault(f"{event.kind} {event.text}".strip(), event.t_ns)
    for key, t_ns in seen[0].items():
        if key in seen[1]:
            late[key.replace("_", " ")] = (seen[1][key] - t_ns) * 1e-9
    return late


def _response(trace: Trace, dt_s: float, turn: float | None) -> Response:
    command, accel = trace.command_accel_mps2, trace.accel_mps2
    moving = trace.speed_mps > MOVING_MPS
    best, lag_at, gain = -1.0, 0.0, 0.0
    for lag in range(round(LAGS_S / dt_s)):
        left, right = command[: command.size - lag], accel[lag:]
        use = moving[lag:]
        x, y = left[use], right[use]
        scale = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
        if scale == 0.0:
            continue
        fit = float(np.sum(x * y)) / scale
        if fit > best:
            best, lag_at, gain = fit, lag * dt_s, float(np.sum(x * y) / np.sum(x * x))
    return Response(lag_at, gain, turn)


def _turn(trace: Trace) -> float | None:
    """Yaw rate per v tan(steer) where it turns; the inverse of a wheelbase."""
    wish = trace.speed_mps * np.tan(trace.steer_rad)
    use = (trace.speed_mps > MOVING_MPS) & (np.abs(trace.yaw_rate_radps) > TURNING_RADPS) & (wish != 0.0)  # fmt: skip
    return float(np.median(trace.yaw_rate_radps[use] / wish[use])) if use.any() else None


def _reasons(a: Response, b: Response, apart: float, path: float, passing: float) -> tuple[str, ...]:  # fmt: skip
    out = [
        f"{apart - min(path, apart):.2f} m of the largest distance is timing, at most {path:.2f} m is another path",
        f"acceleration follows its command after {a.accel_lag_s:.2f} s / {b.accel_lag_s:.2f} s with gain {a.accel_gain:.3f} / {b.accel_gain:.3f}",
    ]
    if b.turn_gain is not None:
        out.append(
            f"for the same wheel angle and speed B turns {100.0 * (b.turn_gain - 1.0):+.1f} % (tyre slip, place of the rear axle)"
        )
    if abs(passing) > 1.0:
        out.append(
            "a light, a gap in traffic or a station's timetable met a little earlier or later multiplies a small difference in time"
        )
    return tuple(out)
