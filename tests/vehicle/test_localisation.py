"""The localisation filter is as uncertain as it says, and no wrong fix drags it away."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from pytest import approx
from scipy.stats import chi2

from protocols.sensing import Gnss, Imu, Odometry
from vehicle.fusion import Estimate, FusionConfig, Localiser, _kernels

CONFIG = FusionConfig()


def circle(t_s: float, radius: float = 60.0, speed: float = 9.0) -> tuple[float, float, float]:
    angle = speed / radius * t_s
    return radius * sin(angle), radius * (1.0 - cos(angle)), angle


def simulate(
    seed: int, seconds: float, bias: float = 0.0
) -> tuple[Localiser, list[float], Estimate]:
    """Noise exactly as the filter believes it; squared normalised position-and-yaw errors each second from 3 s on."""
    rng = np.random.default_rng(seed)
    filt = Localiser(CONFIG)
    nees = []
    estimate = None
    for k in range(round(seconds * 50)):
        t_ns = k * 20_000_000
        x, y, yaw = circle(t_ns * 1e-9)
        draw = rng.normal(size=6)
        gnss = Gnss(t_ns, x + 0.2 * draw[0], y + 0.2 * draw[1], 0.0, 0.2) if k % 5 == 0 else None
        imu = Imu(
            t_ns, CONFIG.accel_sigma_mps2 * draw[2], 9.0 / 60.0 + bias + CONFIG.gyro_sigma_radps * draw[3],
            yaw + CONFIG.yaw_sigma_rad * draw[4],
        )  # fmt: skip
        odometry = Odometry(t_ns, 9.0 + CONFIG.odometry_sigma_mps * draw[5], 0.1, 0.0)
        estimate = filt.update(t_ns, gnss, imu, odometry)
        if k >= 150 and k % 50 == 0:
            turn = (estimate.yaw_rad - yaw + pi) % (2 * pi) - pi
            error = np.array((estimate.x_m - x, estimate.y_m - y, turn))
            nees.append(float(error @ np.linalg.solve(filt.covariance[:3, :3], error)))
    assert estimate is not None
    return filt, nees, estimate


def test_errors_are_as_large_as_the_covariance_claims() -> None:
    # 30 runs x 5 looks, 1 s apart, 3 degrees of freedom each. Looks within a run are correlated, so the band is that of 60
    # independent looks at the 99.8 % level: the mean lies in chi2_180 / 60.
    values = [value for seed in range(30) for value in simulate(seed, 8.0)[1]]
    low, high = chi2.ppf(0.001, 180) / 60, chi2.ppf(0.999, 180) / 60
    assert len(values) == 150
    assert low < float(np.mean(values)) < high


def test_the_position_is_much_better_than_one_fix() -> None:
    errors = []
    for seed in range(10):
        _, _, estimate = simulate(seed, 10.0)
        x, y, _ = circle(499 * 0.02)
        errors.append((estimate.x_m - x) ** 2 + (estimate.y_m - y) ** 2)
    assert np.sqrt(np.mean(errors)) < 0.12  # a fix alone: 0.2 * sqrt 2 = 0.28


def test_a_gyro_bias_is_found() -> None:
    filt, _, _ = simulate(1, 60.0, bias=0.002)
    assert float(filt.state[4]) == approx(0.002, abs=0.0008)


def test_a_wild_fix_is_refused_and_a_lasting_move_believed() -> None:
    filt, _, _ = simulate(2, 6.0)
    t0 = 6_000_000_000
    x, y, yaw = circle(6.0)
    wild = Gnss(t0, x + 30.0, y, 0.0, 0.2)
    after = filt.update(t0, wild, Imu(t0, 0.0, 0.15, yaw), Odometry(t0, 9.0, 0.0, 0.0))
    assert abs(after.x_m - x) < 0.5
    for k in range(1, 16):
        t_ns = t0 + k * 100_000_000
        x, y, yaw = circle(t_ns * 1e-9)
        after = filt.update(
            t_ns,
            Gnss(t_ns, x + 30.0, y, 0.0, 0.2),
            Imu(t_ns, 0.0, 0.15, yaw),
            Odometry(t_ns, 9.0, 0.0, 0.0),
        )
    assert after.x_m - x == approx(30.0, abs=1.0)


def test_an_old_fix_is_moved_forward() -> None:
    filt = Localiser(CONFIG)
    filt.update(0, Gnss(0, 0.0, 0.0, 0.0, 0.01), Imu(0, 0.0, 0.0, 0.0), Odometry(0, 10.0, 0.0, 0.0))
    for k in range(1, 11):
        t_ns = k * 20_000_000
        fix = (
            Gnss(t_ns - 100_000_000, 10.0 * (t_ns * 1e-9 - 0.1), 0.0, 0.0, 0.01)
            if k == 10
            else None
        )
        estimate = filt.update(t_ns, fix, Imu(t_ns, 0.0, 0.0, 0.0), Odometry(t_ns, 10.0, 0.0, 0.0))
    assert estimate.x_m == approx(2.0, abs=0.01)  # 10 m/s for 0.2 s


def test_it_waits_for_a_fix_and_a_heading() -> None:
    filt = Localiser(CONFIG)
    filt.update(0, None, Imu(0, 0.0, 0.0, 0.3), Odometry(0, 0.0, 0.0, 0.0))
    assert not filt.is_ready
    filt.update(
        10_000_000, Gnss(10_000_000, 5.0, 6.0, 0.0, 0.1), Imu(10_000_000, 0.0, 0.0, 0.3), None
    )
    assert filt.is_ready
    assert filt.state[:3].tolist() == [5.0, 6.0, 0.3]


def test_the_kernel_is_its_own_python() -> None:
    rng = np.random.default_rng(4)
    noise = np.array((0.15, 0.004, 2e-5, 0.05, 0.004, 5.0))
    one, two = np.zeros(5), np.zeros(5)
    cov_one, cov_two = np.diag((1.0, 1.0, 0.01, 0.25, 1e-6)), np.diag((1.0, 1.0, 0.01, 0.25, 1e-6))
    for k in range(40):
        z = rng.normal(size=10)
        z[0], z[1], z[2], z[4] = 0.02, float(k % 2), float(k % 3 > 0), 0.3 if k % 5 == 0 else 0.0
        a = _kernels.localise(one, cov_one, z, noise, False, np.eye(5), np.zeros((5, 5)))
        b = _kernels.localise.py_func(two, cov_two, z, noise, False, np.eye(5), np.zeros((5, 5)))
        assert a == b
    assert one.tolist() == two.tolist()
    assert cov_one.tolist() == cov_two.tolist()


def test_wheels_that_stand_are_believed_over_a_biased_accelerometer() -> None:
    # 0.2 m/s2 of bias against wheels believed to 0.05 m/s would settle at some centimetres a second: no door would open.
    filter_ = Localiser(FusionConfig())
    filter_.update(0, Gnss(0, 0.0, 0.0, 0.0, 0.02), Imu(0, 0.2, 0.0, 0.0), None)
    for k in range(1, 200):
        t_ns = k * 10_000_000
        own = filter_.update(t_ns, None, Imu(t_ns, 0.2, 0.0, 0.0), Odometry(t_ns, 0.0, 0.0, 0.0))
    assert own.speed_mps == 0.0
