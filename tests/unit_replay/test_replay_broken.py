"""The log of a run that a unit broke: its replay says that it breaks again, or goes on now; other units can be asked alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import UnitError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from sim import units
from sim.cli import app
from sim.diff.compare import diff_logs
from sim.diff.model import Kind
from sim.diff.words import sentence
from sim.log.reader import LogReader
from sim.loop import MAX_REASON
from sim.report.pack.build import build_pack
from sim.rerun import replay_log
from sim.unit_replay.alone import replay_unit
from tests.support.fault_scene import run, scene
from vehicle.fleet import FleetUnit

BREAKS_AT = 300


class Broken(FleetUnit):
    """Breaks at 3 s."""

    at = BREAKS_AT

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        if now.tick >= self.at:
            raise RuntimeError("planted")
        return super().on_tick(now, inbox)


class Sooner(Broken):
    """Breaks a second before."""

    at = BREAKS_AT - 100


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "FleetUnit", Broken)
        with pytest.raises(UnitError, match="planted"):
            run(scene((), 4.0), folder)
    return folder / "run.mcap"


def test_it_breaks_again_at_the_same_place(broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(units, "FleetUnit", Broken)
    answer = replay_log(broken, tmp_path)
    assert answer.same and answer.digest_a == answer.digest_b
    assert "the same in every one of 300 ticks" in answer.message
    assert "breaks off there again: unit fleet at tick 300" in answer.message
    done = CliRunner().invoke(app, ["replay", str(broken), "-q"])
    assert done.exit_code == 0 and done.output.startswith("same: ")


def test_the_log_itself_says_why_it_ends(broken: Path, tmp_path: Path) -> None:
    why = "unit fleet at tick 300 (t=3.00 s) raised RuntimeError: planted"
    last = LogReader.open(broken).events()[-1]
    assert last.kind == "run_broken" and last.t_ns == 3_000_000_000 and last.text.startswith(why)
    meta = build_pack(broken).manifest["meta"]
    assert meta["outcome"] == "infrastructure_error" and meta["sentence"].startswith(why)
    assert "抛出异常 RuntimeError: planted" in meta["zh"][meta["sentence"]]
    done = CliRunner().invoke(app, ["report", str(broken), "--out", str(tmp_path / "r.html")])
    assert done.exit_code == 0 and done.output.startswith(f"INFRASTRUCTURE_ERROR: {why}")


class Rude(Broken):
    """Breaks with words that no terminal, page or file should take as they are."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        if now.tick >= self.at:
            raise RuntimeError(f"\x1b[2J<script>\ud800\u202e{'x' * 9000}")
        return super().on_tick(now, inbox)


def test_whatever_a_unit_says_when_it_breaks_can_be_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FleetUnit", Rude)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", "brt_corridor", "--duration", "4", "--out", str(out)])
    assert done.exit_code == 3
    assert "RuntimeError" in json.loads((out / "result.json").read_text())["sentence"]
    text = LogReader.open(out / "run.mcap").events()[-1].text
    assert "raised RuntimeError: \x1b[2J<script>?\u202exxx" in text and len(text) == MAX_REASON
    shown = CliRunner().invoke(app, ["report", str(out), "--out", str(tmp_path / "r.html")])
    assert shown.exit_code == 0 and not re.search("[\x1b\u202e]", shown.output)
    assert "<script>?" not in (tmp_path / "r.html").read_text()


def test_the_diff_with_a_whole_run_names_why_the_other_ended(broken: Path, tmp_path: Path) -> None:
    whole = run(scene((), 4.0), tmp_path).log_path
    for a, b, side in ((whole, broken, "B"), (broken, whole, "A")):
        found = diff_logs(a, b)
        assert found.cause is not None and found.cause.kind is Kind.EARLY_END
        assert found.cause.tick == BREAKS_AT
        said = sentence(found.cause)
        assert said.startswith(f"{side} ends earlier") and "raised RuntimeError: planted" in said
    assert diff_logs(broken, broken).is_same


def test_mended_it_goes_on_and_the_answer_says_why_that_is_not_the_same(broken: Path, tmp_path: Path) -> None:  # fmt: skip
    answer = replay_log(broken, tmp_path)
    assert not answer.same
    assert "the same in every one of 300 ticks, then goes on where the recorded run broke off" in answer.message  # fmt: skip


def test_what_breaks_sooner_than_the_recording_is_an_infrastructure_error(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FleetUnit", Sooner)
    with pytest.raises(UnitError, match="unit fleet at tick 200"):
        replay_log(broken, tmp_path)
    answer = replay_unit(broken, "rsu/X")
    assert answer.same is None and answer.exit_code == 3
    assert "up to tick 200" in answer.message and "unit fleet at tick 200" in answer.message


@pytest.mark.parametrize("is_mended", (False, True))
@pytest.mark.parametrize("name", ("fleet", "obu/a", "rsu/X"))
def test_every_unit_alone_is_asked_as_far_as_the_recording_goes(
    broken: Path, name: str, is_mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_mended:
        monkeypatch.setattr(units, "FleetUnit", Broken)
    answer = replay_unit(broken, name)
    assert answer.same and answer.exit_code == 0, answer.message
    assert answer.calls >= BREAKS_AT // 10
