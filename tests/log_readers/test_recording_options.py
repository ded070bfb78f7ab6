"""Logs made with every option that decides what is recorded are read by the stock readers: mcap for Python, Foxglove's own, Rerun's loader.

Each finds every message that ours finds, with the schemas in the file, its checksums right and nothing left over.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from mcap.reader import make_reader

from sim.log.scan import learn, read_chunk, records, scan
from tests.log_readers.conftest import Read

RERUN = Path(sys.executable).with_name("rerun")
FAULTS = (
    'faults=[{kind="crash", unit="rsu/library", at_s=0.5, until_s=1.0}, {kind="garbage", unit="obu/shuttle1", at_s=0.3}, '
    '{kind="message_delay", at_s=0.0, delay_s=0.2}]'
)
OPTIONS: dict[str, list[str]] = {
    "as it comes": [],
    "every tick of the truth": ["--set", "record.truth_period_ms=10"],
    "hardly any truth": ["--set", "record.truth_period_ms=2000", "--set", "record.foxglove_period_ms=2000"],
    "nothing for other viewers": ["--set", "record.foxglove_period_ms=0"],
    "other viewers often": ["--set", "record.foxglove_period_ms=100"],
    "all inboxes": ["--set", 'record.inbox=["*"]'],
    "one inbox": ["--set", 'record.inbox=["rsu/library"]'],
    "another tick": ["--set", "tick_ms=5"],
    "no radio losses": ["--set", 'radio={model="ideal"}'],
    "faults": ["--set", FAULTS],
    "units as processes": ["--bus", "zmq"],
    "watched": ["--tap", "tcp://127.0.0.1:*"],
    "in real time": ["--realtime"],
    "a map alone": ["--map", "scenarios/roads/smart_island.xodr"],
}  # fmt: skip


@pytest.fixture(scope="module", params=OPTIONS)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the island."""
    folder: Path = tmp_path_factory.mktemp("run")
    options = OPTIONS[request.param]
    scene = [] if "--map" in options else ["smart_island"]
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli", "run", *scene, "--duration", "2", "--no-picture", "-q", "--out", str(folder), *options],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return folder / "run.mcap"


def counted(log: Path) -> Counter[str]:
    """Messages by topic, as our reader finds them; once more without the summary."""
    found = scan(log, recover=False)
    assert found.has_summary
    out: Counter[str] = Counter()
    with log.open("rb") as file:
        for chunk in found.chunks:
            out.update(found.channels[raw.channel].topic for raw in records(read_chunk(file, chunk, log), found))  # fmt: skip
    channels, before = dict(found.channels), list(found.chunks)
    found.channels.clear()
    learn(found)  # refuses chunks that hold other times than they say
    assert (found.channels, found.chunks) == (channels, before)
    return out


def test_every_stock_reader_finds_every_message(log: Path, read: Read, tmp_path: Path) -> None:
    ours = counted(log)
    assert python(log) == ours
    seen = read(log)
    assert {t: row["messages"] for t, row in seen["indexed"]["topics"].items()} == ours
    assert {t: row["messages"] for t, row in seen["streamed"]["topics"].items()} == ours
    assert {t for t, row in seen["indexed"]["topics"].items() if "changed" in row} == set()
    assert (seen["streamed"]["whole"], seen["streamed"]["left"], seen["streamed"]["unchecked"]) == (True, 0, 0)  # fmt: skip
    assert seen["indexed"]["differences"] == [] and seen["indexed"]["lacking"] == {}
    if not RERUN.exists():
        pytest.skip("rerun-sdk is not installed")
    done = subprocess.run(
        [str(RERUN), "mcap", "check", str(log)], env=os.environ | {"HOME": str(tmp_path), "RUST_LOG": "warn"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("ok", "warn", "err"))]  # fmt: skip
    assert len(rows) > 5 and {row[0] for row in rows} == {"ok"}


def python(log: Path) -> Counter[str]:
    """Messages by topic that the Python reader finds; each is decoded with the file's schema, without fields that it does not know."""
    out: Counter[str] = Counter()
    classes: dict[int, Any] = {}
    with log.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            if schema.id not in classes:
                pool = descriptor_pool.DescriptorPool()
                for proto in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
                    pool.Add(proto)
                found = pool.FindMessageTypeByName(schema.name)
                classes[schema.id] = message_factory.GetMessageClass(found)
            decoded = classes[schema.id].FromString(message.data)
            assert len(UnknownFieldSet(decoded)) == 0
            out[channel.topic] += 1
        summary = reader.get_summary()
    assert summary is not None and summary.statistics is not None
    assert summary.statistics.message_count == sum(out.values())
    return out
