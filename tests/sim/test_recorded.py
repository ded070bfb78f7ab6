"""The road file of an earlier run is found again where its folder has gone, and never taken for another one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from protocols.errors import ConfigError, LogError
from scenarios.load import load_scene
from sim.recorded import recorded_scene

ROAD = Path(__file__).parents[2] / "scenarios" / "roads" / "smart_island.xodr"
DIGEST = hashlib.sha256(ROAD.read_bytes()).hexdigest()


def configuration(gone: Path) -> str:
    """Of a scene that named its road file by a way through other folders, which is not there any more."""
    scene = load_scene(Path("smart_island")).spec.model_dump(mode="json")
    scene["map"]["file"] = "../roads/mine.xodr"
    return json.dumps({"scene": scene, "map_path": str(gone / "roads" / "mine.xodr")})


def test_a_road_file_beside_the_log_is_found_by_its_name(tmp_path: Path) -> None:
    text = configuration(tmp_path / "gone")
    with pytest.raises(ConfigError, match="no road file"):
        recorded_scene(text, DIGEST, "log", tmp_path)
    copy = tmp_path / "mine.xodr"
    copy.write_bytes(ROAD.read_bytes())
    spec, road = recorded_scene(text, DIGEST, "log", tmp_path)
    assert road == copy and spec.map.file == str(copy)
    copy.write_bytes(ROAD.read_bytes() + b"\n")
    with pytest.raises(LogError, match="was run on a road file with SHA-256"):
        recorded_scene(text, DIGEST, "log", tmp_path)
