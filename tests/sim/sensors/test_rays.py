"""Rays: the kernels equal a slow caster in three dimensions, and themselves without compilation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols.messages import ActorKind
from protocols.roads.network import F64
from sim.sensors import _cluster_kernels, _ray_kernels
from sim.sensors.draws import normal_quantiles
from sim.sensors.surroundings import Boxes, Place, Surroundings, seen_share
from tests.sim.sensors.naive_rays import Prism, Wall, first_hit, is_clear
from tests.sim.sensors.scene import Scene

CHANNELS, AZIMUTHS = 9, 48


def random_scene(seed: int, num_boxes: int = 12, num_walls: int = 4) -> tuple[Scene, F64]:
    """Bodies of all sizes, one in four articulated, and walls, 3 to 60 m from the origin."""
    draw = np.random.default_rng(seed)
    scene = Scene()
    while scene.count < num_boxes:
        x, y = draw.uniform(-45.0, 45.0, 2)
        length, width = draw.uniform(0.4, 12.0), draw.uniform(0.4, 2.6)
        if math.hypot(x, y) < 0.5 * length + 16.0:
            continue  # the sensor stands in nobody, and in nobody's rear section
        row = scene.add(
            float(x), float(y), float(draw.uniform(-3.0, 3.0)), 0.0, float(length), float(width),
            float(draw.uniform(0.5, 3.5)), ActorKind.TRUCK,
        )  # fmt: skip
        if scene.count % 4 == 0:
            scene.statics.hitch_x_m[row] = -1.0
            scene.statics.rear_length_m[row] = 6.0
            scene.states.hitch_rad[row] = float(draw.uniform(-0.8, 0.8))
    ends = draw.uniform(-50.0, 50.0, (num_walls, 4))
    return scene, np.concatenate([ends.T, draw.uniform(1.0, 9.0, (1, num_walls))])


def plain(boxes: Boxes) -> tuple[list[Prism], list[Wall]]:
    """The same as tuples, for the slow caster."""
    b = boxes.box
    prisms: list[Prism] = [
        (b[0, k], b[1, k], math.atan2(b[3, k], b[2, k]), b[4, k], b[5, k], b[6, k])
        for k in range(b.shape[1])
    ]
    walls: list[Wall] = [tuple(boxes.wall[:, w]) for w in range(boxes.wall.shape[1])]
    return prisms, walls


def scan(boxes: Boxes, up: float, first: float, step: float, slope: F64) -> tuple[F64, F64, F64]:
    shape = (AZIMUTHS, CHANNELS)
    ground, hit, background = np.empty(shape), np.empty(shape, np.int32), np.empty(shape)
    _ray_kernels.cast(
        up, first, step, slope, boxes.box, boxes.span, boxes.wall, ground, hit, background
    )
    return ground, hit, background


@pytest.mark.parametrize("seed", range(12))
def test_a_scan_equals_slow_rays_in_three_dimensions(seed: int):
    scene, walls = random_scene(seed)
    up = (0.6, 1.8, 6.0)[seed % 3]
    place = Place(0.0, 0.0, up, 0.4)
    boxes = Surroundings(walls).look(place, 120.0, scene.states, scene.statics)
    slope = np.tan(np.linspace(-0.35, 0.12, CHANNELS))
    full = seed % 2 == 0
    step = 2.0 * math.pi / AZIMUTHS if full else 1.5 / (AZIMUTHS - 1)
    first = (
        -math.pi if full else float(boxes.span[0, boxes.span[3].argmin()]) - 0.75
    )  # part of a circle looks at somebody
    ground, hit, background = scan(boxes, up, first, step, slope)
    prisms, wall_list = plain(boxes)
    for a in range(AZIMUTHS):
        azimuth = first + a * step
        for c in range(CHANNELS):
            way = np.array([math.cos(azimuth), math.sin(azimuth), slope[c]])
            secant = float(np.linalg.norm(way))
            where = tuple(way / secant)
            length, what = first_hit((0.0, 0.0, up), where, prisms, wall_list)
            assert hit[a, c] == what, (a, c)
            assert ground[a, c] * secant == pytest.approx(length, rel=1e-9)
            behind, _ = first_hit((0.0, 0.0, up), where, [], wall_list)
            assert background[a, c] * secant == pytest.approx(behind, rel=1e-9)
    met = hit[(hit >= 0) | (hit == _ray_kernels.WALL)]
    assert np.unique(met).size >= (3 if full else 1), "the scene must be worth casting at"


@pytest.mark.parametrize("seed", range(6))
def test_the_share_in_sight_equals_slow_lines_to_the_same_points(seed: int):
    scene, walls = random_scene(100 + seed, num_boxes=14)
    up = (0.6, 1.8, 6.0)[seed % 3]
    place = Place(0.0, 0.0, up, 0.0)
    boxes = Surroundings(walls).look(place, 120.0, scene.states, scene.statics)
    share = seen_share(place, boxes)
    prisms, wall_list = plain(boxes)
    for b in range(boxes.row.size):
        middle, low, high, _ = boxes.span[:, b]
        seen = total = 0
        for k in range(5):
            azimuth = middle + low + (k + 0.5) / 5 * (high - low)
            flat = (math.cos(azimuth), math.sin(azimuth), 0.0)
            tall = (*prisms[b][:5], 1e3)
            target, _ = first_hit((0.0, 0.0, up), flat, [tall], [])
            if math.isinf(target):
                continue
            for r in range(3):
                total += 1
                z = prisms[b][5] * (r + 0.5) / 3
                point = (target * flat[0], target * flat[1], z)
                seen += is_clear((0.0, 0.0, up), point, prisms[:b] + prisms[b + 1 :], wall_list)
        assert share[b] == pytest.approx(seen / total)
    assert 0.0 <= share.min() < 0.5 < share.max() <= 1.0


def test_kernels_equal_their_python_form():
    scene, walls = random_scene(7)
    place = Place(0.0, 0.0, 1.8, 0.0)
    boxes = Surroundings(walls).look(place, 120.0, scene.states, scene.statics)
    slope = np.tan(np.linspace(-0.3, 0.1, CHANNELS))
    step = 2.0 * math.pi / AZIMUTHS
    shape = (AZIMUTHS, CHANNELS)

    def run(form: str) -> list[F64]:
        def k(kernel):
            return kernel if form == "compiled" else kernel.py_func

        st, sc = scene.states, scene.statics
        box, row, span = np.zeros((8, 64)), np.zeros(64, np.int32), np.zeros((4, 64))
        k(_ray_kernels.bodies)(
            0.0, 0.0, 50.0, -1, st.valid, st.x_m, st.y_m, st.yaw_rad, st.hitch_rad, sc.length_m,
            sc.width_m, sc.height_m, sc.rear_overhang_m, sc.hitch_x_m, sc.rear_length_m, box, row, span,
        )  # fmt: skip
        ground, hit, back = np.empty(shape), np.empty(shape, np.int32), np.empty(shape)
        k(_ray_kernels.cast)(
            1.8, -math.pi, step, slope, boxes.box, boxes.span, boxes.wall, ground, hit, back
        )
        share = np.empty(boxes.row.size)
        k(_ray_kernels.in_sight)(1.8, 5, 3, boxes.box, boxes.span, boxes.wall, share)
        measured, secant = np.empty(shape), np.sqrt(1.0 + slope**2)
        with np.errstate(over="ignore"):
            k(_ray_kernels.sense)(
                np.uint64(9), 5, 0.5, 90.0, 0.1, 0.02, secant, ground, hit, normal_quantiles(), measured
            )  # fmt: skip
        piece, column = np.zeros((7, 300)), np.zeros(300, np.int32)
        n = k(_cluster_kernels.pieces)(
            1.8, 0.5, 5.0, 2.75, 0.3, 0.3, slope, 1.0 / secant, measured, back, piece, column
        )
        piece, column = np.ascontiguousarray(piece[:, :n]), column[:n]
        parent, label = np.zeros(n, np.int32), np.zeros(n, np.int32)
        things = k(_cluster_kernels.join)(
            step, 0.5, 0.2, 2, AZIMUTHS, True, piece, column, parent, label
        )
        order = np.argsort(label, kind="stable").astype(np.int32)
        begin = np.searchsorted(label[order], np.arange(things + 1)).astype(np.int32)
        out = np.empty((10, things))
        k(_cluster_kernels.rectangles)(
            -math.pi, step, 45, 3, piece, column, label, order, begin, out
        )
        return [box, row, span, ground, hit, back, share, measured, piece, column, label, out]

    for one, two in zip(run("compiled"), run("python"), strict=True):
        assert np.array_equal(one, two, equal_nan=True)
    assert run("compiled")[-1].shape[1] >= 3


def test_bodies_beyond_reach_and_the_owner_are_left_out():
    scene = Scene()
    scene.add(0.0, 0.0)
    scene.add(30.0, 0.0)
    scene.add(80.0, 0.0)
    boxes = Surroundings(np.zeros((5, 0))).look(
        Place(0.0, 0.0, 1.0, 0.0, own=0), 50.0, scene.states, scene.statics
    )
    assert boxes.row.tolist() == [1]
