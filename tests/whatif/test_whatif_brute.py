"""The ranking against trying every single message of a window: the same messages, in the same order."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.log.reader import LogReader
from sim.whatif.again import open_source
from sim.whatif.candidates import Group, heard_groups
from sim.whatif.rank import Entry, Level, Ranking, _urgency, rank
from sim.whatif.work import make_bench, weigh
from tests.support.fault_scene import run
from tests.whatif.crossings import CROSSINGS, Crossing

S = 1_000_000_000
BUDGET = 200


def window_ns(crossing: Crossing) -> tuple[int, int]:
    first, last = crossing.window
    return round(first * S), round(last * S)


def by_force(log: Path, folder: Path, span: tuple[int, int]) -> list[Entry]:
    """Every message that somebody heard, lost alone; those that matter, gravest first."""
    folder.mkdir()
    bench = make_bench(log, folder)
    groups = heard_groups(LogReader.open(log), open_source(log).header.tick_ns, (), span)
    singles = [group.part(k, k + 1) for group in groups for k in range(len(group.items))]
    found = [Entry(single, weigh(bench, single.edits())) for single in singles]
    return sorted((e for e in found if e.level >= Level.FIGURES), key=_urgency)


def names(entries: list[Entry]) -> list[tuple[str, str, int, Level]]:
    return [(e.group.topic, e.group.sender, e.group.items[0].seq, e.level) for e in entries]


def singles_of(found: Ranking) -> list[Entry]:
    return [e for e in found.entries if e.group.is_single and e.level >= Level.FIGURES]


def is_planted(group: Group, planted: tuple[str, str, float]) -> bool:
    """Whether `group` is the message of the 100 ms that losses have left."""
    topic, sender, at_s = planted
    return (group.topic, group.sender) == (topic, sender) and 0 <= group.items[
        0
    ].t_ns / S - at_s < 0.1


@pytest.mark.long
@pytest.mark.parametrize("name", CROSSINGS)
def test_the_ranking_agrees_with_trying_every_message(name: str, tmp_path: Path) -> None:
    crossing = CROSSINGS[name]()
    done = run(crossing.spec(), tmp_path / "run")
    assert done.verdict.outcome.value == "pass"
    span = window_ns(crossing)
    brute = by_force(done.log_path, tmp_path / "brute", span)
    found = rank(done.log_path, window=span, budget=BUDGET)
    assert found.runs < BUDGET and not found.left
    # What was planted is what trying finds, gravest first ...
    for entry, planted in zip(brute, crossing.decisive, strict=False):
        assert is_planted(entry.group, planted), entry.group
    assert len(brute) >= len(crossing.decisive)
    assert brute[0].level == Level.VERDICT
    # ... and the ranking says the same, in the same order, with the same numbers.
    assert names(singles_of(found)) == names(brute)
    for one, other in zip(singles_of(found), brute, strict=True):
        assert one.mattered == other.mattered
    assert found.entries[0].group == singles_of(found)[0].group


def test_the_first_of_the_ranking_decides_and_its_neighbours_do_not(tmp_path: Path) -> None:
    crossing = CROSSINGS["one_spat"]()
    log = run(crossing.spec(), tmp_path / "run").log_path
    span = window_ns(crossing)
    found = rank(log, window=span, budget=12)
    best = found.entries[0]
    assert best.group.is_single and is_planted(best.group, crossing.decisive[0])
    assert best.level == Level.VERDICT and best.mattered.outcome == "fail"
    bench = make_bench(log, tmp_path)
    for group in heard_groups(LogReader.open(log), 10_000_000, (), span):
        single = group.part(0, 1)
        mattered = weigh(bench, single.edits())
        assert mattered.is_verdict_changed == (single.items == best.group.items), single
