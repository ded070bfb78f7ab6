"""`icv suite` from the outside: what goes wrong has its exit code, its sentence and its form in JUnit. The fault matrix."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner, Result

from sim.cli import app
from sim.log.reader import LogReader

ROOT = Path(__file__).parents[2]
ICV = str(Path(sys.executable).with_name("icv"))
SUITE = """
name = "small"
timeout_s = 60.0
[set]
criteria = [{ kind = "no_collision" }]
[[scenes]]
scene = "smart_island"
name = "long"
set = { duration_s = 780.0 }
[[scenes]]
scene = "smart_island"
name = "short"
set = { duration_s = 1.0 }
"""
SHORT = ("--set", "duration_s=1", "--set", 'criteria=[{ kind = "no_collision" }]')


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SUITE)
    return tmp_path


def icv(*arguments: str) -> Result:
    """`icv suite` in this process, so that its warm server is shared between tests."""
    return CliRunner().invoke(app, ["suite", "--junit", "junit.xml", "--out", "out", *arguments])


def cases(path: str = "junit.xml") -> dict[str, str]:
    """Case name -> `passed`, or `error/bad_input` and the like. The counts are checked on the way."""
    top = etree.parse(path).getroot()
    assert top.tag == "testsuites"
    found = {}
    for suite in top:
        counts = {"failure": 0, "error": 0, "skipped": 0}
        for case in suite.findall("testcase"):
            marks = [mark for mark in case if mark.tag in counts]
            assert len(marks) <= 1
            assert case.get("classname")
            assert float(case.get("time")) >= 0
            for mark in marks:
                counts[mark.tag] += 1
                assert mark.get("message")
            found[case.get("name")] = (
                "passed" if not marks else "/".join(filter(None, [marks[0].tag, marks[0].get("type")]))
            )  # fmt: skip
        assert [int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")] == [
            len(found), counts["failure"], counts["error"], counts["skipped"],
        ]  # fmt: skip
    return found


def message(case: str) -> str:
    (found,) = etree.parse("junit.xml").xpath(
        "//testcase[@name=$name]/*[self::error or self::failure or self::skipped]/@message",
        name=case,
    )
    return str(found)


# --- the matrix ----------------------------------------------------------------------------------------------------------


def test_all_passed(here: Path) -> None:
    done = icv("smart_island", *SHORT)
    assert done.exit_code == 0, done.output
    ((name, how),) = cases().items()
    assert how == "passed"
    assert name == 'smart_island[duration_s=1,criteria=[{ kind = "no_collision" }]]'
    assert "pass: 1 of 1 passed" in done.stdout
    assert not list(here.rglob("run.mcap"))  # of a pass, by default
    assert list(here.rglob("result.json"))


def test_a_criterion_failed(here: Path) -> None:
    done = icv("smart_island", "--set", "duration_s=1", "--keep-logs", "all")
    assert done.exit_code == 1
    assert list(cases().values()) == ["failure/fail"]
    assert "criteria failed; first: " in message(next(iter(cases())))
    (log,) = here.rglob("run.mcap")
    assert LogReader.open(log).header().scenario == "smart_island"  # whole


def workers_of(pid: int) -> list[int]:
    """Workers of the suite `pid`: grandchildren, below the server they are forked from."""

    def children(of: int) -> list[int]:
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rpartition(")")[2].split()[1]) == of:
                    found.append(int(stat.parent.name))
            except OSError:
                continue
        return found

    return [worker for server in children(pid) for worker in children(server)]


def strike(act: Callable[[subprocess.Popen[str], list[int]], None], *more: str) -> tuple[int, str]:
    """Run small.toml in a process, `act` as soon as its long run has begun a log. Exit code and what it said."""
    with subprocess.Popen(
        [ICV, "suite", "small.toml", "-j", "2", "--junit", "junit.xml", "--out", "out", *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as suite:  # fmt: skip
        end = time.monotonic() + 60.0
        log = Path("out/tasks/long/run.mcap")
        short = Path("out/tasks/short/result.json")
        while not (log.is_file() and log.stat().st_size and short.is_file()):
            assert suite.poll() is None, suite.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.02)
        workers = workers_of(suite.pid)
        assert len(workers) >= 1
        act(suite, workers)
        said = suite.communicate(timeout=60)[0]
    assert not [w for w in workers if Path(f"/proc/{w}").exists() and not is_zombie(w)]
    return suite.returncode, said


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def busiest(workers: list[int]) -> int:
    """The worker of the long run: the one that has computed most."""

    def ticks(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])

    time.sleep(0.3)
    return max(workers, key=ticks)


def test_worker_killed(here: Path) -> None:
    code, said = strike(lambda suite, workers: os.kill(busiest(workers), signal.SIGKILL))
    assert code == 3, said
    assert cases() == {"long": "error/infrastructure_error", "short": "passed"}
    why = "its worker was killed (SIGKILL): by somebody, or by a system out of memory"
    assert message("long") == why
    assert f"infrastructure error: long: {why}" in said
    # The log so far stays, and is read as one that broke off.
    reader = LogReader.open(here / "out/tasks/long/run.mcap", recover=True)
    assert reader.header().scenario == "smart_island"
    assert reader.lost


def test_worker_hung(here: Path) -> None:
    code, said = strike(
        lambda suite, workers: os.kill(busiest(workers), signal.SIGSTOP), "--timeout", "3"
    )
    assert code == 3, said
    assert cases() == {"long": "error/infrastructure_error", "short": "passed"}
    assert re.fullmatch(
        r"no end within 3 s of wall time, at \d+\.\d s simulated; its worker was ended. Allow more with --timeout",
        message("long"),
    )


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGINT, "Ctrl-C"),
        pytest.param(signal.SIGTERM, "SIGTERM", marks=pytest.mark.long),
    ],
)
def test_interrupted_and_resumed(number: int, name: str, here: Path) -> None:
    code, said = strike(lambda suite, workers: suite.send_signal(number))
    assert code == 130, said
    assert "Traceback" not in said
    assert cases() == {"short": "passed", "long": "skipped", "suite": "error/interrupted"}
    assert message("suite").startswith(f"stopped by {name} after ")
    assert "1 of 2 ran, 1 did not" in message("suite")
    assert "go on with --resume --out out" in said
    if number == signal.SIGINT:
        # The long run would take its time; the scene it resumes with is the same, so only the limit is shorter.
        done = icv("small.toml", "--resume", "--timeout", "0.5")
        assert cases() == {"short": "passed", "long": "error/infrastructure_error"}
        assert "1 known from an earlier call" in done.stdout
        assert done.exit_code == 3


def test_when_all_processes_are_told_to_end_their_workers_end_is_no_result(here: Path) -> None:
    """As CI servers do; were it one, a resumed suite would hold it for the run's own."""

    def end(suite: subprocess.Popen[str], workers: list[int]) -> None:
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        time.sleep(0.1)
        suite.terminate()

    code, said = strike(end)
    assert code == 130, said
    assert cases() == {"short": "passed", "long": "skipped", "suite": "error/interrupted"}
    assert "infrastructure error" not in said


def test_a_suite_that_is_killed_leaves_no_worker_behind(here: Path) -> None:
    def kill(suite: subprocess.Popen[str], workers: list[int]) -> None:
        os.kill(busiest(workers), signal.SIGSTOP)  # one that hangs, too
        suite.kill()
        suite.wait()
        end = time.monotonic() + 10.0
        while any(Path(f"/proc/{w}").exists() and not is_zombie(w) for w in workers):
            assert time.monotonic() < end
            time.sleep(0.05)

    assert strike(kill)[0] == -signal.SIGKILL
    # Nobody was left to write it; it was there from the beginning.
    assert cases() == {"long": "skipped", "short": "skipped", "suite": "error/infrastructure_error"}
    assert message("suite") == "the suite did not end: it was killed, or it still runs"


def server_of(pid: int) -> int:
    """The process that workers of the suite `pid` are forked from."""
    (found,) = {int(Path(f"/proc/{w}/stat").read_text().rpartition(")")[2].split()[1]) for w in workers_of(pid)}  # fmt: skip
    return found


@pytest.mark.long
def test_workers_whose_server_is_killed_are_missed(here: Path) -> None:
    code, said = strike(lambda suite, workers: os.kill(server_of(suite.pid), signal.SIGKILL))
    assert code == 3, said
    assert cases() == {"long": "error/infrastructure_error", "short": "passed"}
    assert message("long") == (
        "its worker ended together with the process that workers are forked from"
    )


@pytest.mark.long
def test_a_server_that_hangs_does_not_hold_an_interrupt(here: Path) -> None:
    servers = []

    def stop(suite: subprocess.Popen[str], workers: list[int]) -> None:
        servers.append(server_of(suite.pid))
        os.kill(servers[0], signal.SIGSTOP)
        suite.send_signal(signal.SIGINT)

    code, said = strike(stop)
    assert code == 130, said
    assert cases() == {"long": "skipped", "short": "passed", "suite": "error/interrupted"}
    assert is_zombie(servers[0])


def test_disk_full(here: Path) -> None:
    """A log that reaches the largest file allowed: the same to the writer as a disk that is full, with another number."""
    command = f"ulimit -f 200; exec {ICV} suite small.toml --out out --junit junit.xml -j 2"
    done = subprocess.run(
        ["bash", "-c", command], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3, done.stderr
    assert cases() == {"long": "error/infrastructure_error", "short": "passed"}
    assert message("long") == (
        f"cannot write below {here}/out/tasks/long: File too large; free space, or choose another --out"
    )


@pytest.mark.long
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_disk_full_for_everything(here: Path) -> None:
    (here / "out").mkdir()
    inside = f"mount -t tmpfs -o size=1m tmpfs out && {ICV} suite small.toml --out out --junit junit.xml -j 2"
    command = ["unshare", "-rm", "bash", "-c"]
    if subprocess.run(
        [*command, "mount -t tmpfs tmpfs out"], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    done = subprocess.run(
        [*command, inside], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3, done.stderr
    found = cases()
    assert found["long"] == "error/infrastructure_error"
    assert "No space left on device" in message("long")
    assert found["short"] == "passed"
    # The results themselves may have found no place either; then the suite says so as well.
    assert set(found) - {"long", "short"} in (set(), {"suite"})


def test_junit_that_cannot_be_written(here: Path) -> None:
    done = icv("smart_island", *SHORT, "--junit", "/proc/junit.xml")
    assert done.exit_code == 3
    assert "icv: --junit /proc/junit.xml: cannot be written: " in done.stderr
    assert not (here / "out").exists()


def test_an_out_that_is_a_file_is_bad_input(here: Path) -> None:
    (here / "out").touch()
    done = icv("smart_island", *SHORT)
    assert done.exit_code == 2
    assert "--out out: is no folder; expected one, or a new name." in done.stderr
    assert cases() == {"suite": "error/bad_input"}


def test_a_suite_that_is_refused_leaves_no_green_junit_file_of_an_earlier_one(here: Path) -> None:
    assert icv("smart_island", *SHORT).exit_code == 0
    assert list(cases().values()) == ["passed"]
    assert icv("smart_island", *SHORT).exit_code == 2  # there are results in that folder
    assert cases() == {"suite": "error/bad_input"}
    assert icv("smart_island", *SHORT, "--resume").exit_code == 0
    assert list(cases().values()) == ["passed"]


def test_a_scene_is_not_overwritten_by_what_is_written_about_it(here: Path) -> None:
    before = (here / "small.toml").read_bytes()
    for option in ("--junit", "--html"):
        done = icv("small.toml", option, "./small.toml")
        assert done.exit_code == 2
        assert f"{option} small.toml: that is one of the inputs" in done.stderr
    assert (here / "small.toml").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "| head -0",
        ">&-",
        *(
            pytest.param(w, marks=pytest.mark.long)
            for w in ("2>&1 | head -1", "> /dev/full", "2> /dev/full")
        ),
    ],
)
def test_what_reads_the_output_changes_no_exit_code(words: str, here: Path) -> None:
    options = "--set duration_s=1 --keep-logs none --junit junit.xml --out out -j 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {ICV} suite smart_island {options} {words}"],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr  # some criteria of the scene do not hold so early
    assert list(cases().values()) == ["failure/fail"]
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("words", "case", "sentence"),
    [
        (["empty"], "empty", "no scenario matched: the folder holds no scene file"),
        (["none*.toml"], "none*.toml", "no scenario matched: the pattern matches no file"),
        (["smart_island", "--shard", "1/2"], "suite", "shard 1/2 of suite holds no run"),
        (["smart_island", "--set", "criteria=[]", "--set", "duration_s=1"],
         "smart_island[criteria=[],duration_s=1]", "no criterion, so nothing was judged"),
    ],
)  # fmt: skip
def test_no_scenario_matched(words: list[str], case: str, sentence: str, here: Path) -> None:
    (here / "empty").mkdir()
    done = icv(*words)
    assert done.exit_code == 4
    assert cases() == {case: "error/nothing_ran"}
    assert sentence in message(case)


def test_an_empty_folder_beside_a_good_scene_is_not_overlooked(here: Path) -> None:
    (here / "empty").mkdir()
    done = icv("empty", "smart_island", *SHORT)
    assert done.exit_code == 4
    assert sorted(cases().values()) == ["error/nothing_ran", "passed"]


def test_scenario_file_broken(here: Path) -> None:
    (here / "torn.toml").write_text('name = "torn"\nmap = {')
    (here / "key.toml").write_text(
        'name = "key"\nduration_s = 5\nblah = 1\n[map]\nfile = "smart_island.xodr"\n'
    )
    (here / "suite.toml").write_text('name = "s"\n[[scenes]]\nscene = "smart_island"\nsweep = 3\n')
    done = icv("torn.toml", "key.toml", "suite.toml", "gone.toml", "smart_island", *SHORT)
    assert done.exit_code == 2
    found = cases()
    assert list(found.values()) == 4 * ["error/bad_input"] + ["passed"]
    torn, key, suite, gone, _ = found
    assert message(torn).startswith("torn.toml: not valid TOML")
    assert message(key).startswith("key.toml with --set ")
    assert "unknown key 'blah'" in message(key)
    assert message(suite).startswith("suite.toml: scenes.0.sweep: ")
    assert message(gone).startswith("gone.toml: no such scene, suite file or folder.")


def test_too_little_memory(here: Path) -> None:
    done = icv("smart_island", "brt_corridor", *SHORT, "--memory", "64")
    assert done.exit_code == 3
    assert set(cases().values()) == {"error/infrastructure_error"}
    for case in cases():
        assert re.search(r"the limit is 64 MB", message(case)), message(case)
        assert "--memory" in message(case)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shard", "3/2"], "--shard 3/2: expected i/n with 1 <= i <= n"),
        (["--keep-logs", "some"], "--keep-logs some: expected one of all, failed, none."),
        (["--only-failed"], "--only-failed: out holds no results"),
        (["--ray", "auto"], "--ray: the package ray is not installed; get it with"),
    ],
)
def test_wrong_options_are_one_sentence(
    words: list[str], sentence: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = icv("smart_island", *words)
    assert done.exit_code == 2
    assert done.stderr.count("icv: ") == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.output


# --- what it is for ------------------------------------------------------------------------------------------------------


def test_a_sweep_is_the_same_on_one_worker_two_workers_and_two_shards(here: Path) -> None:
    (here / "sweep.toml").write_text(
        SUITE.split("[[scenes]]", maxsplit=1)[0]
        + '[[scenes]]\nscene = "smart_island"\nset = { duration_s = 2.0 }\n'
        + '[scenes.sweep]\nkind = "latin_hypercube"\ncount = 4\n[scenes.sweep.axes]\n'
        + 'seed = { from = 1, to = 99, integer = true }\n"demand.equipped_share" = { from = 0, to = 1 }\n'
    )

    def lines(*words: str) -> list[str]:
        done = icv("sweep.toml", "--keep-logs", "none", *words)
        assert done.exit_code == 0, done.output
        found = []
        for line in Path("out/results.jsonl").read_text().splitlines():
            table = json.loads(line)
            del table["machine"]
            found.append(json.dumps(table))
        shutil.rmtree("out")
        return found

    one = lines("-j", "1")
    assert len(one) == 4
    assert len({json.loads(line)["digest"] for line in one}) == 4
    assert lines("-j", "2") == one
    parts = [lines("--shard", "1/2"), lines("--shard", "2/2")]
    assert [len(part) for part in parts] == [2, 2]
    assert sorted(line for part in parts for line in part) == sorted(one)


def test_a_run_in_a_suite_has_the_digest_of_a_run_alone(here: Path) -> None:
    done = CliRunner().invoke(
        app, ["run", "smart_island", "--duration", "1", "--out", "alone", "--no-picture", "-q"]
    )
    assert done.exit_code == 1
    alone = json.loads(Path("alone/result.json").read_text())
    icv("smart_island", "--set", "duration_s=1.0", "--repeat", "2", "-j", "1")
    tables = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert [table["digest"] for table in tables] == 2 * [alone["digest"]]
    assert tables[0]["criteria"] == alone["criteria"]
    shutil.rmtree("out")
    icv("smart_island", "--set", "duration_s=1.0", "--keep-logs", "none")
    (table,) = (json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines())
    assert (table["digest"], table["log"]) == (alone["digest"], "")
    assert not list(Path("out").rglob("run.mcap"))
    numbers = alone["vehicles"]["shuttle1"]
    assert numbers
    for name, value in numbers.items():
        assert tables[0]["metrics"].get(f"shuttle1.{name}") == value


def test_a_scene_that_was_edited_is_run_again_by_resume(here: Path) -> None:
    library = ROOT / "scenarios" / "library" / "smart_island.toml"
    scene = here / "mine.toml"
    scene.write_text(library.read_text())
    icv("mine.toml", "smart_island", "-j", "1", *SHORT)
    again = icv("mine.toml", "smart_island", "--resume", *SHORT)
    assert "2 known from an earlier call" in again.stdout
    scene.write_text(scene.read_text() + "\n# edited\n")
    edited = icv("mine.toml", "smart_island", "--resume", *SHORT)
    assert edited.exit_code == 0
    assert "1 known from an earlier call" in edited.stdout
    assert (
        "1 earlier result not reused: the scene file was edited meanwhile (mine[" in edited.stderr
    )


def test_a_road_file_that_was_edited_is_noticed_by_resume(here: Path) -> None:
    library = ROOT / "scenarios" / "library" / "smart_island.toml"
    (here / "mine.toml").write_text(library.read_text())
    road = here / "smart_island.xodr"
    road.write_bytes((ROOT / "scenarios" / "roads" / road.name).read_bytes())
    icv("mine.toml", "-j", "1", *SHORT)
    again = icv("mine.toml", "--resume", *SHORT)
    assert "1 known from an earlier call" in again.stdout
    road.write_bytes(road.read_bytes() + b"<!-- edited -->\n")
    edited = icv("mine.toml", "--resume", *SHORT)
    assert edited.exit_code == 0 and "known from an earlier call" not in edited.stdout
    assert "not reused: the road file was edited meanwhile (mine[" in edited.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--junit", "small.toml/x.xml"), 2, "--junit small.toml/x.xml: its folder cannot be made"),
        (("--html", "."), 2, "--html .: is a folder"),
        (("--history", "mysql://host/x"), 2, "of kind 'mysql'"),
        (("--history", "small.toml/x.sqlite"), 2, "its folder cannot be made"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_runs(
    here: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    done = icv("small.toml", *words)
    assert done.exit_code == code and says in done.stderr, done.output
    assert not Path("out").exists()


def test_a_truncated_log_is_an_infrastructure_error_whatever_the_verdict(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim.suite import job
    from sim.suite.wire import Order

    def cut(*arguments: object, **options: object) -> object:
        outcome = run_scene(*arguments, **options)  # type: ignore[arg-type]
        data = outcome.log_path.read_bytes()
        outcome.log_path.write_bytes(data[: len(data) * 2 // 3])
        return outcome

    run_scene = job.run_scene
    order = Order("smart_island", tuple(SHORT[1::2]), str(here / "task"))
    assert job.run_order(order, lambda t_s: None)["outcome"] == "pass"
    monkeypatch.setattr(job, "run_scene", cut)
    found = job.run_order(order, lambda t_s: None)
    assert found["outcome"] == "infrastructure_error"
    assert re.search(r"run\.mcap: the log is truncated: \d+ bytes without", found["sentence"])


@pytest.mark.parametrize("name", ["smoke", "sweep_demand", "spread_market"])
def test_the_suites_that_come_along_name_scenes_and_keys_that_exist(name: str) -> None:
    from scenarios.load import load_scene
    from scenarios.suites import Entry, expand

    items = expand([name]).items
    assert len(items) >= 2
    for item in items:
        assert isinstance(item, Entry), item
        load_scene(item.scene, item.overrides)


@pytest.mark.long
def test_the_smoke_suite_passes(here: Path) -> None:
    assert icv("smoke").exit_code == 0
