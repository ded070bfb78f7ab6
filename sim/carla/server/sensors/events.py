"""Collision and obstacle detectors: who was touched, and who stands ahead.

An event carries whole Actor structs. What is no actor (a static box) appears as one, as in CARLA: id 0, type `static.` and the name of
its tag, its box in the world. The road surface is never an obstacle and never collided with.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from sim.carla.server.sensors import _ray_kernels
from sim.carla.server.sensors._scene_kernels import MROW
from sim.carla.server.sensors.scene import pose
from sim.carla.server.sensors.view import Sensor, Setup, View

_ENCODE = msgspec.msgpack.Encoder().encode
LABELS = (
    "none", "roads", "sidewalks", "buildings", "walls", "fences", "poles", "trafficlight", "trafficsigns", "vegetation",
    "terrain", "sky", "pedestrians", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "static", "dynamic",
    "other", "water", "roadlines", "ground", "bridge", "railtrack", "guardrail",
)  # fmt: skip


def other(view: View, row: int) -> Any:
    """Actor struct of a table row, or of static box -1 - row."""
    if row >= 0:
        return view.actor(int(view.table.i[row, 0]))
    box = view.statics[-1 - row].tolist()
    tag = int(box[7]) if 0 <= box[7] < len(LABELS) else 22
    # Actor: id, parent, description (uid, id, attributes), bounding box (location, extent, rotation, actor), tags, token.
    return [
        0, 0, [0, f"static.{LABELS[tag]}", []],
        [[box[0], box[1], box[2]], [box[4], box[5], box[6]], [0.0, box[3], 0.0], 0], bytes([tag]), b"",
    ]  # fmt: skip


class CollisionSensor(Sensor):
    """sensor.other.collision: one event for each contact of its parent in the last step, in the order of the contacts.

    `View.contacts` has fields a_row, b_row (a table row, or -1 - k for static box k) and impulse (3,), N s, on a.
    """

    stream_type = 0

    def sample(self, view: View) -> list[bytes]:
        contacts = view.contacts
        if contacts is None or contacts.size == 0:
            return []
        own = view.parent(self.row)
        out = []
        for k in np.flatnonzero((contacts["a_row"] == own) | (contacts["b_row"] == own)).tolist():
            contact = contacts[k]
            is_first = int(contact["a_row"]) == own
            with_row = int(contact["b_row"] if is_first else contact["a_row"])
            impulse = [float(v) if is_first else -float(v) for v in contact["impulse"]]
            out.append(_ENCODE([other(view, own), other(view, with_row), impulse]))
        return out


class ObstacleSensor(Sensor):
    """sensor.other.obstacle: the first thing that a ball of `hit_radius` touches within `distance` ahead; one event a sample.

    `only_dynamics`: vehicles, walkers and props that can be pushed. The event's distance is how far the ball got.
    """

    stream_type = 7

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._distance = setup.number("distance", 5.0, 0.0, 1e4)
        self._radius = setup.number("hit_radius", 0.5, 0.0, 1e3)
        self._only_moving = setup.flag("only_dynamics", False)

    def sample(self, view: View) -> list[bytes]:
        at, rot = pose(view, self.row)
        own, seen = view.parent(self.row), view.bodies()
        gone, which = _ray_kernels.roll_ahead(
            at, rot[0, 0], rot[0, 1], rot[0, 2], self._distance, self._radius, own, self._only_moving,
            seen.body, seen.mark, seen.count,
        )  # fmt: skip
        if which < 0:
            return []
        found = other(view, int(seen.mark[which, MROW]))
        return [_ENCODE([other(view, own), found, float(gone)])]
