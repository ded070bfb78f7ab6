"""Lane-level placing of vehicles that are known by radio only.

A series receiver errs by most of a metre for a minute, so a car that queues in the next lane can seem to reach into ours. Whoever
nobody has seen is therefore put on the centre of the nearest lane that its class may use and whose direction it keeps, when that
lies within `REACH_M` of its report. Measured vehicles (own sensors, roadside units) stay where they were measured, so an
intruder that anybody sees is never explained away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.matching import RoadIndex, lanes_allowed, match
from protocols.roads.network import Bool, UserClass
from vehicle.fusion.tracking import BSM, Tracks

REACH_M = 2.1  # three sigma of a series receiver's slow error (0.7 m); well short of a lane beyond the next
MAX_TURN_RAD = 0.5
KINDS = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.MOTORCYCLE)
CLASSES = UserClass.PASSENGER | UserClass.DELIVERY | UserClass.TRUCK | UserClass.MOTORCYCLE


class LanePlacer:
    """Holds the mask of lanes that general traffic may use."""

    def __init__(self, index: RoadIndex) -> None:
        self._index = index
        self._allowed: Bool = lanes_allowed(index, CLASSES)

    def place(self, tracks: Tracks) -> Tracks:
        """`tracks` with radio-only vehicles moved sideways onto lane centres; the same object when nobody moves."""
        rows = np.flatnonzero((tracks.source == BSM) & np.isin(tracks.kind, KINDS))
        if not rows.size:
            return tracks
        x, y = tracks.x_m[rows], tracks.y_m[rows]
        found = match(
            self._index, x, y, tracks.yaw_rad[rows], allowed=self._allowed, max_distance_m=REACH_M
        )
        turned = np.abs(np.angle(np.exp(1j * (tracks.yaw_rad[rows] - found.yaw_rad))))
        fits = found.valid & (turned < MAX_TURN_RAD)
        if not fits.any():
            return tracks
        x_m, y_m = tracks.x_m.copy(), tracks.y_m.copy()
        x_m[rows[fits]], y_m[rows[fits]] = found.x_m[fits], found.y_m[fits]
        return replace(tracks, x_m=x_m, y_m=y_m)
