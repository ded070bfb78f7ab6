"""Logs that lie about themselves or lack what they should have, names that steer a terminal, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.v1 import log_pb2
from sim.cli import app
from sim.diff.compare import diff_logs
from sim.diff.data import as_json
from sim.diff.model import Kind
from sim.diff.remarks import MAX_SPANS
from sim.diff.words import summary, visible
from sim.log.scan import scan
from tests.diff import mutate
from tests.diff.altered import Change, Diff, S, edit, first, header, held, put
from tests.diff.mutate import TICK, Record
from tests.support import fault_scene

RUN = CliRunner()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = fault_scene.scene((), duration_s=4.0)
    return fault_scene.run(scene, tmp_path_factory.mktemp("run")).log_path


@pytest.fixture
def diff(log: Path, tmp_path: Path) -> Diff:
    return partial(held, log, tmp_path)


# -- what a log says about itself -----------------------------------------------------------------------------------


def result(text: str) -> Change:
    """One more key in the result."""
    return edit("log/result", lambda proto: setattr(proto, "result_json", f"{proto.result_json.rstrip()[:-1]},{text}}}"), -1)  # fmt: skip


@pytest.mark.parametrize("text", ['"x": NaN', '"x": 1' + "0" * 400, '"x": ' + "[" * 100_000 + "]" * 100_000])  # fmt: skip
def test_a_result_may_hold_anything(diff: Diff, text: str) -> None:
    cause = diff(result(text)).cause
    assert cause is not None
    assert cause.kind is Kind.RESULT


def test_a_result_that_only_one_log_has_is_a_difference(diff: Diff) -> None:
    found = diff(lambda items: [item for item in items if item.topic != "log/result"])
    assert found.cause is not None
    assert (found.cause.kind, found.cause.topic, found.cause.a) == (Kind.MISSING, "log/result", "pass")  # fmt: skip


def test_digests_that_are_gone_altogether_are_missed(diff: Diff) -> None:
    found = diff(lambda items: [item for item in items if not item.topic.startswith("log/digest")])
    assert found.cause is not None
    assert found.cause.kind is Kind.UNRECORDED
    assert summary(found).endswith("only A has a digest of this tick")


@pytest.mark.parametrize("topic", ["log/radio", "truth/world", "truth/trace", "obu/plan"])
def test_a_topic_that_is_gone_altogether_is_said_in_one_sentence(diff: Diff, topic: str) -> None:
    found = diff(lambda items: [item for item in items if item.topic != topic])
    assert ("absent", {"log": "B", "topics": topic}) in found.remarks


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda head: setattr(head, "seed", 9), "header.seed"),
        (lambda head: setattr(head, "tick_ns", 2 * TICK), "header.tick_ms"),
        (lambda head: setattr(head, "scenario", "another"), "header.name"),
    ],
)  # fmt: skip
def test_a_header_that_contradicts_its_scene_is_no_equality(
    diff: Diff, change: Callable[[Any], Any], key: str
) -> None:
    cause = diff_cause(diff, header(change))
    assert cause.kind is Kind.CONFIGURATION
    assert cause.field == key


def diff_cause(diff: Diff, change: Change) -> Any:
    cause = diff(change).cause
    assert cause is not None
    return cause


@pytest.mark.parametrize("topic", ["v2x/rsm", "truth/world"])
def test_a_record_of_before_the_beginning_is_no_equality(diff: Diff, topic: str) -> None:
    def before(items: list[Record]) -> None:
        items.insert(1, replace(items[first(items, topic)], t_ns=-5 * S, seq=99_999))

    cause = diff_cause(diff, before)
    assert (cause.kind, cause.a, cause.b) == (Kind.LATE_START, "0.000 s", "-5.000 s")


def test_a_log_of_a_header_alone_broke_off_at_its_beginning(log: Path, tmp_path: Path) -> None:
    epoch, items = mutate.read(log)
    path = tmp_path / "b.mcap"
    mutate.write(path, epoch, items[:1])
    path.write_bytes(path.read_bytes()[:-40])
    found = diff_logs(log, path)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.tick, found.cause.t_ns) == (Kind.DAMAGED, 0, 0)
    assert summary(found).endswith("A can be read up to 3.990 s, B up to 0.000 s")


def test_many_damaged_parts_are_told_in_few_sentences(log: Path, tmp_path: Path) -> None:
    epoch, items = mutate.read(log)
    path = tmp_path / "b.mcap"
    mutate.write(path, epoch, items, chunk_bytes=4_000)
    chunks = scan(path, recover=False).chunks
    raw = bytearray(path.read_bytes())
    for chunk in chunks[1::2]:
        raw[chunk.at + chunk.length // 2] ^= 0xFF
    path.write_bytes(raw)
    found = diff_logs(log, path)
    assert found.cause is not None
    assert found.cause.kind is Kind.DAMAGED
    assert len(found.b.damaged) == len(chunks[1::2]) > 20
    told = [key for key, _ in found.remarks if key.startswith("damaged")]
    assert told == ["damaged"] * MAX_SPANS + ["damaged_more"]


# -- what is shown ---

KEYS = {
    "": {
        "schema_version", "same", "summary", "a", "b", "cause", "first", "chain", "chain_text", "firsts", "series", "remarks",
        "configuration", "versions", "topics", "fields", "tolerated", "first_digest_tick",
    },
    "cause": {"kind", "tick", "t_s", "topic", "sender", "field", "a", "b", "seq", "row", "entity", "by", "receiver"},
    "a": {
        "path", "scene", "seed", "commit", "map_digest", "tick_ms", "start_s", "end_s", "outcome", "lost", "damaged_s",
        "unread_digests_s", "digests_only",
    },
    "chain": {"relation", "unit", "text", "finding"},
    "remarks": {"key", "text"},
    "topics": {
        "topic", "in_a", "in_b", "differing", "missing", "extra", "delayed", "order", "renumbered", "tolerated", "outside", "first_tick",
    },
    "fields": {
        "topic", "field", "values", "records", "tolerated", "first_tick", "first_s", "max_abs", "max_rel", "max_where", "senders",
        "entities", "reasons",
    },
}  # fmt: skip


def test_the_tables_for_programs_keep_their_keys(diff: Diff) -> None:
    table = json.loads(as_json(diff(edit("v2x/rsm", put("x_m", 7.0)))))
    assert table["schema_version"] == 1
    for name, keys in KEYS.items():
        value = table[name] if name else table
        assert set(value[0] if isinstance(value, list) else value) == keys, name
    assert isinstance(table["cause"]["by"], float)


EVIL = "\x1b[31mred\x07\r\n\u202eback \ud800[bold]"


def test_names_steer_no_terminal_and_break_no_line(log: Path, tmp_path: Path) -> None:
    def change(items: list[Record]) -> None:
        head = log_pb2.RunHeader.FromString(items[0].data)
        head.scenario = EVIL.replace("\ud800", "")
        config = json.loads(head.config_json)
        config[EVIL] = EVIL
        head.config_json = json.dumps(config)
        items[0] = replace(items[0], data=head.SerializeToString())

    epoch, items = mutate.read(log)
    change(items)
    other = tmp_path / "b.mcap"
    mutate.write(other, epoch, items)
    quiet = RUN.invoke(app, ["diff", str(log), str(other), "-q"])
    assert quiet.exit_code == 1, quiet.output
    assert quiet.output.count("\n") == 1
    page, table = tmp_path / "d.html", tmp_path / "d.json"
    done = RUN.invoke(app, ["diff", str(log), str(other), "--all", "--html", str(page), "--json", str(table)])  # fmt: skip
    assert done.exit_code == 1, done.output
    for text in (quiet.output, done.output):
        assert not any(ord(sign) < 32 and sign != "\n" for sign in text)
        assert "\u202e" not in text
        assert "\\x1b[31mred\\x07\\r\\n\\u202eback" in text
    assert EVIL in {key["key"] for key in json.loads(table.read_text())["configuration"]}
    assert "\\ud800" in page.read_text(encoding="utf-8")


def test_signs_of_all_scripts_stay_as_they_are() -> None:
    assert visible("快速公交　走廊 – été") == "快速公交　走廊 – été"


def test_a_log_is_the_same_as_itself_through_a_link(log: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mcap"
    link.symlink_to(log)
    assert diff_logs(log, link).is_same
