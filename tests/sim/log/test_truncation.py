"""A log of a real run, cut at a thousand random places: every chunk that is complete is read, and what is missing is said."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mcap.records import Channel, Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk

from protocols.errors import LogError
from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader

CUTS = 1_000
SAYS = re.compile(
    r"(breaks off|ends at byte|damaged).*; its records up to t=(\d+\.\d\d) s are there, what came after is missing"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of the corridor: a few chunks of a megabyte."""
    loaded = load_scene(Path("brt_corridor"), ("duration_s=30",))
    folder = tmp_path_factory.mktemp("run")
    return run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False)).log_path  # fmt: skip


def test_a_log_cut_at_a_thousand_places(whole: Path, tmp_path: Path) -> None:
    epoch = LogReader.open(whole).header().epoch_ns
    ends, until, held = (
        [],
        [],
        [],
    )  # per chunk by the stock reader: where it ends, its last time, samples so far
    topic: dict[int, str] = {}
    with whole.open("rb") as file:
        stream = StreamReader(file, emit_chunks=True)
        for record in stream.records:
            if isinstance(record, Chunk):
                inside = breakup_chunk(record)
                topic |= {r.id: r.topic for r in inside if isinstance(r, Channel)}
                stamps = [r for r in inside if isinstance(r, Message)]
                count = sum(topic[r.channel_id] == "truth/world" for r in stamps)
                ends.append(file.tell())
                until.append(max(r.log_time for r in stamps) - epoch)
                held.append(count + (held[-1] if held else 0))
    assert len(ends) >= 4
    samples = [sample.t_ns for sample in LogReader.open(whole).world()]
    assert len(samples) == held[-1]
    size = whole.stat().st_size
    places = np.unique(np.random.default_rng(11).integers(1, size, CUTS + 50))[:CUTS]
    assert places.size == CUTS
    cut = tmp_path / "cut.mcap"
    shutil.copy(whole, cut)
    read = 0
    for place in places[::-1].tolist():
        os.truncate(cut, place)
        with pytest.raises(LogError):
            LogReader.open(cut)
        if place < ends[0]:
            continue  # not even the header: below
        reader = LogReader.open(cut, recover=True)
        assert reader.lost is not None
        said = SAYS.search(reader.lost)
        assert said, reader.lost
        complete = int(np.count_nonzero(np.array(ends) <= place))
        assert float(said[2]) >= max(until[:complete]) / 1e9 - 0.006
        found = [sample.t_ns for sample in reader.world()]
        assert found == samples[: len(found)]
        assert len(found) >= held[complete - 1]
        read += 1
    assert read > 0.9 * CUTS


def test_a_log_cut_before_its_header_is_refused(whole: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mcap"
    for place in (1, 7, 8, 20, 60, 100):
        cut.write_bytes(whole.read_bytes()[:place])
        with pytest.raises(LogError, match="cut\\.mcap: "):
            LogReader.open(cut, recover=True)
