"""Broken, foreign and malicious logs: as much as is there is shown, or one sentence says why not; nothing gets out of its place."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.errors import IcvError, LogError
from protocols.messages import ActorKind
from protocols.v1 import log_pb2, world_pb2
from protocols.wire import packed, text
from sim.log.container import Container
from sim.log.header import RunHeader, to_bytes
from sim.log.scan import Chunk, scan
from sim.report.html import Page, policy, render, write_report
from sim.report.pack import Pack, build_pack
from sim.report.pack.source import BLOCK_NS, Source
from tests.report_pack.pack_reading import blocks

EVIL = '"></script><script>alert(1)</script><!--'


def test_a_log_cut_anywhere_shows_what_is_there(corridor: Path, tmp_path: Path) -> None:
    whole = build_pack(corridor)
    frames = [t for part in blocks(whole, "world") for t in part["t"].tolist()]
    data = corridor.read_bytes()
    cut = tmp_path / "run.mcap"
    shown = 0
    for place in np.random.default_rng(5).integers(1, len(data), 12).tolist():
        cut.write_bytes(data[:place])
        try:
            pack = build_pack(cut)
        except LogError as error:
            assert place < 20_000 and str(cut) in str(error)  # not even the header is whole
            continue
        meta = pack.manifest["meta"]
        assert meta["lost"]
        if meta["outcome"] == "incomplete":
            assert meta["criteria"] == [] and "never came to its end" in meta["sentence"]
        there = [t for part in blocks(pack, "world") for t in part["t"].tolist()]
        assert there == frames[: len(there)]
        assert meta["duration_s"] <= whole.manifest["meta"]["duration_s"]
        for part, said in zip(blocks(pack, "messages"), blocks(pack, "fates"), strict=False):
            assert part["rows"].sum() * len(meta["receivers"]) == said["fate"].size
        shown += len(there)
    assert shown > 100


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "do not begin like an MCAP"),
        (b"hello, this is no log at all", "do not begin like an MCAP"),
        (b"\x89MCAP0\r\n", "nothing can be recovered"),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(data: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    with pytest.raises(LogError, match=what):
        build_pack(path)


def test_a_damaged_chunk_is_refused_by_its_place(corridor: Path, tmp_path: Path) -> None:
    data = bytearray(corridor.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path = tmp_path / "run.mcap"
    path.write_bytes(data)
    with pytest.raises(LogError, match="chunk at byte"):
        build_pack(path)


class Log:
    """Writes logs that no run would."""

    def __init__(self, path: Path, scenario: str = "made up") -> None:
        self.path = path
        self.epoch = 1_700_000_000_000_000_000
        self.out = Container(path)
        self.channels: dict[tuple[str, str], int] = {}
        head = RunHeader(scenario, "{}", 1, "", 10_000_000, epoch_ns=self.epoch)
        self.add("log/header", log_pb2.RunHeader, 0, to_bytes(head))

    def add(self, topic: str, kind: type, t_ns: int, data: bytes, sender: str = "sim") -> None:
        key = (topic, sender)
        if key not in self.channels:
            self.channels[key] = self.out.channel(topic, kind, {"sender": sender})
        self.out.add(self.channels[key], self.epoch + t_ns, data)

    def world(self, t_ns: int, ids: list[int], x: list[float]) -> None:
        zero = [0.0] * len(ids)
        state = world_pb2.WorldState(
            t_ns=t_ns, id=ids, x_m=x, y_m=zero, z_m=zero, yaw_rad=zero, speed_mps=zero, accel_mps2=zero,
            hitch_rad=zero, lane=[0] * len(ids), flags=[0] * len(ids), doors=[0] * len(ids),
        )  # fmt: skip
        self.add("truth/world", world_pb2.WorldState, t_ns, state.SerializeToString())

    def radio(
        self, t_ns: int, receivers: list[str], fate: list[int], sender: str = "obu/a"
    ) -> None:
        data = b"".join(
            [b"\x08\x01"]
            + [text(2, name) for name in receivers]
            + [text(3, sender), text(4, "v2x/bsm")]
            + [packed(5, np.array([7], np.uint32)), packed(6, np.array([1], np.uint32))]
            + [packed(7, np.array(fate, np.uint8))]
            + [packed(8, np.full(fate.count(1), 123, np.uint32))]
        )
        self.add("log/radio", log_pb2.RadioFates, t_ns, data)

    def pack(self) -> Pack:
        self.out.close()
        return build_pack(self.path)


def test_receivers_that_join_late_or_in_another_order_keep_their_columns(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    log.radio(0, ["a", "b"], [1, 2])
    log.radio(31_000_000_000, ["b", "c", "a"], [1, 3, 0])
    pack = log.pack()
    assert pack.manifest["meta"]["receivers"] == ["a", "b", "c"]
    first, second = blocks(pack, "fates")
    assert first["fate"].tolist() == [1, 2, 0] and first["latency_us"].tolist() == [123, 0, 0]
    assert second["fate"].tolist() == [0, 1, 3] and second["latency_us"].tolist() == [0, 123, 0]


def test_a_chunk_of_countless_empty_records_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.report.pack.source.MAX_RECORDS", 50)
    log = Log(tmp_path / "few.mcap")
    log.world(0, [1], [0.0])
    log.pack()
    log = Log(tmp_path / "many.mcap")
    for k in range(60):
        log.world(k, [1], [0.0])
    with pytest.raises(LogError, match="a chunk of more than 50 records"):
        log.pack()


@pytest.mark.parametrize(
    ("receivers", "fate"), [(["a"], [1, 1]), (["a", "b"], [1]), (["a"], [99]), ([], [1])]
)
def test_radio_records_that_do_not_add_up_are_refused(
    receivers: list[str], fate: list[int], tmp_path: Path
) -> None:
    log = Log(tmp_path / "run.mcap")
    log.radio(0, receivers, fate)
    with pytest.raises(LogError, match="radio record is damaged"):
        log.pack()


def test_a_world_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    log.world(0, [1, 2], [0.0, float("nan")])
    with pytest.raises(LogError, match=r"x_m\[1\] = nan"):
        log.pack()


def test_columns_that_are_not_equally_long_are_refused(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    log.world(0, [1, 2, 3], [0.0, 1.0])
    with pytest.raises(LogError, match="rows"):
        log.pack()


def test_a_stamp_of_another_age_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    log.world(0, [1], [0.0])
    log.out.flush()
    log.world(10**17, [1], [0.0])
    with pytest.raises(LogError, match="claims to end"):
        log.pack()


def test_a_record_of_garbage_is_refused(tmp_path: Path) -> None:
    for topic, kind in (("truth/event", log_pb2.Event), ("truth/trace", world_pb2.VehicleTrace), ("log/note", log_pb2.Note)):  # fmt: skip
        log = Log(tmp_path / "run.mcap")
        log.add(topic, kind, 0, b"\xff\xff\xff\xff")
        with pytest.raises(LogError):
            log.pack()


class Counted(list[Chunk]):
    """Counts how often one of its items is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Chunk]:
        for item in super().__iter__():
            self.looks += 1
            yield item

    def __getitem__(self, key: Any) -> Any:
        self.looks += 1
        return super().__getitem__(key)


def tiny_chunks(path: Path, count: int, num_blocks: int) -> Path:
    """A log of `count` chunks of one message each, over `num_blocks` blocks."""
    log = Log(path)
    log.out.flush()
    for k in range(count):
        log.world((num_blocks * BLOCK_NS - 1) * k // count, [1], [float(k)])
        log.out.flush()
    log.out.close()
    return path


@pytest.mark.parametrize(("count", "num_blocks"), [(200, 100), (800, 400), (50, 800)])
def test_reading_block_by_block_looks_at_each_of_many_tiny_chunks_a_few_times(
    count: int, num_blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks x blocks would be 20,000 to 320,000 looks, and as many for the weights."""
    path = tiny_chunks(tmp_path / "run.mcap", count, num_blocks)
    found = scan(path, recover=True)
    found.chunks = chunks = Counted(found.chunks)
    walked: list[Chunk] = []
    monkeypatch.setattr(Source, "_walk", lambda self, chunk, epoch, walk=Source._walk: walked.append(chunk) or walk(self, chunk, epoch))  # type: ignore[func-returns-value]  # fmt: skip
    source = Source(found)
    weights = source.block_bytes()
    parts = [source.block(number) for number in range(source.num_blocks)]
    assert chunks.looks <= 10 * (count + 1) and len(walked) <= count + 2
    # And nothing is lost: each message in its block, each chunk's bytes in its blocks.
    at = [int(t) // BLOCK_NS for rows in parts for part in rows for t in part.t_ns]
    assert len(at) == count + 1 and at == sorted(at)
    assert [sum(part.t_ns.size for part in rows) for rows in parts] == np.bincount(at, minlength=source.num_blocks).tolist()  # fmt: skip
    assert len(weights) == source.num_blocks and min(weights) >= 0
    assert sum(weights) == sum(chunk.length for chunk in found.chunks)


def test_chunks_that_all_reach_over_the_whole_run_are_refused_before_each_is_read_for_each_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wide(name: str, count: int, num_blocks: int) -> Log:
        log = Log(tmp_path / name)
        log.out.flush()
        log.out._chunk_ns = 10**18
        for _ in range(count):
            log.world(0, [1], [0.0])
            log.world(num_blocks * BLOCK_NS - 1, [1], [0.0])
            log.out.flush()
        log.out.close()
        return log

    with pytest.raises(LogError, match=r"401 chunks claim to reach over 39\d blocks of 30 s each"):
        Source.open(wide("wide.mcap", 400, 400).path)
    # What another program has packed into large chunks is read all the same.
    large = Source.open(wide("large.mcap", 20, 40).path)
    assert sum(part.t_ns.size for k in range(40) for part in large.block(k)) == 41


def drive(path: Path, far_m: float, step_ns: int) -> Log:
    """A vehicle that is somewhere else for one row of its trace, beside another."""
    log = Log(path)
    size = {n: [1.0, 1.0] for n in ("length_m", "width_m", "height_m", "wheelbase_m", "rear_overhang_m", "hitch_x_m", "rear_length_m")}  # fmt: skip
    actor = world_pb2.ActorDescriptions(id=[1, 2], kind=[ActorKind.CAR] * 2, **size)  # type: ignore[arg-type]
    log.add("truth/actor", world_pb2.ActorDescriptions, 0, actor.SerializeToString())
    log.world(0, [1, 2], [0.0, 5.0])
    trace = world_pb2.VehicleTrace(name="a", id=1, step_ns=step_ns)
    for field in trace.DESCRIPTOR.fields:
        if field.number >= 5:
            getattr(trace, field.name).extend([0] * 20)
    trace.x_m[10] = far_m
    log.add("truth/trace", world_pb2.VehicleTrace, 0, trace.SerializeToString(), sender="a")
    return log


def test_a_kilobyte_that_asks_for_gigabytes_gets_none(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        for far_m in (1e9, 1e13):  # sampled every metre
            meta = drive(tmp_path / "far.mcap", far_m, 10_000_000).pack().manifest["meta"]
            assert "a" in meta["vehicles"]
        for step_ns in (1, 0, 10**12):  # a filter of half a second
            with pytest.raises(LogError, match=f"a trace with a row every {step_ns} ns"):
                drive(tmp_path / "fine.mcap", 1.0, step_ns).pack()
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


class Scripts(HTMLParser):
    """Scripts of a page as a browser's tokenizer sees them, and everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.links: list[str] = []
        self._open: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[name]) for name in ("src", "href") if name in found]
        if tag == "script":
            self._open = found
            self.scripts.append((found, ""))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            attrs, before = self.scripts[-1]
            self.scripts[-1] = (attrs, before + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._open = None


PAGE = Page(
    '<!doctype html><html lang="en"><head><title>icv</title><link rel="stylesheet" href="viewer.css" /></head>'
    '<body><div id="icv"></div><script src="viewer.js" defer></script></body></html>',
    'const end = "</script>", open = "<!-- <script>";',
    "body { margin: 0 }",
)


def evil(tmp_path: Path) -> Pack:
    """A pack in which every name tries to break out."""
    log = Log(tmp_path / "run.mcap", scenario=EVIL)
    actor = world_pb2.ActorDescriptions(id=[1], kind=[ActorKind.CAR], **{n: [1.0] for n in ("length_m", "width_m", "height_m", "wheelbase_m", "rear_overhang_m", "hitch_x_m", "rear_length_m")})  # type: ignore[arg-type]  # fmt: skip
    log.add("truth/actor", world_pb2.ActorDescriptions, 0, actor.SerializeToString())
    event = log_pb2.Event(t_ns=0, kind=EVIL, subject=EVIL, text=EVIL, value={EVIL: 1.0})
    log.add("truth/event", log_pb2.Event, 0, event.SerializeToString())
    log.world(0, [1], [0.0])
    log.radio(0, [EVIL], [1], sender=EVIL)
    trace = world_pb2.VehicleTrace(name=EVIL, id=1, step_ns=10_000_000)
    for field in trace.DESCRIPTOR.fields:
        if field.number >= 5:
            getattr(trace, field.name).append(0)
    log.add("truth/trace", world_pb2.VehicleTrace, 0, trace.SerializeToString(), sender=EVIL)
    result = log_pb2.RunResult(result_json='{"outcome": "</script>", "sentence": "\\ud800 <!--", "criteria": [{"name": 5, "t_s": NaN}]}')  # fmt: skip
    log.add("log/result", log_pb2.RunResult, 0, result.SerializeToString())
    return log.pack()


def test_names_in_a_log_cannot_leave_their_place_in_the_page(tmp_path: Path) -> None:
    pack = evil(tmp_path)
    html = "".join(render(PAGE, [pack, pack]))
    reader = Scripts()
    reader.feed(html)
    kinds = [attrs.get("class") or attrs.get("type") or "code" for attrs, _ in reader.scripts]
    count = len(pack.sections)
    assert kinds == [*["application/json", *["icv-section"] * count] * 2, "code"]
    keys = [attrs["data-key"] for attrs, _ in reader.scripts if attrs.get("class")]
    assert keys == list(pack.sections) * 2 and any(EVIL in str(key) for key in keys)
    assert reader.links == []
    code = reader.scripts[-1][1]
    assert "alert" not in code and "</script" not in code and "<!--" not in code
    assert html.count("Content-Security-Policy") == 1
    assert policy(code) in html and "script-src 'sha256-" in policy(code)


def test_a_page_that_is_not_built_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(IcvError, match="npm"):
        Page.load(tmp_path)


def test_a_report_is_one_file_that_asks_nothing_of_the_network(
    corridor: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    pack = write_report(corridor, out)
    text = out.read_text(encoding="utf-8")
    reader = Scripts()
    reader.feed(text)
    assert [link for link in reader.links if not link.startswith("data:")] == []
    assert len(reader.scripts) == len(pack.sections) + 2
    assert policy(reader.scripts[-1][1]) in text  # the browser will run it
    assert not re.search(r"@import|url\((?!['\"]?data:)", text[: text.index("icv-manifest")])
    assert out.stat().st_size < 15_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_frames_of_nobody_are_still_frames(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    log.world(0, [], [])
    log.world(200_000_000, [4], [1.0])
    (part,) = blocks(log.pack(), "world")
    assert part["t"].tolist() == [0, 200]
    assert [b - a for a, b in pairwise(part["start"].tolist())] == [0, 1]
