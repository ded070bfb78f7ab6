"""Worker processes that may crash, hang or swell, and a suite that goes on.

Workers are forked from a warm server process (`warm`), so one is ready in milliseconds. Each has a socket of its own: whatever happens
to one cannot disturb another's messages. A worker that dies, says nothing before its time is up, or grows beyond its memory is
ended and replaced; its task becomes an infrastructure error that says what happened, and is not tried again.

Supervision is our own because the pools at hand do not cover this: with Pebble 5.2 a worker that leaves with code 0 in the middle of
a task is never missed, and all workers share one pipe; the standard library's executor gives up when a worker is killed. What is no task
of a suite has the same supervision through `sim.suite.calls`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from protocols.errors import InfrastructureError
from protocols.sentence import phrase, say
from scenarios.verdict import Outcome
from sim.suite.model import Task, TaskResult
from sim.suite.warm import no_main, one_thread
from sim.suite.wire import OUTPUT, Lines, Order, pack_order
from sim.suite.worker import resident_mb, serve
from sim.timing import Clock

JOB = "sim.suite.job:run_order"
_LOOK_S = 0.2  # how often limits are checked
_READY_S = 120.0  # a worker that is not ready by then is not coming
_MOMENTS, _MOMENT_S = 25, 0.02
_NOBODY_SAYS = 255  # exit code, as the standard library has it, of a worker whose server is gone
_MAX_LOST = 5  # workers in a row that die before their first word


@dataclass(frozen=True, slots=True)
class Job:
    """A task with its place: what a worker is sent, and where its output lies relative to the suite's folder."""

    task: Task
    order: Order
    folder: str


Finished = Callable[[TaskResult], None]
Running = Callable[[dict[str, float]], None]
"""task id -> simulated seconds, of those that run now; called a few times a second"""


@dataclass(slots=True)
class _Worker:
    number: int
    process: ForkServerProcess
    channel: socket.socket
    lines: Lines
    asked_ns: int  # the first one's start waits for the warm-up
    born_ns: int = 0
    is_ready: bool = False
    job: Job | None = None
    started_ns: int = 0
    t_s: float = 0.0
    peak_mb: float = 0.0


Result = TypeVar("Result")


@dataclass
class Supervised(ABC, Generic[Result]):
    """`run` makes all jobs with `count` workers. `stopped` is asked a few times a second: True ends everything at once.

    What becomes of an answer, and of a job whose worker was lost, subclasses say.
    """

    count: int
    stopped: Callable[[], bool] = lambda: False
    job: str = JOB
    clock: Clock = time.perf_counter_ns
    ready_s: list[float] = field(default_factory=list)  # how long each worker took, for the bench
    is_starting: bool = (
        False  # waits for the server process, and can be interrupted by an exception only
    )
    is_kept: bool = False  # workers stay for the next `run`, until `close`
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _lost: int = 0

    @abstractmethod
    def made(self, job: Job, message: dict[str, Any], number: int) -> Result:
        """What worker `number` said about `job`."""

    @abstractmethod
    def failed(self, job: Job, why: str, number: int, wall_s: float, peak_mb: float) -> Result:
        """Its worker died or was ended; `why` in words."""

    def run(
        self, jobs: Iterable[Job], finished: Callable[[Result], None], running: Running
    ) -> bool:
        """Whether all were made; False when stopped. `finished` gets every result as it arrives."""
        waiting = deque(jobs)
        looked_ns = 0
        is_done = False
        try:
            for worker in self._workers.values():
                if worker.is_ready:
                    self._give(worker, waiting)
            while waiting or any(w.job is not None for w in self._workers.values()):
                if self.stopped():
                    return False
                self._staff(waiting)
                for key, _ in self._selector.select(_LOOK_S):
                    for result in self._hear(key.data):
                        finished(result)
                    if key.data.is_ready and key.data.job is None:
                        self._give(key.data, waiting)
                if self.clock() - looked_ns >= _LOOK_S * 1e9:
                    looked_ns = self.clock()
                    for worker in tuple(self._workers.values()):
                        for result in self._watch(worker):
                            finished(result)
                    running(
                        {w.job.task.id: w.t_s for w in self._workers.values() if w.job is not None}
                    )
            is_done = True
            return True
        finally:
            if not (is_done and self.is_kept):
                self.close()

    def close(self) -> None:
        """Nobody is left."""
        for worker in self._workers.values():
            worker.process.kill()
        for worker in tuple(self._workers.values()):
            self._bury(worker)

    # workers -----------------------------------------------------------------------------------------------------------

    def _staff(self, waiting: deque[Job]) -> None:
        """Start those that are missing, never more than there is work for."""
        busy = sum(w.job is not None for w in self._workers.values())
        wanted = min(self.count, busy + len(waiting))
        free = [n for n in range(self.count) if n not in self._workers]
        for number in free[: max(0, wanted - len(self._workers))]:
            self._start(number)

    def _start(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("forkserver")
        asked_ns = self.clock()
        process = context.Process(
            target=serve,
            args=(theirs, self.job, str(Path.cwd())),
            name=f"icv-worker-{number}",
            daemon=True,
        )
        self.is_starting = True
        try:
            with one_thread(), no_main():
                process.start()
        except (OSError, EOFError) as error:
            raise InfrastructureError(
                say(
                    "no worker process can be started ({why}); free memory or processes, and try with fewer workers (-j)",
                    why=f"{type(error).__name__} {error}",
                )
            ) from error
        except BaseException:  # asked to stop, while the server warms up or hangs
            end_server()
            raise
        finally:
            self.is_starting = False
            theirs.close()
        worker = _Worker(number, process, ours, Lines(ours), asked_ns, self.clock())
        self._workers[number] = worker
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _bury(self, worker: _Worker) -> int:
        """Exit code of a worker that is dead, or is now."""
        self._selector.unregister(worker.channel)
        worker.channel.close()
        worker.process.join(1.0)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join(5.0)
        if worker.process.exitcode is None:  # the server is to say how its children ended
            end_server()
            worker.process.join(5.0)
        code = worker.process.exitcode
        del self._workers[worker.number]
        return 0 if code is None else code

    def _give(self, worker: _Worker, waiting: deque[Job]) -> None:
        if not waiting:
            return
        job = waiting.popleft()
        Path(job.order.folder).mkdir(parents=True, exist_ok=True)
        worker.job, worker.started_ns = job, self.clock()
        worker.t_s = worker.peak_mb = 0.0
        worker.channel.setblocking(True)
        try:
            worker.channel.sendall(pack_order(job.order))
        except OSError:
            pass  # it died idle: the next look at its socket finds that out
        finally:
            worker.channel.setblocking(False)

    # what they say -----------------------------------------------------------------------------------------------------

    def _hear(self, worker: _Worker) -> Iterable[Result]:
        try:
            messages, is_open = worker.lines.read()
        except InfrastructureError as error:
            yield self._end(worker, f"{error}")
            return
        for message in messages:
            if message["kind"] == "ready":
                worker.is_ready = True
                self._lost = 0
                self.ready_s.append((self.clock() - worker.asked_ns) / 1e9)
            elif message["kind"] == "at":
                worker.t_s = float(message["t_s"])
            elif message["kind"] == "result" and worker.job is not None:
                job, worker.job = worker.job, None
                yield self.made(job, message, worker.number)
                if (
                    message["outcome"] == Outcome.INFRASTRUCTURE_ERROR.value
                    or message["resident_mb"] > job.order.memory_mb / 2
                ):
                    worker.process.kill()  # whatever state it is in, the next task gets a fresh one
                    self._bury(worker)
                    worker.is_ready = False
                    return
        if not is_open:
            result_or_none = self._died(worker)
            if result_or_none is not None:
                yield result_or_none

    def _died(self, worker: _Worker) -> Result | None:
        job, was_ready = worker.job, worker.is_ready
        worker.is_ready = False
        code = self._bury(worker)
        if job is not None:
            if code in (-signal.SIGTERM, _NOBODY_SAYS) and self._stopped_soon():
                return None  # all of us were told to end, and it heard first
            return self._failed(worker, job, say("its worker {ending!s}", ending=_ending(code)))
        if not was_ready:
            self._lost += 1
            if self._lost >= _MAX_LOST:
                raise InfrastructureError(
                    say(
                        "{number:d} workers in a row died before they were ready, the last one {ending!s}; see what `icv doctor` says",
                        number=self._lost,
                        ending=_ending(code),
                    )
                )
        return None

    def _stopped_soon(self) -> bool:
        """Whether somebody asks to stop within a moment: those who end a whole group of processes do so one by one."""
        for _ in range(_MOMENTS):
            if self.stopped():
                return True
            time.sleep(_MOMENT_S)
        return self.stopped()

    def _watch(self, worker: _Worker) -> Iterable[Result]:
        """End a worker whose time is up or that is too large."""
        now, job = self.clock(), worker.job
        if job is None:
            if not worker.is_ready and now - worker.born_ns > _READY_S * 1e9:
                worker.process.kill()
            return
        worker.peak_mb = max(worker.peak_mb, resident_mb(worker.process.pid or 0))
        spent_s = (now - worker.started_ns) / 1e9
        if spent_s > job.task.time_limit_s:
            yield self._end(
                worker,
                say(
                    "no end within {limit_s:g} s of wall time, at {t_s:.1f} s simulated; its worker was ended. Allow more with --timeout",
                    limit_s=job.task.time_limit_s,
                    t_s=worker.t_s,
                ),
            )
        elif worker.peak_mb > job.order.memory_mb:
            yield self._end(
                worker,
                say(
                    "its worker held {peak_mb:.0f} MB, the limit is {limit_mb:d} MB, and was ended; allow more with --memory",
                    peak_mb=worker.peak_mb,
                    limit_mb=job.order.memory_mb,
                ),
            )

    def _end(self, worker: _Worker, why: str) -> Result:
        job = worker.job
        worker.is_ready = False
        worker.process.kill()
        self._bury(worker)
        if job is None:
            raise InfrastructureError(why)
        return self._failed(worker, job, why)

    def _failed(self, worker: _Worker, job: Job, why: str) -> Result:
        wall_s = (self.clock() - worker.started_ns) / 1e9
        return self.failed(job, why, worker.number, wall_s, worker.peak_mb)


class Pool(Supervised[TaskResult]):
    """The workers of a suite: what fails is a result like any other."""

    def made(self, job: Job, message: dict[str, Any], number: int) -> TaskResult:
        """The run's own result."""
        return as_result(job, message, number)

    def failed(self, job: Job, why: str, number: int, wall_s: float, peak_mb: float) -> TaskResult:
        """An infrastructure error."""
        output = Path(job.order.folder) / OUTPUT
        has_output = output.is_file() and output.stat().st_size > 0
        if output.is_file() and not has_output:
            output.unlink()
        return TaskResult(
            job.task,
            Outcome.INFRASTRUCTURE_ERROR,
            why,
            log=_log(job),
            wall_s=wall_s,
            peak_mb=peak_mb,
            worker=number,
            output=f"{job.folder}/{OUTPUT}" if has_output else "",
        )


def begin() -> None:
    """Start the server that workers are forked from, and let it warm up while the suite is still being planned."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sim.suite.warmed"])
    with one_thread():
        forkserver.ensure_running()


def end_server() -> None:
    """End the server, also one that was stopped, and with it all workers. The next start of a worker starts another."""
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)


def _log(job: Job) -> str:
    return f"{job.folder}/run.mcap" if (Path(job.order.folder) / "run.mcap").is_file() else ""


def as_result(job: Job, message: dict[str, Any], number: int) -> TaskResult:
    """What worker `number` said about `job`."""
    return TaskResult(
        task=job.task,
        outcome=Outcome(message["outcome"]),
        sentence=message["sentence"],
        digest=message.get("digest", ""),
        map_digest=message.get("map_digest", ""),
        criteria=tuple(message.get("criteria", ())),
        metrics=message.get("metrics", {}),
        log=_log(job),
        wall_s=message["wall_s"],
        cpu_s=message["cpu_s"],
        peak_mb=message["peak_mb"],
        worker=number,
        scene_sha256=message.get("scene_sha256", ""),
        output=f"{job.folder}/{OUTPUT}" if message["has_output"] else "",
    )


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code == _NOBODY_SAYS:
        return phrase("ended together with the process that workers are forked from")
    if code >= 0:
        return say("left with code {code:d} in the middle of it", code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return phrase("was killed (SIGKILL): by somebody, or by a system out of memory")
    return say("crashed ({signal:s})", signal=name)
