"""Records as fields: plain values by name, and tables whose rows belong to somebody (a track, an actor, a phase).

Every topic comes down to this one form, so that one comparison serves all. Bytes that cannot be read, or of a topic this version does
not know, are one field, `bytes`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from protocols import codec
from protocols.errors import CodecError
from protocols.messages import ActorKind, Light, Map, RequestStatus, SensorSharing
from protocols.v1 import (
    bsm_pb2,
    command_pb2,
    log_pb2,
    plan_pb2,
    priority_pb2,
    rsm_pb2,
    spat_pb2,
    world_pb2,
)
from protocols.wire import Column
from sim.diff.layout import ColumnLayout, Fields, Rows
from sim.radio.fates import Fate

UNKNOWN_NS = -1  # an optional stamp that is not there


LABELS = {  # what a row is, by topic and prefix
    "v2x/bsm": "station", "v2x/rsm": "track", "v2x/ssm": "track", "v2x/spat": "phase", "obu/plan": "step",
    "cmd/signal": "group", "truth/world": "actor", "truth/actor": "actor", "truth/signal": "group",
}  # fmt: skip


_LAYOUTS: dict[str, ColumnLayout] = {
    "v2x/bsm": ColumnLayout(bsm_pb2.BasicSafetyBatch, "station_id"),
    "v2x/rsm": ColumnLayout(rsm_pb2.RoadsideSafety, "track_id"),
    "v2x/vir": ColumnLayout(priority_pb2.VehicleIntention),
    "v2x/rsc": ColumnLayout(priority_pb2.RoadsideCoordination),
    "cmd/signal": ColumnLayout(command_pb2.SignalCommand, "group"),
    "obu/plan": ColumnLayout(plan_pb2.Plan),
    "truth/world": ColumnLayout(world_pb2.WorldState, "id"),
    "truth/actor": ColumnLayout(world_pb2.ActorDescriptions, "id"),
    "truth/signal": ColumnLayout(world_pb2.SignalStates),
}
_PHASE = ("light", "start_ns", "min_end_ns", "max_end_ns", "likely_end_ns", "next_green_start_ns", "next_green_end_ns")  # fmt: skip
_STAMPS = _PHASE[2:]
_ENUMS: dict[str, Any] = {"light": Light, "kind": ActorKind, "fate": Fate, "status": RequestStatus}


def id_name(topic: str) -> str:
    """The column that names the rows of a topic."""
    layout = _LAYOUTS.get(topic)
    if layout is not None and layout.ids is not None:
        return layout.ids
    return {"v2x/spat": "phase_id", "v2x/ssm": "track_id"}.get(topic, "row")


def fields(topic: str, data: bytes) -> Fields:
    """The fields of one record; never an error."""
    try:
        layout = _LAYOUTS.get(topic)
        if layout is not None:
            return layout.read(data)
        special = _SPECIAL.get(topic)
        if special is not None:
            return special(data)
    except (CodecError, DecodeError, ValueError, RecursionError):
        pass
    return Fields({"bytes": data})


def shown(name: str, value: Any) -> str:
    """A value as a reader wants it: names for enumerations, all digits of a number."""
    if isinstance(value, np.generic):
        if isinstance(value, np.float32):
            return str(value)
        value = value.item()
    kinds = _ENUMS.get(name.rpartition(".")[2])
    if kinds is not None and isinstance(value, int):
        known = kinds._value2member_map_.get(value)
        return known.name if known is not None else str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes {value[:12].hex(' ')}{' ...' if len(value) > 12 else ''}"
    if isinstance(value, str):
        return value or "''"
    return repr(value)


def is_named(name: str) -> bool:
    """Whether values of a field are shown by name: then differences between their numbers say nothing."""
    return name.rpartition(".")[2] in _ENUMS


def _spat(data: bytes) -> Fields:
    proto = spat_pb2.Spat.FromString(data)
    phases = proto.phase
    columns: dict[str, Column] = {
        "light": np.array([p.light for p in phases], np.int64),
        "start_ns": np.array([p.start_ns for p in phases], np.int64),
    }
    for name in _STAMPS:
        columns[name] = np.array(
            [
                getattr(p, name) if p.HasField(name) else UNKNOWN_NS  # type: ignore[arg-type]
                for p in phases
            ],
            np.int64,
        )
    ids = np.array([p.phase_id for p in phases], np.int64)
    values = {
        "t_ns": proto.t_ns,
        "node_id": proto.node_id,
        "name": proto.name,
        "is_priority_active": proto.is_priority_active,
    }
    return Fields(values, {"": Rows.of(ids, columns)})


def _map(data: bytes) -> Fields:
    message = codec.decode("v2x/map", data)
    assert isinstance(message, Map)
    values: dict[str, Any] = {
        name: getattr(message, name) for name in ("t_ns", "node_id", "name", "x_m", "y_m")
    }
    values["lanes"] = len(message.lanes)
    for k, lane in enumerate(message.lanes):
        for part in dataclasses.fields(lane):
            value = getattr(lane, part.name)
            where = f"lane[{k}].{part.name}"
            if isinstance(value, tuple):
                values[f"{where} (number)"] = len(value)
                for m, item in enumerate(value):
                    if dataclasses.is_dataclass(item):
                        for inner in dataclasses.fields(item):
                            values[f"{where}[{m}].{inner.name}"] = getattr(item, inner.name)
                    else:
                        values[f"{where}[{m}]"] = item
            else:
                values[where] = value
    return Fields(values)


def _ssm(data: bytes) -> Fields:
    message = codec.decode("v2x/ssm", data)
    assert isinstance(message, SensorSharing)
    names = ("t_ns", "equipment", "sender_id", "x_m", "y_m", "z_m")
    out = Fields({name: getattr(message, name) for name in names})
    out.values["regions"] = len(message.region)
    for k, polygon in enumerate(message.region):
        out.tables[f"region[{k}]."] = Rows.of(None, {"x_m": polygon.x_m, "y_m": polygon.y_m})
    for prefix in ("participants", "obstacles"):
        rows = getattr(message, prefix)
        columns = {part.name: getattr(rows, part.name) for part in dataclasses.fields(rows)}
        out.tables[f"{prefix}."] = Rows.of(columns.pop("track_id"), columns)
    return out


def _event(data: bytes) -> Fields:
    event = log_pb2.Event.FromString(data)
    values: dict[str, Any] = {
        "t_ns": event.t_ns, "event": event.kind, "subject": event.subject, "text": event.text,
    }  # fmt: skip
    return Fields(values | {f"value.{name}": event.value[name] for name in sorted(event.value)})


def _note(data: bytes) -> Fields:
    note = log_pb2.Note.FromString(data)
    out: dict[str, Any] = {"t_ns": note.t_ns}
    for name, value in zip(note.name, note.value, strict=True):
        key, k = name, 1
        while key in out:
            k += 1
            key = f"{name} ({k})"
        out[key] = value
    return Fields(out)


def _result(data: bytes) -> Fields:
    return Fields(result_values(json.loads(log_pb2.RunResult.FromString(data).result_json)))


_ABOUT_THE_MACHINE = ("timing", "versions", "log", "digest", "map_digest", "schema_version")


def result_values(table: Any) -> dict[str, Any]:
    """A result's numbers by path, without what is about the machine or stands elsewhere in the log."""
    out: dict[str, Any] = {}
    if isinstance(table, dict):
        for key in ("outcome", "exit_code", "sentence", "criteria", "vehicles", "facts"):
            flatten(table.get(key), key, out)
        for key in sorted(set(table) - set(_ABOUT_THE_MACHINE)):
            flatten(table[key], key, out)
    return out


def flatten(value: Any, path: str, out: dict[str, Any]) -> None:
    """Leaves of nested tables and lists by path; elements of a list by their `name` where all have one of their own."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            flatten(value[key], f"{path}.{key}" if path else str(key), out)
    elif isinstance(value, list) and value:
        for key, item in zip(element_names(value), value, strict=True):
            flatten(item, f"{path}[{key}]", out)
    else:
        out[path] = value


def element_names(items: list[Any]) -> list[str]:
    """What to call the elements of a list: their `name` where all have one of their own, else their number."""
    names = []
    for item in items:
        if not isinstance(item, dict):
            return [str(k) for k in range(len(items))]
        name = item.get("name")
        names.append(
            f"{name}{'/' + str(item['unit']) if item.get('unit') and 'passed' in item else ''}"
            if name
            else ""
        )
    if all(names) and len(set(names)) == len(names):
        return names
    return [str(k) for k in range(len(items))]


_SPECIAL: dict[str, Callable[[bytes], Fields]] = {
    "v2x/spat": _spat,
    "v2x/map": _map,
    "v2x/ssm": _ssm,
    "truth/event": _event,
    "log/note": _note,
    "log/result": _result,
}
