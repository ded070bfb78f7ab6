"""Cameras: single pixels whose ray is worked out by hand, and what hides what."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sim.carla.server import columns as c
from tests.carla.test_sensors import Stage, corridor, weather

WALL = [
    10.5,
    0.0,
    5.0,
    0.0,
    0.5,
    3.0,
    5.0,
    3.0,
    77.0,
]  # near face x = 10, 6 m wide, 10 m high, standing on the ground
# 101 x 101 pixels and 90 degrees: pixel (50, 50) looks straight ahead, and a slope of 1 lies 50.5 pixels off the middle.
SMALL = {"image_size_x": 101, "image_size_y": 101, "fov": 90}


def pixels(bodies: list[bytes]) -> np.ndarray:
    """(h, w, 4) BGRA."""
    (body,) = bodies
    width, height, fov = struct.unpack_from("<IIf", body)
    assert 0.0 < fov < 180.0
    return np.frombuffer(body, np.uint8, offset=12).reshape(height, width, 4)


def metres(image: np.ndarray) -> np.ndarray:
    """CARLA's documented decoding."""
    b, g, r = (image[:, :, k].astype(np.float64) for k in range(3))
    return 1000.0 * (r + 256.0 * g + 65536.0 * b) / (256.0**3 - 1.0)


def test_depth_straight_ahead_on_the_ground_and_in_the_sky() -> None:
    stage = Stage(statics=[WALL])
    image = pixels(stage.see(stage.eye("sensor.camera.depth", (0.0, 0.0, 2.0), **SMALL)))
    depth = metres(image)
    assert depth[50, 50] == pytest.approx(10.0, abs=1e-3)
    # Off the axis the wall is as deep, not as far.
    assert depth[50, 50 + 12] == pytest.approx(10.0, abs=1e-3)
    # 40 pixels below the middle: a slope of 40 / 50.5 from 2 m high.
    assert depth[90, 50] == pytest.approx(2.0 * 50.5 / 40.0, abs=1e-3)
    assert depth[2, 2] == pytest.approx(1000.0, abs=1e-3)
    assert (image[:, :, 3] == 255).all()


def test_edges_fall_where_the_projection_puts_them() -> None:
    stage = Stage(statics=[WALL])
    tag = pixels(stage.see(stage.eye("sensor.camera.semantic_segmentation", (0.0, 0.0, 2.0), **SMALL)))[:, :, 2]  # fmt: skip
    # 3 m aside at 10 m: 0.3 * 50.5 = 15.15 pixels from 50.5, so centres up to 15 pixels from pixel 50 are inside.
    assert np.flatnonzero(tag[50] == 3).tolist() == list(range(35, 66))
    # Its top is 8 m above the camera: 40.4 pixels; its foot 2 m below: 10.1 pixels.
    assert np.flatnonzero(tag[:, 50] == 3).tolist() == list(range(10, 61))
    assert tag[5, 50] == 11  # sky
    assert tag[95, 50] == 25  # a plane without roads
    assert set(np.unique(tag)) == {3, 11, 25}


def test_right_is_right_and_a_roll_turns_the_picture() -> None:
    stage = Stage(statics=[[10.0, 6.0, 2.0, 0.0, 0.5, 1.0, 2.0, 3.0, 0.0]])  # to the right
    tag = pixels(stage.see(stage.eye("sensor.camera.semantic_segmentation", (0.0, 0.0, 2.0), **SMALL)))[:, :, 2]  # fmt: skip
    rows, columns = np.nonzero(tag == 3)
    assert columns.min() > 70
    # Rolled to the right by 90 degrees the right of the world is at the top of the picture.
    turned = stage.eye("sensor.camera.semantic_segmentation", (0.0, 0.0, 2.0), identity=901, roll=90.0, **SMALL)  # fmt: skip
    rows, columns = np.nonzero(pixels(stage.see(turned))[:, :, 2] == 3)
    assert rows.max() < 30
    assert 30 < columns.min() < columns.max() < 70


def test_a_wide_picture_has_its_angle_across() -> None:
    stage = Stage(statics=[WALL])
    camera = stage.eye("sensor.camera.semantic_segmentation", (0.0, 0.0, 2.0), image_size_x=200, image_size_y=50, fov=60)  # fmt: skip
    tag = pixels(stage.see(camera))[:, :, 2]
    # Focal length 100 / tan(30): 3 m at 10 m are 51.96 pixels from 100.
    assert np.flatnonzero(tag[25] == 3).tolist() == list(range(48, 152))


def test_the_nearer_box_hides_the_farther_and_keeps_its_number() -> None:
    stage = Stage(statics=[WALL])
    stage.put(0x1234, (6.0, 0.0, 0.0), half=(1.0, 1.0, 1.5))
    image = pixels(stage.see(stage.eye("sensor.camera.instance_segmentation", (0.0, 0.0, 2.0), **SMALL)))  # fmt: skip
    assert image[50, 50].tolist() == [0x12, 0x34, 14, 255]  # blue, green, red
    assert image[50, 62].tolist() == [0x80, 77, 3, 255]  # the wall beside it
    assert image[5, 50].tolist() == [0, 0, 11, 255]
    # Seen through its roof's height nothing is left of the car above 3 m.
    assert image[15, 50].tolist() == [0x80, 77, 3, 255]


def test_a_box_around_or_under_the_camera_does_not_hide_the_world() -> None:
    stage = Stage(statics=[WALL])
    stage.put(1, (0.0, 0.0, 0.0), half=(2.4, 1.0, 0.75))
    inside = stage.eye("sensor.camera.semantic_segmentation", (0.5, 0.0, 1.2), parent=1, **SMALL)
    roof = stage.eye("sensor.camera.semantic_segmentation", (0.8, 0.0, 1.7), parent=1, identity=901, **SMALL)  # fmt: skip
    chase = stage.eye("sensor.camera.semantic_segmentation", (-6.0, 0.0, 3.0), parent=1, identity=902, **SMALL)  # fmt: skip
    for camera in (inside, roof):
        tag = pixels(stage.see(camera))[:, :, 2]
        assert tag[50, 50] == 3
        assert 14 not in tag
    assert 14 in pixels(stage.see(chase))[:, :, 2]


def test_a_sheet_through_the_eye_plane_is_cut_not_folded() -> None:
    # A long floor-level slab that begins behind the camera and ends ahead of it.
    stage = Stage(statics=[[0.0, 0.0, -0.5, 0.0, 50.0, 1.0, 0.6, 3.0, 0.0]])
    tag = pixels(stage.see(stage.eye("sensor.camera.semantic_segmentation", (0.0, 0.0, 1.1), **SMALL)))[:, :, 2]  # fmt: skip
    rows, columns = np.nonzero(tag == 3)
    assert rows.min() > 50
    # 1 m below, 1 m either side: the outline runs down at 45 degrees from the vanishing point.
    for row in (60, 75, 100):
        painted = columns[rows == row]
        assert painted.min() == 50 - (row - 50)
        assert painted.max() == 50 + (row - 50)


def test_colours_follow_the_actor_and_the_sun() -> None:
    stage = Stage()
    stage.put(1, (6.0, 0.0, 0.0), half=(1.0, 2.0, 3.0))
    paint = SimpleNamespace(id="color", value="200,0,0")
    stage.view.actor = lambda _: SimpleNamespace(description=SimpleNamespace(attributes=[paint]))
    camera = stage.eye("sensor.camera.rgb", (0.0, 0.0, 2.0), **SMALL)

    def centre(**values: float) -> list[int]:
        stage.view.weather = weather(**values)
        return [int(v) for v in pixels(stage.see(camera))[50, 50, :3]]

    front = centre(sun_azimuth_angle=180.0)  # shines on the face the camera sees
    back = centre(sun_azimuth_angle=0.0)
    night = centre(sun_altitude_angle=-30.0)
    assert front[2] > 1.4 * back[2] > 2.0 * night[2]
    assert front[2] > 10 * max(front[0], front[1])
    far_in_fog = centre(sun_azimuth_angle=180.0, fog_density=100.0)
    assert far_in_fog[1] > front[1]


def test_road_markings_are_road_lines_and_lie_on_the_road() -> None:
    net, ground = corridor()
    stage = Stage(ground, net=net)
    camera = stage.eye("sensor.camera.semantic_segmentation", (2576.6, 80.3, 30.0), pitch=-60.0, image_size_x=400, image_size_y=300)  # fmt: skip
    tag = pixels(stage.see(camera))[:, :, 2]
    lines = tag == 24
    assert 200 < lines.sum() < 0.1 * (tag == 1).sum()
    # Markings lie within the road or at its edge: every painted pixel has road within 3 pixels.
    rows, columns = np.nonzero(lines[3:-3, 3:-3])
    near = [(tag[r : r + 7, k : k + 7] == 1).any() for r, k in zip(rows, columns, strict=True)]
    assert np.mean(near) > 0.97
    depth = stage.eye("sensor.camera.depth", (2576.6, 80.3, 30.0), identity=901, pitch=-60.0, image_size_x=400, image_size_y=300)  # fmt: skip
    deep = metres(pixels(stage.see(depth)))
    # Paint does not change the depth: along a row it grows smoothly.
    assert np.abs(np.diff(deep[150])).max() < 0.35


def test_normals_of_a_wall_and_of_the_ground() -> None:
    stage = Stage(statics=[WALL])
    image = pixels(stage.see(stage.eye("sensor.camera.normals", (0.0, 0.0, 2.0), **SMALL)))
    assert image[50, 50, 2] == 0  # x = -1: towards the camera
    assert image[50, 50, 1] in (127, 128)
    assert image[95, 50, 0] == 255  # up
    assert image[5, 50, :3].tolist() == [0, 0, 0]


def moved(body: bytes, width: int = 101, height: int = 101) -> np.ndarray:
    """(h, w, 2) in pixels, right and down."""
    flow = np.frombuffer(body, "<f4", offset=12).reshape(height, width, 2).astype(np.float64)
    return flow * (width, height)


def test_flow_of_a_box_that_moves_aside_and_of_a_camera_that_drives() -> None:
    stage = Stage()
    car = stage.put(5, (11.0, 0.0, 0.0), half=(1.0, 4.0, 3.0))
    camera = stage.eye("sensor.camera.optical_flow", (0.0, 0.0, 2.0), **SMALL)
    assert not moved(stage.see(camera)[0]).any()
    stage.table.f[car, c.Y] = 0.4
    flow = moved(stage.see(camera)[0])
    # 0.4 m at 10 m: 0.04 * 50.5 = 2.02 pixels to the right.
    assert flow[50, 50] == pytest.approx([2.02, 0.0], abs=1e-3)
    assert np.abs(flow[95, 50]).max() < 1e-3  # the ground stands still
    stage.table.f[camera.row, c.X] = 1.0
    flow = moved(stage.see(camera)[0])
    # The ground seen 40 pixels down, now 2.525 m ahead, was 3.525 m ahead: 50.5 * 2 / 3.525 = 28.65 pixels down.
    assert flow[90, 50] == pytest.approx([0.0, 40.0 - 28.652], abs=0.01)
    assert np.abs(flow[2, 2]).max() < 1e-3  # the sky does not come closer


def test_events_fire_where_brightness_changed_and_in_order() -> None:
    stage = Stage()
    stage.view.weather = weather(cloudiness=100.0)
    car = stage.put(5, (11.0, 0.0, 0.0), half=(1.0, 1.0, 3.0))
    stage.view.actor = lambda _: SimpleNamespace(
        description=SimpleNamespace(attributes=[SimpleNamespace(id="color", value="2,2,2")])
    )
    camera = stage.eye("sensor.camera.dvs", (0.0, 0.0, 2.0), **SMALL)
    assert stage.see(camera) == []  # the first image has nothing before it
    assert stage.see(camera) == []  # nothing moved
    stage.table.f[car, c.Y] = 0.4
    (body,) = stage.see(camera)
    layout = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("pol", "u1")])
    events = np.frombuffer(body, layout, offset=12)
    # The dark box uncovers two columns on its left (brighter) and covers two on its right (darker).
    assert set(events["x"][events["pol"] == 1].tolist()) <= {45, 46, 47}
    assert set(events["x"][events["pol"] == 0].tolist()) <= {55, 56, 57, 58}
    assert {0, 1} == set(events["pol"].tolist())
    assert (np.diff(events["t"]) >= 0).all()
    assert events["t"].min() >= 100_000_000
    assert events["t"].max() <= 150_000_000


def test_the_same_scene_gives_the_same_image() -> None:
    def run() -> list[Any]:
        net, ground = corridor()
        stage = Stage(ground, net=net)
        stage.put(1, (2590.0, 78.0, 4.4))
        camera = stage.eye("sensor.camera.rgb", (2576.6, 80.3, 6.0), image_size_x=200, image_size_y=150)  # fmt: skip
        return [stage.see(camera) for _ in range(2)]

    first, second = run(), run()
    assert first == second
    assert first[0] == first[1]
    assert len(np.unique(pixels(first[0]).reshape(-1, 4), axis=0)) > 50


def test_focal_length_of_the_widest_and_the_narrowest_view() -> None:
    stage = Stage(statics=[WALL])
    for fov in (0.1, 179.0):
        camera = stage.eye("sensor.camera.depth", (0.0, 0.0, 2.0), identity=round(900 + fov), image_size_x=101, image_size_y=101, fov=fov)  # fmt: skip
        assert metres(pixels(stage.see(camera)))[50, 50] == pytest.approx(10.0, abs=1e-3)
        assert camera.focal == pytest.approx(50.5 / math.tan(math.radians(fov / 2)))


def test_a_traffic_light_is_seen_in_its_place_with_its_colour() -> None:
    stage = Stage()
    # Traffic runs along +x; CARLA turns the actor by 90 degrees to that. Its table box is its zone, far away and huge.
    row = stage.put(40, (20.0, 0.0, 2.0), kind=c.LIGHT, tag=7, yaw=90.0, half=(50.0, 50.0, 50.0))
    camera = stage.eye("sensor.camera.rgb", (0.0, 0.0, 2.0), image_size_x=401, image_size_y=401, fov=20)  # fmt: skip
    seen = []
    for state in (0, 1, 2):
        stage.table.i[row, c.LIGHT_STATE] = state
        blue, green, red, _ = (int(v) for v in pixels(stage.see(camera))[200, 200])
        seen.append((red > 200, green > 150, blue > 150))
    assert seen == [(True, False, False), (True, True, False), (False, True, False)]
    tags = stage.eye("sensor.camera.instance_segmentation", (0.0, 0.0, 2.0), identity=901, image_size_x=401, image_size_y=401, fov=20)  # fmt: skip
    image = pixels(stage.see(tags))
    assert image[200, 200].tolist() == [0, 40, 7, 255]
    # 0.4 m wide at 19.8 m, focal length 200.5 / tan(10 degrees): 23 pixels.
    assert (image[200, :, 2] == 7).sum() == 23


def test_the_layout_view_is_unlit_and_has_no_sky() -> None:
    stage = Stage(statics=[WALL])
    camera = stage.eye("sensor.camera.cosmos_visualization", (0.0, 0.0, 2.0), **SMALL)
    stage.view.weather = weather(sun_altitude_angle=-90.0)
    image = pixels(stage.see(camera))
    assert image[2, 2].tolist() == [0, 0, 0, 255]
    assert image[50, 50, :3].min() > 100
