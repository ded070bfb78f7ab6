"""`icv baseline update|check`: golden summaries in git, and whether scenes still give what they gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocols.sentence import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.baselines.check import Answer, Watch
    from sim.baselines.folder import Job
    from sim.baselines.model import Summary

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of golden summaries, in git.")]
Scenes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SCENARIO]...", help="Library scenes, scene files or names of baselines. Default: all in DIR."),
]  # fmt: skip
Logs = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of full logs, outside git.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="One line a baseline.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="Golden summaries of scenes: make them, check against them.", no_args_is_help=True, rich_markup_mode=None
    )  # fmt: skip
    app.add_typer(group, name="baseline")

    @group.command("update")
    def baseline_update(
        folder: Folder,
        scenarios: Scenes = None,
        seed: Annotated[
            int | None, typer.Option(help="Another seed than the scene's, for new baselines.")
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="KEY=VALUE",
                help="Override one key of the scene; for new baselines.",
            ),
        ] = None,
        logs: Logs = None,
        quiet: Quiet = False,
        as_json: Json = False,
    ) -> None:
        """Run scenes and keep what they give as golden. Unchanged summaries are left alone."""
        from protocols.errors import NothingRanError
        from sim.baselines import check
        from sim.baselines import folder as golden

        golden.check_logs_folder(folder, logs)
        known = golden.read_folder(folder, must_exist=False)
        is_new = seed is not None or bool(set_)
        if is_new and not scenarios:
            raise typer.BadParameter("--seed and --set need a SCENARIO.")
        jobs: list[Job | Summary] = []
        for name in scenarios or known:
            found = {} if is_new else golden.matching(folder, known, name)
            jobs += found.values()
            if not found:
                jobs.append(golden.new_job(folder, name, seed, set_ or []))
        if not jobs:
            raise NothingRanError(
                f"{folder}: holds no baseline yet, so there is nothing to update; name a SCENARIO."
            )
        _tell(check.update(folder, jobs, known, logs, _watch(quiet or as_json)), quiet, as_json)

    @group.command("check")
    def baseline_check(
        folder: Folder,
        scenarios: Scenes = None,
        from_: Annotated[
            list[Path] | None,
            typer.Option(
                "--from", metavar="LOG", help="Take this log instead of running; may be repeated."
            ),
        ] = None,
        logs: Logs = None,
        quiet: Quiet = False,
        as_json: Json = False,
    ) -> None:
        """Run scenes again and say what is not as it was. Exit 0 when all are the same, 1 when one changed."""
        from sim.baselines import check
        from sim.baselines import folder as golden
        from sim.baselines.tolerances import read_tolerances

        golden.check_logs_folder(folder, logs)
        known = golden.read_folder(folder)
        tolerances = read_tolerances(folder)
        wanted = golden.select(folder, known, scenarios or [])
        for entry in tolerances.matching_none(list(known)):
            typer.echo(f"icv: {folder}: tolerance {entry} fits no baseline there.", err=True)
        if from_:
            answers = check.check_logs(wanted, from_, tolerances, logs)
        else:
            answers = check.check_by_running(folder, wanted, tolerances, logs, _watch(quiet or as_json))  # fmt: skip
        _tell(answers, quiet, as_json)


_GOLDEN = ("new", "updated", "kept")  # answers after which the golden summary is what was run


def _watch(quiet: bool) -> Watch:
    from sim.report.console import Progress

    return lambda title, duration_s: Progress(title, duration_s, quiet)


def _tell(answers: Iterable[Answer], quiet: bool, as_json: bool) -> None:
    """Print each as it comes; exit with the worst code."""
    told, code = [], 0
    for answer in answers:
        told.append(answer)
        code = max(code, answer.exit_code)
        if not as_json:
            typer.echo("\n".join(map(one_line, _lines(answer, quiet))))
    if as_json:
        import json

        typer.echo(json.dumps([item.table() for item in told], indent=2, ensure_ascii=False))
    elif len(told) > 1:
        words = [item.word for item in told]
        parts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        typer.echo(f"{len(told)} baselines: {', '.join(parts)}")
    failing = [item.stem for item in told if item.outcome not in ("", "pass")]
    if failing:
        names = ", ".join(failing[:5]) + (", ..." if len(failing) > 5 else "")
        what = "golden verdicts" if any(item.word in _GOLDEN for item in told) else "verdicts"
        typer.echo(f"icv: {len(failing)} of {len(told)} {what} not pass: {names}", err=True)
    raise typer.Exit(code)


def _lines(answer: Answer, quiet: bool) -> list[str]:
    found = answer.comparison
    said = answer.sentence or (
        found.first if found is not None and answer.word == "changed" else ""
    )
    names_itself = said.startswith((answer.stem, f"baseline {answer.stem}"))  # an error's sentence
    line = said if names_itself else f"{answer.stem}: {said}" if said else answer.stem
    lines = [f"{answer.word:<8} {line}"]
    if quiet or found is None:
        return lines
    counting = [item for item in found.differences if not item.excuse]
    lines += [f"           {item.text}" for item in counting]
    lines += [f"           excused: {item.text} ({item.excuse})" for item in found.differences if item.excuse]  # fmt: skip
    if counting:
        if answer.first_difference:
            lines.append(f"           {answer.first_difference}")
        lines += [f"           note: {note}" for note in found.notes]
        if {"golden", "new"} <= answer.logs.keys():
            lines.append(f"           see: icv diff {answer.logs['golden']} {answer.logs['new']}")
    return lines
