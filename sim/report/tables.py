"""The verdict as rich tables: outcome, criteria, each automated vehicle's trip, messages, traffic, cost of the run."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from protocols.judging import RunFacts
from scenarios.spec import SceneSpec
from scenarios.verdict import CriterionResult, Outcome, Verdict

_COLOUR = {Outcome.PASS: "green", Outcome.FAIL: "red"}


def verdict_table(
    spec: SceneSpec, verdict: Verdict, facts: RunFacts, timing: Mapping[str, float]
) -> RenderableType:
    """Everything that is printed after a run."""
    colour = _COLOUR.get(verdict.outcome, "yellow")
    head = Text.assemble(
        (f" {verdict.outcome.value.upper().replace('_', ' ')} ", f"bold reverse {colour}"),
        f"  {spec.title or spec.name}, seed {spec.seed}: {verdict.sentence}",
    )
    parts: list[RenderableType] = [head]
    if verdict.results:
        parts.append(_criteria(verdict.results))
    parts.extend(_trip(name, numbers) for name, numbers in verdict.numbers.items())
    parts.append(_network(facts, timing))
    return Group(*parts)


def _criteria(results: tuple[CriterionResult, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("")
    table.add_column("criterion", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("what happened", ratio=1)
    for result in results:
        mark = Text("pass", style="green") if result.passed else Text("FAIL", style="bold red")
        table.add_row(
            mark, result.name, _number(result.value, result.unit), _number(result.limit, result.unit),
            Text(result.sentence, style="" if not result.passed else "dim"),
        )  # fmt: skip
    return table


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if float(value).is_integer() and abs(value) < 1e9 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def _pairs(title: str, pairs: list[tuple[str, str]]) -> Table:
    """Label and value, three pairs a row."""
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=False,
    )
    for _ in range(3):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
    for start in range(0, len(pairs), 3):
        row = pairs[start : start + 3]
        table.add_row(*[cell for pair in row for cell in pair])
    return table


def _trip(name: str, numbers: Mapping[str, float]) -> Table:
    get = numbers.get
    travel_s = get("travel_time_s", 0.0)
    pairs = [
        ("travel time", f"{travel_s // 60:.0f} min {travel_s % 60:04.1f} s"),
        ("distance", f"{get('distance_m', 0.0) / 1000:.2f} km"),
        ("mean speed", f"{get('mean_speed_mps', 0.0) * 3.6:.1f} km/h"),
        ("stations", f"{get('stations', 0):.0f}"),
        ("dwell", f"{get('dwell_s', 0.0):.1f} s"),
        ("stops on the way", f"{get('stops_on_the_way', 0):.0f}"),
        ("standing on the way", f"{get('standing_s', 0.0):.1f} s"),
    ]
    if "signal_delay_s" in numbers:
        pairs.append(("signal delay", f"{numbers['signal_delay_s']:.1f} s"))
    for key, label, unit in (
        ("a_x_p95", "|a_x| p95", "m/s2"), ("a_y_p95", "|a_y| p95", "m/s2"), ("jerk_p95", "|jerk| p95", "m/s3"),
        ("a_x_rear_p95", "rear |a_x| p95", "m/s2"), ("a_y_rear_p95", "rear |a_y| p95", "m/s2"),
        ("jerk_rear_p95", "rear |jerk| p95", "m/s3"),
    ):  # fmt: skip
        if key in numbers:
            pairs.append((label, f"{numbers[key]:.2f} {unit}"))
    pairs.append(("hard brakings", f"{get('hard_brakings', 0):.0f}"))
    return _pairs(name, pairs)


def _network(facts: RunFacts, timing: Mapping[str, float]) -> Table:
    pairs = []
    for topic, sent in facts.messages_sent.items():
        label = topic.rpartition("/")[2].upper()
        pairs.append(
            (f"{label} sent / heard", f"{sent:,} / {facts.messages_heard.get(topic, 0):,}")
        )
    if facts.priority_requests:
        pairs.append(("priority granted", f"{facts.priority_granted} of {facts.priority_requests}"))
    if facts.side_street_max_wait_s > 0:
        pairs.append(("side streets wait", f"{facts.side_street_delay_s:.1f} s"))
    words = {
        "spawned": ("traffic came", "{:.0f}"), "arrived": ("traffic left", "{:.0f}"), "peak": ("at once", "{:.0f}"),
        "mean_speed_mps": ("mean speed", "{:.1f} m/s"), "waiting": ("waiting to enter", "{:.0f}"),
    }  # fmt: skip
    for key, (label, form) in words.items():
        if key in facts.traffic:
            pairs.append((label, form.format(facts.traffic[key])))
    costs = {
        "realtime_factor": ("real time", "{:.1f}x"), "wall_s": ("wall clock", "{:.1f} s"), "cpu_s": ("processor", "{:.1f} s"),
        "planner_ms_mean": ("planner mean", "{:.2f} ms"), "planner_ms_p99": ("planner p99", "{:.2f} ms"),
    }  # fmt: skip
    for key, (label, form) in costs.items():
        if key in timing:
            pairs.append((label, form.format(timing[key])))
    return _pairs("network and cost", pairs)
