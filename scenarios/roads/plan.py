"""Reference lines for our generated roads: lines, arcs, clothoids and cubic connections.

A plan is a tuple of `Piece`s, each starting where the last one ends. Poses are (x, y, yaw) in
metres and radians. Clothoids are integrated with 16-point Gauss-Legendre, good to a nanometre for
the heading changes used here (below one radian a piece).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
# Quarter circle by one cubic: handle over radius (error 0.03 % of the radius).
_QUARTER_HANDLE = 0.5522847498


@dataclass(frozen=True, slots=True)
class Pose:
    """A place and a direction."""

    x_m: float
    y_m: float
    yaw_rad: float

    def beside(self, left_m: float, turned_rad: float = 0.0) -> Pose:
        """The pose `left_m` to the left of this one, then turned on the spot."""
        return Pose(
            self.x_m - sin(self.yaw_rad) * left_m,
            self.y_m + cos(self.yaw_rad) * left_m,
            wrap(self.yaw_rad + turned_rad),
        )

    def ahead(self, distance_m: float) -> Pose:
        """The pose straight ahead."""
        return Pose(
            self.x_m + cos(self.yaw_rad) * distance_m,
            self.y_m + sin(self.yaw_rad) * distance_m,
            self.yaw_rad,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """One `<geometry>`: curvature runs linearly, or `cubic` holds aU..dU, aV..dV (p from 0 to 1)."""

    start: Pose
    length_m: float
    curvature_in: float = 0.0
    curvature_out: float = 0.0
    cubic: tuple[float, ...] = ()

    def at(self, s_m: float) -> Pose:
        """Pose `s_m` along a line, arc or clothoid (not a cubic, of which only the ends matter)."""
        rate = (self.curvature_out - self.curvature_in) / self.length_m
        u = (_NODES + 1.0) / 2.0 * s_m
        yaw = self.start.yaw_rad + self.curvature_in * u + rate * u * u / 2.0
        return Pose(
            self.start.x_m + float(np.sum(_WEIGHTS * np.cos(yaw))) * s_m / 2.0,
            self.start.y_m + float(np.sum(_WEIGHTS * np.sin(yaw))) * s_m / 2.0,
            wrap(self.start.yaw_rad + self.curvature_in * s_m + rate * s_m * s_m / 2.0),
        )


def wrap(angle_rad: float) -> float:
    """Angle in (-pi, pi]."""
    return pi - (pi - angle_rad) % (2.0 * pi)


def chain(start: Pose, *steps: tuple[float, float, float]) -> tuple[Piece, ...]:
    """Pieces from (length, curvature at its start, curvature at its end), one after the other."""
    out: list[Piece] = []
    for length_m, curvature_in, curvature_out in steps:
        piece = Piece(start, length_m, curvature_in, curvature_out)
        out.append(piece)
        start = piece.at(length_m)
    return tuple(out)


def bend(
    radius_m: float, turn_rad: float, easing_m: float
) -> tuple[tuple[float, float, float], ...]:
    """Clothoid, arc, clothoid that turn by `turn_rad` (positive left)."""
    k = (1.0 if turn_rad > 0 else -1.0) / radius_m
    arc_m = abs(turn_rad) * radius_m - easing_m
    if arc_m <= 0.0:
        raise ValueError(f"a turn of {turn_rad:.3f} rad at {radius_m} m leaves no arc")
    return ((easing_m, 0.0, k), (arc_m, k, k), (easing_m, k, 0.0))


def length(plan: tuple[Piece, ...]) -> float:
    """Length of a whole reference line."""
    return sum(piece.length_m for piece in plan)


def pose_at(plan: tuple[Piece, ...], s_m: float) -> Pose:
    """Pose at road s of a plan made of lines, arcs and clothoids."""
    for piece in plan:
        if s_m <= piece.length_m or piece is plan[-1]:
            return piece.at(s_m)
        s_m -= piece.length_m
    raise ValueError("an empty plan has no poses")


def join(start: Pose, end: Pose) -> tuple[Piece, ...]:
    """The connecting reference line between two poses: a line where it fits, else one cubic.

    Turns use the quarter-ellipse handles on either tangent; shifts use 0.4 of the way.
    """
    dx, dy = end.x_m - start.x_m, end.y_m - start.y_m
    reach_m = hypot(dx, dy)
    turn = wrap(end.yaw_rad - start.yaw_rad)
    if abs(turn) < 1e-9 and abs(wrap(atan2(dy, dx) - start.yaw_rad)) < 1e-9:
        return (Piece(start, reach_m),)
    if abs(turn) > 0.3:
        # Distances from either end to the point where the tangents meet.
        sine = sin(turn)
        lead_m = (dx * sin(end.yaw_rad) - dy * cos(end.yaw_rad)) / sine
        tail_m = (dy * cos(start.yaw_rad) - dx * sin(start.yaw_rad)) / sine
        if lead_m <= 0.0 or tail_m <= 0.0:
            raise ValueError(f"poses {start} and {end} cannot be joined by one turn")
        handle_in, handle_out = _QUARTER_HANDLE * lead_m, _QUARTER_HANDLE * tail_m
    else:
        handle_in = handle_out = 0.4 * reach_m
    # Bezier corners in the frame of the start pose.
    c, s = cos(start.yaw_rad), sin(start.yaw_rad)
    u3, v3 = dx * c + dy * s, dy * c - dx * s
    u1, v1 = handle_in, 0.0
    u2, v2 = u3 - handle_out * cos(turn), v3 - handle_out * sin(turn)
    cubic = (
        0.0, 3.0 * u1, 3.0 * (u2 - 2.0 * u1), u3 - 3.0 * u2 + 3.0 * u1,
        0.0, 3.0 * v1, 3.0 * (v2 - 2.0 * v1), v3 - 3.0 * v2 + 3.0 * v1,
    )  # fmt: skip
    return (Piece(start, _cubic_length_m(cubic), cubic=cubic),)


def _cubic_length_m(cubic: tuple[float, ...]) -> float:
    total = 0.0
    for k in range(8):
        p = (k + (_NODES + 1.0) / 2.0) / 8.0
        du = cubic[1] + 2.0 * cubic[2] * p + 3.0 * cubic[3] * p * p
        dv = cubic[5] + 2.0 * cubic[6] * p + 3.0 * cubic[7] * p * p
        total += float(np.sum(_WEIGHTS * np.hypot(du, dv))) / 16.0
    return total
