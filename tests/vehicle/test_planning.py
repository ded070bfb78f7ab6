"""The lattice: its geometry against slow twins, its limits, and what it chooses beside obstacles."""

from __future__ import annotations

from math import atan, inf, pi, sqrt

import numpy as np
import pytest
from pydantic import ValidationError
from pytest import approx

from tests.support import naive_vehicle as naive
from tests.support.vehicle_loop import path_of
from vehicle.dynamics import vehicle_params
from vehicle.planning import Planner, PlanningConfig, Pose, ReferencePath, _kernels, speed_envelope
from vehicle.planning.planner import COMFORT, EMERGENCY, FALLBACK, NO_OBJECTS

BUS = vehicle_params("articulated_bus_18m")
SHUTTLE = vehicle_params("shuttle")
CURVY = path_of(
    [(60, 0.0), (80, 1 / 60), (40, 0.0), (80, -1 / 40), (200, 0.0)], 13.9, half_width_m=2.5
)
STRAIGHT = path_of([(400, 0.0)], 13.9)


def standing(
    s: float, d: float, half_length: float = 2.25, half_width: float = 0.9, person: float = 0.0
) -> np.ndarray:
    return np.array([(s, d, 0.0, 0.0, half_length, half_width, person, inf)])


def driving(s: float, speed: float, d: float = 0.0) -> Pose:
    return Pose(s, d, 0.0, speed, 0.0, 0.0)


def test_the_envelope_reaches_a_lower_limit_at_the_planned_deceleration() -> None:
    limit = np.where(STRAIGHT.s_m < 200.0, 13.9, 5.0)
    path = ReferencePath(
        STRAIGHT.x_m, STRAIGHT.y_m, STRAIGHT.yaw_rad, STRAIGHT.curvature_per_m, STRAIGHT.s_m, limit, STRAIGHT.left_m,
        STRAIGHT.right_m,
    )  # fmt: skip
    v, a = speed_envelope(path, 8.5, 19.0, 0.8, 0.9)
    # the bumper is 8.5 m before the origin, so 5 m/s hold from s = 191.5; 50 m earlier v^2 = 25 + 2 * 0.9 * 50
    assert v[383] == approx(5.0)
    assert v[283] == approx(sqrt(25.0 + 90.0))
    assert a[283] == approx(-0.9)
    assert v[0] == approx(13.9)
    assert a[10] == 0.0


def test_the_envelope_keeps_lateral_comfort_in_curves() -> None:
    v, _ = speed_envelope(CURVY, 8.5, 19.0, 0.8, 0.9)
    assert float(np.max(v**2 * np.abs(CURVY.curvature_per_m))) <= 0.8 + 1e-9
    assert v[2 * 220] == approx(sqrt(0.8 * 40), abs=0.01)


def test_stop_curve_is_the_motion_it_describes() -> None:
    # integrate v dv/ds along the curve from 60 m: it must arrive with speed 0 and never brake harder than b
    rest, v = 60.0, _kernels.stop_curve(60.0, 0.9, 0.6)[0]
    ds = 0.001
    worst = 0.0
    while rest > ds:
        a = _kernels.stop_curve(rest, 0.9, 0.6)[1]
        worst = min(worst, a)
        v = sqrt(max(v * v + 2.0 * a * ds, 0.0))
        rest -= ds
        assert v == approx(_kernels.stop_curve(rest, 0.9, 0.6)[0], abs=0.03)
    assert worst == approx(-0.9)


@pytest.mark.parametrize(("target", "length"), [(0.8, 15.0), (-0.6, 30.0), (0.0, 20.0)])
def test_lateral_moves_are_the_quintics_of_their_boundary_conditions(
    target: float, length: float
) -> None:
    coef = np.zeros(8)
    _kernels.lateral_coefficients(0.3, 0.02, -0.001, target, length, coef)
    twin = naive.solve_polynomial((0.3, 0.02, -0.001), (target, 0.0, 0.0), length)
    for u in np.linspace(0.0, length, 13):
        d, p, q = _kernels.lateral(u, length, coef, target)
        assert (d, p, q) == approx((twin(u), twin.deriv(1)(u), twin.deriv(2)(u)), abs=1e-9)
    assert _kernels.lateral(length + 1.0, length, coef, target) == (target, 0.0, 0.0)


def test_longitudinal_polynomials_meet_their_ends() -> None:
    out = np.zeros((51, 4))
    _kernels.polynomial(10.0, 8.0, 0.4, 5.0, 0.0, 4.0, 0.1, 50, out)
    twin = naive.solve_polynomial((10.0, 8.0, 0.4), (None, 5.0, 0.0), 4.0)
    assert out[:41, 0] == approx(twin(np.arange(41) * 0.1), abs=1e-9)
    assert out[40, 1:3] == approx((5.0, 0.0), abs=1e-9)
    assert out[50, 0] == approx(twin(4.0) + 5.0)
    _kernels.polynomial(10.0, 8.0, -0.4, 0.0, 18.0, 5.0, 0.1, 50, out)
    twin = naive.solve_polynomial((10.0, 8.0, -0.4), (28.0, 0.0, 0.0), 5.0)
    assert out[:, 0] == approx(twin(np.arange(51) * 0.1), abs=1e-9)
    assert out[50] == approx((28.0, 0.0, 0.0, out[50, 3]), abs=1e-9)


def test_boxes_meet_exactly_when_their_polygons_overlap() -> None:
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(3000):
        a = (*rng.uniform(-4, 4, 2), rng.uniform(-pi, pi), *rng.uniform(0.2, 4.0, 2))
        b = (*rng.uniform(-4, 4, 2), rng.uniform(-pi, pi), *rng.uniform(0.2, 4.0, 2))
        ours = _kernels.boxes_meet(
            a[0],
            a[1],
            np.cos(a[2]),
            np.sin(a[2]),
            a[3],
            a[4],
            b[0],
            b[1],
            np.cos(b[2]),
            np.sin(b[2]),
            b[3],
            b[4],
        )
        slow = naive.polygons_overlap(naive.box_corners(*a), naive.box_corners(*b))
        assert ours == slow
        hits += slow
    assert 300 < hits < 2700


def test_the_planned_points_are_the_offsets_and_its_curvature_is_drivable() -> None:
    planner = Planner(CURVY, SHUTTLE)
    plan = planner.plan(0, driving(130.0, 6.0, 0.3), NO_OBJECTS)
    x = np.array([naive.offset_point(CURVY, row[0], row[4]) for row in plan.column])
    assert np.hypot(plan.column[:, 5] - x[:, 0], plan.column[:, 6] - x[:, 1]).max() < 1e-6
    s = np.linspace(plan.column[0, 0], plan.column[-1, 0], 400)
    d = [
        _kernels.lateral(u - plan.start_s_m, plan.lateral[6], plan.lateral, plan.lateral[7])[0]
        for u in s
    ]
    dense = np.array([naive.offset_point(CURVY, a, b) for a, b in zip(s, d, strict=True)])
    # chords of the path's 0.5 m samples bend by k * 0.5 m at each sample, so look at a smoothed curvature
    kappa = np.convolve(
        naive.curvature_of_points(dense[:, 0], dense[:, 1]), np.ones(40) / 40, "valid"
    )
    assert np.abs(kappa).max() < SHUTTLE.max_curvature_per_m
    yaw = np.unwrap(np.arctan2(np.diff(plan.column[:, 6]), np.diff(plan.column[:, 5])))
    assert np.abs(yaw - 0.5 * (plan.column[1:, 7] + plan.column[:-1, 7])).max() < 0.02


def test_the_joint_along_a_candidate_is_that_of_a_drawn_section() -> None:
    # an object that only the swinging rear section can meet: beside the path inside a tight curve
    path = path_of([(30, 0.0), (40, 1 / 14), (100, 0.0)], 5.0, half_width_m=4.0)
    s = np.arange(12.0, 62.0, 0.02)
    x, y = np.interp(s, path.s_m, path.x_m), np.interp(s, path.s_m, path.y_m)
    yaw = np.interp(s, path.s_m, path.yaw_rad)
    rear = naive.trailer_yaw(x, y, yaw, 1.75, 4.24, 0.0)
    planner = Planner(path, BUS)
    body, cfg = planner._body, planner._cfg
    prof = np.zeros((51, 4))
    prof[:, 0] = 12.0 + np.arange(51)  # 1 m a step
    prof[:, 1] = 10.0
    coef = np.zeros(8)
    row = np.zeros(9)
    agree = 0
    for i in range(0, s.size, 50):
        # outer corner of the rear section's tail at this step, pushed 0.35 m in or out of the body
        jx, jy = x[i] - 1.75 * np.cos(yaw[i]), y[i] - 1.75 * np.sin(yaw[i])
        for side, push in ((1, 0.45), (-1, 0.45)):
            px = jx - 5.0 * np.cos(rear[i]) - side * np.sin(rear[i]) * (1.275 - push)
            py = jy - 5.0 * np.sin(rear[i]) + side * np.cos(rear[i]) * (1.275 - push)
            objects = np.array([(px, py, 0.0, 0.0, 0.05, 0.05, 1.0, inf)])
            pose = np.zeros((1, 51, 4))
            pose[0, :, 0], pose[0, :, 1], pose[0, :, 2] = px, py, 1.0
            info = np.zeros((1, 6))
            info[0, 4] = 1.0
            start = np.array((12.0, 5.0, 0.0, 0.0, 0.0, 0.0))
            hit = _kernels.collides(
                path_table(planner),
                0.5,
                prof,
                start,
                coef,
                1.0,
                0.0,
                0.0,
                body,
                pose,
                info,
                objects,
                cfg,
                50,
                row,
            )
            assert 0 <= hit <= i // 50 + 1
            agree += 1
    assert agree == 100


def path_table(planner: Planner) -> np.ndarray:
    return planner.table


def test_with_nothing_near_the_plan_stays_on_the_centre_and_samples_little() -> None:
    plan = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 10.0), NO_OBJECTS)
    assert plan.tier == COMFORT
    assert np.abs(plan.column[:, 4]).max() == 0.0
    assert plan.num_candidates < 30
    far = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 10.0), standing(100.0, 15.0))
    assert far.num_candidates == plan.num_candidates


def test_the_full_lattice_has_some_hundred_candidates() -> None:
    plan = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 10.0), standing(120.0, 3.0))
    assert 300 <= plan.num_candidates <= 600


@pytest.mark.parametrize("speed", [0.0, 4.0, 10.0, 13.5])
def test_comfort_plans_keep_every_comfort_limit(speed: float) -> None:
    plan = Planner(CURVY, BUS).plan(0, driving(40.0, speed), NO_OBJECTS, stop_s_m=175.0)
    if plan.tier == COMFORT:
        assert plan.column[:, 2].min() >= -1.55
        assert plan.column[:, 2].max() <= 1.1 + 1e-9
        assert np.abs(plan.column[:, 3]).max() <= 1.01
    else:
        assert speed > np.sqrt(
            0.8 * 60
        )  # 13.5 m/s into a 60 m curve 20 m ahead cannot be comfortable


def test_a_stop_point_is_never_overrun() -> None:
    planner = Planner(STRAIGHT, BUS)
    pose = driving(50.0, 12.0)
    for k in range(300):
        plan = planner.plan(k * 100_000_000, pose, NO_OBJECTS, stop_s_m=170.0)
        assert plan.tier == COMFORT
        s, v, a = plan.column[1, :3]
        pose = Pose(s, 0.0, 0.0, v, a, 0.0)
    assert pose.s_m == approx(170.0, abs=0.05)
    assert pose.speed_mps == 0.0


def test_a_standing_car_in_the_way_of_the_bus_stops_it_before_contact() -> None:
    planner = Planner(STRAIGHT, BUS)
    pose = driving(50.0, 12.0)
    for k in range(400):
        plan = planner.plan(k * 100_000_000, pose, standing(200.0, 0.0))
        s, v, a = plan.column[1, :3]
        pose = Pose(s, plan.column[1, 4], 0.0, v, a, 0.0)
        assert plan.tier == COMFORT
    front = pose.s_m + BUS.front_x_m
    assert 193.5 < front < 197.75 - 2.0  # its rear is at 197.75; it keeps a gap of 2 to 4 m
    assert pose.speed_mps == 0.0


def test_the_shuttle_passes_a_person_at_the_edge_with_room() -> None:
    path = path_of([(200, 0.0)], 5.0, half_width_m=2.6)
    planner = Planner(path, SHUTTLE)
    pose = driving(20.0, 4.0)
    person = standing(60.0, -1.35, 0.25, 0.25, 1.0)  # body edge would pass at 0.075 m
    least = inf
    for k in range(160):
        plan = planner.plan(k * 100_000_000, pose, person, cap_mps=3.0)
        s, v, a = plan.column[1, :3]
        d = plan.column[1, 4]
        pose = Pose(s, d, plan.column[1, 7], v, a, 0.0)
        if abs(s + 2.0 - 60.0) < 3.0:
            least = min(least, d - SHUTTLE.width_m / 2 - (-1.35 + 0.25))
    assert pose.s_m > 62.0
    assert least > 0.15


def test_a_person_who_walks_into_a_standing_vehicle_is_no_emergency() -> None:
    # At 0.3 m/s a comfortable stop takes centimetres; the person, 3 m before the nose, comes on at 0.8 m/s.
    person = np.array([(50.0 + SHUTTLE.front_x_m + 3.0, 0.0, pi, 0.8, 0.25, 0.25, 1.0, inf)])
    plan = Planner(STRAIGHT, SHUTTLE).plan(0, driving(50.0, 0.3), person)
    assert plan.tier == COMFORT
    assert plan.column[-1, 1] == 0.0


def test_an_unavoidable_wall_brings_the_fallback_brake() -> None:
    plan = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 13.0), standing(64.0, 0.0, 0.5, 3.0))
    assert plan.tier == FALLBACK
    assert plan.column[:, 2].min() == approx(-5.0)


def test_an_avoidable_obstacle_is_braked_for_no_harder_than_needed() -> None:
    # front at 58.55, rear of the obstacle at 108: 49.5 m to stop from 13.9 m/s needs at least 1.95 m/s2
    plan = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 13.9), standing(110.25, 0.0))
    assert plan.tier == EMERGENCY
    assert -3.1 < plan.column[:, 2].min() < -1.9


def test_who_is_expected_to_stop_is_not_braked_for_and_who_is_not_is() -> None:
    # a car 16 m to the right drives at 6 m/s across the path, 25 m before the bumper
    car = np.array([(83.5, -16.0, pi / 2, 6.0, 2.25, 0.9, 0.0, inf)])
    free = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 9.0), car)
    assert free.column[:, 1].min() < 7.0
    car[0, 7] = 11.0  # its nose would stand at y = -2.75
    trusted = Planner(STRAIGHT, BUS).plan(0, driving(50.0, 9.0), car)
    assert trusted.column[:, 1].min() > 8.9


def test_the_lattice_is_the_same_when_mirrored() -> None:
    left = path_of([(60, 0.0), (80, 1 / 60), (120, 0.0)], 10.0)
    right = path_of([(60, 0.0), (80, -1 / 60), (120, 0.0)], 10.0)
    config = PlanningConfig(lat_offsets_m=(0.0, 0.3))
    mirrored = PlanningConfig(lat_offsets_m=(0.0, -0.3))
    one, two = Planner(left, SHUTTLE, config), Planner(right, SHUTTLE, mirrored)
    thing = standing(75.0, -1.9, 0.3, 0.3, 1.0)
    other = thing * np.array([1, -1, 1, 1, 1, 1, 1, 1])
    a = one.plan(0, Pose(40.0, 0.1, 0.01, 6.0, 0.0, 0.0), thing)
    b = two.plan(0, Pose(40.0, -0.1, -0.01, 6.0, 0.0, 0.0), other)
    assert a.column[:, :4] == approx(b.column[:, :4], abs=1e-9)
    assert a.column[:, 4] == approx(-b.column[:, 4], abs=1e-9)
    assert a.cost == approx(b.cost, abs=1e-9)


@pytest.mark.parametrize("speed", [2.0, 11.0])
def test_the_kernel_is_its_own_python(speed: float) -> None:
    config = PlanningConfig(lat_offsets_m=(0.0, -0.3, 0.3), lat_lengths_m=(15.0,), horizon_s=3.0)
    objects = np.vstack((
        standing(95.0, 1.5), (100.0, -3.0, 1.5, 1.2, 0.3, 0.3, 1.0, inf), (70.0, 0.2, 0.05, 8.0, 2.2, 0.9, 0.0, inf),
    ))  # fmt: skip
    results = []
    for kernel in (_kernels.plan, _kernels.plan.py_func):
        planner = Planner(STRAIGHT, BUS, config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_kernels, "plan", kernel)
            plan = planner.plan(
                0, Pose(50.0, 0.1, 0.01, speed, -0.2, 0.05), objects, stop_s_m=120.0
            )
        results.append((plan, planner.cost.copy(), planner.tier.copy()))
    assert results[0][0].column.tolist() == results[1][0].column.tolist()
    assert results[0][1].tolist() == results[1][1].tolist()
    assert results[0][2].tolist() == results[1][2].tolist()


def test_heading_into_the_path_is_taken_from_the_pose() -> None:
    plan = Planner(STRAIGHT, SHUTTLE).plan(
        0, Pose(50.0, 0.4, atan(-0.05), 5.0, 0.0, 0.0), NO_OBJECTS
    )
    assert plan.column[0, 4] == approx(0.4)
    assert plan.column[0, 7] == approx(atan(-0.05))
    assert plan.column[-1, 4] == approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decel_mps2": 2.0}, "exceeds comfort_decel_mps2"),
        ({"jerk_mps3": 1.3}, r"jerk_mps3 = 1\.3 exceeds comfort_jerk_mps3 = 1\.0"),
        ({"end_jerk_mps3": 1.1}, "exceeds comfort_jerk_mps3"),
        ({"lat_accel_mps2": 2.0}, "exceeds comfort_lat_accel_mps2"),
        ({"lat_offsets_m": (0.2, 0.0)}, "must begin with 0.0"),
        ({"unknown": 1}, "Extra inputs"),
        ({"horizon_s": 12.0, "dt_s": 0.05}, "exceeds 120 steps"),
    ],
)
def test_configurations_that_cannot_work_are_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        PlanningConfig(**change)  # type: ignore[arg-type]
