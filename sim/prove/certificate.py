"""The certificate: what was run, what was varied, what came out, on which machine; canonical JSON under an Ed25519 signature.

Canonical: keys sorted, no spaces, UTF-8, no NaN. The signature covers every key but `signature` itself, the public key included. It
says that nobody changed the certificate since it was signed; who signed it, only a public key known from elsewhere can say.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocols.errors import ConfigError, InputError
from sim.prove.run import Answer, Proof
from sim.prove.variants import variants

MAX_BYTES = 1_000_000
NOT_COVERED = (
    "the physics of an external CARLA server",
    "other processor families and other versions of the packages named here",
)
AGAIN = "again"  # the variant that varies nothing but the process
Hex8 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=4_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Run(_Part):
    """One run of the proof."""

    name: Text
    varies: Text
    surroundings: dict[str, str | int | bool]  # what differs from the plain run
    ticks: int = Field(ge=0)
    digest: Hex8 | Literal[""]  # end of the chain over all ticks
    outcome: Text
    records_sha256: Hex32 | None  # every record of the log but timings; None: not recorded
    same: bool
    difference: Text | None
    error: Text | None


class Subject(_Part):
    """What was run."""

    name: Text
    seed: int
    duration_s: float = Field(gt=0)
    tick_ns: int = Field(gt=0)
    sha256: Hex32  # of the resolved scene as canonical JSON, without the path of the road file
    map_sha256: Hex32


class Certificate(_Part):
    """All of it."""

    format: Literal["icv-certificate"] = "icv-certificate"
    version: Literal[1] = 1
    scene: Subject
    commit: Text
    versions: dict[str, Text]
    machine: dict[str, str | int | float | None]
    started_utc: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    plain: Run
    runs: tuple[Run, ...] = Field(max_length=100)
    same: bool
    not_covered: tuple[Text, ...] = NOT_COVERED
    key: Literal["file", "one-time"]
    public_key: Hex32
    signature: str = Field(default="", pattern=r"^([0-9a-f]{128})?$")


def canonical(table: Mapping[str, Any]) -> bytes:
    """`table` as bytes that are the same wherever it is written."""
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)  # fmt: skip
    return text.encode()


def certify(
    proof: Proof, machine: Mapping[str, Any], started_utc: str, key: Ed25519PrivateKey, is_one_time: bool
) -> Certificate:  # fmt: skip
    """The signed certificate of `proof`."""
    header = proof.header
    rest = missing([answer.variant.name for answer in proof.answers])
    scene = json.loads(header.config_json)["scene"]
    unsigned = Certificate(
        scene=Subject(
            name=header.scenario,
            seed=header.seed,
            duration_s=scene["duration_s"],
            tick_ns=header.tick_ns,
            sha256=hashlib.sha256(canonical(scene)).hexdigest(),
            map_sha256=header.map_digest,
        ),
        commit=header.commit,
        versions=dict(header.versions),
        machine=dict(machine),
        started_utc=started_utc,
        plain=_row(proof.plain),
        runs=tuple(_row(answer) for answer in proof.answers),
        same=proof.same,
        not_covered=(*NOT_COVERED, *((f"variants not run: {', '.join(rest)}",) if rest else ())),
        key="one-time" if is_one_time else "file",
        public_key=_public(key).hex(),
    )
    signature = key.sign(_signed(unsigned)).hex()
    return unsigned.model_copy(update={"signature": signature})


def missing(names: Iterable[str]) -> tuple[str, ...]:
    """Variants of a whole proof (`--thorough` apart) that are not among `names`."""
    known = set(names)
    return tuple(variant.name for variant in variants() if variant.name not in known)


def not_run(certificate: Certificate) -> tuple[str, ...]:
    """Variants of a whole proof that `certificate` says nothing about."""
    return missing(run.name for run in certificate.runs)


def _row(answer: Answer) -> Run:
    variant = answer.variant
    return Run(
        name=variant.name, varies=variant.varies, surroundings=variant.changed(), ticks=answer.ticks,
        digest=answer.digest, outcome=answer.outcome, records_sha256=answer.records_sha256, same=answer.same,
        difference=_cut(answer.difference), error=_cut(answer.error),
    )  # fmt: skip


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:4_000]


def _signed(certificate: Certificate) -> bytes:
    return canonical(certificate.model_dump(mode="json", exclude={"signature"}))


def write(path: Path, certificate: Certificate) -> None:
    """Write it, whole or not at all."""
    half = path.with_suffix(".part")
    half.write_bytes(canonical(certificate.model_dump(mode="json")) + b"\n")
    half.replace(path)


def read_certificate(path: Path) -> Certificate:
    """The certificate at `path`, its form checked, its signature not; InputError says what is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: more than {MAX_BYTES} bytes; a certificate is smaller.")
        return Certificate.model_validate(json.loads(path.read_bytes(), object_pairs_hook=_once))
    except _TwiceError as error:
        raise InputError(
            f"{path}: '{error}' is there twice; a certificate says everything once."
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: not a certificate of `icv prove`: {at}: {first['msg']}."
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON; expected a certificate.json of `icv prove`.") from None


class _TwiceError(Exception):
    """A key of a JSON object that is there twice: programs and people may see different ones."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1)[:80])
    return table


def objections(certificate: Certificate, public_key: bytes | None = None) -> list[str]:
    """Why the certificate must not be believed; empty: it may. `public_key`: whose signature it has to be."""
    out = []
    if public_key is not None and public_key.hex() != certificate.public_key:
        out.append(
            f"signed by key {certificate.public_key[:16]}…, expected {public_key.hex()[:16]}…"
        )
    try:
        signer = Ed25519PublicKey.from_public_bytes(bytes.fromhex(certificate.public_key))
        signer.verify(bytes.fromhex(certificate.signature), _signed(certificate))
    except (InvalidSignature, ValueError):
        out.append("the signature does not fit what it says: changed since it was signed, or never signed")  # fmt: skip
    out += _contradictions(certificate)
    return out


def _contradictions(certificate: Certificate) -> list[str]:
    """Where what it says is not what it concludes."""
    plain, out = certificate.plain, []
    if plain.difference or plain.error or not plain.digest:
        out.append("the plain run did not end, so nothing is proven")
    ticks = round(certificate.scene.duration_s * 1e9 / certificate.scene.tick_ns)
    if plain.ticks != ticks:
        out.append(f"the plain run has {plain.ticks} ticks, its scene {ticks}")
    names = [run.name for run in certificate.runs]
    out += [
        f"run '{name}' is there twice" for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    for run in certificate.runs:
        if run.name != AGAIN and not run.surroundings:
            out.append(f"run '{run.name}' varied nothing")
        is_silent = run.records_sha256 is None and run.surroundings.get("is_recorded") is False
        is_same = (
            (run.digest, run.ticks) == (plain.digest, plain.ticks)
            and (is_silent or run.records_sha256 == plain.records_sha256)
            and run.difference is None
            and run.error is None
        )
        if run.same != is_same:
            out.append(f"run '{run.name}' is called {'the same' if run.same else 'different'}, its numbers say otherwise")  # fmt: skip
    if certificate.same != (bool(certificate.runs) and all(run.same for run in certificate.runs)):
        out.append("the conclusion does not follow from the runs")
    return out


# keys ----------------------------------------------------------------------------------------------------------------


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path` (PEM), made there on first use, readable by its owner alone; ConfigError when it is no such key."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        data = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )  # fmt: skip
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(data)
        except OSError as error:
            raise ConfigError(f"--key {path}: cannot be made: {error.strerror}.") from None
        return key
    if not path.is_file():
        raise ConfigError(f"--key {path}: is no file; name a file, or a new one and it is made.")
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"--key {path}: others can read this key; `chmod 600 {path}` first.")
    try:
        key_read = serialization.load_pem_private_key(path.read_bytes()[:10_000], None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"--key {path}: not a PEM private key ({error}).") from None
    if not isinstance(key_read, Ed25519PrivateKey):
        raise ConfigError(f"--key {path}: not an Ed25519 key; name a new file and one is made.")
    return key_read


def one_time_key() -> Ed25519PrivateKey:
    """A key that is forgotten after it has signed."""
    return Ed25519PrivateKey.generate()


def public_key(text: str) -> bytes:
    """A public key as hex digits, or the file that holds them (or a private key's PEM file)."""
    path = Path(text)
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None and path.is_file():
        if path.read_bytes()[:10] == b"-----BEGIN":
            return _public(private_key(path))
        text = path.read_text(errors="replace")[:100].strip()
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise ConfigError(
            f"--public-key {text[:80]}: expected 64 hex digits, or a file that holds them; a certificate "
            "shows its own as public_key."
        )
    return data


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
