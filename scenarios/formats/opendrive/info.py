"""What a network holds, in numbers, for `icv map info`."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.roads.network import LaneType, RoadNetwork, UserClass


def info(net: RoadNetwork) -> dict[str, Any]:
    """Counts, lengths (km), extent (m) and notes; plain values that print and serialise."""
    lanes, points = net.lanes, net.points
    km = lanes.length_m / 1000.0
    types = {
        LaneType(int(t)).name.lower(): {
            "lanes": int((lanes.type == t).sum()),
            "km": round(float(km[lanes.type == t].sum()), 3),
        }
        for t in np.unique(lanes.type)
    }
    classes = {
        str(c.name).lower(): round(float(km[(lanes.permission & np.uint32(int(c))) != 0].sum()), 3)
        for c in UserClass
    }
    speeds = lanes.speed_mps[lanes.has_speed]
    extent = (
        [float(v) for v in (points.x_m.min(), points.y_m.min(), points.x_m.max(), points.y_m.max())]
        if points.x_m.size
        else []
    )
    return {
        "name": net.name,
        "version": net.version,
        "digest": net.digest,
        "geo_reference": net.geo_reference,
        "roads": len(net.roads.id),
        "road_km": round(float(net.roads.length_m.sum()) / 1000.0, 3),
        "left_hand_roads": int(net.roads.is_left_hand.sum()),
        "lane_sections": int(net.sections.road.size),
        "lanes": net.num_lanes,
        "lane_types": types,
        "km_open_to": {name: length for name, length in classes.items() if length > 0},
        "speed_limits_mps": sorted({round(float(v), 2) for v in speeds}),
        "lanes_without_speed": int((~lanes.has_speed).sum()),
        "junctions": len(net.junctions.id),
        "signalised_junctions": int(net.junctions.is_signalised.sum()),
        "conflict_areas": int(net.conflicts.other.size) // 2,
        "signals": len(net.signals.id),
        "signal_groups": len(net.groups.id),
        "stop_lines": int(net.stop_lines.lane.size),
        "stations": sorted(
            {f"{i} {n}".strip() for i, n in zip(net.stations.id, net.stations.name, strict=True)}
        ),
        "crossings": len(net.crossings.id),
        "objects": len(net.objects.id),
        "extent_m": extent,
        "points": int(points.s_m.size),
        "notes": list(net.notes),
    }
