"""The map half of the picture: lanes from above, true to scale, and straightened along a vehicle's route."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize

from protocols.roads.network import F64, LaneType, RoadNetwork, UserClass
from sim.report import palette
from sim.report.data import RunPicture, VehiclePicture
from sim.report.outlines import lane_polygons, platforms

STRIP_HALF_M = 24.0  # how far to either side of the route the strip shows
_STEP_M = 2.0
_WINDOW_M = 200.0
_VEHICULAR = int(UserClass.PASSENGER | UserClass.BUS | UserClass.TRUCK | UserClass.SHUTTLE)


def lane_colours(net: RoadNetwork) -> list[str]:
    """Fill of every lane: bus lanes tinted, junctions a little darker, the rest by type."""
    lanes = net.lanes
    colours = []
    for lane in range(net.num_lanes):
        who = int(lanes.permission[lane])
        kind = LaneType(int(lanes.type[lane]))
        is_bus_only = bool(who & UserClass.BUS) and not who & UserClass.PASSENGER
        if is_bus_only:
            colours.append(palette.BUS_LANE)
        elif lanes.junction[lane] >= 0 and who & _VEHICULAR:
            colours.append(palette.JUNCTION)
        else:
            colours.append(palette.LANES.get(kind, palette.ROAD))
    return colours


def paint_order(net: RoadNetwork) -> list[int]:
    """Lanes in the order they are painted: verges, ordinary lanes, junction lanes, bus lanes."""
    lanes, colours = net.lanes, lane_colours(net)
    rank = [
        3
        if colour == palette.BUS_LANE
        else 2
        if lanes.junction[i] >= 0
        else int(colour == palette.ROAD)
        for i, colour in enumerate(colours)
    ]
    return sorted(range(net.num_lanes), key=lambda lane: (rank[lane], lane))


class Frame:
    """A rotation about the map's middle that lays its long side along the page."""

    def __init__(self, net: RoadNetwork) -> None:
        xy = np.stack((net.points.x_m, net.points.y_m), axis=1)
        self.centre = xy.mean(axis=0) if xy.size else np.zeros(2)
        self.angle = 0.0
        if xy.shape[0] > 2:
            spread = np.cov((xy - self.centre).T)
            values, vectors = np.linalg.eigh(spread)
            if values[1] > 1.5 * values[0]:  # a round map keeps north up
                along = vectors[:, 1] * (1.0 if vectors[0, 1] >= 0 else -1.0)
                self.angle = -math.atan2(along[1], along[0])
        c, s = math.cos(self.angle), math.sin(self.angle)
        self.turn = np.array([[c, -s], [s, c]])

    def __call__(self, xy: F64) -> F64:
        """World (n, 2) -> page (n, 2), metres."""
        out: F64 = (xy - self.centre) @ self.turn.T
        return out

    def box(self, net: RoadNetwork) -> tuple[F64, F64]:
        """Lower left and upper right page corner of the map."""
        page = self(np.stack((net.points.x_m, net.points.y_m), axis=1))
        if not page.size:
            return np.zeros(2), np.ones(2)
        return page.min(axis=0), page.max(axis=0)


def draw_map(axes: Any, picture: RunPicture, frame: Frame, norm: Normalize) -> None:
    """Whole map to scale: lanes, platforms, paths coloured by speed, roadside units, junction names."""
    net = picture.network
    outlines, colours = lane_polygons(net), lane_colours(net)
    order = paint_order(net)
    axes.add_collection(
        PolyCollection(
            [frame(outlines[i]) for i in order], facecolors=[colours[i] for i in order], edgecolors="none", zorder=1
        )
    )  # fmt: skip
    axes.add_collection(
        PolyCollection(
            [frame(p) for _, p in platforms(net)], facecolors=palette.PLATFORM, edgecolors=palette.PLATFORM, lw=1.5, zorder=3
        )
    )  # fmt: skip
    if picture.background_x_m.size:
        page = frame(np.stack((picture.background_x_m, picture.background_y_m), axis=1))
        axes.scatter(page[:, 0], page[:, 1], s=5, c=palette.INK, lw=0, alpha=0.55, zorder=3.5)
    for vehicle in picture.vehicles:
        page = frame(np.stack((vehicle.x_m, vehicle.y_m), axis=1))
        _speed_line(axes, page, vehicle.speed_mps, norm, 2.6)
        if page.size:
            _mark_end(axes, page, vehicle.name)
    _junction_names(axes, picture, frame)
    for name, x_m, y_m in picture.rsus:
        ((px, py),) = frame(np.array([[x_m, y_m]]))
        axes.plot([px], [py], marker="^", ms=8, color=palette.RSU, mec="white", mew=0.8, zorder=6)
        axes.annotate(
            palette.rsu_label(name), (px, py), (0, -13), textcoords="offset points", fontsize=8, color=palette.RSU,
            ha="center", zorder=6,
        )  # fmt: skip
    low, high = frame.box(net)
    _scale_bar(axes, low, high)
    pad = 0.02 * float((high - low).max()) + 5.0
    axes.set_xlim(low[0] - pad, high[0] + pad)
    axes.set_ylim(low[1] - pad, high[1] + pad)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _speed_line(axes: Any, page: F64, speed_mps: F64, norm: Normalize, width: float) -> None:
    if page.shape[0] < 2:
        return
    segments = np.stack((page[:-1], page[1:]), axis=1)
    # Dark edge below, so that the line shows on every ground.
    axes.add_collection(
        LineCollection(
            list(segments), colors=palette.INK, linewidths=width + 1.2, capstyle="round", zorder=4
        )
    )
    line = LineCollection(
        list(segments),
        cmap=palette.SPEED_MAP,
        norm=norm,
        linewidths=width,
        capstyle="round",
        zorder=5,
    )
    line.set_array(speed_mps[:-1])
    axes.add_collection(line)


def _mark_end(axes: Any, page: F64, name: str) -> None:
    axes.plot(*page[0], marker="o", ms=6, mfc="white", mec=palette.INK, mew=1.4, zorder=7)
    axes.plot(*page[-1], marker="s", ms=6, mfc=palette.INK, mec="white", mew=0.8, zorder=7)
    axes.annotate(
        palette.latin(name, "vehicle"), page[0], (0, 9), textcoords="offset points", fontsize=9, weight="bold",
        color=palette.INK, ha="center", zorder=7,
    )  # fmt: skip


def _junction_names(axes: Any, picture: RunPicture, frame: Frame) -> None:
    net = picture.network
    for row, name in enumerate(net.junctions.name):
        lanes = net.junctions.lane[
            net.junctions.lane_start[row] : net.junctions.lane_start[row + 1]
        ]
        if not lanes.size or not net.junctions.is_signalised[row]:
            continue
        first = net.lanes.point_start[lanes]
        centre = np.array([[net.points.x_m[first].mean(), net.points.y_m[first].mean()]])
        label = palette.latin(name, "") or palette.latin(net.junctions.id[row], "")
        axes.annotate(
            label, frame(centre)[0], (0, 16), textcoords="offset points", fontsize=8.5, color=palette.INK, ha="center",
            zorder=6, bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.8},
        )  # fmt: skip


def _scale_bar(axes: Any, low: F64, high: F64) -> None:
    span = float(high[0] - low[0])
    length = next((step for step in (1000, 500, 200, 100, 50, 20, 10) if step < 0.25 * span), 5)
    x, y = low[0], low[1]
    axes.plot([x, x + length], [y, y], color=palette.INK, lw=2.0, solid_capstyle="butt", zorder=6)
    axes.annotate(
        f"{length} m", (x + length / 2, y), (0, 4), textcoords="offset points", fontsize=8, color=palette.INK, ha="center"
    )  # fmt: skip


# --- straightened ------------------------------------------------------------------------------------------------------


def straighten(
    vehicle: VehiclePicture, xy: F64, from_m: float = -math.inf, to_m: float = math.inf
) -> F64:
    """World (n, 2) -> (route distance, metres to the left of the path); far points come out as NaN.

    The path is the one driven between route distances `from_m` and `to_m`, resampled every 2 m; each point goes to its nearest sample.
    """
    from scipy.spatial import cKDTree

    moved = np.concatenate(([True], np.diff(vehicle.route_s_m) > 1e-3))
    s, x, y = vehicle.route_s_m[moved], vehicle.x_m[moved], vehicle.y_m[moved]
    begin, end = (max(s[0], from_m), min(s[-1], to_m)) if s.size else (0.0, 0.0)
    if end - begin < 2 * _STEP_M:
        return np.full(xy.shape, np.nan)
    at = np.arange(begin, end, _STEP_M)
    px, py = np.interp(at, s, x), np.interp(at, s, y)
    tx, ty = np.gradient(px), np.gradient(py)
    norm = np.maximum(np.hypot(tx, ty), 1e-9)
    tx, ty = tx / norm, ty / norm
    distance, k = cKDTree(np.stack((px, py), axis=1)).query(
        xy, distance_upper_bound=2 * STRIP_HALF_M
    )
    found = np.isfinite(distance)
    k = np.where(found, k, 0)
    dx, dy = xy[:, 0] - px[k], xy[:, 1] - py[k]
    along, left = dx * tx[k] + dy * ty[k], dy * tx[k] - dx * ty[k]
    good = found & (np.abs(along) < 3 * _STEP_M) & (np.abs(left) < 1.5 * STRIP_HALF_M)
    return np.where(good[:, None], np.stack((at[k] + along, left), axis=1), np.nan)


def draw_strip(axes: Any, net: RoadNetwork, vehicle: VehiclePicture) -> None:
    """The corridor straightened along the route, its width stretched: lanes, platforms, the path as the axis.

    Drawn window by window, so that a loop driven twice appears twice.
    """
    outlines, colours = lane_polygons(net), lane_colours(net)
    quads, fills = [], []
    for lane in paint_order(net):
        left, right = np.split(outlines[lane], 2)  # left edge forward, right edge back
        right = right[::-1]
        quads.append(np.stack((left[:-1], left[1:], right[1:], right[:-1]), axis=1))
        fills += [colours[lane]] * (left.shape[0] - 1)
    world = np.concatenate(quads) if quads else np.zeros((0, 4, 2))
    stops = [outline for _, outline in platforms(net)]
    driven = vehicle.route_s_m
    for from_m in np.arange(driven.min(), driven.max(), _WINDOW_M) if driven.size else ():
        ends = (float(from_m) - _WINDOW_M / 2, float(from_m) + 1.5 * _WINDOW_M)
        bent = straighten(vehicle, world.reshape(-1, 2), *ends).reshape(-1, 4, 2)
        middle = bent[:, :, 0].mean(axis=1)
        # A lane that leaves the corridor folds; such pieces are left out.
        size = np.ptp(bent, axis=1)
        rows = np.flatnonzero(
            (middle >= from_m) & (middle < from_m + _WINDOW_M) & (size < 15.0).all(axis=1)
        )
        shades = [fills[row] for row in rows]
        axes.add_collection(
            PolyCollection(list(bent[rows]), facecolors=shades, edgecolors=shades, lw=0.4, zorder=1)
        )
        for stop in stops:
            shape = straighten(vehicle, stop, *ends)
            if np.isfinite(shape).all() and from_m <= shape[:, 0].mean() < from_m + _WINDOW_M:
                axes.fill(shape[:, 0], shape[:, 1], color=palette.PLATFORM, lw=0, zorder=2)
    if driven.size:
        axes.plot([driven[0], driven[-1]], [0, 0], color=palette.INK, lw=1.0, zorder=3)
    axes.set_ylim(-STRIP_HALF_M, STRIP_HALF_M)
    axes.set_yticks([])
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=0, labelbottom=False)
