"""Lines of a scene that move, change their name, come or go: the key is named as its author would, and the chain goes on from there."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocols.v1 import log_pb2
from scenarios.load import check_scene
from sim.diff.compare import diff_logs
from sim.diff.config import key_changes
from sim.diff.model import Difference, KeyChange, Kind
from sim.diff.words import sentence
from sim.log.header import RunHeader
from tests.diff import mutate
from tests.sim.log.run import HEADER
from tests.support import fault_scene

Scene = dict[str, Any]
LATE = {"kind": "message_delay", "at_s": 1.5, "delay_s": 0.5, "senders": ["rsu/X"]}
CRASH = {"kind": "crash", "unit": "obu/b", "at_s": 2.0}
HANG = {"kind": "hang", "unit": "rsu/X", "at_s": 3.0, "until_s": 4.0}


def scene(change: Callable[[Scene], Any] = lambda scene: None, *faults: dict[str, Any]) -> Scene:
    table = fault_scene.scene(faults, duration_s=3.0).model_dump(mode="json")
    change(table)
    return table


def changes(one: Scene, two: Scene) -> dict[str, KeyChange]:
    """Keys that differ; from the other side the same ones, turned round."""
    headers = [header(table) for table in (one, two)]
    found = {item.key: item for item in key_changes(*headers)}
    turned = key_changes(headers[1], headers[0])
    assert {(item.a, item.b) for item in turned} == {(item.b, item.a) for item in found.values()}
    assert {item.from_s for item in turned} == {item.from_s for item in found.values()}
    return found


def header(table: Scene) -> RunHeader:
    return replace(
        HEADER, config_json=json.dumps({"scene": table}), scenario=table.get("name", HEADER.scenario),
        seed=table.get("seed", 1), tick_ns=table.get("tick_ms", 10) * 1_000_000,
    )  # fmt: skip


# -- keys -----------------------------------------------------------------------------------------------------------


def test_an_element_that_changed_its_name_is_the_same_one() -> None:
    found = changes(scene(), scene(lambda table: table["vehicles"][1].update(name="z")))
    assert set(found) == {"scene.vehicles[b].name"}
    found = changes(scene(), scene(lambda table: table["demand"]["flows"][0].update(name="est")))
    assert set(found) == {"scene.demand.flows[east].name"}

    def other(table: Scene) -> None:
        table["vehicles"][1].update(name="z", speed_mps=1.0)

    assert set(changes(scene(), scene(other))) == {"scene.vehicles[b]", "scene.vehicles[z]"}


def test_another_order_is_named() -> None:
    found = changes(scene(), scene(lambda table: table["vehicles"].reverse()))
    assert [(item.key, item.a, item.b) for item in found.values()] == [
        ("scene.vehicles (order)", '["a", "b"]', '["b", "a"]')
    ]
    one, two = scene(), scene()
    one["faults"], two["faults"] = [LATE, CRASH], [CRASH, LATE]
    found = changes(one, two)
    assert set(found) == {"scene.faults (order)"}
    assert found["scene.faults (order)"].from_s <= 1.5
    one["roadside"][0]["share"], two["roadside"][0]["share"] = ["rsm", "ssm"], ["ssm", "rsm"]
    assert "scene.roadside[X].share (order)" in changes(one, two)


@pytest.mark.parametrize(
    ("one", "two", "keys", "from_s"),
    [
        ([LATE], [CRASH, LATE], {"scene.faults[0]"}, 1.5),  # the others get other numbers
        ([LATE], [LATE, CRASH], {"scene.faults[1]"}, 2.0),
        ([LATE, CRASH], [CRASH, HANG], {"scene.faults[0]", "scene.faults[1]"}, 1.5),
        ([CRASH, LATE], [CRASH | {"at_s": 2.5}, LATE], {"scene.faults[0].at_s"}, 2.0),
        ([CRASH | {"at_s": 2.5}, LATE], [CRASH, LATE], {"scene.faults[0].at_s"}, 2.0),
        ([HANG], [HANG | {"until_s": 3.5}], {"scene.faults[0].until_s"}, 3.5),
        ([HANG], [HANG | {"until_s": None}], {"scene.faults[0].until_s"}, 4.0),
        ([LATE, HANG], [CRASH, LATE, HANG | {"until_s": 3.5}], {"scene.faults[0]", "scene.faults[1].until_s"}, 1.5),
    ],
)  # fmt: skip
def test_a_fault_that_comes_or_goes_is_told_from_those_beside_it(
    one: list[Scene], two: list[Scene], keys: set[str], from_s: float
) -> None:
    left, right = scene(), scene()
    left["faults"], right["faults"] = one, two
    found = {item.key: item for item in key_changes(header(left), header(right))}
    assert set(found) == keys
    assert min(item.from_s for item in found.values()) == from_s


def test_a_header_of_before_a_key_was_written_says_the_same() -> None:
    old = copy.deepcopy(scene())
    for key in ("seed", "tick_ms", "name"):
        del old[key]
    table = scene()
    assert changes(table, old | {"name": table["name"]}) == {}
    bare = replace(header(table), config_json=json.dumps({"scene": old}))
    assert key_changes(header(table), bare) == []
    assert key_changes(bare, header(table)) == []


def test_lists_in_lists_without_end_are_compared_in_time() -> None:
    for depth in (40, 200):
        texts = ["[" * depth + number + "]" * depth for number in ("1", "2")]
        headers = [replace(HEADER, config_json=f'{{"scene": {text}}}') for text in texts]
        assert len(key_changes(*headers)) == 1
    many = [json.dumps([{"name": f"{side}{k}"} for k in range(20_000)]) for side in "ab"]
    headers = [replace(HEADER, config_json=f'{{"scene": {text}}}') for text in many]
    assert len(key_changes(*headers)) == 20_000


def test_a_key_of_a_plain_table_is_never_taken_for_a_new_one(base: Path, tmp_path: Path) -> None:
    def rewritten(change: Callable[[Scene], Any]) -> Difference:
        epoch, items = mutate.read(base)
        head = log_pb2.RunHeader.FromString(items[0].data)
        table = json.loads(head.config_json)
        change(table["scene"])
        head.config_json, head.commit = json.dumps(table), "another"
        items[0] = replace(items[0], data=head.SerializeToString())
        mutate.write(tmp_path / "b.mcap", epoch, items)
        return diff_logs(base, tmp_path / "b.mcap")

    assert rewritten(lambda table: table.update(from_tomorrow=3)).is_same
    assert rewritten(lambda table: table["record"].update(from_tomorrow=3)).is_same
    for change, key in (
        (lambda table: table["onboard"].update(planning={"time_gap_s": 2.0}), "scene.onboard.planning"),
        (lambda table: table["radio"].update(latency_ms=10.0), "scene.radio.latency_ms"),
        (lambda table: table["vehicles"][0]["onboard"].update(x=1), "scene.vehicles[a].onboard.x"),
        (lambda table: table["vehicles"].pop(), "scene.vehicles[b]"),
    ):  # fmt: skip
        cause = rewritten(change).cause
        assert cause is not None
        assert cause.field == key


# -- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(scene(), tmp_path_factory.mktemp("base"))


def run(table: Scene, folder: Path) -> Path:
    return fault_scene.run(check_scene(table, "test"), folder).log_path


def relations(found: Difference) -> list[tuple[str, str]]:
    return [(link.relation, link.unit) for link in found.chain]


def test_a_vehicle_more_or_less_is_followed_to_who_heard_it_and_not_into_itself(
    base: Path, tmp_path: Path
) -> None:
    other = run(scene(lambda table: table["vehicles"].pop()), tmp_path)
    for one, two, word in ((base, other, "not in B"), (other, base, "only in B")):
        found = diff_logs(one, two)
        assert found.cause is not None
        assert found.cause.field == "scene.vehicles[b]"
        assert relations(found)[:4] == [("root", ""), ("first", ""), ("heard", "rsu/X"), ("message", "rsu/X")]  # fmt: skip
        heard = found.chain[2].finding
        assert (heard.topic, heard.sender) == ("v2x/vir", "obu/b")
        assert word in sentence(heard)


def test_a_renamed_vehicle_is_no_edited_recording(base: Path, tmp_path: Path) -> None:
    other = run(scene(lambda table: table["vehicles"][1].update(name="z")), tmp_path)
    found = diff_logs(base, other)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.field) == (Kind.CONFIGURATION, "scene.vehicles[b].name")
    assert not {"edited", "absent"} & {key for key, _ in found.remarks}


def test_vehicles_in_another_order_of_the_scene_are_the_cause(base: Path, tmp_path: Path) -> None:
    found = diff_logs(base, run(scene(lambda table: table["vehicles"].reverse()), tmp_path))
    assert found.cause is not None
    assert found.cause.field == "scene.vehicles (order)"
    assert found.first is not None
    assert found.first.field == "id"


def test_a_fault_put_before_another_is_followed_to_what_it_did(tmp_path: Path) -> None:
    one = run(scene(lambda table: None, LATE), tmp_path / "one")
    two = run(scene(lambda table: None, CRASH, LATE), tmp_path / "two")
    found = diff_logs(one, two)
    assert found.cause is not None
    assert found.cause.field == "scene.faults[0]"
    assert '"crash"' in found.cause.b
    assert relations(found)[:3] == [("root", ""), ("first", ""), ("follows", "obu/b")]
    assert found.chain[2].finding.t_ns == 2_000_000_000


def test_what_a_unit_tracks_stands_between_what_it_sees_and_what_it_plans(tmp_path: Path) -> None:
    sharing = scene(lambda table: table["onboard"].update(share=["ssm"]))
    log = run(sharing, tmp_path / "run")
    epoch, items = mutate.read(log)

    def edit(topic: str, sender: str, at_ns: int, change: Callable[[Any], Any]) -> None:
        at = next(
            k for k, item in enumerate(items)
            if (item.topic, item.sender) == (topic, sender) and item.t_ns >= at_ns
        )  # fmt: skip
        proto: Any = mutate.message_class(topic).FromString(items[at].data)
        change(proto)
        items[at] = replace(items[at], data=proto.SerializeToString(deterministic=True))

    def track(proto: Any) -> None:
        for field in proto.participants.DESCRIPTOR.fields:
            getattr(proto.participants, field.name).append(1)

    edit("truth/world", "sim", 1_000_000_000, lambda proto: proto.x_m.__setitem__(0, 3.0))
    edit("v2x/ssm", "obu/a", 1_000_000_000, track)
    edit("obu/plan", "obu/a", 1_200_000_000, lambda proto: setattr(proto, "cost", 1.0))
    mutate.write(tmp_path / "b.mcap", epoch, items)
    found = diff_logs(log, tmp_path / "b.mcap")
    assert relations(found) == [("root", ""), ("seen", "obu/a"), ("fused", "obu/a"), ("plan", "obu/a")]  # fmt: skip
    assert found.chain[2].finding.entity == "track 1"
