"""Every model has the distribution that its parameters say, on 10,000 samples, at a significance level of 0.001.

Kolmogorov-Smirnov for continuous errors, exact binomial for rates, chi-square for counts (scipy.stats). Seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from protocols.messages import ActorKind
from protocols.roads.network import F64
from protocols.sensing import ObjectList
from protocols.simtime import Now
from sim.sensors import draws
from sim.sensors.navigation import GnssSensor, ImuSensor, OdometrySensor
from sim.sensors.objects import ObjectSensor
from sim.sensors.params import GnssParams, ImuParams, ObjectParams, OdometryParams
from sim.sensors.surroundings import Place
from tests.sim.sensors.scene import LEVEL, Scene, at, model, ring

SAMPLES = 10_000
BODIES = 20
LOOKS = SAMPLES // BODIES


def is_normal(errors: F64, sigma: float) -> bool:
    return bool(stats.kstest(np.asarray(errors) / sigma, "norm").pvalue > LEVEL)


def has_rate(hits: int, tries: int, rate: float) -> bool:
    return bool(stats.binomtest(hits, tries, rate).pvalue > LEVEL)


def looks(sensor, scene: Scene, place: Place, count: int = LOOKS) -> list[ObjectList]:
    return [sensor.measure(at(k), place, scene.states, scene.statics) for k in range(count)]


def columns(lists: list[ObjectList], radius_m: float) -> tuple[F64, F64, F64]:
    """(range error, azimuth error, velocity along the line of sight) of every detection of a ring."""
    x = np.concatenate([item.x_m for item in lists])
    y = np.concatenate([item.y_m for item in lists])
    vx = np.concatenate([item.vx_mps for item in lists])
    vy = np.concatenate([item.vy_mps for item in lists])
    azimuth = np.arctan2(y, x)
    step = 2.0 * math.pi / BODIES
    nearest = (np.floor(azimuth / step) + 0.5) * step
    along = (vx * x + vy * y) / np.hypot(x, y)
    return np.hypot(x, y) - radius_m, azimuth - nearest, along


def test_draws_are_splitmix64_of_their_words():
    mask = 2**64 - 1

    def mix(state: int, word: int) -> int:
        z = (state + word * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    key = 2**63 + 12345
    got = draws.words(key, 10**12, 3, [0, 1, 2**40 + 7])
    assert got.tolist() == [mix(mix(mix(key, 10**12), who), 3) for who in (0, 1, 2**40 + 7)]


def test_the_sets_places_and_misses():
    scene = ring(BODIES, 40.0)
    params = ObjectParams(miss_probability=0.1, position_sigma_m=0.1, position_sigma_per_m=0.005)
    sensor = ObjectSensor(params, 3, "t", 10)
    lists = [
        sensor.from_pole(Now(k, at(k)), 0.0, 0.0, scene.states, scene.statics) for k in range(LOOKS)
    ]
    azimuth = 2.0 * math.pi * (np.arange(BODIES) + 0.5) / BODIES
    x = np.concatenate([item.x_m for item in lists])
    y = np.concatenate([item.y_m for item in lists])
    near = np.hypot(
        x[:, None] - 40.0 * np.cos(azimuth), y[:, None] - 40.0 * np.sin(azimuth)
    ).argmin(axis=1)
    assert has_rate(x.size, SAMPLES, 0.9)
    # 0.1 + 0.005 * 40 m on either axis.
    assert is_normal(x - 40.0 * np.cos(azimuth[near]), 0.3)
    assert is_normal(y - 40.0 * np.sin(azimuth[near]), 0.3)


def test_lidar_ranges_and_losses():
    scene = ring(BODIES, 30.0)
    sensor = model("lidar", "roof64", range_sigma_m=0.04, drop_out=0.1)
    errors, echoes, rays = [], 0, 0
    for k in range(5):
        sensor.scan(at(k), Place(0.0, 0.0, 2.2, 0.0), scene.states, scene.statics)
        is_body = sensor.hit >= 0
        rays += int(is_body.sum())
        came = is_body & np.isfinite(sensor.measured)
        echoes += int(came.sum())
        errors.append((sensor.measured - sensor.ground * sensor._secant)[came])
    error = np.concatenate(errors)
    assert error.size >= SAMPLES
    assert is_normal(error, 0.04)
    assert not is_normal(error, 0.042), "the test must notice five per cent"
    assert has_rate(echoes, rays, 0.9)


def test_radar_range_azimuth_and_radial_speed():
    scene = ring(BODIES, 50.0, speed_mps=0.0)
    # Cars drive straight away: all of their speed is along the line of sight.
    for row in range(BODIES):
        scene.states.yaw_rad[row] -= 0.5 * math.pi
        azimuth = scene.states.yaw_rad[row]
        scene.states.x_m[row] = (50.0 - 1.25) * math.cos(azimuth)
        scene.states.y_m[row] = (50.0 - 1.25) * math.sin(azimuth)
    scene.states.speed_mps[:BODIES] = 12.0
    sensor = model(
        "radar", "front77", field_of_view_rad=2.0 * math.pi, drop_out=0.0,
        range_sigma_m=0.25, azimuth_sigma_rad=0.006, speed_sigma_mps=0.1,
    )  # fmt: skip
    lists = looks(sensor, scene, Place(0.0, 0.0, 0.6, 0.0))
    r, azimuth, along = columns(lists, 50.0)
    # SNR of a car at 50 m is 3^4 times that at 150 m: practically always found.
    assert r.size >= 0.99 * SAMPLES
    assert is_normal(r, 0.25)
    assert is_normal(azimuth, 0.006)
    assert is_normal(along - 12.0, 0.1)


@pytest.mark.parametrize(
    ("kind", "rcs_m2", "range_m"),
    [
        (ActorKind.CAR, 10.0, 150.0),
        (ActorKind.CAR, 10.0, 190.0),
        (ActorKind.PEDESTRIAN, 0.5, 90.0),
    ],
)
def test_radar_detection_follows_the_radar_equation(kind: ActorKind, rcs_m2: float, range_m: float):
    # Swerling I: P_d = P_fa ^ (1 / (1 + SNR)), SNR ~ cross-section / range^4, P_d = 0.9 for 10 m2 at 150 m.
    at_reference = math.log(1e-6) / math.log(0.9) - 1.0
    snr = at_reference * rcs_m2 / 10.0 * (150.0 / range_m) ** 4
    expected = 1e-6 ** (1.0 / (1.0 + snr)) * (1.0 - 0.05)
    scene = ring(BODIES, range_m, kind=kind)
    sensor = model("radar", "front77", field_of_view_rad=2.0 * math.pi, drop_out=0.05)
    lists = looks(sensor, scene, Place(0.0, 0.0, 0.6, 0.0))
    assert 0.05 < expected < 0.95
    assert has_rate(sum(item.x_m.size for item in lists), SAMPLES, expected)


def test_clutter_is_poisson_in_number():
    counts = np.array([draws.poisson(7, at(k), 90, 1.5) for k in range(SAMPLES)])
    seen = np.bincount(np.minimum(counts, 6), minlength=7)
    expected = SAMPLES * stats.poisson(1.5).pmf(np.arange(7))
    expected[6] = SAMPLES - expected[:6].sum()
    assert stats.chisquare(seen, expected).pvalue > LEVEL


@pytest.mark.parametrize(
    ("kind", "name"), [("radar", "front77"), ("camera", "front"), ("lidar", "roof64")]
)
def test_an_empty_place_gives_as_many_objects_as_clutter_was_drawn(kind: str, name: str):
    small = {"channels": 1, "azimuth_steps": 8} if kind == "lidar" else {}
    sensor = model(kind, name, clutter_per_scan=1.5, **small)
    counts = [item.x_m.size for item in looks(sensor, Scene(), Place(0.0, 0.0, 1.5, 0.0), 100)]
    assert counts == [draws.poisson(7, at(k), 90, 1.5) for k in range(100)]


def test_radar_clutter_is_even_in_range_and_azimuth():
    sensor = model("radar", "front77", clutter_per_scan=2.0)
    lists = looks(sensor, Scene(), Place(0.0, 0.0, 0.6, 0.0), SAMPLES // 2)
    r = np.concatenate([np.hypot(item.x_m, item.y_m) for item in lists])
    azimuth = np.concatenate([np.arctan2(item.y_m, item.x_m) for item in lists])
    assert stats.kstest(r, stats.uniform(1.0, 199.0).cdf).pvalue > LEVEL
    assert stats.kstest(azimuth, stats.uniform(-0.6, 1.2).cdf).pvalue > LEVEL


def test_camera_errors_misses_and_classes():
    # Twenty cars in a fan of +-22 degrees, 40 m away, side-on: 6.4 degrees each would overlap, so they are narrow posts.
    scene = Scene()
    for k in range(BODIES):
        azimuth = math.radians(-22.0 + 44.0 * k / (BODIES - 1))
        scene.add(
            40.0 * math.cos(azimuth), 40.0 * math.sin(azimuth), azimuth, 0.0, 0.4, 0.6, 1.7,
            ActorKind.PEDESTRIAN, 0.2,
        )  # fmt: skip
    sensor = model(
        "camera", "front", miss_probability=0.1, range_sigma_per_m=0.0005, confusion=0.02,
        confusion_per_m=0.002,
    )  # fmt: skip
    lists = looks(sensor, scene, Place(0.0, 0.0, 1.5, 0.0))
    x = np.concatenate([item.x_m for item in lists])
    y = np.concatenate([item.y_m for item in lists])
    kind = np.concatenate([item.kind for item in lists])
    assert has_rate(x.size, SAMPLES, 0.9)
    # sigma of range: 0.0005 * 40^2 + 0.05 m.
    assert is_normal(np.hypot(x, y) - 40.0, 0.85)
    step = math.radians(44.0 / (BODIES - 1))
    azimuth = np.arctan2(y, x)
    nearest = np.round((azimuth + math.radians(22.0)) / step) * step - math.radians(22.0)
    assert is_normal(azimuth - nearest, 0.002)
    # 0.02 + 0.002 * 40 m are taken for something else; for a pedestrian that is a bicycle.
    assert has_rate(int((kind != ActorKind.PEDESTRIAN).sum()), x.size, 0.1)
    assert set(kind.tolist()) == {ActorKind.PEDESTRIAN, ActorKind.BICYCLE}


@pytest.mark.parametrize(("kind", "name"), [("radar", "front77"), ("camera", "front")])
def test_covariances_are_those_of_the_errors(kind: str, name: str):
    # With an honest covariance the normalised squared error of a place is chi-square with two degrees of freedom.
    post = {"length_m": 0.4, "width_m": 0.6, "rear_overhang_m": 0.2}
    scene = Scene()
    for k in range(BODIES):
        azimuth = math.radians(-22.0 + 44.0 * k / (BODIES - 1))
        scene.add(40.0 * math.cos(azimuth), 40.0 * math.sin(azimuth), **post)
    step = math.radians(44.0 / (BODIES - 1))
    squared = []
    for item in looks(model(kind, name), scene, Place(0.0, 0.0, 1.0, 0.0)):
        azimuth = np.round((np.arctan2(item.y_m, item.x_m) + math.radians(22.0)) / step) * step
        azimuth -= math.radians(22.0)
        dx, dy = item.x_m - 40.0 * np.cos(azimuth), item.y_m - 40.0 * np.sin(azimuth)
        assert item.cov_m2 is not None
        xx, xy, yy = item.cov_m2.T
        squared += ((yy * dx**2 - 2.0 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2)).tolist()
    assert len(squared) > 0.9 * SAMPLES
    if kind == "radar":
        assert stats.kstest(squared, stats.chi2(2).cdf).pvalue > LEVEL
    else:  # the camera's sigma comes from the measured range, so it is right on the average only
        assert np.mean(squared) == pytest.approx(2.0, rel=0.05)


def test_ultrasonic_distances_and_misses():
    scene = Scene()
    scene.add(4.0, 0.0, 0.5 * math.pi)  # its side is at 3.1 m
    sensor = model("ultrasonic", "bumper", range_sigma_m=0.02, miss_probability=0.1)
    lists = looks(sensor, scene, Place(0.0, 0.0, 0.5, 0.0), SAMPLES)
    x = np.concatenate([item.x_m for item in lists])
    assert has_rate(x.size, SAMPLES, 0.9)
    assert is_normal(x - 3.1, 0.02)


def drive(sensor, count: int = SAMPLES):
    scene = Scene()
    scene.add(0.0, 0.0, 0.0, 10.0)
    scene.states.x_m[0] = 0.0
    out = (sensor.sample(Now(k, k * 10_000_000), 0, scene.states) for k in range(count))
    return [item for item in out if item is not None]


def test_gnss_white_noise_is_normal():
    sensor = GnssSensor(GnssParams(period_ms=10, white_sigma_m=0.2, bias_sigma_m=0.0), 3, "a", 10)
    assert is_normal(np.array([fix.x_m for fix in drive(sensor)]), 0.2)


def test_imu_noise_is_normal_and_its_walk_grows_with_the_root_of_time():
    quiet = ImuParams(accel_bias_sigma_mps2=0.0, yaw_rate_bias_sigma_radps=0.0)
    assert is_normal(np.array([r.accel_mps2 for r in drive(ImuSensor(quiet, 3, "a", 10))]), 0.05)
    walk = ImuParams(
        accel_sigma_mps2=0.0, accel_bias_sigma_mps2=0.0, accel_walk_mps2_per_sqrt_s=0.1
    )
    track = np.array([r.accel_mps2 for r in drive(ImuSensor(walk, 3, "a", 10), SAMPLES + 1)])
    # Steps of a walk are independent normals of 0.1 * sqrt(0.01 s).
    assert is_normal(np.diff(track), 0.1 * math.sqrt(0.01))


def test_odometry_scale_is_drawn_once_and_steps_are_whole():
    params = OdometryParams(speed_sigma_mps=0.0, speed_scale_sigma=0.01)
    scales = [
        drive(OdometrySensor(params, 3, f"car{k}", 10), 1)[0].speed_mps / 10.0 - 1.0
        for k in range(2000)
    ]
    assert is_normal(np.array(scales), 0.01)
    coarse = OdometryParams(speed_sigma_mps=0.3, speed_scale_sigma=0.0, speed_step_mps=0.05)
    speeds = np.array([r.speed_mps for r in drive(OdometrySensor(coarse, 3, "a", 10))])
    assert np.abs(speeds / 0.05 - np.round(speeds / 0.05)).max() < 1e-9
    # A step of 0.05 adds the variance of a uniform of that width.
    assert speeds.std() == pytest.approx(math.sqrt(0.3**2 + 0.05**2 / 12.0), rel=0.03)
