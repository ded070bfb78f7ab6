"""The history on a terminal: an overview of scenarios, one scenario with its figures, one figure run by run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sim.history.answers import (
    DigestChange,
    Failure,
    FlakyRate,
    ScenarioSummary,
    Trend,
)

_BARS = "▁▂▃▄▅▆▇█"
_MARKS = {
    "pass": ("●", "green"),
    "fail": ("✗", "bold red"),
    "bad_input": ("?", "yellow"),
    "infrastructure_error": ("!", "bold yellow"),
    "nothing_ran": ("○", "dim"),
}
_STRIP = 20  # runs drawn in a cell


def sparkline(values: Sequence[float | None]) -> str:
    """One character a value, from its lowest to its highest; a level line where all are equal, a blank for none."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, span = min(known), max(known) - min(known)
    if span <= 1e-9 * max(abs(low), 1e-300):
        return "".join(" " if value is None else _BARS[3] for value in values)
    top = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[round((value - low) / span * top)] for value in values
    )


def overview(summaries: Sequence[ScenarioSummary], failures: Sequence[Failure], place: str) -> RenderableType:  # fmt: skip
    """Every scenario, those that did not pass last first; then what failed last."""
    table = _table()
    for title, right in (
        ("scenario", False), ("last runs", False), ("passed", True), ("flaky", True), ("last run", False), ("commit", False), ("digest", False),
    ):  # fmt: skip
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "scenario", overflow="fold")  # fmt: skip
    for item in summaries:
        runs = len(item.outcomes)
        table.add_row(
            Text(item.name), marks(item.outcomes), f"{item.passed}/{runs}",
            Text(f"{item.flaky_runs}/{runs}", style="yellow" if item.flaky_runs else "dim"),
            Text(item.last.started_utc), Text(item.last.commit or "-"), Text(item.digest[:8] or "-"),
        )  # fmt: skip
    head = Text(f"{len(summaries)} scenarios in {place}", style="bold")
    return Group(head, table, *_failures(failures), _legend())


def one_scenario(
    summary: ScenarioSummary, trends: Sequence[Trend], changes: Sequence[DigestChange],
    flaky: FlakyRate, failures: Sequence[Failure],
) -> RenderableType:  # fmt: skip
    """Outcomes, what changed when, and every figure with a sparkline; figures that stand out first."""
    runs = len(summary.outcomes)
    head = Text.assemble(
        (f"{summary.name}  ", "bold"),
        marks(summary.outcomes),
        f"  passed {summary.passed} of {runs}, flaky {flaky.rate:.0%} of the last {flaky.runs}",
    )
    parts: list[RenderableType] = [head]
    if flaky.split_commits:
        parts.append(
            Text(
                f"not the same within one commit: {', '.join(flaky.split_commits[:5])}",
                style="bold yellow",
            )
        )
    parts.append(_changes(changes))
    table = _table()
    table.add_column("figure")
    for title in ("last", "median", "change"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("trend", no_wrap=True)
    for trend in sorted(trends, key=lambda item: not item.is_changed):
        style = "bold yellow" if trend.is_changed else ""
        table.add_row(
            Text(trend.metric, style=style), _number(trend.last, trend.unit), _number(trend.median),
            Text(change(trend), style=style), sparkline([p.value for p in trend.points][-_STRIP:]),
        )  # fmt: skip
    parts.append(table)
    changed = sum(trend.is_changed for trend in trends)
    parts.append(
        Text(
            f"{changed} of {len(trends)} figures stand out in the last run (yellow): more than 3 standard deviations from the "
            "median of the runs before it.",
            style="dim",
        )
    )
    return Group(*parts, *_failures(failures), _legend())


def one_metric(trend: Trend) -> RenderableType:
    """A figure run by run, the newest last."""
    values = [point.value for point in trend.points]
    lines = Text.assemble(
        (f"{trend.scenario}  {trend.metric}", "bold"),
        f" {trend.unit}" if trend.unit else "",
        "\n",
        sparkline(values[-60:]),
        f"  {change(trend) or 'as before'}",
        style="",
    )
    if not trend.points:
        return Text(
            f"{trend.scenario}  {trend.metric}: none of the last runs has it; try a larger --last."
        )
    table = _table()
    table.add_column("run", justify="right")
    for title in ("started", "suite", "commit", "outcome"):
        table.add_column(title)
    table.add_column("value", justify="right")
    table.add_column("digest")
    before = None
    for point in trend.points:
        is_new = before is not None and point.digest != before
        table.add_row(
            str(point.at.run), Text(point.at.started_utc), Text(point.at.suite), Text(point.at.commit or "-"),
            marks([point.outcome]) + Text(f" {point.outcome}"), _number(point.value, trend.unit),
            Text(point.digest[:16], style="yellow" if is_new else "dim"),
        )  # fmt: skip
        before = point.digest
    return Group(lines, table)


def marks(outcomes: Sequence[str]) -> Text:
    """One character an outcome, the newest last."""
    out = Text()
    for outcome in outcomes[-_STRIP:]:
        out.append(*_MARKS.get(outcome, ("!", "yellow")))
    return out


def change(trend: Trend) -> str:
    """How far the last value is from the median before it, and in percent; "" where it is the same."""
    moved, median = trend.change, trend.median
    if trend.points and moved is None and median is not None:
        return "gone"
    if moved is None or median is None or (not trend.is_changed and abs(moved) <= 1e-12):
        return ""
    share = f" ({moved / abs(median):+.1%})" if median else ""
    return f"{moved:+.4g}{share}"


def _changes(changes: Sequence[DigestChange]) -> RenderableType:
    if not changes:
        return Text("the digest never changed in these runs", style="dim")
    table = _table()
    for title in ("digest changed", "from", "to", "commits", "outcome", ""):
        table.add_column(title, no_wrap=True)
    for item in changes[-8:]:
        moved = (
            item.outcome_after
            if item.outcome_before == item.outcome_after
            else f"{item.outcome_before} → {item.outcome_after}"
        )
        table.add_row(
            Text(f"run {item.after.run}, {item.after.started_utc}"), item.digest_before[:16],
            item.digest_after[:16], Text(item.commits), moved,
            "another map" if item.is_map_changed else "",
        )  # fmt: skip
    return table


def _failures(failures: Sequence[Failure]) -> list[RenderableType]:
    if not failures:
        return []
    table = _table()
    table.add_column("failed last")
    table.add_column("task")
    table.add_column("what happened", ratio=1)
    for item in failures:
        why = Text(item.sentence)
        if item.is_flaky:
            why = Text("flaky: ", style="yellow") + why
        table.add_row(
            Text(f"run {item.at.run}, {item.at.started_utc}"),
            marks([item.outcome]) + Text(f" {item.task}"),
            why,
        )
    return [table]


def _legend() -> Text:
    out = Text(style="dim")
    for outcome in _MARKS:
        out.append_text(marks([outcome])).append(f" {outcome.replace('_', ' ')}  ")
    return out


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.6g} {unit}".rstrip()
