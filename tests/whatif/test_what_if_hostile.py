"""Edits as a stranger writes them, and recordings that other code or other programs made: nothing crashes, nothing is blamed wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim.compose
from protocols.errors import InputError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from sim import units
from sim.log.reader import LogReader
from sim.whatif import apply
from sim.whatif.again import check_control, check_edits, open_source, run_again
from sim.whatif.apply import Edited
from sim.whatif.edit import parse
from sim.whatif.tell import effect_words
from tests.support.fault_scene import run, scene
from tests.whatif.test_what_if import call, digests, edited
from vehicle.fleet import FleetUnit
from vehicle.onboard import OnboardUnit

S = 1_000_000_000
DURATION_S = 4.0


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(scene((), DURATION_S), tmp_path_factory.mktemp("recorded")).log_path


# -- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("delay", "v2x/spat:rsu/X@1=-5ms", "'=-5ms', expected =\\+200ms or =\\+0.2s"),
        ("delay", "v2x/spat:rsu/X@1=+3ns", "'=\\+3ns', expected"),
        ("delay", "v2x/spat:rsu/X:3->obu/a=200", "'=200', expected"),
        ("delay", "v2x/spat:rsu/X@1..2=+1e3ms", "'=\\+1e3ms', expected"),
        ("drop", "v2x/spat:rsu/X:99999999999", "numbers go up to 4294967295"),
        ("drop", "v2x/spat:rsu/X:4294967296", "numbers go up to 4294967295"),
        (
            "drop",
            "spat:rsu/X@1",
            "'spat' does not exist; those sent on the air are v2x/bsm, v2x/map",
        ),
        ("drop", "v2x/SPAT:rsu/X@1", "on the air are v2x/bsm"),
    ],
)
def test_the_sentence_names_the_part_that_is_wrong(kind: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        parse(kind, text)
    assert "log/digest" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v2x/bsm:obu/a@1:{}", "v2x/bsm:obu/a@1.*no vehicle, expected at least one"),
        ("v2x/bsm:fleet@1:{}", "no vehicle"),
        ('v2x/rsc:rsu/X@1:{"t_ns": -1}', r"--forge v2x/rsc:rsu/X@1.*t_ns"),
        ('v2x/rsc:rsu/X@1:{"status": 99}', "--forge v2x/rsc:rsu/X@1.*status = 99"),
        ("v2x/rsc:rsu/X@1:{", "--forge v2x/rsc:rsu/X@1.*JSON"),
    ],
)
def test_a_forged_message_that_cannot_be_sent_is_bad_input_and_says_which(text: str, says: str) -> None:  # fmt: skip
    with pytest.raises(InputError, match=says):
        Edited([parse("forge", text)], 1)


def test_an_empty_forged_batch_is_refused_by_the_command(recorded: Path) -> None:
    code, text = call(str(recorded), "--forge", "v2x/bsm:obu/a@0:{}", "-q")
    assert code == 2 and "no vehicle" in text, text


@pytest.mark.parametrize("at_s", ["0", "3.99", "0.0000001"])
def test_a_message_is_forged_at_the_first_and_at_the_last_tick(recorded: Path, tmp_path: Path, at_s: str) -> None:  # fmt: skip
    again, found = edited(recorded, tmp_path, ("forge", f"v2x/rsc:rsu/X@{at_s}:{{}}"))
    assert again.effects[0].messages == 1
    assert found.first is None and digests(again.log) == digests(recorded)


@pytest.mark.parametrize("at_s", ["3.990000001", "3.995", "4", "86400"])
def test_what_is_forged_after_the_last_tick_is_refused_and_not_left_unsent(recorded: Path, at_s: str) -> None:  # fmt: skip
    source = open_source(recorded)
    with pytest.raises(InputError, match=r"the last tick of the run is at 3\.99 s"):
        check_edits(source, [parse("forge", f"v2x/rsc:rsu/X@{at_s}:{{}}")])


def test_one_message_of_a_window_that_has_the_row_is_enough(recorded: Path) -> None:
    source = open_source(recorded)
    sizes = [m.decode().x_m.size for m in LogReader.open(recorded).messages("v2x/rsm")]  # type: ignore[union-attr]  # fmt: skip
    assert sizes[0] < max(sizes)  # at first it has not seen everybody
    for row, is_refused in ((max(sizes) - 1, False), (max(sizes), True)):
        edits = [parse("corrupt", f"v2x/rsm:rsu/X@0..4.x_m[{row}]=0")]
        if is_refused:
            with pytest.raises(InputError, match="rows, numbered from 0"):
                check_edits(source, edits)
        else:
            assert check_edits(source, edits) == [len(sizes)]


def test_a_message_that_comes_after_the_end_is_said_to(recorded: Path, tmp_path: Path) -> None:
    again, _ = edited(
        recorded,
        tmp_path,
        ("delay", "v2x/spat:rsu/X@3..4->obu/a=+600s"),
        ("delay", "v2x/map:rsu/X@1=+1s"),
    )
    late, in_time = again.effects
    assert (late.receptions, late.never) == (10, 10) and in_time.never == 0
    assert "10 of them after the end" in effect_words(parse("delay", "v2x/spat:rsu/X@3=+600s"), late)  # fmt: skip


# -- who is to blame ----------------------------------------------------------------------------------------------------


class Heavy(OnboardUnit):
    """Of another version: accelerates a hair less from 3 s on."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        from dataclasses import replace

        out = super().on_tick(now, inbox)
        if now.tick >= 300 and out.vehicle is not None:
            out.vehicle = replace(out.vehicle, accel_mps2=out.vehicle.accel_mps2 - 1e-3)
        return out


class Broken(FleetUnit):
    """Of another version: breaks at 3 s."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        if now.tick >= 300:
            raise RuntimeError("planted")
        return super().on_tick(now, inbox)


@pytest.mark.parametrize(("unit", "kind"), [("OnboardUnit", Heavy), ("FleetUnit", Broken)])
def test_what_another_version_does_later_is_not_put_down_to_an_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, kind: type
) -> None:
    # The edit comes first and changes nothing; the run leaves the recording 2 s later because the code is another.
    with monkeypatch.context() as patch:
        patch.setattr(sim.compose, "commit", lambda: "0123456789ab")
        log = run(scene((), DURATION_S), tmp_path).log_path
    monkeypatch.setattr(units, unit, kind)
    for words in (("--drop", "v2x/map:rsu/X@1"), ("--drop", "v2x/map:rsu/X@1", "--json")):
        code, text = call(str(log), *words)
        assert code == 2 and "cannot be run again" in " ".join(text.split()), text
        assert "0123456789ab" in text and "VERDICT" not in text


def test_the_same_code_needs_no_second_run_and_other_code_one(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, edits = open_source(recorded), [parse("drop", "v2x/spat:rsu/X@1.5..4")]
    again = run_again(source, edits, tmp_path / "one")
    assert again.departure is not None
    for commit, is_run in (("aaaa", False), ("aaaa+", True), ("", True), ("bbbb", True)):
        monkeypatch.setattr("sim.whatif.again.commit", lambda commit=commit: commit)
        object.__setattr__(source.header, "commit", "aaaa" if commit == "bbbb" else commit)
        folder = tmp_path / f"control-{commit}"
        check_control(source, again, folder)
        assert folder.exists() == is_run, commit
    unparted = run_again(source, [parse("drop", "v2x/map:rsu/X@1")], tmp_path / "two")
    check_control(source, unparted, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_an_edit_that_met_nothing_because_the_run_broke_says_so() -> None:
    words = effect_words(parse("drop", "v2x/map:rsu/X@1"), apply.Effect())
    assert "parted from the recording, or ended, before" in words
