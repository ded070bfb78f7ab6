"""From the words on the command line to the runs they mean: scene files, folders, patterns, library names, suite files.

Nothing that was asked for is lost: a file that is no TOML, a suite file with a mistake, a folder without scenes each become a `Problem`
with its outcome, and the rest is expanded. Ids do not depend on where the checkout lies.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from protocols.errors import ConfigError, IcvError
from protocols.sentence import say
from scenarios import load as scenes
from scenarios.suites.spec import MAX_RUNS, EntrySpec, SuiteSpec
from scenarios.suites.sweep import Row, rows, toml_value
from scenarios.verdict import Outcome

_PATTERN = re.compile(r"[*?\[]")
_SHOWN = 40  # characters of one value in an id


@dataclass(frozen=True, slots=True)
class Entry:
    """One run that is wanted. `scene`: a file's path, or the name of a library scene."""

    id: str
    scene: str
    overrides: tuple[str, ...] = ()
    suite: str = ""
    repeat: int = 1
    timeout_s: float | None = None  # None: nobody said
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something asked for that cannot run: `outcome` is bad input, or nothing ran where a folder or pattern holds no scene."""

    id: str
    scene: str
    outcome: Outcome
    sentence: str
    suite: str = ""


@dataclass(frozen=True, slots=True)
class Expansion:
    """Runs and problems in the order asked for, and a name for the whole."""

    name: str
    items: tuple[Entry | Problem, ...]
    seed: int


def library() -> dict[str, Path]:
    """Suites that come with the platform: name -> file."""
    folder = Path(str(files("scenarios"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def expand(paths: Sequence[str], seed: int | None = None) -> Expansion:
    """What `paths` mean. `seed`: of random sweeps, instead of the suite files' own."""
    found: list[Entry | Problem] = []
    names: list[str] = []
    seeds: list[int] = []
    for word in paths:
        for file, prefix in _files(word, found):
            spec = _read(file, prefix, found)
            if spec is None:
                continue
            if isinstance(spec, Entry):
                found.append(spec)
                continue
            names.append(spec.name)
            seeds.append(spec.seed if seed is None else seed)
            try:
                found.extend(_entries(spec, file, seeds[-1]))
            except IcvError as error:
                found.append(_bad(prefix, file, str(error), spec.name))
            if len(found) > MAX_RUNS:
                raise ConfigError(
                    say(
                        "{names}: more than {allowed} runs; expected at most that many. Name fewer scenes, or fewer values "
                        "in sweeps.",
                        names=" ".join(paths)[:200], allowed=MAX_RUNS,
                    )
                )  # fmt: skip
    return Expansion(
        names[0] if len(set(names)) == 1 else "suite",
        tuple(_distinct(found)),
        seeds[0] if seeds else seed or 0,
    )


# --- words to files ----------------------------------------------------------------------------------------------------


def _files(word: str, found: list[Entry | Problem]) -> Iterator[tuple[Path, str]]:
    """(file, id of a scene in it) for one word; what cannot be used goes to `found`."""
    path = Path(word)
    if path.is_dir():
        inside = sorted(
            (p for p in path.rglob("*.toml") if p.is_file()),
            key=lambda p: p.relative_to(path).parts,
        )
        if not inside:
            found.append(_nothing(word, "the folder holds no scene file (.toml)"))
        top = path.resolve().name
        for file in inside:
            yield file, f"{top}/{file.relative_to(path).with_suffix('').as_posix()}"
    elif path.is_file():
        yield path, path.stem
    elif word in scenes.library():
        yield Path(word), word  # by name: the same in every checkout
    elif word in library():
        yield library()[word], word
    elif _PATTERN.search(word):
        base = Path(path.anchor or ".")
        try:
            inside = sorted(p for p in base.glob(os.path.relpath(word, base)) if p.is_file())
        except (ValueError, OSError) as error:
            inside = []
            found.append(_bad(word, word, f"{word}: not a pattern: {error}."))
            return
        if not inside:
            found.append(_nothing(word, "the pattern matches no file"))
        for file in inside:
            yield file, file.stem
    else:
        known = [*scenes.library(), *library()]
        close = difflib.get_close_matches(path.stem, known, 3, 0.4) or known
        found.append(
            _bad(
                word, word,
                f"{word}: no such scene, suite file or folder. Nearest of those that come along: {', '.join(close)}.",
            )
        )  # fmt: skip


def _bad(id_: str, scene: Path | str, sentence: str, suite: str = "") -> Problem:
    return Problem(id_, str(scene), Outcome.BAD_INPUT, sentence, suite)


def _nothing(word: str, why: str) -> Problem:
    return Problem(
        word, word, Outcome.NOTHING_RAN,
        f"{word}: no scenario matched: {why}. List those that come along with `icv scenarios list`.",
    )  # fmt: skip


# --- one file ----------------------------------------------------------------------------------------------------------


def _read(file: Path, id_: str, found: list[Entry | Problem]) -> SuiteSpec | Entry | None:
    """A suite, a scene to be checked by the run itself, or None with a problem noted."""
    if not file.is_file() and str(file) in scenes.library():
        return Entry(id_, str(file))
    try:
        if file.stat().st_size > scenes.MAX_SCENE_BYTES:
            raise ConfigError(
                say(
                    "{file}: {size} bytes; a suite or scene file has at most {allowed}.",
                    file=file, size=file.stat().st_size, allowed=scenes.MAX_SCENE_BYTES,
                )
            )  # fmt: skip
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return Entry(id_, str(file))  # the run says what is wrong, in its own words
    except IcvError as error:
        found.append(_bad(id_, file, str(error)))
        return None
    if "scenes" not in table:
        return Entry(id_, str(file))
    try:
        return SuiteSpec.model_validate(table)
    except ValidationError as error:
        found.append(_bad(id_, file, _sentence(file, error)))
        return None


def _sentence(file: Path, error: ValidationError) -> str:
    """The first mistake in full, the number of others after it."""
    errors = error.errors(include_url=False)
    first = errors[0]
    at = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        text = f"unknown key '{at}'"
    elif first["type"] == "missing":
        text = f"key '{at}' is missing"
    elif first["type"] == "value_error":
        text = f"{at}: {first['ctx']['error']}"
    else:
        message = first["msg"].replace("Input should be", "expected")
        text = f"{at}: found {repr(first['input'])[:60]}; {message[:1].lower()}{message[1:]}"
    more = f" ({len(errors) - 1} more in this file.)" if len(errors) > 1 else ""
    return f"{file}: {text}.{more} What a suite file may say is in docs/suites.md."


def _entries(spec: SuiteSpec, file: Path, seed: int) -> Iterator[Entry]:
    for number, entry in enumerate(spec.scenes):
        scene, base = _scene(entry, file)
        fixed = {**spec.set, **entry.set}
        place = f"{spec.name}/{entry.name or base}/{number}"
        for row in rows(entry.sweep, seed, place) if entry.sweep is not None else [Row()]:
            changed = {**fixed, **row}
            yield Entry(
                id=entry_id(entry.name or base, row if entry.name else {**entry.set, **row}),
                scene=scene,
                overrides=tuple(f"{key}={toml_value(value)}" for key, value in changed.items()),
                suite=spec.name,
                repeat=spec.repeat,
                timeout_s=entry.timeout_s or spec.timeout_s,
                memory_mb=entry.memory_mb or spec.memory_mb,
            )


def _scene(entry: EntrySpec, file: Path) -> tuple[str, str]:
    """What `load_scene` gets, and the name in ids. A file beside the suite comes before the library."""
    beside = file.parent / entry.scene
    if beside.is_file():
        return str(beside), Path(entry.scene).stem
    if entry.scene in scenes.library():
        return entry.scene, entry.scene
    return str(beside), Path(entry.scene).stem  # the run says that it is not there


# --- ids ---------------------------------------------------------------------------------------------------------------


def entry_id(base: str, changed: Mapping[str, Any] | Sequence[str]) -> str:
    """`base[seed=3,radio.model=ideal]`; a long value is cut and gets a mark of its own."""
    if not changed:
        return base
    if isinstance(changed, Mapping):
        pairs = [(key, toml_value(value)) for key, value in changed.items()]
    else:
        pairs = [(k, v) for k, _, v in (text.partition("=") for text in changed)]
    return f"{base}[{','.join(f'{key}={_short(text)}' for key, text in pairs)}]"


def _short(text: str) -> str:
    plain = re.sub(r'^"([A-Za-z0-9_./:\-]*)"$', r"\1", text)
    if len(plain) <= _SHOWN and plain.isprintable():
        return plain
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return "".join(c if c.isprintable() else "?" for c in plain[: _SHOWN - 12]) + f"...{mark}"


def _distinct(found: Sequence[Entry | Problem]) -> Iterator[Entry | Problem]:
    """The same run asked for twice is made once; different runs of one name get `~2`, `~3`."""
    made: set[tuple[Any, ...]] = set()
    taken: dict[str, int] = {}
    for item in found:
        what = (
            # A suite's entries differ by name, too; words on the command line do not.
            (
                str(Path(item.scene).resolve()),
                item.overrides,
                item.suite,
                item.id if item.suite else "",
            )
            if isinstance(item, Entry)
            else (item.id, item.sentence)
        )
        if what in made:
            continue
        made.add(what)
        name, number = item.id, taken.get(item.id, 0) + 1
        taken[item.id] = number
        yield item if number == 1 else replace(item, id=f"{name}~{number}")
