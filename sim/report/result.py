"""`result.json`: the verdict and its numbers for programs.

Same scene, seed and version give the same content, except under "timing" (wall clock and processor time), which comparisons leave out.
Keys are sorted; floats are rounded to 9 significant digits; a value that is not finite is written as null.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from protocols.judging import RunFacts
from scenarios.spec import SceneSpec
from scenarios.verdict import Verdict

SCHEMA_VERSION = 1
_PACKAGES = ("icv", "numba", "numpy", "protobuf", "mcap")


def versions() -> dict[str, str]:
    """What ran: Python and the packages that a result may depend on."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in _PACKAGES
    }


def as_table(
    spec: SceneSpec,
    verdict: Verdict,
    facts: RunFacts | None = None,
    *,
    digest: str = "",
    map_digest: str = "",
    log: str = "",
    timing: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The content of result.json as plain values."""
    table: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "scene": spec.name,
        "seed": spec.seed,
        "duration_s": spec.duration_s,
        "outcome": verdict.outcome.value,
        "exit_code": verdict.exit_code,
        "sentence": verdict.sentence,
        "criteria": [asdict(result) for result in verdict.results],
        "vehicles": {name: dict(numbers) for name, numbers in verdict.numbers.items()},
        "digest": digest,
        "map_digest": map_digest,
        "log": log,
        "versions": versions(),
        "timing": dict(timing or {}),
    }
    if facts is not None:
        table["facts"] = {
            "duration_s": facts.duration_s,
            "arrived_s": facts.arrived_s,
            "messages_sent": facts.messages_sent,
            "messages_heard": facts.messages_heard,
            "max_gap_ms": facts.max_gap_ms,
            "priority_requests": facts.priority_requests,
            "priority_granted": facts.priority_granted,
            "signal_delay_s": facts.signal_delay_s,
            "side_street_delay_s": facts.side_street_delay_s,
            "side_street_max_wait_s": facts.side_street_max_wait_s,
            "traffic": facts.traffic,
        }
    return table


def write_result(path: Path, table: Mapping[str, Any]) -> Path:
    """Write `table` (from `as_table`) to `path`, whole or not at all."""
    text = json.dumps(plain(table), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    half = path.with_suffix(path.suffix + ".part")
    # A sentence may hold half a surrogate: of a file's name, of what a unit raised.
    half.write_text(text + "\n", encoding="utf-8", errors="replace")
    half.replace(path)
    return path


def plain(value: Any) -> Any:
    """Numbers that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    number = float(value)
    return float(f"{number:.9g}") if math.isfinite(number) else None
