"""Outcomes and their exit codes."""

from __future__ import annotations

import pytest

from protocols.errors import ConfigError, LogError, NothingRanError, UnitError
from scenarios.verdict import CriterionResult, Outcome, decide, from_error, worst

GOOD = CriterionResult("a", True, "a is fine")
BAD = CriterionResult("b", False, "b is 3, at most 2")


def test_exit_codes_are_zero_to_four_in_the_documented_order():
    assert [(o.value, o.exit_code) for o in Outcome] == [
        ("pass", 0), ("fail", 1), ("bad_input", 2), ("infrastructure_error", 3), ("nothing_ran", 4),
    ]  # fmt: skip


def test_one_failed_criterion_fails_the_run_and_speaks_for_it():
    verdict = decide([GOOD, BAD])
    assert (verdict.outcome, verdict.exit_code) == (Outcome.FAIL, 1)
    assert "1 of 2" in verdict.sentence and "b is 3, at most 2" in verdict.sentence


def test_all_passed_is_a_pass_and_none_at_all_is_not():
    assert decide([GOOD, GOOD]).outcome is Outcome.PASS
    assert decide([]).outcome is Outcome.NOTHING_RAN


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConfigError("x"), Outcome.BAD_INPUT), (LogError("x"), Outcome.BAD_INPUT),
        (UnitError("x"), Outcome.INFRASTRUCTURE_ERROR), (NothingRanError("x"), Outcome.NOTHING_RAN),
    ],
)  # fmt: skip
def test_an_error_becomes_the_outcome_of_its_exit_code(error, outcome):
    assert from_error(error).outcome is outcome
    assert from_error(error).exit_code == error.exit_code


def test_the_worst_of_many_is_the_highest_code():
    assert (
        worst([Outcome.PASS, Outcome.INFRASTRUCTURE_ERROR, Outcome.FAIL])
        is Outcome.INFRASTRUCTURE_ERROR
    )
    assert worst([]) is Outcome.NOTHING_RAN
