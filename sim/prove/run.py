"""Runs a scene again and again in other surroundings and says whether every tick and every record stayed the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols import errors
from protocols.errors import InfrastructureError
from scenarios.spec import SceneSpec
from sim.diff.first import FirstDifference, first_difference
from sim.log.header import RunHeader
from sim.log.reader import LogReader
from sim.prove.child import job_of
from sim.prove.records import first_other_record
from sim.prove.variants import PLAIN, Variant

CHILD = ("-m", "sim.prove.child")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run of a proof came to. `difference`: where it left the plain run; `error`: why it did not end."""

    variant: Variant
    ticks: int = 0
    digest: str = ""
    outcome: str = ""
    records_sha256: str | None = None
    difference: str | None = None
    error: str | None = None

    @property
    def same(self) -> bool:
        """Whether it was the plain run all over again."""
        return self.difference is None and self.error is None


@dataclass(frozen=True, slots=True)
class Proof:
    """The plain run and all others."""

    header: RunHeader  # of the plain run's log
    plain: Answer
    answers: tuple[Answer, ...]

    @property
    def same(self) -> bool:
        """Whether nothing that was varied mattered."""
        return all(answer.same for answer in self.answers)

    @property
    def exit_code(self) -> int:
        """0 the same, 1 not the same, 3 a run did not end."""
        if any(answer.error is not None for answer in self.answers):
            return InfrastructureError.exit_code
        return 0 if self.same else 1


def prove(
    spec: SceneSpec,
    where: str,
    base: Path,
    out: Path,
    variants: Sequence[Variant],
    *,
    jobs: int = 1,
    tell: Callable[[Answer], None] | None = None,
    child: Sequence[str] = CHILD,
) -> Proof:
    """Runs `spec` plainly, then as each of `variants` does, `jobs` at a time; logs lie in folders of `out`.

    `tell` hears of every run as it ends. An error of the plain run is raised; one of a variant is its answer.
    """
    plain = _run(PLAIN, spec, where, base, out, None, child)
    if plain.error is not None:
        raise InfrastructureError(plain.error)
    if tell is not None:
        tell(plain)
    log = out / PLAIN.name / "run.mcap"

    def one(variant: Variant) -> Answer:
        answer = _run(variant, spec, where, base, out, log, child, plain)
        if tell is not None:
            tell(answer)
        return answer

    with ThreadPoolExecutor(jobs) as pool:
        answers = tuple(pool.map(one, variants))
    return Proof(LogReader.open(log).header(), plain, answers)


def _run(
    variant: Variant, spec: SceneSpec, where: str, base: Path, out: Path, log: Path | None, child: Sequence[str],
    plain: Answer | None = None,
) -> Answer:  # fmt: skip
    folder = (out / variant.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    job, said = folder / "job.json", folder / "answer.json"
    said.unlink(missing_ok=True)
    around = variant.around
    job.write_text(json.dumps(job_of(spec, where, base, folder, around, log)), encoding="utf-8")
    env = {**os.environ, **around.environment()}
    if around.is_cold:
        env["NUMBA_CACHE_DIR"] = str(folder / "kernels")
    done = subprocess.run(
        [sys.executable, *child, str(job), str(said)], env=env, cwd=folder if around.is_elsewhere else None,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    if not said.is_file():
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[
            -1
        ]
        sentence = f"{where}: the run '{variant.name}' ended with exit code {done.returncode}: {last[:300]}"
        return Answer(variant, error=sentence)
    answer: dict[str, Any] = json.loads(said.read_text())
    if "error" in answer:
        if plain is None and answer["kind"] != InfrastructureError.__name__:
            raise getattr(errors, answer["kind"])(answer["error"])
        return Answer(variant, error=answer["error"])
    difference = None
    if log is not None and plain is not None:
        difference = _difference(variant, answer, log, folder / "run.mcap", plain)
    return Answer(
        variant, answer["ticks"], answer["digest"], answer["outcome"], answer["records_sha256"], difference
    )  # fmt: skip


def _difference(
    variant: Variant, answer: dict[str, Any], a: Path, b: Path, plain: Answer
) -> str | None:
    """The place of the first divergence; None when there is none."""
    departure = answer["departure"]
    found: FirstDifference | None = None
    if variant.around.is_recorded:
        if departure is not None:
            found = first_difference(a, b)
        elif answer["records_sha256"] != plain.records_sha256:
            header, other = LogReader.open(a).header(), LogReader.open(b).header()
            if (header.commit, header.versions) != (other.commit, other.versions):
                return (
                    f"the code changed meanwhile: commit {header.commit or 'unknown'} when the proof began, "
                    f"{other.commit or 'unknown'} in this run. Prove it again"
                )
            found = first_other_record(a, b, header.epoch_ns, header.tick_ns)
    if found is not None:
        return str(found)
    if departure is not None:
        return f"runs differ first at tick {departure['tick']}: {' and '.join(departure['parts'])}"
    if answer["digest"] != plain.digest or answer["ticks"] != plain.ticks:
        return f"the digest ends at {answer['digest']}, expected {plain.digest}"
    return None
