"""A run cannot tell where its units live: processes, other orders, late ones; and a process that fails ends it in time."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
import zmq

from protocols.errors import UnitError
from scenarios.load import library, load_scene
from sim.carrier import Carrier
from sim.compose import RunOptions, RunOutcome, run_scene
from sim.log.reader import LogReader
from sim.rerun import replay_log
from sim.unit_main import run_unit

ROOT = Path(__file__).parents[2]


def run(scene: str, folder: Path, *overrides: str, **options: object) -> RunOutcome:
    loaded = load_scene(Path(scene), overrides)
    return run_scene(
        loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False, **options)  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("scene", sorted(library()))
def test_every_library_scene_has_the_same_digest_with_units_as_processes(
    scene: str, tmp_path: Path
) -> None:
    here = run(scene, tmp_path / "a", "duration_s=25")
    there = run(scene, tmp_path / "b", "duration_s=25", carrier=Carrier())
    assert there.digest == here.digest
    assert "bus_ms_p99" in there.timing
    # A log says nothing of where its units lived: it is replayed in this process.
    assert replay_log(there.log_path, tmp_path / "c").same


@pytest.mark.long
@pytest.mark.parametrize("scene", sorted(library()))
def test_every_library_scene_has_the_same_digest_at_full_length(scene: str, tmp_path: Path) -> None:
    here = run(scene, tmp_path / "a")
    assert run(scene, tmp_path / "b", carrier=Carrier()).digest == here.digest


def start_by_hand(names: list[str], address: str, pause_s: float) -> list[Thread]:
    def late() -> None:
        for name in names:
            time.sleep(pause_s)
            Thread(target=run_unit, args=(name, address, None, None, 30.0), daemon=True).start()

    thread = Thread(target=late, daemon=True)
    thread.start()
    return [thread]


def test_units_from_outside_may_join_late_and_in_any_order(tmp_path: Path) -> None:
    short = ("duration_s=6",)
    here = run("brt_corridor", tmp_path / "a", *short)
    address = f"ipc://{tmp_path}/bus"
    names = ["rsu/J3", "fleet", "rsu/J1", "obu/bus1", "rsu/J4", "rsu/J2"]
    start_by_hand(names, address, 0.3)
    begun = time.monotonic()
    external = f"bus.external={json.dumps(names)}"
    there = run("brt_corridor", tmp_path / "b", *short, external, carrier=Carrier(address))
    assert time.monotonic() - begun >= 0.3 * len(names)
    assert there.digest == here.digest


def test_a_unit_that_does_not_come_is_an_infrastructure_error_with_a_readable_log(
    tmp_path: Path,
) -> None:
    with pytest.raises(UnitError, match=r"rsu/J1, .* did not join .* within 0\.5 s"):
        run(
            "brt_corridor", tmp_path, "duration_s=5", 'bus.external=["rsu/J1"]', "bus.join_s=0.5",
            carrier=Carrier(starts=False),
        )  # fmt: skip
    assert LogReader.open(tmp_path / "run.mcap", recover=True).header().scenario == "brt_corridor"


def icv(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sim.cli", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_stopped_unit_ends_the_run_in_time_with_code_three(
    sign: signal.Signals, tmp_path: Path
) -> None:
    process = icv(
        "run", "brt_corridor", "--bus", "zmq", "--no-picture", "-q", "--out", str(tmp_path), "--set", "bus.answer_s=1.0",
    )  # fmt: skip
    log = tmp_path / "run.mcap"
    deadline = time.monotonic() + 60.0
    while (not log.exists() or log.stat().st_size < 300_000) and time.monotonic() < deadline:
        time.sleep(0.05)  # well under way
    children = subprocess.run(
        ["pgrep", "-f", "unit rsu/J2 --connect"], capture_output=True, text=True, check=False
    ).stdout.split()  # fmt: skip
    own = [int(p) for p in children if _parent(int(p)) == process.pid]
    assert len(own) == 1
    os.kill(own[0], sign)
    begun = time.monotonic()
    _, error = process.communicate(timeout=30.0)
    assert process.returncode == 3
    assert time.monotonic() - begun < 25.0
    assert re.search(r"unit rsu/J2 (died )?at tick \d+ \(t=[\d.]+ s\)", error), error
    assert ("SIGKILL" in error) == (sign == signal.SIGKILL), error
    assert not _alive(own[0])
    reader = LogReader.open(log)  # valid to the end, without recovering
    assert reader.digests().tick.size > 100
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["exit_code"] == 3
    assert "rsu/J2" in result["sentence"]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_real_time_holds_the_run_back_and_lateness_is_reported(tmp_path: Path) -> None:
    here = run("smart_island", tmp_path / "a", "duration_s=2")
    begun = time.monotonic()
    there = run("smart_island", tmp_path / "b", "duration_s=2", realtime=True)
    assert time.monotonic() - begun >= 1.99
    assert there.digest == here.digest
    assert there.timing["lateness_ms_max"] >= there.timing["lateness_ms_mean"] >= 0.0
    assert 0.0 <= there.timing["late_share"] <= 1.0


def test_the_tap_publishes_what_the_log_holds_and_changes_nothing(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/tap"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    reader = context.socket(zmq.SUB)
    reader.setsockopt(zmq.RCVHWM, 0)
    reader.setsockopt(zmq.RCVTIMEO, 2_000)
    reader.subscribe(b"v2x/spat")
    sleeper = context.socket(zmq.SUB)  # never reads
    sleeper.subscribe(b"")
    reader.connect(address)
    sleeper.connect(address)
    plain = run("brt_corridor", tmp_path / "a", "duration_s=4")
    tapped = run("brt_corridor", tmp_path / "b", "duration_s=4", tap=address, realtime=True)
    assert tapped.digest == plain.digest
    heard = []
    while True:
        try:
            topic, sender, record = reader.recv_multipart()
        except zmq.Again:
            break
        heard.append((topic.decode(), sender.decode(), struct.unpack_from("<q", record)[0], record[8:]))  # fmt: skip
    assert len(heard) > 100  # 4 units, 10 Hz, from when the subscription was there
    logged = {
        (m.topic, m.sender, m.t_ns, m.data)
        for m in LogReader.open(tapped.log_path).messages("v2x/spat")
    }
    assert set(heard) <= logged
    for socket in (reader, sleeper):
        socket.close(0)
    context.term()
