"""Codec and recording throughput beside protobuf objects and the stock MCAP writer, in turn (A B A B), per CPU second.

World frame: ten values for each of n agents. We write columns; the peer builds one upb object per agent, which is how protobuf is
used from Python. Both sides start from the same numpy arrays, and what each wrote is read back and compared before timing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.writer import CompressionType, Writer

from protocols.columns import Layout
from protocols.v1 import world_pb2
from sim.bench.measure import Row, row
from sim.log.blocks import WorldBlock
from sim.log.container import Container, file_descriptor_set
from sim.log.header import RunHeader
from sim.log.writer import LogWriter
from sim.state import ActorStates, ActorStatics, empty_states, empty_statics

_FIELDS = (
    "x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "hitch_rad", "lane", "flags",
)  # fmt: skip
_LAYOUT = Layout(world_pb2.WorldState)
_HEADER = RunHeader("bench", "{}", 1, "", 10_000_000)
_FRAMES = 2000


def rows(runs: int) -> Iterator[Row]:
    """Rows 13, 16 and 17 of the performance sheet: encode and decode, arrays to disk, ready bytes to disk."""
    for agents in (5, 50):
        yield from _codec_rows(agents, runs)
    yield from _disk_rows(50, runs)
    for size in (260, 2500):
        yield from _ready_rows(size, runs)


def _codec_rows(agents: int, runs: int) -> Iterator[Row]:
    states, _ = _scene(agents)
    columns = {name: getattr(states, name) for name in ("id", *_FIELDS)}
    frame_class = _frame_class()
    block = WorldBlock(agents)

    def frame() -> bytes:
        return block.wire(7, block.gather(states))

    ours = frame()
    theirs = _objects(frame_class, 7, columns).SerializeToString()
    back = _LAYOUT.unpack(ours)
    assert back["x_m"].tolist() == [a.x_m for a in frame_class.FromString(theirs).agent]
    workload = f"world frame, {agents} agents"

    def read_objects() -> None:
        frame = frame_class.FromString(theirs)
        for name in ("id", *_FIELDS):
            np.array([getattr(agent, name) for agent in frame.agent])

    pairs: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        (
            "arrays to bytes",
            frame,
            lambda: _objects(frame_class, 7, columns).SerializeToString(),
        ),
        ("bytes to arrays", lambda: _LAYOUT.unpack(ours), read_objects),
    ]
    for metric, left, right in pairs:
        a, b = _in_turn(left, right, runs, 1000)
        yield from _pair(workload, metric, a, b, "frames/s", "protobuf upb objects")


def _disk_rows(agents: int, runs: int) -> Iterator[Row]:
    states, statics = _scene(agents)
    frame_class = _frame_class()
    schema = file_descriptor_set(frame_class.DESCRIPTOR.file)
    columns = {name: getattr(states, name) for name in ("id", *_FIELDS)}
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            with LogWriter(Path(folder) / "a.mcap", _HEADER) as log:
                for k in range(_FRAMES):
                    states.x_m += 0.1
                    log.world(k, states, statics)

        def theirs() -> None:
            with (Path(folder) / "b.mcap").open("wb") as file:
                writer = Writer(file, compression=CompressionType.ZSTD)
                writer.start()
                kind = writer.register_schema(frame_class.DESCRIPTOR.full_name, "protobuf", schema)
                channel = writer.register_channel("world", "protobuf", kind)
                for k in range(_FRAMES):
                    states.x_m += 0.1
                    data = _objects(frame_class, k, columns).SerializeToString()
                    writer.add_message(channel, k, data, k)
                writer.finish()  # type: ignore[no-untyped-call]

        a, b = _in_turn(ours, theirs, runs, 1)
    a, b = [_FRAMES * v for v in a], [_FRAMES * v for v in b]
    workload = f"recording, {agents} agents"
    yield from _pair(workload, "arrays to MCAP zstd", a, b, "frames/s", "upb + mcap (Python)")


def _ready_rows(size: int, runs: int) -> Iterator[Row]:
    draw = np.random.default_rng(1)
    block = draw.normal(size=size // 16).tobytes() + bytes(size - size // 16 * 8)
    messages = [block[k % 97 :] + block[: k % 97] for k in range(500)]
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            with Container(Path(folder) / "a.mcap") as out:
                channel = out.channel("world", world_pb2.WorldState, {})
                for k in range(_FRAMES):
                    out.add(channel, k, messages[k % 500])

        def theirs() -> None:
            with (Path(folder) / "b.mcap").open("wb") as file:
                writer = Writer(file, compression=CompressionType.ZSTD)
                writer.start()
                kind = writer.register_schema("x", "protobuf", b"")
                channel = writer.register_channel("world", "protobuf", kind)
                for k in range(_FRAMES):
                    writer.add_message(channel, k, messages[k % 500], k)
                writer.finish()  # type: ignore[no-untyped-call]

        a, b = _in_turn(ours, theirs, runs, 1)
    a, b = [_FRAMES * v for v in a], [_FRAMES * v for v in b]
    workload = f"recording ready bytes, {size} B"
    yield from _pair(workload, "to MCAP zstd", a, b, "messages/s", "mcap (Python)")


def _pair(
    workload: str, metric: str, ours: list[float], theirs: list[float], unit: str, peer: str
) -> Iterator[Row]:
    yield row(workload, metric, ours, unit, basis="cpu")
    yield row(workload, metric, theirs, unit, peer=peer, basis="cpu")
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    yield row(workload, f"{metric}, times {peer}", ratios, "x", basis="cpu")


def _in_turn(
    left: Callable[[], Any], right: Callable[[], Any], runs: int, calls: int
) -> tuple[list[float], list[float]]:
    """Calls per CPU second of both sides, measured in turn after one call to warm up."""
    left()
    right()
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, job in enumerate((left, right)):
            start = time.process_time()
            for _ in range(calls):
                job()
            rates[side].append(calls / max(time.process_time() - start, 1e-9))
    return rates


def _scene(agents: int) -> tuple[ActorStates, ActorStatics]:
    states, statics = empty_states(agents), empty_statics(agents)
    draw = np.random.default_rng(2)
    states.valid[:] = True
    states.id[:] = np.arange(1, agents + 1)
    for name in _FIELDS[:7]:
        getattr(states, name)[:] = draw.normal(scale=50.0, size=agents)
    states.lane[:] = draw.integers(0, 500, agents)
    return states, statics


def _objects(frame_class: Any, t_ns: int, columns: dict[str, Any]) -> Any:
    frame = frame_class(t_ns=t_ns)
    add = frame.agent.add
    names = ("id", *_FIELDS)
    for ident, x, y, z, yaw, speed, accel, hitch, lane, flags in zip(
        *(columns[name].tolist() for name in names), strict=True
    ):
        add(
            id=ident, x_m=x, y_m=y, z_m=z, yaw_rad=yaw, speed_mps=speed, accel_mps2=accel, hitch_rad=hitch,
            lane=lane, flags=flags,
        )  # fmt: skip
    return frame


def _frame_class() -> Any:
    """The peer's schema: one sub-message per agent."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="bench_frame.proto", package="bench", syntax="proto3"
    )
    agent = file.message_type.add(name="Agent")
    types = {"id": kind.TYPE_UINT32, "lane": kind.TYPE_SINT32, "flags": kind.TYPE_UINT32}
    for number, name in enumerate(("id", *_FIELDS), start=1):
        agent.field.add(
            name=name,
            number=number,
            type=types.get(name, kind.TYPE_DOUBLE),
            label=kind.LABEL_OPTIONAL,
        )
    frame = file.message_type.add(name="Frame")
    frame.field.add(name="t_ns", number=1, type=kind.TYPE_INT64, label=kind.LABEL_OPTIONAL)
    frame.field.add(
        name="agent",
        number=2,
        type=kind.TYPE_MESSAGE,
        type_name=".bench.Agent",
        label=kind.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Frame"))
