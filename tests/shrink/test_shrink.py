"""What is left of a failing scene fails for the same reason, and with any single actor less it does not."""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import ConfigError, UnitError
from protocols.judging import RunFacts
from scenarios.load import check_scene, load_scene
from scenarios.verdict import CriterionResult, Outcome, Verdict
from sim.cli import app
from sim.compose import RunOptions, run_scene
from sim.shrink.actors import Actor, actors, scene_of
from sim.shrink.ddmin import smallest
from sim.shrink.reason import Reason, reason_of_error, reasons_of
from sim.shrink.run import Shrunk, narrowed, shrink
from sim.shrink.source import failing_scene, is_reproduced, written
from sim.shrink.text import scene_text
from sim.shrink.trial import Trials
from tests.shrink.plants import PLANTED, Failure, crossing, with_road
from tests.support.fault_scene import EVERY_KIND

BY_NAME = {failure.name: failure for failure in PLANTED}
QUICK = ("bias", "button")


def prove_smallest(failure: Failure, folder: Path, patch: pytest.MonkeyPatch) -> Shrunk:
    failure.plant(patch)
    base = with_road(folder)
    found = shrink(failure.spec, base, wanted=failure.wanted)
    assert found.is_minimal
    # Written as a file it loads, and fails for the same reason.
    path = folder / "small.toml"
    written(path, found, failure.spec, base / "crossroads.xodr", "run.mcap")
    small = load_scene(path).spec
    trials = Trials(base, 1_000)
    assert found.reason in trials.reasons(small) and failure.wanted in str(found.reason)
    assert small.duration_s <= failure.spec.duration_s
    # Whoever is taken away: it passes.
    left = actors(small)
    for actor in left:
        assert trials.reasons(scene_of(small, set(left) - {actor})) == (), str(actor)
    counts = Counter(actor.what for actor in left)
    if failure.left["antenna"]:
        assert counts.pop("vehicle", 0) + counts.pop("roadside", 0) == failure.left["antenna"]
    assert counts == Counter({k: v for k, v in failure.left.items() if k != "antenna"}), left
    return found


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_failure_is_shrunk_to_those_who_cause_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_smallest(BY_NAME[name], tmp_path, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in QUICK])
def test_the_other_planted_failures_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_smallest(BY_NAME[name], tmp_path, monkeypatch)


def test_shrinking_twice_gives_the_same_scene_in_the_same_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure, base = BY_NAME["button"], with_road(tmp_path)
    failure.plant(monkeypatch)
    assert shrink(failure.spec, base, budget=25) == shrink(failure.spec, base, budget=25)


# parts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_ddmin_finds_a_1_minimal_part(seed: int) -> None:
    draw = random.Random(seed)
    items = tuple(range(draw.randint(1, 60)))
    culprits = set(draw.sample(items, draw.randint(0, min(4, len(items)))))
    either = set(draw.sample(items, 2)) if len(items) > 8 and draw.random() < 0.5 else set()
    asked = []

    def holds(kept: tuple[int, ...]) -> bool:
        asked.append(kept)
        return culprits <= set(kept) and (not either or bool(either & set(kept)))

    found = smallest(items, holds)
    assert culprits <= set(found) and (not either or either & set(found))
    assert not any(holds(tuple(i for i in found if i != gone)) for gone in found)
    assert list(found) == sorted(found)


def test_a_flow_of_some_departures_has_exactly_those(tmp_path: Path) -> None:
    spec = crossing([{"kind": "no_collision"}]).model_copy(update={"faults": ()})
    everybody = actors(spec)
    traffic = [a for a in everybody if a.what == "traffic" and a.name == "west"]
    assert len(traffic) >= 3
    some = scene_of(spec, [*traffic[1:3], Actor("vehicle", "a")])
    assert [flow.only for flow in some.demand.flows] == [(traffic[1].number, traffic[2].number)]
    assert actors(some) == [Actor("vehicle", "a"), *traffic[1:3]]
    outcome = run_scene(some, with_road(tmp_path), tmp_path, options=RunOptions(picture=False))
    assert outcome.facts.traffic["spawned"] == 2


def test_everybody_by_number_is_the_same_run_as_the_flows(tmp_path: Path) -> None:
    spec, base = crossing([{"kind": "no_collision"}], duration_s=6.0), with_road(tmp_path)
    numbered = scene_of(spec, actors(spec))
    assert numbered != spec
    digests = {
        run_scene(
            one, base, tmp_path / str(k), options=RunOptions(picture=False, record=False)
        ).digest
        for k, one in enumerate((spec, numbered))
    }
    assert len(digests) == 1


def test_without_vehicles_and_flows_no_default_traffic_comes(tmp_path: Path) -> None:
    nobody = scene_of(crossing([{"kind": "no_collision", "who": "any"}]), [Actor("roadside", "X")])
    assert actors(nobody) == [Actor("roadside", "X")]
    outcome = run_scene(nobody, with_road(tmp_path), tmp_path, options=RunOptions(picture=False))
    assert outcome.facts.traffic["spawned"] == 0


def test_faults_of_those_who_are_gone_go_too_and_never_widen() -> None:
    spec = crossing([{"kind": "no_collision"}], EVERY_KIND)
    rest = scene_of(spec, [a for a in actors(spec) if a != Actor("vehicle", "a")])
    check_scene(rest.model_dump(mode="json"), "rest")
    text = rest.model_dump_json()
    assert "obu/a" not in text and "obu/b" in text
    losses = [f for f in rest.faults if f.kind == "message_loss" and f.share == 0.3]
    assert losses[0].senders == ("fleet",)
    alone = scene_of(spec, [a for a in actors(spec) if a.what == "fault"])
    assert {f.kind for f in alone.faults} <= {"message_loss", "message_delay"}
    assert all(not f.senders for f in alone.faults)


def test_a_written_scene_reads_back_the_same() -> None:
    for spec in (crossing([{"kind": "comfort"}], EVERY_KIND), load_scene("brt_corridor").spec, load_scene("smart_island").spec):  # fmt: skip
        text = scene_text(spec, "one\ntwo")
        assert text.startswith("# one\n# two\n")
        assert check_scene(tomllib.loads(text), "text") == spec
    odd = crossing([]).model_copy(
        update={"title": 'a "quoted"\n\\ line \x7f\x01', "title_zh": "路口"}
    )
    assert check_scene(tomllib.loads(scene_text(odd, "")), "odd") == odd


def test_reasons_forget_numbers_but_not_names() -> None:
    def reason(tick: int, what: str, unit: str = "rsu/J2") -> object:
        words = f"unit {unit} at tick {tick} (t={tick / 100:.2f} s) raised {what}. The log up to this tick is whole; the cause follows"
        return reason_of_error(UnitError(words))

    one = reason(300, "IndexError: index 17 is out of bounds for axis 0 with size 17")
    assert one == reason(45, "IndexError: index 3 is out of bounds for axis 0 with size 3")
    assert one != reason(
        300, "IndexError: index 17 is out of bounds for axis 0 with size 17", "rsu/J1"
    )
    assert one != reason(300, "KeyError: 17")
    assert reason_of_error(ConfigError("no such lane")) is None
    assert reason_of_error(ZeroDivisionError("x")) != reason_of_error(ValueError("x"))


# the command ---------------------------------------------------------------------------------------------------------


def test_the_command_shrinks_a_log_into_a_library_folder(tmp_path: Path) -> None:
    spec, base = BY_NAME["bias"].spec, with_road(tmp_path)
    outcome = run_scene(spec, base, tmp_path / "run", options=RunOptions(picture=False))
    library = tmp_path / "scenes"
    done = CliRunner().invoke(app, ["shrink", str(outcome.log_path), "--library", str(library), "--reason", "emergencies"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "2 of " in done.output and "smallest" in done.output
    path = library / "crossing-min.toml"
    text = path.read_text()
    assert (
        text.startswith("# Smallest scene that fails for: comfort/a emergencies")
        and "run.mcap" in text
    )
    again, _ = failing_scene(str(path), [])
    reasons = {str(reason): reason for reason in Trials(path.parent, 1).reasons(again)}
    assert is_reproduced(path, reasons["comfort/a emergencies"])


def test_a_scene_that_passes_or_fails_otherwise_is_told(tmp_path: Path) -> None:
    base = with_road(tmp_path)
    fine = crossing([], duration_s=1.0)
    with pytest.raises(ConfigError, match="does not fail"):
        shrink(fine, base)
    bias = BY_NAME["bias"].spec
    with pytest.raises(
        ConfigError, match="does not fail for 'collision'; it fails for comfort/a emergencies"
    ):
        shrink(bias, base, wanted="collision")


def rule_broken(kind: str, sentence: str, where: str = "", name: str = "") -> Reason:
    """The reason of one failed result."""
    result = CriterionResult(name or kind, False, sentence, 1.0, 0.0, "", 3.0, where)
    spec = BY_NAME["bias"].spec
    (found,) = reasons_of(Verdict(Outcome.FAIL, "", (result,)), RunFacts(12.0), spec)
    return found


def test_the_same_rule_broken_elsewhere_or_by_somebody_else_is_another_reason() -> None:
    def red(who: str, lane: str, head: str) -> Reason:
        return rule_broken("no_red_light", f"1 red light run (anybody); first at 3.00 s: {who} lane {lane}, 2.00 s after red began ({head})", head)  # fmt: skip

    assert red("a", "4/0/2", "X west") == red("a", "4/0/3", "X west")
    assert red("vehicle 7", "4/0/2", "X west") == red("vehicle 9", "4/0/2", "X west")
    assert red("a", "4/0/2", "X west") != red("a", "4/0/2", "Y west")
    assert red("a", "4/0/2", "X west") != red("b", "4/0/2", "X west")

    def phases(group: int, rule: int, t_s: float) -> Reason:
        text = f"group {group}: green for {t_s} s"
        return rule_broken("signal_rules", f"1 phase rule broken (signal controllers); first at {t_s:.2f} s: group {group}, rule {rule} ({text})", text)  # fmt: skip

    assert phases(1, 2, 3.0) == phases(1, 2, 4.0)
    assert len({str(phases(g, r, 3.0)) for g in (1, 2) for r in (0, 2)}) == 4

    def lane(key: str) -> Reason:
        return rule_broken("lane_rules", f"1 lane rule broken (automated vehicles); first at 3.00 s: a lane {key}", f"lane {key}")  # fmt: skip

    assert lane("4/0/2") == lane("4/1/3")  # the same road
    assert lane("4/0/2") != lane("5/0/2")
    assert "road 4" in lane("4/0/2").detail

    def station(name: str) -> Reason:
        return rule_broken("station_stops", f"a stopped at most +2 m from the stop point, {name}", name, "station_stops/a along")  # fmt: skip

    assert station("North") != station("South")
    assert station("North").subject == "a" and red("a", "1/0/1", "").subject == ""


def test_a_criterion_of_several_vehicles_is_shrunk_to_the_one_that_was_asked_about(
    tmp_path: Path,
) -> None:
    """Both cars fail it, each by its own fault: the other one, and its failure, go."""
    faults = [
        {"kind": "crash", "unit": f"obu/{name}", "at_s": 3.0, "until_s": 9.0} for name in ("a", "b")
    ]
    spec = crossing([{"kind": "comfort", "vehicles": ["a", "b"]}], faults)
    base = with_road(tmp_path)
    failed = [reason.name for reason in Trials(base, 1).reasons(spec)]
    assert {"comfort/a emergencies", "comfort/b emergencies"} <= set(failed)
    found = shrink(spec, base, wanted="comfort/b emergencies", budget=60)
    assert [vehicle.name for vehicle in found.spec.vehicles] == ["b"]
    assert [table["vehicles"] for table in found.spec.criteria] == [["b"]]
    names = {reason.subject for reason in Trials(base, 1).reasons(found.spec)}
    assert names == {"b"}


def test_topics_that_nobody_asks_about_are_not_judged() -> None:
    gaps = {"kind": "message_periods", "max_gap_ms": {"spat": 100.0, "map": 1000.0}}
    assert narrowed(gaps, "spat") == {"kind": "message_periods", "max_gap_ms": {"spat": 100.0}}
    plain = {"kind": "message_periods"}
    assert narrowed(plain, "spat") == plain
    assert narrowed({"kind": "no_collision"}, "") == {"kind": "no_collision"}


def test_a_small_budget_gives_what_was_found_and_says_so(tmp_path: Path) -> None:
    found = shrink(BY_NAME["bias"].spec, with_road(tmp_path), budget=9)
    assert not found.is_minimal and found.runs == 9
    assert found.after[0] < found.before[0] or found.after[1] < found.before[1]


def test_a_target_that_cannot_be_is_told_before_the_search(tmp_path: Path) -> None:
    scene = tmp_path / "scene.toml"
    scene.write_text(scene_text(BY_NAME["bias"].spec, ""))
    (tmp_path / "file").touch()
    with_road(tmp_path)
    before = scene.read_bytes()
    for target, says in (
        (scene, "failing scene itself"), (tmp_path, "is a folder"), (tmp_path / "file" / "x.toml", "file: ")
    ):  # fmt: skip
        done = CliRunner().invoke(app, ["shrink", str(scene), "--out", str(target)])
        assert done.exit_code in (2, 3) and says in done.stderr, done.output
        assert "fault of icv" not in done.stderr and "runs:" not in done.stderr
    assert scene.read_bytes() == before


@pytest.mark.parametrize("option", ["--library", "--out", ""])
def test_a_scene_that_is_there_is_replaced_only_when_asked(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = BY_NAME["bias"].spec
    Path("failing.toml").write_text(scene_text(spec, ""))
    with_road(tmp_path)
    there = Path(f"{spec.name}-min.toml")
    there.write_text("# by hand\n")
    words = ["shrink", "failing.toml", "--runs", "1"]
    words += {"--library": [option, "."], "--out": [option, there.name]}.get(option, [])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert f"{there}: exists already" in done.stderr and "--force" in done.stderr
    assert there.read_text() == "# by hand\n"
    done = CliRunner().invoke(app, [*words, "--force"])
    assert done.exit_code == 0, done.output
    assert load_scene(there).spec.vehicles


def test_wrong_sources_are_bad_input(tmp_path: Path) -> None:
    runner = CliRunner()
    (tmp_path / "no.mcap").write_bytes(b"not a log")
    for source in ("nothere", str(tmp_path / "no.mcap"), str(tmp_path / "missing.mcap")):
        assert runner.invoke(app, ["shrink", source]).exit_code == 2, source
