"""From a scene file and `--set` overrides to a checked `SceneSpec`; every mistake becomes one sentence with file and key.

Overrides are `a.b.c=value` with a TOML value (`--set seed=7`, `--set 'radio.model="range_loss"'`; a bare word is taken as a string).
Entries of lists are addressed by number or by their `name`: `vehicles.bus1.depart_s=30`. The file itself is never changed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from protocols.errors import ConfigError
from protocols.sentence import phrase, say
from scenarios import criteria
from scenarios.fault_spec import FAULT_KINDS
from scenarios.mistakes import unknown_key, wrong_value
from scenarios.spec import SceneSpec

MAX_SCENE_BYTES = 4_000_000
_BARE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_./:\-]*$")  # names, lane keys, paths


@dataclass(frozen=True, slots=True)
class LoadedScene:
    """A checked scene, where it came from, and the text as it was written."""

    spec: SceneSpec
    path: Path
    text: str


def library() -> dict[str, Path]:
    """Scenes that come with the platform: name -> file."""
    folder = Path(str(files("scenarios"))) / "library"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_scene(path: Path | str, overrides: Sequence[str] = ()) -> LoadedScene:
    """Read, override, check. `path` is a file, or the name of a library scene. ConfigError says what is wrong where."""
    file = _find(Path(path))
    text = _read(file)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            say("{file}: not valid TOML: {why}. Expected `key = value` lines and [tables].", file=file, why=error)
        ) from None  # fmt: skip
    for override in overrides:
        _override(table, override)
    where = str(file)
    if overrides:
        where = say("{file} with --set {overrides}", file=file, overrides=" ".join(overrides))
    return LoadedScene(check_scene(table, where), file, text)


def check_scene(table: Mapping[str, Any], where: str) -> SceneSpec:
    """A plain table as a `SceneSpec`; `where` names its source in messages (a file, or a log's header)."""
    try:
        spec = SceneSpec.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError(_sentence(where, error, (), table, _scene_keys)) from None
    try:
        models = criteria.parse(spec.criteria)
    except ValidationError as error:
        raise ConfigError(_sentence(where, error, ("criteria",), table, _criterion_keys)) from None
    _check_names(spec, models, where)
    return spec


def apply_overrides(spec: SceneSpec, overrides: Sequence[str], where: str) -> SceneSpec:
    """`spec` with `--set` overrides on top, checked again."""
    table = spec.model_dump(mode="json", exclude_unset=True)
    for override in overrides:
        _override(table, override)
    return check_scene(table, f"{where} with --set {' '.join(overrides)}" if overrides else where)


def find_map(spec: SceneSpec, base: Path) -> Path:
    """The scene's road file: beside the scene, else among the library's roads. ConfigError lists where it looked."""
    asked = Path(spec.map.file)
    roads = Path(str(files("scenarios"))) / "roads"
    for candidate in (base / asked, roads / asked):
        if candidate.is_file():
            return candidate
    names = sorted(path.name for folder in (base, roads) for path in folder.glob("*.xodr"))
    close = difflib.get_close_matches(asked.name, names, 3, 0.5) or names[:5]
    sentence = say(
        "map.file: no road file '{file}' in {base} nor in {roads}.",
        file=asked,
        base=base,
        roads=roads,
    )
    if close:
        sentence = say("{said!s} Nearest there: {names}.", said=sentence, names=", ".join(close))
    raise ConfigError(sentence)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    scenes = library()
    if path.suffix in ("", ".toml") and path.parent == Path() and path.stem in scenes:
        return scenes[path.stem]
    if path.is_dir():
        raise ConfigError(say("{file}: is a folder; expected a scene file (.toml).", file=path))
    close = difflib.get_close_matches(path.stem, scenes, 3, 0.4) or list(scenes)
    words = phrase("{file}: no such scene file. List them with `icv scenarios list`.")
    if close:
        words = phrase("{file}: no such scene file. Library scenes: {names}. List them with `icv scenarios list`.")  # fmt: skip
    raise ConfigError(say(words, file=path, names=", ".join(close)))


def _read(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size > MAX_SCENE_BYTES:
            raise ConfigError(
                say("{file}: {size:d} bytes; a scene file has at most {allowed:d}.", file=file, size=size, allowed=MAX_SCENE_BYTES)
            )  # fmt: skip
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            say("{file}: not UTF-8 text (byte {byte:d}); expected a TOML file.", file=file, byte=error.start)
        ) from None  # fmt: skip
    except OSError as error:
        raise ConfigError(
            say("{file}: cannot be read: {why}.", file=file, why=error.strerror)
        ) from None


# --- overrides ---------------------------------------------------------------------------------------------------------


def _override(table: dict[str, Any], override: str) -> None:
    """Set one value in the parsed file."""
    where = f"--set {override}"
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(
            say("{where!s}: expected key=value, such as --set seed=7 or --set vehicles.0.depart_s=30.", where=where)
        )  # fmt: skip
    value = _value(text.strip(), where)
    node: Any = table
    for depth, part in enumerate(parts):
        path, is_last = ".".join(parts[: depth + 1]), depth == len(parts) - 1
        if isinstance(node, list):
            row = _row(node, part, path, where)
            if is_last:
                node[row] = value
            node = node[row]
        elif isinstance(node, dict):
            if is_last:
                node[part] = value
            else:
                node = node.setdefault(part, {})
        else:
            raise ConfigError(
                say("{where!s}: '{key}' cannot be set, because what holds it is the value {value!r}.", where=where, key=path, value=node)
            )  # fmt: skip


def _row(rows: list[Any], part: str, path: str, where: str) -> int:
    """Index of a list entry by number or by name."""
    if part.isdecimal() and int(part) < len(rows):
        return int(part)
    names = [str(row.get("name", "")) for row in rows if isinstance(row, dict)]
    if part in names:
        return [isinstance(row, dict) and row.get("name") == part for row in rows].index(True)
    known = [name for name in names if name] or [f"0 to {len(rows) - 1}" if rows else "none"]
    raise ConfigError(
        say("{where!s}: '{key}' is not in the list; its entries are {names}.", where=where, key=path, names=", ".join(known[:8]))
    )  # fmt: skip


def _value(text: str, where: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if _BARE.match(text):
            return text
        raise ConfigError(
            say("{where!s}: '{text}' is not a TOML value; write a number, true, \"text\", [1, 2] or {{ a = 1 }}.", where=where, text=text)
        ) from None  # fmt: skip


# --- sentences ---------------------------------------------------------------------------------------------------------


def _sentence(
    where: str, error: ValidationError, prefix: tuple[str, ...], table: Any, known: Any
) -> str:
    """The first mistake in full, the number of others after it."""
    errors = error.errors(include_url=False)
    first = errors[0]
    location = [*prefix, *first["loc"]]
    kinds: Mapping[str, Any] = (
        FAULT_KINDS if location and location[0] == "faults" else criteria.kinds()
    )
    in_list = bool(location) and location[0] in ("criteria", "faults")
    if in_list and len(location) > 2 and isinstance(location[2], str) and location[2] in kinds:
        location.pop(2)  # pydantic adds the union's tag to the path; the file has no such key
    path = ".".join(str(part) for part in location)
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        text = unknown_key(where, path, known(location, table))
    elif kind == "missing":
        text = say("{where!s}: key '{key}' is missing.", where=where, key=path)
    elif kind == "union_tag_invalid":
        close = difflib.get_close_matches(str(context.get("tag", "")), kinds, 3, 0.4)
        nearest = ", ".join(close or kinds)
        words = phrase("{where!s}: {key}.kind: no criterion '{tag}'. Nearest known: {names}.")
        if kinds is FAULT_KINDS:
            words = phrase("{where!s}: {key}.kind: no fault '{tag}'. Nearest known: {names}.")
        text = say(words, where=where, key=path, tag=context.get("tag"), names=nearest)
    elif kind == "union_tag_not_found":
        text = say("{where!s}: {key}: key 'kind' is missing; one of {names}.", where=where, key=path, names=", ".join(kinds))  # fmt: skip
    else:
        text = wrong_value(where, path, first)
    if len(errors) > 1:
        text = say("{problem!s} ({number:d} more like it in this file.)", problem=text, number=len(errors) - 1)  # fmt: skip
    return say("{problem!s} Print what a scene may say with `icv schema`.", problem=text)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Pydantic models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)


def _scene_keys(location: Sequence[Any], table: Any) -> Iterable[str]:
    """Keys that could stand where the unknown one does."""
    if location[0] == "faults" and len(location) > 2:
        return FAULT_KINDS[table["faults"][location[1]]["kind"]].model_fields
    return keys_at(SceneSpec, location)


def keys_at(model: type[BaseModel], location: Sequence[Any]) -> Iterable[str]:
    """Keys that `model`'s table has where the last part of `location` stands."""
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model.model_fields


def _criterion_keys(location: Sequence[Any], table: Any) -> Iterable[str]:
    """Keys of the criterion of that kind."""
    kind = table["criteria"][location[1]]["kind"]
    return criteria.kinds()[kind].model_fields


def _check_names(spec: SceneSpec, models: Sequence[Any], where: str) -> None:
    """Criteria name vehicles that exist, and do not ask about vehicles where there are none."""
    names = [vehicle.name for vehicle in spec.vehicles]
    for index, model in enumerate(models):
        asked = getattr(model, "vehicles", None)
        path = f"criteria.{index}"
        if asked is None:
            if getattr(model, "who", "") == "under_test" and not names:
                raise ConfigError(
                    say(
                        "{where!s}: {key}: '{kind}' asks about automated vehicles, and the scene has none; add [[vehicles]] or set "
                        'who = "background".',
                        where=where, key=path, kind=model.kind,
                    )
                )  # fmt: skip
            continue
        if not names:
            raise ConfigError(
                say(
                    "{where!s}: {key}: '{kind}' asks about automated vehicles, and the scene has none; add [[vehicles]] or remove the "
                    "criterion.",
                    where=where, key=path, kind=model.kind,
                )
            )  # fmt: skip
        for name in asked:
            if name not in names:
                close = difflib.get_close_matches(name, names, 3, 0.4) or names
                raise ConfigError(
                    say(
                        "{where!s}: {key}.vehicles: no vehicle '{name}' in this scene. Nearest known: {names}.",
                        where=where, key=path, name=name, names=", ".join(close),
                    )
                )  # fmt: skip
