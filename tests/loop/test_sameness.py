"""Same scene, seed and version give the same digest, however the run is laid out; and what would break that is caught."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import InfrastructureError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from scenarios.load import load_scene
from sim import units
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.rerun import replay_log
from vehicle.fleet import FleetUnit

SCENE = "brt_corridor"
# The bus leaves at once, so that planning, radio and priority are at work within the short run.
SHORT = (
    "duration_s=40",
    "vehicles.0.depart_s=0",
    'vehicles.0.start_lane="1/1/-2"',
    "vehicles.0.start_s_m=20",
    "vehicles.0.stops=[]",
)


def run_in_process(folder: Path, *overrides: str, options: RunOptions | None = None) -> str:
    loaded = load_scene(Path(SCENE), (*SHORT, *overrides))
    outcome = run_scene(
        loaded.spec, loaded.path.parent, folder, options=options or RunOptions(picture=False)
    )
    return outcome.digest


def run_fresh(
    folder: Path, order: str, *overrides: str, hash_seed: str = "0", threads: str = "1"
) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "NUMBA_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, "-m", "tests.loop.run_once", SCENE, str(folder), order, *SHORT, *overrides],
        env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the plain run in this process."""
    return run_in_process(tmp_path_factory.mktemp("plain"))


def test_fresh_processes_with_other_orders_hash_seeds_and_threads_give_the_same_digest(
    tmp_path: Path, digest: str
) -> None:
    assert run_fresh(tmp_path / "a", "reversed", hash_seed="1", threads="2") == digest
    assert run_fresh(tmp_path / "b", "shuffled", hash_seed="4242") == digest


def test_another_seed_gives_another_digest(tmp_path: Path, digest: str) -> None:
    assert run_in_process(tmp_path, "seed=2") != digest


def test_recording_or_not_does_not_change_the_run(tmp_path: Path, digest: str) -> None:
    silent = RunOptions(picture=False, record=False)
    assert run_in_process(tmp_path, options=silent) == digest


def test_a_replay_is_the_same_in_every_tick(tmp_path: Path) -> None:
    run_in_process(tmp_path, "duration_s=8")
    answer = replay_log(tmp_path / "run.mcap", tmp_path / "again")
    assert answer.same, answer.message
    assert "800 ticks" in answer.message
    assert answer.digest_a == answer.digest_b


def test_a_planted_unseeded_draw_is_caught_at_the_tick_where_it_enters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Drifting(FleetUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            if now.tick == 500:
                for item in out.transmissions:
                    item.message.x_m[:] += np.random.default_rng().normal(0.0, 1.0)
            return out

    monkeypatch.setattr(units, "FleetUnit", Drifting)
    run_in_process(tmp_path, "duration_s=8")
    answer = replay_log(tmp_path / "run.mcap", tmp_path / "again")
    assert not answer.same
    assert "tick 500" in answer.message, answer.message
    assert "v2x/bsm" in answer.message, answer.message


def test_a_planted_dependence_on_set_order_is_caught(tmp_path: Path) -> None:
    short = "duration_s=10"
    first = run_fresh(tmp_path / "a", "planted", short, hash_seed="1")
    assert run_fresh(tmp_path / "b", "planted", short, hash_seed="2") != first


def test_the_log_of_a_unit_that_dies_is_whole_up_to_that_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mortal(FleetUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            if now.tick == 300:
                raise RuntimeError("out of luck")
            return super().on_tick(now, inbox)

    monkeypatch.setattr(units, "FleetUnit", Mortal)
    with pytest.raises(InfrastructureError, match=r"unit fleet at tick 300 .*out of luck"):
        run_in_process(tmp_path)
    digests = LogReader.open(tmp_path / "run.mcap").digests()
    assert digests.tick.size == 300
