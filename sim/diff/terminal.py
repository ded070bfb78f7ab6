"""A comparison on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from sim.diff.model import Difference, FieldRow, LogFacts, TopicRow
from sim.diff.words import link_text, place, remark_text, summary

_FIELDS = 20  # rows shown without `everything`
_KEYS = 12


def show(found: Difference, console: Console, everything: bool = False) -> None:
    """Answer, chain, remarks, tables."""
    console.print(Text(summary(found), style="bold green" if found.is_same else "bold red"))
    for name, facts in (("A", found.a), ("B", found.b)):
        console.print(Text(f"  {name}  {_about(facts)}", style="dim"))
    if found.chain:
        console.print()
        for k, link in enumerate(found.chain):
            head, text = link_text(link)
            arrow = "   " if k == 0 else " -> "
            console.print(Text.assemble((arrow, "dim"), (head, "bold"), f", {place(link.finding)}" if link.finding.topic != "log/header" else "", ": ", text))  # fmt: skip
    for remark in found.remarks:
        console.print(Text(f"  note: {remark_text(remark)}", style="yellow"))
    keys = [key for key in found.keys if everything or not key.is_context]
    if keys:
        console.print()
        grid = Grid("key of the scene", "A", "B", title="Configuration", title_justify="left")
        for key in keys[: None if everything else _KEYS]:
            grid.add_row(escape(key.key), escape(_short(key.a)), escape(_short(key.b)))
        console.print(grid)
        if len(keys) > _KEYS and not everything:
            console.print(
                Text(f"  ... and {len(keys) - _KEYS} more keys; --all shows them", style="dim")
            )
    rows = [row for row in found.topics if everything or not row.is_same or row.tolerated]
    if rows and (not found.is_same or found.tolerated or everything):
        console.print()
        console.print(_topics(rows))
    fields = [row for row in found.fields if row.values or row.tolerated]
    if fields:
        shown = fields if everything else sorted(fields, key=_first_tick)[:_FIELDS]
        console.print(_fields(shown))
        if len(shown) < len(fields):
            console.print(
                Text(
                    f"  ... and {len(fields) - len(shown)} more fields; --all shows them",
                    style="dim",
                )
            )
    for reason, number in sorted(found.tolerated.items()):
        console.print(Text(f"  tolerated: {number} values, because {reason}", style="cyan"))


def _about(facts: LogFacts) -> str:
    head = facts.header
    outcome = f", {facts.outcome}" if facts.outcome else ""
    return (
        f"{facts.path}: {head.scenario}, seed {head.seed}, t={facts.start_ns / 1e9:g} to "
        f"{(facts.end_ns + head.tick_ns) / 1e9:g} s{outcome}, commit {head.commit or 'unknown'}"
    )


def _topics(rows: list[TopicRow]) -> Grid:
    grid = Grid(title="Records by topic", title_justify="left")
    grid.add_column("topic")
    for name in (
        "in A",
        "in B",
        "differ",
        "missing",
        "extra",
        "delayed",
        "order",
        "tolerated",
        "outside",
        "first tick",
    ):
        grid.add_column(name, justify="right")
    for row in rows:
        numbers = (
            row.differing,
            row.missing,
            row.extra,
            row.delayed,
            row.swapped,
            row.tolerated,
            row.outside,
        )
        first = str(row.first_tick) if row.first_tick >= 0 else ""
        grid.add_row(
            row.topic, str(row.in_a), str(row.in_b), *(str(n) if n else "" for n in numbers), first
        )
    return grid


def _fields(rows: list[FieldRow]) -> Grid:
    grid = Grid(title="Values by field, earliest first", title_justify="left")
    for name in ("topic", "field"):
        grid.add_column(name)
    for name in ("values", "tolerated", "first tick", "largest", "relative"):
        grid.add_column(name, justify="right")
    grid.add_column("in whom")
    for row in rows:
        first = str(row.first.tick) if row.first is not None else ""
        largest = f"{row.max_abs:.3g}" if row.max_tick >= 0 else ""
        relative = f"{row.max_rel:.2g}" if row.max_tick >= 0 else ""
        grid.add_row(
            row.topic, escape(row.field), str(row.values), str(row.tolerated) if row.tolerated else "", first, largest, relative,
            escape(whom(row)),
        )  # fmt: skip
    return grid


def whom(row: FieldRow) -> str:
    """The senders and rows with most differences."""
    names = [name for name, _ in row.senders.most_common(3) if name]
    more = len(row.senders) - len(names)
    text = ", ".join(names) + (f" +{more}" if more > 0 and names else "")
    if row.entities:
        text += f"{'; ' if text else ''}{', '.join(n for n, _ in row.entities.most_common(2))}"
        text += f" +{len(row.entities) - 2}" if len(row.entities) > 2 else ""
    return text


def _first_tick(row: FieldRow) -> tuple[int, str, str]:
    return row.first.tick if row.first is not None else 2**62, row.topic, row.field


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
