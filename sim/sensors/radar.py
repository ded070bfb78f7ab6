"""Millimetre-wave radar: a target list with range, azimuth and radial speed.

Detection follows the radar equation: signal over noise falls with range^4 and rises with the cross-section, and a target that
fluctuates from look to look (Swerling I) is found with P_fa^(1 / (1 + SNR)) (Skolnik, Introduction to Radar Systems, 3rd ed., 2.8).
One reference (range, cross-section, probability) fixes SNR. What hides a part of a body takes its share of the cross-section. Rain
weakens the echo a little; fog and light do nothing. Extents and yaw are not measured: size 0, yaw along the line of sight.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.roads.network import F64
from protocols.sensing import ObjectList, SensorKind, VelocityKind
from sim.sensors import draws
from sim.sensors.detection_params import RadarParams, cross_sections
from sim.sensors.environment import Environment
from sim.sensors.reports import Found, ghosts, object_list, wrapped
from sim.sensors.surroundings import Place, Surroundings, identities, seen_share
from sim.state import ActorStates, ActorStatics

_GHOST_SPEED_MPS = 20.0  # clutter moves at up to this, either way


class Radar:
    """One radar. Its noise belongs to `key`, and in it to each body."""

    def __init__(
        self, params: RadarParams, key: int, name: str, environment: Environment, walls: F64
    ) -> None:
        p = self._p = params
        self._key, self._name = key, name
        self._surroundings = Surroundings(walls)
        self._cross_section = cross_sections()
        self._extinction = environment.extinction_per_m("radar")
        snr = math.log(p.false_alarm_probability) / math.log(p.reference_detection) - 1.0
        self._snr = snr / p.reference_rcs_m2 * p.reference_range_m**4  # of 1 m2 at 1 m

    def detection(self, range_m: F64, cross_section_m2: F64) -> F64:
        """Probability that a target is found in one look."""
        p = self._p
        r = np.maximum(range_m, 1.0)
        snr = self._snr * cross_section_m2 / r**4 * np.exp(-2.0 * self._extinction * r)
        found: F64 = p.false_alarm_probability ** (1.0 / (1.0 + snr)) * (1.0 - p.drop_out)
        return found

    def measure(
        self, t_ns: int, place: Place, states: ActorStates, statics: ActorStatics
    ) -> ObjectList:
        """One look."""
        p, key = self._p, self._key
        boxes = self._surroundings.look(place, p.range_m, states, statics)
        share = seen_share(place, boxes)
        cx, cy, c, s = boxes.box[:4]
        r, azimuth = np.hypot(cx, cy), np.arctan2(cy, cx)
        row = boxes.row
        who = identities(boxes, states)
        chance = self.detection(r, self._cross_section[statics.kind[row]] * share)
        is_found = (
            (r <= p.range_m)
            & (np.abs(wrapped(azimuth - place.yaw_rad)) <= 0.5 * p.field_of_view_rad)
            & (share >= p.min_visible)
            & (share > 0.0)
            & (draws.uniform(key, t_ns, 0, who) < chance)
        )
        who, row = who[is_found], row[is_found]
        r, azimuth, c, s = r[is_found], azimuth[is_found], c[is_found], s[is_found]
        # A rear section moves with the joint; along its own axis that is the front's speed times cos(hitch).
        is_rear = boxes.box[7, is_found] > 0.0
        speed = states.speed_mps[row] * np.where(is_rear, np.cos(states.hitch_rad[row]), 1.0)
        radial = speed * (c * np.cos(azimuth) + s * np.sin(azimuth))
        radial = radial + p.speed_sigma_mps * draws.normal(key, t_ns, 1, who)
        r = np.maximum(r + p.range_sigma_m * draws.normal(key, t_ns, 2, who), 0.1)
        azimuth = azimuth + p.azimuth_sigma_rad * draws.normal(key, t_ns, 3, who)
        kind = np.zeros(r.size, np.uint8)  # a radar does not tell kinds apart
        far, turn, draw = ghosts(
            key, t_ns, p.clutter_per_scan, place, p.field_of_view_rad, 1.0, p.range_m
        )
        r, azimuth = np.concatenate([r, far]), np.concatenate([azimuth, turn])
        radial = np.concatenate([radial, (2.0 * draw - 1.0) * _GHOST_SPEED_MPS])
        kind = np.concatenate([kind, np.zeros(far.size, np.uint8)])
        ux, uy, zero = np.cos(azimuth), np.sin(azimuth), np.zeros(r.size)
        found = Found(
            r * ux, r * uy, azimuth, np.full(r.size, p.range_sigma_m), p.azimuth_sigma_rad * r,
            azimuth, radial * ux, radial * uy, zero, zero, kind,
        )  # fmt: skip
        return object_list(
            t_ns, place, found, self._name, SensorKind.RADAR, VelocityKind.RADIAL, p.speed_sigma_mps
        )
