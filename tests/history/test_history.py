"""The run history answers what happened, in SQLite and PostgreSQL alike, and says in a sentence what it cannot do."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from sqlalchemy import text
from typer.testing import CliRunner, Result

from protocols.errors import ConfigError, InfrastructureError
from scenarios.verdict import Outcome
from sim.cli import app
from sim.history import History
from sim.history.show import sparkline
from tests.history.results import jerk, suite, task_result

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    if request.param == "sqlite":
        with History(str(tmp_path / "new" / "history.sqlite")) as made:
            yield made
        return
    with History(request.getfixturevalue("postgres")) as made:
        yield made
        _emptied(made)


def _emptied(store: History) -> None:
    with store._engine.begin() as connection:
        connection.execute(text("TRUNCATE icv_suite_run RESTART IDENTITY CASCADE"))


def keep(store: History, *values: float, commits: str = "", **more: object) -> None:
    """One run a value of `bus1.travel_time_s`; `commits`: one letter a run."""
    for k, value in enumerate(values):
        one = task_result(metrics={"bus1.travel_time_s": value}, **more)  # type: ignore[arg-type]
        store.add(suite(one, commit=commits[k] if commits else "c0ffee"), f"2026-05-{k + 1:02d}")


def icv(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["history", *arguments])


# -- answers ------------------------------------------------------------------------------------------------------------


def test_what_was_added_comes_back_as_a_trend_oldest_first(store: History) -> None:
    keep(store, 640.0, 641.0, 650.5)
    trend = store.trend("corridor", "bus1.travel_time_s", last=2)
    assert trend.values == (641.0, 650.5)
    assert [point.at.started_utc for point in trend.points] == ["2026-05-02", "2026-05-03"]
    assert trend.points[1].at.commit == "c0ffee"
    assert trend.points[1].outcome == "pass"


def test_criteria_and_the_machines_cost_are_figures_too(store: History) -> None:
    store.add(suite(task_result(criteria=(jerk(1.25),), wall_s=2.5, peak_mb=310.0)), "t")
    assert store.metrics("corridor") == ["comfort/bus1 jerk", "cpu_s", "peak_mb", "wall_s"]
    trend = store.trend("corridor", "comfort/bus1 jerk")
    assert (trend.values, trend.unit) == ((1.25,), "m/s3")
    assert store.trend("corridor", "wall_s").values == (2.5,)


def test_one_step_in_an_exact_figure_stands_out_and_a_repeated_value_does_not(
    store: History,
) -> None:
    keep(store, 640.0, 640.0, 640.0, 640.0)
    assert not store.trend("corridor", "bus1.travel_time_s").is_changed
    keep(store, 640.1)
    trend = store.trend("corridor", "bus1.travel_time_s")
    assert trend.is_changed
    assert trend.median == 640.0
    assert trend.change == pytest.approx(0.1)


def test_a_figure_that_scatters_is_not_flagged_for_scattering_once_more(store: History) -> None:
    keep(store, 640.0, 652.0, 645.0, 655.0, 641.0, 656.0)
    assert not store.trend("corridor", "bus1.travel_time_s").is_changed
    keep(store, 720.0)
    assert store.trend("corridor", "bus1.travel_time_s").is_changed


def test_a_figure_that_is_gone_or_no_number_stands_out_and_breaks_nothing(store: History) -> None:
    keep(store, 640.0, 640.0, math.nan)
    trend = store.trend("corridor", "bus1.travel_time_s")
    assert trend.last is None
    assert trend.is_changed
    assert trend.values == (640.0, 640.0)


def test_a_digest_change_is_named_with_the_commits_around_it(store: History) -> None:
    for k, (digest, commit) in enumerate([("aa", "a1"), ("aa", "b2"), ("bb", "c3"), ("bb", "d4")]):
        outcome = Outcome.FAIL if k == 2 else Outcome.PASS
        store.add(suite(task_result(digest=digest, outcome=outcome), commit=commit), str(k))
    (change,) = store.digest_changes("corridor")
    assert change.commits == "b2..c3"
    assert (change.digest_before, change.digest_after) == ("aa", "bb")
    assert (change.outcome_before, change.outcome_after) == ("pass", "fail")
    assert change.after.run == change.before.run + 1
    assert not change.is_map_changed


def test_a_run_without_a_digest_does_not_look_like_a_change(store: History) -> None:
    for digest in ("aa", "", "aa"):
        outcome = Outcome.PASS if digest else Outcome.INFRASTRUCTURE_ERROR
        store.add(suite(task_result(digest=digest, outcome=outcome)), "t")
    assert store.digest_changes("corridor") == []


def test_flaky_within_a_suite_and_between_suites_of_one_commit(store: History) -> None:
    store.add(suite(task_result(is_flaky=True), task_result(repeat=1, is_flaky=True, digest="bb")), "1")  # fmt: skip
    store.add(suite(task_result(digest="aa"), commit="x"), "2")
    store.add(suite(task_result(digest="cc"), commit="x"), "3")
    store.add(suite(task_result(digest="dd"), commit="y+"), "4")  # local changes: may well differ
    store.add(suite(task_result(digest="ee"), commit="y+"), "5")
    flaky = store.flaky_rate("corridor")
    assert (flaky.runs, flaky.flaky, flaky.rate) == (5, 1, 0.2)
    assert flaky.split_commits == ("x",)
    assert flaky.commits == 1


def test_repetitions_are_one_run_with_the_worst_outcome(store: History) -> None:
    store.add(suite(task_result(), task_result(repeat=1, outcome=Outcome.FAIL)), "1")
    assert store.scenarios() == ["corridor"]
    assert store.summary("corridor").outcomes == ("fail",)


def test_failures_come_newest_first_and_the_overview_starts_with_what_fails_now(
    store: History,
) -> None:
    store.add(suite(task_result("a"), task_result("b", outcome=Outcome.FAIL, sentence="too late")), "1")  # fmt: skip
    store.add(suite(task_result("a"), task_result("b", outcome=Outcome.FAIL, sentence="red light")), "2")  # fmt: skip
    assert [item.sentence for item in store.last_failures()] == ["red light", "too late"]
    assert [item.task for item in store.last_failures(1)] == ["b"]
    assert [item.name for item in store.summaries()] == ["b", "a"]
    assert [item.passed for item in store.summaries()] == [0, 2]
    assert store.last_failures(scenario="a") == []


def test_results_carried_over_from_an_earlier_call_are_not_counted_again(store: History) -> None:
    store.add(suite(task_result("a"), commit="old"), "1")
    store.add(suite(task_result("a", is_carried=True), task_result("b"), commit="new"), "2")
    assert [(s.name, s.last.commit, len(s.outcomes)) for s in store.summaries()] == [
        ("a", "old", 1), ("b", "new", 1),
    ]  # fmt: skip


def test_last_counts_suite_runs_of_that_scenario(store: History) -> None:
    store.add(suite(task_result("rare", metrics={"x": 1.0})), "0")
    keep(store, 1.0, 2.0, 3.0)
    by_name = {item.name: item for item in store.summaries(2)}
    assert len(by_name["rare"].outcomes) == 1
    assert len(by_name["corridor"].outcomes) == 2


def test_a_suite_is_kept_whole_or_not_at_all(store: History) -> None:
    good, bad = task_result("a"), task_result("b", repeat=2**70)
    with pytest.raises((InfrastructureError, OverflowError)):
        store.add(suite(good, bad), "t")
    assert store.scenarios() == []


def test_hostile_texts_are_kept_as_texts(store: History) -> None:
    name = "x'); DROP TABLE icv_metric; --\0\ud800<script>"
    store.add(suite(task_result(name, metrics={"a%s\0b": 1.0}, sentence="\0" * 50_000)), "t\0")
    (kept,) = store.scenarios()
    assert kept.startswith("x'); DROP TABLE")
    assert "\0" not in kept
    assert store.trends(kept)[0].values == (1.0,)


# -- unknown names ------------------------------------------------------------------------------------------------------


def test_unknown_names_get_close_matches(store: History) -> None:
    keep(store, 640.0)
    with pytest.raises(ConfigError, match=r"no scenario 'coridor'\. Nearest: corridor\."):
        store.trend("coridor", "bus1.travel_time_s")
    with pytest.raises(ConfigError, match=r"no figure 'travel'\. Nearest: bus1\.travel_time_s\."):
        store.trend("corridor", "travel")


# -- the database -------------------------------------------------------------------------------------------------------

_WRITER = """
import sys
from sim.history import History
from tests.history.results import suite, task_result
store = History(sys.argv[1])
for k in range(int(sys.argv[2])):
    store.add(suite(task_result(sys.argv[3], metrics={f"m{j}": float(k) for j in range(20)})), str(k))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_may_begin_and_write_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "h.sqlite") if kind == "sqlite" else request.getfixturevalue("postgres")
    if kind == "postgresql":  # as on the very first day
        with History(url) as made, made._engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, url, "30", name], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
    with History(url, create=False) as store:
        assert {item.name: len(item.outcomes) for item in store.summaries(100)} == {
            "a": 30,
            "b": 30,
        }
        assert store.trend("b", "m19", 100).values == tuple(float(k) for k in range(30))
        if kind == "postgresql":  # other tests have the same database
            _emptied(store)


def test_a_file_is_made_in_wal_mode_and_read_while_written(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History(str(path)) as store:
        keep(store, 1.0)
        connection = sqlite3.connect(path)
        try:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            connection.execute("BEGIN IMMEDIATE")  # a writer in the middle of its work
            assert store.scenarios() == ["corridor"]
        finally:
            connection.close()


def test_a_writer_waits_for_another_one(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History(str(path)) as store:
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")

        def release() -> None:
            time.sleep(0.5)
            connection.rollback()

        thread = threading.Thread(target=release)
        thread.start()
        keep(store, 1.0)
        thread.join()
        connection.close()
        assert store.scenarios() == ["corridor"]


def test_a_newer_layout_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History(str(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE icv_schema_version SET version = 7")
    connection.commit()
    connection.close()
    with pytest.raises(
        ConfigError, match=r"layout 7, this version of icv knows layout 1.*newer icv\. Upgrade"
    ):
        History(str(path))


def test_a_layout_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History(str(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE icv_schema_version SET version = 'x'")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="its layout is 'x', which is no number"):
        History(str(path))


def test_whoever_looks_waits_for_one_who_holds_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History(str(path)).close()
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    thread = threading.Timer(1.5, connection.close)
    thread.start()
    with History(str(path), create=False) as store:
        assert store.scenarios() == []
    thread.join()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "URL is empty"),
        ("mysql://me:secret@host/db", "kind 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite://host/file", "two slashes and a host"),
        ("://", "not a database URL"),
        ("no/such/file.sqlite", "there is no such file"),
        (str(ROOT / "docs"), "is a folder"),
        (str(ROOT / "README.md"), "is not a SQLite database"),
    ],
)
def test_a_wrong_url_is_one_sentence_with_exit_code_two(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        History(url, create=False)
    assert "secret" not in str(raised.value)


def test_a_sqlite_file_of_somebody_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(ConfigError, match="holds no run history"):
        History(str(path), create=False)


def test_a_server_that_is_not_there_is_an_infrastructure_error_without_the_password() -> None:
    with pytest.raises(InfrastructureError, match="Connection refused") as raised:
        History("postgresql://me:secret@127.0.0.1:9/db")
    assert "secret" not in str(raised.value)


def test_a_table_that_somebody_locked_for_good_is_an_infrastructure_error(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.history.database._BUSY_S", 1.0)
    with History(postgres) as store, store._engine.begin() as other:
        other.execute(text("LOCK TABLE icv_suite_run IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(InfrastructureError, match="lock timeout"):
            store.add(suite(task_result()), "t")


# -- the command --------------------------------------------------------------------------------------------------------


def test_the_command_shows_scenarios_figures_and_one_figure(tmp_path: Path) -> None:
    url = str(tmp_path / "h.sqlite")
    with History(url) as store:
        for k, value in enumerate((640.0, 640.0, 640.0, 655.0)):
            one = task_result("corridor[seed=2]", metrics={"bus1.travel_time_s": value}, digest=f"d{k // 3}")  # fmt: skip
            store.add(suite(one, commit=f"c{k}"), f"2026-05-0{k + 1}")
    whole = icv("--url", url)
    assert whole.exit_code == 0
    assert "corridor[seed=2]" in whole.stdout  # brackets are no mark-up
    assert "4/4" in whole.stdout
    one_scenario = icv("corridor[seed=2]", "--url", url)
    assert "+15 (+2.3%)" in one_scenario.stdout
    assert "c2..c3" in one_scenario.stdout
    assert "▁▁▁█" in one_scenario.stdout
    assert "1 of 4 figures stand out" in one_scenario.stdout
    figure = icv("corridor[seed=2]", "--metric", "bus1.travel_time_s", "--last", "2", "--url", url)
    assert "655" in figure.stdout
    assert "2026-05-03" in figure.stdout
    assert "2026-05-02" not in figure.stdout


@pytest.mark.parametrize("columns", [80, 130])
@pytest.mark.parametrize(
    "name",
    [
        "corridor[demand.flows.west.vehicles_per_hour=300.0,demand.equipped_share=0.653545,seed=444]",
        "a" * 150,
        "交叉口左转弯行人横穿且信号灯黄闪时的公交优先通行场景之极端暴雨工况" * 3,
    ],
)
def test_no_line_is_wider_than_the_terminal_and_no_name_is_cut(
    name: str, columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    url = str(tmp_path / "h.sqlite")
    figure = "articulated_bus_12.mean_speed_mps"
    with History(url) as store:
        for k in range(25):
            one = task_result(
                name, digest=f"{k // 5:016x}", metrics={figure: 12.345678 + 1e6 * (k == 24)}, is_flaky=k % 2 == 0,
                outcome=Outcome.INFRASTRUCTURE_ERROR if k % 7 == 3 else Outcome.FAIL, sentence=name, criteria=(jerk(1.0 + k),),
                peak_mb=131072.5,
            )  # fmt: skip
            store.add(suite(one, commit=f"0123456789{k:02d}+"), f"2026-05-{k + 1:02d}T08:00:00Z")
    for words, wanted in (
        ([], [name, "2026-05-25 08:00"]),
        ([name], [name, figure, "012345678919+..012345678920+", "comfort/bus1 jerk"]),
        ([name, "--metric", figure], [name, figure, "012345678924+", "infrastructure"]),
    ):
        found = icv(*words, "--url", url)
        assert found.exit_code == 0, found.output
        lines = found.stdout.splitlines()
        assert max(cell_len(line) for line in lines) <= columns
        assert "…" not in found.stdout
        # Folded text reads on in the next line: of one column here, since others stand beside it.
        for item in wanted:
            assert folded(item, lines), (item, found.stdout)


def folded(text: str, lines: list[str]) -> bool:
    """Whether `text` stands in one column of `lines`, over as many of them as it needs."""
    text = "".join(text.split())
    for k, line in enumerate(lines):
        starts = {0} | {i + 1 for i, sign in enumerate(line) if sign == " "}
        for start in starts:
            column = cell_len(line[:start])
            rest, here = text, k
            while rest and here < len(lines):
                cells = "".join(_from(lines[here], column).split())
                size = next((n for n in range(len(rest), 0, -1) if cells.startswith(rest[:n])), 0)
                if not size:
                    break
                rest, here = rest[size:], here + 1
            if not rest:
                return True
    return False


def _from(line: str, column: int) -> str:
    """What stands in `line` from a column of the terminal on."""
    at = 0
    while at < len(line) and cell_len(line[:at]) < column:
        at += 1
    return line[at:]


def test_signs_that_the_encoding_lacks_are_spelled_out(tmp_path: Path) -> None:
    url = str(tmp_path / "h.sqlite")
    with History(url) as store:
        store.add(suite(task_result("晚高峰")), "2026-05-01T08:00:00Z")
    found = subprocess.run(
        [sys.executable, "-m", "sim.cli", "history", "--url", url], cwd=ROOT, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert b"\\u665a" in found.stdout


def test_the_command_answers_programs_in_json(tmp_path: Path) -> None:
    url = str(tmp_path / "h.sqlite")
    with History(url) as store:
        keep(store, 1.0, 2.0, math.inf)
    assert json.loads(icv("--url", url, "--json").stdout)["scenarios"][0]["name"] == "corridor"
    table = json.loads(icv("corridor", "--url", url, "--json").stdout)
    assert next(item["metric"] for item in table["trends"]) == "bus1.travel_time_s"
    trend = json.loads(icv("corridor", "--metric", "bus1.travel_time_s", "--url", url, "--json").stdout)  # fmt: skip
    assert [point["value"] for point in trend["points"]] == [1.0, 2.0, None]


def test_wrong_arguments_get_a_sentence_and_code_two(tmp_path: Path) -> None:
    url = str(tmp_path / "h.sqlite")
    with History(url) as store:
        keep(store, 1.0)
    for arguments in (["nope"], ["--metric", "x"], ["corridor", "--metric", "x"], ["--last", "0"]):
        result = icv(*arguments, "--url", url)
        assert result.exit_code == 2, arguments
        assert "Traceback" not in result.output


def test_a_sparkline_has_one_character_a_value() -> None:
    assert sparkline([0.0, 3.5, 7.0]) == "▁▅█"
    assert sparkline([5.0, 5.0]) == "▄▄"
    assert sparkline([1.0, None, 2.0]) == "▁ █"
    assert sparkline([]) == ""
