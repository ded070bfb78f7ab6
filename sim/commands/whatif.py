"""`icv what-if`: a recorded run again with messages lost, late, wrong or invented; or which of them mattered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sim import cli_choices


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("what-if")
    def what_if(
        log: Annotated[
            Path,
            typer.Argument(metavar="RUN.mcap|DIR", help="Log of an earlier run, or its folder."),
        ],
        drop: Annotated[
            list[str] | None,
            typer.Option(
                metavar="M", help="Nobody hears M: TOPIC:SENDER:SEQ, TOPIC:SENDER@T or @T1..T2."
            ),
        ] = None,
        delay: Annotated[
            list[str] | None, typer.Option(metavar="M=+200ms", help="M arrives later.")
        ] = None,
        corrupt: Annotated[
            list[str] | None,
            typer.Option(
                metavar="M.FIELD=VALUE", help="M arrives changed; M.bits=N flips bits of its bytes."
            ),
        ] = None,
        forge: Annotated[
            list[str] | None,
            typer.Option(
                metavar="TOPIC:SENDER@T:JSON", help="A message its sender never made; JSON or file."
            ),
        ] = None,
        rank: Annotated[
            bool, typer.Option("--rank", help="Look for the messages that mattered.")
        ] = False,
        topic: Annotated[
            list[str] | None, typer.Option(metavar="TOPIC", help="With --rank: only these.")
        ] = None,
        window: Annotated[
            str | None,
            typer.Option(metavar="T1..T2", help="With --rank: sent in these seconds."),
        ] = None,
        budget: Annotated[
            int, typer.Option(min=1, max=100_000, help="With --rank: runs at most.")
        ] = 64,
        jobs: Annotated[
            int, typer.Option("-j", "--jobs", min=1, max=256, help="With --rank: processes.")
        ] = 1,
        out: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Keep the edited run's log and result here."),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")] = False,
    ) -> None:
        """Run a log's scene again with single messages changed. Closed loop; dropped, delayed, corrupted or forged.

        Exit code 0: the same verdict, 1: another one, 2: bad input. --rank: 0.
        """
        from sim.whatif.edit import parse

        texts = {"drop": drop, "delay": delay, "corrupt": corrupt, "forge": forge}
        edits = [parse(kind, text) for kind, given in texts.items() for text in given or ()]
        if rank and edits:
            raise typer.BadParameter("--rank looks for messages itself; leave the edits away.")
        if not rank and (topic or window):
            raise typer.BadParameter("--topic and --window belong to --rank.")
        log = cli_choices.recording(log)
        if rank:
            _rank(log, topic or [], window, budget, jobs, out, as_json, quiet)
        else:
            raise typer.Exit(_edit(log, edits, out, as_json, quiet))


def _edit(log: Path, edits: list[Any], out: Path | None, as_json: bool, quiet: bool) -> int:
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from sim.log.reader import LogReader
    from sim.report.console import Progress
    from sim.whatif.again import check_control, check_edits, open_source, run_again
    from sim.whatif.outcome import as_table, compare_runs
    from sim.whatif.tell import effects_table, lines

    source = open_source(log)
    meant = check_edits(source, edits)
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(TemporaryDirectory(prefix="icv-what-if-")))
        cli_choices.keep_apart(log, folder)
        progress = stack.enter_context(
            Progress(f"{log.name}, edited", source.spec.duration_s, quiet or as_json)
        )
        again = run_again(source, edits, folder, progress=progress)
        control = Path(stack.enter_context(TemporaryDirectory(prefix="icv-what-if-")))
        check_control(source, again, control / "control", progress)
        new = LogReader.open(again.log, recover=bool(again.failure))
        found = compare_runs(LogReader.open(log), new, again.failure, is_close=not quiet)
    if as_json:
        import json

        rows = effects_table(edits, again.effects)
        for row, count in zip(rows, meant, strict=True):
            row["meant"] = count
        table = {"log": str(log), "edits": rows, **as_table(found)}
        if out is not None:
            table["edited_log"] = str(again.log)
        typer.echo(json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        said = lines(edits, again, found)
        typer.echo("\n".join(said[:1] if quiet else said))
        if out is not None and not quiet:
            typer.echo(f"log      {again.log}")
    return 1 if found.is_verdict_changed else 0


def _rank(
    log: Path, topics: list[str], window: str | None, budget: int, jobs: int, out: Path | None,
    as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    import json

    from sim.report.console import Progress
    from sim.whatif.edit import parse_window
    from sim.whatif.rank import rank
    from sim.whatif.tell import ranking_lines, ranking_table

    span = parse_window(window) if window is not None else None
    with Progress(f"{log.name}, runs without messages", None, quiet=True) as bar:

        def told(runs: int) -> None:
            bar(0.0)  # raises a Ctrl-C that got lost in a callback
            if not (quiet or as_json) and (runs in (1, budget) or runs % 8 == 0):
                typer.echo(f"run {runs} of at most {budget}", err=True)

        found = rank(log, topics=topics, window=span, budget=budget, jobs=jobs, progress=told)
    text = json.dumps(ranking_table(found), indent=2, ensure_ascii=False, allow_nan=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "ranking.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        typer.echo(text)
    else:
        typer.echo("\n".join(ranking_lines(found, 1 if quiet else 20)))
