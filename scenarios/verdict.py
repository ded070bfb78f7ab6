"""What a judge says in the end: one outcome, one sentence a criterion, the numbers behind them.

Five outcomes, each with its exit code (docs/architecture.md): pass 0, fail 1, bad input 2, infrastructure error 3,
nothing ran 4. A verdict holds nothing that depends on the machine or the hour, so a replay gives an equal one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from protocols.errors import IcvError
from protocols.sentence import phrase, say


class Outcome(StrEnum):
    """How a run ended."""

    PASS = "pass"
    FAIL = "fail"
    BAD_INPUT = "bad_input"
    INFRASTRUCTURE_ERROR = "infrastructure_error"
    NOTHING_RAN = "nothing_ran"

    @property
    def exit_code(self) -> int:
        """What the command line returns: 0 to 4, in the order above."""
        return _EXIT_CODES[self]


_EXIT_CODES = {outcome: code for code, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One judged figure. `value` and `limit` are in `unit`; None where a criterion has no figure, or never saw one."""

    name: str  # "comfort/bus1 jerk"
    passed: bool
    sentence: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    t_s: float | None = None  # when the value was reached, or the rule was first broken
    where: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, the criteria that led to it, and per vehicle the numbers worth telling."""

    outcome: Outcome
    sentence: str
    results: tuple[CriterionResult, ...] = ()
    numbers: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # vehicle -> name_unit -> value

    @property
    def exit_code(self) -> int:
        """What the command line returns."""
        return self.outcome.exit_code


def decide(
    results: Iterable[CriterionResult], numbers: Mapping[str, Mapping[str, float]] | None = None
) -> Verdict:
    """Pass when every criterion passed, fail when one did not, nothing ran when there was none."""
    results = tuple(results)
    failed = [result for result in results if not result.passed]
    if not results:
        outcome = Outcome.NOTHING_RAN
        sentence = phrase("no criterion, so nothing was judged; add [[criteria]] to the scene")
    elif failed:
        outcome = Outcome.FAIL
        sentence = say(
            "{failed:d} of {count:d} criteria failed; first: {first!s}",
            failed=len(failed), count=len(results), first=failed[0].sentence,
        )  # fmt: skip
    else:
        outcome = Outcome.PASS
        sentence = say("all {count:d} criteria passed", count=len(results))
    return Verdict(outcome, sentence, results, numbers or {})


def from_error(error: IcvError) -> Verdict:
    """The verdict of a run that an error ended."""
    by_code = {outcome.exit_code: outcome for outcome in Outcome}
    return Verdict(by_code.get(error.exit_code, Outcome.INFRASTRUCTURE_ERROR), str(error))


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of many runs: the one with the highest exit code; nothing ran when there were none."""
    return max(outcomes, key=lambda outcome: outcome.exit_code, default=Outcome.NOTHING_RAN)
