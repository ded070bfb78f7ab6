"""The command `icv`: parse, call `compose`, print. Everything heavy is imported inside the command that needs it.

Exit codes: pass 0, fail 1, bad input 2, infrastructure error 3, nothing ran 4; 130 after Ctrl-C or SIGTERM. Every error that we raise on
purpose is one sentence on stderr; anything else is a fault of ours, told in one sentence too, with its traceback under `--debug`.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Any

import typer

from protocols.sentence import one_line
from sim import cli_choices
from sim.commands import baseline, diff, history, prove, replay, report, shrink, suite, view, whatif
from sim.speaking import speak_on
from sim.stopping import name_of

_ORDER = (
    "run", "report", "view", "suite", "history", "baseline", "diff", "prove", "replay", "what-if", "shrink", "unit", "agreement",
    "carla-server", "keys", "map", "scenarios", "schema", "bench", "doctor",
)  # fmt: skip
_BAD_INPUT, _PANIC = 2, 3
_NO_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)  # of files: whoever gave them can give others
_INTERRUPTED = 130


class _Guarded(typer.core.TyperGroup):
    """Turns errors into a sentence and an exit code, in one place for all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of use, as README has them."""
        return sorted(super().list_commands(ctx), key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))  # fmt: skip

    def invoke(self, ctx: Any) -> Any:
        """Run the command; typer's own errors pass through."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            _say(f"stopped by {name_of(error)}; what was recorded so far stays readable.")
            raise typer.Exit(_INTERRUPTED) from None
        except Exception as error:
            if hasattr(error, "exit_code") and type(error).__module__.startswith("typer"):
                raise
            if ctx.find_root().params.get("debug"):
                raise
            from protocols.errors import IcvError

            if isinstance(error, IcvError):
                _say(str(error))
                raise typer.Exit(error.exit_code) from None
            if isinstance(error, OSError) and error.filename is not None:
                _say(
                    f"{error.filename}: {error.strerror}; expected a place that can be read and written. "
                    f"Give another one, or see where it was needed with `icv --debug ...`."
                )
                raise typer.Exit(_BAD_INPUT if error.errno in _NO_NAMES else _PANIC) from None
            what = (str(error).splitlines() or ["no message"])[0][:300]
            _say(
                f"{type(error).__name__}: {what}. This is a fault of icv, not of your input; "
                f"see where with `icv --debug ...`."
            )
            raise typer.Exit(_PANIC) from None


app = typer.Typer(
    name="icv",
    cls=_Guarded,
    help="Simulate intelligent connected vehicles and V2X: scenes in, verdicts out, the same bytes every time.",
    epilog="Exit codes: pass 0, fail 1, bad input 2, infrastructure error 3, nothing ran 4, stopped by Ctrl-C or SIGTERM 130.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
map_app = typer.Typer(
    help="Look at, check or convert an OpenDRIVE road file.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
scenarios_app = typer.Typer(
    help="Scenes that come along, and the lanes of a map.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
keys_app = typer.Typer(
    help="Keys for units on other machines.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(map_app, name="map")
app.add_typer(keys_app, name="keys")
app.add_typer(scenarios_app, name="scenarios")
baseline.register(app)
diff.register(app)
history.register(app)
prove.register(app)
replay.register(app)
report.register(app)
shrink.register(app)
suite.register(app)
view.register(app)
whatif.register(app)

Xodr = Annotated[Path, typer.Argument(metavar="FILE.xodr", help="OpenDRIVE file.")]


def main() -> None:
    """Entry point of the command `icv`."""
    speak_on()  # a file's name need not be UTF-8, and `| head` does not read to the end
    app()


def _say(sentence: str) -> None:
    typer.echo(f"icv: {one_line(sentence)}", err=True)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"icv {version('icv')}")
        raise typer.Exit()


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def run(
    scenario: Annotated[
        str | None,
        typer.Argument(metavar="SCENE", help="Scene file, or the name of a library scene."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scene's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one key of the scene; may be repeated."
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="FILE.xodr", help="Drive traffic on this map, without a scene."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for log, result and picture. Default: a new one under runs/."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Another duration than the scene's, in s.")
    ] = None,
    map_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep read maps here in binary form; large maps load 20 times faster.",
        ),
    ] = None,
    bus: Annotated[
        str, typer.Option(metavar="inproc|zmq", help="zmq: units are processes of their own.")
    ] = "inproc",
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="With --bus zmq: where units join, such as tcp://127.0.0.1:5555.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keys from `icv keys new`, for addresses beyond loopback."
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            metavar="headless|carla", help="carla: a CARLA 0.9.16 server's physics drives."
        ),
    ] = "headless",
    carla: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="That server; default 127.0.0.1:2000."),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="No faster than wall time; lateness is measured.")
    ] = False,
    tap: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Publish the log's records here, for viewers.")
    ] = "",
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Do not draw run.png.")] = False,
    report_: Annotated[
        bool, typer.Option("--report", help="Write report.html too: the whole run in one file.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the outcome.")] = False,
) -> None:
    """Run one scene: log, verdict, result.json, picture."""
    from sim.report.console import Progress, print_run, write_failure

    overrides = list(set_ or [])
    if seed is not None:
        overrides.append(f"seed={seed}")
    if duration is not None:
        overrides.append(f"duration_s={duration}")
    spec, base = cli_choices.scene(scenario, map_, overrides)
    folder = out or cli_choices.fresh_folder(spec)
    folder.mkdir(parents=True, exist_ok=True)

    from protocols.errors import InputError
    from sim.compose import RunOptions, run_scene

    options = RunOptions(
        cache_dir=map_cache,
        carrier=cli_choices.carrier(bus, listen, keys),
        keys=keys,
        tap=tap,
        realtime=realtime,
        carla=cli_choices.carla(backend, carla),
    )
    try:
        with Progress(f"{spec.name}, seed {spec.seed}", spec.duration_s, quiet) as progress:
            outcome = run_scene(spec, base, folder, progress=progress, options=options)
    except Exception as error:
        if isinstance(error, InputError) and scenario is not None:
            # A key path says where in the file; this says which file.
            error = type(error)(f"{scenario}: {error}")
            write_failure(folder, spec, error)
            raise error from None
        write_failure(folder, spec, error)
        if any(folder.glob("*.mcap")):
            _say(f"the log up to here is in {folder}")
        raise
    picture: Path | None = None
    if outcome.picture is not None and not no_picture:
        from sim.report.draw import draw_run

        picture = draw_run(outcome.picture, folder / "run.png")
    print_run(spec, outcome, picture, quiet, is_ours=options.carla is None)
    if report_:
        from sim.report.html import write_report

        write_report(outcome.log_path, folder / "report.html")
    raise typer.Exit(outcome.verdict.exit_code)


@app.command()
def unit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="obu/bus1, rsu/J1, fleet, ...")],
    connect: Annotated[str, typer.Option(metavar="ADDRESS", help="Where the simulation listens.")],
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with our key and the simulation's.")
    ] = None,
    key_name: Annotated[
        str | None, typer.Option("--key", help="Name of our key; default: the unit's, / as -.")
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="FILE.xodr", help="The scene's road file, where it lies here."
        ),
    ] = None,
    join: Annotated[
        float, typer.Option(metavar="S", help="How long to look for the simulation, in s.")
    ] = 60.0,
) -> None:
    """Be one unit of a scene, in a process of its own. Until the run ends."""
    from sim.unit_main import run_unit

    own = None
    if keys is not None:
        from protocols.zmq_net import load_keys

        own = load_keys(keys, key_name or name.replace("/", "-"))
    outcome = run_unit(name, connect, own, map_, join)
    typer.echo(f"{name}: the run has ended: {outcome}")


@app.command()
def agreement(
    a: Annotated[Path, typer.Argument(metavar="A.mcap|DIR", help="A run, headless for instance.")],
    b: Annotated[
        Path, typer.Argument(metavar="B.mcap|DIR", help="The same scene, on CARLA perhaps.")
    ],
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers here too.")
    ] = None,
) -> None:
    """How far two runs of one scene agree, and why no further. Verdicts, places, speeds, times. Exit 0 when the verdicts are the same, else 1."""
    from sim.carla.backend.agreement import agree

    a, b = cli_choices.recording(a), cli_choices.recording(b)
    cli_choices.spare("--json", json_, a, b)
    found = agree(a, b)
    typer.echo("\n".join(map(one_line, found.text().splitlines())))
    if json_ is not None:
        json_.write_text(found.json() + "\n")
    raise typer.Exit(0 if found.same_verdicts else 1)


@app.command("carla-server")
def carla_server(
    map_: Annotated[
        Path | None, typer.Option("--map", metavar="FILE.xodr", help="The road to serve.")
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Roads by name: load_world('Town01') finds Town01.xodr."),
    ] = None,
    scene: Annotated[
        str | None, typer.Option(metavar="SCENE", help="A scene live: road, signals, traffic.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anybody who reaches it can use the server.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=1, max=65534, help="RPC; streams are on the next.")
    ] = 2000,
    seed: Annotated[
        int, typer.Option(min=0, help="Of noise and draws; 0 with --scene: the scene's own.")
    ] = 0,
    lights: Annotated[
        str, typer.Option(metavar="map|rule", help="rule: lights where a map has none.")
    ] = "map",
    recordings: Annotated[
        Path, typer.Option(metavar="DIR", help="Where clients' recordings go, and nowhere else.")
    ] = Path("carla_recordings"),
) -> None:
    """Be a CARLA 0.9.16 server without Unreal and GPU. Until Ctrl-C. Without options our own roads are served."""
    if sum(given is not None for given in (map_, maps, scene)) > 1:
        raise typer.BadParameter("give one of --map, --maps and --scene.")
    from sim.carla.server.serve import ServeOptions, serve

    if lights not in ("map", "rule"):
        raise typer.BadParameter(f"--lights {lights}: expected map or rule.")
    options = ServeOptions(
        map_, maps, scene, host=host, port=port, seed=seed, recordings=recordings,
        rule_lights=lights == "rule",
    )  # fmt: skip
    raise typer.Exit(serve(options, lambda line: typer.echo(line, err=True)))


@keys_app.command("new")
def keys_new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where keys lie.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Units; obu/bus1 is obu-bus1.")
    ] = None,
) -> None:
    """Make CURVE key pairs for the simulation and for units. One is the simulation's (`icv`), one for each NAME."""
    from protocols.zmq_net import make_keys

    for path in make_keys(folder, tuple(name.replace("/", "-") for name in names or ())):
        typer.echo(f"wrote {path}")
    typer.echo(
        "A unit needs its own .key_secret and icv.key; the simulation needs icv.key_secret and every unit's .key."
    )


@map_app.command("info")
def map_info(
    file: Xodr, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """What is on a map: roads, lanes, junctions, signals, stations."""
    from scenarios.formats.opendrive import info, read
    from sim.report.maps import info_lines

    table = info(read(file))
    if as_json:
        import json

        typer.echo(json.dumps(table, indent=2))
    else:
        typer.echo("\n".join(info_lines(table)))


@map_app.command("check")
def map_check(file: Xodr) -> None:
    """What is broken, doubtful or worth knowing about a road file. Exit 1 when it should not be simulated on."""
    from scenarios.formats.opendrive import check, read
    from sim.report.maps import finding_line

    read(file)  # an unreadable file is bad input, not a finding
    found = check(file)
    for finding in found:
        typer.echo(finding_line(finding))
    count = {word: sum(f.severity == word for f in found) for word in ("error", "warning", "info")}
    typer.echo(
        f"{file}: {count['error']} errors, {count['warning']} warnings, {count['info']} notes"
    )
    raise typer.Exit(1 if count["error"] else 0)


@map_app.command("export")
def map_export(
    file: Xodr,
    out: Annotated[Path, typer.Argument(metavar="OUT.xodr", help="Where the copy goes.")],
) -> None:
    """Write a copy that CARLA can drive on. Bus lanes become driving lanes, every lane has a road mark."""
    from scenarios.formats.opendrive import export_carla

    for what, count in export_carla(file, out).items():
        typer.echo(f"{count:>6} {what.replace('_', ' ')}")
    typer.echo(f"wrote {out}")


@scenarios_app.command("list")
def scenarios_list() -> None:
    """Scenes that come with icv."""
    from scenarios.load import library, load_scene

    for name, path in library().items():
        spec = load_scene(path).spec
        typer.echo(f"{name:<16} {spec.duration_s:>6.0f} s  {spec.title}")


@scenarios_app.command("lanes")
def scenarios_lanes(
    of: Annotated[str, typer.Argument(metavar="SCENE|FILE.xodr", help="A scene or a road file.")],
) -> None:
    """Lanes of a map by key (road/section/lane). With type, length, speed limit, and who may use them."""
    from scenarios.formats.opendrive import read
    from scenarios.load import find_map, load_scene
    from sim.report.maps import lane_lines

    path = Path(of)
    if path.suffix != ".xodr":
        loaded = load_scene(path)
        path = find_map(loaded.spec, loaded.path.parent)
    typer.echo("\n".join(lane_lines(read(path))))


@app.command()
def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="maps, traffic, recording, corridor, startup, memory, bus, sensing, carla, suite, report or all."
        ),
    ] = "all",
    runs: Annotated[int, typer.Option(min=1, max=100, help="Repetitions of each figure.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the JSON rows.")] = Path("bench/results"),
) -> None:
    """Measure, with peers beside us where they are installed. JSON rows: workload, metric, value, unit, runs, spread."""
    from sim.bench.runner import run_benches

    for line in run_benches(what, runs, out):
        typer.echo(line)


@app.command()
def doctor() -> None:
    """What this machine lacks, and how to get it."""
    from sim.doctor import report

    is_fit, lines = report()
    typer.echo("\n".join(lines))
    raise typer.Exit(0 if is_fit else _PANIC)


@app.command()
def schema() -> None:
    """JSON schema of a scene file, for editors."""
    import json

    from scenarios.criteria import ADAPTER
    from scenarios.spec import schema as scene_schema

    whole = scene_schema()
    items = ADAPTER.json_schema()
    whole.setdefault("$defs", {}).update(items.pop("$defs", {}))
    whole["properties"]["criteria"] = items
    typer.echo(json.dumps(whole, indent=2))


if __name__ == "__main__":
    main()
