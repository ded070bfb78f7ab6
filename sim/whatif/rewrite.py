"""Changes a message: one field set or added to, bits of its wire bytes flipped, or a message made from JSON.

A changed message goes through the codec, so nothing reaches a receiver that could not have come over the air. CodecError when the
field does not exist, the value is not of its kind, or the result is outside what the message may carry.
"""

from __future__ import annotations

import dataclasses
import json
import re
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

import numpy as np
from google.protobuf import json_format

from protocols import codec, streams, topics
from protocols.errors import CodecError
from protocols.messages import Message

_STEP = re.compile(r"(\w+)(?:\[(\d+|\*)\])?")


def with_field(message: Message, path: str, value: str, is_added: bool = False) -> Message:
    """`message` with the field at `path` set to `value`, or `value` added to it.

    `x_m[3]` is one row, `x_m[*]` or `x_m` all rows; `phases[2].light` goes into parts. Enumerations by name or number; `none` where
    a field may be missing.
    """
    changed: Message = _set(message, path.split("."), path, value, is_added)
    codec.decode(type(changed), codec.encode(changed))  # whatever the codec refuses is refused here
    return changed


def with_bits(data: bytes, count: int, seed: int, name: str) -> bytes:
    """`data` with `count` different bits flipped (all, where there are fewer), drawn from the stream `name`."""
    total = 8 * len(data)
    drawn = streams.generator(seed, name).choice(total, size=min(count, total), replace=False)
    out = bytearray(data)
    for bit in drawn.tolist():
        out[bit >> 3] ^= 1 << (bit & 7)
    return bytes(out)


def from_json(topic: str, text: str, t_ns: int) -> Message:
    """A message of `topic` from its protobuf JSON; `t_ns` is filled in where the text has none."""
    kind = topics.topic(topic).message
    if kind is None:
        raise CodecError(f"topic {topic!r} carries records of the log, not a message")
    try:
        table = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError(f"found {type(table).__name__}, expected an object")
        if "t_ns" not in table and "tNs" not in table:
            table["t_ns"] = t_ns
        proto = json_format.ParseDict(table, codec.PROTO_CLASS[kind]())
    except (ValueError, TypeError, RecursionError, json_format.ParseError) as error:
        raise CodecError(
            f"{topic}: the JSON is not a {kind.__name__} ({str(error).strip().splitlines()[0][:200]}); "
            f"its fields are {', '.join(codec.PROTO_CLASS[kind].DESCRIPTOR.fields_by_name)}."
        ) from error
    return codec.decode(topic, proto.SerializeToString(deterministic=True))


def _set(owner: Any, steps: list[str], path: str, value: str, is_added: bool) -> Any:
    """A copy of the dataclass `owner` with what lies at `steps` changed."""
    match = _STEP.fullmatch(steps[0])
    names = [f.name for f in dataclasses.fields(owner)]
    if match is None or match[1] not in names:
        raise CodecError(
            f"{type(owner).__name__} has no field '{steps[0]}' (in '{path}'); fields are {', '.join(names)}"
        )
    name, index = match[1], match[2]
    old = getattr(owner, name)
    if index is None and not isinstance(old, np.ndarray):
        if dataclasses.is_dataclass(old) and len(steps) > 1:
            new = _set(old, steps[1:], path, value, is_added)
        elif isinstance(old, tuple) or dataclasses.is_dataclass(old) or len(steps) > 1:
            raise CodecError(
                f"'{path}': '{name}' {_has_parts(old)}; expected {_example(name, old)}"
            )
        else:
            new = _scalar(owner, name, old, value, is_added, path)
        return dataclasses.replace(owner, **{name: new})
    if not isinstance(old, (tuple, np.ndarray)):
        raise CodecError(f"'{path}': '{name}' is one value, without an index")
    rows = range(len(old)) if index in (None, "*") else range(int(index), int(index) + 1)
    if not len(old) or rows[-1] >= len(old):
        raise CodecError(f"'{path}': '{name}' has {len(old)} rows, numbered from 0")
    if isinstance(old, np.ndarray):
        if len(steps) > 1:
            raise CodecError(f"'{path}': '{name}' is a column of numbers, it has no parts")
        column = old.copy()
        for row in rows:
            column[row] = _element(old, row, value, is_added, path)
        return dataclasses.replace(owner, **{name: column})
    parts = list(old)
    for row in rows:
        part = parts[row]
        if dataclasses.is_dataclass(part):
            if len(steps) < 2:
                raise CodecError(f"'{path}': '{name}' {_has_parts(part)}; expected {path}.FIELD")
            parts[row] = _set(part, steps[1:], path, value, is_added)
        else:
            parts[row] = _number(value, path) + (part if is_added else 0.0)
    return dataclasses.replace(owner, **{name: tuple(parts)})


def _scalar(owner: Any, name: str, old: Any, value: str, is_added: bool, path: str) -> Any:
    hint = get_type_hints(type(owner))[name]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value.lower() == "none" and NoneType in kinds and not is_added:
        return None
    kind = next(kind for kind in kinds if kind is not NoneType)
    if is_added and (old is None or kind not in (int, float)):
        raise CodecError(f"'{path}': += needs a number there, found {old!r}")
    if issubclass(kind, IntEnum):
        return _member(kind, value, path)
    if kind is bool:
        if value.lower() not in ("true", "false", "1", "0"):
            raise CodecError(f"'{path}' = '{value}', expected true or false")
        return value.lower() in ("true", "1")
    if kind is str:
        return value
    number = _integer(value, path) if kind is int else _number(value, path)
    return old + number if is_added else number


def _element(column: Any, row: int, value: str, is_added: bool, path: str) -> Any:
    if column.dtype.kind == "f":
        number: float = _number(value, path)
        return float(column[row]) + number if is_added else number
    whole = _integer(value, path) + (int(column[row]) if is_added else 0)
    info = np.iinfo(column.dtype)
    if not info.min <= whole <= info.max:
        raise CodecError(f"'{path}' = {whole}, expected {info.min}..{info.max}")
    return whole


def _member(kind: type[IntEnum], value: str, path: str) -> IntEnum:
    try:
        return kind(int(value)) if value.lstrip("-").isdigit() else kind[value.upper()]
    except (KeyError, ValueError):
        raise CodecError(
            f"'{path}' = '{value}', expected one of {', '.join(kind.__members__)}"
        ) from None


def _number(value: str, path: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise CodecError(f"'{path}' = '{value[:40]}', expected a number") from None


def _integer(value: str, path: str) -> int:
    try:
        return int(value, 0) if len(value) <= 24 else int("x")
    except ValueError:
        raise CodecError(f"'{path}' = '{value[:40]}', expected a whole number") from None


def _has_parts(old: Any) -> str:
    if isinstance(old, tuple):
        return f"has {len(old)} rows"
    if dataclasses.is_dataclass(old):
        return "has fields " + ", ".join(f.name for f in dataclasses.fields(old))
    return "is one value"


def _example(name: str, old: Any) -> str:
    if isinstance(old, tuple):
        return f"{name}[0]" + (".FIELD" if old and dataclasses.is_dataclass(old[0]) else "")
    return f"{name}.FIELD" if dataclasses.is_dataclass(old) else name
