"""A comparison on the terminal, readable from 80 columns on: what does not fit is left out of the tables or folded, never cut.

Where the output is no terminal the width is that of the variable COLUMNS, else 80.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from sim.diff.model import Difference, FieldRow, KeyChange, Link, LogFacts, TopicRow, ranked
from sim.diff.units import amount, seconds, valued
from sim.diff.words import link_text, place, remark_text, summary, visible

_FIELDS = 20  # rows shown without `everything`
_KEYS = 12
NARROWEST = 60  # below, lines are longer than the terminal
_WIDE = 110  # columns from which numbers that say something twice are shown too


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column of a table."""

    title: str
    cells: list[str]
    is_number: bool = True
    is_wide: bool = False  # only where there is room


def console() -> Console:
    """Of standard output. A pipe has no width: rich asks COLUMNS, and takes 80."""
    out = Console(highlight=False)
    return Console(highlight=False, width=max(out.width, NARROWEST))


def show(found: Difference, console: Console, everything: bool = False) -> None:
    """Answer, chain, remarks, tables."""
    if console.is_terminal:
        _show(found, console, everything)
        return
    with console.capture() as text:
        _show(found, console, everything)
    lines = [line.rstrip() for line in text.get().splitlines()]
    plain = "\n".join(lines) + "\n"
    # names in a log may be in a script that the pipe has no signs for
    console.file.write(plain.encode(console.encoding, "backslashreplace").decode(console.encoding))


def _show(found: Difference, console: Console, everything: bool) -> None:
    answer = Text(visible(summary(found)), style="bold green" if found.is_same else "bold red")
    console.print(answer, soft_wrap=not console.is_terminal)  # one line for whoever searches
    for name, facts in (("A", found.a), ("B", found.b)):
        _hang(console, Text(f"{name}  "), Text(visible(_about(facts))), "dim", 2)
    if found.chain:
        console.print()
        for k, link in enumerate(found.chain):
            _hang(console, Text("   " if k == 0 else "-> ", "dim"), _step(link))
    for remark in found.remarks:
        _hang(console, Text("note: "), Text(visible(remark_text(remark))), "yellow", 2)
    keys = [key for key in found.keys if everything or not key.is_context]
    if keys:
        _title(console, "Configuration")
        console.print(_keys(keys[: None if everything else _KEYS], console.width))
        _more(console, len(keys) - _KEYS, "keys", everything)
    tick_ns = found.a.header.tick_ns
    rows = [row for row in found.topics if everything or not row.is_same or row.tolerated]
    if rows and (not found.is_same or found.tolerated or everything):
        _title(console, "Records by topic")
        console.print(_topics(rows, tick_ns, console.width))
    fields = [row for row in found.fields if row.values or row.tolerated]
    if fields:
        shown = fields if everything else sorted(fields, key=_first_tick)[:_FIELDS]
        _title(console, "Values by field, earliest first")
        console.print(_fields(shown, console.width))
        _more(console, len(fields) - len(shown), "fields", everything)
    for reason, number in sorted(found.tolerated.items()):
        _hang(
            console,
            Text("tolerated: "),
            Text(visible(f"{number} values, because {reason}")),
            "cyan",
            2,
        )


def _hang(console: Console, head: Text, text: Text, style: str = "", indent: int = 0) -> None:
    """Text folded beside its head."""
    grid = Grid.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    head.stylize(style)
    text.stylize(style)
    grid.add_row(head, text)
    console.print(Padding(grid, (0, 0, 0, indent)))


def _step(link: Link) -> Text:
    head, text = link_text(link)
    where = f", {place(link.finding)}" if link.finding.topic != "log/header" else ""
    return Text.assemble((visible(head), "bold"), where, ": ", visible(text))


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _more(console: Console, number: int, what: str, everything: bool) -> None:
    if number > 0 and not everything:
        console.print(Text(f"  ... and {number} more {what}; --all shows them", style="dim"))


def _about(facts: LogFacts) -> str:
    head = facts.header
    outcome = f", {facts.outcome}" if facts.outcome else ""
    return (
        f"{facts.path}: {head.scenario}, seed {head.seed}, t={facts.start_ns / 1e9:g} to "
        f"{(facts.end_ns + head.tick_ns) / 1e9:g} s{outcome}, commit {head.commit or 'unknown'}"
    )


# -- tables ---------------------------------------------------------------------------------------------------------


def _keys(keys: list[KeyChange], width: int) -> Grid:
    room = max(60, width // 2)
    return _grid(
        [
            _Shown("key of the scene", [key.key for key in keys], False),
            _Shown("A", [_short(valued(key.key, key.a), room) for key in keys], False),
            _Shown("B", [_short(valued(key.key, key.b), room) for key in keys], False),
        ],
        width=0,
    )


def _topics(rows: list[TopicRow], tick_ns: int, width: int) -> Grid:
    columns = [
        _Shown("topic", [row.topic for row in rows], False),
        _Shown("in A", [str(row.in_a) for row in rows]),
        _Shown("in B", [str(row.in_b) for row in rows]),
    ]
    for title, name in (
        ("differ", "differing"), ("missing", "missing"), ("extra", "extra"), ("delayed", "delayed"), ("order", "swapped"),
        ("tolerated", "tolerated"), ("outside", "outside"),
    ):  # fmt: skip
        columns.append(_Shown(title, [str(getattr(row, name) or "") for row in rows]))
    ticks = [row.first_tick for row in rows]
    columns.append(_Shown("first", [f"{seconds(t * tick_ns)} s" if t >= 0 else "" for t in ticks]))
    columns.append(_Shown("tick", [str(t) if t >= 0 else "" for t in ticks], is_wide=True))
    return _grid(columns, width)


def _fields(rows: list[FieldRow], width: int) -> Grid:
    firsts = [row.first for row in rows]
    is_wide = width >= _WIDE
    return _grid(
        [
            _Shown("first", [f"{seconds(f.t_ns)} s" if f is not None else "" for f in firsts]),
            _Shown("tick", [str(f.tick) if f is not None else "" for f in firsts], is_wide=True),
            _Shown("field", [f"{row.topic} {row.field}" for row in rows], False),
            _Shown("values", [str(row.values) for row in rows]),
            _Shown("tolerated", [str(row.tolerated or "") for row in rows]),
            _Shown(
                "largest",
                [amount(row.field, row.max_abs, 3) if row.max_tick >= 0 else "" for row in rows],
            ),
            _Shown(
                "relative", [f"{row.max_rel:.2g}" if row.max_tick >= 0 else "" for row in rows], is_wide=True
            ),
            _Shown("in whom", [whom(row, 3 if is_wide else 1) for row in rows], False),
        ],
        width,
    )  # fmt: skip


def _grid(columns: list[_Shown], width: int) -> Grid:
    """A table without what is empty everywhere. Numbers are never folded, words are."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    kept = [
        column for column in columns if any(column.cells) and (width >= _WIDE or not column.is_wide)
    ]
    for column in kept:
        if column.is_number:
            grid.add_column(column.title, justify="right", no_wrap=True)
        else:
            grid.add_column(column.title, overflow="fold")
    for k in range(len(columns[0].cells)):
        grid.add_row(*(escape(visible(column.cells[k])) for column in kept))
    return grid


def whom(row: FieldRow, number: int = 3) -> str:
    """The senders and rows with most differences."""
    names = [name for name, _ in ranked(row.senders, number) if name]
    more = len(row.senders) - len(names)
    text = ", ".join(names) + (f" +{more}" if more > 0 and names else "")
    if row.entities:
        rows = [name for name, _ in ranked(row.entities, min(number, 2))]
        text += f"{'; ' if text else ''}{', '.join(rows)}"
        text += f" +{len(row.entities) - len(rows)}" if len(row.entities) > len(rows) else ""
    return text


def _first_tick(row: FieldRow) -> tuple[int, str, str]:
    return row.first.tick if row.first is not None else 2**62, row.topic, row.field


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 4] + " ..."
