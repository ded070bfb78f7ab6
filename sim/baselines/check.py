"""Makes golden summaries and checks against them: runs the scenes, or takes logs that are there, one after another.

A scene that cannot be run, or crashes, says so and the rest goes on. Full logs are kept outside git, in a folder of their own when one is given:
`<name>.mcap` of the golden run, `<name>.new.mcap` of one that differs, so that both can be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from protocols.errors import ConfigError, IcvError, InfrastructureError
from sim.baselines.compare import Comparison, compare_summaries
from sim.baselines.folder import Job, job_of, log_of
from sim.baselines.model import Summary, write_summary
from sim.baselines.summarise import summarise
from sim.baselines.tolerances import Tolerances
from sim.compose import RunOptions, run_scene
from sim.diff.first import first_difference
from sim.log.reader import LogReader

Progress = Callable[[float], None]
Watch = Callable[[str, float], AbstractContextManager[Progress]]
"""title, duration_s -> a context in which progress is told"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one baseline. `word`: same, changed, error; new, updated, kept after an update."""

    stem: str
    word: str
    exit_code: int
    comparison: Comparison | None = None
    sentence: str = ""  # of an error, or what else there is to say
    first_difference: str = ""  # from the old log, where it is at hand
    logs: dict[str, str] = field(default_factory=dict)
    outcome: str = ""  # of the run; with the word same, updated or kept the golden one's too

    def table(self) -> dict[str, Any]:
        """For programs."""
        found = self.comparison
        return {
            "baseline": self.stem,
            "answer": self.word,
            "sentence": self.sentence,
            "outcome": self.outcome,
            "first": "" if found is None else found.first,
            "first_topics": [] if found is None else list(found.first_topics),
            "first_difference": self.first_difference,
            "differences": [] if found is None else [
                {"kind": d.kind, "name": d.name, "old": d.old, "new": d.new, "text": d.text, "excuse": d.excuse}
                for d in found.differences
            ],
            "notes": [] if found is None else list(found.notes),
            "logs": self.logs,
        }  # fmt: skip


def check_by_running(
    folder: Path, wanted: Sequence[Summary], tolerances: Tolerances, logs: Path | None, watch: Watch
) -> Iterator[Answer]:
    """Run each baseline's scene again and compare."""
    for golden in wanted:
        try:
            with TemporaryDirectory(prefix="icv-baseline-") as temporary:
                job = job_of(folder, golden)
                log = _run(job, golden.stem, Path(temporary), watch)
                yield _check(golden, log, tolerances, logs, keep=True)
        except Exception as error:  # a crash of one scene, too, is told beside the others' answers
            yield _error(golden.stem, error)


def check_logs(
    wanted: Sequence[Summary], given: Sequence[Path], tolerances: Tolerances, logs: Path | None
) -> Iterator[Answer]:
    """Compare logs of earlier runs with the baselines of the same scenes."""
    for log in given:
        try:
            golden = _baseline_of(log, wanted)
            yield _check(golden, log, tolerances, logs, keep=False)
        except Exception as error:
            yield _error(str(log), error)


def update(
    folder: Path,
    wanted: Sequence[Job | Summary],
    known: dict[str, Summary],
    logs: Path | None,
    watch: Watch,
) -> Iterator[Answer]:
    """Run each job, or summary's scene, and keep what it gives; one that did not change is left as it is, commit and all."""
    made: dict[str, Summary] = dict(known)
    for item in wanted:
        title = item.stem if isinstance(item, Summary) else item.title
        try:
            job = job_of(folder, item) if isinstance(item, Summary) else item
            with TemporaryDirectory(prefix="icv-baseline-") as temporary:
                log = _run(job, job.title, Path(temporary), watch)
                new = summarise(log, job.scene, job.overrides)
                old = made.get(new.stem)
                if old is not None and old.scene != new.scene:
                    raise ConfigError(
                        f"baseline {new.stem} is of the scene {old.scene}, and {job.loaded.path} has the same name and seed; "
                        f"rename one scene, or remove {new.stem}.json if the file moved."
                    )
                found = None if old is None else compare_summaries(old, new, Tolerances())
                is_kept = found is not None and not found.differences and _same_recipe(old, new)
                kept = {}
                if not is_kept:
                    write_summary(folder, new)
                    made[new.stem] = new
                if logs is not None and not (is_kept and _is_of(log_of(logs, new.stem), new)):
                    kept["golden"] = str(_keep(log, log_of(logs, new.stem)))
                if logs is not None:
                    log_of(logs, new.stem, is_new=True).unlink(missing_ok=True)
        except Exception as error:
            yield _error(title, error)
            continue
        word = "new" if old is None else "kept" if is_kept else "updated"
        said = f"{new.outcome}: {new.sentence}"
        yield Answer(new.stem, word, 0, found, said, logs=kept, outcome=new.outcome)


def _run(job: Job, title: str, folder: Path, watch: Watch) -> Path:
    spec = job.loaded.spec
    with watch(title, spec.duration_s) as progress:
        outcome = run_scene(
            spec, job.loaded.path.resolve().parent, folder, progress=progress, options=RunOptions(picture=False),
        )  # fmt: skip
    return outcome.log_path


def _check(
    golden: Summary, log: Path, tolerances: Tolerances, logs: Path | None, *, keep: bool
) -> Answer:
    new = summarise(log, golden.scene, golden.overrides)
    found = compare_summaries(golden, new, tolerances)
    if found.is_same:
        if logs is not None and keep:
            log_of(logs, golden.stem, is_new=True).unlink(missing_ok=True)
        return Answer(golden.stem, "same", 0, found, outcome=new.outcome)
    first, where = _first_difference(golden, log, logs)
    if logs is not None and keep:
        where["new"] = str(_keep(log, log_of(logs, golden.stem, is_new=True)))
    return Answer(
        golden.stem, "changed", 1, found, first_difference=first, logs=where, outcome=new.outcome
    )


def _first_difference(golden: Summary, log: Path, logs: Path | None) -> tuple[str, dict[str, str]]:
    """Where exactly the run leaves the golden one, if the golden one's log is at hand."""
    if logs is None:
        return "", {}
    old = log_of(logs, golden.stem)
    if not old.is_file():
        return f"{old} is not there, so the exact place is not known", {}
    try:
        last = _last_digest(old)
        if last != golden.digest:
            return f"{old} is of another run than the summary (digest {last}); the exact place is not known", {}  # fmt: skip
        found = first_difference(old, log)
    except IcvError as error:
        return f"the exact place is not known: {error}", {}
    if found is None:
        return "every tick has the same digest; what differs is not part of it", {"golden": str(old)}  # fmt: skip
    return str(found), {"golden": str(old)}


def _last_digest(log: Path) -> str:
    digests = LogReader.open(log).digests()
    return f"{int(digests.digest[-1]):016x}" if digests.digest.size else ""


def _is_of(log: Path, golden: Summary) -> bool:
    """Whether `log` is there and of the golden run: one that an update without --logs has passed over is not."""
    try:
        return log.is_file() and _last_digest(log) == golden.digest
    except IcvError:
        return False


def _baseline_of(log: Path, wanted: Sequence[Summary]) -> Summary:
    """The baseline of the same scene, seed and duration as the log."""
    new = summarise(log)
    fits = [
        item
        for item in wanted
        if (item.scenario, item.seed, item.duration_s) == (new.scenario, new.seed, new.duration_s)
    ]
    if len(fits) > 1:
        fits = [item for item in fits if item.sections == new.sections] or fits
    if len(fits) == 1:
        return fits[0]
    what = f"{new.scenario}, seed {new.seed}, {new.duration_s:g} s"
    if fits:
        raise ConfigError(
            f"{log}: is of {what}; several baselines are ({', '.join(item.stem for item in fits)}). Name the one to compare "
            "with as SCENARIO."
        )
    there = [f"{item.stem} ({item.duration_s:g} s)" for item in wanted]
    raise ConfigError(
        f"{log}: is of {what}; there is no such baseline among {', '.join(there[:6])}."
    )


def _same_recipe(old: Summary | None, new: Summary) -> bool:
    """Whether the summary would say the same of how it is run, so that git need not hear of it."""
    return old is not None and (old.scene, old.sections, old.map_digest, old.duration_s) == (
        new.scene, new.sections, new.map_digest, new.duration_s,
    )  # fmt: skip


def _keep(log: Path, where: Path) -> Path:
    where.parent.mkdir(parents=True, exist_ok=True)
    half = where.with_name(where.name + ".part")
    shutil.copyfile(log, half)
    half.replace(where)
    return where


def _error(stem: str, error: Exception) -> Answer:
    if isinstance(error, IcvError):
        return Answer(stem, "error", error.exit_code, sentence=str(error))
    what = (str(error).splitlines() or ["no message"])[0][:300]
    if not isinstance(error, OSError):
        what = f"{type(error).__name__}: {what}. This is a fault of icv, not of the scene"
    return Answer(stem, "error", InfrastructureError.exit_code, sentence=f"{stem}: {what}")
