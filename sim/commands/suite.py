"""`icv suite`: many runs in parallel, one verdict, one exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("suite")(suite)


def suite(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Scenes, suites (.toml), folders of them, or library names."
        ),
    ],
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=1024, help="Workers; default: one per processor."),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Run each so often; those that disagree are flaky."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only the I-th of N parts of the suite.")
    ] = None,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Only what did not pass in --out before.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only what has no result in --out yet.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE.xml", help="Write JUnit XML for CI.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write one page to look at.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Add the results to this run history."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of results and logs. Default: a new one in runs/."
        ),
    ] = None,
    keep_logs: Annotated[
        str, typer.Option(metavar="all|failed|none", help="Whose logs stay.")
    ] = "failed",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, max=86_400, help="Wall time of one run; default 600."),
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(metavar="MB", min=64, help="Memory of one run; default 4096."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one key of every scene."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of random sweeps. For the scenes' own: --set seed=N."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on this Ray cluster; local starts one here."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the outcome.")] = False,
) -> None:
    """Run scenes, suites and sweeps in parallel: one verdict, JUnit, a page, and logs of what failed."""
    import os
    from datetime import UTC, datetime

    from protocols.errors import IcvError
    from scenarios.suites import expand
    from sim.suite.junit import write_junit
    from sim.suite.plan import make_plan, parse_shard
    from sim.suite.progress import Progress, print_suite
    from sim.suite.run import SuiteOptions, run_suite

    if only_failed and resume:
        raise typer.BadParameter("give one of --resume and --only-failed.")
    if (only_failed or resume) and out is None:
        raise typer.BadParameter("--resume and --only-failed need the --out of the earlier suite.")
    plan = make_plan(
        expand(paths, seed),
        overrides=set_ or (),
        repeat=repeat,
        shard=parse_shard(shard) if shard else (1, 1),
        timeout_s=timeout,
        memory_mb=memory,
    )
    # Hours of runs should not end in "cannot be written".
    for option, path in (("--junit", junit), ("--html", html)):
        if path is not None:
            _check_file(option, path)
    if history is not None:
        from sim.history.store import History

        History(history).close()
    folder = out or _fresh_folder(plan.name)
    options = SuiteOptions(
        out=folder,
        workers=jobs or os.cpu_count() or 1,
        keep_logs=keep_logs,
        resume=resume,
        only_failed=only_failed,
        shard=shard or "",
        started_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        ray=ray,
        progress=Progress(quiet=quiet),
    )
    result = run_suite(plan, options)
    print_suite(result, folder, quiet=quiet)
    problems: list[IcvError] = []  # what cannot be written keeps nothing else from being written
    if junit is not None:
        try:
            write_junit(result, junit, folder)
        except IcvError as error:
            problems.append(error)
    if history is not None:
        try:
            with History(history) as kept:
                kept.add(result, result.started_utc)
        except IcvError as error:
            problems.append(error)
    if html is not None:
        from sim.suite.page import write_page

        write_page(result, html, folder)
    if problems:
        raise problems[0]
    raise typer.Exit(_INTERRUPTED if result.is_interrupted else result.outcome.exit_code)


def _fresh_folder(name: str) -> Path:
    """`runs/suite-<name>`, numbered where that exists: nothing already recorded is overwritten."""
    folder, number = Path("runs") / f"suite-{name}", 2
    while folder.exists():
        folder, number = Path("runs") / f"suite-{name}-{number}", number + 1
    return folder


def _check_file(option: str, path: Path) -> None:
    """InputError when `path` cannot be a file that is written at the end."""
    from protocols.errors import InputError

    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder; expected a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{option} {path}: its folder cannot be made: {error.strerror}. Give another place."
        ) from error
