"""Runs a plan: what is known already stays, the rest goes to workers, every result is kept as it arrives, and one verdict comes out.

No green without proof: the suite passes only when every task of the plan has a result that says pass and no two repetitions of one run
disagree. Results are merged by task id in the order of the plan, so the number of workers changes nothing but the time it takes.
"""

from __future__ import annotations

import io
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from protocols.errors import ConfigError, InfrastructureError
from protocols.sentence import phrase, say
from scenarios.verdict import Outcome, worst
from sim.report.result import versions
from sim.stopping import Stop, called
from sim.suite.code import code_sha256
from sim.suite.model import SuiteResult, Task, TaskResult
from sim.suite.plan import Plan, group, nothing
from sim.suite.pool import JOB, Finished, Job, Pool, Running, begin
from sim.suite.progress import Progress, counted, duration
from sim.suite.store import Store, mark_flaky
from sim.suite.wire import Order
from sim.timing import Clock
from sim.versions import commit

KEEP = ("all", "failed", "none")


class Executor(Protocol):
    """Makes jobs somewhere: local workers, or a cluster."""

    def run(self, jobs: Sequence[Job], finished: Finished, running: Running) -> bool:
        """Whether all were made; False when stopped."""


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """How a plan is run. Nothing here changes a digest."""

    out: Path
    workers: int = 1
    keep_logs: str = "failed"  # all, failed, none
    resume: bool = False
    only_failed: bool = False
    shard: str = ""  # as written, for sentences
    started_utc: str = ""
    ray: str | None = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True, stream=io.StringIO()))
    job: str = JOB
    clock: Clock = time.perf_counter_ns


def run_suite(plan: Plan, options: SuiteOptions, stop: Stop | None = None) -> SuiteResult:
    """Run it. ConfigError when the folder holds something else; InfrastructureError when results cannot be kept.

    `stop`: in force already, and deaf when this returns. Without one, signals are ours from here to the end.
    """
    if stop is None:
        with Stop(lambda: True) as own:
            return run_suite(plan, options, own)
    if options.keep_logs not in KEEP:
        raise ConfigError(f"--keep-logs {options.keep_logs}: expected one of {', '.join(KEEP)}.")
    started_ns = options.clock()
    groups = {task.id: group(task) for task in plan.tasks}
    with Store(options.out) as store:
        try:
            known = _known(plan, options, store)
        except KeyboardInterrupt:  # what lies there stays as it is
            return _conclude(plan, options, {}, groups, stop.number, started_ns, "")
        carried = len(known)

        def finished(arrived: TaskResult) -> None:
            kept = keeper.keep(replace(arrived, code_sha256=code_sha256()))
            known[kept.task.id] = kept
            options.progress.finished(kept)
            store.add(kept)
            known[kept.task.id] = store.keep(kept)

        broken = ""
        try:
            todo = [task for task in plan.tasks if task.id not in known]
            if todo and options.ray is None:
                begin()
            stop.must_raise = lambda: False  # from here on somebody asks
            keeper = _Keeper(plan, options, groups, known)
            options.progress.begin(plan.name, len(plan.tasks), carried, options.workers)
            if todo:
                store.describe(_about(plan))
            for clear in plan.known:
                finished(clear)
            jobs = [_job(plan, task, options) for task in todo if task.id not in known]
            _executor(options, stop).run(jobs, finished, options.progress.running)
        except KeyboardInterrupt:
            stop.number = stop.number or signal.SIGINT
        except InfrastructureError as error:
            broken = str(error)
        except OSError as error:
            broken = f"{options.out}: {error.strerror}; free space, or give another --out"
        finally:
            stop.is_deaf = True
            options.progress.end()
        while True:
            number = stop.number
            result = _conclude(plan, options, known, groups, number, started_ns, broken)
            try:
                store.finish(result)
            except InfrastructureError as error:
                broken = broken or str(error)
                result = _conclude(plan, options, known, groups, number, started_ns, broken)
            if stop.number == number:  # else it came while that was written
                return result


# --- before ------------------------------------------------------------------------------------------------------------


def _known(plan: Plan, options: SuiteOptions, store: Store) -> dict[str, TaskResult]:
    """Results of an earlier call that still hold; nothing when this is the first."""
    earlier = store.read()
    if not (options.resume or options.only_failed):
        if earlier:
            raise ConfigError(
                f"{store.path}: results of an earlier suite; expected an empty folder. "
                f"Give --resume or --only-failed to go on with them, or another --out."
            )
        return {}
    if options.only_failed and not earlier:
        raise ConfigError(
            f"--only-failed: {options.out} holds no results; give the --out of an earlier suite."
        )
    tasks = {task.id: task for task in plan.tasks}
    for result in earlier:
        if result.task.id not in tasks:
            raise ConfigError(
                f"{store.path}: holds '{result.task.id}', which these arguments do not give; "
                f"expected the paths and options of the earlier call. Repeat them, or give another --out."
            )
    other = [result for result in earlier if result.code_sha256 != code_sha256()]
    if options.resume and other:
        raise ConfigError(
            f"--resume: {len(other)} of {len(earlier)} results in {options.out} are {_other_code(store.description())}, so they "
            f"are not reused; expected the same code. Start anew with another --out."
        )
    broken = {result.task.id for result in plan.known}
    bad = {
        group(result.task)
        for result in earlier
        if options.only_failed and (result.outcome is not Outcome.PASS or result.is_flaky)
    }
    kept: dict[str, TaskResult] = {}
    changed: dict[str, list[str]] = {}  # what is other now -> ids
    roads: dict[tuple[str, ...], str] = {}
    for result in earlier:
        task = tasks[result.task.id]
        if group(task) in bad or task.id in broken:
            continue
        what = _changed(result, task, roads)
        if what:
            changed.setdefault(what, []).append(task.id)
        else:
            kept[task.id] = replace(result, task=task, is_carried=True)
    for what, ids in changed.items():
        options.progress.note(
            f"{counted(len(ids), 'earlier result')} not reused: {what} meanwhile ({ids[0]}{', ...' if ids[1:] else ''})"
        )
    return kept


def _other_code(description: Mapping[str, Any]) -> str:
    """In what way, as far as it can be told."""
    then, now = description.get("commit", ""), commit()
    if then != now:
        return f"by commit {then or '(none)'}, this is {now or '(none)'}"
    before, here = description.get("versions"), versions()
    if isinstance(before, dict) and before != here:
        name = next(name for name in {**before, **here} if before.get(name) != here.get(name))
        return f"with {name} {before.get(name, '(none)')}, this is {here.get(name, '(none)')}"
    return f"by other code: commit {now or '(none)'} as now, but files were edited in between"


def _changed(result: TaskResult, task: Task, roads: dict[tuple[str, ...], str]) -> str:
    """What of scene file, overrides and road file is not as it was for the earlier run; "" when it still holds.

    `roads` remembers the SHA-256 of road files: scene and what overrides its map -> digest.
    """
    from sim.suite.job import road_sha256, scene_sha256

    if (result.task.scene, result.task.overrides) != (task.scene, task.overrides):
        return "scene or overrides changed"
    if result.scene_sha256 != scene_sha256(task.scene):
        return "the scene file was edited"
    if not result.map_digest:  # it never got as far as the road
        return ""
    key = (task.scene, *(text for text in task.overrides if text.startswith("map")))
    if key not in roads:
        roads[key] = road_sha256(key[0], key[1:])
    return "" if result.map_digest == roads[key] else "the road file was edited"


def _about(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name, "commit": commit(), "code_sha256": code_sha256(), "versions": versions(), "seed": plan.seed,
    }  # fmt: skip


def _job(plan: Plan, task: Task, options: SuiteOptions) -> Job:
    relative = plan.folder(task)
    folder = options.out.resolve() / relative
    if folder.exists():
        shutil.rmtree(folder)  # what an interrupted or failed run left
    order = Order(
        scene=task.scene,
        overrides=task.overrides,
        folder=str(folder),
        record=options.keep_logs != "none",
        memory_mb=task.memory_limit_mb,
        maps=str(options.out.resolve() / "maps"),
    )
    return Job(task, order, relative)


def _executor(options: SuiteOptions, stop: Stop) -> Executor:
    if options.ray is not None:
        from sim.suite.ray_pool import RayPool

        return RayPool(options.ray, options.workers, lambda: stop.number != 0, options.job)
    pool = Pool(options.workers, lambda: stop.number != 0, options.job, options.clock)
    stop.must_raise = lambda: pool.is_starting
    return pool


class _Keeper:
    """Decides which logs stay: with `failed`, those of runs that did not pass and of all repetitions that disagree."""

    def __init__(
        self,
        plan: Plan,
        options: SuiteOptions,
        groups: dict[str, str],
        known: dict[str, TaskResult],
    ) -> None:
        self._folder, self._policy, self._groups = options.out, options.keep_logs, groups
        self._open = Counter(groups[task.id] for task in plan.tasks if task.id not in known)
        self._known = known
        self._members: dict[str, list[str]] = {}
        for task in plan.tasks:
            self._members.setdefault(groups[task.id], []).append(task.id)

    def keep(self, result: TaskResult) -> TaskResult:
        """`result`, without a log that is not wanted; siblings lose theirs when the last of them agrees."""
        name = self._groups[result.task.id]
        self._open[name] -= 1
        if self._policy != "failed" or self._open[name] > 0:
            return result
        siblings = [self._known[id_] for id_ in self._members[name] if id_ in self._known]
        everyone = [*siblings, result]
        if len({(r.outcome, r.digest) for r in everyone}) > 1 or result.outcome is not Outcome.PASS:
            return result
        for sibling in siblings:
            self._known[sibling.task.id] = self._drop(sibling)
        return self._drop(result)

    def _drop(self, result: TaskResult) -> TaskResult:
        if not result.log:
            return result
        (self._folder / result.log).unlink(missing_ok=True)
        return replace(result, log="")


# --- after -------------------------------------------------------------------------------------------------------------


def _conclude(
    plan: Plan,
    options: SuiteOptions,
    known: dict[str, TaskResult],
    groups: dict[str, str],
    stopped_by: int,
    started_ns: int,
    broken: str,
) -> SuiteResult:
    results = mark_flaky([known[task.id] for task in plan.tasks if task.id in known], groups)
    not_run = tuple(task for task in plan.tasks if task.id not in known)
    made = [result for result in results if not result.is_carried]
    outcomes = [result.outcome for result in results]
    if any(result.is_flaky for result in results):
        outcomes.append(Outcome.FAIL)
    if not_run or broken:
        outcomes.append(Outcome.INFRASTRUCTURE_ERROR)
    outcome, sentence = worst(outcomes), _sentence(results, len(plan.tasks))
    if not plan.tasks:
        sentence = nothing(plan, options.shard)
    elif options.only_failed and not made and not not_run:
        outcome = Outcome.NOTHING_RAN
        sentence = say(
            "--only-failed: all {count:d} runs passed before, so nothing ran", count=len(results)
        )
    wall_s = (options.clock() - started_ns) / 1e9
    if broken:
        sentence = say("the suite broke off: {why!s} ({said!s})", why=broken, said=sentence)
    if stopped_by:
        sentence = say(
            "stopped by {signal} after {after}: {ran:d} of {count:d} ran, {not_run:d} did not ({said!s}); go on with {option} --out {out}",
            signal=called(stopped_by), after=duration(wall_s), ran=len(results), count=len(plan.tasks), not_run=len(not_run), said=sentence,
            option="--only-failed" if options.only_failed else "--resume", out=options.out,
        )  # fmt: skip
    return SuiteResult(
        name=plan.name,
        outcome=outcome,
        sentence=sentence,
        results=tuple(results),
        started_utc=options.started_utc,
        wall_s=wall_s,
        workers=options.workers,
        commit=commit(),
        versions=versions(),
        seed=plan.seed,
        not_run=not_run,
        is_interrupted=bool(stopped_by),
        broken=broken,
    )


def _sentence(results: Sequence[TaskResult], planned: int) -> str:
    """Counts, and the first that is not green."""
    if not results:
        return say("none of {count:d} ran", count=planned)
    counts = Counter(result.outcome for result in results)
    words = {
        Outcome.FAIL: phrase("{count:d} failed"), Outcome.BAD_INPUT: phrase("{count:d} bad input"),
        Outcome.INFRASTRUCTURE_ERROR: phrase("{count:d} infrastructure error"),
        Outcome.NOTHING_RAN: phrase("{count:d} without anything to run"),
    }  # fmt: skip
    parts = [say("{passed:d} of {count:d} passed", passed=counts[Outcome.PASS], count=len(results))]
    parts += [
        say(word, count=counts[outcome]) for outcome, word in words.items() if counts[outcome]
    ]
    num_flaky = len({group(result.task) for result in results if result.is_flaky})
    if num_flaky:
        parts.append(
            say("{count:d} flaky (repetitions disagree in outcome or digest)", count=num_flaky)
        )
    carried = sum(result.is_carried for result in results)
    if carried:
        by_others = sum(r.is_carried and r.code_sha256 != code_sha256() for r in results)
        if carried == by_others:
            parts.append(say("{count:d} known from an earlier call by other code", count=carried))
        else:
            parts.append(say("{count:d} known from an earlier call", count=carried))
            if by_others:
                parts.append(say("{count:d} of them by other code", count=by_others))
    text = ", ".join(parts)
    bad = [result for result in results if result.outcome is not Outcome.PASS]
    worst_first = max(bad, key=lambda result: result.outcome.exit_code, default=None)
    if worst_first is not None:
        id_, why = worst_first.task.id, worst_first.sentence
        if not why.startswith(f"{id_}:"):
            why = say("{scene}: {what!s}", scene=id_, what=why)
        return say("{counts!s}; worst: {why!s}", counts=text, why=why)
    flaky = next((result for result in results if result.is_flaky), None)
    return text if flaky is None else say("{counts!s}; first: {run:s}", counts=text, run=group(flaky.task))  # fmt: skip
