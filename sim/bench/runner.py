"""Runs the benches by name, writes `<out>/<name>.json`, and puts us beside our peers.

A file holds the machine, the versions, the rows, and the ratios: for each (workload, metric) that a peer has too, ours divided by
theirs. A bench module offers `rows(runs) -> Iterator[Row]`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from protocols.errors import ConfigError
from sim.bench.measure import OURS, Row, machine
from sim.report.result import versions

NAMES = (
    "maps",
    "traffic",
    "recording",
    "corridor",
    "startup",
    "memory",
    "bus",
    "sensing",
    "carla",
    "suite",
    "report",
)


def run_benches(what: str, runs: int, out: Path) -> Iterator[str]:
    """Lines to print while it measures; files as a side effect."""
    if what != "all" and what not in NAMES:
        raise ConfigError(
            f"icv bench {what}: no such bench; expected one of {', '.join(NAMES)}, all."
        )
    for name in NAMES if what == "all" else (what,):
        yield f"# {name}"
        rows: list[Row] = []
        for entry in importlib.import_module(f"sim.bench.{name}").rows(runs):
            rows.append(entry)
            yield json.dumps(entry)
        compared = ratios(rows)
        for entry in compared:
            yield json.dumps(entry)
        path = write(out, name, rows, compared)
        yield f"# wrote {path}"


def ratios(rows: Sequence[Row]) -> list[Row]:
    """Ours over theirs, where both measured the same thing in the same unit."""
    ours = {
        (r["workload"], r["metric"], r["unit"]): r
        for r in rows
        if r["peer"] == OURS and "value" in r
    }
    out = []
    for theirs in rows:
        if theirs["peer"] == OURS or "value" not in theirs:
            continue
        mine = ours.get((theirs["workload"], theirs["metric"], theirs["unit"]))
        if mine is not None and theirs["value"]:
            ratio = float(f"{mine['value'] / theirs['value']:.4g}")
            out.append(
                {
                    "workload": theirs["workload"],
                    "metric": theirs["metric"],
                    "ratio": ratio,
                    "over": theirs["peer"],
                }
            )
    return out


def write(out: Path, name: str, rows: Sequence[Row], compared: Sequence[Row]) -> Path:
    """One file a bench."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    content = {
        "bench": name,
        "machine": machine(),
        "versions": versions(),
        "rows": list(rows),
        "ratios": list(compared),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
