"""`icv view`: runs in the browser, from a folder, a log or a run in progress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PORT = 8765


def register(app: typer.Typer) -> None:
    """Adds the command to `icv`."""
    app.command("view")(view)


def view(
    what: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN.mcap|DIR", help="A log, or a folder with logs. Default: runs/."
        ),
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Follow a run started with --tap ADDRESS."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; whoever reaches it can read the logs."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = PORT,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="Another name that browsers reach us by."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --live: keys, for a run on another machine."),
    ] = None,
    key_name: Annotated[
        str, typer.Option("--key", metavar="NAME", help="With --keys: name of our key.")
    ] = "viewer",
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="FILE.xodr", help="The runs' road file, if it is not where it was."
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only serve; print the address.")
    ] = False,
) -> None:
    """Show runs in the browser, until Ctrl-C. One log, all logs in a folder, or a run in progress."""
    if live is not None and what is not None:
        raise typer.BadParameter("give a log or folder, or --live ADDRESS, not both.")
    if keys is not None and live is None:
        raise typer.BadParameter("--keys goes with --live.")
    from contextlib import ExitStack, suppress
    from tempfile import TemporaryDirectory

    from protocols.errors import InputError
    from sim.stopping import stoppable
    from sim.viewer.server import listen, make_app, make_server
    from sim.viewer.shelf import Shelf

    if map_ is not None and not map_.is_file():
        raise InputError(f"--map {map_}: no such file; expected the runs' road file (.xodr).")
    root = what if what is not None else Path("runs")
    with stoppable(), ExitStack() as stack:
        if live is not None:
            from sim.viewer.tapped import TapRecorder

            own = None
            if keys is not None:
                from protocols.zmq_net import load_keys

                own = load_keys(keys, key_name)
            root = Path(stack.enter_context(TemporaryDirectory(prefix="icv-live-")))
            recorder = TapRecorder(live, root / "live.mcap", own)
            stack.callback(recorder.close)
            typer.echo(f"waiting for a run at {live} ...", err=True)
            recorder.wait()
            shelf = Shelf(root, map_, live=root / "live.mcap")
        else:
            if not (root.is_file() or root.is_dir()):
                what_is_it = "neither a file nor a folder" if root.exists() else "no such file or folder"  # fmt: skip
                raise InputError(
                    f"{root}: {what_is_it}; give a log (*.mcap) or a folder with logs."
                )
            shelf = Shelf(root.resolve(), map_)
            shelf.check()
        app = make_app(shelf, {host, *(name or ())})
        listener = listen(host, port)
        stack.callback(listener.close)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        typer.echo(f"{address}  (Ctrl-C ends it)")
        if not no_browser:
            import webbrowser

            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # the way it ends
            make_server(app).run(sockets=[listener])
