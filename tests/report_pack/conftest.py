"""Runs that the tests of packs share: recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from tests.support import fault_scene


@pytest.fixture(scope="session")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corridor from the bus's departure on: two blocks, four roadside units, an articulated bus that drives."""
    loaded = load_scene(Path("brt_corridor"), ("duration_s=40", "vehicles.0.depart_s=2"))
    folder = tmp_path_factory.mktemp("corridor")
    options = RunOptions(picture=False)
    return run_scene(loaded.spec, loaded.path.parent, folder, options=options).log_path


@pytest.fixture(scope="session")
def garbled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A junction where one car sends garbage for two seconds."""
    fault = {"kind": "garbage", "unit": "obu/a", "at_s": 2.0, "until_s": 4.0}
    folder = tmp_path_factory.mktemp("garbled")
    return fault_scene.run(fault_scene.scene([fault]), folder).log_path
