"""A whole run on SSM instead of RSM: the same perception, the same driving, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.messages import Equipment, SensorSharing
from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.perception_score import read_run, score

# The bus comes up to J1 at once; what it hears of the junction comes from there.
SHORT = (
    "duration_s=60",
    "vehicles.0.depart_s=0",
    'vehicles.0.start_lane="1/1/-2"',
    "vehicles.0.start_s_m=20",
    "vehicles.0.stops=[]",
    'radio.model="ideal"',
)


def run(folder: Path, *overrides: str) -> Path:
    """The log of a short corridor run."""
    loaded = load_scene(Path("brt_corridor"), (*SHORT, *overrides))
    options = RunOptions(picture=False)
    return run_scene(loaded.spec, loaded.path.parent, folder, options=options).log_path


def shares(word: str) -> tuple[str, ...]:
    return tuple(f"roadside.{k}.share={word}" for k in range(4))


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sharing")
    return {
        "rsm": run(folder / "rsm"),
        "ssm": run(folder / "ssm", *shares('["ssm"]')),
        "both": run(folder / "both", *shares('["rsm","ssm"]'), 'onboard.share=["ssm"]'),
    }


def test_perception_scores_the_same_through_ssm_as_through_rsm(logs):
    rsm = {node: score(*parts) for node, parts in read_run(logs["both"], 150.0, 20.0).items()}
    ssm = {
        node: score(*parts) for node, parts in read_run(logs["both"], 150.0, 20.0, "ssm").items()
    }
    assert set(rsm) == set(ssm) == {1, 2, 3, 4}
    seen = [node for node in rsm if rsm[node].num_true > 500]
    assert 1 in seen
    for node in seen:
        assert rsm[node] == ssm[node]
        assert rsm[node].recall > 0.8 and rsm[node].precision > 0.9  # there is something to compare


def test_a_run_on_ssm_drives_tick_by_tick_as_one_on_rsm(logs):
    """The radio is ideal here, so that only the words differ; both at once, and the bus sharing too, change nothing either."""
    digests = {name: LogReader.open(path).digests() for name, path in logs.items()}
    assert np.array_equal(digests["rsm"].truth, digests["ssm"].truth)
    assert np.array_equal(digests["rsm"].command, digests["ssm"].command)
    assert not np.array_equal(digests["rsm"].message, digests["ssm"].message)
    assert np.array_equal(digests["rsm"].truth, digests["both"].truth)


def test_who_shares_stands_in_the_log(logs):
    def senders(name: str, topic: str) -> set[str]:
        return {item.sender for item in LogReader.open(logs[name]).messages(topic)}

    units = {f"rsu/J{k}" for k in range(1, 5)}
    assert senders("rsm", "v2x/ssm") == set() and senders("rsm", "v2x/rsm") == units
    assert senders("ssm", "v2x/ssm") == units and senders("ssm", "v2x/rsm") == set()
    assert senders("both", "v2x/ssm") == units | {"obu/bus1"}
    last = [item.decode() for item in LogReader.open(logs["both"]).messages("v2x/ssm")][-5:]
    assert {type(message) for message in last} == {SensorSharing}
    assert {m.equipment for m in last} == {Equipment.OBU, Equipment.RSU}
    assert all(len(m.region) == 1 for m in last)
