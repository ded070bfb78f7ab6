"""Values that are no numbers, fields that nobody knows, rules that would hide them, and another order of the file."""

from __future__ import annotations

import math
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sim.diff.compare import diff_logs
from sim.diff.model import Kind
from sim.diff.tolerance import Rule, read
from sim.diff.words import summary
from tests.diff import mutate
from tests.diff.altered import Diff, edit, held, put, unknown
from tests.diff.mutate import Record
from tests.support import fault_scene


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = fault_scene.scene((), duration_s=4.0)
    return fault_scene.run(scene, tmp_path_factory.mktemp("run")).log_path


@pytest.fixture
def diff(log: Path, tmp_path: Path) -> Diff:
    return partial(held, log, tmp_path)


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324])
@pytest.mark.parametrize(
    ("topic", "name"),
    [("v2x/rsm", "x_m"), ("truth/world", "x_m"), ("truth/trace", "speed_mps"), ("v2x/bsm", "x_m")],
)
def test_a_value_that_is_no_number_is_named_by_its_field(
    diff: Diff, topic: str, name: str, value: float
) -> None:
    cause = diff(edit(topic, put(name, value))).cause
    assert cause is not None
    assert (cause.topic, cause.field, cause.b) == (topic, name, str(value))


def test_differences_of_no_numbers_and_of_names_have_no_size(diff: Diff) -> None:
    for change, text in (
        (edit("truth/trace", put("speed_mps", math.nan)), "speed_mps is nan, in A"),
        (edit("v2x/spat", lambda proto: setattr(proto.phase[0], "light", 77)), "light[0] of phase 1 is 77, in A RED"),
    ):  # fmt: skip
        said = summary(diff(change))
        assert text in said
        assert not said.endswith(")")


def test_a_row_that_only_one_log_has_is_said_to_be_so(diff: Diff) -> None:
    def drop(proto: Any) -> None:
        for _, column in proto.ListFields():
            if hasattr(column, "__delitem__"):
                del column[0]

    said = summary(diff(edit("truth/world", drop)))
    assert said.endswith("truth/world: actor 1 is not in B")


def test_whole_numbers_beyond_a_doubles_digits_are_told_apart(log: Path, tmp_path: Path) -> None:
    rules = tmp_path / "t.toml"
    rules.write_text('[[tolerance]]\ntopic = "*"\nabs = 1e-9\nreason = "rounding of the last digit"\n')  # fmt: skip
    epoch, items = mutate.read(log)
    for topic in ("v2x/rsm", "v2x/spat"):
        paths = []
        for t_ns in (2**60, 2**60 + 1):
            wide = list(items)
            edit(topic, partial(_stamp, t_ns=t_ns))(wide)
            paths.append(tmp_path / f"{t_ns}.mcap")
            mutate.write(paths[-1], epoch, wide)
        cause = diff_logs(paths[0], paths[1], read(rules)).cause
        assert cause is not None
        assert (cause.b, cause.by) == (str(2**60 + 1), 1.0)


def _stamp(proto: Any, t_ns: int) -> None:
    if hasattr(proto, "phase"):
        proto.phase[0].min_end_ns = t_ns
    else:
        proto.t_ns = t_ns


def test_an_infinite_difference_is_within_no_bound() -> None:
    rule = Rule(topic="*", rel=1e-6, abs=1e300, reason="rounding of it")
    assert not rule.takes(math.inf, 5.0)
    assert not rule.takes(math.nan, math.nan)
    assert rule.takes(5.0, 5.0)


# -- tolerances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["v2x/rsm", "obu/plan", "truth/trace", "log/radio", "truth/world"])  # fmt: skip
def test_an_unknown_field_is_a_difference_also_with_rules_about_something_else(
    diff: Diff, tmp_path: Path, topic: str
) -> None:
    rules = tmp_path / "t.toml"
    rules.write_text('[[tolerance]]\ntopic = "cmd/*"\nabs = 1e-9\nreason = "rounding of commands"\n')  # fmt: skip
    for tolerances in (None, read(rules)):
        cause = diff(unknown(topic), tolerances).cause
        assert cause is not None
        assert (cause.topic, cause.field) == (topic, "bytes")
    rules.write_text(f'[[tolerance]]\ntopic = "{topic}"\nany = true\nreason = "another writer wrote it"\n')  # fmt: skip
    assert diff(unknown(topic), read(rules)).is_same


# -- order of the file ----------------------------------------------------------------------------------------------


def shuffled(items: list[Record]) -> list[Record]:
    """The records of every tick in another order."""
    rng, out, at = random.Random(1), [items[0]], 1
    while at < len(items):
        end = at
        while end < len(items) and items[end].t_ns == items[at].t_ns:
            end += 1
        tick = items[at:end]
        rng.shuffle(tick)
        out += tick
        at = end
    return out


def test_another_order_of_the_file_hides_no_difference_of_the_run_and_causes_nothing(
    diff: Diff,
) -> None:
    found = diff(shuffled)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.tick) == (Kind.ORDER, 0)
    assert len(found.chain) == 1

    def both(items: list[Record]) -> list[Record]:
        edit("v2x/rsm", put("x_m", 7.0))(items)
        return shuffled(items)

    found = diff(both)
    assert found.cause is not None
    assert (found.cause.topic, found.cause.field, found.cause.tick) == ("v2x/rsm", "x_m", 200)
    assert ("order", {"tick": "0"}) in found.remarks
