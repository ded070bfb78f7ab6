"""A proof names the variant, the tick and the field of each planted dependence; and a certificate says which variants never ran."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.errors import ConfigError, InputError
from sim.cli import app
from sim.prove import certificate
from sim.prove.page import page
from sim.prove.variants import Surroundings, variants
from tests.prove import planted_copy
from tests.prove.whispers import (  # fmt: skip
    ADDRESS,
    CLOCK,
    HASH,
    LAYOUT,
    LEVEL,
    ORDER,
    RECORDING,
    SECOND,
    TAP,
    THREADS,
)

FIRST_BATCH = 80  # of the fleet in this scene
# Where each variant has to part: by what it varies, or by something else that comes with it earlier.
PLACES = {
    "reversed": {ORDER},
    "shuffled": set(range(ORDER, LAYOUT, 10)),
    "processes": {LAYOUT},
    "two": {
        RECORDING,
        *range(ORDER, RECORDING, 10),
    },  # units of one process are called as they come
    "threads": {max(THREADS, FIRST_BATCH)},
    "hash": {HASH},
    "silent": {RECORDING},
    "watched": {TAP},
    "elsewhere": {LEVEL},
    "mixed": {max(THREADS, FIRST_BATCH)},
    "second": {SECOND},
}


def prove(folder: Path, plant: str, *words: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """`icv prove` with the packages of a planted copy; its certificate as it lies on disk."""
    copy = folder / "copy"
    copy.mkdir()
    planted_copy.make(copy)
    env = {**os.environ, "PYTHONPATH": str(copy), "ICV_TEST_PLANT": plant, "GIT_DIR": str(folder / "nowhere")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli", "prove", "brt_corridor", "--duration", "3", "-j", "2", "--out", str(folder / "out"), *words],
        check=False, env=env, cwd=folder, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return done, json.loads((folder / "out" / "certificate.json").read_text())


def tick_of(difference: str) -> int:
    found = re.search(r"first at tick (\d+)", difference)
    assert found is not None, difference
    return int(found[1])


def check(folder: Path, done: subprocess.CompletedProcess[str], signed: Any) -> None:
    """The certificate is sound, and does not say that everything is the same."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-4].startswith("DIFFERENT: ")
    assert signed["same"] is False
    again = CliRunner().invoke(app, ["prove", "--verify", str(folder / "out" / "certificate.json")])
    assert again.exit_code == 1 and "NOT VALID" not in again.output


@pytest.mark.long
def test_every_variant_finds_what_it_varies_and_nothing_else(tmp_path: Path) -> None:
    done, signed = prove(tmp_path, "surroundings")
    check(tmp_path, done, signed)
    runs = {run["name"]: run for run in signed["runs"]}
    assert set(runs) == {v.name for v in variants()}
    assert runs.pop("again")["same"]
    assert set(runs) == set(PLACES)
    for name, run in runs.items():
        assert run["same"] is False and run["digest"] != signed["plain"]["digest"], name
        assert tick_of(run["difference"]) in PLACES[name], (name, run["difference"])
        if name != "silent":  # has no record to look into
            assert re.search(r"v2x/bsm\.x_m\[station \d+\] of fleet = ", run["difference"]), name


@pytest.mark.long
@pytest.mark.parametrize(("plant", "tick"), [("clock", max(CLOCK, FIRST_BATCH)), ("address", ADDRESS)])  # fmt: skip
def test_a_wall_clock_and_an_order_by_address_show_in_every_other_process(
    plant: str, tick: int, tmp_path: Path
) -> None:
    done, signed = prove(tmp_path, plant, "--only", "again", "--only", "reversed")
    check(tmp_path, done, signed)
    assert [tick_of(run["difference"]) for run in signed["runs"]] == [tick, tick]


def test_what_a_run_leaves_behind_in_its_process_is_found_by_the_second_one(tmp_path: Path) -> None:
    done, signed = prove(
        tmp_path, "surroundings", "--duration", "1", "--only", "again", "--only", "second"
    )
    check(tmp_path, done, signed)
    again, second = signed["runs"]
    assert again["same"] and tick_of(second["difference"]) == SECOND
    assert second["surroundings"] == {"is_second": True}


def test_no_variant_claims_an_order_that_nobody_keeps() -> None:
    # Over ZeroMQ units answer as they come; and a process a unit has one thread, whatever the simulation has.
    for variant in variants(True):
        around = variant.around
        if around.layout != "one process":
            assert around.order == "sorted" and "order" not in variant.varies, variant.name
        if around.layout == "a process a unit":
            assert around.threads == 1, variant.name
    for layout, order, threads in (("a process a unit", "shuffled", 1), ("all units in one other process", "reversed", 1), ("a process a unit", "sorted", 2)):  # fmt: skip
        with pytest.raises(ValueError, match=r"over ZeroMQ|a process a unit"):
            Surroundings(layout, order, threads)  # type: ignore[arg-type]


def test_units_from_outside_are_not_proven(tmp_path: Path) -> None:
    words = ["prove", "brt_corridor", "--duration", "1", "--set", 'bus.external=["fleet"]', "--out", str(tmp_path)]  # fmt: skip
    done = CliRunner().invoke(app, words)
    text = " ".join(done.output.split())
    assert done.exit_code == ConfigError.exit_code, text
    assert "fleet" in text and "bus.external=[]" in text


# -- what did not run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a proof with one variant."""
    out = tmp_path_factory.mktemp("partly")
    done = CliRunner().invoke(app, ["prove", "brt_corridor", "--duration", "1", "--only", "silent", "--out", str(out)])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "not run: again, reversed, shuffled, processes" in done.output
    return out / "certificate.json"


def test_a_proof_of_some_variants_does_not_pass_for_one_of_all(partly: Path) -> None:
    found = certificate.read_certificate(partly)
    assert certificate.not_run(found) == tuple(v.name for v in variants() if v.name != "silent")
    assert any("not run: again" in text for text in found.not_covered)
    assert "not run: again" in page(found)
    done = CliRunner().invoke(app, ["prove", "--verify", str(partly)])
    assert done.exit_code == 1 and "not run: again, reversed" in done.output
    assert f"NOT WHOLE: {partly}: it says nothing of {len(variants()) - 1} variants" in done.output
    done = CliRunner().invoke(app, ["prove", "--verify", str(partly), "--partial"])
    assert done.exit_code == 0 and "not run: again, reversed" in done.output
    assert CliRunner().invoke(app, ["prove", "brt_corridor", "--partial"]).exit_code == 2


def resigned(found: certificate.Certificate, **more: Any) -> certificate.Certificate:
    """What a liar with a key of his own signs."""
    signer = certificate.one_time_key()
    public = signer.public_key().public_bytes_raw().hex()
    new = found.model_copy(update={"public_key": public, **more})
    body = certificate.canonical(new.model_dump(mode="json", exclude={"signature"}))
    return new.model_copy(update={"signature": signer.sign(body).hex()})


def test_runs_that_cannot_have_been_made_so_are_objected_to(partly: Path) -> None:
    found = certificate.read_certificate(partly)
    (run,) = found.runs
    assert not certificate.objections(resigned(found))
    for runs, says in (
        ((run, run), "'silent' is there twice"),
        ((run.model_copy(update={"name": "hash", "surroundings": {}}),), "'hash' varied nothing"),
        ((run.model_copy(update={"surroundings": {"hash_seed": 4242}}),), "numbers say otherwise"),
    ):
        assert any(says in text for text in certificate.objections(resigned(found, runs=runs)))
    skipped = run.model_copy(update={"error": "it never started", "digest": "", "ticks": 0})
    assert certificate.objections(resigned(found, runs=(skipped,)))  # still called the same
    honest = skipped.model_copy(update={"same": False})
    assert certificate.objections(resigned(found, runs=(honest,))) == ["the conclusion does not follow from the runs"]  # fmt: skip
    # With another's key in hand: whoever knows the right one is not taken in.
    own = bytes.fromhex(found.public_key)
    assert certificate.objections(found, own) == []
    assert "signed by key" in certificate.objections(resigned(found), own)[0]


def test_a_key_that_is_there_twice_is_refused(partly: Path, tmp_path: Path) -> None:
    text = partly.read_text().replace('"same":true', '"same":false,"same":true')
    bent = tmp_path / "certificate.json"
    bent.write_text(text)
    with pytest.raises(InputError, match="'same' is there twice"):
        certificate.read_certificate(bent)
