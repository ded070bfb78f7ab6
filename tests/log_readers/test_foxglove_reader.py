"""The readers that Foxglove and Lichtblick are built on (npm: @mcap/core, @mcap/support, protobufjs) open our logs, with Node.js.

What they see is compared with what Python's reader sees, byte by byte, and with the run's own records; the `foxglove.*` schemas with
@foxglove/schemas. All of it skips, with the reason, where there is no Node.js or no registry.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import Writer

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.log.container import file_descriptor_set
from sim.log.foxglove import KINDS
from sim.log.reader import LogReader
from tests.log_readers.conftest import Read

DURATION_S, CUTS = 20, 80
ALL = "1000000"  # messages of a topic
Row = tuple[Schema | None, Channel, Message]


@pytest.fixture(scope="module")
def log(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corridor, with its articulated bus on the way."""
    loaded = load_scene(Path("brt_corridor"), (f"duration_s={DURATION_S}", "vehicles.0.depart_s=1"))
    folder = tmp_path_factory.mktemp("run")
    return run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False)).log_path  # fmt: skip


@pytest.fixture(scope="module")
def rows(log: Path) -> list[Row]:
    with log.open("rb") as file:
        return list(make_reader(file, validate_crcs=True).iter_messages())


@pytest.fixture(scope="module")
def moments(rows: list[Row]) -> list[int]:
    """Where a user may click: at a message, between two, and the ends of the log."""
    first, last = rows[0][2].log_time, rows[-1][2].log_time
    return [first, first + 1, first + 3_250_000_000, (first + last) // 2, last - 1, last]


@pytest.fixture(scope="module")
def seen(read: Read, log: Path, moments: list[int]) -> Any:
    return read(log, "--scenes", ALL, "--at", ",".join(map(str, moments)))


def test_all_checks_are_there_and_pass(seen: Any, rows: list[Row]) -> None:
    indexed, streamed = seen["indexed"], seen["streamed"]
    assert (indexed["profile"], indexed["library"]) == ("icv", "icv")
    assert indexed["compression"] == ["zstd"]
    assert indexed["encodings"] == ["protobuf"]
    assert indexed["summaryCrc"] != 0
    assert streamed["unchecked"] == 0  # chunks without a CRC
    assert streamed["chunks"] == indexed["chunks"] >= 3
    assert (streamed["whole"], streamed["left"]) == (True, 0)
    assert indexed["statistics"] == {
        "messages": len(rows), "first": str(rows[0][2].log_time), "last": str(rows[-1][2].log_time),
    }  # fmt: skip


def test_every_message_is_the_one_that_python_reads(seen: Any, rows: list[Row], log: Path) -> None:
    by_time = _tally((c.topic, m) for _, c, m in rows)
    indexed = {t: {k: v for k, v in row.items() if k != "changed"} for t, row in seen["indexed"]["topics"].items()}  # fmt: skip
    assert indexed == by_time
    assert {t: row["first"] for t, row in by_time.items() if t.startswith("foxglove/")}.keys() == {
        "foxglove/road", "foxglove/scene", "foxglove/tf", "foxglove/location/bus1",
    }  # fmt: skip
    chunks = [messages for _, messages in _chunks(log)]
    assert seen["streamed"]["topics"] == _tally(pair for chunk in chunks for pair in chunk)
    backwards = seen["indexed"]["backwards"]
    assert (backwards["messages"], backwards["turned"]) == (len(rows), 0)
    for topic, row in backwards["topics"].items():
        assert row | {"sha256": ""} == by_time[topic] | {"sha256": ""}


def test_a_seek_finds_what_was_last_said(seen: Any, rows: list[Row], moments: list[int]) -> None:
    public = [(c.topic, m.log_time) for _, c, m in rows if c.topic.startswith("foxglove/")]
    for moment in moments:
        found = seen["indexed"]["seeks"][str(moment)]
        assert found["last"] == {topic: str(t) for topic, t in sorted(public, key=lambda p: p[1]) if t <= moment}  # fmt: skip
        assert found["after"] == sum(t >= moment for _, t in public)


def test_nothing_is_unknown_to_its_schema(seen: Any) -> None:
    """Each message of each topic, ours too, decoded by the log's schema and written again, is the same bytes."""
    assert {t: row["changed"] for t, row in seen["indexed"]["topics"].items() if "changed" in row} == {}  # fmt: skip
    assert seen["indexed"]["schemas"]["foxglove/scene"] == "foxglove.SceneUpdate"
    assert seen["indexed"]["schemas"]["v2x/spat"] == "icv.v1.Spat"


def test_schemas_and_messages_are_what_foxglove_defines(seen: Any) -> None:
    assert seen["indexed"]["differences"] == []
    assert seen["indexed"]["lacking"] == {}


def test_values_are_the_ones_that_python_decodes(seen: Any, rows: list[Row]) -> None:
    shown = {topic: iter(found) for topic, found in seen["indexed"]["shown"].items()}
    compared = 0
    for _, channel, message in rows:
        if not channel.topic.startswith("foxglove/"):
            continue
        theirs = next(shown[channel.topic])
        assert theirs["logTime"] == str(message.log_time)
        ours: Any = KINDS["/".join(channel.topic.split("/", 2)[:2])].FromString(message.data)
        if isinstance(ours, SceneUpdate):
            assert theirs["entities"] == [_brief(entity) for entity in ours.entities]
        elif isinstance(ours, LocationFix):
            assert (theirs["latitude"], theirs["longitude"]) == (ours.latitude, ours.longitude)
        else:
            assert [(t["child_frame_id"], t["translation"], t["rotation"]) for t in theirs["transforms"]] == [
                (t.child_frame_id, _plain(t.translation), _plain(t.rotation)) for t in ours.transforms
            ]  # fmt: skip
        compared += 1
    assert compared > 6 * DURATION_S
    assert not [topic for topic, rest in shown.items() if next(rest, None)]


def test_boxes_and_frames_are_where_the_vehicles_are(seen: Any, log: Path) -> None:
    reader = LogReader.open(log)
    actors, epoch = reader.actors(), reader.header().epoch_ns
    row_of = {int(actor): k for k, actor in enumerate(actors.id)}
    worlds = {epoch + sample.t_ns: sample for sample in reader.world()}
    frames = {row["logTime"]: row["transforms"] for row in seen["indexed"]["shown"]["foxglove/tf"]}
    compared, driven = 0, []
    for update in seen["indexed"]["shown"]["foxglove/scene"]:
        world = worlds[int(update["logTime"])]
        found = {int(entity["id"].rsplit(" ", 1)[1]): entity for entity in update["entities"]}
        assert set(found) == set(world.id.tolist())
        for k, actor in enumerate(world.id.tolist()):
            entity, row = found[actor], row_of[actor]
            stamp = entity["timestamp"]
            assert stamp["sec"] * 10**9 + stamp["nsec"] == int(update["logTime"])
            box = entity["boxes"][0]
            yaw = 2 * math.atan2(box["orientation"]["z"], box["orientation"]["w"])
            back = float(actors.length_m[row]) / 2 - float(actors.rear_overhang_m[row])
            x = box["position"]["x"] - back * math.cos(yaw)
            y = box["position"]["y"] - back * math.sin(yaw)
            assert (x, y) == pytest.approx((world.x_m[k], world.y_m[k]), abs=1e-4)
            compared += 1
            if len(entity["boxes"]) == 2:
                (frame,) = frames[update["logTime"]]
                assert frame["child_frame_id"] == "bus1"
                assert (frame["translation"]["x"], frame["translation"]["y"]) == pytest.approx((x, y), abs=1e-4)  # fmt: skip
                driven.append(x)
    assert compared > 100
    assert driven[-1] - driven[0] > 30  # the bus has moved, and its box and frame with it


def test_a_log_that_breaks_off(read: Read, log: Path, tmp_path: Path) -> None:
    size = log.stat().st_size
    chunks = _chunks(log)
    ends = [end for end, _ in chunks]
    places = set(np.random.default_rng(5).integers(8, size, CUTS).tolist())
    places |= {end + by for end in ends for by in (-1, 0, 1)} | {8, size - 1}
    for part in read(log, "--cut", ",".join(map(str, sorted(places)))):
        complete = sum(end <= part["end"] for end in ends)
        assert part["chunks"] == complete
        assert part["messages"] == sum(len(messages) for _, messages in chunks[:complete])
        assert not part["whole"]
    # By its index it cannot be opened, and the viewers then read it as a stream.
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(log.read_bytes()[: ends[1] + 100])
    assert "[library=icv]" in read(cut, fails=True)


def test_damage_is_noticed(read: Read, log: Path, tmp_path: Path) -> None:
    whole, (first, _) = log.read_bytes(), _chunks(log)[0]
    bad = tmp_path / "bad.mcap"
    for at, says in ((first - 500, ("CRC", "zstd", "ZSTD")), (len(whole) - 100, ("summary CRC",))):
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        said = read(bad, fails=True)
        assert any(word in said for word in says), said


def test_no_log_is_said_in_one_line(read: Read, tmp_path: Path) -> None:
    text = tmp_path / "text.mcap"
    text.write_text("not a log\n" * 100)
    assert "magic" in read(text, fails=True)
    assert "ENOENT" in read(tmp_path / "none.mcap", fails=True)


def test_other_schemas_and_gaps_are_named(read: Read, tmp_path: Path) -> None:
    """The checks above can fail: a field by another name, one by another number, a line and a place with parts missing."""
    files = FileDescriptorSet.FromString(file_descriptor_set(LocationFix.DESCRIPTOR.file))
    (fix,) = [m for file in files.file for m in file.message_type if m.name == "LocationFix"]
    for field in fix.field:
        if field.name == "latitude":
            field.name = "lat"
        elif field.name == "longitude":
            field.number = 77
    scene = SceneUpdate()
    entity: Any = scene.entities.add(id="one")
    entity.lines.add().points.add(x=1.0)
    path = tmp_path / "other.mcap"
    writer = Writer(str(path))
    writer.start("icv", "icv")
    for topic, name, schema, data in (
        ("foxglove/location/x", "foxglove.LocationFix", files.SerializeToString(), LocationFix(latitude=1.0).SerializeToString()),
        ("foxglove/scene", "foxglove.SceneUpdate", file_descriptor_set(SceneUpdate.DESCRIPTOR.file), scene.SerializeToString()),
    ):  # fmt: skip
        channel = writer.register_channel(topic, "protobuf", writer.register_schema(name, "protobuf", schema))  # fmt: skip
        writer.add_message(channel, 1, data, 1)
    writer.finish()  # type: ignore[no-untyped-call]
    found = read(path)["indexed"]
    assert found["differences"] == [
        "foxglove.LocationFix.lat is not defined",
        'foxglove.LocationFix.longitude is "double = 77", defined as "double = 2"',
    ]
    assert {
        "foxglove/location/x: latitude", "foxglove/location/x: timestamp", "foxglove/location/x: position_covariance (9 values)",
        "foxglove/scene: entities[].lines[].pose", "foxglove/scene: entities[].lifetime",
    } <= set(found["lacking"])  # fmt: skip


def _chunks(log: Path) -> list[tuple[int, list[tuple[str, Message]]]]:
    """Per chunk, by Python's reader: where it ends, and its messages with their topics."""
    out: list[tuple[int, list[tuple[str, Message]]]] = []
    topics: dict[int, str] = {}
    with log.open("rb") as file:
        for record in StreamReader(file, emit_chunks=True).records:
            if isinstance(record, Chunk):
                inside = breakup_chunk(record, validate_crc=True)
                topics |= {r.id: r.topic for r in inside if isinstance(r, Channel)}
                out.append((file.tell(), [(topics[r.channel_id], r) for r in inside if isinstance(r, Message)]))  # fmt: skip
    return out


def _tally(messages: Iterable[tuple[str, Message]]) -> dict[str, dict[str, Any]]:
    """By topic, in the form of the script."""
    rows: dict[str, list[Message]] = {}
    for topic, message in messages:
        rows.setdefault(topic, []).append(message)
    out = {}
    for topic, found in rows.items():
        digest = hashlib.sha256()
        for m in found:
            digest.update(f"{m.log_time} {m.publish_time} {m.sequence} {len(m.data)}\n".encode())
            digest.update(m.data)
        times = [m.log_time for m in found]
        out[topic] = {
            "messages": len(found), "first": str(min(times)), "last": str(max(times)), "sha256": digest.hexdigest(),
        }  # fmt: skip
    return out


def _plain(message: Any) -> dict[str, Any]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _brief(entity: Any) -> dict[str, Any]:
    """An entity in the form of the script."""
    return {
        "id": entity.id,
        "frame": entity.frame_id,
        "timestamp": {"sec": entity.timestamp.seconds, "nsec": entity.timestamp.nanos},
        "lifetime": {"sec": entity.lifetime.seconds, "nsec": entity.lifetime.nanos},
        "boxes": [
            {
                "position": _plain(cube.pose.position),
                "orientation": _plain(cube.pose.orientation),
                "size": _plain(cube.size),
            }
            for cube in entity.cubes
        ],
        "lines": len(entity.lines),
        "points": sum(len(line.points) for line in entity.lines),
    }
