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
from sim.suite.plan import make_plan
from sim.suite.run import SuiteOptions, run_suite

TOOK = {"has_output": False, "wall_s": 1.0, "cpu_s": 1.0, "peak_mb": 1.0, "resident_mb": 1.0}


class FakeRay(ModuleType):
    """Answers in reverse order; the scene `lost` raises as a lost machine would."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.log: list[Any] = []

    def init(self, **options: Any) -> None:
        self.log.append(options)

    def shutdown(self) -> None:
        self.log.append("shutdown")

    def remote(self, **options: Any) -> Any:
        assert options == {"num_cpus": 1, "max_retries": 2}

        class Remote:
            @staticmethod
            def remote(job: str, cwd: str, order: Any, limit_s: float) -> Any:
                assert Path(order.folder).is_dir()
                return (order.scene, limit_s)

        return lambda function: Remote

    def wait(self, refs: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return refs[-1:], refs[:-1]

    def get(self, ref: Any) -> dict[str, Any]:
        if ref[0] == "lost":
            raise RuntimeError("the node died")
        return {"outcome": "pass", "sentence": ref[0], "digest": "d", **TOOK}


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
    assert fake.log[0]["address"] == "ray://host:1"
    assert fake.log[-1] == "shutdown"


def test_without_ray_one_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plan = make_plan(Expansion("s", (Entry("a", "a"),), 1))
    with pytest.raises(ConfigError, match=r"pip install 'icv\[ray\]'"):
        run_suite(plan, SuiteOptions(tmp_path, ray="local"))
