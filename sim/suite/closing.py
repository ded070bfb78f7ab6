"""What a suite leaves for others: a JUnit file, a line in the history, a page. None of them is green by mistake.

The JUnit file is there from the beginning, as that of a suite that did not end, and a page of an earlier suite is not, so whatever ends this
process, a server that reads only the files sees no others. At the end it is written before all else, since CI waits for it, and once more when something after it
went wrong or a signal came: it says what the exit code says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from protocols.errors import IcvError, InfrastructureError, InputError
from protocols.sentence import phrase, say
from scenarios.verdict import Outcome, from_error, worst
from sim.stopping import Stop, called, interrupt
from sim.suite.junit import write_junit
from sim.suite.model import SuiteResult
from sim.suite.plan import Plan

_JUNIT, _HISTORY, _HTML = "--junit", "--history", "--html"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them, and where. `folder`: the suite's own."""

    folder: Path
    junit: Path | None = None
    html: Path | None = None
    history: str | None = None


def check(wanted: Wanted) -> None:
    """IcvError where one of them cannot be written: hours of runs should not end with that."""
    for option, path in ((_JUNIT, wanted.junit), (_HTML, wanted.html)):
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"{option} {path}: is a folder; expected a file to write.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{option} {path}: its folder cannot be made: {error.strerror}. Give another place."
            ) from error
    if None not in (wanted.junit, wanted.html) and _same(wanted.junit, wanted.html):
        raise InputError(f"{_JUNIT} and {_HTML} name the same file, {wanted.html}; expected two.")
    if wanted.html is not None:
        _probe(wanted.html)
    if wanted.history is not None:
        from sim.history.store import History

        History(wanted.history).close()


def begun(plan: Plan, wanted: Wanted, started_utc: str) -> None:
    """The JUnit file of a suite that did not end, until it does; and no page of an earlier one."""
    if wanted.html is not None and wanted.html.is_file():
        with contextlib.suppress(OSError):  # then it is told when the new one is written
            wanted.html.unlink()
    if wanted.junit is not None:
        why = phrase("the suite did not end: it was killed, or it still runs")
        write_junit(
            SuiteResult(
                plan.name, Outcome.INFRASTRUCTURE_ERROR, why, (), started_utc, seed=plan.seed, not_run=plan.tasks, broken=why,
            ),
            wanted.junit, wanted.folder,
        )  # fmt: skip


def refused(name: str, error: IcvError, wanted: Wanted, started_utc: str) -> None:
    """The JUnit file of a suite that did not begin."""
    verdict = from_error(error)
    _bare(SuiteResult(name, verdict.outcome, verdict.sentence, (), started_utc), wanted)


def stopped(name: str, number: int, wanted: Wanted, started_utc: str) -> None:
    """The JUnit file of a suite that a signal stopped before it began."""
    sentence = say("stopped by {signal} before anything ran", signal=called(number))
    _bare(
        SuiteResult(
            name, Outcome.INFRASTRUCTURE_ERROR, sentence, (), started_utc, is_interrupted=True
        ),
        wanted,
    )


def _bare(result: SuiteResult, wanted: Wanted) -> None:
    """Where it cannot be written, why there is nothing in it is enough to say."""
    if wanted.junit is not None:
        with contextlib.suppress(IcvError):
            write_junit(result, wanted.junit, wanted.folder)


def close(result: SuiteResult, wanted: Wanted, stop: Stop) -> tuple[SuiteResult, list[str]]:
    """Write all that is wanted. How the suite ended after that, and what else is to be said.

    What cannot be written keeps nothing else from being written. A signal ends the writing, but for the JUnit file of a suite that one
    has stopped: others after it do not keep that from being written.
    """
    problems: list[str] = []
    said: SuiteResult | None = None  # by the JUnit file
    option = ""
    stop.must_raise = lambda: True
    try:
        for option, write in _steps(wanted):
            stop.is_deaf = option == _JUNIT and result.is_interrupted
            if stop.number and not result.is_interrupted:
                raise interrupt(stop.number)
            try:
                write(result)
            except Exception as error:  # a fault of ours is not green either
                why = str(error)
                if not isinstance(error, IcvError):
                    why = f"{option}: {type(error).__name__}: {why[:300]}; a fault of icv."
                problems.append(why)
                result = _broken(result, why)
            else:
                said = result if option == _JUNIT else said
    except KeyboardInterrupt:
        stop.is_deaf = True
        if result.is_interrupted:
            problems.append(f"asked to stop again, before {option} was written.")
        else:
            result = _stopped(result, stop.number, option, wanted.folder)
    stop.is_deaf = True
    if wanted.junit is not None and said is not result:
        try:
            write_junit(result, wanted.junit, wanted.folder)
        except IcvError as error:
            if str(error) not in problems:
                problems.append(str(error))
            if said is not None:  # it would say something else than we do
                with contextlib.suppress(OSError):
                    wanted.junit.unlink()
    return result, problems


def _steps(wanted: Wanted) -> Iterator[tuple[str, Callable[[SuiteResult], object]]]:
    """(option, what writes it), those that are wanted."""
    junit, html, history, folder = wanted.junit, wanted.html, wanted.history, wanted.folder
    if junit is not None:
        yield _JUNIT, lambda result: write_junit(result, junit, folder)
    if history is not None:
        yield _HISTORY, lambda result: _keep(result, history)
    if html is not None:
        yield _HTML, lambda result: _page(result, html, folder)


def _keep(result: SuiteResult, url: str) -> None:
    from sim.history.store import History

    with History(url) as kept:
        kept.add(result, result.started_utc)


def _page(result: SuiteResult, path: Path, folder: Path) -> None:
    from sim.suite.page import write_page

    write_page(result, path, folder)


def _broken(result: SuiteResult, why: str) -> SuiteResult:
    outcome = worst((result.outcome, Outcome.INFRASTRUCTURE_ERROR))
    sentence = result.sentence
    if not result.broken:
        sentence = say("the suite broke off: {why!s} ({said!s})", why=why, said=sentence)
    return replace(result, outcome=outcome, sentence=sentence, broken=result.broken or why)


def _stopped(result: SuiteResult, number: int, option: str, folder: Path) -> SuiteResult:
    """What a later call takes over is not put into the history, so only files can be had afterwards."""
    sentence = say(
        "stopped by {signal} before {option} was written, after all runs had ended ({said!s})",
        signal=called(number), option=option, said=result.sentence,
    )  # fmt: skip
    if option != _HISTORY:
        sentence = say("{said!s}; write it with --resume --out {out}", said=sentence, out=folder)
    return replace(
        result,
        outcome=worst((result.outcome, Outcome.INFRASTRUCTURE_ERROR)),
        sentence=sentence,
        is_interrupted=True,
    )


def _same(one: Path | None, other: Path | None) -> bool:
    return one is not None and other is not None and one.resolve() == other.resolve()


def _probe(path: Path) -> None:
    """InfrastructureError when no file can be written at `path`."""
    import tempfile

    if path.exists() and not path.is_file():
        return
    try:
        tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:
        raise InfrastructureError(
            f"{_HTML} {path}: cannot be written: {error.strerror}. Give another place."
        ) from error
