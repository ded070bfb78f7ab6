"""A scene as a TOML file that people read: only keys that differ from their defaults, tables as a person would write them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenarios.spec import SceneSpec

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
_LINE = 110  # characters; longer inline tables of [[lists]] get a line each


def scene_text(spec: SceneSpec, comment: str) -> str:
    """The file's text; `comment` comes first, line by line."""
    table = {"schema_version": spec.schema_version, **spec.model_dump(mode="json", exclude_defaults=True)}  # fmt: skip
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in comment)  # as TOML wants
    lines = [f"# {line}".rstrip() for line in plain.split("\n")] if comment else []
    return "\n".join([*lines, *_table(_without_none(table), ())]) + "\n"


def write_scene(path: Path, spec: SceneSpec, comment: str) -> None:
    """Write it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = half_written(path)
    half.write_text(scene_text(spec, comment), encoding="utf-8")
    half.replace(path)


def half_written(path: Path) -> Path:
    """Where the text lies until it is whole."""
    return path.with_name(path.name + ".part")


def map_file(map_path: Path, roads: Path, folder: Path) -> str:
    """How a scene in `folder` names its road file: bare from the library's `roads`, unless one of that name lies in `folder`, else relative."""
    if map_path.resolve().parent == roads.resolve() and not (folder / map_path.name).exists():
        return map_path.name
    return os.path.relpath(map_path.resolve(), folder.resolve())


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of one table: plain keys first, then tables, then lists of tables."""
    plain, tables, lists = [], [], []
    for key, value in table.items():
        if isinstance(value, Mapping) and (not path or key == "environment"):
            tables.append((key, value))
        elif len(path) < 2 and value and isinstance(value, list) and isinstance(value[0], Mapping):
            lists.append((key, value))
        else:
            plain.append(f"{_key(key)} = {_value(value)}")
    lines = list(plain)
    for key, value in tables:
        inner = _table(value, (*path, key))
        head = [] if inner and inner[0].startswith("\n[") else [f"\n[{'.'.join((*path, key))}]"]
        lines += head + inner
    for key, rows in lists:
        for row in rows:
            lines += [f"\n[[{'.'.join((*path, key))}]]"]
            lines += [f"{_key(k)} = {_long(v)}" for k, v in row.items()]
    return lines


def _long(value: Any) -> str:
    text = _value(value)
    if len(text) <= _LINE or not (
        isinstance(value, list) and value and isinstance(value[0], Mapping)
    ):
        return text
    return "[\n" + "".join(f"    {_value(item)},\n" for item in value) + "]"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(_value(item) for item in value)}]"


def _key(key: str) -> str:
    return key if _BARE.match(key) else json.dumps(key, ensure_ascii=False)
