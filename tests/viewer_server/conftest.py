"""A folder of runs that the tests of the viewer's server share."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a log that broke off, and a file that is no log."""
    root = tmp_path_factory.mktemp("runs")
    for name, scene, seconds in (("first", "smart_island", 35), ("second one!", "smart_island", 4)):
        loaded = load_scene(Path(scene), (f"duration_s={seconds}",))
        run_scene(loaded.spec, loaded.path.parent, root / name, options=RunOptions(picture=False))
    whole = (root / "first" / "run.mcap").read_bytes()
    (root / "broken.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    (root / "foreign.mcap").write_bytes(b"not a log")
    (root / "notes.txt").write_text("nothing")
    return root
