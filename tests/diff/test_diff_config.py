"""Two headers: a key left out is its default, null is nothing, everything else that differs is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sim.diff.config import key_changes
from sim.log.header import RunHeader
from tests.sim.log.run import HEADER
from tests.support import fault_scene

Scene = dict[str, Any]


@pytest.fixture
def header() -> RunHeader:
    faults = (
        {"kind": "crash", "unit": "rsu/X", "at_s": 0.5},
        {"kind": "message_delay", "at_s": 0.6, "delay_s": 0.5},
    )
    scene = fault_scene.scene(faults).model_dump(mode="json")
    return replace(HEADER, config_json=json.dumps({"scene": scene}))


def changes(header: RunHeader, change: Callable[[Scene], None]) -> set[str]:
    """Keys that differ after a change of the scene; the same from both sides."""
    table = json.loads(header.config_json)
    other = copy.deepcopy(table)
    change(other["scene"])
    edited = replace(header, config_json=json.dumps(other))
    one = {item.key for item in key_changes(header, edited)}
    assert {item.key for item in key_changes(edited, header)} == one
    return one


def drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    return [drop_nulls(item) for item in value] if isinstance(value, list) else value


def test_null_on_one_side_and_absent_on_the_other_is_the_same(header: RunHeader) -> None:
    def change(scene: Scene) -> None:
        slim = drop_nulls(scene)
        assert slim != scene
        scene.clear()
        scene.update(slim)

    assert changes(header, change) == set()
    assert changes(header, lambda scene: scene.update(from_tomorrow=None)) == set()
    assert changes(header, lambda scene: scene["onboard"].update(from_tomorrow=None)) == set()


def test_a_default_on_one_side_and_absent_on_the_other_is_the_same(header: RunHeader) -> None:
    def change(scene: Scene) -> None:
        for key in ("carla", "bus", "record", "environment", "title_zh", "schema_version", "epoch_utc"):  # fmt: skip
            del scene[key]
        for vehicle in scene["vehicles"]:
            for key in ("stops", "passengers", "depart_s"):
                del vehicle[key]
        for fault in scene["faults"]:
            del fault["until_s"]
        del scene["roadside"][0]["ssm_period_ms"]
        del scene["demand"]["flows"][0]["mix"]

    assert changes(header, change) == set()

    def partly(scene: Scene) -> None:
        scene["bus"] = {"answer_s": 5}  # a whole number of a model's 5.0, and the rest left out
        scene["carla"] = {}

    bare = json.loads(header.config_json)
    del bare["scene"]["bus"], bare["scene"]["carla"]
    assert changes(replace(header, config_json=json.dumps(bare)), partly) == set()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda scene: scene.pop("duration_s"), "scene.duration_s"),  # it has no default
        (lambda scene: scene["bus"].update(answer_s=9.0), "scene.bus.answer_s"),
        (lambda scene: scene["carla"].update(sensors=["gnss"]), "scene.carla.sensors[0]"),
        (lambda scene: scene.update(from_tomorrow=0), "scene.from_tomorrow"),
        (lambda scene: scene["faults"][0].update(until_s=0.9), "scene.faults[0].until_s"),
        (lambda scene: scene["faults"].pop(), "scene.faults[1]"),
        (lambda scene: scene["vehicles"][0].update(depart_s=1.0), "scene.vehicles[a].depart_s"),
    ],
)  # fmt: skip
def test_what_is_no_default_is_named(
    header: RunHeader, change: Callable[[Scene], None], key: str
) -> None:
    assert changes(header, change) == {key}


def test_a_value_that_is_no_default_against_nothing_is_named(header: RunHeader) -> None:
    def seconds(scene: Scene) -> None:
        scene["bus"].pop("answer_s")

    table = json.loads(header.config_json)
    table["scene"]["bus"]["answer_s"] = 6.0
    assert changes(replace(header, config_json=json.dumps(table)), seconds) == {
        "scene.bus.answer_s"
    }
    table["scene"]["bus"]["answer_s"] = 5
    assert changes(replace(header, config_json=json.dumps(table)), seconds) == set()


def test_a_header_nested_without_end_is_compared_as_text(header: RunHeader) -> None:
    for depth in (200, 900, 990, 100_000):
        deep = replace(header, config_json='{"scene":' + "[" * depth + "]" * depth + "}")
        assert key_changes(header, deep)
        assert key_changes(deep, deep) == [] or depth < 100_000
