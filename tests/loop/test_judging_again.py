"""A log judged again gives the verdict that was given live, sentence for sentence and figure for figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocols.errors import LogError
from scenarios.load import load_scene
from sim.compose import RunOptions, RunOutcome, run_scene
from sim.judge_log import judge_log
from sim.log.header import RunHeader
from sim.log.reader import LogReader
from sim.log.writer import LogWriter

# The bus starts before its first station, so that a stop, doors and a junction fall into the run.
SHORT = (
    "duration_s=62",
    "vehicles.0.depart_s=0",
    "vehicles.0.start_s_m=200",
    "vehicles.0.stops=[{ station = \"Xihuan eastbound\", depart_s = 20.0 }]",
    "vehicles.0.passengers={ boarding_per_hour = 600.0 }",
)  # fmt: skip


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    loaded = load_scene(Path("brt_corridor"), SHORT)
    folder = tmp_path_factory.mktemp("run")
    options = RunOptions(picture=False)
    return run_scene(loaded.spec, loaded.path.parent, folder, options=options)


def test_the_run_has_something_to_judge(outcome: RunOutcome):
    kinds = {event.kind for event in LogReader.open(outcome.log_path).events()}
    assert {"doors_opened", "left_station", "spawned"} <= kinds
    assert len(outcome.verdict.results) >= 15
    assert outcome.verdict.numbers["bus1"]["distance_m"] > 100.0


def test_the_verdict_from_the_log_equals_the_live_one(outcome: RunOutcome):
    again = judge_log(outcome.log_path)
    for live, late in zip(outcome.verdict.results, again.results, strict=True):
        assert late == live
    assert dict(again.numbers["bus1"]) == dict(outcome.verdict.numbers["bus1"])
    assert again == outcome.verdict


def test_a_log_of_a_run_that_never_ended_is_refused(outcome: RunOutcome, tmp_path: Path):
    whole = LogReader.open(outcome.log_path).header()
    path = tmp_path / "short.mcap"
    table = json.loads(whole.config_json)
    table["scene"]["vehicles"], table["scene"]["criteria"] = [], [{"kind": "no_gridlock"}]
    head = RunHeader("s", json.dumps(table), 1, whole.map_digest, whole.tick_ns)
    LogWriter(path, head).close()
    with pytest.raises(LogError, match="never came to its end"):
        judge_log(path)


def test_a_log_whose_road_file_has_changed_is_refused(outcome: RunOutcome, tmp_path: Path):
    whole = LogReader.open(outcome.log_path).header()
    path = tmp_path / "other.mcap"
    LogWriter(path, RunHeader("s", whole.config_json, 1, "0" * 64, whole.tick_ns)).close()
    with pytest.raises(LogError, match="road file with SHA-256 0000"):
        judge_log(path)
