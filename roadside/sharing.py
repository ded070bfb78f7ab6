"""The SSM of a roadside unit: the tracks of its RSM with what is known of class and heading, apart from what is no road user.

A track without a class that has never moved is an obstacle; it becomes a participant when it moves or gets a class, under the same
number. Nothing here decides who is reported: that is the RSM.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from protocols.messages import (
    ActorKind,
    Equipment,
    Obstacles,
    ObstacleType,
    Participants,
    Polygon,
    RoadsideSafety,
    SensorSharing,
    SharedSource,
)
from protocols.roads.network import U8, Bool
from protocols.sensing import SensorKind
from roadside.tracking import Tracks

_ALONE = {
    1 << SensorKind.LIDAR: SharedSource.LIDAR,
    1 << SensorKind.RADAR: SharedSource.RADAR,
    1 << SensorKind.CAMERA: SharedSource.VIDEO,
    1 << SensorKind.ULTRASONIC: SharedSource.UNSPECIFIED,  # the Chinese set has no word for it
}
_SOURCE: U8 = np.array(
    [_ALONE.get(bits, SharedSource.INTEGRATED) if bits else 0 for bits in range(256)], np.uint8
)
_NAMES = tuple(field.name for field in fields(Participants))


@dataclass(frozen=True, slots=True)
class Sight:
    """From where a unit looks, and at what."""

    x_m: float
    y_m: float
    z_m: float
    region: tuple[Polygon, ...] = ()


def sensor_sharing(
    rsm: RoadsideSafety, tracks: Tracks, has_moved: Bool, sight: Sight
) -> SensorSharing:
    """SSM of the rows of `rsm`, which are those of `tracks` under shared numbers; `has_moved` (n,): at any time."""
    columns: dict[str, Any] = {name: getattr(rsm, name, None) for name in _NAMES}
    columns["kind_confidence"] = tracks.kind_confidence
    columns["source"] = _SOURCE[tracks.sources]
    columns["sigma_yaw_rad"] = tracks.sigma_yaw_rad
    is_thing = (rsm.kind == ActorKind.UNSPECIFIED) & ~has_moved
    things = {name: column[is_thing] for name, column in columns.items()}
    del things["kind"]
    things["type"] = np.full(things["x_m"].size, ObstacleType.UNSPECIFIED, np.uint8)
    things["type_confidence"] = things.pop("kind_confidence")
    if is_thing.any():
        columns = {name: column[~is_thing] for name, column in columns.items()}
    return SensorSharing(
        rsm.t_ns, Equipment.RSU, rsm.node_id, sight.x_m, sight.y_m, sight.z_m, sight.region,
        Participants(**columns), Obstacles(**things),
    )  # fmt: skip
