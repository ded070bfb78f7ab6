"""Workers die, hang and swell; the suite says so and goes on. Nothing is lost, nothing is green by mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.errors import ConfigError, InfrastructureError
from scenarios.suites import Entry, Expansion
from scenarios.verdict import Outcome
from sim.suite.code import code_sha256, digest
from sim.suite.model import SuiteResult, TaskResult
from sim.suite.plan import make_plan
from sim.suite.pool import Pool
from sim.suite.run import Stop, SuiteOptions, run_suite
from sim.suite.store import RESULTS
from sim.suite.wire import Lines, Order, pack, pack_order, unpack_order
from tests.suite.jobs import JOB


def run(
    folder: Path, *scenes: str, repeat: int = 1, limit_s: float = 20.0, memory_mb: int = 4096,
    **options: object,
) -> SuiteResult:  # fmt: skip
    items = tuple(Entry(f"{scene}-{k}", scene) for k, scene in enumerate(scenes))
    plan = make_plan(
        Expansion("planted", items, 1), repeat=repeat, timeout_s=limit_s, memory_mb=memory_mb
    )
    return run_suite(plan, SuiteOptions(folder, job=JOB, **options))  # type: ignore[arg-type]


def outcomes(result: SuiteResult) -> list[str]:
    return [item.outcome.value for item in result.results]


@pytest.mark.parametrize(
    ("scene", "sentence"),
    [
        ("exit0", "its worker left with code 0 in the middle of it"),
        ("exit7", "its worker left with code 7 in the middle of it"),
        ("SIGSEGV", "its worker crashed (SIGSEGV)"),
        ("SIGABRT", "its worker crashed (SIGABRT)"),
        ("SIGKILL", "its worker was killed (SIGKILL): by somebody, or by a system out of memory"),
        ("swell", "ran out of memory: the limit is 300 MB; allow more with --memory"),
        ("seep", "its worker held [0-9]+ MB, the limit is 300 MB, and was ended"),
        ("disk", "cannot write below .*: No space left on device; free space"),
        ("bug", "RuntimeError: planted; a fault of icv"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_fails_is_an_infrastructure_error_and_the_rest_goes_on(
    scene: str, sentence: str, workers: int, tmp_path: Path
) -> None:
    result = run(tmp_path, "pass", scene, "pass", "fail", memory_mb=300, workers=workers)
    assert outcomes(result) == ["pass", "infrastructure_error", "pass", "fail"]
    said = result.results[1].sentence
    assert said.startswith(sentence) or re.match(sentence, said), said
    assert result.outcome is Outcome.INFRASTRUCTURE_ERROR
    assert result.results[1].log == f"tasks/{scene}-1/run.mcap"  # the log so far stays
    assert not (tmp_path / "tasks/pass-0/run.mcap").exists()


def test_a_hung_worker_is_ended_at_its_time_limit_and_replaced(tmp_path: Path) -> None:
    start = time.monotonic()
    result = run(tmp_path, "hang", "pass", "pass", limit_s=2.5)
    assert time.monotonic() - start < 15.0
    assert outcomes(result) == ["infrastructure_error", "pass", "pass"]
    assert result.results[0].sentence.startswith("no end within 2.5 s of wall time, at ")
    # The last it said; it reports twice a second.
    assert re.search(r"at [123]\.0 s simulated", result.results[0].sentence)


def test_a_crash_leaves_its_traceback_and_an_ordinary_run_its_words(tmp_path: Path) -> None:
    result = run(tmp_path, "SIGSEGV", "talk", "pass")
    crash, talk, quiet = result.results
    assert "Fatal Python error: Segmentation fault" in (tmp_path / crash.output).read_text()
    assert sorted((tmp_path / talk.output).read_text().splitlines()) == [
        "and from above",
        "from below",
    ]
    assert quiet.output == ""
    assert not (tmp_path / "tasks/pass-2/output.txt").exists()


def test_each_task_after_a_failure_gets_a_fresh_worker(tmp_path: Path) -> None:
    result = run(tmp_path, "pid", "pid", "bug", "pid")
    one, two, _, three = (item.sentence for item in result.results)
    assert one == two  # a worker is kept
    assert three != one


def test_workers_share_no_open_file_and_one_thread(tmp_path: Path) -> None:
    result = run(tmp_path, "fds", "fds", workers=2)
    for item in result.results:
        files = item.sentence.split()
        assert not [name for name in files if "mcap" in name or name.startswith("/tmp/icv-")]
        # Its own socket, its output twice, and what the standard library keeps to learn of its end.
        assert sum(name.startswith("socket:") for name in files) == 1, files


def test_a_worker_is_ready_within_a_second(tmp_path: Path) -> None:
    run(tmp_path / "a", "pass")  # the server that workers are forked from is warm now
    plan = make_plan(Expansion("x", (Entry("pass", "pass"),), 1))
    pool = Pool(1, job=JOB)
    from sim.suite.pool import Job

    (tmp_path / "b").mkdir()
    jobs = [Job(plan.tasks[0], Order("pass", (), str(tmp_path / "b")), "b")]
    assert pool.run(jobs, lambda result: None, lambda at: None)
    # 0.02 s on a quiet machine; a loaded one may take a while, but never the seconds of a cold start.
    assert pool.ready_s[0] < 1.0


def test_repetitions_that_disagree_are_flaky_and_fail_the_suite(tmp_path: Path) -> None:
    result = run(tmp_path, "pass", "flaky_digest", "flaky_outcome", repeat=3, workers=2)
    flaky = {item.task.id: item.is_flaky for item in result.results}
    assert flaky == {
        "pass-0": False, "pass-0#2": False, "pass-0#3": False,
        "flaky_digest-1": True, "flaky_digest-1#2": True, "flaky_digest-1#3": True,
        "flaky_outcome-2": True, "flaky_outcome-2#2": True, "flaky_outcome-2#3": True,
    }  # fmt: skip
    assert result.outcome is Outcome.FAIL
    assert "2 flaky (repetitions disagree in outcome or digest)" in result.sentence
    # Logs of what disagrees are worth keeping, all of them.
    kept = {item.task.id for item in result.results if (tmp_path / (item.log or "-")).is_file()}
    assert kept == {id_ for id_, is_flaky in flaky.items() if is_flaky}


def test_flaky_in_digest_alone_is_not_green(tmp_path: Path) -> None:
    result = run(tmp_path, "flaky_digest", repeat=2)
    assert outcomes(result) == ["pass", "pass"]
    assert result.outcome is Outcome.FAIL


def test_bad_input_names_the_scene_and_the_key(tmp_path: Path) -> None:
    result = run(tmp_path, "input", "pass")
    assert result.results[0].sentence == "input: vehicles.0.name: found 7, expected text."
    assert result.outcome is Outcome.BAD_INPUT


def content(path: Path) -> list[dict[str, object]]:
    tables = [json.loads(line) for line in path.read_text().splitlines()]
    for table in tables:
        assert set(table.pop("machine")) == {"wall_s", "cpu_s", "peak_mb", "worker", "is_carried"}
    return tables


def test_results_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    scenes = ["pass", "slow", "fail", "bug", "slow", "input", "pass"]
    files = []
    for workers in (1, 2, 3):
        run(tmp_path / str(workers), *scenes, workers=workers)
        files.append(content(tmp_path / str(workers) / RESULTS))
    files = [
        json.loads(json.dumps(f).replace(f"{tmp_path}/{k}", "")) for k, f in enumerate(files, 1)
    ]
    assert files[0] == files[1] == files[2]
    assert [table["task"]["scene"] for table in files[0]] == scenes


class Killer:
    """Calls `act` once, when `count` results have arrived."""

    def __init__(self, count: int, act: Callable[[], None]) -> None:
        self.left, self.act = count, act

    def begin(self, name: str, total: int, carried: int, workers: int) -> None: ...

    def note(self, line: str) -> None: ...

    def finished(self, result: TaskResult) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()

    def running(self, at: object) -> None: ...

    def end(self) -> None: ...


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_keeps_results_and_resume_makes_the_rest(tmp_path: Path) -> None:
    scenes = ["pass", "pass", "slow", "slow", "fail"]
    first = run(tmp_path, *scenes, progress=Killer(2, interrupt))
    assert first.is_interrupted
    assert first.outcome is Outcome.INFRASTRUCTURE_ERROR  # never a pass
    assert outcomes(first) == ["pass", "pass"]
    assert [task.id for task in first.not_run] == ["slow-2", "slow-3", "fail-4"]
    assert first.sentence.startswith("stopped by Ctrl-C after ")
    assert "2 of 5 ran, 3 did not" in first.sentence

    again = run(tmp_path, *scenes, resume=True)
    assert outcomes(again) == ["pass", "pass", "pass", "pass", "fail"]
    assert [item.is_carried for item in again.results] == [True, True, False, False, False]
    assert again.outcome is Outcome.FAIL
    whole = run(tmp_path / "whole", *scenes)
    assert content(tmp_path / RESULTS) == content(tmp_path / "whole" / RESULTS)
    assert whole.sentence == again.sentence.replace(", 2 known from an earlier call", "")


def test_only_failed_makes_what_did_not_pass_with_its_repetitions(tmp_path: Path) -> None:
    scenes = ["pass", "fail", "flaky_digest", "bug"]
    run(tmp_path, *scenes, repeat=2)
    again = run(tmp_path, *scenes, repeat=2, only_failed=True)
    assert [item.is_carried for item in again.results] == [True, True] + 6 * [False]
    assert again.outcome is Outcome.INFRASTRUCTURE_ERROR
    with pytest.raises(ConfigError, match="holds no results"):
        run(tmp_path / "new", *scenes, only_failed=True)


def test_only_failed_after_a_green_suite_is_nothing_ran_not_pass(tmp_path: Path) -> None:
    run(tmp_path, "pass")
    again = run(tmp_path, "pass", only_failed=True)
    assert again.outcome is Outcome.NOTHING_RAN
    assert again.sentence == "--only-failed: all 1 runs passed before, so nothing ran"


def test_results_of_another_suite_are_neither_overwritten_nor_mixed(tmp_path: Path) -> None:
    run(tmp_path, "pass", "fail")
    before = (tmp_path / RESULTS).read_bytes()
    with pytest.raises(ConfigError, match="results of an earlier suite; expected an empty folder"):
        run(tmp_path, "pass")
    with pytest.raises(ConfigError, match="holds 'fail-1', which these arguments do not give"):
        run(tmp_path, "pass", resume=True)
    assert (tmp_path / RESULTS).read_bytes() == before


def test_a_torn_last_line_is_made_again_and_a_foreign_file_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "pass", "fail")
    whole = (tmp_path / RESULTS).read_bytes()
    (tmp_path / RESULTS).write_bytes(whole[:-20])
    again = run(tmp_path, "pass", "fail", resume=True)
    assert [item.is_carried for item in again.results] == [True, False]
    assert again.outcome is Outcome.FAIL
    for wrong in (b"{}\n", b"[1]\n", b"\xff\n", whole.replace(b'"pass"', b'"green"')):
        (tmp_path / RESULTS).write_bytes(wrong)
        with pytest.raises(ConfigError, match="line 1 is no result of a suite"):
            run(tmp_path, "pass", "fail", resume=True)


def planted_code(folder: Path, code: str, **description: object) -> None:
    """Results in `folder` as other code would have left them."""
    lines = [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]
    text = "".join(json.dumps({**line, "code_sha256": code}) + "\n" for line in lines)
    (folder / RESULTS).write_text(text)
    table = json.loads((folder / "suite.json").read_text())
    (folder / "suite.json").write_text(json.dumps(table | description))


@pytest.mark.parametrize(
    ("description", "why"),
    [
        ({"commit": "0123456789ab"}, "are by commit 0123456789ab, this is .*, so they are not reused"),
        ({"versions": {"numpy": "0.1"}}, r"are with numpy 0\.1, this is \d"),
        ({}, "are by other code: commit .* as now, but files were edited in between, so they are not"),
    ],
)  # fmt: skip
def test_a_result_of_other_code_is_not_carried_by_resume(
    description: dict[str, object], why: str, tmp_path: Path
) -> None:
    run(tmp_path, "pass", "fail")
    if "versions" in description:
        table = json.loads((tmp_path / "suite.json").read_text())["versions"]
        description = {"versions": {**table, **description["versions"]}}  # type: ignore[dict-item]
    planted_code(tmp_path, "ab" * 32, **description)
    before = (tmp_path / RESULTS).read_bytes()
    with pytest.raises(ConfigError, match=f"2 of 2 results in .* {why}"):
        run(tmp_path, "pass", "fail", resume=True)
    assert (tmp_path / RESULTS).read_bytes() == before


def test_only_failed_says_which_passes_are_by_other_code_and_keeps_them_apart(
    tmp_path: Path,
) -> None:
    run(tmp_path, "pass", "fail")
    planted_code(tmp_path, "ab" * 32)
    again = run(tmp_path, "pass", "fail", only_failed=True)
    assert "1 known from an earlier call by other code" in again.sentence
    codes = [
        json.loads(line)["code_sha256"] for line in (tmp_path / RESULTS).read_text().splitlines()
    ]
    assert codes == ["ab" * 32, code_sha256()]
    with pytest.raises(ConfigError, match="1 of 2 results"):
        run(tmp_path, "pass", "fail", resume=True)


def test_the_codes_digest_sees_every_edit_and_leaves_scenes_to_their_own(tmp_path: Path) -> None:
    for name in ("sim/a.py", "vehicle/b.toml", "scenarios/library/s.toml", "tests/t.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    plain = digest(tmp_path, "{}")
    assert digest(tmp_path, '{"numpy": "2"}') != plain
    for name, is_seen in (
        ("sim/a.py", True), ("sim/new/c.py", True), ("vehicle/b.toml", True), ("scenarios/library/s.toml", False),
        ("tests/t.py", False), ("sim/__pycache__/d.py", False), ("sim/.#a.py", False),
    ):  # fmt: skip
        path = tmp_path / name
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 2\n")
        assert (digest(tmp_path, "{}") != plain) == is_seen, name
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert digest(tmp_path, "{}") == plain
    (tmp_path / "sim/a.py").rename(tmp_path / "sim/z.py")
    assert digest(tmp_path, "{}") != plain


def test_a_disk_that_is_full_for_the_results_ends_the_suite_never_green(tmp_path: Path) -> None:
    (tmp_path / RESULTS).symlink_to("/dev/full")
    result = run(tmp_path, "pass", "pass", "pass")
    assert result.outcome is Outcome.INFRASTRUCTURE_ERROR
    assert "No space left on device; the suite's results cannot be kept there" in result.broken
    assert len(result.not_run) == 2


def test_two_suites_do_not_write_one_folder(tmp_path: Path) -> None:
    from sim.suite.store import Store

    with Store(tmp_path), pytest.raises(ConfigError, match="another suite writes here now"):
        run(tmp_path, "pass")


def test_a_job_that_cannot_be_imported_ends_the_suite_with_a_sentence(tmp_path: Path) -> None:
    plan = make_plan(Expansion("x", (Entry("a", "a"),), 1))
    result = run_suite(plan, SuiteOptions(tmp_path, job="tests.suite.nowhere:job"))
    assert result.outcome is Outcome.INFRASTRUCTURE_ERROR
    assert "workers in a row died before they were ready" in result.broken


def test_lines_are_cut_wherever_they_arrive_and_noise_is_refused() -> None:
    ours, theirs = socket.socketpair()
    lines = Lines(ours)
    order = Order("a", ("b=1",), "/c")
    assert unpack_order(pack_order(order)) == order
    data = pack({"kind": "at", "t_s": 1.5}) + pack({"kind": "ready"})
    seen = []
    for byte in data:
        theirs.send(bytes([byte]))
        messages, is_open = lines.read()
        assert is_open
        seen += messages
    assert seen == [{"kind": "at", "t_s": 1.5}, {"kind": "ready"}]
    theirs.send(b"\x00\xff\n")
    with pytest.raises(InfrastructureError, match="which is no message"):
        lines.read()
    theirs.close()
    ours.close()


def test_what_stopped_the_suite_keeps_its_name() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):  # asked again, by whatever
            signal.raise_signal(signal.SIGINT)
    with Stop(lambda: True) as stop, pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        signal.raise_signal(signal.SIGTERM)


def test_a_terminated_suite_says_so(tmp_path: Path) -> None:
    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    found = run(tmp_path, "pass", "slow", "slow", progress=Killer(1, terminate))
    assert found.sentence.startswith("stopped by SIGTERM after ")
    assert found.is_interrupted and "Ctrl-C" not in found.sentence
