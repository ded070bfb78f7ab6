"""`icv diff`: two logs, the first difference, what led to it and what it led to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(diff)


def diff(
    a: Annotated[
        Path, typer.Argument(metavar="A.mcap|DIR", help="The reference: a log, or a run's folder.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B.mcap|DIR", help="What is held against it.")],
    tolerances: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="What may differ, and why. Default: nothing."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a page that opens from disk, in English and Chinese."
        ),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything for programs.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All topics, fields and keys in the tables, equal and late ones too."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only the answer, as one line.")
    ] = False,
) -> None:
    """Compare two logs: the same, or where they part and why. Says what followed, too. Exit 0 same or within the tolerances, 1 different, 2 bad input."""
    import gc

    from sim import cli_choices
    from sim.diff.compare import diff_logs
    from sim.diff.tolerance import Tolerances, read
    from sim.diff.words import summary, visible

    a, b = cli_choices.recording(a), cli_choices.recording(b)
    inputs = [a, b] if tolerances is None else [a, b, tolerances]
    cli_choices.spare("--html", html, *inputs)
    cli_choices.spare("--json", json_, *inputs)
    for path in (html, json_):
        _check_writable(path)
    if html is not None and json_ is not None and html.resolve() == json_.resolve():
        raise typer.BadParameter(
            f"--html and --json both name {html}; give each a file of its own."
        )
    gc.disable()  # records hold no circles, and looking for some takes a tenth of the time
    try:
        found = diff_logs(a, b, Tolerances() if tolerances is None else read(tolerances))
    finally:
        gc.enable()
    if quiet:
        typer.echo(visible(summary(found)))
    else:
        from sim.diff.terminal import console, show

        show(found, console(), everything)
    if json_ is not None:
        from sim.diff.data import as_json

        _write(json_, as_json(found) + "\n")
    if html is not None:
        from sim.diff.page import render

        _write(html, render(found))
    raise typer.Exit(0 if found.is_same else 1)


def _check_writable(path: Path | None) -> None:
    """Says at once what would be found out after the comparison."""
    from protocols.errors import InputError

    if path is not None and path.is_dir():
        raise InputError(f"{path}: a folder, expected the name of a file to write.")
    if path is not None and not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first.")


def _write(path: Path, text: str) -> None:
    from protocols.errors import InputError

    try:
        # a log may hold halves of signs that no file can, which JSON writes the same way
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error
