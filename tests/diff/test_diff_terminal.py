"""What `icv diff` prints: every line fits the terminal, nothing is cut, numbers carry their unit, and the first line is the reason."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from protocols.v1 import log_pb2
from sim.cli import app
from sim.diff.compare import diff_logs
from sim.diff.model import NOTHING, Difference, Finding, Kind
from sim.diff.terminal import NARROWEST, show
from sim.diff.tolerance import read
from sim.diff.units import amount, delay, unit, valued
from sim.diff.words import LANGUAGES, sentence, summary
from tests.diff import mutate
from tests.diff.mutate import Record
from tests.diff.tamper import Tamper, tampered
from tests.support import fault_scene

S = 1_000_000_000
RUN = CliRunner()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = fault_scene.scene((), duration_s=4.0)
    return fault_scene.run(scene, tmp_path_factory.mktemp("run")).log_path


@pytest.fixture(scope="module")
def pairs(log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Difference]:
    """Several kinds of pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    fault = {"kind": "message_delay", "at_s": 1.0, "delay_s": 0.7, "senders": ["rsu/X"]}
    faulty = fault_scene.run(fault_scene.scene([fault], duration_s=4.0), folder / "fault").log_path
    epoch, items = mutate.read(log)
    cut = folder / "cut.mcap"
    cut.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    out = {"same": diff_logs(log, log), "fault": diff_logs(log, faulty), "cut": diff_logs(log, cut)}
    for kind in ("field", "drop", "swap", "file order", "early end", "latency"):
        changed, _ = mutate.plant(kind, items, 1)
        mutate.write(folder / "b.mcap", epoch, changed)
        out[kind] = diff_logs(log, folder / "b.mcap")
    mutate.write(folder / "b.mcap", epoch, _named_in_chinese(items))
    out["chinese"] = diff_logs(log, folder / "b.mcap")
    return out


def _named_in_chinese(items: list[Record]) -> list[Record]:
    head = log_pb2.RunHeader.FromString(items[0].data)
    config = json.loads(head.config_json)
    config["scene"]["title_of_the_line"] = (
        "快速公交走廊，从西环到东站，含二十一个路口与四十二个站台" * 3
    )
    head.config_json = json.dumps(config)
    event = log_pb2.Event(t_ns=S, kind="stopped_at_station", subject="1", text="西环 方向东")
    late = next(k for k, item in enumerate(items) if item.t_ns >= S)
    new = replace(items[late], topic="truth/event", sender="sim", t_ns=S, seq=0, data=event.SerializeToString())  # fmt: skip
    return [replace(items[0], data=head.SerializeToString()), *items[1:late], new, *items[late:]]


def printed(found: Difference, width: int, everything: bool = False) -> list[str]:
    out = io.StringIO()
    show(found, Console(file=out, width=width, highlight=False), everything)
    return out.getvalue().splitlines()


def columns(text: str) -> int:
    """Width on a terminal: a Chinese sign takes two columns."""
    return sum(2 if ord(sign) > 0x2E80 else 1 for sign in text)


@pytest.mark.parametrize("width", [NARROWEST, 80, 120, 200])
def test_every_line_but_the_answer_fits_and_nothing_is_cut(
    width: int, pairs: dict[str, Difference]
) -> None:
    for name, found in pairs.items():
        for everything in (False, True):
            lines = printed(found, width, everything)
            assert lines[0] == summary(found)
            assert all(columns(line) <= width for line in lines[1:]), name
            assert not any("…" in line for line in lines)
            assert not any(line != line.rstrip() for line in lines)


def joined(lines: list[str]) -> str:
    return re.sub(r"\s+", "", "".join(lines))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_all_topics_and_fields_are_there_at_every_width(
    width: int, pairs: dict[str, Difference]
) -> None:
    found = pairs["fault"]
    lines = printed(found, width, True)
    for row in found.topics:
        start = rf"^{re.escape(row.topic)} +{row.in_a} +{row.in_b}\b"
        assert any(re.match(start, line) for line in lines), row.topic
    text = joined(lines)
    for field in found.fields:
        if field.values:
            # a name may be folded: its cells are then not beside each other
            assert field.topic in text and all(part in text for part in field.field.split("_"))
    number = "tick" in "".join(lines)
    assert number  # places in the chain name it in any case
    titles = next(line for line in lines if "values" in line and "field" in line)
    assert ("relative" in titles) is (width >= 120)
    assert "tolerated" not in titles  # nothing was


def test_numbers_carry_their_unit() -> None:
    for field, expected in (
        ("speed_mps", "m/s"), ("accel_mps2", "m/s2"), ("jerk_mps3", "m/s3"), ("x_m", "m"), ("cov_xx_m2", "m2"), ("yaw_rad", "rad"),
        ("yaw_rate_radps", "rad/s"), ("curvature_per_m", "1/m"), ("scene.vehicles[bus1].depart_s", "s"), ("lane[3].point_x_m[2]", "m"),
        ("vehicles_per_hour", "1/h"), ("t_ns", "s"), ("kind", ""), ("num_candidates", ""), ("tx_power_dbm", "dBm"),
    ):  # fmt: skip
        assert unit(field) == expected, field
    assert valued("speed_mps", "3.25") == "3.25 m/s"
    assert valued("min_end_ns", "69000000001") == "69.000000001 s"
    assert valued("t_ns", "-1500000000") == "-1.50 s"
    assert valued("min_end_ns", "-1") == "unknown"
    assert valued("x_m", NOTHING) == NOTHING
    assert valued("x_m", "") == ""
    assert valued("reason_s", "none") == "none"
    assert amount("t_ns", 2.5e9, 6) == "2.5 s"
    assert amount("speed_mps", 0.12345678, 3) == "0.123 m/s"
    assert (delay("10000 us"), delay("1807250 us"), delay("-")) == ("10 ms", "1807.25 ms", "-")


def finding(kind: Kind, field: str, a: str, b: str, **more: object) -> Finding:
    values = {"topic": "v2x/spat", "sender": "rsu/X", "seq": 4, **more}
    return Finding(kind, 100, S, field=field, a=a, b=b, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (finding(Kind.MESSAGE, "min_end_ns", "5000000000", "6000000000", by=1e9), "rsu/X v2x/spat seq 4: min_end_ns is 6.00 s, in A 5.00 s (+1 s)"),
        (finding(Kind.MESSAGE, "min_end_ns", "5000000000", "-1", by=-5e9), "rsu/X v2x/spat seq 4: min_end_ns is unknown, in A 5.00 s"),
        (finding(Kind.ORDER, "order", "seq 4, then 5", "seq 5, then 4", other=5), "rsu/X v2x/spat seq 4 has changed places: B has seq 5, then 4, A has seq 4, then 5"),
        (finding(Kind.ORDER, "phase_id", "1", "2", row=0), "rsu/X v2x/spat seq 4: row 0 is that of phase_id 2, in A 1"),
        (finding(Kind.EARLY_END, "end", "8.000 s", "4.000 s", by=-4.0, topic="", sender="", seq=-1), "B ends earlier: A at 8.000 s, B at 4.000 s"),
        (finding(Kind.EARLY_END, "end", "4.000 s", "8.000 s", by=4.0, topic="", sender="", seq=-1), "A ends earlier: A at 4.000 s, B at 8.000 s"),
        (finding(Kind.LATE_START, "start", "0.000 s", "3.000 s", by=3.0, topic="", sender="", seq=-1), "B begins later: A at 0.000 s, B at 3.000 s"),
        (finding(Kind.DAMAGED, "end", "8.000 s", "4.000 s", by=-4.0, topic="", sender="", seq=-1), "B breaks off: A can be read up to 8.000 s, B up to 4.000 s"),
        (finding(Kind.DELAYED, "latency_us", "10000 us", "260000 us", topic="log/radio", entity="v2x/spat", receiver="obu/a", by=250000.0), "obu/a hears rsu/X v2x/spat seq 4 after 260 ms, in A after 10 ms"),
    ],
)  # fmt: skip
def test_a_sentence_says_who_what_and_how_much(found: Finding, text: str) -> None:
    if found.topic == "log/radio":
        assert "after 260 ms, in A after 10 ms" in sentence(found)
    else:
        assert sentence(found) == text
    assert all(sentence(found, language) for language in LANGUAGES)


def test_a_yes_or_no_has_no_size(pairs: dict[str, Difference]) -> None:
    for row in pairs["cut"].fields + pairs["fault"].fields:
        if row.field.endswith(".passed"):
            assert row.max_tick == -1


# -- the command -----------------------------------------------------------------------------------------------------

Arguments = Callable[[Path, Path], list[str]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda log, at: ["--json", str(at / "x"), "--html", str(at / "." / "x")], "both name"),
        (lambda log, at: ["--json", str(at)], "a folder"),
        (lambda log, at: ["--html", str(at / "no" / "x.html")], "there is no folder"),
        (lambda log, at: ["--tolerances", str(at / "t.toml")], "rule 2: abs"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_compared(
    arguments: Arguments, words: str, log: Path, tmp_path: Path
) -> None:
    good = '[[tolerance]]\ntopic = "a"\nany = true\nreason = "because of it"\n'
    (tmp_path / "t.toml").write_text(good + good.replace("any = true", 'abs = "x"'))
    done = RUN.invoke(app, ["diff", str(log), str(log), *arguments(log, tmp_path)])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert "same" not in done.output
    assert not (tmp_path / "x").exists()


def test_a_rule_that_takes_nothing_is_named(log: Path, tmp_path: Path) -> None:
    epoch, items = mutate.read(log)
    changed, _ = mutate.plant("latency", items, 1)
    mutate.write(tmp_path / "b.mcap", epoch, changed)
    (tmp_path / "t.toml").write_text(
        '[[tolerance]]\ntopic = "log/radio"\nany = true\nreason = "another receiver"\n'
        '[[tolerance]]\ntopic = "turth/*"\nabs = 1.0\nreason = "a slip of the pen"\n'
    )
    done = RUN.invoke(
        app, ["diff", str(log), str(tmp_path / "b.mcap"), "--tolerances", str(tmp_path / "t.toml")]
    )
    assert done.exit_code == 0
    assert done.output.startswith("same within tolerance: ")
    assert "took nothing" in done.output and "rule 2 (turth/* *)" in " ".join(done.output.split())
    assert "rule 1" not in done.output


def test_runs_that_differ_only_within_the_tolerances_are_the_same_whatever_their_digests_say(
    tmp_path: Path,
) -> None:
    """Digests know no tolerance: where they part, a tolerated difference is reason enough."""
    scene = fault_scene.scene((), duration_s=3.0)
    one = fault_scene.run(scene, tmp_path / "one").log_path
    with tampered(Tamper("command", 100, random.Random(1), "obu/a")) as change:
        two = fault_scene.run(scene, tmp_path / "two").log_path
    assert change.planted is not None
    every = tmp_path / "every.toml"
    rule = '[[tolerance]]\ntopic = "{}"\nany = true\nreason = "whatever it may be"\n'
    every.write_text(rule.format("*"))
    found = diff_logs(one, two, read(every))
    assert found.digest_tick == 100
    assert found.is_same, found.cause
    assert next(row for row in found.topics if row.topic == "truth/trace").tolerated > 0
    every.write_text(rule.format("truth/*"))
    found = diff_logs(one, two, read(every))
    assert found.first is not None
    assert found.first.topic == "obu/plan" or found.first.topic.startswith("v2x/")
    assert found.cause is found.first


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_terminal_without_chinese_gets_an_answer_too(
    quiet: list[str], log: Path, tmp_path: Path
) -> None:
    epoch, items = mutate.read(log)
    mutate.write(tmp_path / "b.mcap", epoch, _named_in_chinese(items))
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli", "diff", str(log), str(tmp_path / "b.mcap"), *quiet],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"extra, tick 100 (t=1.00 s): truth/event is only in B")


def test_json_holds_firsts_and_the_neighbourhood(log: Path, tmp_path: Path) -> None:
    epoch, items = mutate.read(log)
    changed, planted = mutate.plant("drift", items, 2)
    mutate.write(tmp_path / "b.mcap", epoch, changed)
    out = tmp_path / "d.json"
    done = RUN.invoke(app, ["diff", str(log), str(tmp_path / "b.mcap"), "-q", "--json", str(out)])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1
    table = json.loads(out.read_text())
    assert table["summary"] == done.output.strip()
    assert table["firsts"][0]["tick"] == planted.tick
    assert any(point["t_s"] == table["cause"]["t_s"] for point in table["series"])
    assert all(row["first_s"] is not None for row in table["fields"] if row["values"])
