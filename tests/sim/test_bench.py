"""The bench runner: rows, ratios and files; the figures themselves are not tested, because they belong to a machine."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from protocols.errors import ConfigError
from sim.bench.measure import row, skipped
from sim.bench.memory import growth_mb
from sim.bench.runner import NAMES, ratios, run_benches


def test_a_row_holds_median_and_spread():
    assert row("grid, 100", "steps", [3.0, 1.0, 10.0], "1/s") == {
        "workload": "grid, 100", "metric": "steps", "peer": "icv", "value": 3.0, "unit": "1/s", "runs": 3, "spread": [1.0, 10.0],
    }  # fmt: skip


def test_ratios_compare_like_with_like():
    rows = [
        row("w", "rate", 60.0, "1/s"), row("w", "rate", 10.0, "1/s", peer="libsumo"), row("w", "load", 1.0, "s", peer="libsumo"),
        row("w", "rate", 10.0, "1/min", peer="carla"), skipped("w", "rate", "esmini", "not built"),
    ]  # fmt: skip
    assert ratios(rows) == [{"workload": "w", "metric": "rate", "ratio": 6.0, "over": "libsumo"}]


def test_growth_looks_past_the_start():
    flat = [(float(t), 100.0 + (50.0 if t == 0 else 0.0)) for t in range(100)]
    assert growth_mb(flat) == 0.0
    # 1 MB a sample: the middle of the last tenth (94.5) against that of the second (14.5).
    assert growth_mb([(float(t), float(t)) for t in range(100)]) == pytest.approx(80.0)


def test_a_bench_writes_its_file(monkeypatch, tmp_path):
    fake = ModuleType("sim.bench.startup")
    fake.rows = lambda runs: iter(
        [row("w", "m", [1.0] * runs, "s"), row("w", "m", 4.0, "s", peer="x")]
    )
    monkeypatch.setitem(sys.modules, "sim.bench.startup", fake)
    lines = list(run_benches("startup", 2, tmp_path))
    content = json.loads((tmp_path / "startup.json").read_text())
    assert content["rows"][0]["runs"] == 2 and content["ratios"][0]["ratio"] == 0.25
    assert (
        content["machine"]["cores"] >= 1
        and content["machine"]["spin_s"] > 0
        and "numba" in content["versions"]
    )
    assert json.loads(lines[1]) == content["rows"][0]


def test_an_unknown_bench_is_bad_input(tmp_path):
    with pytest.raises(ConfigError, match="no such bench"):
        list(run_benches("speed", 1, tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_every_bench_offers_rows(name):
    module = pytest.importorskip(f"sim.bench.{name}")
    assert callable(module.rows)
