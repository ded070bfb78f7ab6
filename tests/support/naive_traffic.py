"""Slow, obvious twins for traffic and collisions: polygons clipped edge by edge, a world of its own per test."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from protocols.messages import Light
from protocols.roads.network import U8, RoadNetwork
from protocols.roads.routing import find_lane
from sim.rows import RowAllocator
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics
from sim.traffic import Traffic, TrafficConfig

Point = tuple[float, float]


def corners(states: ActorStates, statics: ActorStatics, row: int) -> list[list[Point]]:
    """Polygons of the body of `row`, one per section, counter-clockwise."""

    def box(x: float, y: float, yaw: float, back: float, front: float, half: float) -> list[Point]:
        c, s = math.cos(yaw), math.sin(yaw)
        body = [(back, -half), (front, -half), (front, half), (back, half)]
        return [(x + u * c - v * s, y + u * s + v * c) for u, v in body]

    x, y, yaw = float(states.x_m[row]), float(states.y_m[row]), float(states.yaw_rad[row])
    half = 0.5 * float(statics.width_m[row])
    overhang = float(statics.rear_overhang_m[row])
    out = [box(x, y, yaw, -overhang, float(statics.length_m[row]) - overhang, half)]
    rear = float(statics.rear_length_m[row])
    if rear > 0:
        joint = float(statics.hitch_x_m[row])
        jx, jy = x + joint * math.cos(yaw), y + joint * math.sin(yaw)
        out.append(box(jx, jy, yaw - float(states.hitch_rad[row]), -rear, 0.0, half))
    return out


def common_area(a: list[Point], b: list[Point]) -> float:
    """Area shared by two convex polygons (Sutherland and Hodgman 1974)."""
    poly = a
    for (x0, y0), (x1, y1) in zip(b, b[1:] + b[:1], strict=True):
        kept: list[Point] = []
        for (px, py), (qx, qy) in zip(poly, poly[1:] + poly[:1], strict=True):
            p_in = (x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)
            q_in = (x1 - x0) * (qy - y0) - (y1 - y0) * (qx - x0)
            if p_in >= 0:
                kept.append((px, py))
            if (p_in >= 0) != (q_in >= 0):
                w = p_in / (p_in - q_in)
                kept.append((px + w * (qx - px), py + w * (qy - py)))
        poly = kept
        if len(poly) < 3:
            return 0.0
    return 0.5 * abs(
        sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(poly, poly[1:] + poly[:1], strict=True))
    )


def touching(states: ActorStates, statics: ActorStatics) -> dict[tuple[int, int], float]:
    """Shared area of every pair of rows that has any."""
    out = {}
    for a, b in itertools.combinations(np.flatnonzero(states.valid).tolist(), 2):
        area = sum(
            common_area(p, q)
            for p in corners(states, statics, a)
            for q in corners(states, statics, b)
        )
        if area > 0:
            out[(a, b)] = area
    return out


@dataclass(slots=True)
class World:
    """Traffic alone with its state; `lane(key)` finds lanes by their written key."""

    net: RoadNetwork
    traffic: Traffic
    states: ActorStates
    statics: ActorStatics
    t_ns: int = 0

    def lane(self, key: str) -> int:
        """Index of a lane."""
        return find_lane(self.net, key)

    def run(self, seconds: float, light: U8 | None = None) -> None:
        """Steps of 0.1 s under constant lights (dark when None)."""
        shown = dark(self.net) if light is None else light
        for _ in range(round(seconds * 10)):
            self.traffic.step(self.t_ns, shown)
            self.t_ns += 100_000_000


def dark(net: RoadNetwork) -> U8:
    """No light works."""
    return np.full(len(net.groups.id), int(Light.DARK), dtype=np.uint8)


def world(
    net: RoadNetwork, config: TrafficConfig | None = None, *, seed: int = 1, capacity: int = 64
) -> World:
    """An empty world on `net`."""
    states, statics = empty_states(capacity), empty_statics(capacity)
    traffic = Traffic(net, config or TrafficConfig(), seed, states, statics, RowAllocator(capacity))
    return World(net, traffic, states, statics)
