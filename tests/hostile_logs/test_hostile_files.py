"""What is no file, no log yet, or changes while it is read: the same sentences and exit codes, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.log.reader import LogReader
from tests.hostile_logs.judging import NAMES, Bench, faults
from tests.hostile_logs.lies import with_header
from tests.hostile_logs.parts import built, layout_of

LOOKING = ["report", "view", "diff", "recover", "judge"]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def nothing(path: Path) -> None:
    """There is no such file."""


FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a pipe": ("pipe.mcap", os.mkfifo),
    "a folder": ("folder.mcap", os.mkdir),
    "nothing in it": ("empty.mcap", empty),
    "a device": ("zero.mcap", device),
    "a link to itself": ("loop.mcap", loop),
    "nothing there": ("none.mcap", nothing),
    "nothing there, by a name that paints": ("\x1b[31mred\nnew.mcap", nothing),
    "no UTF-8 in its name": (os.fsdecode(b"\xff\xfe.mcap"), empty),
    "too long a name": ("x" * 300 + ".mcap", nothing),
}


@pytest.mark.parametrize("what", FILES)
def test_what_is_no_log_is_refused_at_once(bench: Bench, tmp_path: Path, what: str) -> None:
    name, make = FILES[what]
    log = tmp_path / name
    if make is not nothing:
        make(log)
    only = [
        n for n in NAMES if not (what == "a folder" and n == "view")
    ]  # which shows what is in it
    for outcome in bench.put(log, only):
        assert not (found := faults(outcome, log)), found
        assert outcome.code == 2, (outcome.command, outcome.code, outcome.out, outcome.err)
        assert outcome.cpu_s < 5.0


def test_a_hostile_result_beside_a_log_is_nothing_to_anybody(
    bench: Bench, good: Path, tmp_path: Path
) -> None:
    log = tmp_path / "run.mcap"
    log.write_bytes(good.read_bytes())
    for text in ('{"outcome": "pass", "log": "../../etc/passwd"}', "[" * 100_000, "\0"):
        (tmp_path / "result.json").write_text(text)
        for outcome in bench.put(log, LOOKING):
            assert not (found := faults(outcome, log)), found
            assert outcome.code in (0, 1), outcome


def test_a_log_that_grows_is_read_as_far_as_it_was(
    bench: Bench, good: Path, tmp_path: Path
) -> None:
    """Somebody writes it again and again while every command looks at it."""
    whole, log = good.read_bytes(), tmp_path / "run.mcap"
    steps = [whole[k : k + 2_000] for k in range(0, len(whole), 2_000)]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with log.open("wb", buffering=0) as file:
                for step in steps:
                    file.write(step)
                    if stop.wait(0.003):
                        return

    log.write_bytes(whole[:9000])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            for outcome in bench.put(log, LOOKING):
                assert not (found := faults(outcome, log)), found
    finally:
        stop.set()
        writer.join()


def test_a_reader_of_a_growing_log_stays_with_what_it_saw(good: Path, tmp_path: Path) -> None:
    whole, log = good.read_bytes(), tmp_path / "run.mcap"
    log.write_bytes(whole[: len(whole) // 2])
    reader = LogReader.open(log, recover=True)
    before = [sample.t_ns for sample in reader.world()]
    log.write_bytes(whole)
    assert [sample.t_ns for sample in reader.world()] == before
    more = [sample.t_ns for sample in LogReader.open(log).world()]
    assert more[: len(before)] == before and len(more) > len(before)


def test_a_log_that_is_taken_away_is_said_so(good: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.mcap"
    log.write_bytes(good.read_bytes())
    reader = LogReader.open(log)
    log.unlink()
    with pytest.raises(Exception, match=r"run\.mcap: cannot be read any more"):
        list(reader.world())


def test_names_that_climb_are_written_nowhere(bench: Bench, good: Path, tmp_path: Path) -> None:
    """A scene's name becomes part of file names; the scene in the header may not choose where."""
    log = tmp_path / "run.mcap"
    for name in ("../../../climbed", "/tmp/climbed", "a/b", "x\0y"):
        parts = layout_of(good.read_bytes())

        def change(made: object, name: str = name) -> None:
            table = json.loads(made.config_json)  # type: ignore[attr-defined]
            table["scene"]["name"] = name
            table["scene"]["vehicles"][0]["name"] = name
            made.config_json = json.dumps(table)  # type: ignore[attr-defined]
            made.scenario = name.replace("\0", "")  # type: ignore[attr-defined]

        with_header(parts, change)
        log.write_bytes(built(parts))
        for outcome in bench.put(log, ["report", "replay", "what-if", "shrink"]):
            assert not (found := faults(outcome, log)), found
