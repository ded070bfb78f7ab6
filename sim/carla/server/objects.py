"""What else stands on a map: `<object>`s of the road file as boxes to run into and as CARLA's environment objects.

A box needs a height; what has none (crosswalks, stop lines, parking spaces, paint) is no obstacle and stays in the file's text.
Outlines become the box around them along the object's own axes. What one drives through (bridges, tunnels) is none either.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive.place import object_meaning
from sim.carla import frames
from sim.carla.wire import structs

Floats = npt.NDArray[np.float64]
Label = structs.CityObjectLabel

MIN_HEIGHT_M = 0.05
MIN_HALF_M = 0.05  # half a pole where the file says no width
MAX_HALF_M = 2_000.0  # a larger thing is a mistake in the file

_LABELS: tuple[tuple[tuple[str, ...], Label], ...] = (
    (("building", "house"), Label.BUILDINGS),
    (("wall", "soundbarrier"), Label.WALLS),
    (("guardrail", "guard_rail"), Label.GUARD_RAIL),
    (("barrier", "fence", "railing"), Label.FENCES),
    (("pole", "streetlamp", "lamp", "post", "gantry", "reflector"), Label.POLES),
    (("tree", "vegetation", "bush", "hedge", "forest"), Label.VEGETATION),
    (("bridge", "tunnel"), Label.BRIDGE),
    (("busstop", "station", "platform", "island", "trafficisland"), Label.STATIC),
)
_PASSABLE = frozenset(
    ("crosswalk", "crossing", "parkingspace", "roadmark", "stopline", "stencil", "patch", "tunnel", "bridge", "rumblestrip")
)  # fmt: skip


def boxes(net: RoadNetwork) -> Floats:
    """(S, 9) centre x y z, yaw in degrees, half sizes x y z, CityObjectLabel, id (row of the objects, from 1)."""
    objects = net.objects
    rows: list[tuple[float, ...]] = []
    for k in range(len(objects.id)):
        height = float(objects.height_m[k])
        if _is_passable(net, k) or not height >= MIN_HEIGHT_M:
            continue
        yaw = float(objects.yaw_rad[k])
        x, y, half_x, half_y = _extent(net, k, yaw)
        z = float(objects.z_m[k]) + 0.5 * height
        if not (max(half_x, half_y, 0.5 * height) <= MAX_HALF_M and np.isfinite(x + y + z + yaw)):
            continue
        rows.append(
            (x, frames.flip_y(y), z, frames.yaw_to_carla(yaw), half_x, half_y, 0.5 * height, float(label(net, k)), k + 1.0)
        )  # fmt: skip
    return np.array(rows, np.float64).reshape(-1, 9)


def environment(net: RoadNetwork, statics: Floats) -> tuple[structs.EnvironmentObject, ...]:
    """Each box as CARLA's clients ask for it; the bounding box is in the world."""
    out: list[structs.EnvironmentObject] = []
    for row in statics:
        x, y, z, yaw, half_x, half_y, half_z, tag, number = (float(v) for v in row)
        turn = structs.Rotation(0.0, yaw, 0.0)
        k = int(number) - 1
        name = net.objects.name[k] or net.objects.type[k] or "object"
        out.append(
            structs.EnvironmentObject(
                structs.Transform(structs.Location(x, y, z - half_z), turn),
                structs.BoundingBox(
                    structs.Location(x, y, z), structs.Vector3D(half_x, half_y, half_z), turn, 0
                ),
                int(number),
                f"{name}_{net.objects.id[k]}",
                Label(int(tag)),
            )
        )
    return tuple(out)


def label(net: RoadNetwork, k: int) -> Label:
    """What CARLA would call an object, by its subtype, type or name."""
    for text in (net.objects.subtype[k], net.objects.type[k], net.objects.name[k]):
        word = _word(text)
        for words, found in _LABELS:
            if word and any(w in word for w in words):
                return found
    return Label.STATIC


def _word(text: str) -> str:
    return text.lower().replace(" ", "").replace("_", "").replace("-", "")


def _is_passable(net: RoadNetwork, k: int) -> bool:
    o = net.objects
    texts = {"type": o.type[k], "subtype": o.subtype[k], "name": o.name[k]}
    if object_meaning(texts) in ("crossing", "stop_line"):
        return True
    return _word(o.type[k]) in _PASSABLE


def _extent(net: RoadNetwork, k: int, yaw: float) -> tuple[float, float, float, float]:
    """Centre and half sizes along the object's own axes, our frame."""
    o = net.objects
    ring = slice(int(o.outline_start[k]), int(o.outline_start[k + 1]))
    px, py = o.outline_x_m[ring], o.outline_y_m[ring]
    if not px.size:
        half = max(0.5 * float(o.length_m[k]), MIN_HALF_M), max(0.5 * float(o.width_m[k]), MIN_HALF_M)  # fmt: skip
        return float(o.x_m[k]), float(o.y_m[k]), *half
    c, s = np.cos(yaw), np.sin(yaw)
    u, v = px * c + py * s, py * c - px * s
    mid_u, mid_v = 0.5 * (u.min() + u.max()), 0.5 * (v.min() + v.max())
    return (
        float(mid_u * c - mid_v * s),
        float(mid_u * s + mid_v * c),
        max(0.5 * float(u.max() - u.min()), MIN_HALF_M),
        max(0.5 * float(v.max() - v.min()), MIN_HALF_M),
    )
