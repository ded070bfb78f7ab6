"""`icv replay`: a recorded run once more, the whole of it or one unit alone, and whether it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim import cli_choices


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(replay)


def replay(
    log: Annotated[
        Path, typer.Argument(metavar="RUN.mcap|DIR", help="Log of an earlier run, or its folder.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the second run's log and result. Default: they are not kept."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only this unit, alone on what it heard: obu/bus1, rsu/J1, fleet."
        ),
    ] = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="Take a log that broke off as far as it goes.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")] = False,
) -> None:
    """Run a log's scene again and compare every byte. With --unit: one unit of it, alone on what it heard."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from sim.report.console import Progress

    log = cli_choices.recording(log)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(f"replay of {log.name}", None, quiet))
        if unit is not None:
            if out is not None:
                raise typer.BadParameter("--out keeps a second run; with --unit there is none.")
            from sim.unit_replay.alone import replay_unit

            told = replay_unit(log, unit, recover=recover, progress=progress)
            word = {True: "same", False: "DIFFERENT", None: "UNKNOWN"}[told.same]
            typer.echo(f"{word}: {told.message}")
            raise typer.Exit(told.exit_code)
        from sim.rerun import replay_log

        folder = out or Path(stack.enter_context(TemporaryDirectory(prefix="icv-replay-")))
        cli_choices.keep_apart(log, folder)
        folder.mkdir(parents=True, exist_ok=True)
        answer = replay_log(log, folder, recover=recover, progress=progress)
    typer.echo(f"{'same' if answer.same else 'DIFFERENT'}: {answer.message}")
    if not quiet:
        typer.echo(f"  recorded {answer.digest_a}\n  replayed {answer.digest_b}")
    raise typer.Exit(0 if answer.same else 1)
