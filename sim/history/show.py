"""The history on a terminal: an overview of scenarios, one scenario with its figures, one figure run by run.

All of it is readable from 80 columns on: names, which may be as long as they like, are folded in the last column, and what says more of the
same is shown from 110 columns on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sim.history.answers import (
    DigestChange,
    Failure,
    FlakyRate,
    RunRef,
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
_STRIP, _SHORT_STRIP = 20, 10  # runs drawn in a cell
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # as the command line writes it
_WIDE = 110  # columns
_FIGURE = 22  # columns that the name of a figure has at least


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


def overview(
    summaries: Sequence[ScenarioSummary], failures: Sequence[Failure], place: str, width: int = 80
) -> RenderableType:
    """Every scenario, those that did not pass last first; then what failed last. `width`: of the terminal, in columns."""
    is_wide = width >= _WIDE
    table = _table()
    table.add_column("last runs", no_wrap=True)
    for title in ("passed", "flaky"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("last run", *(("commit", "digest") if is_wide else ())):
        table.add_column(title, no_wrap=True)
    table.add_column("scenario", overflow="fold")
    for item in summaries:
        runs = len(item.outcomes)
        more = [Text(item.last.commit or "-"), Text(item.digest[:8] or "-")] if is_wide else []
        table.add_row(
            marks(item.outcomes, _strip(width)), f"{item.passed}/{runs}",
            Text(f"{item.flaky_runs}/{runs}", style="yellow" if item.flaky_runs else "dim"),
            _when(item.last), *more, Text(item.name),
        )  # fmt: skip
    count = f"{len(summaries)} scenario{'' if len(summaries) == 1 else 's'}"
    return Group(Text(f"{count} in {place}", style="bold"), table, *_failures(failures), _legend())


def one_scenario(
    summary: ScenarioSummary, trends: Sequence[Trend], changes: Sequence[DigestChange],
    flaky: FlakyRate, failures: Sequence[Failure], width: int = 80,
) -> RenderableType:  # fmt: skip
    """Outcomes, what changed when, and every figure with a sparkline; figures that stand out first."""
    runs = len(summary.outcomes)
    head = Text(summary.name, "bold", overflow="fold")
    said = Text.assemble(
        marks(summary.outcomes),
        f"  passed {summary.passed} of {runs}, flaky {flaky.rate:.0%} of the last {flaky.runs}",
    )
    parts: list[RenderableType] = [head, said]
    if flaky.split_commits:
        parts.append(
            Text(
                f"not the same within one commit: {', '.join(flaky.split_commits[:5])}",
                style="bold yellow",
            )
        )
    parts.append(_changes(changes))
    table = _table()
    table.add_column("figure", overflow="fold", min_width=_FIGURE)
    for title in ("last", "median"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("change", justify="right", overflow="fold")
    table.add_column("trend", no_wrap=True, min_width=min(runs, _strip(width)))
    for trend in sorted(trends, key=lambda item: not item.is_changed):
        style = "bold yellow" if trend.is_changed else ""
        table.add_row(
            Text(trend.metric, style=style), _number(trend.last, trend.unit), _number(trend.median),
            Text(change(trend), style=style), sparkline([p.value for p in trend.points][-_strip(width):]),
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


def one_metric(trend: Trend, width: int = 80) -> RenderableType:
    """A figure run by run, the newest last."""
    name = Text(f"{trend.scenario}  {trend.metric}", "bold", overflow="fold")
    if not trend.points:
        return Group(name, Text("none of the last runs has it; try a larger --last."))
    name.append(f" {trend.unit}" if trend.unit else "", "not bold")
    values = [point.value for point in trend.points]
    moved = Text(f"{sparkline(values[-min(60, width - 20) :])}  {change(trend) or 'as before'}")
    is_wide = width >= _WIDE
    table = _table()
    table.add_column("run", justify="right", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("outcome", max_width=16)
    table.add_column("value", justify="right", overflow="fold")
    table.add_column("digest", no_wrap=True)
    for title in ("commit", *(("suite",) if is_wide else ())):
        table.add_column(title, overflow="fold")
    before = None
    for point in trend.points:
        is_new = before is not None and point.digest != before
        table.add_row(
            str(point.at.run), _when(point.at), marks([point.outcome]) + Text(f" {_word(point.outcome)}"),
            _number(point.value, trend.unit),
            Text(point.digest[: 16 if is_wide else 8], style="yellow" if is_new else "dim"),
            Text(point.at.commit or "-"), *([Text(point.at.suite)] if is_wide else []),
        )  # fmt: skip
        before = point.digest
    return Group(name, moved, table)


def marks(outcomes: Sequence[str], most: int = _STRIP) -> Text:
    """One character an outcome, the newest last."""
    out = Text()
    for outcome in outcomes[-most:]:
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
    for title in ("run", "started", "from", "to"):
        table.add_column("digest changed" if title == "started" else title, no_wrap=True)
    table.add_column("commits, outcome", overflow="fold")
    for item in changes[-8:]:
        before, after = _word(item.outcome_before), _word(item.outcome_after)
        about = [item.commits, after if before == after else f"{before} → {after}"]
        table.add_row(
            str(item.after.run), _when(item.after), item.digest_before[:8], item.digest_after[:8],
            Text("\n".join(about + ["another map"] * item.is_map_changed)),
        )  # fmt: skip
    return table


def _failures(failures: Sequence[Failure]) -> list[RenderableType]:
    if not failures:
        return []
    table = _table()
    table.add_column("run", justify="right", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column("failed last", overflow="fold")
    for item in failures:
        about = Text(f"{item.task}\n")
        if item.is_flaky:
            about.append("flaky: ", "yellow")
        about.append(item.sentence, "dim")
        table.add_row(str(item.at.run), _when(item.at), marks([item.outcome]), about)
    return [table]


def _legend() -> Text:
    out = Text(style="dim")
    for outcome in _MARKS:
        out.append_text(marks([outcome])).append(f" {_word(outcome)}  ")
    return out


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold underline")


def _when(at: RunRef) -> Text:
    """To the minute; what is no time of ours as it stands."""
    text = at.started_utc
    return Text(f"{text[:10]} {text[11:16]}" if _TIME.fullmatch(text) else text[:20])


def _word(outcome: str) -> str:
    return outcome.replace("_", " ")


def _strip(width: int) -> int:
    return _STRIP if width >= _WIDE else _SHORT_STRIP


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.6g} {unit}".rstrip()
