"""A run in progress is viewed while it grows: as a log that is still written, and through its tap."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from mcap.reader import make_reader

from protocols.errors import ConfigError, InfrastructureError
from sim.log.reader import LogReader
from sim.report.pack.columns import unpack
from sim.tap import Tap
from sim.viewer import server
from sim.viewer.opened import OpenRun
from sim.viewer.shelf import Shelf
from sim.viewer.tapped import TapRecorder
from tests.report_pack.pack_reading import table_of
from tests.viewer_server.serving import serving


def pieces(path: Path, count: int) -> list[bytes]:
    """A log cut into `count` pieces anywhere."""
    data = path.read_bytes()
    step = -(-len(data) // count)
    return [data[at : at + step] for at in range(0, len(data), step)]


def shown(run: OpenRun) -> dict[str, Any]:
    """Everything the viewer could ask for."""
    manifest = run.manifest
    out = {}
    for key, entry in manifest["sections"].items():
        data = run.section(key)
        assert data is not None
        columns = unpack(data, table_of(manifest, key), entry)
        out[key] = {name: column.tolist() for name, column in columns.items()}
    return out


def test_a_growing_log_ends_up_as_if_it_had_always_been_whole(folder: Path, tmp_path: Path) -> None:
    source = folder / "first" / "run.mcap"
    path = tmp_path / "run.mcap"
    first, *rest = pieces(source, 7)
    path.write_bytes(first)
    run = OpenRun(path, is_live=True)
    before = run.manifest["meta"]
    assert before["live"] and before["outcome"] == "running" and before["lost"] is None
    assert not run.refresh()  # nothing new
    durations = [before["duration_s"]]
    for piece in rest:
        with path.open("ab") as file:
            file.write(piece)
        run.refresh()
        shown(run)
        durations.append(run.manifest["meta"]["duration_s"])
    assert durations == sorted(durations) and len(set(durations)) >= 3
    assert not run.is_live and not run.manifest["meta"]["live"]
    whole = OpenRun(source)
    assert shown(run).keys() == shown(whole).keys()
    assert run.manifest["meta"]["criteria"] == whole.manifest["meta"]["criteria"]
    for key, value in shown(whole).items():
        assert repr(shown(run)[key]) == repr(value), key


def test_a_page_is_told_what_is_new(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LIVE_STEP_S", 0.02)
    root, static = tmp_path / "runs", tmp_path / "static"
    root.mkdir()
    static.mkdir()
    first, *rest = pieces(folder / "first" / "run.mcap", 4)
    path = root / "run.mcap"
    path.write_bytes(first)
    with serving(root, static) as client:
        (line,) = client.get("/api/runs").json()
        assert line["live"]
        known = client.get(f"/api/run/{line['id']}/manifest").json()
        with client.socket("/api/live", f"http://127.0.0.1:{client.port}") as live:
            growth = json.loads(live.recv(10))
            assert growth["meta"]["scenario"] == "smart_island" and not growth["done"]
            for piece in rest:
                with path.open("ab") as file:
                    file.write(piece)
                growth = json.loads(live.recv(10))
                known["meta"] |= growth["meta"]
                known["sections"] |= growth["sections"]
                known["tables"] = growth["tables"]
        assert growth["done"]
        final = client.get(f"/api/run/{line['id']}/manifest").json()
    assert known["meta"] == final["meta"] and known["sections"] == final["sections"]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/tap"


def records(path: Path) -> Iterator[tuple[str, str, int, bytes]]:
    """(topic, sender, t_ns, data) of a log in order, as a run publishes them."""
    epoch = LogReader.open(path).header().epoch_ns
    with path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages(log_time_order=False):
            if not channel.topic.startswith("foxglove"):
                yield channel.topic, channel.metadata["sender"], message.log_time - epoch, message.data  # fmt: skip


def test_a_tap_is_recorded_as_the_run_records_itself(
    folder: Path, tmp_path: Path, address: str
) -> None:
    source = folder / "second one!" / "run.mcap"
    tap = Tap(address)
    recorder = TapRecorder(address, tmp_path / "live.mcap")
    everything = list(records(source))
    assert everything[0][0] == "log/header"
    tap.publish(*everything[0])
    deadline = time.monotonic() + 10
    while not recorder._ready.is_set() and time.monotonic() < deadline:
        tap.publish(
            "nothing/known", "sim", 0, b""
        )  # a newcomer is noticed when something is published
        time.sleep(0.02)
    recorder.wait(1.0)
    for k, record in enumerate(everything[1:]):
        tap.publish(*record)
        if k % 200 == 0:
            time.sleep(0.05)  # a run takes its time too
    time.sleep(0.5)
    recorder.close()
    tap.close()
    ours, theirs = LogReader.open(tmp_path / "live.mcap"), LogReader.open(source)
    assert ours.lost is None and recorder.problem is None
    assert ours.header() == theirs.header() and ours.result() == theirs.result()

    def messages(log: LogReader) -> list[Any]:
        return sorted((m.t_ns, m.topic, m.sender, m.seq, m.data) for m in log.messages())

    assert messages(ours) == messages(theirs)
    for ours_tick, theirs_tick in zip(ours.fates(), theirs.fates(), strict=True):
        assert ours_tick.t_ns == theirs_tick.t_ns and (ours_tick.fate == theirs_tick.fate).all()
    assert [w.t_ns for w in ours.world()] == [w.t_ns for w in theirs.world()]
    assert ours.actors().id.tolist() == theirs.actors().id.tolist()


def test_who_comes_late_gets_header_actors_and_lights_first(folder: Path, address: str) -> None:
    tap = Tap(address)
    half = list(records(folder / "second one!" / "run.mcap"))[:800]
    for record in half:
        tap.publish(*record)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    late = context.socket(zmq.SUB)
    late.setsockopt(zmq.RCVTIMEO, 500)
    late.subscribe(b"")
    late.connect(address)
    time.sleep(0.3)
    tap.publish("truth/event", "sim", 7, b"now")
    heard = []
    try:
        while True:
            heard.append(late.recv_multipart())
    except zmq.Again:
        pass
    topics = [frames[0].decode() for frames in heard]
    assert topics[0] == "log/header" and topics[-1] == "truth/event"
    described = [(t, d) for topic, _, t, d in half if topic == "truth/actor"]
    told = [(struct.unpack_from("<q", f[2])[0], f[2][8:]) for f in heard if f[0] == b"truth/actor"]
    assert told == described
    assert topics.count("truth/signal") == 1
    late.close(0)
    context.term()
    tap.close()


def test_garbage_on_a_tap_does_no_harm(folder: Path, tmp_path: Path, address: str) -> None:
    tap = Tap(address)
    recorder = TapRecorder(address, tmp_path / "live.mcap")
    header = next(iter(records(folder / "second one!" / "run.mcap")))
    deadline = time.monotonic() + 10
    while not recorder._ready.is_set() and time.monotonic() < deadline:
        tap.publish(*header)
        time.sleep(0.02)
    recorder.wait(1.0)
    for frames in ([b"x"], [b"a", b"b", b"c"], [b"\xff", b"\xff", bytes(9)], [b"t" * 100, b"", bytes(8)]):  # fmt: skip
        tap._socket.send_multipart(frames)
    tap.publish("truth/event", "sim", -5, b"")
    tap.publish("v2x/spat", "rsu/x", 5, b"\xff\xff")
    time.sleep(0.3)
    assert recorder.problem is None
    tap.publish(
        "log/radio", "sim", 5, b"\xff\xff\xff"
    )  # not even a radio record: recording ends with a sentence
    time.sleep(0.3)
    assert recorder.problem is not None and address in recorder.problem
    recorder.close()
    tap.close()
    assert [m.topic for m in LogReader.open(tmp_path / "live.mcap").messages()] == ["v2x/spat"]


def test_where_nobody_publishes_the_viewer_says_so(tmp_path: Path, address: str) -> None:
    recorder = TapRecorder(address, tmp_path / "live.mcap")
    with pytest.raises(InfrastructureError, match="icv run SCENE --realtime --tap"):
        recorder.wait(0.3)
    with pytest.raises(ConfigError, match="keys"):
        TapRecorder("tcp://10.1.2.3:5556", tmp_path / "x.mcap")


def test_a_log_that_was_written_to_just_now_is_a_run_in_progress(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.mcap"
    data = (folder / "first" / "run.mcap").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert [line["live"] for line in Shelf(tmp_path).lines()] == [True]
    os.utime(path, (1e9, 1e9))
    assert [line["live"] for line in Shelf(tmp_path).lines()] == [False]
    path.write_bytes(data)
    assert [line["live"] for line in Shelf(tmp_path).lines()] == [False]
