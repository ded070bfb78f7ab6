"""`icv suite`: many runs in parallel, one verdict, one exit code."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer


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
    """Run scenes, suites and sweeps in parallel to one verdict. With JUnit, a page, and logs of what failed."""
    from sim import cli_choices
    from sim.stopping import Stop, settled

    if only_failed and resume:
        raise typer.BadParameter("give one of --resume and --only-failed.")
    if (only_failed or resume) and out is None:
        raise typer.BadParameter("--resume and --only-failed need the --out of the earlier suite.")
    for option, path in (("--junit", junit), ("--html", html)):
        cli_choices.spare(option, path, *map(Path, paths))
    with Stop(lambda: True) as stop:
        if junit is not None and junit.is_file():  # of an earlier suite, which this is not
            with contextlib.suppress(OSError):  # then it cannot be written either
                junit.unlink()
        import os
        import signal
        from datetime import UTC, datetime

        from protocols.errors import IcvError
        from scenarios.suites import expand
        from sim.suite import closing
        from sim.suite.plan import make_plan, parse_shard
        from sim.suite.progress import Progress, print_suite
        from sim.suite.run import SuiteOptions, run_suite

        started_utc = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = closing.Wanted(out or Path(), junit, html, history)
        name = "suite"
        try:
            plan = make_plan(
                expand(paths, seed),
                overrides=set_ or (),
                repeat=repeat,
                shard=parse_shard(shard) if shard else (1, 1),
                timeout_s=timeout,
                memory_mb=memory,
            )
            name = plan.name
            closing.check(wanted)
            folder = out or _fresh_folder(plan.name)
            wanted = closing.Wanted(folder, junit, html, history)
            closing.begun(plan, wanted, started_utc)
            options = SuiteOptions(
                out=folder,
                workers=jobs or os.cpu_count() or 1,
                keep_logs=keep_logs,
                resume=resume,
                only_failed=only_failed,
                shard=shard or "",
                started_utc=started_utc,
                ray=ray,
                progress=Progress(quiet=quiet),
            )
            result = run_suite(plan, options, stop)
        except IcvError as error:
            closing.refused(name, error, wanted, started_utc)
            raise
        except KeyboardInterrupt:
            closing.stopped(name, stop.number or signal.SIGINT, wanted, started_utc)
            raise
        result, problems = closing.close(result, wanted, stop)
        stop.is_deaf = False  # whoever reads may be slow
        with contextlib.suppress(KeyboardInterrupt):  # who does not want to read on, need not
            for problem in (item for item in problems if item not in result.sentence):
                typer.echo(f"icv: {problem}", err=True)
            print_suite(result, folder, quiet=quiet)
            sys.stdout.flush()
        settled()
        raise typer.Exit(result.exit_code)


def _fresh_folder(name: str) -> Path:
    """`runs/suite-<name>`, made, and numbered where that exists: nothing already recorded is overwritten."""
    from protocols.errors import InfrastructureError

    folder, number = Path("runs") / f"suite-{name}", 2
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            folder, number = Path("runs") / f"suite-{name}-{number}", number + 1
        except OSError as error:
            raise InfrastructureError(
                f"{folder}: cannot be made: {error.strerror}. Give another place with --out."
            ) from error
