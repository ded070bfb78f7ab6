"""One short real log, a failing run of the island, and what goes with it: golden summaries beside it, its parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.cli import app
from tests.hostile_logs.judging import Bench
from tests.hostile_logs.parts import Layout, layout_of

SCENE, DURATION = "smart_island", "duration_s=3"


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log; `golden/` lies beside it."""
    folder = tmp_path_factory.mktemp("good")
    lines = (
        ["run", SCENE, "--set", DURATION, "--no-picture", "-q", "--out", str(folder)],
        ["baseline", "update", str(folder / "golden"), SCENE, "--set", DURATION, "-q"],
    )
    for line, code in zip(lines, (1, 0), strict=True):
        result = CliRunner().invoke(app, line)
        assert result.exit_code == code, result.output
    return folder / "run.mcap"


@pytest.fixture(scope="session")
def layout(good: Path) -> Layout:
    """Its parts."""
    return layout_of(good.read_bytes())


@pytest.fixture(scope="session")
def bench(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The process that puts logs to commands."""
    with Bench(good, tmp_path_factory.mktemp("bench")) as made:
        yield made
