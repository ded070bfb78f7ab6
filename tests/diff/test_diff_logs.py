"""Any two logs can be compared: the same run in other surroundings is the same, anything else is explained, only unreadable files are refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.errors import ConfigError, LogError
from protocols.v1 import log_pb2, rsm_pb2
from sim.carrier import Carrier
from sim.cli import app
from sim.compose import RunOptions, run_scene
from sim.diff.compare import diff_logs
from sim.diff.data import as_json, as_table
from sim.diff.model import Difference, Kind
from sim.diff.page import render
from sim.diff.tolerance import Tolerances, read
from sim.diff.words import LANGUAGES, chain_line, kind_name, link_text, remark_text, summary
from tests.diff import mutate
from tests.diff.mutate import TICK, Record
from tests.diff.tamper import Tamper, tampered
from tests.loop.run_once import ordered
from tests.support import fault_scene

S = 1_000_000_000
RUN = CliRunner()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cars, a roadside unit, some traffic: 8 s."""
    return fault_scene.run(fault_scene.scene(()), tmp_path_factory.mktemp("run")).log_path


def remarks(found: Difference) -> set[str]:
    return {key for key, _ in found.remarks}


def changed(log: Path, path: Path, change: Any) -> Path:
    """A copy whose list of records went through `change`."""
    epoch, items = mutate.read(log)
    out = change(items)
    mutate.write(path, epoch, items if out is None else out)
    return path


# -- the same -------------------------------------------------------------------------------------------------------


def test_a_run_and_itself_done_again_in_any_order_and_as_processes_have_no_difference(
    log: Path, tmp_path: Path
) -> None:
    scene = fault_scene.scene(())
    again = fault_scene.run(scene, tmp_path / "again").log_path
    shuffled = fault_scene.run(scene, tmp_path / "order", order=ordered("shuffled")).log_path
    carried = fault_scene.run(scene, tmp_path / "zmq", carrier=Carrier()).log_path
    for other in (log, again, shuffled, carried):
        found = diff_logs(log, other)
        assert found.is_same, found.cause
        assert found.first is None
        assert not found.chain
        assert not any(row.values for row in found.fields)
        assert summary(found) == "same: no difference"


def test_a_run_with_every_kind_of_fault_and_itself_have_no_difference(tmp_path: Path) -> None:
    scene = fault_scene.scene(fault_scene.EVERY_KIND)
    logs = [fault_scene.run(scene, tmp_path / name).log_path for name in "ab"]
    assert diff_logs(logs[0], logs[1]).is_same


def test_what_is_about_the_machine_is_context(log: Path, tmp_path: Path) -> None:
    def elsewhere(items: list[Record]) -> None:
        head = log_pb2.RunHeader.FromString(items[0].data)
        head.version["numpy"] = "9.9"
        head.commit = "another"
        config = json.loads(head.config_json)
        config["map_path"] = "/somewhere/else.xodr"
        config["scene"]["bus"]["answer_s"] = 9.0
        head.config_json = json.dumps(config)
        items[0] = replace(items[0], data=head.SerializeToString())

    found = diff_logs(log, changed(log, tmp_path / "b.mcap", elsewhere))
    assert found.is_same
    assert {item.key for item in found.versions} == {"commit", "numpy"}
    assert {key.key for key in found.keys} == {"map_path", "scene.bus.answer_s"}
    assert all(key.is_context for key in found.keys)


# -- causes ---------------------------------------------------------------------------------------------------------


def test_a_lost_message_is_followed_to_what_the_vehicle_did(log: Path, tmp_path: Path) -> None:
    fault = {"kind": "message_delay", "at_s": 2.986, "delay_s": 1.797, "senders": ["rsu/X"]}
    other = fault_scene.run(fault_scene.scene([fault]), tmp_path).log_path
    found = diff_logs(log, other)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.field) == (Kind.CONFIGURATION, "scene.faults[0]")
    assert [link.relation for link in found.chain] == [
        "root",
        "first",
        "follows",
        "plan",
        "command",
        "state",
    ]
    hop = found.chain[2].finding
    assert (hop.kind, hop.sender, hop.receiver, hop.entity) == (
        Kind.DELAYED,
        "rsu/X",
        "obu/a",
        "v2x/spat",
    )
    stamps = [link.finding.t_ns for link in found.chain[1:]]
    assert stamps == sorted(stamps)
    assert "-> obu/a plans otherwise at t=3.42 s" in chain_line(found)


def test_a_missing_request_is_followed_over_the_air_to_the_answer(
    log: Path, tmp_path: Path
) -> None:
    with tampered(Tamper("drop", 500, random.Random(1), "obu/b", "v2x/vir")):
        other = fault_scene.run(fault_scene.scene(()), tmp_path).log_path
    found = diff_logs(log, other)
    assert [(link.relation, link.unit) for link in found.chain[:3]] == [
        ("root", ""), ("heard", "rsu/X"), ("message", "rsu/X"),
    ]  # fmt: skip
    assert found.chain[2].finding.topic == "v2x/rsc"
    assert "renumbered" in remarks(found)


def test_an_edited_recording_is_told_from_a_run_that_differed(log: Path, tmp_path: Path) -> None:
    _, items = mutate.read(log)
    at = next(k for k, item in enumerate(items) if item.topic == "v2x/rsm" and item.t_ns > 2 * S)

    def edit(records: list[Record]) -> None:
        proto = rsm_pb2.RoadsideSafety.FromString(records[at].data)
        proto.x_m[0] += 0.5
        records[at] = replace(records[at], data=proto.SerializeToString())

    assert "edited" in remarks(diff_logs(log, changed(log, tmp_path / "b.mcap", edit)))
    with tampered(Tamper("field", 200, random.Random(1), "rsu/X", "v2x/rsm")):
        other = fault_scene.run(fault_scene.scene(()), tmp_path / "run").log_path
    found = diff_logs(log, other)
    assert found.cause is not None
    assert found.cause.kind is Kind.MESSAGE
    assert "edited" not in remarks(found)


def test_other_code_is_the_cause_where_the_digests_part_and_nothing_else_is_known(
    log: Path, tmp_path: Path
) -> None:
    with tampered(Tamper("command", 300, random.Random(1), "obu/a")) as change:
        other = fault_scene.run(fault_scene.scene(()), tmp_path / "run").log_path

    def commit(items: list[Record]) -> None:
        head = log_pb2.RunHeader.FromString(items[0].data)
        head.commit = "deadbeef"
        items[0] = replace(items[0], data=head.SerializeToString())

    found = diff_logs(log, changed(other, tmp_path / "b.mcap", commit))
    assert found.cause is not None and found.first is not None and change.planted is not None
    assert (found.cause.kind, found.cause.field, found.cause.b) == (
        Kind.VERSION,
        "commit",
        "deadbeef",
    )
    assert (found.first.kind, found.first.tick) == (Kind.COMMAND, change.planted.tick)


def test_a_key_that_cannot_reach_the_difference_is_not_blamed(log: Path, tmp_path: Path) -> None:
    def edit(items: list[Record]) -> None:
        head = log_pb2.RunHeader.FromString(items[0].data)
        config = json.loads(head.config_json)
        config["scene"]["faults"] = [
            {"kind": "crash", "unit": "obu/a", "at_s": 7.0, "until_s": None}
        ]
        head.config_json = json.dumps(config)
        items[0] = replace(items[0], data=head.SerializeToString())
        at = next(
            k for k, item in enumerate(items) if item.topic == "v2x/spat" and item.t_ns > 3 * S
        )
        del items[at]

    found = diff_logs(log, changed(log, tmp_path / "b.mcap", edit))
    assert found.cause is not None
    assert (found.cause.kind, found.cause.topic) == (
        Kind.MISSING,
        "v2x/spat",
    )  # at 3 s; the crash is at 7 s


# -- other lengths, clocks, scenes, damage ---------------------------------------------------------------------------


def test_a_log_that_begins_later_is_compared_from_there(log: Path, tmp_path: Path) -> None:
    def cut(items: list[Record]) -> list[Record]:
        return [
            i
            for i in items
            if i.topic == "log/header" or (i.t_ns >= 3 * S and not i.topic.startswith("log/digest"))
        ]

    found = diff_logs(log, changed(log, tmp_path / "b.mcap", cut))
    assert found.cause is not None
    assert found.cause.kind is Kind.LATE_START
    assert all(row.is_same for row in found.topics if row.topic != "truth/trace")
    assert next(row for row in found.topics if row.topic == "v2x/spat").outside == 30


def test_a_truncated_log_is_read_as_far_as_it_goes_and_nothing_else_is_said_to_be_missing(
    log: Path, tmp_path: Path
) -> None:
    epoch, items = mutate.read(log)
    whole = tmp_path / "whole.mcap"
    mutate.write(whole, epoch, items, chunk_bytes=20_000)
    raw = whole.read_bytes()
    for share in (0.3, 0.5, 0.77, 0.95):
        (tmp_path / "cut.mcap").write_bytes(raw[: int(len(raw) * share)])
        found = diff_logs(log, tmp_path / "cut.mcap")
        assert found.cause is not None
        assert found.cause.kind is Kind.DAMAGED, (share, found.cause)
        assert "lost" in remarks(found)
        assert not any(row.missing or row.differing for row in found.topics)


def test_a_damaged_chunk_is_left_out_and_said(log: Path, tmp_path: Path) -> None:
    from sim.log.scan import scan

    epoch, items = mutate.read(log)
    path = tmp_path / "b.mcap"
    mutate.write(path, epoch, items, chunk_bytes=20_000)
    chunk = scan(path, recover=False).chunks[5]
    raw = bytearray(path.read_bytes())
    for k in range(100):
        raw[chunk.at + 200 + k] ^= 0xFF
    path.write_bytes(raw)
    found = diff_logs(log, path)
    assert found.cause is not None
    assert found.cause.kind is Kind.DAMAGED
    assert found.b.damaged == [(chunk.start_ns - epoch, chunk.end_ns - epoch)]
    assert not any(row.missing for row in found.topics)


@pytest.mark.parametrize("topic", ["log/digest", "log/digest_part"])
def test_a_last_block_of_digests_is_missed_whether_it_is_damaged_cut_or_gone(
    log: Path, tmp_path: Path, topic: str
) -> None:
    def last(items: list[Record]) -> int:
        return max(k for k, item in enumerate(items) if item.topic == topic)

    def damaged(items: list[Record]) -> None:
        at = last(items)
        items[at] = replace(items[at], data=items[at].data[:-3])

    def gone(items: list[Record]) -> None:
        del items[last(items)]

    def earlier(items: list[Record]) -> None:
        """The last block says that it is of ticks that the one before has."""
        kind = log_pb2.Digests if topic == "log/digest" else log_pb2.DigestParts
        at = last(items)
        block = kind.FromString(items[at].data)
        block.start_tick -= 100
        items[at] = replace(items[at], data=block.SerializeToString())

    bad = changed(log, tmp_path / "damaged.mcap", damaged)
    found = diff_logs(log, bad)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.topic, found.cause.field) == (Kind.DAMAGED, "log/digest", "block")  # fmt: skip
    assert "B: 1 damaged block of digests; A: whole" in summary(found)
    assert "unread" in remarks(found)
    assert not diff_logs(bad, bad).is_same  # two damaged files are not proven to be the same
    for name, change in (("gone", gone), ("earlier", earlier)):
        other = changed(log, tmp_path / f"{name}.mcap", change)
        for one, two in ((log, other), (other, log)):
            found = diff_logs(one, two)
            assert found.cause is not None, name
            assert found.cause.kind is Kind.UNRECORDED
            assert found.cause.topic == "log/digest"
    both = diff_logs(log, changed(bad, tmp_path / "both.mcap", _other_speed))
    assert both.cause is not None
    assert (both.cause.topic, both.cause.field) == ("v2x/rsm", "t_ns")  # the run comes first
    assert "unread" in remarks(both)


def _other_speed(items: list[Record]) -> None:
    at = next(k for k, item in enumerate(items) if item.topic == "v2x/rsm")
    message = rsm_pb2.RoadsideSafety.FromString(items[at].data)
    message.t_ns += 1
    items[at] = replace(items[at], data=message.SerializeToString())


def test_logs_of_other_scenes_maps_and_ticks_are_explained(log: Path, tmp_path: Path) -> None:
    from scenarios.load import load_scene

    loaded = load_scene("smart_island", ["duration_s=4", "tick_ms=5"])
    other = run_scene(
        loaded.spec, loaded.path.parent, tmp_path, options=RunOptions(picture=False)
    ).log_path
    found = diff_logs(log, other)
    assert found.cause is not None
    assert found.cause.kind is Kind.MAP
    assert {"scenes", "ticks", "end", "other_keys"} <= remarks(found)


def test_another_clock_of_the_file_does_not_matter(log: Path, tmp_path: Path) -> None:
    epoch, items = mutate.read(log)
    head = log_pb2.RunHeader.FromString(items[0].data)
    head.epoch_ns = epoch + 3600 * S
    items[0] = replace(items[0], data=head.SerializeToString())
    mutate.write(tmp_path / "b.mcap", epoch + 3600 * S, items)
    assert diff_logs(log, tmp_path / "b.mcap").is_same


def test_a_log_of_digests_only_is_compared_by_them(log: Path, tmp_path: Path) -> None:
    def thin(items: list[Record]) -> list[Record]:
        return [
            item
            for item in items
            if item.topic.startswith("log/") and item.topic not in ("log/note", "log/radio")
        ]

    path = changed(log, tmp_path / "thin.mcap", thin)
    found = diff_logs(log, path)
    assert found.is_same, found.cause
    assert "thin" in remarks(found)
    fault = {"kind": "crash", "unit": "obu/a", "at_s": 2.0}
    other = fault_scene.run(fault_scene.scene([fault]), tmp_path / "run").log_path
    found = diff_logs(other, path)
    assert found.cause is not None
    assert found.cause.field == "scene.faults[0]"


def test_unknown_bytes_are_a_difference_and_no_crash(log: Path, tmp_path: Path) -> None:
    def garble(items: list[Record]) -> None:
        at = next(
            k for k, item in enumerate(items) if item.topic == "v2x/rsm" and item.t_ns > 2 * S
        )
        items[at] = replace(items[at], data=b"\xff\xfe garbage")

    found = diff_logs(log, changed(log, tmp_path / "b.mcap", garble))
    assert found.cause is not None
    assert (found.cause.kind, found.cause.field) == (Kind.MESSAGE, "bytes")


def test_only_unreadable_files_are_refused(log: Path, tmp_path: Path) -> None:
    (tmp_path / "no.mcap").write_bytes(b"not a log")
    for a, b in ((log, tmp_path / "no.mcap"), (tmp_path / "missing.mcap", log)):
        with pytest.raises(LogError):
            diff_logs(a, b)


# -- tolerances -----------------------------------------------------------------------------------------------------


def rules(path: Path, text: str) -> Tolerances:
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_what_is_tolerated_is_said_and_the_rest_is_still_found(log: Path, tmp_path: Path) -> None:
    def edit(items: list[Record]) -> None:
        for k, item in enumerate(items):
            if item.topic == "v2x/rsm" and item.t_ns >= 2 * S:
                proto = rsm_pb2.RoadsideSafety.FromString(item.data)
                for row in range(len(proto.x_m)):
                    proto.x_m[row] += 1e-7
                if item.t_ns == 5 * S:
                    proto.x_m[0] += 0.1
                items[k] = replace(item, data=proto.SerializeToString())

    other = changed(log, tmp_path / "b.mcap", edit)
    near = 'topic = "v2x/*"\nfield = "x_m"\nabs = {}\nreason = "two compilers round otherwise"\n'
    loose = rules(tmp_path / "loose.toml", "[[tolerance]]\n" + near.format(0.2))
    found = diff_logs(log, other, loose)
    assert found.is_same
    assert found.tolerated["two compilers round otherwise"] > 60
    assert summary(found).startswith("same within tolerance")
    tight = rules(tmp_path / "tight.toml", "[[tolerance]]\n" + near.format(1e-6))
    found = diff_logs(log, other, tight)
    assert found.cause is not None
    assert found.cause.tick == 500
    elsewhere = rules(
        tmp_path / "else.toml", '[[tolerance]]\nentity = "obu/*"\n' + near.format(0.2)
    )
    assert diff_logs(log, other, elsewhere).cause is not None


def test_a_drift_begins_where_it_was_still_tolerated(log: Path, tmp_path: Path) -> None:
    _, items = mutate.read(log)

    def drift(records: list[Record]) -> None:
        k = 0
        for at, item in enumerate(records):
            if item.topic == "v2x/rsm" and item.t_ns >= 4 * S:
                proto = rsm_pb2.RoadsideSafety.FromString(item.data)
                proto.y_m[0] += 1e-9 * 3.0**k
                k += 1
                records[at] = replace(item, data=proto.SerializeToString())

    assert items
    other = changed(log, tmp_path / "b.mcap", drift)
    loose = rules(
        tmp_path / "t.toml", '[[tolerance]]\ntopic = "v2x/rsm"\nabs = 1e-6\nreason = "noise of the tracker"\n'
    )  # fmt: skip
    found = diff_logs(log, other, loose)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.tick, found.cause.field) == (Kind.DRIFT, 400, "y_m")


def test_missing_records_can_be_tolerated_with_a_reason(log: Path, tmp_path: Path) -> None:
    def drop(items: list[Record]) -> list[Record]:
        return [item for item in items if item.topic != "log/note"]

    other = changed(log, tmp_path / "b.mcap", drop)
    assert not diff_logs(log, other).is_same
    some = rules(
        tmp_path / "t.toml",
        '[[tolerance]]\ntopic = "log/note"\nany = true\nreason = "diagnostics only"\n',
    )
    assert diff_logs(log, other, some).is_same


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[[tolerance]]\ntopic = "a"\nabs = 1.0\n', "reason"),
        ('[[tolerance]]\ntopic = "a"\nreason = "because of it"\n', "abs"),
        ('[[tolerance]]\ntopic = "a"\nabs = 1.0\nreason = "         "\n', "reason"),
        ('[[tolerance]]\ntopic = "a"\nabs = -1.0\nreason = "because of it"\n', "abs"),
        ('[[tolerance]]\ntopic = "a"\nany = true\nabs = 1.0\nreason = "because of it"\n', "any"),
        ('[[tolerance]]\ntopic = "a"\nabs = nan\nreason = "because of it"\n', "abs"),
        ('[[tolerance]]\ntopic = "a"\nrelative = 1.0\nreason = "because of it"\n', "relative"),
        ("tolerance = 3", "tolerance"),
        ("[[tolerance", "TOML"),
    ],
)
def test_a_wrong_tolerance_file_is_refused_with_the_key(
    tmp_path: Path, text: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        rules(tmp_path / "t.toml", text)


# -- what is shown --------------------------------------------------------------------------------------------------


def test_the_command_has_its_exit_codes_and_writes_page_and_json(log: Path, tmp_path: Path) -> None:
    fault = {"kind": "crash", "unit": "obu/a", "at_s": 2.0}
    other = fault_scene.run(fault_scene.scene([fault]), tmp_path / "run").log_path
    assert RUN.invoke(app, ["diff", str(log), str(log), "-q"]).exit_code == 0
    page, table = tmp_path / "d.html", tmp_path / "d.json"
    done = RUN.invoke(
        app, ["diff", str(log), str(other), "--html", str(page), "--json", str(table)]
    )
    assert done.exit_code == 1
    assert "scene.faults[0]" in done.output
    assert "Records by topic" in done.output
    written = json.loads(table.read_text())
    assert written["same"] is False
    assert written["cause"]["kind"] == "configuration"
    assert "<!doctype html>" in page.read_text()
    for bad in (
        ["diff", str(log), str(tmp_path / "none.mcap")],
        ["diff", str(log), str(log), "--tolerances", str(tmp_path / "none.toml")],
        ["diff", str(log), str(log), "--json", str(tmp_path / "no" / "folder.json")],
        ["diff", str(log)],
    ):
        assert RUN.invoke(app, bad).exit_code == 2


def test_text_from_a_log_is_escaped_on_the_page(log: Path, tmp_path: Path) -> None:
    def evil(items: list[Record]) -> None:
        at = next(k for k, item in enumerate(items) if item.topic == "truth/event")
        event = log_pb2.Event.FromString(items[at].data)
        event.text = "<script>alert(1)</script>[bold]x[/]"
        items[at] = replace(items[at], data=event.SerializeToString())

    other = changed(log, tmp_path / "b.mcap", evil)
    text = render(diff_logs(log, other))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "[bold]x[/]" in RUN.invoke(app, ["diff", str(log), str(other)]).output


def test_every_kind_link_and_remark_has_words_in_both_languages(log: Path, tmp_path: Path) -> None:
    for language in LANGUAGES:
        assert all(kind_name(kind, language) for kind in Kind)
    for kind in mutate.PLANTS:
        epoch, items = mutate.read(log)
        other, _ = mutate.plant(kind, items, 0)
        mutate.write(tmp_path / "b.mcap", epoch, other)
        found = diff_logs(log, tmp_path / "b.mcap")
        for language in LANGUAGES:
            texts = [summary(found, language)]
            texts += [part for link in found.chain for part in link_text(link, language)]
            texts += [remark_text(item, language) for item in found.remarks]
            assert not any("{" in text or "}" in text for text in texts)
        assert json.dumps(as_table(found), allow_nan=False)
        assert render(found)


def test_a_tick_is_a_hundredth_of_a_second_here(log: Path) -> None:
    assert diff_logs(log, log).a.header.tick_ns == TICK


# From a process of its own that is small: what is forked has the memory of who forks it, and that counts as its peak.
_COST = """
import json, os, subprocess, sys, time
begun = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=2)
_, status, used = os.wait4(child.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss]))
os._exit(0)
"""


@pytest.mark.long
def test_ten_minutes_of_the_corridor_are_compared_in_5_s_and_500_mb(tmp_path: Path) -> None:
    from scenarios.load import load_scene

    logs = []
    for seed in (1, 77):
        loaded = load_scene("brt_corridor", ["duration_s=600", f"seed={seed}"])
        out = run_scene(
            loaded.spec, loaded.path.parent, tmp_path / str(seed), options=RunOptions(picture=False)
        )
        logs.append(str(out.log_path))
    for pair in ((logs[0], logs[0]), (logs[0], logs[1])):
        command = [sys.executable, "-m", "sim.cli", "diff", *pair, "-q"]
        told = subprocess.run(
            [sys.executable, "-c", _COST, *command], capture_output=True, text=True, timeout=300, check=True
        )  # fmt: skip
        code, wall_s, cpu_s, peak_kb = json.loads(told.stdout.splitlines()[-1])
        assert code == (pair[0] != pair[1])
        assert min(wall_s, cpu_s) <= 5.0, (pair, wall_s, cpu_s)
        assert peak_kb <= 500_000, pair


def damage(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, all of them, the end cut off, or twice the same."""
    how = rng.randrange(4)
    if how == 0 and data:
        out = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)
    if how == 1:
        return rng.randbytes(rng.randint(0, 60))
    return data[: rng.randrange(len(data) + 1)] if how == 2 else data + data


def hostile_records(log: Path, path: Path, number: int) -> None:
    epoch, items = mutate.read(log)
    rng = random.Random(number)
    kinds = sorted({item.topic for item in items} - {"log/header"})
    for _ in range(number):
        topic = rng.choice(kinds)
        at = rng.choice([k for k, item in enumerate(items) if item.topic == topic])
        bad = list(items)
        bad[at] = replace(items[at], data=damage(items[at].data, rng))
        mutate.write(path, epoch, bad)
        found = diff_logs(log, path)
        assert render(found)
        assert as_json(found)
        # Timings are not compared, a result told twice is the same result, and so is a block of digests.
        is_said = topic.startswith("log/digest") and bad[at].data != items[at].data * 2
        if bad[at].data != items[at].data and (is_said or not topic.startswith("log/")):
            assert not found.is_same, (topic, bad[at].data)


def test_damaged_records_are_found_and_break_nothing(log: Path, tmp_path: Path) -> None:
    hostile_records(log, tmp_path / "b.mcap", 40)


@pytest.mark.long
def test_a_thousand_damaged_records_are_found_and_break_nothing(log: Path, tmp_path: Path) -> None:
    hostile_records(log, tmp_path / "b.mcap", 1000)


@pytest.mark.parametrize("option", ["--html", "--json"])
def test_a_page_never_overwrites_a_log(option: str, log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mcap"
    copy.write_bytes(log.read_bytes())
    done = RUN.invoke(app, ["diff", str(copy), str(log), option, str(tmp_path / "." / "copy.mcap")])
    assert done.exit_code == 2
    assert "one of the inputs" in done.output
    assert copy.read_bytes() == log.read_bytes()
