"""A recorded run again with edits: the same where nothing was changed, and changed by what was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.errors import InputError, LogError
from protocols.messages import VehicleIntention
from protocols.participant import Outbox
from roadside.unit import RoadsideUnit
from scenarios.spec import SceneSpec
from sim.cli import app
from sim.log.reader import LogReader
from sim.radio.fates import Fate
from sim.rerun import replay_log
from sim.whatif.again import Again, check_edits, open_source, run_again
from sim.whatif.edit import parse
from sim.whatif.outcome import compare_runs
from sim.whatif.work import make_bench, weigh
from tests.support.fault_scene import run, scene

S = 1_000_000_000
DURATION_S = 5.0


def small() -> SceneSpec:
    return scene((), duration_s=DURATION_S)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(small(), tmp_path_factory.mktemp("recorded")).log_path


def edited(log: Path, out: Path, *texts: tuple[str, str]) -> tuple[Again, Any]:
    source = open_source(log)
    edits = [parse(kind, text) for kind, text in texts]
    check_edits(source, edits)
    again = run_again(source, edits, out)
    return again, compare_runs(LogReader.open(log), LogReader.open(again.log), again.failure)


def digests(log: Path) -> list[int]:
    found: list[int] = LogReader.open(log).digests().digest.tolist()
    return found


def seq_of(log: Path, topic: str, sender: str, at_s: float) -> int:
    return next(m.seq for m in LogReader.open(log).messages(topic, round(at_s * S)) if m.sender == sender)  # fmt: skip


def test_without_an_edit_the_run_is_the_recording(recorded: Path, tmp_path: Path) -> None:
    again, found = edited(recorded, tmp_path)
    assert digests(again.log) == digests(recorded)
    assert again.departure is None and found.first is None and not found.truth_ticks
    assert not found.is_verdict_changed and not found.criteria and found.apart_m == 0.0


def test_edits_that_nobody_reacts_to_change_nothing(recorded: Path, tmp_path: Path) -> None:
    # A MAP and a SPAT whose next comes soon enough, BSM to a junction that does not read them, a request to a junction that is none.
    again, found = edited(
        recorded,
        tmp_path,
        ("drop", "v2x/map:rsu/X@2..3"),
        ("drop", "v2x/spat:rsu/X@2->obu/a"),
        ("delay", "v2x/bsm:obu/a@1..4->rsu/X=+300ms"),
        ("corrupt", "v2x/bsm:obu/b@1..4->rsu/X.speed_mps=0"),
        ("forge", 'v2x/vir:obu/a@2:{"node_id": 999}'),
    )
    assert [effect.messages for effect in again.effects] == [1, 1, 30, 30, 1]
    assert all(effect.receptions for effect in again.effects)
    assert digests(again.log) == digests(recorded)
    assert found.first is None and not found.criteria


def test_a_dropped_message_is_sent_but_not_heard_and_the_fates_of_others_stay(
    recorded: Path, tmp_path: Path
) -> None:
    seq = seq_of(recorded, "v2x/spat", "rsu/X", 2.0)
    again, _ = edited(recorded, tmp_path, ("drop", f"v2x/spat:rsu/X:{seq}->obu/b"))
    before = next(LogReader.open(recorded).fates(2 * S, 2 * S + 1))
    after = next(LogReader.open(again.log).fates(2 * S, 2 * S + 1))
    row, column = before.topics.index("v2x/spat"), before.receivers.index("obu/b")
    first = int(before.num_rows[:row].sum())
    assert before.fate[first, column] == Fate.DELIVERED
    assert after.fate[first, column] == Fate.LOSS_FAULT
    after.fate[first, column] = Fate.DELIVERED
    assert (before.fate == after.fate).all()
    notes = [name for note in LogReader.open(again.log).notes() for name, _ in note.values]
    assert notes.count("what_if/drop/v2x/spat") == 1


def test_losing_all_spat_stops_the_vehicle_and_parts_the_runs_after_the_first_edit(
    recorded: Path, tmp_path: Path
) -> None:
    again, found = edited(recorded, tmp_path, ("drop", "v2x/spat:rsu/X@1.5..5"))
    assert again.departure is not None and again.departure.tick > 150
    assert digests(again.log)[:150] == digests(recorded)[:150]
    assert found.first is not None and found.truth_ticks and found.apart_m > 0.1
    assert found.num_ticks == 500 and found.met_ns is None
    assert any(found.numbers.values())


def test_late_corrupted_and_forged_lights_change_what_vehicles_do(
    recorded: Path, tmp_path: Path
) -> None:
    # Something heard means something: each of these makes a difference that dropping one message does not.
    for number, text in enumerate((
        ("delay", "v2x/spat:rsu/X@1.5..5=+2s"),
        ("corrupt", "v2x/spat:rsu/X@1.5..5.phases[*].light=DARK"),
        ("corrupt", "v2x/spat:rsu/X@1.5..5->obu/a.phases[*].light=DARK"),
    )):  # fmt: skip
        again, found = edited(recorded, tmp_path / str(number), text)
        assert again.departure is not None and found.truth_ticks, text


def test_a_forged_neighbour_stops_a_vehicle(recorded: Path, tmp_path: Path) -> None:
    trace = LogReader.open(recorded).traces("b")
    x, y, yaw = (float(column[200]) for column in (trace.x_m, trace.y_m, trace.yaw_rad))
    body = json.dumps({
        "station_id": [4242], "kind": ["ACTOR_KIND_CAR"], "x_m": [x + 25 * math.cos(yaw)], "y_m": [y + 25 * math.sin(yaw)],
        "z_m": [0.0], "yaw_rad": [yaw], "speed_mps": [0.0], "accel_mps2": [0.0], "yaw_rate_radps": [0.0],
        "length_m": [4.5], "width_m": [1.8], "rear_overhang_m": [1.0], "flags": [0],
    })  # fmt: skip
    again, found = edited(recorded, tmp_path, ("forge", f"v2x/bsm:fleet@2:{body}"))
    assert again.effects[0].receptions >= 1 and found.truth_ticks
    forged = [m for m in LogReader.open(again.log).messages("v2x/bsm", 2 * S, 2 * S + 1) if m.seq >= 2**31]  # fmt: skip
    assert len(forged) == 1 and forged[0].decode().station_id.tolist() == [4242]  # type: ignore[union-attr]
    alone, _ = edited(recorded, tmp_path / "alone", ("forge", f"v2x/bsm:fleet@2->rsu/X:{body}"))
    assert alone.effects[0].receptions == 1 and alone.departure is None


def test_flipped_bits_are_lost_or_heard_but_never_break_the_count(
    recorded: Path, tmp_path: Path
) -> None:
    again, _ = edited(recorded, tmp_path, ("corrupt", "v2x/rsm:rsu/X@1..4.bits=40"))
    effect = again.effects[0]
    assert effect.messages == 30 and 0 < effect.garbled <= effect.receptions
    garbled = sum(int((f.fate == Fate.GARBLED).sum()) for f in LogReader.open(again.log).fates())
    assert garbled == effect.garbled


def test_an_edited_log_is_run_again_with_its_edits(recorded: Path, tmp_path: Path) -> None:
    again, _ = edited(recorded, tmp_path / "one", ("drop", "v2x/spat:rsu/X@1.5..5"))
    assert digests(again.log) != digests(recorded)
    (tmp_path / "one" / "crossroads.xodr").write_bytes((recorded.parent / "crossroads.xodr").read_bytes())  # fmt: skip
    answer = replay_log(again.log, tmp_path / "two")
    assert answer.same, answer.message
    twice, found = edited(again.log, tmp_path / "three")
    assert found.first is None and digests(twice.log) == digests(again.log)


def test_a_unit_that_breaks_on_what_it_is_told_is_an_outcome(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: RoadsideUnit, t_ns: int, vir: VehicleIntention, out: Outbox) -> None:
        if vir.node_id == 999:
            raise ZeroDivisionError("planted")

    monkeypatch.setattr(RoadsideUnit, "_take_request", breaks)
    healthy = run(small(), tmp_path / "healthy").log_path
    words = ("--forge", 'v2x/vir:obu/a@2:{"node_id": 999}', "--out", str(tmp_path / "out"))
    code, text = call(str(healthy), *words)
    assert code == 1 and "-> infrastructure_error: unit rsu/X at tick 21" in text
    again, found = edited(healthy, tmp_path / "two", ("forge", words[1]))
    assert "ZeroDivisionError: planted" in again.failure and found.is_verdict_changed


def test_candidates_are_weighed_against_the_recording(recorded: Path, tmp_path: Path) -> None:
    bench = make_bench(recorded, tmp_path)
    same = weigh(bench, [parse("drop", "v2x/spat:rsu/X@2->obu/a")])
    assert same.parted_ns is None and not same.is_verdict_changed and same.apart_m == 0.0
    other = weigh(bench, [parse("drop", "v2x/spat:rsu/X@1.5..5")])
    assert other.parted_ns is not None and other.parted_ns > 1.5 * S and other.apart_m > 0.1
    assert not list(tmp_path.iterdir())  # logs of candidates are gone


def test_what_is_not_in_the_recording_is_named_with_what_comes_nearest(recorded: Path) -> None:
    source = open_source(recorded)
    spat = seq_of(recorded, "v2x/spat", "rsu/X", 2.0)
    for kind, text, says in (
        ("drop", f"v2x/map:rsu/X:{spat}", "is a v2x/spat"),
        ("drop", "v2x/rsm:rsu/Y@1", "v2x/rsm was sent by rsu/X"),
        ("drop", "v2x/spat:rsu/X@900", r"nearest of rsu/X's 50: .* \(at 4.90 s\)"),
        ("drop", "v2x/ssm:rsu/X@1", "nobody sent v2x/ssm"),
        ("corrupt", "v2x/spat:rsu/X@1.phases[99].light=RED", "rows, numbered from 0"),
        ("forge", "v2x/spat:rsu/X@900:{}", r"the last tick of the run is at 4\.99 s"),
    ):
        with pytest.raises(InputError, match=says):
            check_edits(source, [parse(kind, text)])
    for text in ("v2x/spat:rsu/X@1->obu/z", "v2x/spat:rsu/X@1->fleet"):
        with pytest.raises(InputError, match="hears messages"):
            run_again(source, [parse("drop", text)], recorded.parent / "none")


def test_a_recording_that_this_version_cannot_repeat_is_refused(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another version drives otherwise: here the seed of the same scene is another one.
    source = open_source(recorded)
    other = source.spec.model_copy(update={"seed": 2})
    object.__setattr__(source, "spec", other)
    with pytest.raises(LogError, match=r"cannot be run again.*the first edit is at 4\.00 s"):
        run_again(source, [parse("drop", "v2x/spat:rsu/X@4")], tmp_path)
    with pytest.raises(LogError, match="nothing was edited"):
        run_again(source, [], tmp_path)


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["what-if", *words])
    return done.exit_code, done.output


def test_the_command_answers_in_text_and_json(recorded: Path, tmp_path: Path) -> None:
    code, text = call(str(recorded), "-q")
    assert code == 0 and "the same run, byte by byte" in text
    code, text = call(str(recorded), "--drop", "v2x/spat:rsu/X@1.5..5", "--out", str(tmp_path), "--json")  # fmt: skip
    table = json.loads(text)
    assert code == (1 if table["verdict"]["changed"] else 0)
    assert table["edits"][0]["messages"] == table["edits"][0]["meant"] == 35
    assert table["parted_s"] > 1.5 and table["truth_ticks_that_differ"] > 0
    assert set(table["closest"]) == {"a", "b"}
    assert Path(table["edited_log"]).is_file()


def test_the_command_refuses_what_it_cannot_do(recorded: Path, tmp_path: Path) -> None:
    for words, says in (
        (("--drop", "nonsense"), "a message is written"),
        (("--drop", "v2x/spat:rsu/X@900"), "no such message"),
        (("--rank", "--drop", "v2x/spat:rsu/X@1"), "leave the edits"),
        (("--topic", "v2x/spat"), "belong to --rank"),
        (("--rank", "--window", "5..1"), "T2 after T1"),
        (("--rank", "--topic", "v2x/foo"), "expected one of"),
        (("--out", str(recorded.parent)), "recording itself"),
    ):
        code, text = call(str(recorded), *words)
        assert code == 2 and says in " ".join(text.replace("│", " ").split()), (words, text)
    assert call(str(tmp_path / "none.mcap"))[0] == 2
