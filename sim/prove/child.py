"""One run of a proof, in this process: `python -m sim.prove.child JOB.json ANSWER.json`; with UNITS.json instead, a host of units.

The job and the answer are files, so that nothing but the run itself is in the process.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from protocols.errors import IcvError, InfrastructureError
from scenarios.load import check_scene
from scenarios.spec import SceneSpec
from sim.carrier import Carrier
from sim.compose import RunOptions, run_scene
from sim.log.digest import TickDigest
from sim.log.replay import Recorded, ReplayCheck, load
from sim.prove.records import records_sha256
from sim.prove.variants import Surroundings, order
from sim.stopping import stoppable
from sim.suite.worker import end_with_parent
from sim.unit_main import run_unit


class _Counting(ReplayCheck):
    """Counts ticks, and compares them where there is something to compare with."""

    def __init__(self, recorded: Recorded | None) -> None:
        self.ticks = 0
        self._is_compared = recorded is not None
        self.departure = None
        if recorded is not None:
            super().__init__(recorded)

    def feed(self, digest: TickDigest) -> bool:
        self.ticks += 1
        return super().feed(digest) if self._is_compared else True


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """The run that `job` describes; its answer as plain values."""
    around = Surroundings(**job["around"])
    spec = check_scene(job["scene"], job["where"])
    base, out = Path(job["base"]), Path(job["out"])
    if around.is_elsewhere:
        logging.basicConfig(level=logging.DEBUG, filename=str(out / "debug.txt"))
    plain = load(Path(job["plain"])) if job["plain"] else None
    check = _Counting(plain)
    scratch = job["scratch"]
    hosts: list[subprocess.Popen[bytes]] = []
    carrier = None
    if around.layout == "a process a unit":
        carrier = Carrier()
    elif around.layout == "all units in one other process":
        carrier = Carrier(f"ipc://{scratch}/bus", starts=False)
        hosts.append(_host(spec, base, carrier.listen, out))
    if around.is_second:
        first = RunOptions(record=False, picture=False)
        run_scene(spec, base, Path(scratch) / "first", options=first)
    options = RunOptions(
        order=order(around.order), record=around.is_recorded, picture=around.is_watched, check=check, carrier=carrier,
        tap=f"ipc://{scratch}/tap" if around.is_watched else "",
    )  # fmt: skip
    try:
        outcome = run_scene(
            spec, base, out, progress=_nothing if around.is_watched else None, options=options
        )
    finally:
        for host in hosts:
            host.kill()
            host.wait()
    departure = check.finish() if plain is not None else None
    return {
        "digest": outcome.digest,
        "ticks": check.ticks,
        "outcome": outcome.verdict.outcome.value,
        "departure": None if departure is None else {"tick": departure.tick, "parts": list(departure.parts)},
        "records_sha256": records_sha256(outcome.log_path) if around.is_recorded else None,
    }  # fmt: skip


def _nothing(t_s: float) -> None:
    """Progress that nobody looks at."""


def _host(spec: SceneSpec, base: Path, address: str, out: Path) -> subprocess.Popen[bytes]:
    """A process that holds all units of the scene."""
    from scenarios.formats.opendrive import read
    from scenarios.load import find_map
    from sim.config import resolve
    from sim.units import Units

    names = sorted(Units(resolve(spec, base, read(find_map(spec, base)))).makers)
    job = out / "units.json"
    job.write_text(json.dumps({"address": address, "names": names}))
    with (out / "units.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "sim.prove.child", str(job)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def hold_units(address: str, names: list[str]) -> None:
    """All units `names` in this process, until the run ends."""
    threads = [
        threading.Thread(target=run_unit, args=(name, address, None, None, 60.0), daemon=True)
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(arguments: list[str]) -> None:
    """Run what is asked for and write the answer; an error we know is an answer too."""
    end_with_parent()
    job = json.loads(Path(arguments[0]).read_text())
    if len(arguments) == 1:
        hold_units(job["address"], job["names"])
        return
    try:
        with stoppable():  # so that hosts and units end when the proof is stopped
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # Ctrl-C is the proof's, which then asks us
            answer = run_job(job)
    except KeyboardInterrupt:
        return
    except IcvError as error:
        what = (
            InfrastructureError if error.exit_code == InfrastructureError.exit_code else type(error)
        )
        answer = {"error": str(error), "kind": what.__name__}
    Path(arguments[1]).write_text(json.dumps(answer))


def job_of(spec: SceneSpec, where: str, base: Path, out: Path, around: Surroundings, plain: Path | None, scratch: Path) -> dict[str, Any]:  # fmt: skip
    """A job as `run_job` takes it."""
    return {
        "scene": spec.model_dump(mode="json"),
        "where": where,
        "base": str(base.resolve()),
        "out": str(out.resolve()),
        "around": asdict(around),
        "plain": "" if plain is None else str(plain.resolve()),
        "scratch": str(scratch),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
