"""A proof finds what must not matter and does, names the place, and its certificate cannot be bent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.errors import ConfigError, InfrastructureError, InputError
from scenarios.load import load_scene
from sim.cli import app
from sim.prove import certificate
from sim.prove.page import page
from sim.prove.run import CHILD, Answer, Proof, prove
from sim.prove.variants import Surroundings, Variant, chosen, variants
from tests.prove import planted

ROOT = Path(__file__).parents[2]
STARTED = "2026-05-18T00:30:00Z"


@pytest.fixture(scope="module", autouse=True)
def hermetic() -> Iterator[None]:
    """Runs elsewhere find the planted faults too, and a commit made meanwhile is none of these tests' business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("GIT_DIR", str(ROOT / "nowhere"))
        yield


def proof(folder: Path, some: Sequence[Variant], child: Sequence[str] = CHILD) -> Proof:
    loaded = load_scene(Path("brt_corridor"), ["duration_s=3"])
    return prove(loaded.spec, "brt_corridor", loaded.path.parent, folder, some, jobs=2, child=child)


def by_name(found: Proof) -> dict[str, Answer]:
    return {answer.variant.name: answer for answer in found.answers}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """A proof of a scene that is sound."""
    return proof(tmp_path_factory.mktemp("sound"), chosen(("two", "silent", "watched"), False))


def test_every_variant_changes_something_it_says(sound: Proof) -> None:
    every = {v.name: v for v in variants(True)}
    assert all(v.changed() for name, v in every.items() if name != "again")
    layouts = {v.around.layout for v in every.values()}
    assert len(layouts) == 3
    assert {v.around.order for v in every.values()} == {"sorted", "reversed", "shuffled"}


def test_a_sound_scene_is_the_same_in_every_tick_and_record(sound: Proof) -> None:
    assert sound.same and sound.exit_code == 0
    assert {a.ticks for a in sound.answers} == {300}
    assert {a.digest for a in sound.answers} == {sound.plain.digest}
    hashes = {name: a.records_sha256 for name, a in by_name(sound).items()}
    assert hashes.pop("silent") is None
    assert set(hashes.values()) == {sound.plain.records_sha256}


@pytest.mark.long
@pytest.mark.parametrize("scene", ("brt_corridor", "smart_island"))
def test_library_scenes_are_the_same_in_all_surroundings(scene: str, tmp_path: Path) -> None:
    loaded = load_scene(Path(scene), ["duration_s=120"])
    found = prove(loaded.spec, scene, loaded.path.parent, tmp_path, variants(True), jobs=2)
    assert found.same, [(a.variant.name, a.difference, a.error) for a in found.answers]


def test_planted_dependences_are_caught_and_named(tmp_path: Path) -> None:
    deadly = Variant("deadly", "a hash seed", Surroundings(hash_seed=int(planted.DEADLY_SEED)))
    some = (*chosen(("again", "hash", "threads", "elsewhere"), False), deadly)
    found = proof(tmp_path, some, ("-m", "tests.prove.planted"))
    answers = by_name(found)
    assert answers["again"].same
    # The order of a set: topic, sender and tick.
    assert re.search(
        r"at tick \d+ .*v2x/bsm\.\w+\[station \d+\] of fleet", answers["hash"].difference or ""
    )
    # The number of threads: to the field.
    assert re.search(r"at tick 200 .*v2x/bsm\.x_m", answers["threads"].difference or "")
    # The time zone, in a note that no digest covers: byte for byte.
    assert answers["elsewhere"].digest == found.plain.digest
    assert re.search(r"at tick 150 .*log/note.* of fleet", answers["elsewhere"].difference or "")
    # A run that does not end is an infrastructure error with its sentence.
    assert "unit fleet at tick 100 " in (answers["deadly"].error or "")
    assert found.exit_code == 3
    signed = certify(found)
    assert not signed.same and not certificate.objections(signed)
    without = replace(found, answers=found.answers[:-1])
    assert without.exit_code == 1


def test_a_plain_run_that_fails_is_raised(tmp_path: Path) -> None:
    loaded = load_scene(Path("brt_corridor"), ["duration_s=1"])
    with pytest.raises(InfrastructureError, match="exit code"):
        prove(
            loaded.spec,
            "brt",
            loaded.path.parent,
            tmp_path,
            (),
            child=("-c", "raise SystemExit(9)"),
        )
    broken = loaded.spec.model_copy(update={"roadside": (loaded.spec.roadside[0].model_copy(update={"junctions": ("nowhere",)}),)})  # fmt: skip
    with pytest.raises(ConfigError, match="junction 'nowhere'"):
        prove(broken, "brt", loaded.path.parent, tmp_path, ())


# certificates --------------------------------------------------------------------------------------------------------


def certify(found: Proof, key: Any = None) -> certificate.Certificate:
    signer = key or certificate.one_time_key()
    return certificate.certify(found, {"cpu": "any", "cores": 2}, STARTED, signer, key is None)


def test_a_certificate_that_was_changed_anywhere_is_not_believed(
    sound: Proof, tmp_path: Path
) -> None:
    path = tmp_path / "certificate.json"
    certificate.write(path, certify(sound))
    assert not certificate.objections(certificate.read_certificate(path))
    whole = json.loads(path.read_bytes())
    assert path.read_bytes() == certificate.canonical(whole) + b"\n"
    for key, value in whole.items():
        bent = dict(whole)
        if isinstance(value, str):
            swapped = {"file": "one-time", "one-time": "file", "icv-certificate": None}
            bent[key] = swapped.get(value, value[:-2] + ("00" if value[-2:] != "00" else "11"))
            if key == "started_utc":
                bent[key] = "2027-05-18T00:30:00Z"
        elif isinstance(value, bool):
            bent[key] = not value
        elif isinstance(value, int):
            bent[key] = value + 1
        elif isinstance(value, list):
            bent[key] = value[:-1]
        else:
            bent[key] = {**value, next(iter(sorted(value))): "0"}
        path.write_bytes(certificate.canonical(bent))
        try:
            assert certificate.objections(certificate.read_certificate(path)), key
        except InputError:
            assert key in ("format", "version", "scene", "plain", "runs"), key


def test_a_conclusion_that_does_not_follow_is_objected_to_even_when_signed(sound: Proof) -> None:
    signer = certificate.one_time_key()
    honest = certificate.certify(sound, {}, STARTED, signer, True)
    run = honest.runs[0].model_copy(update={"digest": "0" * 16})
    lying = honest.model_copy(update={"runs": (run, *honest.runs[1:])})
    body = certificate.canonical(lying.model_dump(mode="json", exclude={"signature"}))
    lying = lying.model_copy(update={"signature": signer.sign(body).hex()})
    (objection,) = certificate.objections(lying)
    assert "its numbers say otherwise" in objection
    empty = honest.model_copy(update={"runs": ()})
    body = certificate.canonical(empty.model_dump(mode="json", exclude={"signature"}))
    empty = empty.model_copy(update={"signature": signer.sign(body).hex()})
    assert certificate.objections(empty) == ["the conclusion does not follow from the runs"]


def test_keys_are_made_once_for_their_owner_alone_and_tell_signers_apart(
    sound: Proof, tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine.pem", tmp_path / "other.pem"
    signed = certify(sound, certificate.private_key(mine))
    assert mine.stat().st_mode & 0o777 == 0o600
    again = certify(sound, certificate.private_key(mine))
    assert again == signed  # Ed25519 is deterministic: the same proof, the same bytes
    assert not certificate.objections(signed, certificate.public_key(str(mine)))
    certificate.private_key(other)
    (objection,) = certificate.objections(signed, certificate.public_key(str(other)))
    assert "signed by key" in objection
    mine.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        certificate.private_key(mine)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(ConfigError, match="not a PEM"):
        certificate.private_key(tmp_path / "text")
    for nonsense in ("zz", "ab" * 31, "/dev/null"):
        with pytest.raises(ConfigError, match="64 hex digits"):
            certificate.public_key(nonsense)


@pytest.mark.parametrize("text", ("", "{}", "[1, 2", '{"format": "icv-certificate"}', "[" * 5000, "\x00\xff"))  # fmt: skip
def test_what_is_no_certificate_is_said_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"certificate\.json"):
        certificate.read_certificate(path)


def test_the_page_says_what_the_certificate_says_and_escapes_it(sound: Proof) -> None:
    signed = certify(sound)
    text = page(signed)
    assert sound.plain.digest in text and "the same in every one of 300 ticks" in text
    bad = signed.runs[0].model_copy(
        update={"same": False, "difference": "<script>alert(1)</script>"}
    )
    text = page(signed.model_copy(update={"same": False, "runs": (bad,)}))
    assert "<script" not in text and "NOT the same in 1 of 1" in text


def test_the_command_signs_and_checks(tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "out"
    arguments = ["prove", "brt_corridor", "--duration", "1", "--only", "hash", "--out", str(out)]
    done = runner.invoke(app, [*arguments, "--key", str(tmp_path / "k")])
    assert done.exit_code == 0, done.output
    assert "same: brt_corridor in every one of 100 ticks" in done.output
    assert (out / "certificate.html").is_file()
    checked = runner.invoke(app, ["prove", "--verify", str(out / "certificate.json"), "--partial", "--public-key", str(tmp_path / "k")])  # fmt: skip
    assert checked.exit_code == 0 and "valid: brt_corridor" in checked.output
    text = (out / "certificate.json").read_text().replace('"seed":1', '"seed":2')
    (out / "certificate.json").write_text(text)
    checked = runner.invoke(app, ["prove", "--verify", str(out / "certificate.json")])
    assert checked.exit_code == 1 and "NOT VALID" in checked.output
    assert runner.invoke(app, ["prove", "brt_corridor", "--only", "nothing"]).exit_code == 2
    assert runner.invoke(app, ["prove", "--verify", str(tmp_path / "missing")]).exit_code == 2
    idle = runner.invoke(app, ["prove", "--verify", str(out / "certificate.json"), "--seed", "2"])
    assert idle.exit_code == 2 and "--verify checks a certificate" in idle.output


def test_help_is_quick_to_import() -> None:
    code = "import sys; import sim.commands.prove; print('numba' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
