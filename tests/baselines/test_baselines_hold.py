"""What a golden folder in a team's git has to bear: broken and merged files, renamed scenes, crashes, links, verdicts that fail, other code."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import sim
from protocols.errors import ConfigError
from scenarios.load import library
from scenarios.spec import SceneSpec
from sim.baselines.model import read_summary, write_summary
from sim.cli import app
from sim.compose import RunOutcome, run_scene
from sim.log.reader import LogReader

SECONDS = 1
STEM = "smart_island.seed1"


def icv(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["baseline", *map(str, arguments)])


def scene_text(seconds: int = SECONDS) -> str:
    text = library()["smart_island"].read_text()
    whole = next(line for line in text.splitlines() if line.startswith("duration_s"))
    return text.replace(whole, f"duration_s = {seconds}.0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene file `scene.toml` and its baseline under `golden`; its verdict is fail, since a second is too short."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "scene.toml").write_text(scene_text())
    assert icv("update", folder / "golden", folder / "scene.toml", "-q").exit_code == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "place"))


@pytest.fixture
def golden_file(place: Path) -> Path:
    return place / "golden" / f"{STEM}.json"


# hostile and broken files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"seed": 1', '"seed": ' + "9" * 400, "seed: Input should be less than"),
        ('"seed": 1', '"seed": ' + "9" * 6000, "Invalid JSON: number out of range"),
        ('"seed": 1', '"seed": true', "seed: Input should be a valid integer"),
        ('"seed": 1', '"seed": "1"', "seed: Input should be a valid integer"),
        ('"duration_s": 1.0', '"duration_s": 1e999', "duration_s: Input should be a finite number"),
        ('"duration_s": 1.0', '"duration_s": NaN', "duration_s: Input should be a finite number"),
        ('"duration_s": 1.0', '"duration_s": -1.0', "duration_s: Input should be greater than 0"),
        ('"outcome": "fail"', '"outcome": "fine"', "outcome: Input should be 'pass', 'fail' or"),
        ('"outcome": "fail"', '"outcome": "fail", "outcome": "pass"', "key 'outcome' is there twice"),
        ('"bytes":', '"bytes": 1, "bytes":', "key 'bytes' is there twice"),
        ('"schema_version": 1', '"schema_version": 0', "schema_version: Input should be 1"),
        ('"schema_version": 1', '"schema_version": "1"', "schema_version: Input should be 1"),
        ('"scene": "../scene.toml"', '"scene": ""', "scene: String should have at least 1"),
        ('"scene": "../scene.toml"', '"scene": "' + "a" * 9999 + '"', "scene: String should have at most"),
        ('"seed": 1', '"seed": ' + "[" * 100_000, "Invalid JSON: recursion limit"),
        ("{", "<<<<<<< HEAD\n{", "holds both sides of a merge"),
    ],
)  # fmt: skip
def test_a_hostile_or_merged_summary_is_refused_in_a_sentence(
    golden_file: Path, old: str, new: str, said: str
) -> None:
    """Found: most of these counted as `same`, and of a key that was there twice the last one won."""
    text = golden_file.read_text()
    assert old in text
    golden_file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read_summary(golden_file)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 800


def test_what_is_no_file_is_not_read(golden_file: Path) -> None:
    """Found: a link to a device that never ends was read until memory was full."""
    for is_link in (True, False):
        golden_file.unlink()
        if is_link:
            golden_file.symlink_to("/dev/zero")
        else:
            os.mkfifo(golden_file)
        done = icv("check", golden_file.parent)
        assert done.exit_code == 2, done.output
        assert f"{golden_file}: is no file" in done.stderr


def test_the_advice_about_a_broken_summary_works(place: Path, golden_file: Path) -> None:
    """Found: it said to make the summary anew with `icv baseline update`, which stopped at the same file."""
    golden_file.write_text("{")
    done = icv("update", place / "golden", place / "scene.toml")
    assert done.exit_code == 2
    assert "remove it and make it anew with `icv baseline update`" in done.stderr
    golden_file.unlink()
    assert icv("update", place / "golden", place / "scene.toml", "-q").exit_code == 0


# scenes that are not what they were -----------------------------------------------------------------------------------


def test_a_scene_that_is_called_otherwise_now_is_no_match(place: Path, golden_file: Path) -> None:
    """Found: check said `same`; update left the old summary and wrote a second one of the same file."""
    scene = place / "scene.toml"
    scene.write_text(scene_text().replace('name = "smart_island"', 'name = "isle"', 1))
    for command in ("check", "update"):
        done = icv(command, place / "golden", "-q")
        assert done.exit_code == 2, done.output
        assert "is called isle now" in done.stdout
        assert f"Remove {STEM}.json" in done.stdout
    golden_file.unlink()
    assert icv("update", place / "golden", scene, "-q").exit_code == 0
    assert [path.name for path in (place / "golden").iterdir()] == ["isle.seed1.json"]


def test_an_update_goes_on_where_a_scene_is_gone(place: Path, golden_file: Path) -> None:
    """Found: it stopped before the first run."""
    gone = read_summary(golden_file).model_copy(update={"scene": "../gone.toml", "scenario": "a"})
    write_summary(golden_file.parent, gone)
    done = icv("update", place / "golden", "-q")
    assert done.exit_code == 2, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("error    baseline a.seed1: ")
    assert "no such scene file" in lines[0]
    assert lines[1].startswith(f"kept     {STEM}: ")


def test_two_scenes_of_one_name_in_one_update_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Found: the second silently took the place of the first."""
    (tmp_path / "a.toml").write_text(scene_text())
    (tmp_path / "b.toml").write_text(scene_text().replace("per_hour = 240", "per_hour = 900"))
    done = icv("update", tmp_path / "golden", tmp_path / "a.toml", tmp_path / "b.toml", "-q")
    assert done.exit_code == 2, done.output
    assert "has the same name and seed" in done.stdout
    assert read_summary(tmp_path / "golden" / f"{STEM}.json").scene == "../a.toml"


def test_a_folder_behind_a_link_finds_its_scenes(place: Path, tmp_path: Path) -> None:
    """Found: the way to the scene was counted from the link."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    link = tmp_path / "far" / "away" / "golden"
    link.symlink_to(place / "golden")
    done = icv("check", link, "-q")
    assert done.exit_code == 0, done.output


def test_a_scene_that_crashes_is_told_and_the_rest_goes_on(
    place: Path, golden_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: one crash ended the check, and the others were never told."""
    golden = read_summary(golden_file)
    write_summary(golden_file.parent, golden.model_copy(update={"seed": 2}))

    def crash(spec: SceneSpec, *words: Any, **more: Any) -> RunOutcome:
        if spec.seed == 1:
            raise ZeroDivisionError("division by zero\nmore")
        return run_scene(spec, *words, **more)

    monkeypatch.setattr("sim.baselines.check.run_scene", crash)
    done = icv("check", place / "golden", "-q")
    assert done.exit_code == 3, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"error    {STEM}: ZeroDivisionError: division by zero. This is a fault of icv, not of the scene"  # fmt: skip
    assert lines[1].startswith("changed  smart_island.seed2")
    assert lines[2] == "2 baselines: 1 error, 1 changed"
    done = icv("update", place / "golden", STEM)
    assert done.exit_code == 3
    assert read_summary(golden_file) == golden


# verdicts and logs ----------------------------------------------------------------------------------------------------


def test_a_verdict_that_is_no_pass_does_not_become_golden_without_a_word(place: Path) -> None:
    done = icv("update", place / "golden", "-q")
    assert done.exit_code == 0
    assert f"icv: 1 of 1 golden verdicts not pass: {STEM}\n" in done.stderr
    done = icv("check", place / "golden", "-q")
    assert (done.exit_code, done.stdout) == (0, f"same     {STEM}\n")
    assert f"icv: 1 of 1 verdicts not pass: {STEM}\n" in done.stderr
    done = icv("update", place / "golden", "--json")
    assert [row["outcome"] for row in json.loads(done.stdout)] == ["fail"]
    (place / "scene.toml").write_text(scene_text().partition("[[criteria]]")[0] + '[[criteria]]\nkind = "signal_rules"\n')  # fmt: skip
    done = icv("update", place / "golden", "-q")
    assert done.stdout.startswith("updated  ")
    assert "not pass" not in done.stderr


def test_a_log_that_an_update_has_passed_over_is_renewed_by_the_next(place: Path) -> None:
    """Found: update --logs kept the log of an older golden run for ever."""
    golden, logs, scene = place / "golden", place / "logs", place / "scene.toml"
    assert icv("update", golden, "--logs", logs, "-q").exit_code == 0
    scene.write_text(scene_text().replace("depart_s = 60.0", "depart_s = 0.0"))
    scene.write_text(scene.read_text().replace("start_s_m = 200.0", "start_s_m = 190.0"))
    assert icv("update", golden, "-q").stdout.startswith("updated")
    assert icv("update", golden, "--logs", logs, "-q").stdout.startswith("kept")
    log = LogReader.open(logs / f"{STEM}.mcap").digests()
    assert f"{int(log.digest[-1]):016x}" == read_summary(golden / f"{STEM}.json").digest


def test_one_other_figure_is_one_other_line(golden_file: Path, tmp_path: Path) -> None:
    golden = read_summary(golden_file)
    name = "shuttle1.travel_time_s"
    other = golden.model_copy(update={"metrics": golden.metrics | {name: 77.0}})
    path = write_summary(tmp_path, other)
    lines = list(difflib.unified_diff(golden_file.read_text().splitlines(), path.read_text().splitlines(), n=0, lineterm=""))  # fmt: skip
    assert [line for line in lines if line[0] in "+-" and line[1] not in "+-"] == [
        f'-    "{name}": {golden.metrics[name]},', f'+    "{name}": 77.0,',
    ]  # fmt: skip
    assert path.read_text().endswith("}\n")


def test_a_check_writes_nothing_into_the_folder(place: Path) -> None:
    def all_of(folder: Path) -> dict[str, tuple[int, bytes]]:
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}  # fmt: skip

    before = all_of(place)
    (place / "golden").chmod(0o555)
    assert icv("check", place / "golden", "-q").exit_code == 0
    (place / "golden").chmod(0o755)
    assert all_of(place) == before


# other code -----------------------------------------------------------------------------------------------------------

ROOMS: dict[str, tuple[str, str, str, str]] = {  # file, text, other text, the topic told first
    "planner": ("vehicle/planning/config.py", "jerk: float = Field(default=0.6", "jerk: float = Field(default=0.8", "obu/plan"),
    "radio": ("sim/radio/params.py", "latency_ms: float = 20.0", "latency_ms: float = 40.0", "log/radio"),
    "signals": ("roadside/unit.py", "min_end_ns=f.min_end_ns", "min_end_ns=f.min_end_ns + 100_000_000", "v2x/spat"),
    "tracker": ("roadside/tracking/config.py", "default=13.8", "default=0.01", "v2x/rsm"),
}  # fmt: skip


@pytest.mark.long
def test_changed_code_of_each_room_is_told_by_its_topic(tmp_path: Path) -> None:
    """With a copy of the packages, since a unit's code is loaded once."""
    root = Path(sim.__file__).parents[1]
    copy = tmp_path / "code"
    for room in ("protocols", "vehicle", "roadside", "scenarios", "sim"):
        shutil.copytree(root / room, copy / room, ignore=shutil.ignore_patterns("web"))
    program = "from sim import cli; assert cli.__file__.startswith({!r}), cli.__file__; cli.main()"

    def other_icv(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-c", program.format(str(copy)), "baseline", *words],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    settings = ["duration_s=25", "vehicles.bus1.depart_s=0", "vehicles.bus1.speed_mps=8"]
    done = other_icv("update", "golden", "brt_corridor", *(word for one in settings for word in ("--set", one)), "-q")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert other_icv("check", "golden", "-q").returncode == 0
    for room, (name, text, other, topic) in ROOMS.items():
        file = copy / name
        before = file.read_text()
        assert before.count(text) == 1, room
        file.write_text(before.replace(text, other))
        done = other_icv("check", "golden")
        file.write_text(before)
        assert done.returncode == 1, f"{room}: {done.stdout} {done.stderr}"
        first = done.stdout.splitlines()[0]
        assert topic in first.partition("first in ")[2], f"{room}: {first}"
    assert other_icv("check", "golden", "-q").returncode == 0
