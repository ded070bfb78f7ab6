"""The search for messages that mattered, with runs that are played: who decides is known, and every run is counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from sim.whatif.candidates import Group, Item
from sim.whatif.edit import Drop, Edit
from sim.whatif.rank import Entry, Level, Ranking, _ranked, _Search
from sim.whatif.tell import ranking_lines
from sim.whatif.work import Crew, Mattered

PERIOD_NS = 100_000_000
END_NS = 1_000 * PERIOD_NS
Heard = tuple[str, int]  # (topic, number)
NOTHING = Mattered("pass", False, (), (), 0.0, 0.0, None)


class Played:
    """A crew whose runs are a function of the messages that are lost."""

    def __init__(self, groups: Sequence[Group], outcome: Callable[[set[Heard]], Mattered]) -> None:
        self._items = [(g.topic, g.sender, item) for g in groups for item in g.items]
        self._outcome = outcome

    def weigh(
        self, candidates: Sequence[Sequence[Edit]], done: Callable[[], None]
    ) -> list[Mattered]:
        out = []
        for edits in candidates:
            drops = [edit.which for edit in edits if isinstance(edit, Drop)]
            lost = {
                (topic, item.seq)
                for topic, sender, item in self._items
                if any(which.holds(item.t_ns, topic, sender, item.seq) for which in drops)
            }
            out.append(self._outcome(lost))
            done()
        return out


def group(topic: str, sender: str, count: int, first: int = 0) -> Group:
    items = tuple(Item(k * PERIOD_NS, first + k) for k in range(count))
    return Group(topic, sender, 0, END_NS, items)


def search(
    groups: list[Group], outcome: Callable[[set[Heard]], Mattered], budget: int
) -> tuple[list[Entry], _Search]:
    found = _Search(cast(Crew, Played(groups, outcome)), budget, lambda runs: None)
    found.control()
    found.begin(groups)
    found.halve()
    found.trim()
    return _ranked(found.entries), found


def fails(at_ns: int = 0) -> Mattered:
    return Mattered("fail", True, ("arrival",), (), 0.5, 40.0, at_ns)


@pytest.mark.parametrize("seed", range(8))
def test_one_message_of_a_thousand_is_found_in_thirty_runs(seed: int) -> None:
    rng = random.Random(seed)
    groups = [group("v2x/rsm", "rsu/A", 1000), group("v2x/spat", "rsu/A", 1000), group("v2x/bsm", "fleet", 1000)]  # fmt: skip
    planted = ("v2x/rsm", rng.randrange(1000))
    # It is used long after it was heard, so the moment of parting says nothing.
    entries, found = search(groups, lambda lost: fails(END_NS) if planted in lost else NOTHING, 30)
    assert entries[0].group.is_single and entries[0].group.items[0].seq == planted[1]
    assert entries[0].level == Level.VERDICT and not entries[0].is_joint
    assert len(entries) == 1  # what holds it says nothing more
    assert found.runs <= 30


@pytest.mark.parametrize("seed", range(8))
def test_messages_that_matter_only_together_are_found_to_the_message(seed: int) -> None:
    rng = random.Random(seed)
    size, first = rng.randint(2, 40), rng.randrange(950)
    needed = {("v2x/spat", k) for k in range(first, first + size)}
    groups = [group("v2x/spat", "rsu/A", 1000), group("v2x/map", "rsu/A", 100)]
    # Any one of them is enough: the run is another only when all are lost.
    entries, _ = search(groups, lambda lost: fails() if needed <= lost else NOTHING, 100)
    assert [item.seq for item in entries[0].group.items] == list(range(first, first + size))
    assert entries[0].is_joint


def test_a_message_that_is_used_at_once_is_found_by_the_moment_of_parting() -> None:
    groups = [group("v2x/rsm", "rsu/A", 1000), group("v2x/bsm", "fleet", 1000)]
    used = fails(777 * PERIOD_NS + 20_000_000)
    entries, found = search(groups, lambda lost: used if ("v2x/rsm", 777) in lost else NOTHING, 5)
    assert entries[0].group.is_single and entries[0].group.items[0].seq == 777
    assert found.runs == 5


def test_a_rare_message_is_tried_alone_even_where_all_of_them_change_nothing() -> None:
    # Without any request nothing happens; without the cancellation alone the junction holds its green.
    virs = group("v2x/vir", "obu/a", 5)
    lost_cancel = {("v2x/vir", 4)}
    entries, _ = search([virs], lambda lost: fails() if lost == lost_cancel else NOTHING, 64)
    assert [entry.group.items[0].seq for entry in entries] == [4]


def test_the_verdict_comes_before_figures_and_few_messages_before_many() -> None:
    groups = [group("v2x/rsm", "rsu/A", 64), group("v2x/spat", "rsu/A", 64), group("v2x/map", "rsu/A", 64)]  # fmt: skip
    burst = {("v2x/spat", k) for k in range(20, 24)}

    def outcome(lost: set[Heard]) -> Mattered:
        if ("v2x/rsm", 7) in lost or burst <= lost:
            return fails(END_NS)
        if ("v2x/map", 3) in lost:
            return Mattered("pass", False, (), (), 0.9, 90.0, END_NS)
        return NOTHING

    entries, _ = search(groups, outcome, 200)
    assert [entry.group.topic for entry in entries] == ["v2x/rsm", "v2x/spat", "v2x/map"]
    assert [len(entry.group.items) for entry in entries] == [1, 4, 1]


def test_the_budget_is_kept_and_what_was_not_tried_is_said() -> None:
    groups = [group("v2x/rsm", f"rsu/{k}", 10) for k in range(10)]
    entries, found = search(groups, lambda lost: NOTHING, 4)
    assert found.runs == 4 and not entries
    assert len(found.left) == 7


def test_a_spent_budget_is_not_told_as_nothing_mattered() -> None:
    groups = [group("v2x/rsm", f"rsu/{k}", 10) for k in range(3)]
    for budget, says, never in ((2, "nothing can be said yet", "no message mattered"), (64, "no message mattered", "nothing can be")):  # fmt: skip
        entries, found = search(groups, lambda lost: NOTHING, budget)
        tried, left = tuple(found.entries.values()), tuple(found.left)
        text = "\n".join(
            ranking_lines(Ranking(tuple(entries), tried, left, found.runs, 30, "pass"))
        )
        assert says in text and never not in text, text


def test_messages_of_one_tick_are_told_apart() -> None:
    items = tuple(Item(PERIOD_NS, seq) for seq in range(8))
    entries, _ = search(
        [Group("v2x/spat", "rsu/A", 0, END_NS, items)],
        lambda lost: fails(END_NS) if ("v2x/spat", 5) in lost else NOTHING,
        64,
    )
    assert [item.seq for item in entries[0].group.items] == [5]
