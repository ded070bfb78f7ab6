"""`--ray` without Ray: what it is asked for, what becomes of its answers, and the sentence where it is missing."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protocols.errors import ConfigError
from scenarios.suites import Entry, Expansion
from scenarios.verdict import Outcome
from sim.suite.model import Task, TaskResult
from sim.suite.plan import make_plan
from sim.suite.pool import Job
from sim.suite.ray_pool import RayPool, asked, largest_mb, room
from sim.suite.run import SuiteOptions, run_suite
from sim.suite.wire import Order

TOOK = {"has_output": False, "wall_s": 1.0, "cpu_s": 1.0, "peak_mb": 1.0, "resident_mb": 1.0}


class FakeRay(ModuleType):
    """Two processors; answers the last first; the scene `lost` raises as a lost machine would, `large` never gets a machine."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.log: list[Any] = []
        self.asked: dict[str, dict[str, Any]] = {}
        self.most = 0  # in flight at once
        self.cancelled: list[str] = []

    def init(self, **options: Any) -> None:
        self.log.append(options)

    def shutdown(self) -> None:
        self.log.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "memory": 8e9}

    def nodes(self) -> list[dict[str, Any]]:
        small, gone = {"CPU": 2.0, "memory": 8e9}, {"memory": 99e9}
        return [{"Alive": True, "Resources": small}, {"Alive": False, "Resources": gone}]

    def remote(self, function: Any) -> Any:
        outer = self

        class Remote:
            def __init__(self, options: dict[str, Any]) -> None:
                self.given = options

            @staticmethod
            def options(**options: Any) -> Remote:
                return Remote(options)

            def remote(self, job: str, cwd: str, order: Any, limit_s: float) -> Any:
                assert Path(order.folder).is_dir()
                outer.asked[order.scene] = self.given
                return (order.scene, limit_s)

        return Remote

    def wait(self, refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(refs))
        ready = [ref for ref in refs if ref[0] != "large"]
        return ready[-1:], [ref for ref in refs if ref not in ready[-1:]]

    def get(self, ref: Any) -> dict[str, Any]:
        if ref[0] == "lost":
            raise RuntimeError("the node died")
        return {"outcome": "pass", "sentence": ref[0], "digest": "d", **TOOK}

    def cancel(self, ref: Any, force: bool) -> None:
        assert force
        self.cancelled.append(ref[0])


def test_results_come_back_in_the_order_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    entries = tuple(Entry(name, name) for name in ("a", "lost", "c"))
    plan = make_plan(Expansion("s", entries, 1))
    result = run_suite(plan, SuiteOptions(tmp_path, ray="ray://host:1", workers=3))
    assert [item.task.id for item in result.results] == ["a", "lost", "c"]
    assert [item.outcome for item in result.results] == [
        Outcome.PASS, Outcome.INFRASTRUCTURE_ERROR, Outcome.PASS,
    ]  # fmt: skip
    assert result.results[1].sentence == (
        "its worker on the cluster failed: RuntimeError: the node died"
    )
    assert fake.asked["a"] == {"num_cpus": 1, "max_retries": 2}  # and no memory: nobody set a limit
    assert fake.log[0]["address"] == "ray://host:1"
    assert fake.log[-1] == "shutdown"


def test_no_more_tasks_are_in_flight_than_keep_the_cluster_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    plan = make_plan(Expansion("s", tuple(Entry(f"a{k}", f"a{k}") for k in range(50)), 1))
    result = run_suite(plan, SuiteOptions(tmp_path, ray="auto"))
    assert len(result.results) == 50 and result.outcome is Outcome.PASS
    assert fake.most == 4
    assert [room({"CPU": 8.0}, n) for n in (0, 15, 16, 30)] == [16, 1, 0, 0]
    assert room({}, 0) == 2 and room({"CPU": 0.5}, 1) == 1  # a head without processors yet


def test_a_memory_limit_that_was_set_is_asked_of_ray_and_one_that_no_machine_has_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    entries = (Entry("a", "a"), Entry("b", "b", memory_mb=2000), Entry("large", "large", memory_mb=9000))  # fmt: skip
    result = run_suite(make_plan(Expansion("s", entries, 1)), SuiteOptions(tmp_path, ray="auto"))
    assert [fake.asked[name].get("memory") for name in ("a", "b", "large")] == [None, 2_000_000_000, 9_000_000_000]  # fmt: skip
    assert [item.outcome.value for item in result.results] == ["pass", "pass", "infrastructure_error"]  # fmt: skip
    assert fake.cancelled == ["large"]
    assert result.results[2].sentence.startswith("asks for 9000 MB, and for 120 s no machine of the cluster had more than 8000 MB")  # fmt: skip
    (everyone,) = make_plan(Expansion("s", (Entry("a", "a"),), 1), memory_mb=4096).tasks
    assert asked(everyone)["memory"] == 4_096_000_000  # set, though it is the default's number
    assert asked(Task("a", "a")) == {"num_cpus": 1, "max_retries": 2}
    assert largest_mb(fake.nodes()) == 8000.0 and largest_mb([]) == 0.0


def test_an_interrupt_cancels_what_is_in_flight_and_submits_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    plan = make_plan(Expansion("s", tuple(Entry(f"a{k}", f"a{k}") for k in range(50)), 1))
    jobs = [Job(task, Order("a" + task.id[1:], (), str(tmp_path / task.id)), task.id) for task in plan.tasks]  # fmt: skip
    made: list[TaskResult] = []
    pool = RayPool("auto", 2, lambda: len(made) >= 3, "x:y")
    assert not pool.run(jobs, made.append, lambda at: None)
    assert len(made) == 3 and len(fake.cancelled) == 3 and len(fake.asked) == 6


def test_without_ray_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plan = make_plan(Expansion("s", (Entry("a", "a"),), 1))
    with pytest.raises(ConfigError, match=r"pip install 'icv\[ray\]'"):
        run_suite(plan, SuiteOptions(tmp_path, ray="local"))
