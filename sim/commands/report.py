"""`icv report`: one self-contained HTML file of a run, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocols.sentence import one_line


def register(app: typer.Typer) -> None:
    """Adds the command to `icv`."""
    app.command("report")(report)


def report(
    log: Annotated[
        Path, typer.Argument(metavar="RUN.mcap|DIR", help="A run's log, or its folder.")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="RUN2.mcap|DIR", help="A second run, to compare with."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Where it goes. Default: report.html beside the log."
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="FILE.xodr", help="The run's road file, if it is not where it was."
        ),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Show it in the browser when it is written.")
    ] = False,
) -> None:
    """Write one HTML file that shows a run, or compares two. Scene, messages, plots, criteria; it opens without a network."""
    from protocols.errors import InputError
    from sim.report.find import find_log
    from sim.report.html import write_report

    if map_ is not None and not map_.is_file():
        raise InputError(f"--map {map_}: no such file; expected the run's road file (.xodr).")
    found = find_log(log)
    second = find_log(other) if other is not None else None
    target = out or found.with_name(report_name(found))
    if target.is_dir():
        target = target / report_name(found)
    if target.resolve() in {found.resolve(), second and second.resolve()}:
        raise typer.BadParameter(f"--out {target}: that is the log itself.")
    target.parent.mkdir(parents=True, exist_ok=True)
    pack = write_report(found, target, second, map_)
    meta = pack.manifest["meta"]
    if meta["lost"]:
        typer.echo(f"note: {meta['lost']}", err=True)
    typer.echo(one_line(f"{meta['outcome'].upper()}: {meta['sentence']}"))
    typer.echo(
        f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB); {meta['budget']['sentence_en']}"
    )
    if open_:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def report_name(log: Path) -> str:
    """Name of the report of a log: report.html for the one log of a run's folder."""
    return "report.html" if log.name == "run.mcap" else f"{log.stem}.report.html"
