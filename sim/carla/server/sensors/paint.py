"""What the drawn world looks like: paint on the road, and a colour for every face under the sun that the weather gives.

Flat colours by tag, vehicles in the colour of their blueprint, light by the angle to the sun, haze with distance. No shadows, no
textures, no lamps but those of traffic lights. Colours are this project's own; semantic tags and instance numbers are CARLA's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.carla.server import columns as c
from sim.carla.server.ground import Floats, Ints
from sim.carla.server.sensors import _scene_kernels as kernels
from sim.carla.server.sensors import markings
from sim.carla.server.sensors.furniture import LAMP_FACE
from sim.carla.server.sensors.scene import Bodies
from sim.carla.server.sensors.view import View

U32 = npt.NDArray[np.uint32]
TERRAIN, TAGS, ROAD_LINES = 256, 257, 24
_DAY, _NIGHT = 12.0, -8.0  # degrees of sun altitude: full light, and none
_SIGNS = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])

# Red, green, blue by CityObjectLabel; grey where nothing is said.
_BY_TAG = {
    1: (92, 92, 96), 2: (150, 146, 140), 3: (168, 152, 134), 4: (140, 140, 144), 5: (128, 108, 92), 6: (110, 110, 112),
    7: (60, 60, 60), 8: (200, 60, 50), 9: (70, 110, 50), 10: (104, 132, 78), 12: (190, 120, 90), 13: (190, 90, 80),
    14: (60, 90, 160), 15: (170, 150, 60), 16: (190, 120, 40), 17: (90, 120, 130), 18: (150, 40, 60), 19: (60, 140, 120),
    20: (150, 150, 120), 21: (160, 120, 60), 22: (130, 130, 130), 23: (60, 90, 130), 24: (230, 230, 226), 25: (120, 122, 112),
    26: (130, 120, 116), 27: (110, 96, 90), 28: (170, 172, 176), TERRAIN: (104, 132, 78),
}  # fmt: skip
# Red, yellow, green, off, unknown.
_LAMP = np.array([(235, 40, 30), (245, 190, 40), (40, 215, 90), (40, 40, 40), (40, 40, 40)], float)
_LIGHT_TAG, _SKY_TAG = 7, 11
_PAINT = np.array([(232, 232, 228), (226, 176, 50)], dtype=np.float64)


@dataclass(slots=True)
class Painting:
    """The paint of a map with the spheres around its triangles, and colours of actors as they are met."""

    tri: Floats
    paint: npt.NDArray[np.uint8]
    bound: Floats
    colours: dict[int, tuple[float, float, float] | None]


@dataclass(frozen=True, slots=True)
class Light:
    """Sun and air of one moment."""

    sun: Floats  # (3,) unit, towards the sun
    ambient: float
    direct: float
    haze: Floats  # (1001,) share of the horizon's colour, by metre
    zenith: Floats  # (3,) BGR
    horizon: Floats
    glow: float  # of the sun itself


def painting(view: View) -> Painting:
    """Of this map; made for its first camera."""
    if view.painting is None:
        made = markings.build(view.net, view.ground)
        corner = made.tri.reshape(-1, 3, 3)
        middle = 0.5 * (corner.min(axis=1) + corner.max(axis=1))
        radius = np.sqrt(((corner - middle[:, None]) ** 2).sum(axis=2).max(axis=1, initial=0.0))
        view.painting = Painting(made.tri, made.paint, np.column_stack([middle, radius]), {})
    found: Painting = view.painting
    return found


def light(weather: Any) -> Light:
    """What the weather's sun, clouds and fog make of the scene; a clear noon without weather."""

    def said(name: str, default: float) -> float:
        value = float(getattr(weather, name, default))
        return value if math.isfinite(value) else default

    altitude, azimuth = said("sun_altitude_angle", 45.0), said("sun_azimuth_angle", 0.0)
    cloud = min(max(said("cloudiness", 0.0) / 100.0, 0.0), 1.0)
    fog = min(max(said("fog_density", 0.0) / 100.0, 0.0), 1.0)
    a, b = math.radians(altitude), math.radians(azimuth)
    sun = np.array([math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a)])
    day = min(max((altitude - _NIGHT) / (_DAY - _NIGHT), 0.0), 1.0)
    direct = day * (0.62 - 0.45 * cloud)
    ambient = 0.10 + day * (0.40 + 0.12 * cloud)
    grey = np.array([196.0, 190.0, 184.0])
    clear_top, clear_low = np.array([190.0, 130.0, 72.0]), np.array([226.0, 208.0, 188.0])
    veil = max(cloud, fog)
    zenith = (0.06 + 0.94 * day) * (clear_top + veil * (grey - clear_top))
    horizon = (0.06 + 0.94 * day) * (clear_low + veil * (grey - clear_low))
    reach_m = 1200.0 * (1.0 - fog) + 40.0 * fog
    haze = 1.0 - np.exp(-np.arange(1001) / reach_m)
    return Light(sun, ambient, direct, haze, zenith, horizon, day * (1.0 - 0.9 * veil))


def words(bgr: Floats) -> U32:
    """(n, 3) colours as opaque BGRA words."""
    b, g, r = np.clip(np.rint(bgr), 0, 255).astype(np.uint32).T
    packed: U32 = b | (g << np.uint32(8)) | (r << np.uint32(16)) | np.uint32(0xFF000000)
    return packed


def tags() -> U32:
    """Word of every tag: the tag in red, nothing else."""
    number = np.arange(TAGS, dtype=np.uint32)
    number[TERRAIN] = 0
    tagged: U32 = (number << np.uint32(16)) | np.uint32(0xFF000000)
    return tagged


def instances(mark: Ints) -> U32:
    """Words of bodies: the tag in red, the number in green (low byte) and blue: an actor's id, a static box's id with the top bit."""
    tag, actor = mark[:, kernels.MTAG].astype(np.uint32), mark[:, kernels.MID].astype(np.uint32)
    actor = np.where(mark[:, kernels.MROW] < 0, actor & 0x7FFF | 0x8000, actor)
    low, high = actor & np.uint32(255), (actor >> np.uint32(8)) & np.uint32(255)
    word: U32 = (
        high
        | (low << np.uint32(8))
        | ((tag & np.uint32(255)) << np.uint32(16))
        | np.uint32(0xFF000000)
    )
    return word


def normals(body: Floats) -> Floats:
    """(n * 6, 3) outward normals of the faces of bodies, in the world."""
    axes = body[:, kernels.FX : kernels.FX + 9].reshape(-1, 3, 3)
    out: Floats = (np.repeat(axes, 2, axis=1) * _SIGNS[:, None]).reshape(-1, 3)
    return out


def lit(bgr: Floats, normal: Floats, now: Light) -> Floats:
    """Colours under the sun."""
    share = now.ambient + now.direct * np.maximum(normal @ now.sun, 0.0)
    shaded: Floats = bgr * share[:, None]
    return shaded


def plain_colours() -> tuple[U32, U32]:
    """Words by tag (TAGS,), the sky black, and by paint (2,), unlit."""
    rgb = np.array([_BY_TAG.get(t, (128, 128, 128)) for t in range(TAGS)], dtype=np.float64)
    rgb[_SKY_TAG] = 0.0
    return words(rgb[:, ::-1]), words(_PAINT[:, ::-1])


def ground_colours(now: Light) -> tuple[U32, U32]:
    """Words by tag (TAGS,) and by paint (2,), lying level."""
    rgb = np.array([_BY_TAG.get(t, (128, 128, 128)) for t in range(TAGS)], dtype=np.float64)
    up = np.array([[0.0, 0.0, 1.0]])
    return words(lit(rgb[:, ::-1], up, now)), words(lit(_PAINT[:, ::-1], up, now))


def body_colours(view: View, seen: Bodies, made: Painting, now: Light) -> U32:
    """Words of the faces of every body."""
    rgb = np.array(
        [
            _colour(view, made, int(actor), int(tag), int(row))
            for actor, tag, row, _ in seen.mark[: seen.count].tolist()
        ]
    ).reshape(-1, 3)
    face = np.repeat(rgb[:, ::-1], 6, axis=0)
    word = words(lit(face, normals(seen.body[: seen.count]), now))
    lights = np.flatnonzero(seen.mark[: seen.count, kernels.MTAG] == _LIGHT_TAG)
    lights = lights[seen.mark[lights, kernels.MROW] >= 0]
    if lights.size:  # lamps shine by themselves
        state = view.table.i[seen.mark[lights, kernels.MROW], c.LIGHT_STATE]
        word[6 * lights + LAMP_FACE] = words(_LAMP[np.clip(state, 0, 4), ::-1])
    return word


def _colour(view: View, made: Painting, actor: int, tag: int, row: int) -> tuple[float, ...]:
    if row >= 0:
        if actor not in made.colours:
            made.colours[actor] = _attribute(view.actor(actor))
        own = made.colours[actor]
        if own is not None:
            return own
    return _BY_TAG.get(tag, (128, 128, 128))


def _attribute(actor: Any) -> tuple[float, float, float] | None:
    """The `color` attribute of an actor, "r,g,b"."""
    description = getattr(actor, "description", None)
    for attribute in getattr(description, "attributes", ()):
        if attribute.id == "color":
            parts = attribute.value.split(",")
            if len(parts) == 3 and all(p.strip().isdigit() and len(p) < 6 for p in parts):
                r, g, b = (min(float(p), 255.0) for p in parts)
                return r, g, b
    return None
