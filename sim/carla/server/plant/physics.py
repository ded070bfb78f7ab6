"""What a vehicle is made of: default physics from its box, wheels and mass, and what a client's physics means to the kernels.

`default` makes CARLA's `VehiclePhysicsControl` of a blueprint, `admit` cuts numbers a client sends to what physics can bear,
`fill` writes both into a row of the plant's matrix. Classes of vehicles and their numbers: `vehicle_physics.toml`.
"""

from __future__ import annotations

import math
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sim.carla.server.plant import layout as p
from sim.carla.wire import structs

AIR_KG_M3 = 1.2
FRONTAL_SHARE = 0.85  # of width x height
LEAST_LEVER_M = 0.1  # from the centre of mass to an axle
MAX_POINTS = 64  # of a curve
VAN_KG, PICKUP_KG, BICYCLE_KG, HEAVY_KG = 2600.0, 4000.0, 120.0, 6500.0

Row = npt.NDArray[np.float64]


class Body(Protocol):
    """What the plant needs of a blueprint: metres, kilograms; 0 is a wheelbase, radius or top speed nobody knows."""

    @property
    def extent(self) -> tuple[float, float, float]: ...
    @property
    def centre(self) -> tuple[float, float, float]: ...
    @property
    def wheels(self) -> int: ...
    @property
    def mass_kg(self) -> float: ...
    @property
    def base_type(self) -> str: ...
    @property
    def max_speed_mps(self) -> float: ...
    @property
    def wheelbase_m(self) -> float: ...
    @property
    def wheel_radius_m(self) -> float: ...


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "vehicle_physics.toml").read_text("utf-8"))


def kind_of(body: Body) -> str:
    """Its class in vehicle_physics.toml."""
    if body.base_type == "truck" and body.mass_kg < PICKUP_KG:
        return "van"
    if body.base_type in _tables():
        return body.base_type
    if body.wheels == 2:
        return "bicycle" if body.mass_kg < BICYCLE_KG else "motorcycle"
    if body.mass_kg > HEAVY_KG:
        return "truck"
    return "van" if body.mass_kg > VAN_KG else "car"


def _numbers(body: Body) -> dict[str, Any]:
    tables = _tables()
    return tables["all"] | tables[kind_of(body)]


def default(body: Body) -> structs.VehiclePhysicsControl:
    """As the blueprint leaves the factory. Bicycles have four wheels as well, two and two side by side, as in CARLA."""
    n = _numbers(body)
    mass = _cut(body.mass_kg, 1.0, 1e6)
    radius = _cut(body.wheel_radius_m or n["wheel_radius_m"], 0.1, 2.0)
    final = n["final_ratio"]
    ratios = list(n["gears"])
    reach = n["max_rpm"] * math.pi / 30.0 * radius / final  # speed at max_rpm, times the ratio
    if 0.0 < body.max_speed_mps < min(reach / ratios[-1], n["geared_below_mps"]):
        while len(ratios) > 1 and reach / ratios[-2] >= body.max_speed_mps:
            ratios.pop()
        final *= reach / ratios[-1] / body.max_speed_mps  # the limiter ends it there
    torque = n["launch_mps2"] * mass * radius / (ratios[0] * final)
    gears = [
        structs.GearPhysicsControl(
            ratio,
            # low enough to stay in a gear just entered
            0.0 if k == 0 else 0.75 * n["up_ratio"] * ratio / ratios[k - 1],
            n["up_ratio"],
        )
        for k, ratio in enumerate(ratios)
    ]
    front = 0.5 * (body.wheelbase_m or n["wheelbase_share"] * 2.0 * body.extent[0])
    side = n["track_share"] * body.extent[1]
    wheels = [
        structs.WheelPhysicsControl(
            n["tire_friction"],
            n["wheel_damping"],
            n["max_steer_deg"] if is_front else 0.0,
            100.0 * radius,
            0.25 * n["brake_mps2"] * mass * radius,
            0.0 if is_front else 0.5 * n["hand_brake_mps2"] * mass * radius,
            n["lat_stiff_max_load"],
            n["lat_stiff_value"],
            n["long_stiff_value"],
            structs.Vector3D(
                100.0 * (body.centre[0] + (front if is_front else -front)),
                100.0 * (body.centre[1] + y * side),
                100.0 * radius,
            ),
        )
        for is_front in (True, False)
        for y in (-1.0, 1.0)
    ]
    # a slow machine with few gears is held back at its wheels as others are in their top gear
    eased = n["gears"][-1] / n["gears"][0] * ratios[0] / ratios[-1]
    damp_full, damp_zero = (
        eased * share * torque / (n["max_rpm"] * math.pi / 30.0) for share in n["engine_damping"]
    )
    return structs.VehiclePhysicsControl(
        torque_curve=[
            structs.Vector2D(x * n["max_rpm"], share * torque) for x, share in n["torque"]
        ],
        max_rpm=n["max_rpm"],
        moi=n["moi"],
        damping_rate_full_throttle=damp_full,
        damping_rate_zero_throttle_clutch_engaged=damp_zero,
        damping_rate_zero_throttle_clutch_disengaged=damp_zero,
        use_gear_autobox=True,
        gear_switch_time=n["gear_switch_s"],
        clutch_strength=n["clutch_strength"],
        final_ratio=final,
        forward_gears=gears,
        mass=mass,
        drag_coefficient=n["drag_coefficient"],
        center_of_mass=structs.Location(body.centre[0], 0.0, 0.0),
        steering_curve=[structs.Vector2D(x, y) for x, y in n["steering_curve_kmh"]],
        wheels=wheels,
        use_sweep_wheel_collision=False,
    )


def _cut(x: float, low: float, high: float) -> float:
    """Within low..high; NaN is low."""
    return low if math.isnan(x) else min(max(float(x), low), high)


def _points(
    curve: list[structs.Vector2D], old: list[structs.Vector2D], high: float
) -> list[structs.Vector2D]:
    """A curve with rising x, or the old one."""
    new = [
        structs.Vector2D(_cut(at.x, -1e6, 1e6), _cut(at.y, 0.0, high)) for at in curve[:MAX_POINTS]
    ]
    rises = all(one.x <= two.x for one, two in pairwise(new))
    return new if new and rises else old


def admit(
    wish: structs.VehiclePhysicsControl, now: structs.VehiclePhysicsControl
) -> structs.VehiclePhysicsControl:
    """`wish` with every number in the range of a vehicle; what makes no sense at all stays as it is `now`.

    Where wheels are is the blueprint's matter: their positions are not taken over.
    """
    wheels = now.wheels
    if len(wish.wheels) == len(wheels):
        wheels = [
            structs.WheelPhysicsControl(
                _cut(new.tire_friction, 0.0, 100.0),
                _cut(new.damping_rate, 0.0, 1e6),
                _cut(new.max_steer_angle, 0.0, 85.0),
                _cut(new.radius, 1.0, 500.0),
                _cut(new.max_brake_torque, 0.0, 1e6),
                _cut(new.max_handbrake_torque, 0.0, 1e6),
                _cut(new.lat_stiff_max_load, 0.0, 1e6),
                _cut(new.lat_stiff_value, 0.1, 1e4),
                _cut(new.long_stiff_value, 0.0, 1e6),
                old.position,
            )
            for new, old in zip(wish.wheels, wheels, strict=True)
        ]
    gears = [
        structs.GearPhysicsControl(
            _cut(gear.ratio, 0.01, 100.0),
            _cut(gear.down_ratio, 0.0, 1.0),
            _cut(gear.up_ratio, 0.0, 1.0),
        )
        for gear in wish.forward_gears[:MAX_POINTS]
    ]
    com = wish.center_of_mass
    return structs.VehiclePhysicsControl(
        torque_curve=_points(wish.torque_curve, now.torque_curve, 1e6),
        max_rpm=_cut(wish.max_rpm, 10.0, 1e5),
        moi=_cut(wish.moi, 0.0, 1e6),
        damping_rate_full_throttle=_cut(wish.damping_rate_full_throttle, 0.0, 1e3),
        damping_rate_zero_throttle_clutch_engaged=_cut(
            wish.damping_rate_zero_throttle_clutch_engaged, 0.0, 1e3
        ),
        damping_rate_zero_throttle_clutch_disengaged=_cut(
            wish.damping_rate_zero_throttle_clutch_disengaged, 0.0, 1e3
        ),
        use_gear_autobox=bool(wish.use_gear_autobox),
        gear_switch_time=_cut(wish.gear_switch_time, 0.0, 10.0),
        clutch_strength=_cut(wish.clutch_strength, 0.0, 1e6),
        final_ratio=_cut(wish.final_ratio, 0.01, 100.0),
        forward_gears=gears or now.forward_gears,
        mass=_cut(wish.mass, 1.0, 1e6),
        drag_coefficient=_cut(wish.drag_coefficient, 0.0, 1e3),
        center_of_mass=structs.Location(
            _cut(com.x, -100.0, 100.0), _cut(com.y, -100.0, 100.0), _cut(com.z, -100.0, 100.0)
        ),
        steering_curve=_points(wish.steering_curve, now.steering_curve, 1.0),
        wheels=wheels,
        use_sweep_wheel_collision=bool(wish.use_sweep_wheel_collision),
    )


def _sampled(curve: list[structs.Vector2D], last: float) -> Row:
    """SAMPLES equally spaced values over 0..last."""
    x = np.linspace(0.0, last, p.SAMPLES)
    return np.interp(x, [at.x for at in curve], [at.y for at in curve])


def fill(row: Row, pc: structs.VehiclePhysicsControl, body: Body) -> None:
    """The parameters of one vehicle; its state stays."""
    n = _numbers(body)
    half = max(len(pc.wheels) // 2, 1)
    front, rear = pc.wheels[:half], pc.wheels[half:]
    axle_f = float(np.mean([w.position.x for w in front])) / 100.0
    axle_r = float(np.mean([w.position.x for w in rear])) / 100.0
    com = _cut(pc.center_of_mass.x, axle_r + LEAST_LEVER_M, axle_f - LEAST_LEVER_M)
    radius = float(np.mean([w.radius for w in pc.wheels])) / 100.0
    row[p.FRONT_M], row[p.REAR_M], row[p.COM_X] = axle_f - com, com - axle_r, com
    row[p.FRICTION_F] = np.mean([w.tire_friction for w in front])
    row[p.FRICTION_R] = np.mean([w.tire_friction for w in rear])
    row[p.STIFF_F] = np.mean([w.lat_stiff_value for w in front])
    row[p.STIFF_R] = np.mean([w.lat_stiff_value for w in rear])
    row[p.BRAKE_N] = sum(w.max_brake_torque / (w.radius / 100.0) for w in pc.wheels)
    row[p.HAND_N] = sum(w.max_handbrake_torque / (w.radius / 100.0) for w in pc.wheels)
    area = FRONTAL_SHARE * 4.0 * _cut(body.extent[1], 0.1, 10.0) * _cut(body.extent[2], 0.1, 10.0)
    row[p.DRAG] = 0.5 * AIR_KG_M3 * pc.drag_coefficient * area
    row[p.STEER_RAD] = math.radians(float(np.mean([w.max_steer_angle for w in front])))
    last = max(pc.steering_curve[-1].x, 1.0)
    row[p.STEER_PER_KMH] = (p.SAMPLES - 1) / last
    row[p.STEERING : p.STEERING + p.SAMPLES] = _sampled(pc.steering_curve, last)
    row[p.TORQUE : p.TORQUE + p.SAMPLES] = _sampled(pc.torque_curve, pc.max_rpm)
    row[p.RADIUS_M], row[p.FINAL] = radius, pc.final_ratio
    gears = pc.forward_gears[: p.MAX_GEARS]
    row[p.GEARS], row[p.MAX_RPM] = len(gears), pc.max_rpm
    for k, gear in enumerate(gears):
        row[p.RATIO + k], row[p.UP + k], row[p.DOWN + k] = gear.ratio, gear.up_ratio, gear.down_ratio  # fmt: skip
    row[p.REVERSE] = gears[0].ratio
    row[p.SWITCH_S], row[p.IS_AUTOBOX] = pc.gear_switch_time, float(pc.use_gear_autobox)
    row[p.DAMP_FULL] = pc.damping_rate_full_throttle
    row[p.DAMP_ZERO] = pc.damping_rate_zero_throttle_clutch_engaged
    row[p.IDLE_RPM] = min(n["idle_rpm"], 0.5 * pc.max_rpm)
    row[p.ROLLING] = n["rolling"]
    row[p.GYRATION2] = gyration2(body.extent)


def gyration2(extent: tuple[float, float, float]) -> float:
    """Yaw inertia of a box per mass, m^2."""
    x, y = _cut(extent[0], 0.05, 200.0), _cut(extent[1], 0.05, 200.0)
    return (x * x + y * y) / 3.0
