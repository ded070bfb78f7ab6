"""The time half of the picture: distance along the route to the right, time upwards, so that it lines up with the strip above."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from protocols.messages import Light
from protocols.roads.network import F64
from sim.report import palette
from sim.report.data import VehiclePicture

_GAP_S = 3.0  # background samples further apart than this are not joined


def extent_m(vehicle: VehiclePicture) -> float:
    """Length of the distance axis."""
    driven = float(vehicle.route_s_m.max()) if vehicle.route_s_m.size else 0.0
    return max(vehicle.route_length_m, driven, 10.0)


def draw_diagram(axes: Any, vehicle: VehiclePicture, duration_s: float, norm: Normalize) -> None:
    """One vehicle's time-distance diagram."""
    length = extent_m(vehicle)
    for s_m, _ in vehicle.stations:
        axes.axvline(s_m, color=palette.PLATFORM, lw=1.0, ls=(0, (4, 3)), zorder=1.5)
    _names(axes, vehicle, length)
    _background(axes, vehicle)
    _signals(axes, vehicle)
    _drive(axes, vehicle, norm)
    _dwells(axes, vehicle)
    for t_s, s_m, what in vehicle.grants:
        axes.plot(
            [s_m], [t_s], marker="*", ms=13, color=palette.GRANT, mec="white", mew=0.8, zorder=8
        )
        axes.annotate(
            palette.latin(what), (s_m, t_s), (9, -3), textcoords="offset points", fontsize=8, color=palette.GRANT,
            zorder=8, bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
        )  # fmt: skip
    axes.set_xlim(0, length)
    top = duration_s
    moving = np.flatnonzero(np.diff(vehicle.route_s_m) > 0.05)
    if moving.size and vehicle.t_s[moving[-1] + 1] < 0.85 * duration_s:
        top = float(vehicle.t_s[moving[-1] + 1]) + 0.06 * duration_s  # the rest is standing still
    axes.set_ylim(0, top)
    if vehicle.arrive_by_s is not None and vehicle.arrive_by_s <= top:
        axes.plot(
            [length],
            [vehicle.arrive_by_s],
            marker="_",
            ms=16,
            mew=2.5,
            color=palette.INK,
            zorder=7,
            clip_on=False,
        )
        axes.annotate(
            "due",
            (length, vehicle.arrive_by_s),
            (-24, 5),
            textcoords="offset points",
            fontsize=8,
            color=palette.INK,
        )
    axes.set_xlabel("distance along the route, m", color=palette.INK)
    axes.set_ylabel("time, s", color=palette.INK)
    axes.grid(True, color=palette.GRID, lw=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.FAINT)
    axes.tick_params(colors=palette.INK, labelsize=9)


def _names(axes: Any, vehicle: VehiclePicture, length_m: float) -> None:
    """Names of stations and signals above the diagram, pushed apart where they would cover each other."""
    rows = [
        (s_m, palette.latin(name, f"station {number}"), palette.PLATFORM, "normal")
        for number, (s_m, name) in enumerate(vehicle.stations, start=1)
    ]
    rows += [
        (s.route_s_m, palette.latin(s.name, "signal"), palette.INK, "bold") for s in vehicle.signals
    ]
    last_m, apart_m = -length_m, 0.017 * length_m
    for s_m, name, colour, weight in sorted(rows):
        at_m = max(s_m, last_m + apart_m)
        last_m = at_m
        axes.annotate(
            name, (s_m, 1.0), (at_m, 1.008), xycoords=("data", "axes fraction"), textcoords=("data", "axes fraction"),
            fontsize=8.5, color=colour, weight=weight, ha="left", va="bottom", rotation=30, rotation_mode="anchor",
            annotation_clip=False,
        )  # fmt: skip


def _background(axes: Any, vehicle: VehiclePicture) -> None:
    if not vehicle.background_t_s.size:
        return
    order = np.lexsort((vehicle.background_t_s, vehicle.background_id))
    t, s, who = (
        c[order] for c in (vehicle.background_t_s, vehicle.background_s_m, vehicle.background_id)
    )
    joined = (np.diff(who) == 0) & (np.diff(t) <= _GAP_S) & (np.abs(np.diff(s)) < 40.0 * _GAP_S)
    start = np.stack((s[:-1], t[:-1]), axis=1)[joined]
    end = np.stack((s[1:], t[1:]), axis=1)[joined]
    segments: F64 = np.stack((start, end), axis=1)
    axes.add_collection(
        LineCollection(
            list(segments), colors=palette.BACKGROUND, linewidths=0.5, alpha=0.4, zorder=2
        )
    )


def _signals(axes: Any, vehicle: VehiclePicture) -> None:
    for signal in vehicle.signals:
        spans = [span for span in signal.spans if Light(span.light) in palette.LIGHTS]
        bars = [[(signal.route_s_m, span.t0_s), (signal.route_s_m, span.t1_s)] for span in spans]
        colours = [palette.LIGHTS[Light(span.light)] for span in spans]
        axes.add_collection(
            LineCollection(bars, colors=colours, linewidths=5.5, capstyle="butt", zorder=4)
        )


def _drive(axes: Any, vehicle: VehiclePicture, norm: Normalize) -> None:
    points = np.stack((vehicle.route_s_m, vehicle.t_s), axis=1)
    if points.shape[0] < 2:
        return
    segments = np.stack((points[:-1], points[1:]), axis=1)
    axes.add_collection(
        LineCollection(
            list(segments), colors=palette.INK, linewidths=4.2, capstyle="round", zorder=5
        )
    )
    line = LineCollection(
        list(segments),
        cmap=palette.SPEED_MAP,
        norm=norm,
        linewidths=2.8,
        capstyle="round",
        zorder=6,
    )
    line.set_array(vehicle.speed_mps[:-1])
    axes.add_collection(line)


def _dwells(axes: Any, vehicle: VehiclePicture) -> None:
    for t0_s, t1_s, s_m in vehicle.dwells:
        axes.plot(
            [s_m, s_m],
            [t0_s, t1_s],
            color=palette.PLATFORM,
            lw=6.0,
            solid_capstyle="butt",
            zorder=6.5,
        )
        axes.annotate(
            f"{t1_s - t0_s:.0f} s", (s_m, (t0_s + t1_s) / 2), (7, 0), textcoords="offset points", fontsize=8,
            color=palette.PLATFORM, va="center", bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85}, zorder=7,
        )  # fmt: skip


def legend(axes: Any, vehicle: VehiclePicture, columns: int) -> None:
    """What the marks mean, above `axes` on the right; only those that appear."""
    rows = []
    if vehicle.signals:
        for light, word in (
            (Light.RED, "red"),
            (Light.YELLOW, "yellow"),
            (Light.GREEN_PROTECTED, "green"),
        ):
            rows.append(Line2D([], [], color=palette.LIGHTS[light], lw=5.5, label=word))
    if vehicle.dwells:
        rows.append(Line2D([], [], color=palette.PLATFORM, lw=6, label="doors open"))
    if vehicle.grants:
        rows.append(
            Line2D([], [], color=palette.GRANT, marker="*", ms=11, lw=0, label="priority granted")
        )
    if vehicle.background_t_s.size:
        rows.append(Line2D([], [], color=palette.BACKGROUND, lw=1.2, label="background traffic"))
    if rows:
        axes.legend(
            handles=rows, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False, ncols=columns,
            borderaxespad=0.2,
        )  # fmt: skip
