"""Hostile logs whose container is right and whose content is not: messages, times, channels, the header's scene, the result.

A kind takes a good log as its parts and a seeded `Random`, and gives the bytes of a bad one, its index, summary and checksums made right.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from protocols import codec, topics
from protocols.v1 import log_pb2
from sim.log.writer import RECORDS
from tests.hostile_logs.parts import (
    SCHEMA,
    Layout,
    Record,
    Said,
    built,
    channel,
    channel_names,
    text,
)

Lie = Callable[[Layout, Random], None]
TIMES = (0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)
INTEGERS = (
    0,
    1,
    -1,
    255,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**53 + 1,
    2**62,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
)
NUMBERS = (0.0, -0.0, 1e-320, 1e9, 1e155, 1e308, -1e308, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "", "obu/shuttle1", "../../../../tmp/pwned", "/etc/passwd", "/dev/zero", "a\0b", "\x1b[31m\x1b[2J", "line\nbreak",
    "x" * 100_000, "</script><script>alert(1)</script>", "\u202e\u2028\uffff", "{}", "%s%n{0}{log}", "-1", "1e999", "nan",
)  # fmt: skip


def _change(layout: Layout, draw: Random, wanted: Callable[[str], bool], change: Callable[[Said, str], Said | None], most: int) -> None:  # fmt: skip
    """Puts `change` in place of up to `most` messages of wanted topics; None takes them away."""
    names = topics_of(layout)
    places = [
        (g, k) for g, group in enumerate(layout.groups) for k, m in enumerate(group) if wanted(names[m.channel])
    ]  # fmt: skip
    chosen = set(draw.sample(places, min(most, len(places))))
    for g, group in enumerate(layout.groups):
        found = (
            change(m, names[m.channel]) if (g, k) in chosen else m for k, m in enumerate(group)
        )
        layout.groups[g] = [m for m in found if m is not None]


def topics_of(layout: Layout) -> dict[int, str]:
    """Channel -> topic."""
    raw = b"".join(record.packed() for record in layout.channels)
    return {ident: topic for ident, (topic, _) in channel_names(raw).items()}


def _a_topic(layout: Layout, draw: Random) -> Callable[[str], bool]:
    """One of ours; each as likely as another, however often it is said. The header is not among them."""
    ours = {
        t for t in topics_of(layout).values() if not t.startswith("foxglove/") and t != "log/header"
    }
    chosen = draw.choice(sorted(ours))
    return lambda topic: topic == chosen


def message_class(topic: str) -> type[Message]:
    """What a topic carries."""
    return RECORDS[topic] if topic in RECORDS else codec.PROTO_CLASS[topics.topic(topic).message]  # type: ignore[index]


def random_payload(layout: Layout, draw: Random) -> None:
    """Bytes that mean nothing."""
    noise = draw.choice(
        (b"", b"\xff" * 10, draw.randbytes(50), draw.randbytes(5000), b"\x08" * 3001)
    )
    _change(
        layout,
        draw,
        _a_topic(layout, draw),
        lambda m, _: replace(m, data=noise),
        draw.choice((1, 10**6)),
    )


def cut_payload(layout: Layout, draw: Random) -> None:
    """Messages that break off."""
    _change(layout, draw, _a_topic(layout, draw), lambda m, _: replace(m, data=m.data[: draw.randrange(len(m.data) + 1)]), draw.choice((1, 10**6)))  # fmt: skip


def flipped_payload(layout: Layout, draw: Random) -> None:
    """Flipped bits in messages, with everything around them made right."""

    def flip(m: Said, _: str) -> Said:
        out = bytearray(m.data or b"\0")
        for _k in range(draw.choice((1, 4))):
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
        return replace(m, data=bytes(out))

    _change(layout, draw, _a_topic(layout, draw), flip, draw.choice((1, 10**6)))


def nested_payload(layout: Layout, draw: Random) -> None:
    """Protobuf nested a hundred thousand deep: by length, by groups, in a field of ours and in one nobody knows."""
    number = draw.choice((1, 2, 3, 5, 200))
    depth = draw.choice((200, 10_000))
    data = b""
    if draw.random() < 0.5:
        data = _varint(number << 3 | 3) * depth + _varint(number << 3 | 4) * depth
    else:
        for _ in range(depth):
            data = _varint(number << 3 | 2) + _varint(len(data)) + data
    _change(
        layout,
        draw,
        _a_topic(layout, draw),
        lambda m, _: replace(m, data=m.data + data),
        draw.choice((1, 5)),
    )


def wild_field(layout: Layout, draw: Random) -> None:
    """Fields with extreme, impossible or unfitting values; columns too short, too long, empty."""

    def lie(m: Said, topic: str) -> Said:
        made: Any = message_class(topic)()
        try:
            made.ParseFromString(m.data)
            for _ in range(draw.choice((1, 1, 3))):
                _lie_in(made, draw)
            return replace(m, data=made.SerializeToString())
        except (ValueError, TypeError, UnicodeError):
            return m  # a value that protobuf itself does not take

    _change(layout, draw, _a_topic(layout, draw), lie, draw.choice((1, 1, 10**6)))


def _lie_in(made: Any, draw: Random, depth: int = 0) -> None:
    field: Any = draw.choice(made.DESCRIPTOR.fields)
    value = getattr(made, field.name)
    is_many = field.is_repeated
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value[draw.choice(TEXTS)] = draw.choice(NUMBERS)
        return
    if field.message_type is not None:
        inner = draw.choice(value) if is_many and value else value.add() if is_many else value
        if depth < 4:
            _lie_in(inner, draw, depth + 1)
        return
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        new: Any = draw.choice(TEXTS)
        new = new if field.type == FieldDescriptor.TYPE_STRING else new.encode("utf-8", "replace")
    elif field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        new = draw.choice(NUMBERS)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        new = draw.random() < 0.5
    else:
        new = draw.choice(INTEGERS)
    if not is_many:
        setattr(made, field.name, new)
        return
    how = draw.randrange(5)
    if how == 0 and value:
        value[draw.randrange(len(value))] = new
    elif how == 1:
        del value[draw.randrange(len(value) + 1) :]
    elif how == 2:
        value.append(new)
    elif how == 3:
        value.extend([new] * draw.choice((100, 100_000)) if not isinstance(new, str) else [new])
    else:
        value[:] = [new] * len(value)


def wild_times(layout: Layout, draw: Random) -> None:
    """Messages logged at impossible times: before the epoch, at the end of all days, in any order."""
    first = layout.groups[0][0].log_ns
    shift = draw.choice((*TIMES, first - 1, first - 10**12, first + 10**12, first + 10**17))
    wanted = draw.choice(
        (_a_topic(layout, draw), lambda topic: topic != "log/header", lambda _: True)
    )
    how = draw.randrange(3)

    def move(m: Said, _: str) -> Said:
        if how == 0:
            return replace(m, log_ns=shift)
        if how == 1:
            return replace(m, log_ns=first + draw.randrange(10**10))
        return replace(
            m,
            log_ns=m.log_ns + shift,
            publish_ns=draw.choice(TIMES),
            sequence=draw.choice((0, 2**32 - 1)),
        )

    _change(layout, draw, wanted, move, draw.choice((1, 10, 10**6)))


def missing_topic(layout: Layout, draw: Random) -> None:
    """One kind of record is not there, or only half of it."""
    wanted = _a_topic(layout, draw)
    _change(layout, draw, wanted, lambda m, _: None, draw.choice((1, 20, 10**6)))


def doubled(layout: Layout, draw: Random) -> None:
    """Records again and again."""
    wanted, names = _a_topic(layout, draw), topics_of(layout)
    times = draw.choice((2, 2, 100))
    for g, group in enumerate(layout.groups):
        layout.groups[g] = [
            m for m in group for _ in range(times if wanted(names[m.channel]) else 1)
        ]


def shuffled(layout: Layout, draw: Random) -> None:
    """Records in another order, the header behind others, or everything backwards."""
    messages = [m for group in layout.groups for m in group]
    messages = messages[::-1] if draw.random() < 0.5 else draw.sample(messages, len(messages))
    if draw.random() < 0.7:  # the header first all the same
        messages.sort(key=lambda m: topics_of(layout)[m.channel] != "log/header")
    layout.groups = [messages[k : k + 100] for k in range(0, len(messages), 100)]


def wrong_channels(layout: Layout, draw: Random) -> None:
    """Topics under other names, senders that climb, the same stream twice, channels without schema or with the same number."""
    idents = sorted(topics_of(layout))
    at = draw.randrange(len(idents))
    ident, topic = idents[at], topics_of(layout)[idents[at]]
    how = draw.randrange(7)
    made = [
        channel(ident, 1, draw.choice(("", "v2x/bsm", "log/header", "log/digest", "nobody/knows", *TEXTS)), "obu/shuttle1"),
        channel(ident, 1, topic, draw.choice(TEXTS)),
        channel(ident, 60_000, topic, "sim"),
        channel(ident, 0, topic, "sim"),
        channel(ident, 1, topic, metadata=struct.pack("<I", 0)),
        channel(ident, 1, topic, metadata=struct.pack("<I", 300_000) + (text("k") + text("v" * 90)) * 3000),
        channel(ident, 1, topic, metadata=struct.pack("<I", 2**32 - 1)),
    ][how]  # fmt: skip
    if draw.random() < 0.5:
        layout.channels[at] = made
    else:
        layout.channels.append(made)
    if draw.random() < 0.2:
        layout.schemas.append(Record(SCHEMA, struct.pack("<H", draw.choice((0, 1, 9))) + text("x") + text("protobuf") + struct.pack("<I", 3) + b"\xff\xff\xff"))  # fmt: skip


def moved_messages(layout: Layout, draw: Random) -> None:
    """Messages on the channel of another topic, or on one that was never described."""
    idents = [*topics_of(layout), 60_001]
    _change(layout, draw, lambda topic: topic != "log/header" or draw.random() < 0.1, lambda m, _: replace(m, channel=draw.choice(idents)), draw.choice((1, 10, 300)))  # fmt: skip


def with_header(layout: Layout, change: Callable[[Any], None]) -> None:
    """Changes the run's header."""

    def lie(m: Said, _: str) -> Said:
        made = log_pb2.RunHeader.FromString(m.data)
        change(made)
        return replace(m, data=made.SerializeToString())

    _change(layout, Random(0), lambda topic: topic == "log/header", lie, 10**6)


def wild_header(layout: Layout, draw: Random) -> None:
    """The header's own fields."""

    def change(made: Any) -> None:
        name, values = draw.choice((
            ("format", (0, 2, 2**32 - 1)), ("scenario", TEXTS), ("commit", TEXTS), ("map_digest", TEXTS),
            ("seed", (0, 2**63, 2**64 - 1)), ("epoch_ns", INTEGERS[:-1]), ("tick_ns", INTEGERS[:-1]),
            ("config_json", ("", "null", "[]", "3", "{}", '{"scene": 3, "map_path": 4}', "[" * 100_000, "{" * 5000,
                             '{"scene": {}, "map_path": "x"}', '{"map_path": null, "scene": null}', "9" * 10_000, "\x00",
                             '{"a":' * 3000 + "1" + "}" * 3000, " " * 17_000_000)),
        ))  # fmt: skip
        if draw.random() < 0.2:
            made.version[draw.choice((*TEXTS[:4], "backend", "what-if", "icv"))] = draw.choice(
                (*TEXTS, "carla")
            )
            return
        setattr(made, name, draw.choice(values))

    with_header(layout, change)


def wild_scene(layout: Layout, draw: Random) -> None:
    """The scene in the header: values of other types and sizes, paths that climb, keys nobody knows."""

    def change(made: Any) -> None:
        table = json.loads(made.config_json)
        for _ in range(draw.choice((1, 1, 3))):
            _wild_json(table, draw)
        made.config_json = json.dumps(table)

    with_header(layout, change)


def wild_map(layout: Layout, draw: Random) -> None:
    """Where the header says that the road file lies."""

    def change(made: Any) -> None:
        table = json.loads(made.config_json)
        place = draw.choice(
            (
                *TEXTS,
                ".",
                "..",
                "~",
                "/proc/self/mem",
                "/dev/stdin",
                "a/" * 5000,
                3,
                None,
                ["x"],
                {"a": 1},
            )
        )
        if draw.random() < 0.5:
            table["map_path"] = place
        else:
            table["map_path"] = "/nowhere/at/all.xodr"
            table["scene"]["map"]["file"] = place
        made.config_json = json.dumps(table)

    with_header(layout, change)


def wild_result(layout: Layout, draw: Random) -> None:
    """The recorded result: not JSON, other types, other values."""

    def lie(m: Said, _: str) -> Said:
        made = log_pb2.RunResult.FromString(m.data)
        if draw.random() < 0.4:
            made.result_json = draw.choice(("", "null", "[]", "3", "{}", "[" * 100_000, '{"criteria": 3}', "9" * 10_000, '{"a":' * 3000 + "1" + "}" * 3000, "NaN", "\x00"))  # fmt: skip
        else:
            table = json.loads(made.result_json)
            for _k in range(draw.choice((1, 1, 3))):
                _wild_json(table, draw)
            made.result_json = json.dumps(table)
        return replace(m, data=made.SerializeToString())

    _change(layout, draw, lambda topic: topic == "log/result", lie, 1)


_JSON: tuple[Any, ...] = (
    None, True, -1, 0, 10**6, 2**70, -(2**70), 1e308, float("nan"), float("inf"), [], {}, [[]], [None], {"": None}, [1e308] * 50,
    *TEXTS,
)  # fmt: skip
_LONG = {
    "duration_s",
    "vehicles_per_hour",
    "per_hour",
    "boarding_per_hour",
}  # what honestly takes as long as it says


def _wild_json(table: Any, draw: Random) -> None:
    """One value of a tree replaced, taken away or added."""
    while True:
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        if not keys or draw.random() < 0.05:
            if isinstance(table, dict):
                table[draw.choice(TEXTS)] = draw.choice(_JSON)
            return
        key = draw.choice(keys)
        if isinstance(table[key], (dict, list)) and draw.random() < 0.85:
            table = table[key]
            continue
        if draw.random() < 0.1:
            del table[key]
        elif key not in _LONG:
            table[key] = draw.choice(_JSON)
        return


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


LIES: dict[str, Lie] = {
    "random payload": random_payload, "cut payload": cut_payload, "flipped payload": flipped_payload,
    "nested payload": nested_payload, "wild field": wild_field, "wild field again": wild_field, "wild times": wild_times,
    "missing topic": missing_topic, "doubled": doubled, "shuffled": shuffled, "wrong channels": wrong_channels,
    "moved messages": moved_messages, "wild header": wild_header, "wild scene": wild_scene, "wild map": wild_map,
    "wild result": wild_result,
}  # fmt: skip


def told(layout: Layout, name: str, draw: Random) -> bytes:
    """The file of a layout with one of the lies in it."""
    mine = replace(
        layout,
        schemas=[*layout.schemas],
        channels=[*layout.channels],
        groups=[[*g] for g in layout.groups],
    )
    LIES[name](mine, draw)
    return built(mine)
