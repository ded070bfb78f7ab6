"""The workload of `icv bench tracking`: identities at 100 objects, against the usual script where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from sim.bench.tracking import OBJECTS, _filterpy, object_list, ours, switches, workload


def test_a_hundred_objects_keep_their_identities():
    frames = workload()
    result = ours([object_list(k, seen) for k, (_, seen) in enumerate(frames)])
    assert switches(frames, result) <= 1  # norfair's number; filterpy with SciPy has 45
    reported = [len(ids) for ids, _ in result[5:]]
    assert min(reported) >= OBJECTS - 2 and max(reported) <= OBJECTS + 5


def test_switches_are_counted_per_true_object():
    """One object whose track changes twice, one that is lost for a frame and comes back under its number."""
    place = np.array([[0.0, 0.0], [50.0, 0.0]])
    frames = [(place, place)] * 4
    names = [[1, 2], [3, 2], [3], [4, 2]]
    result = [(ids, place[: len(ids)]) for ids in names]
    assert switches(frames, result) == 2


@pytest.mark.filterwarnings("ignore")
def test_the_usual_script_switches_more_often():
    pytest.importorskip("filterpy.kalman", reason="filterpy comes with the peers extra")
    frames = workload()
    mine = switches(frames, ours([object_list(k, seen) for k, (_, seen) in enumerate(frames)]))
    assert switches(frames, _filterpy()(frames)) > mine
