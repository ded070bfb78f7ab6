"""A unit that falls silent for good, or never says a word, has broken the period of its messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.load import check_scene
from scenarios.verdict import CriterionResult
from tests.support.fault_scene import run, scene

LIMITS = {"spat": 150.0, "map": 1000.0, "rsm": 300.0, "bsm": 150.0}


def periods(faults: list[dict[str, Any]], folder: Path) -> dict[str, CriterionResult]:
    table = scene(faults, duration_s=5.0, flow=False).model_dump(mode="json")
    table["criteria"] = [{"kind": "message_periods", "max_gap_ms": LIMITS}]
    outcome = run(check_scene(table, "test"), folder)
    return {item.name.rpartition("/")[2]: item for item in outcome.verdict.results}


def test_nobody_is_silent(tmp_path: Path) -> None:
    found = periods([], tmp_path)
    assert [item.value for item in found.values()] == pytest.approx([100.0, 1000.0, 100.0, 100.0], abs=100.0)  # fmt: skip
    assert all(item.passed for item in found.values())


@pytest.mark.parametrize("at_s", [0.0, 2.0])
def test_a_roadside_unit_that_is_silent_to_the_end(at_s: float, tmp_path: Path) -> None:
    found = periods([{"kind": "crash", "unit": "rsu/X", "at_s": at_s}], tmp_path)
    for topic, last_s in (("spat", 1.9), ("map", 1.0), ("rsm", 1.9)):
        item = found[topic]
        assert not item.passed and item.where == "rsu/X"
        assert item.value == pytest.approx(1000 * (5.0 - (last_s if at_s else 0.0)), abs=100.0)
        assert "(rsu/X, the slowest of 1)" in str(item.sentence)
    assert found["bsm"].passed


def test_a_vehicle_that_never_speaks(tmp_path: Path) -> None:
    found = periods([{"kind": "hang", "unit": "obu/b", "at_s": 0.0}], tmp_path)
    assert not found["bsm"].passed and found["bsm"].value == 5000.0
    assert found["spat"].passed
