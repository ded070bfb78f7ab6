"""What came out of a run, and what is different in another one: verdict, criteria, vehicles, where the runs part and meet again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.errors import LogError
from scenarios.verdict import Outcome
from sim.diff.first import FirstDifference, first_difference
from sim.log.reader import LogReader
from sim.log.records import U64, Trace
from sim.radio.fates import I64
from sim.whatif.closeness import Closest, closest

_FACTS = ("signal_delay_s", "arrived_s")  # of result.json's facts, by vehicle


@dataclass(frozen=True, slots=True)
class Criterion:
    """One judged figure, as `scenarios.verdict.CriterionResult` said it."""

    passed: bool
    value: float | None
    limit: float | None
    unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run's result says."""

    outcome: str
    sentence: str
    digest: str
    criteria: Mapping[str, Criterion]  # by name; the second of the same name is `name #2`
    vehicles: Mapping[str, Mapping[str, float]]  # vehicle -> name_unit -> value


@dataclass(frozen=True, slots=True)
class CriterionChange:
    """A criterion that came out otherwise; None: this run has none of that name."""

    name: str
    before: Criterion | None
    after: Criterion | None

    @property
    def is_flipped(self) -> bool:
        """Whether it passes in one run and fails in the other."""
        return (self.before is not None and self.before.passed) != (
            self.after is not None and self.after.passed
        )

    @property
    def margin(self) -> float:
        """How much it changed as a share of its limit, 0..1; 1 where it has a figure in one run only."""
        if self.before is None or self.after is None:
            return 1.0
        a, b = self.before.value, self.after.value
        if a is None or b is None:
            return float(a is not b or self.is_flipped)
        if a == b or (math.isnan(a) and math.isnan(b)):
            return float(self.is_flipped)
        scale = abs(self.before.limit or 0.0) or max(abs(a), abs(b), 1.0)
        change = abs(b - a) / scale
        return min(change, 1.0) if math.isfinite(change) else 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run b beside run a."""

    before: Summary
    after: Summary
    criteria: tuple[CriterionChange, ...]  # those that changed
    numbers: Mapping[
        str, Mapping[str, tuple[float | None, float | None]]
    ]  # vehicle -> those that changed
    closest: Mapping[str, tuple[Closest, Closest]]  # vehicle -> (before, after)
    first: FirstDifference | None
    truth_ticks: int  # in which the world is not the same
    num_ticks: int
    met_ns: (
        int | None
    )  # from then on the world is the same again; None: never, or it never differed
    apart_m: float  # farthest that a driven vehicle is from where it was

    @property
    def is_verdict_changed(self) -> bool:
        """Whether the outcome is another."""
        return self.before.outcome != self.after.outcome


def summary(reader: LogReader, failure: str = "") -> Summary:
    """The result in a log; with `failure`, the sentence that ended the run, an infrastructure error."""
    if failure:
        return Summary(Outcome.INFRASTRUCTURE_ERROR.value, failure, "", {}, {})
    text = reader.result()
    if text is None:
        raise LogError(f"{reader.path}: the run never came to its end, so it has no outcome.")
    try:
        table = json.loads(text)
        criteria: dict[str, Criterion] = {}
        for row in table["criteria"]:
            name, count = str(row["name"]), 1
            while name in criteria:
                count += 1
                name = f"{row['name']} #{count}"
            criteria[name] = Criterion(
                bool(row["passed"]), _maybe(row["value"]), _maybe(row["limit"]), str(row["unit"]), str(row["sentence"]),
            )  # fmt: skip
        vehicles = {
            str(name): {str(key): float(value) for key, value in numbers.items()}
            for name, numbers in table["vehicles"].items()
        }
        for fact in _FACTS:
            for name, value in table["facts"][fact].items():
                vehicles.setdefault(str(name), {})[fact] = float(value)
        return Summary(
            Outcome(table["outcome"]).value, str(table["sentence"]), str(table["digest"]), criteria, vehicles,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(
            f"{reader.path}: the recorded result cannot be read ({error!r}); the log is damaged, or "
            "another version wrote it."
        ) from error


def changed_criteria(a: Summary, b: Summary) -> tuple[CriterionChange, ...]:
    """Criteria that came out otherwise, in the scene's order."""
    names = [*a.criteria, *(name for name in b.criteria if name not in a.criteria)]
    out = []
    for name in names:
        one, two = a.criteria.get(name), b.criteria.get(name)
        if one is None or two is None or (one.passed, one.value) != (two.passed, two.value):
            out.append(CriterionChange(name, one, two))
    return tuple(out)


def compare_runs(a: LogReader, b: LogReader, failure: str = "", is_close: bool = True) -> Comparison:  # fmt: skip
    """Run `b` beside run `a`; `failure` as in `summary`. `is_close` False: without gaps and times to collision."""
    before, after = summary(a), summary(b, failure)
    truth = [(log.digests().tick, log.digests().truth) for log in (a, b)]
    ticks, met_tick, num_ticks = _apart(*truth)
    near = (closest(a), closest(b)) if is_close else ({}, {})
    return Comparison(
        before,
        after,
        changed_criteria(before, after) if not failure else (),
        _numbers(before, after),
        {name: (near[0][name], near[1].get(name, Closest())) for name in near[0]},
        first_difference(a.path, b.path),
        ticks,
        num_ticks,
        None if met_tick is None else met_tick * a.header().tick_ns,
        farthest_m(traces(a), b),
    )


def traces(reader: LogReader) -> dict[str, Trace]:
    """All of them."""
    return {name: reader.traces(name) for name in reader.trace_names()}


def farthest_m(a: Mapping[str, Trace], b: LogReader) -> float:
    """Greatest distance between where a driven vehicle is in one run and in the other, at the same time."""
    worst = 0.0
    for name in b.trace_names():
        if name not in a:
            continue
        one, two = a[name], b.traces(name)
        n = min(one.x_m.size, two.x_m.size)
        if n:
            gap = np.hypot(one.x_m[:n] - two.x_m[:n], one.y_m[:n] - two.y_m[:n])
            worst = max(worst, float(np.nanmax(gap, initial=0.0)))
    return worst


def as_table(found: Comparison) -> dict[str, Any]:
    """For programs: plain values, None for what is not finite."""
    return {
        "same_digest": found.first is None and not found.truth_ticks,
        "verdict": {
            "changed": found.is_verdict_changed,
            "before": _verdict(found.before),
            "after": _verdict(found.after),
        },
        "criteria": [
            {
                "name": change.name,
                "flipped": change.is_flipped,
                "before": _criterion(change.before),
                "after": _criterion(change.after),
            }
            for change in found.criteria
        ],
        "vehicles": {
            name: {key: {"before": finite(x), "after": finite(y)} for key, (x, y) in rows.items()}
            for name, rows in found.numbers.items()
        },
        "closest": {
            name: {"before": _close(pair[0]), "after": _close(pair[1])}
            for name, pair in found.closest.items()
        },
        "first_difference": None if found.first is None else str(found.first),
        "parted_s": None if found.first is None else found.first.t_ns / 1e9,
        "truth_ticks_that_differ": found.truth_ticks,
        "ticks": found.num_ticks,
        "met_again_s": None if found.met_ns is None else found.met_ns / 1e9,
        "apart_m": finite(found.apart_m),
    }


def criterion_words(change: CriterionChange) -> str:
    """One criterion in both runs."""
    a, b = change.before, change.after
    words = [("-" if c is None else "pass" if c.passed else "FAIL") for c in (a, b)]
    mark = f"{words[0]} -> {words[1]}" if words[0] != words[1] else words[0]
    known = b or a
    unit = f" {known.unit}" if known is not None and known.unit else ""
    limit = f", limit {number(known.limit)}{unit}" if known is not None and known.limit is not None else ""  # fmt: skip
    values = f"{number(a.value if a else None)} -> {number(b.value if b else None)}{unit}{limit}"
    return f"{change.name}: {mark}, {values}"


def number(value: float | None) -> str:
    """Four figures, `-` for none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has none for it."""
    return value if value is not None and math.isfinite(value) else None


def _maybe(value: Any) -> float | None:
    return None if value is None else float(value)


def _numbers(a: Summary, b: Summary) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    out: dict[str, dict[str, tuple[float | None, float | None]]] = {}
    for name in a.vehicles:
        one, two = a.vehicles[name], b.vehicles.get(name, {})
        for key in [*one, *(key for key in two if key not in one)]:
            x, y = one.get(key), two.get(key)
            if x != y:
                out.setdefault(name, {})[key] = (x, y)
    return out


def _apart(a: tuple[I64, U64], b: tuple[I64, U64]) -> tuple[int, int | None, int]:
    """(ticks whose truth differs, the tick from which it is the same again or None, ticks of the longer run)."""
    common = min(a[0].size, b[0].size)
    longer = max(a[0].size, b[0].size)
    differs = np.flatnonzero(a[1][:common] != b[1][:common])
    count = int(differs.size) + longer - common
    if not count or longer != common or differs[-1] == common - 1:
        return count, None, longer
    return count, int(a[0][differs[-1] + 1]), longer


def _verdict(found: Summary) -> dict[str, str]:
    return {"outcome": found.outcome, "sentence": found.sentence, "digest": found.digest}


def _criterion(found: Criterion | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "passed": found.passed,
        "value": finite(found.value),
        "limit": finite(found.limit),
        "unit": found.unit,
        "sentence": found.sentence,
    }


def _close(found: Closest) -> dict[str, float | int | None]:
    return {
        "gap_m": finite(found.gap_m),
        "gap_at_s": found.gap_at_s,
        "gap_to": found.gap_to,
        "ttc_s": finite(found.ttc_s),
        "ttc_at_s": found.ttc_at_s,
        "ttc_to": found.ttc_to,
    }
