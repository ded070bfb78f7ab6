"""The run history: `add` a suite's result, and ask about earlier ones.

    history = History("runs/history.sqlite")            or postgresql://user@host/database
    history.add(result, "2026-05-18T08:00:00Z")
    history.trend("brt_corridor", "bus1.travel_time_s", last=20)

A scenario is a task's id without its repetition: `brt_corridor[seed=3]#2` is a run of `brt_corridor[seed=3]`. A figure of a suite
run is that of the first repetition that has it; its outcome is the worst of the repetitions. `last` counts suite runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Row, Select, func, select

from protocols.errors import ConfigError
from scenarios.verdict import Outcome, worst
from sim.history.answers import (
    MACHINE,
    DigestChange,
    Failure,
    FlakyRate,
    RunRef,
    ScenarioSummary,
    Trend,
    TrendPoint,
)
from sim.history.database import DEFAULT_URL, open_database, parse_url, sentences, shown, writing
from sim.history.model import criterion, metric, suite_run, task_run
from sim.history.rows import add_suite
from sim.suite.model import SuiteResult


@dataclass(slots=True)
class _PerRun:
    """One scenario in one suite run: its repetitions, in the order of the plan."""

    at: RunRef
    rows: list[Row[Any]]

    @property
    def outcome(self) -> str:
        return worst(_outcome(row.outcome) for row in self.rows).value

    @property
    def first(self) -> Row[Any]:
        return self.rows[0]

    @property
    def digest(self) -> str:
        return next((str(row.digest) for row in self.rows if row.digest), "")

    @property
    def map_digest(self) -> str:
        return next((str(row.map_digest) for row in self.rows if row.digest), "")

    @property
    def is_flaky(self) -> bool:
        return any(row.is_flaky for row in self.rows)


class History:
    """The database behind `url`; made where it is not there, unless `create` is False."""

    def __init__(self, url: str = DEFAULT_URL, *, create: bool = True) -> None:
        self._url = parse_url(url)
        self._engine = open_database(self._url, create=create)

    @property
    def place(self) -> str:
        """Where the history is kept, for a sentence; without a password."""
        return shown(self._url)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing -------------------------------------------------------------------------------------------------

    def add(self, result: SuiteResult, started_utc: str) -> int:
        """Keep a suite's result, whole or not at all; the number it is kept under."""
        with sentences(self._url), writing(self._engine) as connection:
            return add_suite(connection, result, started_utc)

    # -- names ---------------------------------------------------------------------------------------------------

    def scenarios(self) -> list[str]:
        """All scenarios that ever ran, sorted."""
        found = self._rows(select(task_run.c.scenario).distinct())
        return sorted(str(row.scenario) for row in found)

    def metrics(self, scenario: str) -> list[str]:
        """Figures of a scenario: its metrics, its criteria's values, and what it cost the machine."""
        self._known(scenario)
        mine = task_run.c.scenario == scenario
        names = {
            str(row.name)
            for table in (metric, criterion)
            for row in self._rows(
                select(table.c.name).distinct().join(task_run, task_run.c.id == table.c.task)
                .where(mine, table.c.value.is_not(None))
            )
        }  # fmt: skip
        return sorted(names) + list(MACHINE)

    # -- questions -----------------------------------------------------------------------------------------------

    def trend(self, scenario: str, name: str, last: int = 20) -> Trend:
        """A figure over the last runs, oldest first; ConfigError names close matches for what is not known."""
        found = [trend for trend in self.trends(scenario, last) if trend.metric == name]
        if found:
            return found[0]
        known = self.metrics(scenario)
        if name in known:  # only in older runs
            return Trend(scenario, name, "", ())
        raise ConfigError(
            f"history {self.place}: '{scenario}' has no figure '{_clip(name)}'. {_near(name, known)} "
            f'List all with `icv history "{scenario}"`.'
        )

    def trends(self, scenario: str, last: int = 20) -> list[Trend]:
        """Every figure of a scenario over the last runs, by name; the machine's at the end."""
        runs = self._runs(scenario, last)
        tasks = [row.id for run in runs for row in run.rows]
        values: dict[tuple[int, str], float | None] = {}
        units: dict[str, str] = {}
        for part in _slices(tasks):
            for row in self._rows(
                select(metric.c.task, metric.c.name, metric.c.value).where(metric.c.task.in_(part))
            ):
                values[(row.task, row.name)] = row.value
            criteria = select(
                criterion.c.task, criterion.c.name, criterion.c.value, criterion.c.unit
            )
            for row in self._rows(criteria.where(criterion.c.task.in_(part))):
                if row.value is not None or row.name in units:
                    values.setdefault((row.task, row.name), row.value)
                    units[row.name] = row.unit
        names = sorted({name for (_, name), value in values.items() if value is not None})
        return [_trend(scenario, name, units.get(name, ""), runs, values) for name in names] + [
            Trend(
                scenario, name, "MB" if name == "peak_mb" else "s",
                tuple(_point(run, getattr(run.first, name)) for run in runs),
            )
            for name in MACHINE
        ]  # fmt: skip

    def summaries(self, last: int = 20) -> list[ScenarioSummary]:
        """Every scenario over its last runs: those that did not pass last first, then by name."""
        out = [_summary(name, runs) for name, runs in sorted(self._by_scenario(last).items())]
        return sorted(out, key=lambda item: (item.outcomes[-1] == "pass", item.name))

    def summary(self, scenario: str, last: int = 20) -> ScenarioSummary:
        """One scenario over its last runs."""
        return _summary(scenario, self._runs(scenario, last))

    def last_failures(self, limit: int = 10, scenario: str | None = None) -> list[Failure]:
        """The newest tasks that did not pass, newest first."""
        query = _TASKS.where(task_run.c.outcome != Outcome.PASS.value)
        if scenario is not None:
            self._known(scenario)
            query = query.where(task_run.c.scenario == scenario)
        query = query.order_by(task_run.c.run_id.desc(), task_run.c.position).limit(limit)
        return [
            Failure(_ref(row), row.task_id, row.outcome, row.sentence, row.is_flaky, row.log)
            for row in self._rows(query)
        ]

    def flaky_rate(self, scenario: str, last: int = 50) -> FlakyRate:
        """How often a scenario disagreed with itself, within a suite and between suites of the same clean commit."""
        runs = self._runs(scenario, last)
        by_commit: dict[str, list[_PerRun]] = {}
        for run in runs:
            if run.at.commit and not run.at.commit.endswith("+") and run.digest:
                by_commit.setdefault(run.at.commit, []).append(run)
        several = {commit: group for commit, group in by_commit.items() if len(group) > 1}
        split = [
            commit
            for commit, group in several.items()
            if len({(run.digest, run.outcome) for run in group}) > 1
        ]
        flaky = sum(run.is_flaky for run in runs)
        return FlakyRate(scenario, len(runs), flaky, len(several), tuple(split))

    def digest_changes(self, scenario: str, last: int = 50) -> list[DigestChange]:
        """Where a scenario's digest changed between two runs in a row, oldest first, with the commits around it."""
        runs = [run for run in self._runs(scenario, last) if run.digest]
        return [
            DigestChange(
                scenario, one.at, two.at, one.digest, two.digest, one.outcome, two.outcome,
                one.map_digest != two.map_digest,
            )
            for one, two in pairwise(runs)
            if one.digest != two.digest
        ]  # fmt: skip

    # -- inside --------------------------------------------------------------------------------------------------

    def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        with sentences(self._url), self._engine.connect() as connection:
            return list(connection.execute(query))

    def _known(self, scenario: str) -> None:
        if self._rows(select(task_run.c.id).where(task_run.c.scenario == scenario).limit(1)):
            return
        names = self.scenarios()
        raise ConfigError(
            f"history {self.place}: no scenario '{_clip(scenario)}'. {_near(scenario, names)} List all with `icv history`."
        )

    def _runs(self, scenario: str, last: int) -> list[_PerRun]:
        """The last runs of one scenario, oldest first."""
        self._known(scenario)
        newest = (
            select(task_run.c.run_id).where(task_run.c.scenario == scenario).distinct()
            .order_by(task_run.c.run_id.desc()).limit(last)
        )  # fmt: skip
        query = _TASKS.where(
            task_run.c.scenario == scenario, task_run.c.run_id.in_(newest.scalar_subquery())
        ).order_by(task_run.c.run_id, task_run.c.position)
        return _per_run(self._rows(query))

    def _by_scenario(self, last: int) -> dict[str, list[_PerRun]]:
        nth = func.dense_rank().over(
            partition_by=task_run.c.scenario, order_by=task_run.c.run_id.desc()
        )
        ranked = select(task_run.c.id, nth.label("nth")).subquery()
        query = (
            _TASKS.join(ranked, ranked.c.id == task_run.c.id).where(ranked.c.nth <= last)
            .order_by(task_run.c.run_id, task_run.c.position)
        )  # fmt: skip
        rows: dict[str, list[Row[Any]]] = {}
        for row in self._rows(query):
            rows.setdefault(row.scenario, []).append(row)
        return {name: _per_run(found) for name, found in rows.items()}


_TASKS = select(
    task_run, suite_run.c.started_utc, suite_run.c.icv_commit, suite_run.c.name.label("suite_name")
).join(suite_run, suite_run.c.id == task_run.c.run_id)


def _summary(name: str, runs: Sequence[_PerRun]) -> ScenarioSummary:
    newest = runs[-1]
    return ScenarioSummary(
        name, tuple(run.outcome for run in runs), newest.at, newest.first.wall_s,
        sum(run.is_flaky for run in runs), newest.digest,
    )  # fmt: skip


def _outcome(text: str) -> Outcome:
    return Outcome(text) if text in set(Outcome) else Outcome.INFRASTRUCTURE_ERROR


def _ref(row: Row[Any]) -> RunRef:
    return RunRef(row.run_id, row.started_utc, row.icv_commit, row.suite_name)


def _per_run(rows: Iterable[Row[Any]]) -> list[_PerRun]:
    """Rows in order of run, grouped by run."""
    out: list[_PerRun] = []
    for row in rows:
        if not out or out[-1].at.run != row.run_id:
            out.append(_PerRun(_ref(row), []))
        out[-1].rows.append(row)
    return out


def _point(run: _PerRun, value: float | None) -> TrendPoint:
    return TrendPoint(run.at, run.outcome, run.digest, value)


def _trend(
    scenario: str, name: str, unit: str, runs: Sequence[_PerRun], values: Mapping[tuple[int, str], float | None],
) -> Trend:  # fmt: skip
    points = [
        _point(run, next((values[(r.id, name)] for r in run.rows if (r.id, name) in values), None))
        for run in runs
    ]
    return Trend(scenario, name, unit, tuple(points))


def _slices(keys: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    """Databases limit how many values a question may list."""
    return (keys[first : first + size] for first in range(0, len(keys), size))


def _clip(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."


def _near(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 3, 0.4)
    inside = [item for item in known if name and name.lower() in item.lower() and item not in close]
    close = (close + inside)[:4]
    if close:
        return f"Nearest: {', '.join(close)}."
    return (
        f"There are {', '.join(known[:6])}{', ...' if len(known) > 6 else ''}."
        if known
        else "There are none."
    )
