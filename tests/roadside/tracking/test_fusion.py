"""Several sensors, honest covariances, late lists, clutter, and what happens behind others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from protocols.sensing import SensorKind, VelocityKind
from roadside.tracking import Tracker, TrackingConfig
from tests.roadside.tracking.test_tracker import DT_NS, feed, objects


def wander(rng, num, steps, config):
    """Truth drawn from the tracker's own models: modes, accelerations, turn rates. (steps, num, 4): x, y, vx, vy."""
    c, fine = config, 10
    dt = 0.1 / fine
    state = np.zeros((num, 4))
    state[:, 0] = np.arange(num) * 300.0
    state[:, 2:] = rng.normal(0, 8.0, (num, 2))
    mode, turn = np.zeros(num, dtype=bool), np.zeros(num)
    out = []
    for _ in range(steps):
        for _ in range(fine):
            leave = np.where(mode, dt / c.manoeuvre_s, dt / c.quiet_s)
            mode ^= rng.random(num) < leave
            keep = np.exp(-dt / c.turn_memory_s)
            fresh = rng.normal(0, c.turn_sigma_radps * np.sqrt(1 - keep**2), num)
            turn = np.where(mode, keep * turn + fresh, 0.0)
            cos, sin = np.cos(turn * dt), np.sin(turn * dt)
            vx, vy = state[:, 2].copy(), state[:, 3].copy()
            state[:, :2] += dt * state[:, 2:]
            accel = np.where(mode, c.accel_sigma_mps2, c.quiet_accel_mps2)
            kick = rng.normal(0, 1, (num, 2)) * (accel * np.sqrt(0.1 * dt))[:, None]
            state[:, 2] = cos * vx - sin * vy + kick[:, 0]
            state[:, 3] = sin * vx + cos * vy + kick[:, 1]
        out.append(state.copy())
    return np.array(out)


def test_covariance_is_consistent():
    """Mean of the normalised squared position error (2 degrees of freedom) over 1,200 independent objects: inside the two-sided
    99 % bounds of chi-square, at the last of 60 steps, under correlated measurement noise (Bar-Shalom et al. 2001, 5.4.2). The gate is wide: who is paired is another question."""
    rng, config, nees = np.random.default_rng(11), TrackingConfig(max_tracks=400, gate=60.0), []
    covariance = np.array([[0.5, 0.3], [0.3, 0.3]])
    root = np.linalg.cholesky(covariance)
    for _ in range(4):
        num = 300
        truth, tracker = wander(rng, num, 60, config), Tracker(config)
        for step, state in enumerate(truth):
            seen = state[:, :2] + rng.normal(0, 1, (num, 2)) @ root.T
            velocity = state[:, 2:] + rng.normal(0, 0.6, (num, 2))
            cov = np.tile(covariance[[0, 0, 1], [0, 1, 1]], (num, 1))
            tracks = feed(
                tracker, objects(step, *seen.T, *velocity.T, sigma_v=0.6, cov_m2=cov, length=np.zeros(num))
            )  # fmt: skip
        assert tracks.x_m.size == num
        # Ids go by place at the start, and so do the objects.
        order = np.argsort(tracks.track_id)
        error = np.column_stack((tracks.x_m, tracks.y_m))[order] - truth[-1][:, :2]
        c = tracks.cov_m2[order]
        det = c[:, 0] * c[:, 2] - c[:, 1] ** 2
        squared = c[:, 2] * error[:, 0] ** 2 - 2 * c[:, 1] * error[:, 0] * error[:, 1]
        nees += ((squared + c[:, 0] * error[:, 1] ** 2) / det).tolist()
    low, high = chi2.ppf([0.005, 0.995], 2 * len(nees)) / len(nees)
    assert low < np.mean(nees) < high


def radar(step, x, y, vx, vy, rng, pole=(0.0, 0.0)):
    """What a radar at `pole` says of one car: sharp range, vague bearing, radial velocity only."""
    dx, dy = x - pole[0], y - pole[1]
    away = np.hypot(dx, dy)
    ux, uy = dx / away, dy / away
    along, across = 0.2, 0.02 * away
    seen_r, seen_t = rng.normal(0, along), rng.normal(0, across)
    radial = ux * vx + uy * vy + rng.normal(0, 0.1)
    xx = along**2 * ux**2 + across**2 * uy**2
    yy = along**2 * uy**2 + across**2 * ux**2
    xy = (along**2 - across**2) * ux * uy
    return objects(
        step, [x + seen_r * ux - seen_t * uy], [y + seen_r * uy + seen_t * ux], [radial * ux], [radial * uy],
        kind=[0], sigma_v=0.1, sensor="radar", source=SensorKind.RADAR, velocity=VelocityKind.RADIAL,
        cov_m2=np.array([[xx, xy, yy]]), length=[1.0],
    )  # fmt: skip


def camera(step, x, y, rng, sigma=1.0):
    """What a camera says of one car: a place, a class, a size, no velocity."""
    return objects(
        step, [x + rng.normal(0, sigma)], [y + rng.normal(0, sigma)], sensor="camera", sigma=sigma,
        source=SensorKind.CAMERA, velocity=VelocityKind.NONE,
    )  # fmt: skip


def test_radar_and_camera_together_know_what_neither_knows_alone():
    """A car passes at 20 m across the line of sight; errors over the last 4 of 8 s, 20 drives."""

    def drive(which):
        position, velocity = [], []
        for seed in range(20):
            rng, tracker = np.random.default_rng(seed), Tracker()
            for step in range(80):
                x, y = -60.0 + 1.2 * step, 20.0
                lists = []
                if "camera" in which:
                    lists.append(camera(step, x, y, rng))
                if "radar" in which:
                    lists.append(radar(step, x, y, 12.0, 0.0, rng))
                tracks = feed(tracker, *lists)
                assert tracks.x_m.size <= 1
                if step >= 40 and tracks.x_m.size:
                    position.append(np.hypot(tracks.x_m[0] - x, tracks.y_m[0] - y))
                    velocity.append(np.hypot(tracks.vx_mps[0] - 12.0, tracks.vy_mps[0]))
        assert len(position) == 800
        return np.sqrt(np.mean(np.square(position))), np.sqrt(np.mean(np.square(velocity))), tracks

    alone_p, alone_v, _ = drive({"camera"})
    radar_p, radar_v, _ = drive({"radar"})
    both_p, both_v, tracks = drive({"camera", "radar"})
    assert both_p < 0.5 and both_p < alone_p and both_p < radar_p
    assert both_v < 0.7 and both_v < alone_v and both_v < radar_v
    assert tracks.sources.tolist() == [1 << SensorKind.RADAR | 1 << SensorKind.CAMERA]
    assert tracks.length_m[0] == pytest.approx(4.5, abs=0.1)  # the radar's box is not believed


def test_two_sensors_confirm_sooner_than_one():
    def first_report(num_sensors):
        tracker = Tracker()
        for step in range(10):
            lists = [objects(step, [step * 1.0], [0.0], [10.0], sensor=f"s{k}") for k in range(num_sensors)]  # fmt: skip
            if feed(tracker, *lists).x_m.size:
                return step
        return None

    assert (first_report(1), first_report(2), first_report(3)) == (2, 1, 0)


def test_a_late_list_counts_for_when_it_was_measured():
    """A second sensor's lists come 150 ms late; the track is as good as when they are taken in order, and no second one begins."""

    def drive(delay):
        errors = []
        for seed in range(20):
            rng, tracker = np.random.default_rng(seed), Tracker()
            waiting = []
            for step in range(60):
                place = 15.0 * 0.1 * step
                own = objects(step, [place + rng.normal(0, 0.5)], [rng.normal(0, 0.5)], [15.0 + rng.normal(0, 0.5)], sigma=0.5, sigma_v=0.5)  # fmt: skip
                late = objects(step - 0.5, [place - 0.75 + rng.normal(0, 0.2)], [rng.normal(0, 0.2)], sigma=0.2, sensor="late", velocity=VelocityKind.NONE)  # fmt: skip
                waiting.append(late)
                ready = [waiting.pop(0)] if len(waiting) > delay and step > 2 else []
                tracks = tracker.update([own, *ready], step * DT_NS)
                assert tracks.x_m.size <= 1
                if step > 20:
                    errors.append(tracks.x_m[0] - place)
        return np.mean(errors), np.sqrt(np.mean(np.square(errors)))

    bias_now, rms_now = drive(0)
    bias_late, rms_late = drive(1)
    # Taken for new, 150 ms at 15 m/s would pull the track back by up to 2.25 m.
    assert abs(bias_late) < 0.03 and abs(bias_now) < 0.03
    assert rms_late < 1.25 * rms_now


def test_clutter_does_not_confirm():
    """20 false alarms per frame on 200 x 200 m for a minute: fewer than one false track in 100 frames."""
    rng, tracker, false = np.random.default_rng(5), Tracker(), 0
    for step in range(600):
        tracks = feed(
            tracker, objects(step, rng.uniform(0, 200, 20), rng.uniform(0, 200, 20), velocity=VelocityKind.NONE)
        )  # fmt: skip
        false += tracks.x_m.size
    with_velocity, alarms = Tracker(), 0
    for step in range(600):
        tracks = feed(
            with_velocity,
            objects(step, rng.uniform(0, 200, 20), rng.uniform(0, 200, 20), *rng.normal(0, 5, (2, 20))),
        )  # fmt: skip
        alarms += tracks.x_m.size
    assert alarms == 0
    assert (
        false < 600 * 0.5
    )  # nothing but places: chains of three happen, and are gone within half a second


def test_a_turn_is_followed():
    """A quarter circle of 12 m radius at 6 m/s (0.5 rad/s): no lag beyond the noise, one track, and the heading comes along."""
    rng, tracker, errors = np.random.default_rng(2), Tracker(), []
    for step in range(70):
        t = step * 0.1
        angle = np.clip(0.5 * (t - 2.0), 0.0, np.pi / 2)
        x = min(6.0 * t, 12.0) + 12.0 * np.sin(angle)
        y = 12.0 * (1 - np.cos(angle)) + max(6.0 * (t - 2.0) - 6.0 * np.pi, 0.0)
        vx, vy = 6.0 * np.cos(angle), 6.0 * np.sin(angle)
        tracks = feed(
            tracker,
            objects(
                step,
                [x + rng.normal(0, 0.3)],
                [y + rng.normal(0, 0.3)],
                [vx + rng.normal(0, 0.3)],
                [vy + rng.normal(0, 0.3)],
                sigma_v=0.3,
            ),
        )
        if step > 5:
            errors.append(np.hypot(tracks.x_m[0] - x, tracks.y_m[0] - y))
            assert tracks.track_id.tolist() == [1]
    assert np.sqrt(np.mean(np.square(errors))) < 0.35
    assert tracks.yaw_rad[0] == pytest.approx(np.pi / 2, abs=0.15)


def test_two_echoes_of_one_lorry_are_one_track():
    rng, tracker = np.random.default_rng(3), Tracker()
    for step in range(40):
        x = 8.0 * 0.1 * step
        whole = objects(step, [x], [0.0], [8.0], kind=[3], length=[12.0])
        echo = objects(step, [x + 3.0 + rng.normal(0, 0.1)], [0.4], [8.0], kind=[0], length=[1.0], sensor="radar", source=SensorKind.RADAR)  # fmt: skip
        tracks = feed(tracker, whole, echo)
    assert tracks.track_id.size == 1
    assert tracks.length_m[0] == pytest.approx(12.0, abs=0.1)


def test_a_car_behind_a_bus_waits_there_and_one_in_the_open_is_dropped():
    """Pole at the origin. A bus stands 20 m away, a car stops behind it; then the sensor sees only the bus for 20 s."""
    tracker = Tracker(place=(0.0, 0.0))
    bus = {"kind": [4], "length": [12.0]}
    for step in range(20):
        x, y = [20.0, 26.0, -40.0], [0.0, 0.0, 0.0]
        yaw = np.full(3, np.pi / 2)
        tracks = feed(
            tracker, objects(step, x, y, kind=[4, 1, 1], length=[12.0, 4.5, 4.5], yaw_rad=yaw)
        )
    hidden = {int(i): x for i, x in zip(tracks.track_id, tracks.x_m, strict=True)}
    for step in range(20, 220):
        tracks = feed(tracker, objects(step, [20.0], [0.0], yaw_rad=np.array([np.pi / 2]), **bus))
    assert sorted(tracks.x_m.tolist()) == pytest.approx([20.0, 26.0], abs=0.3)
    assert all(int(i) in hidden for i in tracks.track_id)


def test_who_comes_up_behind_a_queue_unseen_stops_before_its_end():
    """Two cars stand; a third one comes at 8 m/s and is hidden from then on (by a lorry in the next lane)."""
    tracker = Tracker(place=(0.0, -30.0))
    for step in range(150):
        x, y, vx, kind, length = [0.0, 3.0], [0.0, -4.0], [0.0, 0.0], [1, 3], [4.5, 18.0]
        third = -30.0 + 0.8 * step
        if third < -8.0:
            x, y, vx, kind, length = [*x, third], [*y, 0.0], [*vx, 8.0], [*kind, 1], [*length, 4.5]
        tracks = feed(tracker, objects(step, x, y, vx, np.zeros(len(x)), kind=kind, length=length, sigma_v=0.3))  # fmt: skip
    third = np.sort(tracks.x_m)[0]
    assert (
        -9.5 < third < -4.4
    )  # behind the bumper of the car at 0 (4.5 m from centre to centre), not through it
    assert tracks.speed_mps.max() < 0.5
