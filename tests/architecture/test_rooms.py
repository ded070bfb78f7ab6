"""The rooms' import contract holds, and a forbidden import would be caught."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("protocols", "vehicle", "roadside", "scenarios", "sim")
LINTER = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """The import linter on the rooms in `folder`, with this project's contract."""
    return subprocess.run(
        [str(LINTER), "--no-cache", "--config", str(folder / "pyproject.toml")],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Tiny rooms under the project's own contract: the contract is what is tested, so the modules may be empty."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("")
        (tmp_path / room / "thing.py").write_text("")
    return tmp_path


def test_the_rooms_keep_their_contract():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_allowed_imports_pass(copy):
    (copy / "sim" / "thing.py").write_text("import vehicle.thing\nimport scenarios.thing\n")
    (copy / "vehicle" / "thing.py").write_text("import protocols.thing\n")
    assert lint(copy).returncode == 0


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("vehicle", "roadside"),
        ("roadside", "scenarios"),
        ("scenarios", "vehicle"),
        ("vehicle", "sim"),
        ("protocols", "vehicle"),
    ],
)
def test_a_planted_forbidden_import_is_caught(copy, room, forbidden):
    (copy / room / "thing.py").write_text(f"import {forbidden}.thing\n")
    done = lint(copy)
    assert done.returncode != 0
    assert f"{room}.thing -> {forbidden}.thing" in done.stdout


def test_nothing_hides_in_common_or_utils():
    names = {
        path.stem
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if "node_modules" not in path.parts
    }
    assert not names & {"common", "utils", "util", "helpers", "misc"}


def test_carla_is_imported_in_its_own_corner_only():
    offenders = [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if any(
            line.strip().startswith(("import carla", "from carla"))
            for line in path.read_text(encoding="utf-8").splitlines()
        )
        and not path.is_relative_to(ROOT / "sim" / "carla")
        and not path.is_relative_to(ROOT / "sim" / "bench")
    ]
    assert not offenders


def test_every_room_says_that_it_is_typed():
    assert all((ROOT / room / "py.typed").is_file() for room in ROOMS)


def test_the_contract_in_the_file_is_the_one_in_the_design():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    assert [c["layers"] for c in contracts] == [
        ["sim", "scenarios | vehicle | roadside", "protocols"]
    ]
