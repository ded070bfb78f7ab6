"""Two headers: which keys of the scene differ and what each can change, which versions differ."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from scenarios.spec import SceneSpec
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
    try:
        _walk(left, right, "", (_Header,), found)
    except RecursionError:  # nobody's scene; a stranger's header
        found = [("config_json", a.config_json, b.config_json)]
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
    except (ValueError, RecursionError):
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


class _Header(BaseModel):
    """The part of a header's configuration that has a model."""

    scene: SceneSpec


Models = tuple[type[BaseModel], ...]
"""what a table may be, by its key; none: a plain table"""


def _walk(one: Any, two: Any, path: str, models: Models, out: list[tuple[str, Any, Any]]) -> None:
    """Where two nested values part: the deepest key that both have, or a whole element that only one has.

    A key that one side lacks is the same as its default there, and null the same as nothing at all.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        model = _model(models, one, two)
        for key in sorted(set(one) | set(two), key=str):
            where = f"{path}.{key}" if path else str(key)
            x, y = one.get(key, _Absent), two.get(key, _Absent)
            field = None if model is None else model.model_fields.get(key)
            if x is _Absent or y is _Absent:
                given = y if x is _Absent else x
                if given is None or (field is not None and _is_default(given, field)):
                    continue
            _walk(x, y, where, () if field is None else _models(field.annotation), out)
    elif isinstance(one, list) and isinstance(two, list):
        names = element_names(one), element_names(two)
        left, right = dict(zip(names[0], one, strict=True)), dict(zip(names[1], two, strict=True))
        for key in [*left, *(key for key in right if key not in left)]:
            _walk(left.get(key, _Absent), right.get(key, _Absent), f"{path}[{key}]", models, out)
    elif one is not two and (type(one), one) != (type(two), two):
        out.append((path, one, two))


def _is_default(value: Any, field: FieldInfo) -> bool:
    """Whether a value says what its key means when it is left out."""
    if field.is_required():
        return False
    default = to_jsonable_python(field.get_default(call_default_factory=True))
    parted: list[tuple[str, Any, Any]] = []
    _walk(_numbers(value), _numbers(default), "", _models(field.annotation), parted)
    return not parted


def _numbers(value: Any) -> Any:
    """Whole numbers as such: 10.0 and 10 are one value to a model."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _models(annotation: Any) -> Models:
    """The models inside an annotation, whatever they are wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    if get_origin(annotation) is Literal:
        return ()
    return tuple(model for part in get_args(annotation) for model in _models(part))


def _model(models: Models, *tables: dict[str, Any]) -> type[BaseModel] | None:
    """The one of several models whose fixed words (`kind`) both tables carry."""
    fits = [model for model in models if all(_carries(model, table) for table in tables)]
    return fits[0] if len(fits) == 1 or len(models) == 1 else None


def _carries(model: type[BaseModel], table: dict[str, Any]) -> bool:
    return all(
        table.get(name) in get_args(field.annotation)
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is Literal and field.is_required()
    )


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
