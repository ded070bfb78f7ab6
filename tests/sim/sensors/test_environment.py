"""Sky, corrections and weather: RTK age moves the error class, tunnels take the fix, and a clear day changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from protocols.errors import ConfigError
from protocols.sensing import FixQuality, Gnss
from protocols.simtime import Now
from scenarios.spec import EnvironmentSpec
from sim.sensors.environment import (
    Corrections,
    Environment,
    Sky,
    SkyRegion,
    make_environment,
    reach_m,
)
from sim.sensors.navigation import GnssSensor
from sim.sensors.params import GnssParams, preset
from tests.sim.sensors.scene import LEVEL, Scene
from tests.support.corridor import corridor_net

RTK = GnssParams()
SQUARE = np.array([[-10.0, -10.0], [10.0, -10.0], [10.0, 10.0], [-10.0, 10.0]])


def fixes(
    env: Environment | None,
    params: GnssParams = RTK,
    seconds: float = 100.0,
    name: str = "a",
    x_m: float = 0.0,
) -> list[Gnss | None]:
    """What a standing receiver says every 100 ms."""
    scene = Scene()
    scene.add(0.0, 0.0)
    scene.states.x_m[0], scene.states.lane[0] = x_m, 0
    sensor = GnssSensor(params, 5, name, 100, env, np.array([3], np.int32))
    return [
        sensor.sample(Now(k, k * 100_000_000), 0, scene.states) for k in range(round(seconds * 10))
    ]


def test_a_clear_day_under_an_open_sky_is_the_preset_to_the_bit():
    for name in ("rtk", "standard"):
        params = preset(GnssParams, name)
        assert fixes(None, params) == fixes(Environment(), params)
    assert {f.quality for f in fixes(None) if f} == {FixQuality.RTK_FIX}
    assert {f.quality for f in fixes(None, preset(GnssParams, "standard")) if f} == {
        FixQuality.DGNSS
    }


def test_the_age_of_corrections_moves_the_class_and_the_error():
    # Epochs every second, none in [10, 100): the last one is of 9 s. Thresholds of the preset: 10 s and 60 s.
    env = Environment(corrections=Corrections(1.0, ((10.0, 100.0),)))
    got = fixes(env, seconds=120.0)
    quality = [f.quality if f else None for f in got]
    assert quality[0] is quality[189] is quality[190] is FixQuality.RTK_FIX  # age 10.0 s at 19.0 s
    assert quality[191] is quality[690] is FixQuality.RTK_FLOAT
    assert quality[691] is quality[999] is FixQuality.SINGLE
    assert quality[1000] is FixQuality.RTK_FIX
    sigma = [got[k].sigma_m for k in (0, 300, 800)]  # type: ignore[union-attr]
    assert sigma == [
        pytest.approx(math.hypot(0.015, 0.035)),
        pytest.approx(0.35),
        pytest.approx(1.5),
    ]


def test_errors_have_the_size_of_their_class():
    # Many receivers, one sample each in every class: errors are normal with the class's sigma, twice that in height.
    env = Environment(corrections=Corrections(1.0, ((1.0, 200.0),)))
    scene = Scene()
    scene.add(0.0, 0.0)
    scene.states.x_m[0] = scene.states.y_m[0] = 0.0
    params = GnssParams(period_ms=1000)
    errors: dict[FixQuality, list[float]] = {}
    sigma: dict[FixQuality, float] = {}
    for k in range(3334):  # three axes: 10,000 samples
        sensor = GnssSensor(params, 5, f"car{k}", 1000, env)
        for second in (5, 30, 100):
            fix = sensor.sample(Now(second, second * 1_000_000_000), 0, scene.states)
            assert fix is not None
            errors.setdefault(fix.quality, []).extend((fix.x_m, fix.y_m, 0.5 * fix.z_m))
            sigma[fix.quality] = fix.sigma_m
    assert list(errors) == [FixQuality.RTK_FIX, FixQuality.RTK_FLOAT, FixQuality.SINGLE]
    for quality, values in errors.items():
        assert len(values) >= 10_000
        assert stats.kstest(np.array(values) / sigma[quality], "norm").pvalue > LEVEL


def test_corrections_age_from_the_last_epoch_outside_every_outage():
    c = Corrections(2.0, ((3.0, 9.0), (11.0, 13.0)))
    ages = [c.age_s(t) for t in (0.0, 1.9, 3.9, 4.0, 9.9, 10.0, 11.9, 12.0, 14.0)]
    assert ages == pytest.approx([0.0, 1.9, 1.9, 2.0, 7.9, 0.0, 1.9, 2.0, 0.0])
    assert Corrections(1.0, ((0.0, 5.0),)).age_s(3.0) == math.inf
    assert Corrections(1.0, ((0.0, 1e9),)).age_s(1e8) == math.inf  # and at once


def test_a_tunnel_takes_the_fix_and_the_noise_afterwards_is_the_same():
    env = Environment(sky=(SkyRegion(Sky.TUNNEL, SQUARE),))
    assert all(f is None for f in fixes(env))
    scene = Scene()
    scene.add(0.0, 0.0)
    through, open_sky = (GnssSensor(GnssParams(), 5, "a", 100, e) for e in (env, None))
    for k in range(60):
        scene.states.x_m[0] = -30.0 + k
        now = Now(k, k * 100_000_000)
        a, b = through.sample(now, 0, scene.states), open_sky.sample(now, 0, scene.states)
        inside = abs(scene.states.x_m[0]) < 10.0
        assert (a is None) == inside or abs(abs(scene.states.x_m[0]) - 10.0) < 1e-9
        if a is not None:
            assert a == b


def test_a_canyon_costs_satellites_and_adds_echoes_that_last():
    env = Environment(sky=(SkyRegion(Sky.CANYON, None, frozenset({3})),))  # by road: the lane's
    got = [f for f in fixes(env, seconds=400.0) if f]
    # 24 satellites, three tenths of the sky: 7, enough for a float solution only.
    assert {f.quality for f in got} == {FixQuality.RTK_FLOAT}
    assert got[0].sigma_m > 0.35
    tracks = np.array(
        [[f.x_m for f in fixes(env, GnssParams(bias_sigma_m=0.0, white_sigma_m=1e-6, float_sigma_m=1e-6, single_sigma_m=1e-6), 100.0, f"car{k}") if f] for k in range(40)]
    )  # fmt: skip
    assert tracks.std() == pytest.approx(2.0, rel=0.15)  # the sky's multipath_sigma_m
    lag = np.mean(tracks[:, :-200] * tracks[:, 200:]) / np.mean(tracks**2)  # 20 s apart
    assert lag == pytest.approx(math.exp(-1.0), abs=0.15)


@pytest.mark.parametrize(
    ("constellation", "opened", "canyon"),
    [
        ("both", FixQuality.RTK_FIX, FixQuality.RTK_FLOAT),
        ("beidou", FixQuality.RTK_FIX, FixQuality.SINGLE),
        ("gps", FixQuality.RTK_FIX, None),
    ],
)
def test_fewer_satellites_mean_a_worse_class(
    constellation: str, opened: FixQuality, canyon: FixQuality | None
):
    params = GnssParams(constellation=constellation)
    under = Environment(sky=(SkyRegion(Sky.CANYON, SQUARE),))
    assert {f.quality if f else None for f in fixes(None, params)} == {opened}
    assert {f.quality if f else None for f in fixes(under, params)} == {canyon}
    factor = {"both": 1.0, "beidou": 1.25, "gps": 1.6}[constellation]
    first, plain = fixes(None, params)[0], fixes(None)[0]
    assert first is not None and plain is not None
    assert first.x_m == pytest.approx(plain.x_m * factor)
    assert first.sigma_m == pytest.approx(plain.sigma_m * factor)


def test_weather_and_light_do_nothing_to_gnss():
    storm = Environment(rain_mmph=100.0, fog_visibility_m=20.0)
    assert fixes(storm) == fixes(None)


def test_reach_solves_the_lidar_equation():
    for extinction in (1e-4, 0.002, 0.05):
        r = reach_m(120.0, extinction)
        assert r * math.exp(extinction * r) == pytest.approx(120.0)
    assert reach_m(120.0, 0.0) == 120.0
    # 25 mm/h: 1.076 * 25^0.67 = 9.3 dB/km one way.
    assert Environment(rain_mmph=25.0).extinction_per_m("lidar") == pytest.approx(
        9.3 / 4343, rel=0.01
    )
    assert Environment(fog_visibility_m=100.0).extinction_per_m("lidar") == pytest.approx(0.03912)
    assert Environment().extinction_per_m("camera") == Environment().drop_out("lidar") == 0.0


def test_a_region_is_checked_against_the_roads():
    net = corridor_net()
    good = EnvironmentSpec.model_validate({"sky": [{"kind": "tunnel", "roads": [net.roads.id[2]]}]})
    assert make_environment(good, net).sky[0].roads == frozenset({2})
    assert make_environment(EnvironmentSpec(), net) == Environment()
    bad = EnvironmentSpec.model_validate({"sky": [{"kind": "tunnel", "roads": ["nowhere"]}]})
    with pytest.raises(ConfigError, match=r"^environment\.sky\.0\.roads\.0: road 'nowhere'"):
        make_environment(bad, net)
    bad = EnvironmentSpec.model_validate({"rtcm": {"outage": [[5.0, 2.0]]}})
    with pytest.raises(ConfigError, match=r"^environment\.rtcm\.outage\.0: found \[5\.0, 2\.0\]"):
        make_environment(bad, net)
    with pytest.raises(ConfigError, match="expected one of beidou, both, gps"):
        GnssParams(constellation="galileo")
