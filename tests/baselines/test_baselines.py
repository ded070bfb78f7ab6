"""Golden summaries: same runs are the same, a planted change is found and placed, tolerances excuse what they say and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from protocols.errors import ConfigError, LogError
from scenarios.load import library, load_scene
from sim.baselines.compare import compare_summaries
from sim.baselines.folder import read_folder
from sim.baselines.model import Summary, read_summary, write_summary
from sim.baselines.summarise import summarise
from sim.baselines.tolerances import Tolerances, read_tolerances
from sim.carrier import Carrier
from sim.cli import app
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.log.records import LoggedMessage
from sim.log.writer import LogWriter

SECONDS = 4
REASON = "reason = 'the other compiler rounds otherwise'"


def icv(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["baseline", *map(str, arguments)])


def run(scene: Path, folder: Path, **options: Any) -> Path:
    loaded = load_scene(scene)
    return run_scene(
        loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False, **options)
    ).log_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene file `scene.toml`, its baseline under `golden` and its full log under `logs`."""
    folder = tmp_path_factory.mktemp("made")
    text = library()["smart_island"].read_text()
    whole = next(line for line in text.splitlines() if line.startswith("duration_s"))
    (folder / "scene.toml").write_text(text.replace(whole, f"duration_s = {SECONDS}.0"))
    done = icv("update", folder / "golden", folder / "scene.toml", "--logs", folder / "logs", "-q")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` to spoil."""
    return Path(shutil.copytree(made, tmp_path / "place"))


@pytest.fixture
def golden(made: Path) -> Summary:
    return read_summary(made / "golden" / "smart_island.seed1.json")


@pytest.fixture
def log(made: Path) -> Path:
    return made / "logs" / "smart_island.seed1.mcap"


def copied(
    log: Path, to: Path, edit: Callable[[list[LoggedMessage]], list[LoggedMessage]], **header: Any
) -> Path:
    """Header, messages and result of a log written anew, its messages edited."""
    reader = LogReader.open(log)
    with LogWriter(to, replace(reader.header(), **header)) as writer:
        for m in edit(list(reader.messages())):
            writer.message(m.topic, m.sender, m.seq, m.t_ns, m.data)
        writer.result(SECONDS * 10**9, str(reader.result()))
    return to


# -- the same ------------------------------------------------------------------------------------------------------------


def test_a_scene_that_did_not_change_is_the_same(made: Path) -> None:
    done = icv("check", made / "golden", "--logs", made / "logs")
    assert done.exit_code == 0, done.output
    assert done.stdout == "same     smart_island.seed1\n"
    assert not list((made / "logs").glob("*.new.mcap"))


@pytest.mark.parametrize(
    "options",
    [
        {"order": lambda names: list(names)[::-1]},
        pytest.param({"carrier": Carrier()}, marks=pytest.mark.long),
    ],
    ids=["units in another order", "units as processes"],
)
def test_every_topic_is_the_same_however_the_units_are_called(
    made: Path, golden: Summary, tmp_path: Path, options: dict[str, Any]
) -> None:
    there = summarise(run(made / "scene.toml", tmp_path, **options), golden.scene)
    assert there.topics == golden.topics
    assert compare_summaries(golden, there, Tolerances()).differences == ()


def test_a_log_that_is_there_can_be_checked_without_running(made: Path, log: Path) -> None:
    done = icv("check", made / "golden", "--from", log)
    assert (done.exit_code, done.stdout) == (0, "same     smart_island.seed1\n")


def test_a_summary_is_small_sorted_and_complete(made: Path, golden: Summary) -> None:
    path = made / "golden" / "smart_island.seed1.json"
    assert path.stat().st_size < 20_000
    table = json.loads(path.read_text())
    assert list(table) == sorted(table)
    assert table["scene"] == "../scene.toml"
    assert golden.topics["v2x/bsm"].messages == 10 * SECONDS + 1
    assert {"truth/world", "truth/trace", "obu/plan", "v2x/spat", "log/radio"} <= set(golden.topics)
    assert not {"log/timing", "log/header", "log/result"} & set(golden.topics)
    assert "shuttle1.travel_time_s" in golden.metrics
    assert "comfort/shuttle1 jerk" in golden.criteria


def test_an_update_leaves_an_unchanged_summary_alone(place: Path) -> None:
    path = place / "golden" / "smart_island.seed1.json"
    older = path.read_text().replace('"commit": "', '"commit": "older-')
    path.write_text(older)
    done = icv("update", place / "golden", "-q")
    assert done.exit_code == 0
    assert done.stdout.startswith("kept ")
    assert path.read_text() == older


# -- changes -------------------------------------------------------------------------------------------------------------


def test_a_changed_scene_is_told_with_topic_figure_and_exact_place(place: Path) -> None:
    scene = place / "scene.toml"
    text = scene.read_text()
    assert "depart_s = " in text
    scene.write_text(text + "\n[[faults]]\nkind = 'sensor_loss'\nunit = 'obu/shuttle1'\nsensor = 'gnss'\nat_s = 2.0\n")  # fmt: skip
    done = icv("check", place / "golden", "--logs", place / "logs")
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("changed  smart_island.seed1: first in ")
    assert "from between 2 and 2.25 s on" in lines[0]
    said = done.stdout
    assert "runs differ first at tick 20" in said
    assert "the scene is not the same: faults" in said
    assert "digest " in said
    assert (place / "logs" / "smart_island.seed1.new.mcap").is_file()
    # Taken as the new golden run, it is the same again, and the logs follow.
    assert icv("update", place / "golden", "-q", "--logs", place / "logs").exit_code == 0
    assert not (place / "logs" / "smart_island.seed1.new.mcap").exists()
    assert icv("check", place / "golden", "-q").exit_code == 0


@pytest.mark.parametrize("at_s", [0.0, 1.1, 3.9])
def test_one_changed_byte_is_placed_in_its_topic_and_time(log: Path, tmp_path: Path, at_s: float) -> None:  # fmt: skip
    def change(messages: list[LoggedMessage]) -> list[LoggedMessage]:
        k = next(k for k, m in enumerate(messages) if m.topic == "v2x/bsm" and m.t_ns >= at_s * 1e9)
        data = bytearray(messages[k].data)
        data[-1] ^= 1
        messages[k] = replace(messages[k], data=bytes(data))
        return messages

    old = summarise(copied(log, tmp_path / "a.mcap", lambda m: m))
    new = summarise(copied(log, tmp_path / "b.mcap", change))
    found = compare_summaries(old, new, Tolerances())
    assert [(d.kind, d.name) for d in found.differences] == [("topic", "v2x/bsm")]
    part = int(at_s * 16 // SECONDS)
    assert f"from between {part * 0.25:g} and {(part + 1) * 0.25:g} s on" in found.first


@pytest.mark.parametrize("what", ["dropped", "doubled", "later", "other sender", "other number"])
def test_what_happens_to_one_message_is_seen(log: Path, tmp_path: Path, what: str) -> None:
    def change(messages: list[LoggedMessage]) -> list[LoggedMessage]:
        k = next(k for k, m in enumerate(messages) if m.topic == "v2x/spat" and m.t_ns >= 2e9)
        one = messages[k]
        instead = {
            "dropped": [],
            "doubled": [one, one],
            "later": [replace(one, t_ns=one.t_ns + 1)],
            "other sender": [replace(one, sender="rsu/other")],
            "other number": [replace(one, seq=one.seq + 1)],
        }[what]
        return messages[:k] + instead + messages[k + 1 :]

    old = summarise(copied(log, tmp_path / "a.mcap", lambda m: m))
    new = summarise(copied(log, tmp_path / "b.mcap", change))
    found = compare_summaries(old, new, Tolerances())
    assert found.first_topics == ("v2x/spat",)
    assert not found.is_same


def test_the_order_in_which_a_log_holds_one_instant_does_not_matter(log: Path, tmp_path: Path) -> None:  # fmt: skip
    old = summarise(copied(log, tmp_path / "a.mcap", lambda m: m))
    other = summarise(
        copied(log, tmp_path / "b.mcap", lambda m: sorted(m, key=lambda x: (x.t_ns, x.topic[::-1])))
    )
    assert other.topics == old.topics


def test_differences_are_told_by_time_with_what_counts_first(golden: Summary) -> None:
    def from_part(name: str, part: int) -> Any:
        one = golden.topics[name]
        marks = one.marks.split()
        return one.model_copy(update={"digest": "f" * 16, "marks": " ".join(marks[:part] + ["0badf00d"] * (16 - part))})  # fmt: skip

    topics = golden.topics | {"v2x/map": from_part("v2x/map", 9), "v2x/spat": from_part("v2x/spat", 3)}  # fmt: skip
    metrics = golden.metrics | {"shuttle1.travel_time_s": golden.metrics["shuttle1.travel_time_s"] * 1.5}  # type: ignore[operator]  # fmt: skip
    new = golden.model_copy(update={"topics": topics, "metrics": metrics, "outcome": "pass"})
    found = compare_summaries(golden, new, Tolerances())
    assert [d.kind for d in found.differences] == ["outcome", "topic", "topic", "metric"]
    assert found.first == "first in v2x/spat, from between 0.75 and 1 s on"
    assert "+50%" in found.differences[-1].text


def test_the_old_log_is_used_only_if_it_is_the_golden_run(place: Path, log: Path) -> None:
    path = place / "golden" / "smart_island.seed1.json"
    table = json.loads(path.read_text())
    table["digest"] = "0" * 16
    path.write_text(json.dumps(table))
    done = icv("check", place / "golden", "--from", log, "--logs", place / "logs")
    assert done.exit_code == 1
    assert "is of another run than the summary" in done.stdout
    (place / "logs" / "smart_island.seed1.mcap").unlink()
    done = icv("check", place / "golden", "--from", log, "--logs", place / "logs")
    assert "is not there, so the exact place is not known" in done.stdout


def test_programs_get_json(place: Path, log: Path) -> None:
    path = place / "golden" / "smart_island.seed1.json"
    table = json.loads(path.read_text())
    table["metrics"]["shuttle1.travel_time_s"] = 1.0
    path.write_text(json.dumps(table))
    (answer,) = json.loads(icv("check", place / "golden", "--from", log, "--json").stdout)
    assert (answer["baseline"], answer["answer"]) == ("smart_island.seed1", "changed")
    (difference,) = answer["differences"]
    assert (difference["kind"], difference["name"], difference["old"]) == ("metric", "shuttle1.travel_time_s", 1.0)  # fmt: skip


# -- tolerances ----------------------------------------------------------------------------------------------------------


def tolerances(folder: Path, *entries: str) -> Tolerances:
    text = "\n".join(f"[[tolerance]]\n{entry}" for entry in entries)
    (folder / "tolerances.toml").write_text(text)
    return read_tolerances(folder)


def moved(golden: Summary, by: float) -> Summary:
    name = "shuttle1.travel_time_s"
    return golden.model_copy(update={"metrics": golden.metrics | {name: golden.metrics[name] + by}})  # type: ignore[operator]


def test_a_figure_within_its_tolerance_is_the_same_and_the_reason_is_told(golden: Summary, tmp_path: Path) -> None:  # fmt: skip
    some = tolerances(tmp_path, f"baseline = 'smart_*'\nmetric = 'shuttle1.travel*'\nabsolute = 0.5\n{REASON}")  # fmt: skip
    near = compare_summaries(golden, moved(golden, 0.4), some)
    assert near.is_same
    assert near.differences[0].excuse == "the other compiler rounds otherwise"
    assert not compare_summaries(golden, moved(golden, 0.6), some).is_same
    assert not compare_summaries(golden, moved(golden, 0.4), Tolerances()).is_same
    other = tolerances(tmp_path, f"baseline = 'brt_*'\nmetric = '*'\nabsolute = 0.5\n{REASON}")
    assert not compare_summaries(golden, moved(golden, 0.4), other).is_same
    assert [str(entry) for entry in other.matching_none([golden.stem])] == ["metric = '*' for 'brt_*'"]  # fmt: skip


def test_relative_tolerances_are_shares_of_the_golden_value(golden: Summary, tmp_path: Path) -> None:  # fmt: skip
    some = tolerances(tmp_path, f"metric = '*'\nrelative = 0.1\n{REASON}")
    value = golden.metrics["shuttle1.travel_time_s"] or 0.0
    assert compare_summaries(golden, moved(golden, 0.09 * value), some).is_same
    assert not compare_summaries(golden, moved(golden, 0.11 * value), some).is_same


def test_a_verdict_is_never_excused(golden: Summary, tmp_path: Path) -> None:
    some = tolerances(tmp_path, f"criterion = '*'\nabsolute = 1e9\n{REASON}", f"metric = '*'\nabsolute = 1e9\n{REASON}", f"topic = '*'\n{REASON}", f"digest = true\n{REASON}")  # fmt: skip
    name = "no_collision"
    broken = golden.criteria[name].model_copy(update={"passed": False, "value": 1.0})
    new = golden.model_copy(update={"criteria": golden.criteria | {name: broken}})
    assert not compare_summaries(golden, new, some).is_same
    assert not compare_summaries(golden, golden.model_copy(update={"outcome": "pass"}), some).is_same  # fmt: skip
    only_value = golden.criteria[name].model_copy(update={"value": 1.0})
    assert compare_summaries(
        golden, golden.model_copy(update={"criteria": golden.criteria | {name: only_value}}), some
    ).is_same


def test_topics_and_digest_are_excused_one_by_one(golden: Summary, tmp_path: Path) -> None:
    one = golden.topics["v2x/map"]
    other = one.model_copy(update={"digest": "f" * 16, "bytes": one.bytes + 10})
    new = golden.model_copy(update={"topics": golden.topics | {"v2x/map": other}, "digest": "f" * 16})  # fmt: skip
    topic, digest = f"topic = 'v2x/map'\nabsolute = 10\n{REASON}", f"digest = true\n{REASON}"
    assert compare_summaries(golden, new, tolerances(tmp_path, topic, digest)).is_same
    assert not compare_summaries(golden, new, tolerances(tmp_path, topic)).is_same
    assert not compare_summaries(golden, new, tolerances(tmp_path, digest)).is_same
    tight = f"topic = 'v2x/map'\nabsolute = 9\n{REASON}"
    assert not compare_summaries(golden, new, tolerances(tmp_path, tight, digest)).is_same


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("metric = 'x'\nabsolute = 1.0", "needs a reason"),
        ("metric = 'x'\nabsolute = 1.0\nreason = ''", "needs a reason"),
        ("metric = 'x'\nabsolute = 1.0\nreason = '            '", "reason is blank"),
        (f"absolute = 1.0\n{REASON}", "found none of metric, criterion, topic and digest"),
        (f"metric = 'x'\ntopic = 'y'\nabsolute = 1.0\n{REASON}", "expected exactly one"),
        (f"metric = 'x'\n{REASON}", "needs absolute or relative"),
        (f"digest = true\nabsolute = 1.0\n{REASON}", "takes no absolute"),
        (f"metric = 'x'\nabsolute = -1.0\n{REASON}", r"tolerance\.0\.absolute"),
        (f"metric = 'x'\nabsolute = nan\n{REASON}", r"tolerance\.0\.absolute"),
        (f"metric = 'x'\nabsolut = 1.0\n{REASON}", r"tolerance\.0\.absolut"),
        ("metric = ", "not valid TOML"),
    ],
)
def test_a_wrong_tolerance_is_one_sentence(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tolerances(tmp_path, entry)


def test_other_keys_in_the_tolerances_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tolerances.toml").write_text("[tolerances]\nx = 1\n")
    with pytest.raises(ConfigError, match=r"found key 'tolerances', expected .* \[\[tolerance\]\]"):
        read_tolerances(tmp_path)


# -- names and wrong input -----------------------------------------------------------------------------------------------


def test_names_of_summaries_are_readable_distinct_and_safe(golden: Summary, tmp_path: Path) -> None:
    def stem(*overrides: str, scenario: str = "smart_island") -> str:
        return golden.model_copy(update={"overrides": overrides, "scenario": scenario}).stem

    assert stem() == "smart_island.seed1"
    assert stem("duration_s=6") == "smart_island.seed1.duration_s=6"
    names = [stem('a="x/y"'), stem('a="x y"'), stem("a=" + "x" * 300), stem("a=" + "x" * 301), stem(scenario="../../etc")]  # fmt: skip
    assert len(set(names)) == len(names)
    for name in names:
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) < 120
    path = write_summary(tmp_path, golden.model_copy(update={"scenario": "../x"}))
    assert path.parent == tmp_path
    assert list(read_folder(tmp_path)) == [path.stem]


def test_overrides_and_seeds_are_baselines_of_their_own(tmp_path: Path) -> None:
    golden = tmp_path / "golden"
    for more in (["--seed", "5"], ["--set", "record.truth_period_ms=100", "--seed", "5"]):
        done = icv("update", golden, "smart_island", "--set", "duration_s=1", *more, "-q")
        assert done.exit_code == 0, done.output
    assert list(read_folder(golden)) == [
        "smart_island.seed5.duration_s=1", "smart_island.seed5.duration_s=1.record.truth_period_ms=100",
    ]  # fmt: skip
    done = icv("check", golden, "smart_island")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("2 baselines: 2 same\n")
    one = icv("check", golden, "smart_island.seed5.duration_s=1", "-q")
    assert one.stdout == "same     smart_island.seed5.duration_s=1\n"


def test_a_scene_that_cannot_run_is_told_and_the_rest_goes_on(place: Path, golden: Summary) -> None:
    gone = golden.model_copy(update={"scene": "../gone.toml", "scenario": "another"})
    write_summary(place / "golden", gone)
    done = icv("check", place / "golden", "-q")
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert lines[0].startswith("error    baseline another.seed1: ")
    assert "no such scene file" in lines[0]
    assert lines[1:] == ["same     smart_island.seed1", "2 baselines: 1 error, 1 same"]


def test_another_scene_of_the_same_name_does_not_overwrite(place: Path, tmp_path: Path) -> None:
    before = (place / "golden" / "smart_island.seed1.json").read_bytes()
    (tmp_path / "elsewhere.toml").write_text((place / "scene.toml").read_text())
    done = icv("update", place / "golden", tmp_path / "elsewhere.toml", "-q")
    assert done.exit_code == 2
    assert "has the same name and seed" in done.stdout
    assert (place / "golden" / "smart_island.seed1.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check", "nowhere"], 2, "no such folder"),
        (["check", "{scene}"], 2, "is a file"),
        (["check", "{empty}"], 4, "holds no baseline"),
        (["update", "{empty}"], 4, "name a SCENARIO"),
        (["update", "{empty}", "smart_iland"], 2, "no such scene file. Library scenes: smart_island"),
        (["update", "{empty}", "smart_island", "--set", "sed=3"], 2, "unknown key 'sed'"),
        (["check", "{golden}", "smart_iland"], 2, "Nearest: smart_island"),
        (["check", "{golden}", "--logs", "{golden}/logs"], 2, "full logs are large, keep them elsewhere"),
        (["update", "{golden}", "--logs", "{scene}"], 2, "is a file; expected a folder"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence(place: Path, arguments: list[str], code: int, said: str) -> None:  # fmt: skip
    (place / "empty").mkdir()
    names = {name: str(place / name) for name in ("empty", "golden")} | {"scene": str(place / "scene.toml")}  # fmt: skip
    done = icv(*(item.format(**names) for item in arguments))
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("icv: ")]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "the file: "),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"schema_version": 9}', "layout 9, this version of icv knows layout 1.*newer"),
        (b'{"schema_version": 1}', "Field required"),
        (b" " * 4_000_001, "at most 4000000"),
    ],
)
def test_a_broken_summary_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_summary(path)


def test_a_summary_under_anothers_name_is_refused(place: Path) -> None:
    shutil.move(place / "golden" / "smart_island.seed1.json", place / "golden" / "brt.seed1.json")
    with pytest.raises(ConfigError, match=r"rename it to smart_island\.seed1\.json"):
        read_folder(place / "golden")


def test_logs_that_cannot_be_golden_are_refused(log: Path, tmp_path: Path, made: Path) -> None:
    foreign = copied(log, tmp_path / "carla.mcap", lambda m: m, versions={"backend": "carla"})
    with pytest.raises(LogError, match="physics of a carla server"):
        summarise(foreign)
    with LogWriter(tmp_path / "cut.mcap", LogReader.open(log).header()):
        pass
    with pytest.raises(LogError, match="never came to its end"):
        summarise(tmp_path / "cut.mcap")
    (tmp_path / "short.mcap").write_bytes(log.read_bytes()[:-3000])
    for path in (tmp_path / "short.mcap", made / "scene.toml"):
        done = icv("check", made / "golden", "--from", path)
        assert done.exit_code == 2, done.output
        assert done.stdout.startswith(f"error    {path}: ")


def test_a_log_of_another_run_finds_no_baseline(made: Path, log: Path, tmp_path: Path) -> None:
    other = copied(log, tmp_path / "other.mcap", lambda m: m, seed=77)
    done = icv("check", made / "golden", "--from", other)
    assert done.exit_code == 2
    assert "seed 77, 4 s; there is no such baseline among smart_island.seed1 (4 s)" in done.stdout
