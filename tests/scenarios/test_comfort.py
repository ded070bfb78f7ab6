"""Comfort figures against values worked out by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from scenarios.criteria.context import RearSection
from scenarios.criteria.limits import table
from scenarios.criteria.motion import Ride, low_pass, rear_motion
from tests.support.traces import cut, seconds_of, trace

LIMITS = {"a_x": 1.2, "a_y": 1.0, "jerk": 1.0}


def ride(block, sizes=(1000,), rear=None, emergency_mps2=2.5) -> Ride:
    """Comfort of one trace, fed in blocks."""
    out = Ride(LIMITS, emergency_mps2, rear)
    for part in cut(block, list(sizes)):
        out.add(part)
    out.finish()
    return out


def amplitude_after_low_pass(frequency_hz: float) -> float:
    """Half the swing of a unit sine after the filter, 10 ms ticks, 16 samples wide."""
    wave = np.sin(2 * np.pi * frequency_hz * seconds_of(20.0))[None, :]
    out = low_pass(wave, 16)[0]
    return float(np.ptp(out) / 2)


def test_the_low_pass_keeps_a_constant_and_takes_three_decibels_at_two_hertz():
    assert low_pass(np.full((1, 100), 0.7), 16)[0] == approx(0.7, abs=1e-12)
    # (sin x / x)^2 at x = pi * 2 Hz * 0.16 s = 1.0053 is 0.705.
    assert amplitude_after_low_pass(2.0) == approx(0.705, abs=0.01)
    assert amplitude_after_low_pass(0.2) == approx(1.0, abs=0.01)
    # 6.25 Hz has exactly one period in the window.
    assert amplitude_after_low_pass(6.25) < 1e-9


def test_a_steady_pull_has_its_own_size_and_no_jerk():
    felt = ride(trace(20.0, accel_mps2=0.9)).channels
    assert felt["a_x"].peak == approx(0.9)
    assert felt["a_x"].p95 == approx(0.9, abs=0.011)  # one histogram bin
    assert felt["jerk"].peak == approx(0.0, abs=1e-9)
    assert felt["a_y"].peak == 0.0


def test_jerk_is_the_slope_of_the_acceleration():
    # From 0 to 1 m/s2 within 2 s, between 5 s and 7 s: 0.5 m/s3, felt in full in the middle of the ramp.
    t = seconds_of(12.0)
    felt = ride(trace(12.0, accel_mps2=np.clip((t - 5.0) / 2.0, 0.0, 1.0))).channels
    assert felt["jerk"].peak == approx(0.5, abs=1e-6)
    assert 5.4 < felt["jerk"].peak_t_s < 6.6


def test_lateral_acceleration_is_speed_times_yaw_rate():
    felt = ride(trace(10.0, speed_mps=8.0, yaw_rate_radps=-0.1)).channels
    assert felt["a_y"].peak == approx(0.8)


def test_share_above_counts_driving_time_only():
    # 20 s of driving, a quarter of it at 1.5 m/s2; then 100 s of standing still.
    n = 2000
    accel = np.concatenate((np.full(500, 1.5), np.zeros(1500), np.zeros(10_000)))
    speed = np.concatenate((np.full(n, 10.0), np.zeros(10_000)))
    share = ride(trace(120.0, speed_mps=speed, accel_mps2=accel)).channels["a_x"].share_above
    assert share == approx(0.25, abs=0.02)


def test_the_rear_section_on_a_circle_rolls_inside_the_front():
    # Joint over the rear axle, radius 10 m, rear wheelbase 6 m: the rear axle runs on radius 8 m (6-8-10 triangle), so at 5 m/s it has
    # 4 m/s, the same 0.5 rad/s, and 2.0 m/s2 where the front has 2.5.
    rear = RearSection(hitch_x_m=0.0, wheelbase_m=6.0)
    hitch = float(np.arcsin(0.6))
    v2, w2 = rear_motion(np.array([5.0]), np.array([0.5]), np.array([hitch]), rear)
    assert (v2[0], w2[0]) == (approx(4.0), approx(0.5))
    felt = ride(
        trace(10.0, speed_mps=5.0, yaw_rate_radps=0.5, hitch_rad=hitch),
        rear=rear,
        emergency_mps2=9.0,
    ).channels
    assert felt["a_y"].peak == approx(2.5)
    assert felt["a_y rear"].peak == approx(2.0)
    assert felt["a_x rear"].peak == approx(0.0, abs=1e-9)


def test_rear_motion_is_what_a_towed_point_does():
    # Independent oracle: move a joint and drag a rigid bar behind it in small steps, no formula for speeds.
    dt, v, w = 1e-4, 6.0, 0.3
    rear = RearSection(hitch_x_m=-2.0, wheelbase_m=5.0)
    x = y = yaw = 0.0
    joint = np.array([-2.0, 0.0])
    axle = np.array([-7.0, 0.0])
    heading = 0.0
    for _ in range(20_000):
        x, y, yaw = x + v * np.cos(yaw) * dt, y + v * np.sin(yaw) * dt, yaw + w * dt
        joint = np.array([x - 2.0 * np.cos(yaw), y - 2.0 * np.sin(yaw)])
        before, heading_before, bar = axle, heading, joint - axle
        heading = np.arctan2(bar[1], bar[0])
        axle = joint - 5.0 * bar / np.hypot(*bar)
    hitch = (yaw - heading + np.pi) % (2 * np.pi) - np.pi
    v2, w2 = rear_motion(np.array([v]), np.array([w]), np.array([hitch]), rear)
    assert v2[0] == approx(float(np.hypot(*(axle - before))) / dt, rel=2e-3)
    assert w2[0] == approx((heading - heading_before) / dt, rel=2e-2)


def test_an_emergency_is_counted_and_does_not_spoil_the_comfort():
    t = seconds_of(60.0)
    accel = np.where((t > 30.0) & (t < 32.0), -5.0, 0.5)
    result = ride(trace(60.0, accel_mps2=accel))
    assert result.emergencies == 1
    assert result.first_emergency_s == approx(30.0, abs=0.2)
    assert result.channels["a_x"].peak == approx(0.5)
    assert result.channels["jerk"].peak == approx(0.0, abs=1e-9)


def test_two_emergencies_are_two():
    t = seconds_of(60.0)
    accel = np.where(((t > 20.0) & (t < 21.0)) | ((t > 40.0) & (t < 41.0)), -4.0, 0.0)
    assert ride(trace(60.0, accel_mps2=accel)).emergencies == 2


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6), seed=st.integers(0, 2**31))
def test_results_do_not_depend_on_how_the_run_was_cut(sizes, seed):
    rng = np.random.default_rng(seed)
    block = trace(
        15.0,
        speed_mps=rng.uniform(0.0, 12.0, 1500),
        accel_mps2=rng.normal(0.0, 3.0, 1500),
        yaw_rate_radps=rng.normal(0.0, 0.1, 1500),
        hitch_rad=rng.normal(0.0, 0.1, 1500),
    )
    rear = RearSection(-2.0, 5.5)
    whole, parts = ride(block, [1500], rear), ride(block, sizes, rear)
    assert whole.emergencies == parts.emergencies
    for one, other in zip(whole.channels.values(), parts.channels.values(), strict=True):
        assert (one.samples, one.above, one.peak, one.peak_t_s, one.p95) == (
            other.samples, other.above, other.peak, other.peak_t_s, other.p95,
        )  # fmt: skip


def test_memory_of_a_ride_does_not_grow():
    out = Ride(LIMITS, 2.5, RearSection(-2.0, 5.5))

    def drive(minutes: int, start_s: float) -> None:
        for minute in range(minutes):
            out.add(trace(60.0, start_s=start_s + 60.0 * minute, accel_mps2=0.3))

    tracemalloc.start()
    drive(5, 0.0)
    before = tracemalloc.get_traced_memory()[0]
    drive(20, 300.0)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 50_000  # bytes; 20 minutes of raw rows would be 5.8 MB


def test_every_default_limit_names_its_source_and_confidence():
    for key, row in table().items():
        assert len(row.source) > 10, key
        assert row.confidence in ("verified", "reported", "default"), key
