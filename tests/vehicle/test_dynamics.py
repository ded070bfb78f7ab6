"""Bodies move as geometry says: circles close, joints settle, brakes stop and hold."""

from __future__ import annotations

from math import asin, atan, atan2, exp, hypot, pi, tan

import numpy as np
import pytest
from pytest import approx

from protocols.errors import ConfigError
from vehicle.dynamics import (
    BodyParams,
    VehicleParams,
    _kernels,
    catalogue,
    step_bodies,
    vehicle_params,
)

BUS = vehicle_params("articulated_bus_18m")


def bodies(n: int = 1, **start: float) -> dict[str, np.ndarray]:
    names = ("x", "y", "yaw", "speed", "accel", "yaw_rate", "steer", "hitch")
    return {name: np.full(n, start.get(name, 0.0)) for name in names}


def run(
    state: dict[str, np.ndarray], params: VehicleParams, accel: float, steer: float, seconds: float, dt: float = 0.01
) -> None:  # fmt: skip
    n = state["x"].size
    table = BodyParams.of([params] * n)
    for _ in range(round(seconds / dt)):
        step_bodies(
            np.arange(n, dtype=np.int32),
            *state.values(),
            np.full(n, accel),
            np.full(n, steer),
            table,
            dt,
        )


def test_the_catalogue_adds_up_to_the_published_lengths() -> None:
    # Citaro G: 17.940 m over all, of which 2.705 + 5.845 + 1.75 lie before the joint
    assert BUS.total_length_m == approx(17.94)
    assert BUS.length_m == approx(10.30)
    assert vehicle_params("bus_12m").total_length_m == approx(11.95)
    assert vehicle_params("shuttle").total_length_m < 6.0
    assert vehicle_params("shuttle").max_speed_mps == approx(40 / 3.6, abs=0.01)


def test_every_catalogue_vehicle_is_physically_possible() -> None:
    for params in catalogue().values():
        assert 0.0 < params.accel_lag_s < 1.0
        assert 0.0 < params.max_steer_rad < pi / 2
        assert params.max_decel_mps2 >= params.service_decel_mps2
        assert params.is_articulated == (params.hitch_x_m < 0.0)


def test_an_unknown_vehicle_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'tram'.*articulated_bus_18m"):
        vehicle_params("tram")


def test_a_full_circle_ends_where_it_began() -> None:
    radius = 20.0
    steer = atan(BUS.wheelbase_m / radius)
    state = bodies(speed=5.0, steer=steer)
    # 2 pi R / v = 25.1327 s; the last step is shortened so that the circle is exactly full
    run(state, BUS, 0.0, steer, 25.13)
    rest = 2 * pi * radius / 5.0 - 25.13
    run(state, BUS, 0.0, steer, rest, dt=rest)
    assert hypot(state["x"][0], state["y"][0]) < 1e-9
    assert atan2(np.sin(state["yaw"][0]), np.cos(state["yaw"][0])) == approx(0.0, abs=1e-9)


@pytest.mark.parametrize("radius", [12.5, 25.0, 80.0])
def test_the_joint_settles_at_the_angle_of_two_tangent_circles(radius: float) -> None:
    steer = atan(BUS.wheelbase_m / radius)
    state = bodies(speed=4.0, steer=steer)
    run(state, BUS, 0.0, steer, 25.0)
    # Both sections turn about one centre: the joint lies hypot(R, a) from it; seen from there the front axle line is
    # turned by atan(a / R), the rear section by asin(b / hypot(R, a)).
    a, b = 1.75, 4.24
    assert state["hitch"][0] == approx(atan(a / radius) + asin(b / hypot(radius, a)), abs=1e-6)


def test_the_rear_section_swings_out_first_and_straightens_behind() -> None:
    state = bodies(speed=5.0, hitch=0.5)
    run(state, BUS, 0.0, 0.0, 6.0)
    # straight ahead: phi' = -v sin(phi) / b, so tan(phi/2) decays with exp(-v t / b)
    assert tan(state["hitch"][0] / 2) == approx(tan(0.25) * exp(-5.0 * 6.0 / 4.24), rel=1e-6)


def test_the_brake_stops_and_then_holds() -> None:
    state = bodies(speed=10.0)
    run(state, BUS, -2.0, 0.0, 8.0)
    # v^2 / 2a = 25 m, plus v tau while the brake builds up; second-order in tau: - a tau^2 / 2 ... stays within 0.1 m
    assert state["x"][0] == approx(25.0 + 10.0 * BUS.accel_lag_s, abs=0.1)
    assert state["speed"][0] == 0.0
    held = state["x"][0]
    run(state, BUS, -3.0, 0.3, 5.0)
    assert state["x"][0] == held
    assert state["accel"][0] == 0.0


def test_acceleration_follows_its_command_with_the_drive_lag() -> None:
    state = bodies(speed=5.0)
    run(state, BUS, 1.0, 0.0, BUS.accel_lag_s)
    assert state["accel"][0] == approx(1.0 - exp(-1.0), abs=1e-9)


def test_steering_is_no_faster_than_its_rate() -> None:
    state = bodies(speed=1.0)
    run(state, BUS, 0.0, 0.7, 0.5)
    assert state["steer"][0] == approx(0.5 * BUS.max_steer_rate_radps, abs=1e-9)


def test_the_speed_limit_of_the_vehicle_is_kept() -> None:
    state = bodies(speed=19.0)
    run(state, BUS, 1.2, 0.0, 5.0)
    assert state["speed"][0] == approx(BUS.max_speed_mps)


def test_only_the_named_rows_move() -> None:
    state = bodies(n=3, speed=5.0)
    step_bodies(
        np.array([1], np.int32),
        *state.values(),
        np.zeros(1),
        np.zeros(1),
        BodyParams.of([BUS]),
        0.01,
    )
    assert state["x"].tolist() == [0.0, 0.05, 0.0]


def test_counts_that_disagree_are_refused() -> None:
    state = bodies(n=2)
    with pytest.raises(ValueError, match="2 rows to step, but 1 parameter rows"):
        step_bodies(
            np.arange(2, dtype=np.int32),
            *state.values(),
            np.zeros(2),
            np.zeros(2),
            BodyParams.of([BUS]),
            0.01,
        )


def test_the_kernel_is_its_own_python() -> None:
    rng = np.random.default_rng(3)
    one, two = bodies(n=8), bodies(n=8)
    for name in one:
        one[name][:] = rng.uniform(0.0, 0.4, 8)
    one["speed"][:] = rng.uniform(0.0, 15.0, 8)
    one["speed"][:2] = 0.005  # comes to rest inside a step
    for name in one:
        two[name][:] = one[name]
    names = list(catalogue().values())
    table = BodyParams.of([names[i % len(names)] for i in range(8)]).table
    rows = np.arange(8, dtype=np.int32)
    for _ in range(50):
        accel, steer = rng.uniform(-3, 2, 8), rng.uniform(-0.9, 0.9, 8)
        _kernels.step_bodies(rows, *one.values(), accel, steer, table, 0.01)
        _kernels.step_bodies.py_func(rows, *two.values(), accel, steer, table, 0.01)
    for name in one:
        assert one[name].tolist() == two[name].tolist(), name
