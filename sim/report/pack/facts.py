"""What one block says about the run as a whole: who appeared, what happened, samples for curves.

Facts of a block depend on that block alone, apart from which actors are automated vehicles; so the last block of a run in progress
is read again as it grows, and everything else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols.errors import LogError
from protocols.messages import ActorKind
from protocols.roads.network import F64
from protocols.sentence import say
from protocols.v1 import log_pb2
from sim.log.records import Event
from sim.radio.fates import I64
from sim.report.pack import traces, world
from sim.report.pack.ahead import Neighbours, around
from sim.report.pack.blocks import Block
from sim.report.pack.messages import BlockMessages
from sim.report.pack.source import WHOLE_RUN, Rows, Source
from sim.report.pack.world import Frames, due, records

SECOND_MS = 1000
_ABOUT_RUN = ("log/header", "log/result", "log/timing", "log/digest", "log/digest_part")


@dataclass(slots=True)
class People:
    """Who is who, as far as the run has been read: automated vehicles by name, whether an actor drives with an engine."""

    vehicles: dict[str, int] = field(default_factory=dict)
    has_engine: dict[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one block; t in ms."""

    number: int
    end_ns: int  # last stamp of anything that happened
    actors: list[dict[str, Any]]
    events: list[Event]
    signals: list[tuple[int, bytes]]
    traces: dict[str, traces.TracePart]  # vehicle -> its ticks
    notes: list[tuple[str, str, int, float]]  # unit, name, t, value
    near: dict[str, Neighbours]  # vehicle -> who was around it
    traffic: tuple[I64, F64, F64]  # t, number of background vehicles, their mean speed
    delivery: dict[int, tuple[I64, I64, I64]]  # topic -> t, heard, reachable
    plans: dict[str, tuple[I64, F64, F64]]  # vehicle -> t, candidates, cost
    costs: list[tuple[str, int, float]]  # "<unit> plan_ms" and the like, t, ms: means of a second
    messages: int
    held: int  # messages whose bytes the log has


def gather(source: Source, block: Block, people: People) -> Facts:
    """The facts of one block; `people` learns who is new in it."""
    path, parts = source.path, block.parts
    actors = world.actors(path, records(parts, source.channels("truth/actor")))
    for row in actors:
        kind = row["kind"]
        people.has_engine[row["id"]] = kind not in (
            ActorKind.UNSPECIFIED, ActorKind.BICYCLE, ActorKind.PEDESTRIAN,
        )  # fmt: skip
    traced = {}
    for channel, sender in source.channels("truth/trace").items():
        part = traces.part(path, [data for _, data in records(parts, [channel])])
        if part is not None:
            traced[sender] = part
            people.vehicles.setdefault(sender, part.actor)
    return Facts(
        number=block.number,
        end_ns=_end_ns(source, parts),
        actors=actors,
        events=[_event(source, data) for _, data in records(parts, source.channels("truth/event"))],
        signals=records(parts, source.channels("truth/signal")),
        traces=traced,
        notes=_notes(source, parts),
        near={name: around(block.world, actor) for name, actor in people.vehicles.items()},
        traffic=_traffic(block.world, people),
        delivery=_delivery(block.messages),
        plans={
            name: (plans.frames.t, plans.candidates, plans.cost)
            for name, plans in block.plans.items()
        },
        costs=_costs(source, parts),
        messages=int(block.messages.t.size),
        held=int((block.messages.place[:, 0] >= 0).sum()),
    )


def _end_ns(source: Source, parts: Sequence[Rows]) -> int:
    about_run = {channel for topic in _ABOUT_RUN for channel in source.channels(topic)}
    end = 0
    for part in parts:
        rows = part.of([channel for channel in part.channels if channel not in about_run])
        end = max(end, int(part.t_ns[rows].max(initial=0)))
    return end


def _event(source: Source, data: bytes) -> Event:
    try:
        proto = log_pb2.Event.FromString(data)
    except DecodeError as error:
        raise LogError(
            say("{log}: an event cannot be read ({why!s})", log=source.path, why=error)
        ) from error
    values = dict(sorted(proto.value.items()))
    return Event(proto.t_ns, proto.kind, proto.subject, proto.text, values)


def _notes(source: Source, parts: list[Rows]) -> list[tuple[str, str, int, float]]:
    out = []
    for channel, sender in source.channels("log/note").items():
        for t_ns, data in records(parts, [channel]):
            try:
                proto = log_pb2.Note.FromString(data)
            except DecodeError as error:
                raise LogError(
                    say("{log}: a note cannot be read ({why!s})", log=source.path, why=error)
                ) from error
            for name, value in zip(proto.name, proto.value, strict=False):
                out.append((sender, name, t_ns // 1_000_000, value))
    return out


def _costs(source: Source, parts: list[Rows]) -> list[tuple[str, int, float]]:
    """What units cost, second by second; the record of the whole run is another thing."""
    out = []
    for t_ns, data in records(parts, source.channels("log/timing")):
        try:
            proto = log_pb2.Timing.FromString(data)
        except DecodeError as error:
            raise LogError(
                say("{log}: a timing cannot be read ({why!s})", log=source.path, why=error)
            ) from error
        table = dict(zip(proto.name, proto.cpu_s, strict=False))
        if WHOLE_RUN not in table:
            out += [(name, t_ns // 1_000_000, value) for name, value in table.items()]
    return out


def _traffic(frames: Frames, people: People) -> tuple[I64, F64, F64]:
    """Background vehicles once a second."""
    keep = np.flatnonzero(due(frames.t, SECOND_MS))
    automated = set(people.vehicles.values())
    ids, inverse = np.unique(frames.columns["id"], return_inverse=True)
    counts = [people.has_engine.get(k, False) and k not in automated for k in ids.tolist()]
    mine = np.array(counts, np.bool_)[inverse]
    number = np.concatenate(([0], np.cumsum(mine)))
    speed = np.asarray(frames.columns["speed"], np.float64)
    total = np.concatenate(([0.0], np.cumsum(np.where(mine, speed, 0.0))))
    low, high = frames.start[keep], frames.start[keep + 1]
    count = (number[high] - number[low]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total[high] - total[low]) / count
    return frames.t[keep], count, mean


def _delivery(block: BlockMessages) -> dict[int, tuple[I64, I64, I64]]:
    """Deliveries by topic in bins of 1 s."""
    out = {}
    second = block.t // SECOND_MS
    for topic in np.unique(block.topic[block.reachable > 0]).tolist():
        mine = (block.topic == topic) & (block.reachable > 0)
        bins, inverse = np.unique(second[mine], return_inverse=True)
        heard = np.bincount(inverse, block.heard[mine], bins.size).astype(np.int64)
        reachable = np.bincount(inverse, block.reachable[mine], bins.size).astype(np.int64)
        out[topic] = (bins * SECOND_MS, heard, reachable)
    return out
