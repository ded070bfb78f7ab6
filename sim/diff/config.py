"""Two headers: which keys of the scene differ and what each can change, which versions differ."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
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
_ORDER = " (order)"
_MAX_TEXT = 200
_MAX_PAIRS = 250_000  # of elements held against each other


def key_changes(a: RunHeader, b: RunHeader) -> list[KeyChange]:
    """Keys that differ, those that can change the run first."""
    left, right = _table(a), _table(b)
    found: list[tuple[str, Any, Any]] = []
    try:
        _walk(left, right, "", (_Header,), found)
    except RecursionError:  # nobody's scene; a stranger's header
        found = [("config_json", a.config_json, b.config_json)]
    out = []
    values = {key: two for key, _, two in found}
    for key, one, two in found:
        is_context = key.startswith(_CONTEXT)
        from_s = _from_s(key, values, left, right)
        out.append(
            KeyChange(key, _text(one), _text(two), is_context, _reach(key), from_s, _is_known(key))
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
    out = dict(table)
    scene = out.get("scene")
    known = {"name": header.scenario, "seed": header.seed, "tick_ms": _whole(header.tick_ns / 1e6)}
    if isinstance(scene, dict):  # a header that does not agree with its own scene says so
        out["scene"] = known | scene
        out |= {
            f"header.{key}": value for key, value in known.items() if out["scene"][key] != value
        }
    else:
        out |= {f"header.{key}": value for key, value in known.items()}
    return out | {name: header.versions[name] for name in _OF_THE_RUN if name in header.versions}


def _whole(value: float) -> float:
    return int(value) if value.is_integer() else value


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
        _walk_lists(one, two, path, models, out)
    elif one is not two and (type(one), one) != (type(two), two):
        out.append((path, one, two))


def _walk_lists(
    one: list[Any], two: list[Any], path: str, models: Models, out: list[tuple[str, Any, Any]]
) -> None:
    """Elements by their names; one that only changed its name is the same one. Without names, those that are alike are the same."""
    names = element_names(one), element_names(two)
    if _are_named(one, names[0]) and _are_named(two, names[1]):
        left, right = dict(zip(names[0], one, strict=True)), dict(zip(names[1], two, strict=True))
        renamed = _renamed(left, right)
        taken = set(renamed.values())
        for key in [*left, *(key for key in right if key not in left)]:
            if key in renamed:
                out.append((f"{path}[{key}].name", key, renamed[key]))
            elif key in left or key not in taken:
                _walk(
                    left.get(key, _Absent), right.get(key, _Absent), f"{path}[{key}]", models, out
                )
        both = [[key for key in side if key in left and key in right] for side in names]
        if both[0] != both[1]:
            out.append((f"{path}{_ORDER}", both[0], both[1]))
        return
    texts = [[_canonical(item) for item in items] for items in (one, two)]
    if len(one) > 1 and texts[0] != texts[1] and sorted(texts[0]) == sorted(texts[1]):
        out.append((f"{path}{_ORDER}", one, two))
        return
    for how, a0, a1, b0, b1 in _blocks(*texts):
        if how == "equal":
            continue
        for k in range(max(a1 - a0, b1 - b0)):
            x = one[a0 + k] if a0 + k < a1 else _Absent
            y = two[b0 + k] if b0 + k < b1 else _Absent
            at = (b0 if x is _Absent else a0) + k
            _walk(x, y, f"{path}[{at}]", models, out)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _blocks(a: list[str], b: list[str]) -> list[tuple[str, int, int, int, int]]:
    """Which stretches of two lists are alike; of very long ones nobody asks."""
    if len(a) * len(b) > _MAX_PAIRS or a == b:
        return [("equal" if a == b else "replace", 0, len(a), 0, len(b))]
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _are_named(items: list[Any], names: list[str]) -> bool:
    return not items or names != [str(k) for k in range(len(items))]


def _renamed(left: dict[str, Any], right: dict[str, Any]) -> dict[str, str]:
    """Elements that go by another name on the right and are otherwise alike."""
    free: dict[str, list[str]] = {}
    for key, item in right.items():
        if key not in left:
            free.setdefault(_canonical(item | {"name": ""}), []).append(key)
    out: dict[str, str] = {}
    for key, item in left.items():
        others = free.get(_canonical(item | {"name": ""})) if key not in right else None
        if others:
            out[key] = others.pop(0)
    return out


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


def _is_known(key: str) -> bool:
    """Whether a key of the scene is one of ours. Of plain tables nobody here knows the keys: what is there was written by somebody."""
    models: Models = (_Header,)
    for name in re.sub(r"\[[^\]]*\]", "", key.removesuffix(_ORDER)).split("."):
        fields = [model.model_fields[name] for model in models if name in model.model_fields]
        if not models or not fields:
            return not models
        models = tuple(model for field in fields for model in _models(field.annotation))
    return True


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


def _from_s(key: str, values: dict[str, Any], *tables: Any) -> float:
    """When a fault that differs begins: nothing before that can follow from it. `values`: of keys that differ, in b.

    One more or less gives all that come after it in the list another number.
    """
    if not key.startswith("scene.faults"):
        return 0.0
    try:
        number, _, rest = key.replace(_ORDER, "[0]").removeprefix("scene.faults[").partition("]")
        faults = [table["scene"]["faults"] for table in tables]
        if rest:
            ends = (
                [values[key], faults[0][int(number)].get("until_s")] if rest == ".until_s" else []
            )
            if ends:  # it goes on longer, and is the same before
                return min(float(end) for end in ends if end is not None)
            before = faults[0][int(number)]["at_s"]
            return float(min(before, values.get(f"scene.faults[{number}].at_s", before)))
        return min(float(item["at_s"]) for items in faults for item in items[int(number) :])
    except (ValueError, KeyError, TypeError, IndexError):
        return 0.0
