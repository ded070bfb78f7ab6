"""What public viewers find in a log: the world as boxes and lines, frames and places on the globe, by their own schemas and tools."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import make_reader
from pyproj import Transformer

from scenarios.formats.opendrive import read
from scenarios.load import find_map, load_scene
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.report.outlines import lane_edges

RERUN = Path(sys.executable).with_name("rerun")
DURATION_S = 8


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of the corridor, with its articulated bus."""
    loaded = load_scene(Path("brt_corridor"), (f"duration_s={DURATION_S}",))
    folder = tmp_path_factory.mktemp("run")
    return run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False)).log_path  # fmt: skip


@pytest.fixture(scope="module")
def shown(log: Path) -> dict[str, list[tuple[int, Any]]]:
    """Topic -> (t_ns, message), decoded with nothing but the log's own schemas."""
    epoch = LogReader.open(log).header().epoch_ns
    out: dict[str, list[tuple[int, Any]]] = {}
    classes: dict[str, Any] = {}
    with log.open("rb") as file:
        for schema, channel, message in make_reader(file).iter_messages():
            if not channel.topic.startswith("foxglove/"):
                continue
            assert schema is not None
            if schema.name not in classes:
                pool = descriptor_pool.DescriptorPool()
                for one in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
                    pool.Add(one)
                kind = pool.FindMessageTypeByName(schema.name)
                classes[schema.name] = message_factory.GetMessageClass(kind)
            decoded = classes[schema.name].FromString(message.data)
            out.setdefault(channel.topic, []).append((message.log_time - epoch, decoded))
    return out


def test_there_is_a_scene_every_half_second(shown: dict[str, list[tuple[int, Any]]]) -> None:
    due = [k * 500_000_000 for k in range(2 * DURATION_S)]
    for topic in ("foxglove/scene", "foxglove/tf", "foxglove/location/bus1"):
        assert [t for t, _ in shown[topic]] == due
    assert [t for t, _ in shown["foxglove/road"]] == [0]


def test_boxes_are_where_the_bodies_are(log: Path, shown: dict[str, list[tuple[int, Any]]]) -> None:
    reader = LogReader.open(log)
    actors = reader.actors()
    row_of = {int(actor): k for k, actor in enumerate(actors.id)}
    epoch = reader.header().epoch_ns
    worlds = {sample.t_ns: sample for sample in reader.world()}
    articulated = 0
    for t_ns, update in shown["foxglove/scene"]:
        world = worlds[t_ns]
        assert len(update.entities) == world.id.size
        for k, entity in enumerate(update.entities):
            row = row_of[int(world.id[k])]
            assert entity.id.endswith(f" {world.id[k]}")
            assert entity.frame_id == "map"
            assert entity.timestamp.ToNanoseconds() == epoch + t_ns
            assert entity.lifetime.ToNanoseconds() == 750_000_000  # gone when its actor is
            front = entity.cubes[0]
            length = float(actors.length_m[row])
            assert front.size.x == pytest.approx(length, rel=1e-6)
            assert front.size.y == pytest.approx(float(actors.width_m[row]), rel=1e-6)
            # From the middle half a length back, then the overhang forward: the origin.
            yaw = 2 * math.atan2(front.pose.orientation.z, front.pose.orientation.w)
            back = length / 2 - float(actors.rear_overhang_m[row])
            assert front.pose.position.x - back * math.cos(yaw) == pytest.approx(world.x_m[k], abs=1e-4)  # fmt: skip
            assert front.pose.position.y - back * math.sin(yaw) == pytest.approx(world.y_m[k], abs=1e-4)  # fmt: skip
            assert math.cos(yaw - float(world.yaw_rad[k])) > 1 - 1e-9
            assert len(entity.cubes) == 1 + (actors.rear_length_m[row] > 0)
            if len(entity.cubes) == 2:  # the rear section's front edge is at the joint
                articulated += 1
                rear, hitch = entity.cubes[1], float(actors.hitch_x_m[row])
                turn = 2 * math.atan2(rear.pose.orientation.z, rear.pose.orientation.w)
                x = rear.pose.position.x + rear.size.x / 2 * math.cos(turn)
                y = rear.pose.position.y + rear.size.x / 2 * math.sin(turn)
                assert x == pytest.approx(world.x_m[k] + hitch * math.cos(yaw), abs=1e-3)
                assert y == pytest.approx(world.y_m[k] + hitch * math.sin(yaw), abs=1e-3)
    assert articulated


def test_frames_and_places_on_the_globe(log: Path, shown: dict[str, list[tuple[int, Any]]]) -> None:
    trace = LogReader.open(log).traces("bus1")
    loaded = load_scene(Path("brt_corridor"))
    net = read(find_map(loaded.spec, loaded.path.parent))
    globe = Transformer.from_crs(net.geo_reference, "EPSG:4326", always_xy=True)
    for (t_ns, frames), (_, fix) in zip(
        shown["foxglove/tf"], shown["foxglove/location/bus1"], strict=True
    ):
        (one,) = frames.transforms
        assert (one.parent_frame_id, one.child_frame_id) == ("map", "bus1")
        at = np.flatnonzero(trace.t_ns == t_ns)
        if at.size:  # a trace begins with the first tick, not before it
            assert one.translation.x == pytest.approx(float(trace.x_m[at[0]]), abs=0.2)
        place = globe.transform(one.translation.x, one.translation.y)
        assert (fix.longitude, fix.latitude) == pytest.approx(place, abs=1e-9)


def test_lines_follow_the_lane_edges(shown: dict[str, list[tuple[int, Any]]]) -> None:
    loaded = load_scene(Path("brt_corridor"))
    net = read(find_map(loaded.spec, loaded.path.parent))
    ((_, update),) = shown["foxglove/road"]
    (entity,) = update.entities
    assert len(entity.lines) == 2 * net.num_lanes
    worst, lines = 0.0, iter(entity.lines)
    for edge in lane_edges(net):
        for a, b in pairwise(net.lanes.point_start.tolist()):
            line = np.array([(p.x, p.y) for p in next(lines).points])
            assert np.array_equal(line[[0, -1]], edge[[a, b - 1]])
            for x, y in edge[a:b]:
                start, along = line[:-1], np.diff(line, axis=0)
                f = ((np.array([x, y]) - start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-12)  # fmt: skip
                gap = np.hypot(*(start + np.clip(f, 0, 1)[:, None] * along - (x, y)).T)
                worst = max(worst, float(gap.min()))
    assert worst < 0.25


def test_a_run_without_is_the_same_run(log: Path, tmp_path: Path) -> None:
    loaded = load_scene(
        Path("brt_corridor"), (f"duration_s={DURATION_S}", "record.foxglove_period_ms=0")
    )
    without = run_scene(
        loaded.spec, loaded.path.parent, tmp_path, options=RunOptions(picture=False)
    )
    digest = json.loads((log.parent / "result.json").read_text())["digest"]
    assert without.digest == digest
    with without.log_path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    assert not [c for c in summary.channels.values() if c.topic.startswith("foxglove/")]


@pytest.mark.skipif(not RERUN.exists(), reason="rerun-sdk is not installed")
def test_reruns_own_loader_takes_it(log: Path, tmp_path: Path) -> None:
    def rerun(*arguments: str) -> str:
        done = subprocess.run(
            [str(RERUN), *arguments], env=os.environ | {"HOME": str(tmp_path), "RUST_LOG": "warn"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    table = rerun("mcap", "check", str(log))
    rows = [line.split() for line in table.splitlines() if line.startswith(("ok", "warn", "err"))]
    assert len(rows) > 10
    assert {row[0] for row in rows} == {"ok"}
    out = tmp_path / "run.rrd"
    rerun("mcap", "convert", str(log), "-o", str(out))
    held = rerun("rrd", "print", str(out))
    for path, component in (
        ("/foxglove/tf", "Transform3D:translation"), ("/foxglove/location/bus1", "GeoPoints:positions"),
        ("/truth/world", "icv.v1.WorldState"), ("/v2x/spat", "icv.v1."),
    ):  # fmt: skip
        assert any(f" {path} " in line and component in line for line in held.splitlines()), path
