"""How fast the page is, measured and kept beside the pictures; a slow machine fails nothing."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from sim.bench import browser
from sim.bench.measure import row
from tests.viewer_browser.viewer_page import ViewerPage


def test_seeking_and_playing_are_measured(report: Callable[..., ViewerPage], screens: Path) -> None:
    view = report("plain")
    times = browser.times(view.page, seeks=30, play_s=3.0)
    assert len(times.seek_ms) == 30 and len(times.frame_ms) > 1
    workload = "brt_corridor, 22 s"
    rows = []
    for metric, values in (
        ("seek", times.seek_ms), ("frame", times.frame_ms), ("frame, own script", times.script_ms)
    ):  # fmt: skip
        rows.append(row(workload, f"{metric}, median", values, "ms", basis="wall"))
        p95 = statistics.quantiles(values, n=20)[-1]
        rows.append(row(workload, f"{metric}, 95th percentile", p95, "ms", basis="wall"))
    figures = {"load_1min": os.getloadavg()[0], "cores": os.cpu_count(), "rows": rows}
    (screens / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
