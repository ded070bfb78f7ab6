"""Shapes of a road network as seen from above, for pictures and viewers: world metres, plain arrays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from protocols.roads.network import F64, RoadNetwork

PLATFORM_DEPTH_M = 2.5  # of a station whose file gives no outline


def lane_edges(net: RoadNetwork) -> tuple[F64, F64]:
    """Left and right edge (P, 2) at every point of the network's centre lines, seen in travel direction."""
    points = net.points
    half = 0.5 * points.width_m
    across_x, across_y = -np.sin(points.yaw_rad) * half, np.cos(points.yaw_rad) * half
    left = np.stack((points.x_m + across_x, points.y_m + across_y), axis=1)
    right = np.stack((points.x_m - across_x, points.y_m - across_y), axis=1)
    return left, right


def lane_polygons(net: RoadNetwork) -> list[F64]:
    """Outline (n, 2) of every lane: left edge forward, right edge back."""
    left, right = lane_edges(net)
    return [
        np.concatenate((left[a:b], right[a:b][::-1])) for a, b in pairwise(net.lanes.point_start)
    ]


def on_lane(net: RoadNetwork, lane: int, s_m: F64) -> tuple[F64, F64, F64, F64]:
    """x, y, yaw, width (n,) at travel distances on a lane."""
    a, b = int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1])
    p = net.points
    at = p.s_m[a:b]
    yaw = np.unwrap(p.yaw_rad[a:b])
    x, y, angle, width = (
        np.interp(s_m, at, column) for column in (p.x_m[a:b], p.y_m[a:b], yaw, p.width_m[a:b])
    )
    return x, y, angle, width


def platforms(net: RoadNetwork) -> list[tuple[int, F64]]:
    """(row in `stations`, outline (n, 2)) of every platform; a bar beside the lane where the file gives no outline."""
    out = []
    seen = set()
    for row, target in enumerate(net.stations.object):
        if int(target) in seen:
            continue
        seen.add(int(target))
        outline = object_outline(net, int(target))
        if outline.shape[0] >= 3:
            out.append((row, outline))
            continue
        x, y, yaw, width = on_lane(
            net,
            int(net.stations.lane[row]),
            np.array([net.stations.s0_m[row], net.stations.s1_m[row]]),
        )
        side = float(net.stations.door_side[row])
        near, far = side * width / 2, side * (width / 2 + PLATFORM_DEPTH_M)
        nx, ny = -np.sin(yaw), np.cos(yaw)
        inner = np.stack((x + nx * near, y + ny * near), axis=1)
        outer = np.stack((x + nx * far, y + ny * far), axis=1)
        out.append((row, np.concatenate((inner, outer[::-1]))))
    return out


def object_outline(net: RoadNetwork, row: int) -> F64:
    """Outline (n, 2) as the file gives it; empty where it gives none."""
    a, b = int(net.objects.outline_start[row]), int(net.objects.outline_start[row + 1])
    return np.stack((net.objects.outline_x_m[a:b], net.objects.outline_y_m[a:b]), axis=1)
