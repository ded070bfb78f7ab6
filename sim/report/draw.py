"""`run.png`: the map with the drive on it, and below it the corridor straightened above its time-distance diagram.

Drawn with matplotlib's Agg canvas and no global state, so it works without a display. Labels keep to Latin letters,
because no Chinese font can be taken for granted.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sim.report import palette
from sim.report.data import RunPicture
from sim.report.plan_view import Frame, draw_map, draw_strip
from sim.report.time_distance import draw_diagram, extent_m, legend

MAX_VEHICLES = 2  # as many diagrams as fit side by side
_DPI = 110
_WIDTH_IN = 19.0
_LEFT_IN, _RIGHT_IN, _BOTTOM_IN, _TITLE_IN = 0.85, 0.3, 0.65, 1.0
_STRIP_IN, _NAMES_IN, _DIAGRAM_IN = 1.35, 0.95, 6.6


def draw_run(picture: RunPicture, path: Path) -> Path:
    """Draw `picture` into the PNG file `path`."""
    frame = Frame(picture.network)
    low, high = frame.box(picture.network)
    aspect = float(high[1] - low[1]) / max(float(high[0] - low[0]), 1.0)
    shown = [v for v in picture.vehicles if v.t_s.size > 1][:MAX_VEHICLES]
    norm = Normalize(0.0, max([5.0, *(float(v.speed_mps.max()) for v in shown)]))
    inner_in = _WIDTH_IN - _LEFT_IN - _RIGHT_IN
    map_in = min(max(inner_in * aspect + 0.5, 1.5), 5.5 if shown else 13.0)
    below_in = _BOTTOM_IN + _DIAGRAM_IN + _NAMES_IN + _STRIP_IN + 0.55 if shown else 0.3
    height_in = below_in + map_in + _TITLE_IN
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, facecolor=palette.PAPER)

    def add(left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes by inches from the lower left corner."""
        return figure.add_axes(
            (left / _WIDTH_IN, bottom / height_in, width / _WIDTH_IN, height / height_in)
        )

    draw_map(add(_LEFT_IN, below_in, inner_in, map_in), picture, frame, norm)
    gap_in = 0.75
    each_in = (inner_in - gap_in * (len(shown) - 1)) / max(len(shown), 1)
    for column, vehicle in enumerate(shown):
        left = _LEFT_IN + column * (each_in + gap_in)
        diagram = add(left, _BOTTOM_IN, each_in, _DIAGRAM_IN)
        strip = add(left, _BOTTOM_IN + _DIAGRAM_IN + _NAMES_IN, each_in, _STRIP_IN)
        draw_diagram(diagram, vehicle, picture.duration_s, norm)
        draw_strip(strip, picture.network, vehicle)
        strip.set_xlim(0, extent_m(vehicle))
        strip.set_title(
            f"{palette.latin(vehicle.name, 'vehicle')}: the route straightened, width stretched",
            loc="left", fontsize=9.5, color=palette.FAINT,
        )  # fmt: skip
        legend(strip, vehicle, columns=6 if len(shown) == 1 else 3)
    if shown:
        bar = add(_WIDTH_IN - _RIGHT_IN - 3.0, height_in - 0.85, 3.0, 0.12)
        _speed_bar(figure, bar, norm)
    _title(figure, picture)
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})  # type: ignore[no-untyped-call]
    return path


def _speed_bar(figure: Figure, axes: Axes, norm: Normalize) -> None:
    """Colour of speed, beside the title."""
    bar = figure.colorbar(
        ScalarMappable(norm, palette.SPEED_MAP), cax=axes, orientation="horizontal"
    )
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=8, colors=palette.INK, length=2)
    bar.ax.set_ylabel(
        "speed, m/s", fontsize=8.5, color=palette.INK, rotation=0, ha="right", va="center"
    )


def _title(figure: Figure, picture: RunPicture) -> None:
    """Outcome, title, and the sentence of the verdict."""
    height = float(figure.get_size_inches()[1])
    top = 1.0 - 0.28 / height
    colour = palette.OUTCOMES.get(picture.outcome, "#b7791f")
    badge = figure.text(
        0.02, top, f" {picture.outcome.upper().replace('_', ' ')} ", fontsize=14, weight="bold", color="white", va="center",
        bbox={"boxstyle": "round,pad=0.3", "fc": colour, "ec": "none"},
    )  # fmt: skip
    canvas = FigureCanvasAgg(figure)
    width = badge.get_window_extent(canvas.get_renderer()).width / figure.bbox.width  # type: ignore[no-untyped-call]
    figure.text(
        0.02 + width + 0.012,
        top,
        palette.latin(picture.title, "run"),
        fontsize=16,
        weight="bold",
        color=palette.INK,
        va="center",
    )
    figure.text(
        0.985,
        top,
        palette.latin(picture.subtitle),
        fontsize=9,
        color=palette.FAINT,
        va="center",
        ha="right",
    )
    figure.text(
        0.02,
        top - 0.33 / height,
        palette.latin(picture.sentence),
        fontsize=10.5,
        color=palette.INK,
        va="center",
    )
