"""Runs a scene again and again in other surroundings and says whether every tick and every record stayed the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols import errors
from protocols.errors import ConfigError, InfrastructureError
from scenarios.spec import SceneSpec
from sim.diff.first import FirstDifference, first_difference
from sim.log.header import RunHeader
from sim.log.reader import LogReader
from sim.prove.child import job_of
from sim.prove.children import Children, scratch
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
    if spec.bus.external:
        raise ConfigError(
            f"{where}: {', '.join(spec.bus.external)} joins from outside (bus.external), and only icv's own units can be run again "
            "and again; prove the scene with those: `--set 'bus.external=[]'`."
        )
    children = Children()
    with scratch() as folder:
        runs = _Runs(spec, where, base, out, Path(folder), child, children)
        plain = runs.run(PLAIN)
        if plain.error is not None:
            raise InfrastructureError(plain.error)
        if tell is not None:
            tell(plain)

        def one(variant: Variant) -> Answer:
            answer = runs.run(variant, plain)
            if tell is not None:
                tell(answer)
            return answer

        with ThreadPoolExecutor(jobs) as pool:
            try:
                answers = tuple(pool.map(one, variants))
            except BaseException:
                children.stop()  # else the pool would wait for them
                raise
    return Proof(LogReader.open(runs.log).header(), plain, answers)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Makes the runs of one proof."""

    spec: SceneSpec
    where: str
    base: Path
    out: Path
    scratch: Path
    child: Sequence[str]
    children: Children

    @property
    def log(self) -> Path:
        """Of the plain run."""
        return self.out / PLAIN.name / "run.mcap"

    def run(self, variant: Variant, plain: Answer | None = None) -> Answer:
        """The scene as `variant` says, compared with `plain`."""
        folder = (self.out / variant.name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        scratch = self.scratch / variant.name
        scratch.mkdir()
        job, said = folder / "job.json", folder / "answer.json"
        said.unlink(missing_ok=True)
        around, log = variant.around, None if plain is None else self.log
        table = job_of(self.spec, self.where, self.base, folder, around, log, scratch)
        job.write_text(json.dumps(table), encoding="utf-8")
        env = {**os.environ, **around.environment()}
        if around.is_cold:
            env["NUMBA_CACHE_DIR"] = str(folder / "kernels")
        code, text = self.children.run(
            [*self.child, str(job), str(said)], env, folder if around.is_elsewhere else None
        )
        if not said.is_file():
            last = (text.strip().splitlines() or ["it said nothing"])[-1][:300]
            sentence = f"{self.where}: the run '{variant.name}' ended with exit code {code}: {last}"
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
