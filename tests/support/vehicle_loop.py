"""A small closed loop around one on-board unit: body dynamics as the plant, noisy sensors, walkers and cars on rails.

No sim, no road file: the corridor is laid out by hand. Everything random comes from one seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np

from protocols.messages import Maneuver, Map, MapLane, MapMovement, SensorSharing, Spat
from protocols.participant import Inbox, Outbox, Received
from protocols.sensing import CabinReading, Gnss, Imu, ObjectList, Odometry, Readings
from protocols.simtime import Now
from vehicle.driving import Corridor, Mission
from vehicle.driving.corridor import CrossingEvent, JunctionEvent, LineEvent, StationEvent
from vehicle.dynamics import BodyParams, VehicleParams, step_bodies
from vehicle.fusion import Tracks
from vehicle.onboard import OnboardConfig, OnboardUnit
from vehicle.planning import ReferencePath, resample

NO_MISSION = Mission(0, 0.0, (), 0, 0.0)


class NoLanes:
    """Stands in for the lane placer where a test has a path and no road network."""

    def place(self, tracks: Tracks) -> Tracks:
        """Nobody is moved."""
        return tracks


def path_of(
    pieces: list[tuple[float, float]], limit_mps: float, *, origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    half_width_m: float = 1.75,
) -> ReferencePath:  # fmt: skip
    """Path of (length, curvature) pieces, integrated at 1 cm."""
    step = 0.01
    kappa = np.concatenate([np.full(round(length / step), k) for length, k in pieces])
    yaw = origin[2] + np.concatenate(([0.0], np.cumsum(kappa * step)))
    mid = 0.5 * (yaw[1:] + yaw[:-1])
    x = origin[0] + np.concatenate(([0.0], np.cumsum(np.cos(mid) * step)))
    y = origin[1] + np.concatenate(([0.0], np.cumsum(np.sin(mid) * step)))
    pick = slice(None, None, 50)
    s = np.arange(x.size) * step
    k = np.append(kappa, kappa[-1])
    n = s[pick].size
    return resample(
        s[pick], x[pick], y[pick], yaw[pick], k[pick], np.full(n, limit_mps), np.full(n, half_width_m),
        np.full(n, half_width_m),
    )  # fmt: skip


def corridor_of(
    path: ReferencePath, *, start_s_m: float = 40.0, end_s_m: float | None = None, lines: tuple[LineEvent, ...] = (),
    junctions: tuple[JunctionEvent, ...] = (), crossings: tuple[CrossingEvent, ...] = (),
    stations: tuple[StationEvent, ...] = (),
) -> Corridor:  # fmt: skip
    """A corridor without a road network."""
    end = path.length_m - 1.0 if end_s_m is None else end_s_m
    return Corridor(path, start_s_m, end, lines, junctions, crossings, stations, ())


@dataclass
class Thing:
    """Something that moves by itself: pose(t_s) -> x, y, yaw, speed."""

    pose: Callable[[float], tuple[float, float, float, float]]
    kind: int = 1
    length_m: float = 4.5
    width_m: float = 1.8
    is_seen: Callable[[float], bool] = lambda _t: True


@dataclass
class Trace:
    """What happened, one row per 10 ms tick."""

    t_s: list[float] = field(default_factory=list)
    front_s_m: list[float] = field(default_factory=list)
    offset_m: list[float] = field(default_factory=list)
    speed_mps: list[float] = field(default_factory=list)
    accel_mps2: list[float] = field(default_factory=list)
    yaw_rate_radps: list[float] = field(default_factory=list)
    command: list[tuple[float, float]] = field(default_factory=list)
    doors: list[int] = field(default_factory=list)
    modes: list[tuple[float, str, str]] = field(default_factory=list)
    sent: list[tuple[float, object]] = field(default_factory=list)
    gap_m: list[float] = field(
        default_factory=list
    )  # true distance to the nearest thing ahead, bumper to its near end

    def column(self, name: str) -> np.ndarray:
        """One column as an array."""
        return np.asarray(getattr(self, name), dtype=np.float64)

    def jerk_mps3(self, window_s: float = 0.5) -> np.ndarray:
        """Change of acceleration over a window."""
        a = self.column("accel_mps2")
        n = round(window_s / 0.01)
        return (a[n:] - a[:-n]) / window_s


@dataclass(frozen=True)
class Noise:
    """1-sigma values of the sensors."""

    gnss_m: float = 0.05
    accel_mps2: float = 0.05
    yaw_rate_radps: float = 0.002
    yaw_rad: float = 0.002
    speed_mps: float = 0.02


QUIET = Noise(0.0, 0.0, 0.0, 0.0, 0.0)


def drive(
    corridor: Corridor, params: VehicleParams, duration_s: float, *, seed: int = 1, noise: Noise = QUIET,
    speed_mps: float = 0.0, things: tuple[Thing, ...] = (), spat: Callable[[int], Spat | None] = lambda _t: None,
    config: OnboardConfig | None = None, start_ns: int = 0, cabin: Callable[[float, int], CabinReading] | None = None,
    until: Callable[[Trace], bool] = lambda _t: False, ssm: Callable[[int], SensorSharing | None] = lambda _t: None,
) -> tuple[Trace, OnboardUnit]:  # fmt: skip
    """Run one unit for `duration_s`."""
    with (
        patch("vehicle.onboard.build_corridor", lambda *_: corridor),
        patch("vehicle.onboard.read_map", lambda _: (NoLanes(), None)),
    ):
        unit = OnboardUnit("obu/test", 5, None, params, config or OnboardConfig(), NO_MISSION)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    x0, y0, yaw0 = corridor.path.at(corridor.start_s_m - params.front_x_m)
    state = [np.array([v], np.float64) for v in (x0, y0, yaw0, speed_mps, 0.0, 0.0, 0.0, 0.0)]
    x, y, yaw, speed, accel, yaw_rate, steer, hitch = state
    body, row = BodyParams.of([params]), np.zeros(1, np.int32)
    trace = Trace()
    accel_cmd, steer_cmd, doors = 0.0, 0.0, 0
    seen_map = map_of(corridor)
    first_tick = start_ns // 10_000_000
    for k in range(round(duration_s * 100)):
        t_s, t_ns = k * 0.01, start_ns + k * 10_000_000
        if k % unit.period_ticks == 0:
            messages = []
            if k % 10 == 0 and (lights := spat(t_ns)) is not None:
                messages.append(Received("v2x/spat", "rsu/1", k, t_ns, t_ns, lights))
            if k % 10 == 0 and (shared := ssm(t_ns)) is not None:
                messages.append(Received("v2x/ssm", "rsu/1", k, t_ns, t_ns, shared))
            if k % 100 == 0:
                messages.append(Received("v2x/map", "rsu/1", k, t_ns, t_ns, seen_map))
            draw = rng.normal(size=6)
            readings = Readings(
                gnss=Gnss(t_ns, x[0] + noise.gnss_m * draw[0], y[0] + noise.gnss_m * draw[1], 0.0, max(noise.gnss_m, 0.01))
                if k % 10 == 0
                else None,
                imu=Imu(
                    t_ns, accel[0] + noise.accel_mps2 * draw[2], yaw_rate[0] + noise.yaw_rate_radps * draw[3],
                    yaw[0] + noise.yaw_rad * draw[4],
                ),
                odometry=Odometry(
                    t_ns, max(speed[0] + (noise.speed_mps * draw[5] if speed[0] > 0 else 0.0), 0.0), steer[0], hitch[0]
                ),
                objects=_see(t_ns, t_s, things, x[0], y[0], yaw[0]) if k % 10 == 4 else None,
                cabin=CabinReading(t_ns, doors, True, 0, False, ()) if cabin is None else cabin(t_s, doors),
            )  # fmt: skip
            out: Outbox = unit.on_tick(Now(first_tick + k, t_ns), Inbox(tuple(messages), readings))
            assert out.vehicle is not None
            accel_cmd, steer_cmd, doors = (
                out.vehicle.accel_mps2,
                out.vehicle.steer_rad,
                out.vehicle.open_doors,
            )
            if out.plan is not None:
                trace.modes.append((t_s, out.plan.mode, out.plan.reason))
            trace.sent.extend((t_s, item) for item in out.transmissions)
        step_bodies(row, *state, np.array([accel_cmd]), np.array([steer_cmd]), body, 0.01)
        s, d = _place(corridor.path, float(x[0]), float(y[0]))
        trace.t_s.append(t_s)
        trace.front_s_m.append(s + params.front_x_m)
        trace.offset_m.append(d)
        trace.speed_mps.append(float(speed[0]))
        trace.accel_mps2.append(float(accel[0]))
        trace.yaw_rate_radps.append(float(yaw_rate[0]))
        trace.command.append((accel_cmd, steer_cmd))
        trace.doors.append(doors)
        if until(trace):
            break
    return trace, unit


def _place(path: ReferencePath, x: float, y: float) -> tuple[float, float]:
    """Foot point on the polyline, independent of the code under test: (s, d)."""
    i = int(np.argmin((path.x_m - x) ** 2 + (path.y_m - y) ** 2))
    a = min(max(i - 1, 0), path.x_m.size - 3)
    best = (np.inf, 0.0, 0.0)
    for j in (a, a + 1):
        ux, uy = path.x_m[j + 1] - path.x_m[j], path.y_m[j + 1] - path.y_m[j]
        length = float(np.hypot(ux, uy))
        along = ((x - path.x_m[j]) * ux + (y - path.y_m[j]) * uy) / length
        across = ((y - path.y_m[j]) * ux - (x - path.x_m[j]) * uy) / length
        # the arc bulges over its chord by k (l^2/8 - (along - l/2)^2 / 2)
        bulge = -0.5 * path.curvature_per_m[j] * along * (length - along)
        excess = max(-along, along - length, 0.0)
        best = min(best, (excess, float(path.s_m[j] + along), float(across - bulge)))
    return best[1], best[2]


def _see(
    t_ns: int, t_s: float, things: tuple[Thing, ...], x: float, y: float, yaw: float
) -> ObjectList:
    rows = [(thing, thing.pose(t_s)) for thing in things if thing.is_seen(t_s)]
    c, s = np.cos(yaw), np.sin(yaw)
    table = np.array(
        [
            (
                c * (p[0] - x) + s * (p[1] - y), c * (p[1] - y) - s * (p[0] - x), p[2] - yaw,
                p[3] * np.cos(p[2] - yaw), p[3] * np.sin(p[2] - yaw), thing.length_m, thing.width_m,
            )
            for thing, p in rows
        ]
    ).reshape(len(rows), 7)  # fmt: skip
    kind = np.array([thing.kind for thing, _ in rows], np.uint8)
    return ObjectList(t_ns, False, *table.T, kind, np.full(len(rows), 0.1))


def map_of(corridor: Corridor) -> Map:
    """MAP that names every signal line's movement; phase id = group + 1."""
    lanes = tuple(
        MapLane(
            line.from_lane, 3.5, None, 0, 0.0, 0.0, 0.0, (0.0,), (0.0,),
            (MapMovement(line.to_lanes[-1], Maneuver.STRAIGHT, line.group + 1),),
        )
        for line in corridor.lines
        if line.group >= 0
    )  # fmt: skip
    return Map(0, 1, "J", 0.0, 0.0, lanes)
