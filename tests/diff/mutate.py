"""Rewrites a log with one planted difference, and says what was planted. Everything is drawn from a seeded generator.

Only the file is changed: the digests in it stay those of the run, as with any recording that somebody edits.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from protocols import codec, topics
from protocols.v1 import log_pb2, world_pb2
from sim.log.container import Container
from sim.log.scan import read_chunk, records, scan
from sim.log.writer import RECORDS
from sim.radio.fates import Fate

TICK = 10_000_000
IDS = {"v2x/bsm": "station_id", "v2x/rsm": "track_id", "v2x/ssm": "track_id", "truth/world": "id", "truth/actor": "id"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """One message of the file; `t_ns` is simulation time."""

    topic: str
    sender: str
    seq: int
    t_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Planted:
    """What the comparison has to name. `field` "" and `entity` "" are not asked for."""

    kind: str
    tick: int
    topic: str
    sender: str = ""
    field: str = ""
    entity: str = ""
    receiver: str = ""
    what: str = ""  # for the reader of a failure


def message_class(topic: str) -> type[Message]:
    """What a topic's records are."""
    if topic in RECORDS:
        return RECORDS[topic]
    row = topics.topic(topic).message
    assert row is not None
    return codec.PROTO_CLASS[row]


def read(path: Path) -> tuple[int, list[Record]]:
    """(epoch, all records in file order), without what is derived for other viewers."""
    found = scan(path, recover=False)
    out: list[Record] = []
    epoch = 0
    with path.open("rb") as file:
        for chunk in found.chunks:
            for raw in records(read_chunk(file, chunk, path), found):
                channel = found.channels[raw.channel]
                if channel.topic.startswith("foxglove/"):
                    continue
                if channel.topic == "log/header":
                    epoch = log_pb2.RunHeader.FromString(raw.data).epoch_ns
                sender = channel.metadata.get("sender", "")
                out.append(
                    Record(channel.topic, sender, raw.sequence, raw.log_ns - epoch, raw.data)
                )
    return epoch, out


def write(path: Path, epoch: int, items: list[Record], chunk_bytes: int = 256 * 1024) -> None:
    """A whole log with these records."""
    channels: dict[tuple[str, str], int] = {}
    with Container(path, chunk_bytes=chunk_bytes) as out:
        for item in items:
            key = (item.topic, item.sender)
            if key not in channels:
                channels[key] = out.channel(
                    item.topic, message_class(item.topic), {"sender": item.sender}
                )
            out.add(channels[key], epoch + item.t_ns, item.data, item.seq)


# -- planting -------------------------------------------------------------------------------------------------------


class NothingToPlant(Exception):
    """The drawn place does not exist in this log."""


Plant = Callable[[list[Record], random.Random], Planted]

FIELD_TOPICS = (
    "v2x/bsm", "v2x/rsm", "v2x/ssm", "v2x/spat", "v2x/map", "v2x/vir", "v2x/rsc", "obu/plan", "cmd/signal",
    "truth/world", "truth/actor", "truth/signal", "truth/event", "log/note",
)  # fmt: skip
KIND_OF = {
    "obu/plan": "plan", "cmd/signal": "command", "truth/world": "state", "truth/actor": "state",
    "truth/signal": "signal", "truth/event": "event", "log/note": "note",
}  # fmt: skip


def plant_field(items: list[Record], rng: random.Random) -> Planted:
    """Another value in one field of one record."""
    topic = rng.choice(FIELD_TOPICS)
    at = _pick(items, rng, topic)
    item = items[at]
    proto = message_class(topic).FromString(item.data)
    field, entity = _change(topic, proto, rng)
    items[at] = replace(item, data=proto.SerializeToString(deterministic=True))
    kind = KIND_OF.get(topic, "message")
    return Planted(
        kind, item.t_ns // TICK, topic, _unit(item), field, entity, what=f"{topic} {field}"
    )


def plant_trace(items: list[Record], rng: random.Random) -> Planted:
    """Another state or command of a driven vehicle at one tick."""
    at = _pick(items, rng, "truth/trace")
    item = items[at]
    proto = world_pb2.VehicleTrace.FromString(item.data)
    name = rng.choice([f.name for f in proto.DESCRIPTOR.fields if f.number >= 5])
    column = getattr(proto, name)
    row = rng.randrange(len(column))
    column[row] = _other(column[row], rng, name)
    items[at] = replace(item, data=proto.SerializeToString(deterministic=True))
    kind = "command" if name.startswith("command_") else "state"
    tick = (proto.start_ns + row * proto.step_ns) // TICK
    return Planted(kind, tick, "truth/trace", item.sender, name, what=f"trace {name}")


def plant_fate(items: list[Record], rng: random.Random) -> Planted:
    """A message that was lost after all, at one receiver."""
    at, proto = _radio(items, rng)
    k, row, column, flat, heard = _reception(proto, rng)
    width = len(proto.receiver)
    proto.fate[flat] = int(rng.choice([Fate.PROPAGATION, Fate.COLLISION, Fate.HALF_DUPLEX]))
    del proto.latency_us[heard]
    items[at] = replace(items[at], data=proto.SerializeToString())
    assert width
    return Planted(
        "fate", items[at].t_ns // TICK, "log/radio", proto.sender[k], "fate", proto.topic[k], proto.receiver[column],
        what=f"row {row}",
    )  # fmt: skip


def plant_latency(items: list[Record], rng: random.Random) -> Planted:
    """A message that was heard later by one receiver."""
    at, proto = _radio(items, rng)
    k, row, column, _, heard = _reception(proto, rng)
    proto.latency_us[heard] += rng.choice([1, 10_000, 250_000])
    items[at] = replace(items[at], data=proto.SerializeToString())
    return Planted(
        "delayed", items[at].t_ns // TICK, "log/radio", proto.sender[k], "latency_us", proto.topic[k], proto.receiver[column],
        what=f"row {row}",
    )  # fmt: skip


MESSAGES = (
    "v2x/bsm",
    "v2x/rsm",
    "v2x/spat",
    "v2x/map",
    "v2x/vir",
    "v2x/rsc",
    "obu/plan",
    "cmd/signal",
    "v2x/ssm",
)


def plant_drop(items: list[Record], rng: random.Random) -> Planted:
    """One record less."""
    topic = rng.choice([*MESSAGES, "truth/event", "log/note", "truth/world", "log/radio"])
    at = _pick(items, rng, topic)
    item = items.pop(at)
    return Planted("missing", item.t_ns // TICK, topic, _unit(item), what=f"drop {topic}")


def plant_double(items: list[Record], rng: random.Random) -> Planted:
    """One message more: a copy of an earlier one under a number of its own."""
    topic = rng.choice(MESSAGES)
    at = _pick(items, rng, topic)
    item = items[at]
    later = min(item.t_ns + rng.randint(1, 300) * TICK, _end(items))
    new = replace(item, t_ns=later, seq=item.seq + 100_000)
    items.insert(_place(items, later), new)
    return Planted("extra", later // TICK, topic, _unit(item), what=f"double {topic}")


def plant_delay(items: list[Record], rng: random.Random) -> Planted:
    """One message sent later."""
    topic = rng.choice(MESSAGES)
    at = _pick(items, rng, topic)
    item = items[at]
    later = item.t_ns + rng.choice([1, 2, 5, 13, 70, 300]) * TICK
    if later > _end(items):
        raise NothingToPlant
    del items[at]
    items.insert(_place(items, later), replace(item, t_ns=later))
    return Planted(
        "delayed", item.t_ns // TICK, topic, _unit(item), "sent_at", what=f"delay {topic}"
    )


def plant_swap(items: list[Record], rng: random.Random) -> Planted:
    """Two messages of one stream in the other order: contents exchanged, or numbers and contents."""
    topic = rng.choice([t for t in MESSAGES if t != "cmd/signal"])
    first = _pick(items, rng, topic)
    one = items[first]
    stream = [k for k, r in enumerate(items) if (r.topic, r.sender) == (topic, one.sender)]
    place = stream.index(first)
    if place + 1 >= len(stream):
        raise NothingToPlant
    second = stream[place + 1]
    two = items[second]
    if one.data == two.data:
        raise NothingToPlant
    with_numbers = rng.random() < 0.5 and one.seq != two.seq and one.t_ns != two.t_ns
    if with_numbers:
        items[first] = replace(two, t_ns=one.t_ns)
        items[second] = replace(one, t_ns=two.t_ns)
    else:
        items[first], items[second] = replace(one, data=two.data), replace(two, data=one.data)
    return Planted(
        "order",
        one.t_ns // TICK,
        topic,
        _unit(one),
        "order",
        what=f"swap {topic} numbers={with_numbers}",
    )


def plant_file_order(items: list[Record], rng: random.Random) -> Planted:
    """Two neighbours of one tick, written in the other order."""
    kinds = (*MESSAGES, "log/note", "log/radio", "truth/world")
    places = [
        k for k in range(len(items) - 1)
        if items[k].topic in kinds and items[k + 1].topic in kinds and items[k].t_ns == items[k + 1].t_ns
        and (items[k].topic, items[k].sender) != (items[k + 1].topic, items[k + 1].sender)
    ]  # fmt: skip
    k = rng.choice(places)
    items[k], items[k + 1] = items[k + 1], items[k]
    was = items[k + 1]
    return Planted("order", was.t_ns // TICK, was.topic, _unit(was), "order", what="file order")


SHAPES: list[Callable[[int], float]] = [
    float,
    lambda k: float(k * k),
    lambda k: 1.5**k,
    lambda k: 2.0**k,
]


def plant_drift(items: list[Record], rng: random.Random) -> Planted:
    """A number that leaves over some records, from far below what anybody would notice, and stays or comes back."""
    steps = rng.randint(6, 40)
    shape: Callable[[int], float] = rng.choice(SHAPES)
    size = 10.0 ** rng.uniform(-9, -4)
    stays = rng.random() < 0.5
    topic = rng.choice(["truth/trace", "truth/trace", "truth/world", "v2x/rsm", "v2x/bsm"])
    first = items[_pick(items, rng, topic)]
    proto: Any = message_class(topic).FromString(first.data)
    if topic == "truth/trace":
        name, ident = (
            rng.choice(["x_m", "y_m", "speed_mps", "yaw_rad", "s_m", "command_accel_mps2"]),
            -1,
        )
        start_tick = (proto.start_ns + rng.randrange(len(proto.x_m)) * proto.step_ns) // TICK
    else:
        name = rng.choice(["x_m", "y_m"])  # doubles, in all of them
        column = getattr(proto, IDS[topic])
        if not column:
            raise NothingToPlant
        ident, start_tick = rng.choice(list(column)), first.t_ns // TICK
    k, changed = 0, 0
    for at, item in enumerate(items):
        if (item.topic, item.sender) != (topic, first.sender) or item.t_ns // TICK < start_tick:
            continue
        proto = message_class(topic).FromString(item.data)
        if topic == "truth/trace":
            rows = list(range(len(proto.x_m)))
        else:
            rows = [m for m, i in enumerate(getattr(proto, IDS[topic])) if i == ident][:1]
            if not rows and k < steps:
                raise NothingToPlant
        for row in rows:
            if (
                topic == "truth/trace"
                and (proto.start_ns + row * proto.step_ns) // TICK < start_tick
            ):
                continue
            k += 1
            if k <= steps or stays:
                getattr(proto, name)[row] += size * shape(min(k, steps))
                changed += 1
        items[at] = replace(item, data=proto.SerializeToString(deterministic=True))
    if changed < 6:
        raise NothingToPlant
    kind_entity = {"truth/world": "actor", "v2x/rsm": "track", "v2x/bsm": "station"}
    entity = f"{kind_entity[topic]} {ident}" if ident >= 0 else ""
    return Planted(
        "drift",
        start_tick,
        topic,
        _unit(first),
        name,
        entity,
        what=f"{steps} steps from {size:.1e}",
    )


def plant_early_end(items: list[Record], rng: random.Random) -> Planted:
    """Nothing from some tick on; blocks are cut inside."""
    end = rng.randint(50, _end(items) // TICK - 1)
    out = []
    for item in items:
        if item.topic in ("log/result", "log/timing"):
            continue
        if item.topic == "truth/trace":
            proto = world_pb2.VehicleTrace.FromString(item.data)
            keep = (end * TICK - proto.start_ns + proto.step_ns - 1) // proto.step_ns
            if keep <= 0:
                continue
            for field, column in proto.ListFields():
                if field.number >= 5:
                    del column[keep:]
            rows = len(proto.x_m)
            out.append(
                replace(
                    item,
                    t_ns=proto.start_ns + (rows - 1) * proto.step_ns,
                    data=proto.SerializeToString(),
                )
            )
        elif item.topic.startswith("log/digest"):
            block: Any = RECORDS[item.topic].FromString(item.data)
            keep = end - block.start_tick
            if keep <= 0:
                continue
            for field, column in block.ListFields():
                if field.number >= 2:
                    del column[keep:]
            out.append(
                replace(item, t_ns=min(item.t_ns, (end - 1) * TICK), data=block.SerializeToString())
            )
        elif item.t_ns < end * TICK:
            out.append(item)
    items[:] = out
    return Planted("early end", end, "", "", "end")


def plant_digest(items: list[Record], rng: random.Random) -> Planted:
    """A part of a digest, as of a run that differed in something that is not recorded."""
    at = _pick(items, rng, "log/digest_part")
    proto = log_pb2.DigestParts.FromString(items[at].data)
    part = rng.choice(["truth", "message", "command"])
    row = rng.randrange(len(proto.truth))
    getattr(proto, part)[row] ^= 1 << rng.randrange(64)
    items[at] = replace(items[at], data=proto.SerializeToString())
    return Planted("unrecorded", proto.start_tick + row, "log/digest", "", part)


PLANTS: dict[str, Plant] = {
    "field": plant_field,
    "trace": plant_trace,
    "fate": plant_fate,
    "latency": plant_latency,
    "drop": plant_drop,
    "double": plant_double,
    "delay": plant_delay,
    "swap": plant_swap,
    "file order": plant_file_order,
    "drift": plant_drift,
    "early end": plant_early_end,
    "digest": plant_digest,
}


def plant(kind: str, items: list[Record], seed: int) -> tuple[list[Record], Planted]:
    """One difference of `kind`; draws again where there is nothing to plant it in."""
    rng = random.Random(f"{kind}/{seed}")
    for _ in range(200):
        copy = list(items)
        try:
            return copy, PLANTS[kind](copy, rng)
        except NothingToPlant:
            continue
    raise AssertionError(f"nowhere to plant {kind}")


# -- inside ---------------------------------------------------------------------------------------------------------


def _pick(items: list[Record], rng: random.Random, topic: str) -> int:
    places = [k for k, item in enumerate(items) if item.topic == topic]
    if not places:
        raise NothingToPlant
    return rng.choice(places)


def _unit(item: Record) -> str:
    if item.topic in ("truth/signal",):
        return ""
    return "" if item.sender == "sim" else item.sender


def _end(items: list[Record]) -> int:
    return max(item.t_ns for item in items if item.topic not in ("log/result", "log/timing"))


def _place(items: list[Record], t_ns: int) -> int:
    """Where a record of that time goes: after the last of its kind of record that is not later."""
    last = max(k for k, item in enumerate(items) if item.t_ns <= t_ns and item.topic not in RECORDS)
    return last + 1


def _other(value: Any, rng: random.Random, name: str) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        if name in ("lane", "doors", "command_doors"):
            return value + rng.choice([1, -1]) if name == "lane" else (1 if value <= 0 else -1)
        if name.endswith("_ns"):
            return value + rng.choice([1, TICK, 1_000_000_000])
        if name in ("light", "kind", "status", "equipment", "source", "type"):
            return value % 5 + 1
        return value + 1
    if isinstance(value, float):
        by = rng.choice([1.0, -1.0]) * 10.0 ** rng.uniform(-6, 1)
        moved = value + by
        if name.endswith("confidence"):
            return 0.5 if value != 0.5 else 0.25
        return moved if moved != value else math.nextafter(value, math.inf)
    return f"{value}x"


def _change(topic: str, proto: Any, rng: random.Random) -> tuple[str, str]:
    """Changes one field somewhere in `proto`; (its name as a comparison calls it, whose row)."""
    if topic == "log/note":
        k = rng.randrange(len(proto.value))
        proto.value[k] = _other(proto.value[k], rng, "")
        return proto.name[k], ""
    if topic == "truth/event" and rng.random() < 0.4 and proto.value:
        name = rng.choice(sorted(proto.value))
        proto.value[name] = _other(float(proto.value[name]), rng, "")
        return f"value.{name}", ""
    if topic == "v2x/spat" and rng.random() < 0.8:
        phase = rng.choice(list(proto.phase))
        name = rng.choice([f.name for f, _ in phase.ListFields() if f.name != "phase_id"])
        setattr(phase, name, _other(getattr(phase, name), rng, name))
        return name, f"phase {phase.phase_id}"
    if topic == "v2x/map" and rng.random() < 0.7:
        k = rng.randrange(len(proto.lane))
        lane = proto.lane[k]
        name = rng.choice(["width_m", "stop_x_m", "stop_yaw_rad", "lane", "point_x_m"])
        if name == "point_x_m":
            m = rng.randrange(len(lane.point_x_m))
            lane.point_x_m[m] = _other(lane.point_x_m[m], rng, name)
            return f"lane[{k}].point_x_m[{m}]", ""
        setattr(lane, name, _other(getattr(lane, name), rng, name))
        return f"lane[{k}].{name}", ""
    if topic == "v2x/ssm":
        if not proto.participants.track_id:
            raise NothingToPlant
        field, entity = _change("v2x/rsm", proto.participants, rng)
        return f"participants.{field}", entity
    fields = [
        f
        for f in proto.DESCRIPTOR.fields
        if f.message_type is None and f.name not in ("min_end_ns",)
    ]
    field = rng.choice(fields)
    value = getattr(proto, field.name)
    if field.is_repeated:
        if not value or field.name in IDS.values() or field.name == "group":
            raise NothingToPlant
        row = rng.randrange(len(value))
        value[row] = _other(value[row], rng, field.name)
        label = {"v2x/bsm": "station", "v2x/rsm": "track", "truth/world": "actor", "truth/actor": "actor", "obu/plan": "step", "cmd/signal": "group", "truth/signal": "group"}[topic]  # fmt: skip
        if topic == "cmd/signal":
            return field.name, f"group {proto.group[row]}"
        ident = getattr(proto, IDS[topic])[row] if topic in IDS else row
        return field.name, f"{label} {ident}"
    setattr(proto, field.name, _other(value, rng, field.name))
    if topic == "truth/event" and field.name == "kind":
        return "event", ""
    return field.name, ""


def _radio(items: list[Record], rng: random.Random) -> tuple[int, Any]:
    at = _pick(items, rng, "log/radio")
    proto = log_pb2.RadioFates.FromString(items[at].data)
    if not proto.latency_us:
        raise NothingToPlant
    return at, proto


def _reception(proto: Any, rng: random.Random) -> tuple[int, int, int, int, int]:
    """A delivered reception: (transmission, its row, receiver, place in `fate`, place in `latency_us`)."""
    width = len(proto.receiver)
    delivered = [k for k, fate in enumerate(proto.fate) if fate == Fate.DELIVERED]
    heard = rng.randrange(len(delivered))
    flat = delivered[heard]
    row, column = divmod(flat, width)
    for k, count in enumerate(proto.num_rows):
        if row < count:
            return k, row, column, flat, heard
        row -= count
    raise NothingToPlant
