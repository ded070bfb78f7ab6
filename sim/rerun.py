"""Can a recorded run be done again? Its scene is taken from the log's header, and every tick's digest is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import ConfigError, InfrastructureError, LogError
from protocols.sentence import say
from sim.compose import BACKEND, CARLA, RunOptions, RunOutcome, run_scene
from sim.diff.first import first_difference
from sim.log.replay import ReplayCheck, load
from sim.recorded import recorded_scene, with_own_units
from sim.versions import commit
from sim.whatif.apply import Edited, marked


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """Whether a run could be done again."""

    same: bool
    message: str
    digest_a: str
    digest_b: str
    outcome: RunOutcome | None  # None: it broke off again, where the recorded run did


def replay_log(
    log: Path,
    out: Path,
    *,
    recover: bool = False,
    progress: Callable[[float], None] | None = None,
) -> ReplayOutcome:
    """Run the scene in `log`'s header again into `out` and compare every tick's digest.

    `recover`: a log that broke off is compared as far as it goes. LogError when log or road file cannot be used.
    """
    recorded = load(log, recover)
    header = recorded.header
    if header.versions.get(BACKEND) == CARLA:
        raise LogError(
            f"{log} was driven by a CARLA server's physics, which its header cannot bring back. Run the scene again with "
            "`icv run --backend carla`."
        )
    spec, map_path = recorded_scene(
        header.config_json, header.map_digest, f"{log} (header)", log.resolve().parent
    )
    spec, stood_in = with_own_units(spec)
    check = ReplayCheck(recorded)
    edits = marked(header, f"{log} (header)")  # a run of `icv what-if` is replayed with its edits
    options = RunOptions(
        picture=False, check=check, edits=Edited(edits, spec.seed) if edits else None
    )
    ticks_held = int(recorded.digests.tick.size)
    last = f"{int(recorded.digests.digest[-1]):016x}" if ticks_held else ""
    is_broken = (
        recorded.result_json is None and recorded.lost is None
    )  # by a unit: whole, without a result
    try:
        outcome = run_scene(spec, map_path.parent, out, progress=progress, options=options)
    except ConfigError as error:
        raise ConfigError(say("{where}: {what!s}", where=f"{log} (header)", what=error)) from None
    except InfrastructureError as error:
        if not is_broken or check.finish() is not None:
            raise
        message = f"the same in every one of {ticks_held} ticks{stood_in and ', '}{stood_in}, and breaks off there again: {error}"
        return ReplayOutcome(True, message, last, last, None)
    departure = check.finish()
    if departure is None:
        short = f"; {recorded.lost}" if recorded.lost else ""
        message = f"the same in every one of {ticks_held} ticks{stood_in and ', '}{stood_in}{short}"
        return ReplayOutcome(True, message, last, outcome.digest, outcome)
    is_longer = is_broken and (not ticks_held or departure.tick > int(recorded.digests.tick[-1]))
    first = None if is_longer else first_difference(log, outcome.log_path)
    by = f"; the log was written by commit {header.commit or 'unknown'}, this is {commit() or 'unknown'}"
    message = f"left the recording at {departure}" + (f": {first}" if first else "") + by
    if is_longer:
        message = f"the same in every one of {ticks_held} ticks, then goes on where the recorded run broke off{by}"
    if stood_in:
        message += f"; it was run {stood_in}, and if those said something else, that is why"
    return ReplayOutcome(False, message, last, outcome.digest, outcome)
