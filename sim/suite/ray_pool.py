"""Jobs on a Ray cluster instead of local workers: placement, failure detection and retries of lost machines are Ray's.

Every machine needs icv, the scene files and the suite's folder under the same paths (a shared disk). Each task runs in a worker process
that Ray gives one processor and, where a limit is set for it, the task's memory, and takes back after a failure. So many tasks are in
flight as keep every processor busy, more as the cluster grows: what waits, waits here, where an interrupt ends it at once. Needs the
extra `icv[ray]`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError, InfrastructureError
from protocols.sentence import say
from scenarios.verdict import Outcome
from sim.suite.model import Task, TaskResult
from sim.suite.pool import Finished, Job, Running, as_result
from sim.suite.wire import Order
from sim.suite.worker import make

LOCAL = "local"
_RETRIES = 2  # of a task whose process or machine was lost
_LOOK_S = 0.5
_AHEAD = 2  # tasks in flight for each processor: one runs, one waits beside it
_PATIENCE_S = 120.0  # for a machine large enough to come
_MB = 1_000_000
_GRACE_S = 10.0  # between the exception at the time limit and the end of the process


class RayPool:
    """The same as `Pool`, elsewhere. `address`: as `ray.init` takes it, or `local` for a cluster on this machine."""

    def __init__(self, address: str, count: int, stopped: Callable[[], bool], job: str) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "--ray: the package ray is not installed; get it with `pip install 'icv[ray]'`, or leave --ray out."
            )
        self._ray: Any = importlib.import_module("ray")
        self._address, self._count, self._stopped, self._job = address, count, stopped, job

    def run(self, jobs: Sequence[Job], finished: Finished, running: Running) -> bool:
        """Whether all were made."""
        ray = self._ray
        where = {"num_cpus": self._count} if self._address == LOCAL else {"address": self._address}
        try:
            ray.init(log_to_driver=False, include_dashboard=False, **where)
        except Exception as error:
            raise InfrastructureError(
                say(
                    "--ray {address}: no cluster answers there ({what}); start one with `ray start --head`, or give --ray local.",
                    address=self._address, what=f"{type(error).__name__}: {str(error)[:200]}",
                )
            ) from error  # fmt: skip
        try:
            return self._run(jobs, finished, running)
        finally:
            ray.shutdown()

    def _run(self, jobs: Sequence[Job], finished: Finished, running: Running) -> bool:
        ray = self._ray
        remote = ray.remote(_remote)
        todo = deque(jobs)
        flying: dict[Any, Job] = {}
        looks: Counter[Any] = Counter()  # at tasks that no machine is large enough for
        while todo or flying:
            if self._stopped():
                for ref in flying:
                    ray.cancel(ref, force=True)
                return False
            for _ in range(room(ray.cluster_resources(), len(flying))):
                if todo:
                    job = todo.popleft()
                    Path(job.order.folder).mkdir(parents=True, exist_ok=True)
                    ref = remote.options(**asked(job.task)).remote(
                        self._job, os.fspath(Path.cwd()), job.order, job.task.time_limit_s
                    )
                    flying[ref] = job
            ready, _ = ray.wait(list(flying), timeout=_LOOK_S)
            for ref in ready:
                finished(self._result(ref, flying.pop(ref)))
            largest = largest_mb(ray.nodes())
            for ref, job in list(flying.items()):
                looks[ref] += asked(job.task).get("memory", 0) > largest * _MB
                if looks[ref] * _LOOK_S > _PATIENCE_S:
                    ray.cancel(ref, force=True)
                    finished(_too_large(flying.pop(ref), largest))
            running({})
        return True

    def _result(self, ref: Any, job: Job) -> TaskResult:
        try:
            return as_result(job, self._ray.get(ref), -1)
        except Exception as error:
            error = getattr(error, "cause", None) or error  # what was raised there
            why = (str(error).splitlines() or ["no message"])[0][:300]
            return TaskResult(
                job.task,
                Outcome.INFRASTRUCTURE_ERROR,
                say(
                    "its worker on the cluster failed: {why}", why=f"{type(error).__name__}: {why}"
                ),
            )


def asked(task: Task) -> dict[str, Any]:
    """What Ray is asked for. Memory (bytes) only where somebody set a limit: the default is far above what runs take."""
    options: dict[str, Any] = {"num_cpus": 1, "max_retries": _RETRIES}
    return options | ({"memory": task.memory_limit_mb * _MB} if task.is_memory_set else {})


def room(resources: Mapping[str, float], flying: int) -> int:
    """How many more tasks may be in flight on a cluster with `resources`, as Ray tells them."""
    return max(0, _AHEAD * max(1, int(resources.get("CPU", 0))) - flying)


def largest_mb(nodes: Sequence[Mapping[str, Any]]) -> float:
    """Memory of the largest machine, as `ray.nodes` tells it; 0 when there is none."""
    sizes = [node.get("Resources", {}).get("memory", 0.0) for node in nodes if node.get("Alive")]
    return float(max(sizes, default=0.0)) / _MB


def _too_large(job: Job, largest: float) -> TaskResult:
    return TaskResult(
        job.task,
        Outcome.INFRASTRUCTURE_ERROR,
        say(
            "asks for {limit_mb:d} MB, and for {patience_s:.0f} s no machine of the cluster had more than {largest_mb:.0f} MB; "
            "allow less with --memory, or add a larger machine",
            limit_mb=job.task.memory_limit_mb, patience_s=_PATIENCE_S, largest_mb=largest,
        ),
    )  # fmt: skip


def _remote(job: str, cwd: str, order: Order, limit_s: float) -> dict[str, Any]:
    """On the cluster. A run beyond its time gets an exception, and when it does not heed that, its process ends."""
    shots = 0

    def alarm(number: int, frame: Any) -> None:
        nonlocal shots
        shots += 1
        if shots > 1:
            os._exit(1)
        raise TimeoutError(f"no end within {limit_s:g} s of wall time")

    os.chdir(cwd)
    module, _, function = job.partition(":")
    run = getattr(importlib.import_module(module), function)  # the first time takes seconds
    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, limit_s, _GRACE_S)
    try:
        return make(run, order, lambda t_s: None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
