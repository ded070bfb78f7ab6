"""One HTML page about a suite: verdict, runs with their criteria and figures, sweeps as tables of outcomes.

One file without anything from elsewhere: style, script and data are inside, and a content policy forbids the rest, scripts
that a name might smuggle in too (only the page's own script, by its hash, may run). It opens from disk and reads without
scripts; folding, filters, sweeps and the second language need them. What is about to be looked at comes first: infrastructure errors,
bad input, flaky runs, failures; inside a group the order of the plan.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from protocols.errors import InfrastructureError
from scenarios.verdict import Outcome
from sim.report import wording
from sim.report.result import plain
from sim.suite.model import SuiteResult, TaskResult
from sim.suite.whole_file import whole_file

_TEMPLATES = Path(__file__).parent / "templates"
FLAKY = "flaky"
# What a reader wants to see first; flaky stands between what never got judged and what failed.
_RANK = (Outcome.INFRASTRUCTURE_ERROR, Outcome.BAD_INPUT, FLAKY, Outcome.FAIL, Outcome.NOTHING_RAN, Outcome.PASS)  # fmt: skip
_WORDS = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.BAD_INPUT: "bad input",
    Outcome.INFRASTRUCTURE_ERROR: "infrastructure error",
    Outcome.NOTHING_RAN: "nothing ran",
    FLAKY: "flaky",
}
_MARKS = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.BAD_INPUT: "?",
    Outcome.INFRASTRUCTURE_ERROR: "!",
    Outcome.NOTHING_RAN: "○",
    FLAKY: "≈",
}
_FIRST = 6  # runs that are named above everything else
_COLUMNS = (  # key, heading, how it sorts
    ("status", "verdict", "number"),
    ("scenario", "scenario", "text"),
    ("said", "what happened", "text"),
    ("criteria", "criteria", "number"),
    ("wall", "time", "number"),
    ("memory", "memory", "number"),
)


def write_page(result: SuiteResult, path: Path, folder: Path) -> Path:
    """Write the page to `path`, whole or not at all. `folder`: the suite's, from which the results' log paths start."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style, script = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    ordered = sorted(
        result.results, key=lambda one: _RANK.index(_kind(one))
    )  # stable: plan's order
    place = {one.task.id: k for k, one in enumerate(ordered)}
    groups: dict[str, list[str]] = {}
    for one in result.results:
        groups.setdefault(_without_repeat(one), []).append(one.task.id)
    beside = path.resolve().parent
    siblings = [
        [place[name] for name in groups[_without_repeat(one)]] if one.is_flaky else []
        for one in ordered
    ]
    runs = (  # one at a time: of many they would not fit into memory
        plain(_run(one, _links(one, folder.resolve(), beside)) | {"siblings": beside_it})
        for one, beside_it in zip(ordered, siblings, strict=True)
    )
    rows = [_row(one) for one in ordered]
    failing = _failing(rows, siblings)
    first = failing[:_FIRST] if len(failing) > _FIRST + 1 else failing
    parts = environment.get_template("page.html").generate(
        suite={
            "name": result.name,
            "outcome": result.outcome.value,
            "sentence": result.sentence,
            "started_utc": result.started_utc,
            "wall_s": result.wall_s,
            "wall": _time(result.wall_s),
            "workers": result.workers,
            "commit": result.commit,
            "seed": result.seed,
            "versions": sorted(result.versions.items()),
            "not_run": [task.id for task in result.not_run],
            "broken": result.broken,
        },
        tasks=rows,
        first=first,
        rest=_rest(failing[len(first) :]),
        counts=_counts(result.results),
        columns=_COLUMNS,
        outcome_word=_WORDS,
        mark=_MARKS,
        runs=runs,
        zh=_in_chinese(result, ordered),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.writelines(part.encode("utf-8", "replace") for part in parts)
    except OSError as error:
        raise InfrastructureError(
            f"--html {path}: cannot be written: {error.strerror}. Give another place."
        ) from error
    return path


def _kind(one: TaskResult) -> Outcome | str:
    """What a run is listed under: flaky where it was judged and a repetition disagreed, else its outcome."""
    return FLAKY if one.is_flaky and one.outcome in (Outcome.PASS, Outcome.FAIL) else one.outcome


def _counts(results: Sequence[TaskResult]) -> list[tuple[str, int]]:
    """(outcome, how many), in order of attention; flaky ones count under their outcome too."""
    return [
        (str(kind), sum(one.is_flaky if kind == FLAKY else one.outcome == kind for one in results))
        for kind in _RANK
    ]


def _failing(
    rows: Sequence[dict[str, Any]], siblings: Sequence[Sequence[int]]
) -> list[dict[str, Any]]:
    """Rows that did not simply pass; a flaky run once, with what each repetition said."""
    out = []
    for k, row in enumerate(rows):
        group = [rows[i] for i in siblings[k]]
        if row["kind"] == FLAKY:
            if k != min(siblings[k]):
                continue
            repeats = " ".join(_MARKS[one["outcome"]] for one in group)
            bad = next((one for one in group if one["outcome"] != Outcome.PASS), row)
            row = row | {"repeats": repeats, "sentence": bad["sentence"]}
        elif row["outcome"] == Outcome.PASS:
            continue
        out.append(row | {"at": k})
    return out


def _rest(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """(what they are listed under, how many) of runs that did not get a line above everything else."""
    kinds = [row["kind"] for row in rows]
    return [(str(kind), kinds.count(kind)) for kind in _RANK if kind in kinds]


def _row(one: TaskResult) -> dict[str, Any]:
    """What the table shows of a run."""
    passed = sum(bool(table.get("passed")) for table in one.criteria)
    kind = _kind(one)
    return {
        "id": one.task.id,
        "kind": str(kind),
        "outcome": one.outcome.value,
        "is_flaky": one.is_flaky,
        "rank": _RANK.index(kind),
        "sentence": one.sentence,
        "criteria": len(one.criteria),
        "passed": passed,
        "share": f"{passed / len(one.criteria):.6f}" if one.criteria else "",
        "wall_s": one.wall_s,
        "wall": _time(one.wall_s),
        "peak_mb": one.peak_mb,
        "repeats": "",
    }


def _run(one: TaskResult, links: list[tuple[str, str]]) -> dict[str, Any]:
    """What a run unfolds to."""
    task = one.task
    command = ["icv", "run", task.scene] + [
        word for item in task.overrides for word in ("--set", item)
    ]
    return {
        "id": task.id,
        "scene": task.scene,
        "suite": task.suite,
        "overrides": [_pair(item) for item in task.overrides],
        "outcome": one.outcome.value,
        "is_flaky": one.is_flaky,
        "sentence": one.sentence,
        "criteria": [_criterion(table) for table in one.criteria],
        "metrics": sorted(one.metrics.items()),
        "digest": one.digest,
        "map_digest": one.map_digest,
        "cpu_s": round(one.cpu_s, 2),
        "worker": one.worker,
        "is_carried": one.is_carried,
        "links": links,
        "command": shlex.join(command),
    }


def _criterion(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(table.get("name", "")),
        "passed": bool(table.get("passed", False)),
        "value": _figure(table.get("value")),
        "limit": _figure(table.get("limit")),
        "unit": str(table.get("unit") or ""),
        "t_s": _figure(table.get("t_s")),
        "sentence": str(table.get("sentence", "")),
    }


def _figure(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _pair(item: str) -> tuple[str, str]:
    key, _, value = item.partition("=")
    return key.strip(), value.strip()


def _links(one: TaskResult, folder: Path, beside: Path) -> list[tuple[str, str]]:
    """(what, address) of files that are there, as seen from the page."""
    wanted = []
    if one.log:
        log = folder / one.log
        wanted += [
            ("report", log.with_name("report.html")),
            ("log", log),
            ("result", log.with_name("result.json")),
        ]
    if one.output:
        wanted.append(("output", folder / one.output))
    return [(what, _address(file, beside)) for what, file in wanted if file.is_file()]


def _address(file: Path, beside: Path) -> str:
    """Relative address; the leading ./ keeps a colon in a name from being read as a scheme."""
    relative = os.path.relpath(file, beside).replace(os.sep, "/")
    return "./" + quote(relative, errors="surrogateescape")


def _without_repeat(one: TaskResult) -> str:
    return repr((one.task.scene, one.task.overrides, one.task.suite))


def _time(seconds: float) -> str:
    if seconds < 60.0:
        return f"{seconds:.1f} s" if seconds < 10.0 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _in_chinese(result: SuiteResult, ordered: Sequence[TaskResult]) -> dict[str, str]:
    """Recorded English -> Chinese, what is looked at first in front: there is an end to what is looked up."""
    names: set[str] = set()
    for one in ordered:
        names.update(str(name) for name, _ in one.metrics.items())
    return wording.dictionary(_sentences(result, ordered), sorted(names))


def _sentences(result: SuiteResult, ordered: Sequence[TaskResult]) -> Iterator[str]:
    """All that were recorded: of the suite, of its runs, of criteria that failed, of others."""
    yield from (result.sentence, result.broken)
    yield from (one.sentence for one in ordered)
    for passed in (False, True):
        for one in ordered:
            for row in map(_criterion, one.criteria):
                if row["passed"] == passed:
                    yield from (row["name"], row["sentence"])


def _hash(text: str) -> str:
    """As a content policy names an inline part."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
