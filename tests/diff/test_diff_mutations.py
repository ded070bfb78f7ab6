"""The checker is checked: one planted difference in each of many recordings and runs, and the first cause has to be named exactly.

By default a sample of each kind; behind `long` more than 300. "Exactly" is kind, tick, topic and unit, and the field, row and receiver
where there is one.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sim.diff.compare import diff_logs
from sim.diff.model import Kind
from tests.diff import mutate
from tests.diff.bases import answer, is_named, run_bus, run_crossing
from tests.diff.tamper import Tamper, tampered
from tests.support import fault_scene

ENOUGH = 0.95
Bases = tuple[tuple[Path, int, list[mutate.Record]], ...]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Two runs, as records."""
    folder = tmp_path_factory.mktemp("bases")
    logs = (run_bus(folder / "bus").log_path, run_crossing(folder / "crossing").log_path)
    return tuple((log, *mutate.read(log)) for log in logs)


def planted_in_files(bases: Bases, kind: str, number: int, folder: Path) -> tuple[int, list[str]]:
    """(how many were named, what was not) of `number` recordings with a difference of `kind`."""
    wrong = []
    for seed in range(number):
        log, epoch, items = bases[seed % len(bases)]
        changed, planted = mutate.plant(kind, items, seed)
        path = folder / "changed.mcap"
        mutate.write(path, epoch, changed)
        wrong.append(answer(log, path, planted))
    return wrong.count(""), [text for text in wrong if text]


TAMPERED: dict[str, tuple[tuple[str, str], ...]] = {
    "field": (("rsu/X", "v2x/rsm"), ("obu/a", "v2x/bsm"), ("fleet", "v2x/bsm")),
    "drop": (("rsu/X", "v2x/rsm"), ("rsu/X", "v2x/spat"), ("obu/b", "v2x/vir"), ("obu/a", "v2x/bsm"), ("rsu/X", "v2x/rsc")),
    "delay": (("rsu/X", "v2x/rsm"), ("rsu/X", "v2x/spat"), ("obu/a", "v2x/bsm"), ("obu/b", "v2x/vir")),
    "command": (("obu/a", ""), ("obu/b", "")),
    "plan": (("obu/a", ""), ("obu/b", "")),
    "state": (("", ""),),
    "actor": (("", ""),),
}  # fmt: skip


def planted_in_runs(base: Path, kind: str, number: int, folder: Path) -> tuple[int, list[str]]:
    """The same of runs that were changed in flight, so that the change has consequences."""
    wrong: list[str] = []
    seed = 0
    while len(wrong) < number:
        rng = random.Random(f"{kind}/{seed}")
        unit, topic = TAMPERED[kind][seed % len(TAMPERED[kind])]
        seed += 1
        with tampered(Tamper(kind, rng.randint(0, 700), rng, unit, topic)) as change:
            log = fault_scene.run(fault_scene.scene(()), folder).log_path
        if change.planted is not None:
            wrong.append(answer(base, log, change.planted))
    return wrong.count(""), [text for text in wrong if text]


def planted_in_scenes(base: Path, number: int, folder: Path) -> tuple[int, list[str]]:
    """A fault more in the scene."""
    wrong = []
    for seed in range(number):
        faults = fault_scene.random_faults(random.Random(seed), 8.0)[:1]
        log = fault_scene.run(fault_scene.scene(faults), folder).log_path
        cause = diff_logs(base, log).cause
        is_right = (
            cause is not None
            and cause.kind is Kind.CONFIGURATION
            and cause.field == "scene.faults[0]"
        )
        wrong.append("" if is_right else f"planted {faults}\n  named {cause}\n")
    return wrong.count(""), [text for text in wrong if text]


PARAMETERS = (
    ("seed=5", "scene.seed"),
    ("vehicles.0.speed_mps=7.5", "scene.vehicles[bus1].speed_mps"),
    ("vehicles.0.start_s_m=249", "scene.vehicles[bus1].start_s_m"),
    ("vehicles.0.passengers.channels=3", "scene.vehicles[bus1].passengers.channels"),
    ("demand.equipped_share=0.5", "scene.demand.equipped_share"),
    ("demand.flows.0.vehicles_per_hour=800.0", "scene.demand.flows[west].vehicles_per_hour"),
    ("roadside.2.x_m=10.0", "scene.roadside[J3].x_m"),
    ("roadside.0.ssm_period_ms=200", "scene.roadside[J1].ssm_period_ms"),
    ("signals.0.offset_s=5.0", "scene.signals[0].offset_s"),
    ("radio.model=ideal", "scene.radio.model"),
    ("record.truth_period_ms=200", "scene.record.truth_period_ms"),
    ("duration_s=12", "scene.duration_s"),
)


def changed_parameters(base: Path, which: list[int], folder: Path) -> tuple[int, list[str]]:
    """Another value of one key."""
    wrong = []
    for k in which:
        override, key = PARAMETERS[k]
        cause = diff_logs(base, run_bus(folder, override).log_path).cause
        is_right = cause is not None and cause.kind is Kind.CONFIGURATION and cause.field == key
        wrong.append("" if is_right else f"planted {override}\n  named {cause}\n")
    return wrong.count(""), [text for text in wrong if text]


@pytest.mark.parametrize("kind", mutate.PLANTS)
def test_a_difference_planted_in_a_recording_is_named(
    kind: str, bases: Bases, tmp_path: Path
) -> None:
    _, wrong = planted_in_files(bases, kind, 4, tmp_path)
    assert not wrong, "".join(wrong)


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_difference_made_in_flight_is_named_before_its_consequences(
    kind: str, bases: Bases, tmp_path: Path
) -> None:
    _, wrong = planted_in_runs(bases[1][0], kind, 2, tmp_path)
    assert not wrong, "".join(wrong)


def test_a_fault_in_the_scene_is_named(bases: Bases, tmp_path: Path) -> None:
    _, wrong = planted_in_scenes(bases[1][0], 4, tmp_path)
    assert not wrong, "".join(wrong)


def test_a_changed_parameter_is_named(bases: Bases, tmp_path: Path) -> None:
    _, wrong = changed_parameters(bases[0][0], [1, 4, 11], tmp_path)
    assert not wrong, "".join(wrong)


def test_a_copy_of_a_recording_has_no_difference_however_it_is_cut_into_chunks(
    bases: Bases, tmp_path: Path
) -> None:
    for log, epoch, items in bases:
        for chunk_bytes in (3_000, 100_000, 10_000_000):
            mutate.write(tmp_path / "copy.mcap", epoch, items, chunk_bytes)
            found = diff_logs(log, tmp_path / "copy.mcap")
            assert found.is_same, found.cause
            assert all(row.is_same for row in found.topics)
            assert not any(row.values for row in found.fields)


@pytest.mark.long
def test_of_more_than_300_planted_differences_95_percent_are_named(
    bases: Bases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    failures: list[str] = []

    def count(kind: str, number: int, outcome: tuple[int, list[str]]) -> None:
        named[kind] += outcome[0]
        planted[kind] += number
        failures.extend(outcome[1])

    for kind in mutate.PLANTS:
        count(f"recording: {kind}", 40, planted_in_files(bases, kind, 40, tmp_path))
    for kind in TAMPERED:
        count(f"in flight: {kind}", 20, planted_in_runs(bases[1][0], kind, 20, tmp_path / "run"))
    count("scene: fault", 40, planted_in_scenes(bases[1][0], 40, tmp_path / "scene"))
    every = list(range(len(PARAMETERS)))
    count("scene: parameter", len(every), changed_parameters(bases[0][0], every, tmp_path / "bus"))
    with capsys.disabled():
        for kind in planted:
            print(f"\n{kind:24} {named[kind]:4} of {planted[kind]:4}", end="")
        print(f"\n{'all':24} {named.total():4} of {planted.total():4}")
        print("".join(failures))
    assert planted.total() >= 300
    assert named.total() >= ENOUGH * planted.total()
    for kind, number in planted.items():
        assert named[kind] >= 0.9 * number, kind


def test_a_wrong_answer_would_be_noticed(bases: Bases, tmp_path: Path) -> None:
    log, epoch, items = bases[1]
    changed, planted = mutate.plant("field", items, 1)
    mutate.write(tmp_path / "changed.mcap", epoch, changed)
    found = diff_logs(log, tmp_path / "changed.mcap")
    assert is_named(found, planted)
    assert not is_named(found, replace(planted, tick=planted.tick + 1))
    assert not is_named(found, replace(planted, field="another"))
    assert not is_named(diff_logs(log, log), planted)
