"""`icv shrink`: from a failing run, or the scene of one, to the smallest scene that still fails for the same reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(shrink)


def shrink(
    source: Annotated[
        str, typer.Argument(metavar="LOG|SCENARIO", help="Log of a failed run, or a failing scene.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="The scene to write. Default: <scene>-min.toml here."
        ),
    ] = None,
    library: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write it into this folder of scenes, as <scene>-min.toml."
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Which failure, by part of its name. Default: the first."
        ),
    ] = "",
    runs: Annotated[int, typer.Option(min=1, max=100_000, help="Most runs to spend.")] = 500,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scene's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one key of the scene; may be repeated."
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Another duration than the scene's, in s.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file to write, if it is there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")] = False,
) -> None:
    """Find the smallest scene that fails for the same reason. Actors, time and parameters are taken away; what is left is written."""
    if out is not None and library is not None:
        raise typer.BadParameter("give --out or --library, not both.")
    overrides = list(set_ or [])
    if seed is not None:
        overrides.append(f"seed={seed}")
    if duration is not None:
        overrides.append(f"duration_s={duration}")
    from protocols.errors import InfrastructureError
    from sim.report.console import Progress
    from sim.report.find import LOG_NAME
    from sim.shrink.run import shrink as run_shrink
    from sim.shrink.source import failing_scene, is_reproduced, recorded_failures, written

    if (Path(source) / LOG_NAME).is_file():  # else it may be the name of a library scene
        source = str(Path(source) / LOG_NAME)
    spec, map_path = failing_scene(source, overrides)
    recorded = None if overrides else recorded_failures(source)
    name = f"{spec.name[:60]}-min"
    path = out or (library or Path()) / f"{name}.toml"
    _check_target(path, source, force)
    tell = None if quiet else lambda line: typer.echo(line, err=True)
    with Progress(spec.name, None, quiet=True) as bar:  # for its way with Ctrl-C and SIGTERM
        found = run_shrink(
            spec,
            map_path.parent,
            wanted=reason,
            recorded=recorded,
            budget=runs,
            tell=tell,
            progress=bar,
        )
        written(path, found, spec, map_path, source)
        is_right = found.stopped_by is not None or is_reproduced(path, found.reason)
    if not is_right:
        raise InfrastructureError(
            f"{path}: does not fail as the search says; this is a fault of icv."
        )
    (actors, time_s), (fewer, less_s) = found.before, found.after
    typer.echo(
        f"{path}: fails for {found.reason}; {fewer} of {actors} actors, {less_s:g} of {time_s:g} s, after {found.runs} runs"
    )
    if found.stopped_by is not None:
        typer.echo("  the search was stopped: this is the smallest scene so far")
        raise found.stopped_by
    if not found.is_minimal:
        typer.echo("  the budget ended the search; more --runs may make it smaller")
    elif not quiet:
        typer.echo("  smallest: with any single actor less it does not fail so")


def _check_target(path: Path, source: str, is_forced: bool) -> None:
    """Before the search, which takes minutes: InputError when the scene cannot be written to `path` or would overwrite something."""
    from protocols.errors import InputError
    from scenarios.load import library
    from sim.shrink.text import half_written

    if path.is_dir():
        raise InputError(f"--out {path}: is a folder; expected a file to write, or give --library.")
    if path.resolve() in {Path(source).resolve(), library().get(source, Path(source)).resolve()}:
        raise InputError(f"--out {path}: that is the failing scene itself; give another file.")
    if path.exists() and not is_forced:
        raise InputError(
            f"{path}: exists already; expected a new file. Name another one with --out, or replace it with --force."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    half = half_written(path)
    with half.open("a"):  # OSError where nothing can be written
        pass
    half.unlink()
