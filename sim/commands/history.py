"""`icv history`: how scenarios and their figures went over the last suite runs."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def history(
        scenario: Annotated[
            str | None,
            typer.Argument(
                metavar="SCENARIO", help="A scenario as `icv history` lists it. Default: all."
            ),
        ] = None,
        metric: Annotated[
            str | None, typer.Option(metavar="M", help="One figure of the scenario, run by run.")
        ] = None,
        last: Annotated[int, typer.Option(min=1, max=10_000, help="How many suite runs.")] = 20,
        url: Annotated[
            str,
            typer.Option(metavar="URL", help="SQLite file, or postgresql://USER@HOST/DATABASE."),
        ] = "runs/history.sqlite",
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ) -> None:
        """Trends over earlier suites: outcomes, figures, digests. Names what stands out, where a digest changed, what is flaky."""
        if metric is not None and scenario is None:
            raise typer.BadParameter("--metric needs a SCENARIO. List them with `icv history`.")
        from sim.history import History

        with History(url, create=False) as store:
            answer = _table(store, scenario, metric, last) if as_json else None
            with contextlib.suppress(KeyboardInterrupt):  # who does not want to read on, need not
                if as_json:
                    import json

                    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))
                else:
                    _print(store, scenario, metric, last)
                sys.stdout.flush()


def _print(store: Any, scenario: str | None, metric: str | None, last: int) -> None:
    from rich.console import Console

    from sim.history import show

    console = Console(highlight=False)
    width = console.width
    if scenario is None:
        summaries = store.summaries(last)
        console.print(show.overview(summaries, store.last_failures(5), store.place, width))
    elif metric is not None:
        console.print(show.one_metric(store.trend(scenario, metric, last), width))
    else:
        console.print(
            show.one_scenario(
                store.summary(scenario, last),
                store.trends(scenario, last),
                store.digest_changes(scenario, last),
                store.flaky_rate(scenario, last),
                store.last_failures(5, scenario),
                width,
            )
        )


def _table(store: Any, scenario: str | None, metric: str | None, last: int) -> Any:
    """The same answers as plain values."""
    from dataclasses import asdict

    if scenario is None:
        return {
            "scenarios": [asdict(item) for item in store.summaries(last)],
            "failures": [asdict(item) for item in store.last_failures(5)],
        }
    if metric is not None:
        return _trend(store.trend(scenario, metric, last))
    flaky = store.flaky_rate(scenario, last)
    return {
        "scenario": asdict(store.summary(scenario, last)),
        "trends": [_trend(item) for item in store.trends(scenario, last)],
        "digest_changes": [
            asdict(item) | {"commits": item.commits}
            for item in store.digest_changes(scenario, last)
        ],
        "flaky": asdict(flaky) | {"rate": flaky.rate},
        "failures": [asdict(item) for item in store.last_failures(5, scenario)],
    }


def _trend(trend: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(trend) | {
        "last": trend.last,
        "median": trend.median,
        "change": trend.change,
        "is_changed": trend.is_changed,
    }
