"""Cameras by the software rasteriser: depth, semantic and instance segmentation, flat-shaded colour, normals, events, optical flow.

The body of an image is width, height and horizontal angle of view, then BGRA rows from the top. Lens distortion, exposure, blur and the
other effects of a photographic camera are accepted as attributes and not drawn. The world ends at 1000 m.
"""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt

from sim.carla.server.ground import Floats, Ints
from sim.carla.server.sensors import _raster_kernels, paint
from sim.carla.server.sensors._scene_kernels import BODY, CX, FX, MID, MTAG
from sim.carla.server.sensors.scene import Bodies, Scene, pose
from sim.carla.server.sensors.view import NORMAL, Sensor, Setup, View

_HEADER = struct.Struct("<IIf")
_MOST_PIXELS = 8192 * 8192 // 4  # a client that asks for more gets an error
_PAINT_M = 250.0  # lane markings are thinner than a pixel from there on
_MOST_EVENTS = 4_000_000


class Camera(Sensor):
    """What all kinds share: the picture of faces and depths."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.width = setup.whole("image_size_x", 800, 1, 16384)
        self.height = setup.whole("image_size_y", 600, 1, 16384)
        self.fov = setup.number("fov", 90.0, 0.1, 179.0)
        if self.width * self.height > _MOST_PIXELS:
            raise ValueError(
                f"{setup.blueprint}: an image of {self.width} x {self.height} pixels, at most {_MOST_PIXELS} in all"
            )
        self.focal = 0.5 * self.width / math.tan(math.radians(0.5 * self.fov))
        shape = (self.height, self.width)
        self.inverse = np.empty(shape, dtype=np.float32)  # 1 / depth of the last picture
        self.faces = np.empty(shape, dtype=np.int32)
        self.out = np.empty(shape, dtype=np.uint32)
        self._header = _HEADER.pack(self.width, self.height, self.fov)
        self.at, self.rot = np.zeros(3), np.eye(3)

    def draw(self, view: View) -> tuple[Scene, Bodies, paint.Painting]:
        """Fill `inverse` and `faces`."""
        self.at, self.rot = pose(view, self.row)
        scene, seen, made = view.scene(), view.bodies(), paint.painting(view)
        _raster_kernels.draw(
            self.at, self.rot, self.focal, _raster_kernels.FAR_M, _PAINT_M, scene.tri, scene.bound, made.tri, made.bound,
            scene.terrain.x, scene.terrain.y, scene.terrain.z, seen.body, seen.mark, seen.count, view.parent(self.row),
            self.inverse, self.faces,
        )  # fmt: skip
        return scene, seen, made

    def image(self) -> list[bytes]:
        """The finished picture as a body."""
        return [self._header + self.out.tobytes()]

    def bytes_out(self) -> npt.NDArray[np.uint8]:
        """`out` as (h, w, 4) BGRA."""
        return self.out.view(np.uint8).reshape(self.height, self.width, 4)

    def fill(self, scene: Scene, made: paint.Painting, by_tag: paint.U32, by_paint: paint.U32, by_face: paint.U32) -> None:  # fmt: skip
        """Pixels from words by tag, by paint triangle and by body face."""
        _raster_kernels.lookup(
            self.faces, scene.tri_tag, made.tri.shape[0], by_tag, by_paint, by_face, self.out
        )


class DepthCamera(Camera):
    """Distance along the optical axis, 24 bits over 1000 m, least significant byte in red."""

    stream_type = 1

    def sample(self, view: View) -> list[bytes]:
        self.draw(view)
        _raster_kernels.depth(self.inverse, self.bytes_out())
        return self.image()


class SemanticCamera(Camera):
    """The tag in red."""

    stream_type = 14

    def sample(self, view: View) -> list[bytes]:
        scene, seen, made = self.draw(view)
        by_tag = paint.tags()
        by_tag[paint.TERRAIN] = by_tag[scene.terrain_tag]
        by_paint = np.full(made.tri.shape[0], by_tag[paint.ROAD_LINES], np.uint32)
        by_face = np.repeat(by_tag[seen.mark[: seen.count, MTAG] & 255], 6)
        self.fill(scene, made, by_tag, by_paint, by_face)
        return self.image()


class InstanceCamera(Camera):
    """The tag in red, an actor's id in green (low byte) and blue; static boxes have their id with the top bit set, the ground has 0."""

    stream_type = 15

    def sample(self, view: View) -> list[bytes]:
        scene, seen, made = self.draw(view)
        by_tag = paint.tags()
        by_tag[paint.TERRAIN] = by_tag[scene.terrain_tag]
        by_paint = np.full(made.tri.shape[0], by_tag[paint.ROAD_LINES], np.uint32)
        self.fill(
            scene, made, by_tag, by_paint, np.repeat(paint.instances(seen.mark[: seen.count]), 6)
        )
        return self.image()


class ColourCamera(Camera):
    """sensor.camera.rgb."""

    stream_type = 13

    def paint(self, view: View) -> None:
        """Draw and colour into `out`."""
        scene, seen, made = self.draw(view)
        now = paint.light(view.weather)
        by_tag, by_colour = paint.ground_colours(now)
        by_tag[paint.TERRAIN] = by_tag[scene.terrain_tag]
        self.fill(
            scene, made, by_tag, by_colour[made.paint], paint.body_colours(view, seen, made, now)
        )
        _raster_kernels.air(
            self.inverse, self.faces, self.rot, self.focal, now.haze, now.zenith, now.horizon, now.sun, now.glow,
            self.bytes_out(),
        )  # fmt: skip

    def sample(self, view: View) -> list[bytes]:
        self.paint(view)
        return self.image()


class LayoutCamera(Camera):
    """sensor.camera.cosmos_visualization: road, paint and boxes in plain colours without light, air or sky; this project's drawing."""

    stream_type = 16

    def sample(self, view: View) -> list[bytes]:
        scene, seen, made = self.draw(view)
        by_tag, by_colour = paint.plain_colours()
        by_tag[paint.TERRAIN] = by_tag[scene.terrain_tag]
        by_face = np.repeat(by_tag[seen.mark[: seen.count, MTAG] & 255], 6)
        self.fill(scene, made, by_tag, by_colour[made.paint], by_face)
        return self.image()


class NormalsCamera(Camera):
    """World normals, -1..1 as 0..255: x in red, y in green, z in blue. The ground counts as level; the sky is black."""

    stream_type = 2

    def sample(self, view: View) -> list[bytes]:
        scene, seen, made = self.draw(view)
        up = paint.words(np.array([[255.0, 127.5, 127.5]]))
        by_tag = np.full(paint.TAGS, up[0], np.uint32)
        by_tag[11] = 0xFF000000
        outward = paint.normals(seen.body[: seen.count])
        self.fill(
            scene, made, by_tag, np.full(made.tri.shape[0], up[0], np.uint32),
            paint.words(127.5 + 127.5 * outward[:, ::-1]),
        )  # fmt: skip
        return self.image()


class FlowCamera(Camera):
    """sensor.camera.optical_flow: how far each pixel has moved since this camera's last image, as shares of the image's width (right
    positive) and height (down positive), clipped at 2. The first image is zero."""

    stream_type = 8

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._was: tuple[Floats, Floats, dict[int, Floats]] | None = None
        self._flow = np.zeros((self.height, self.width, 2), dtype=np.float32)

    def sample(self, view: View) -> list[bytes]:
        scene, seen, made = self.draw(view)
        now = {
            int(actor): seen.body[k, CX : FX + 9].copy()
            for k, actor in enumerate(seen.mark[: seen.count, MID].tolist())
            if seen.mark[k, 2] >= 0
        }
        if self._was is None:
            self._flow[:] = 0.0
        else:
            at, rot, bodies = self._was
            _raster_kernels.flow(
                self.at, self.rot, at, rot, self.focal, self.inverse, self.faces,
                scene.tri.shape[0] + 1 + made.tri.shape[0], _shifts(seen, now, bodies), self._flow,
            )  # fmt: skip
        self._was = self.at, self.rot, now
        return [self._header + self._flow.tobytes()]


def _shifts(seen: Bodies, now: dict[int, Floats], was: dict[int, Floats]) -> Floats:
    """(B, 12): what takes a point of each body to where it was; nothing for those that are new or never move."""
    out = np.zeros((max(seen.count, 1), 12))
    out[:, (0, 4, 8)] = 1.0
    for k in range(seen.count):
        actor = int(seen.mark[k, MID])
        if seen.mark[k, 2] < 0 or actor not in was:
            continue
        here, there = now[actor], was[actor]
        turn = there[3:].reshape(3, 3).T @ here[3:].reshape(3, 3)
        out[k, :9] = turn.reshape(-1)
        out[k, 9:] = there[:3] - turn @ here[:3]
    return out


class EventCamera(ColourCamera):
    """sensor.camera.dvs: a pixel fires when its (log) brightness has changed by a threshold since it last fired.

    Brightness runs evenly between two images. Nothing is sent for the first image, nor when nothing changed. The noise of the
    thresholds (`sigma_*`) is drawn once per image and direction, not per event.
    """

    stream_type = 3

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._plus = setup.number("positive_threshold", 0.3, 1e-3, 1e6)
        self._minus = setup.number("negative_threshold", 0.3, 1e-3, 1e6)
        self._sigma = np.array(
            [setup.number(f"sigma_{d}_threshold", 0.0, 0.0, 1e6) for d in ("positive", "negative")]
        )
        self._rest_ns = setup.whole("refractory_period_ns", 0, 0, 10**18)
        self._is_log = setup.flag("use_log", True)
        self._epsilon = setup.number("log_eps", 1e-3, 1e-12, 1e6)
        self._before: Floats | None = None
        self._level = np.zeros(0)
        self._last_ns: Ints = np.full(self.width * self.height, -1, dtype=np.int64)
        self._seen_ns = 0

    def sample(self, view: View) -> list[bytes]:
        self.paint(view)
        bgr = self.bytes_out()[:, :, :3].reshape(-1, 3).astype(np.float64)
        grey = bgr @ np.array([0.1140, 0.5870, 0.2989])
        after = np.log(self._epsilon + grey / 255.0) if self._is_log else grey
        begin, end = self._seen_ns, round(view.elapsed_s * 1e9)
        before, self._before, self._seen_ns = self._before, after, end
        if before is None:
            self._level = after.copy()
            return []
        plus, minus = self._plus, self._minus
        if self._sigma.any():
            n = self.normals(2) * self._sigma
            plus, minus = max(0.01, plus + float(n[0])), max(0.01, minus + float(n[1]))
        most = min(_MOST_EVENTS, 8 * after.size)
        stamps, pixels = np.empty(most, np.int64), np.empty(most, np.int64)
        count = _raster_kernels.crossings(
            before, after, self._level, self._last_ns, begin, end, plus, minus, self._rest_ns, stamps, pixels
        )  # fmt: skip
        count = min(count, most)
        if count == 0:
            return []
        order = np.argsort(stamps[:count], kind="stable")
        events = np.empty(count, dtype=_EVENT)
        where = pixels[:count][order]
        events["x"], events["y"] = (where >> 1) % self.width, (where >> 1) // self.width
        events["t"], events["pol"] = stamps[:count][order], where & 1
        return [self._header + events.tobytes()]


_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("pol", "u1")])
assert BODY >= FX + 9 and NORMAL.size == 4096
