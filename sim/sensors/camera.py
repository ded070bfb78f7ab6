"""Camera with an object detector, at object level: what is large, clear and bright enough in the picture is found.

A body of height h at range r covers f h / r pixels (pinhole, f from width and field of view); it has to cover the least numbers of pixels
in height and width, of what is in sight of it. Haze leaves exp(-extinction r) of its contrast (Koschmieder). Dusk and night ask for
more pixels and lose a share; a sun near the line of sight blinds; drops on the pane lose looks. Range comes from the foot point, so its
error grows with range^2, while the bearing is sharp. Classes get mixed up with distance. No velocity.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import F64, U8, Bool
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from sim.sensors import draws
from sim.sensors.detection_params import CameraParams, mistaken_for
from sim.sensors.environment import Environment, Light, weather
from sim.sensors.reports import Found, ghosts, object_list, wrapped
from sim.sensors.surroundings import I64, Boxes, Place, Surroundings, identities, seen_share
from sim.state import ActorStates, ActorStatics

_DEEP = 1.0 / 3.0  # a range error of a third of the range is the most that is said


class Camera:
    """One camera. Its noise belongs to `key`, and in it to each body."""

    def __init__(
        self, params: CameraParams, key: int, name: str, environment: Environment, walls: F64
    ) -> None:
        p = self._p = params
        self._key, self._name, self._environment = key, name, environment
        self._surroundings = Surroundings(walls)
        self._focal_px = 0.5 * p.image_width_px / math.tan(0.5 * p.field_of_view_rad)
        self._extinction = environment.extinction_per_m("camera")
        row = weather("camera")
        self._size, self._found = {
            Light.DAY: (1.0, 1.0),
            Light.DUSK: (row["dusk_size"], row["dusk_detection"]),
            Light.NIGHT: (row["night_size"], row["night_detection"]),
        }[environment.light]
        self._found *= (1.0 - p.miss_probability) * (1.0 - environment.drop_out("camera"))
        others = mistaken_for()
        most = max(len(row) for row in others.values())
        self._others = np.zeros((len(ActorKind), most), np.uint8)
        self._num_others = np.zeros(len(ActorKind), np.int64)
        for kind, names in others.items():
            self._others[kind, : len(names)], self._num_others[kind] = names, len(names)

    def measure(
        self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """One picture."""
        p, key = self._p, self._key
        boxes = self._surroundings.look(place, p.range_m, states, statics)
        cx, cy, c, s = boxes.box[:4]
        r, bearing = np.hypot(cx, cy), np.arctan2(cy, cx)
        who = identities(boxes, states)
        is_found = self._is_visible(place, boxes, r, bearing)
        chance = self._found * self.glare(place, boxes, r, bearing)
        is_found &= draws.uniform(key, t_ns, 0, who) < chance
        who, row = who[is_found], boxes.row[is_found]
        r, bearing, c, s = r[is_found], bearing[is_found], c[is_found], s[is_found]
        half_length, half_width = boxes.box[4:6, is_found]
        kind = self._classified(t_ns, who, r, statics.kind[row])
        yaw = np.arctan2(s, c) + p.yaw_sigma_rad * draws.normal(key, t_ns, 4, who)
        length = 2.0 * half_length + p.size_sigma_m * draws.normal(key, t_ns, 5, who)
        width = 2.0 * half_width + p.size_sigma_m * draws.normal(key, t_ns, 6, who)
        sigma = self.range_sigma_m(r)
        r = np.maximum(r + sigma * draws.normal(key, t_ns, 1, who), 0.1)
        bearing = bearing + p.bearing_sigma_rad * draws.normal(key, t_ns, 2, who)
        far, turn, draw = ghosts(
            key, t_ns, p.clutter_per_scan, place, p.field_of_view_rad, 2.0, p.range_m
        )
        ghost_kind = np.where(draw < 0.5, int(ActorKind.PEDESTRIAN), int(ActorKind.CAR))
        ghost_size = np.where(draw < 0.5, 0.5, 4.0)
        r, bearing = np.concatenate([r, far]), np.concatenate([bearing, turn])
        zero = np.zeros(r.size)
        found = Found(
            r * np.cos(bearing),
            r * np.sin(bearing),
            bearing,
            # What the camera says of its error comes from the range that it measured, not from the true one.
            self.range_sigma_m(r),
            p.bearing_sigma_rad * r,
            np.concatenate([yaw, turn]),
            zero,
            zero,
            np.maximum(np.concatenate([length, ghost_size]), 0.1),
            np.maximum(np.concatenate([width, 0.45 * ghost_size]), 0.1),
            np.concatenate([kind, ghost_kind.astype(np.uint8)]),
        )
        return object_list(t_ns, place, found, self._name, SensorKind.CAMERA, VelocityKind.NONE)

    def range_sigma_m(self, range_m: F64) -> F64:
        """1-sigma of a range."""
        sigma: F64 = np.minimum(self._p.range_sigma_per_m * range_m**2, _DEEP * range_m) + 0.05
        return sigma

    def glare(self, place: Place, boxes: Boxes, range_m: F64, bearing_rad: F64) -> F64:
        """(B,) share of looks that the sun leaves: all beyond `glare_rad` from it, least right in front of it."""
        p, sun = self._p, self._environment
        if sun.light is Light.NIGHT or sun.sun_elevation_rad <= 0.0 or p.glare_rad <= 0.0:
            return np.ones(range_m.size)
        elevation = np.arctan2(0.5 * boxes.box[6] - place.up_m, np.maximum(range_m, 0.1))
        cosine = np.sin(elevation) * math.sin(sun.sun_elevation_rad) + np.cos(elevation) * math.cos(
            sun.sun_elevation_rad
        ) * np.cos(bearing_rad - sun.sun_azimuth_rad)
        apart = np.arccos(np.clip(cosine, -1.0, 1.0))
        near = np.maximum(1.0 - apart / p.glare_rad, 0.0)
        left: F64 = 1.0 - near * (1.0 - p.glare_detection)
        return left

    def _is_visible(self, place: Place, boxes: Boxes, r: F64, bearing: F64) -> Bool:
        p = self._p
        share = seen_share(place, boxes)
        tall = self._focal_px * boxes.box[6] / np.maximum(r, 0.1)
        # Pixels across; what is hidden of a body does not count.
        wide = self._focal_px * (boxes.span[2] - boxes.span[1]) * share
        is_visible: Bool = (
            (r <= p.range_m)
            & (np.abs(wrapped(bearing - place.yaw_rad)) <= 0.5 * p.field_of_view_rad)
            & (share >= p.min_visible)
            & (share > 0.0)
            & (tall >= p.min_height_px * self._size)
            & (wide >= p.min_width_px * self._size)
            & (np.exp(-self._extinction * r) >= p.min_contrast)
        )
        return is_visible

    def _classified(self, t_ns: int, who: I64, r: F64, kind: U8) -> U8:
        p = self._p
        wrong = np.minimum(p.confusion + p.confusion_per_m * r, p.max_confusion)
        is_wrong = draws.uniform(self._key, t_ns, 7, who) < wrong
        pick = (draws.uniform(self._key, t_ns, 8, who) * self._num_others[kind]).astype(np.int64)
        said: U8 = np.where(is_wrong, self._others[kind, pick], kind).astype(np.uint8)
        return said
