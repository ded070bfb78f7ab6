"""A stock MCAP command line (pymcap-cli) on our logs: checks them against the format, counts them, saves what is left of cut ones, and
writes them anew, which ours reads as the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mcap.reader import make_reader

from protocols.errors import LogError
from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.diff.compare import diff_logs
from sim.diff.model import Kind
from sim.log.scan import read_chunk, records, scan
from sim.report.pack.build import build_pack
from sim.rerun import replay_log

TOOL = Path(sys.executable).with_name("pymcap-cli")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of the corridor: several chunks."""
    loaded = load_scene(Path("brt_corridor"), ("duration_s=40", "vehicles.0.depart_s=2"))
    folder = tmp_path_factory.mktemp("run")
    out = run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False))
    return out.log_path


def tool(*arguments: object, code: int = 0) -> str:
    if not TOOL.exists():
        pytest.skip("pymcap-cli is not installed: pip install pymcap-cli")
    done = subprocess.run(
        [str(TOOL), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout


def ours(log: Path) -> Counter[str]:
    """Messages by topic in the chunks that our reader recovers."""
    found = scan(log, recover=True)
    out: Counter[str] = Counter()
    with log.open("rb") as file:
        for chunk in found.chunks:
            raw = read_chunk(file, chunk, log)
            out.update(found.channels[one.channel].topic for one in records(raw, found))
    return out


def findings(log: Path, code: int = 0) -> list[dict[str, str]]:
    said = tool("doctor", "--format", "jsonl", log, code=code)
    lines = [json.loads(line) for line in said.splitlines()]
    return [line for line in lines if line.get("type") == "finding"]


def test_the_doctor_finds_nothing_wrong_and_would(log: Path, tmp_path: Path) -> None:
    found = findings(log)
    assert [line for line in found if line["severity"] == "error"] == []
    # A topic has a channel for each sender, whose name is in its metadata.
    assert {line["code"] for line in found if line["severity"] == "warning"} == {"CHANNEL_TOPIC_DUPLICATE"}  # fmt: skip
    bad = bytearray(log.read_bytes())
    bad[len(bad) // 2] ^= 0x10
    (tmp_path / "bad.mcap").write_bytes(bad)
    assert any(line["severity"] == "error" for line in findings(tmp_path / "bad.mcap", 1))


def test_it_counts_what_we_count(log: Path) -> None:
    told = json.loads(tool("info-json", log))
    counted: Counter[str] = Counter()
    for channel in told["channels"]:
        counted[channel["topic"]] += channel["message_count"]
    assert counted == ours(log) and told["statistics"]["message_count"] == sum(counted.values())
    assert (told["header"]["library"], told["header"]["profile"]) == ("icv", "icv")


@pytest.mark.parametrize("share", [0.35, 0.7, 0.97])
def test_what_it_saves_of_a_cut_log_we_read_too(log: Path, tmp_path: Path, share: float) -> None:  # fmt: skip
    data = log.read_bytes()
    cut, saved = tmp_path / "cut.mcap", tmp_path / "saved.mcap"
    cut.write_bytes(data[: int(share * len(data))])
    tool("recover", cut, saved, code=3)
    with saved.open("rb") as file:
        theirs = Counter(channel.topic for _, channel, _ in make_reader(file).iter_messages())
    mine = ours(cut)
    assert theirs and mine >= theirs  # ours goes into the chunk that broke off too
    assert scan(cut, recover=True).lost is not None


WAYS = {
    "as it is": ("compress",),
    "lz4": ("compress", "--compression", "lz4"),
    "not compressed": ("decompress",),
    "small chunks": ("sort", "--order", "log_time", "--chunk-size", "200000"),
    "by topic, lz4": ("sort", "--order", "topic", "--chunk-size", "200000", "--compression", "lz4"),
    "a chunk for each topic": ("rechunk", "--strategy", "all"),
    "without checksums": ("sort", "--order", "preserve", "--no-crc"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_log_that_it_wrote_anew_is_the_same_run(log: Path, tmp_path: Path, way: str) -> None:
    anew = tmp_path / "anew.mcap"
    tool(*WAYS[way], log, "-o", anew)
    assert anew.read_bytes() != log.read_bytes()
    assert scan(anew, recover=False).lost is None and ours(anew) == ours(log)
    found = diff_logs(log, anew)
    assert not any(row.extra or row.missing or row.differing for row in found.topics)
    # Where records are in another order inside a tick, that is told, and nothing else.
    assert found.is_same or (found.cause is not None and found.cause.kind is Kind.ORDER)
    assert replay_log(anew, tmp_path / "again").same
    one, two = (build_pack(path).manifest["meta"] for path in (log, anew))
    for key in ("outcome", "criteria", "numbers", "facts", "events", "actors", "vehicles", "duration_s", "lost"):  # fmt: skip
        assert one[key] == two[key], key
    assert set(one["topics"]) == set(two["topics"])  # numbered as they are met


def test_a_flipped_bit_is_found_whatever_the_compression(log: Path, tmp_path: Path) -> None:
    for way in ("lz4", "not compressed"):
        anew = tmp_path / "anew.mcap"
        tool(*WAYS[way], log, "-o", anew, "--force")
        chunk = scan(anew, recover=False).chunks[-1]
        data = bytearray(anew.read_bytes())
        data[chunk.at + chunk.length // 2] ^= 0x04
        anew.write_bytes(data)
        with pytest.raises(LogError, match=r"is damaged|does not have its checksum"):
            ours(anew)
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(data[: chunk.at + chunk.length // 3])
        assert ours(cut) and ours(cut) < ours(log)
