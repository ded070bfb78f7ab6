"""Two headers: which keys of the scene differ and what each can change, which versions differ."""

from __future__ import annotations

import json
from typing import Any

from sim.diff.fields import element_names
from sim.diff.model import KeyChange
from sim.log.header import RunHeader

_CONTEXT = (
    "map_path",
    "scene.map.file",
    "scene.bus.",
    "scene.title",
    "scene.description",
    "scene.schema_version",
)
_LENGTH = ("scene.duration_s",)
_VERDICT = ("scene.criteria",)
_RECORDING = ("scene.record.", "scene.epoch_utc")
_OF_THE_RUN = (
    "backend",
    "what_if",
)  # among the header's versions: whose physics drove, edits of messages
_MAX_TEXT = 200


def key_changes(a: RunHeader, b: RunHeader) -> list[KeyChange]:
    """Keys that differ, those that can change the run first."""
    left, right = _table(a), _table(b)
    found: list[tuple[str, Any, Any]] = []
    _walk(left, right, "", found)
    out = []
    for key, one, two in found:
        is_context = key.startswith(_CONTEXT)
        out.append(
            KeyChange(
                key, _text(one), _text(two), is_context, _reach(key), _from_s(key, left, right)
            )
        )
    out.sort(key=lambda item: (item.is_context, item.reaches != "run"))
    return out


def version_changes(a: RunHeader, b: RunHeader) -> list[KeyChange]:
    """Commit and packages that differ."""
    out = []
    if a.commit != b.commit:
        out.append(KeyChange("commit", a.commit or "unknown", b.commit or "unknown"))
    for name in sorted((set(a.versions) | set(b.versions)) - set(_OF_THE_RUN)):
        one, two = a.versions.get(name, "-"), b.versions.get(name, "-")
        if one != two:
            out.append(KeyChange(name, one, two))
    return out


class _Absent:
    """Stands for a key that is not there."""


def _table(header: RunHeader) -> dict[str, Any]:
    try:
        table = json.loads(header.config_json)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        table = {"config_json": header.config_json}
    scene = table.get("scene")
    named = scene if isinstance(scene, dict) else {}
    out = dict(table)
    for key, own, value in (
        ("scenario", "name", header.scenario), ("seed", "seed", header.seed), ("tick_ns", "tick_ms", header.tick_ns),
    ):  # fmt: skip
        if own not in named:
            out[key] = value
    return out | {name: header.versions[name] for name in _OF_THE_RUN if name in header.versions}


def _walk(one: Any, two: Any, path: str, out: list[tuple[str, Any, Any]]) -> None:
    """Where two nested values part: the deepest key that both have, or a whole element that only one has."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(set(one) | set(two), key=str):
            where = f"{path}.{key}" if path else str(key)
            _walk(one.get(key, _Absent), two.get(key, _Absent), where, out)
    elif isinstance(one, list) and isinstance(two, list):
        names = element_names(one), element_names(two)
        left, right = dict(zip(names[0], one, strict=True)), dict(zip(names[1], two, strict=True))
        for key in [*left, *(key for key in right if key not in left)]:
            _walk(left.get(key, _Absent), right.get(key, _Absent), f"{path}[{key}]", out)
    elif one is not two and (type(one), one) != (type(two), two):
        out.append((path, one, two))


def _text(value: Any) -> str:
    if value is _Absent:
        return "-"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 4] + " ..."


def _reach(key: str) -> str:
    for prefixes, reach in ((_LENGTH, "length"), (_VERDICT, "verdict"), (_RECORDING, "recording")):
        if key.startswith(prefixes):
            return reach
    return "run"


def _from_s(key: str, *tables: Any) -> float:
    """When a fault that differs begins: nothing before that can follow from it."""
    if not key.startswith("scene.faults["):
        return 0.0
    try:
        number = int(key.removeprefix("scene.faults[").partition("]")[0])
        faults = [table["scene"]["faults"] for table in tables]
        return min(float(items[number]["at_s"]) for items in faults if number < len(items))
    except (ValueError, KeyError, TypeError):
        return 0.0
