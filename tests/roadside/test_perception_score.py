"""The score of roadside perception: by hand on small cases, and number for number what motmetrics and trackeval say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.messages import RoadsideSafety
from sim.perception_score import MATCH_M, Frame, frame_of, handovers, score


def frame(t, true, tracks) -> Frame:
    """`true`: id -> (x, y, speed); `tracks` likewise."""

    def columns(things):
        rows = np.array(list(things.values()), dtype=np.float64).reshape(-1, 3)
        return np.array(list(things), dtype=np.int64), rows[:, :2], rows[:, 2]

    return Frame(t, *columns(true), *columns(tracks))


def random_frames(seed, frames=60, cars=8):
    """Cars that drive, with misses, false alarms, gaps and swaps of identity; some frames hold nothing."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform(0, 40, (cars, 2)), rng.normal(0, 1, (cars, 2))
    name = np.arange(cars) + 100
    out = []
    for t in range(frames):
        place = place + 0.3 * speed
        if rng.random() < 0.15:
            a, b = rng.integers(0, cars, 2)
            name[a], name[b] = name[b], name[a]
        if rng.random() < 0.1:
            name[rng.integers(0, cars)] = 1000 + t
        there = rng.random(cars) > 0.1
        true = {k: (*place[k], 1.0) for k in range(cars) if there[k]}
        tracks = {
            int(name[k]): (*(place[k] + rng.normal(0, 0.7, 2)), 1.2) for k in range(cars) if rng.random() > 0.15
        }  # fmt: skip
        for k in range(int(rng.poisson(0.7))):
            tracks[5000 + 10 * t + k] = (*rng.uniform(0, 40, 2), 0.0)
        out.append(frame(t, true if t % 17 else {}, tracks if t % 13 else {}))
    return out


def test_a_case_worked_out_by_hand():
    """Two cars, four frames: one miss, one false alarm, one switch."""
    frames = [
        frame(0, {1: (0, 0, 10), 2: (10, 0, 5)}, {7: (0.3, 0.4, 11), 8: (10, 0, 5)}),
        frame(1, {1: (1, 0, 10), 2: (10, 0, 5)}, {7: (1, 0, 10)}),
        frame(2, {1: (2, 0, 10), 2: (10, 0, 5)}, {7: (2, 0, 10), 9: (10, 0, 5), 5: (50, 50, 0)}),
        frame(3, {1: (3, 0, 10), 2: (10, 0, 5)}, {7: (3, 0, 10), 9: (10, 0, 5)}),
    ]
    s = score(frames, [0.0, 100.0])
    assert (s.num_true, s.num_switches) == (8, 1)
    assert s.recall == 7 / 8 and s.precision == 7 / 8
    assert s.mota == 1 - (1 + 1 + 1) / 8
    assert s.idf1 == 2 * (4 + 2) / (8 + 8)
    assert s.position_rmse_m == pytest.approx(np.sqrt(0.25 / 7))
    assert s.speed_rmse_mps == pytest.approx(np.sqrt(1 / 7))
    assert (s.latency_mean_ms, s.latency_max_ms) == (50.0, 100.0)


def test_perfect_and_empty():
    same = [frame(t, {1: (t, 0, 1), 2: (t, 5, 1)}, {4: (t, 0, 1), 6: (t, 5, 1)}) for t in range(5)]
    s = score(same)
    assert (s.mota, s.hota, s.idf1, s.precision, s.recall) == (1.0, pytest.approx(1.0), 1.0, 1.0, 1.0)  # fmt: skip
    nothing = score([frame(0, {}, {})])
    assert np.isnan([nothing.mota, nothing.hota, nothing.idf1, nothing.precision, nothing.recall]).all()  # fmt: skip
    blind = score([frame(0, {1: (0, 0, 0)}, {})])
    assert (blind.recall, blind.hota, blind.idf1) == (0.0, 0.0, 0.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clear_mot_and_identity_numbers_are_those_of_motmetrics(seed):
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics comes with the dev extra")
    frames = random_frames(seed)
    heard = motmetrics.MOTAccumulator(auto_id=True)
    for f in frames:
        distance = np.hypot(*(f.true_m[:, None] - f.track_m[None]).transpose(2, 0, 1))
        distance[distance >= MATCH_M] = np.nan
        heard.update(f.true_id.tolist(), f.track_id.tolist(), distance)
    names = ["mota", "idf1", "precision", "recall", "num_switches", "num_objects"]
    peer = motmetrics.metrics.create().compute(heard, metrics=names, name="x").iloc[0]
    ours = score(frames)
    assert ours.num_switches > 3  # the case has something to say
    assert ours.num_true == peer["num_objects"]
    assert ours.num_switches == peer["num_switches"]
    for name in names[:4]:
        assert getattr(ours, name) == pytest.approx(peer[name], abs=1e-12), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hota_is_that_of_trackeval(seed):
    hota = pytest.importorskip(
        "trackeval.metrics.hota",
        reason="trackeval is not installed (pip install --no-deps trackeval)",
        exc_type=ImportError,
    )
    frames = random_frames(seed)
    true, track = {}, {}
    data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for f in frames:
        data["gt_ids"].append(np.array([true.setdefault(k, len(true)) for k in f.true_id.tolist()], int))  # fmt: skip
        data["tracker_ids"].append(np.array([track.setdefault(k, len(track)) for k in f.track_id.tolist()], int))  # fmt: skip
        distance = np.hypot(*(f.true_m[:, None] - f.track_m[None]).transpose(2, 0, 1))
        data["similarity_scores"].append(np.maximum(1 - distance / MATCH_M, 0.0))
    data |= {
        "num_timesteps": len(frames),
        "num_gt_ids": len(true),
        "num_tracker_ids": len(track),
        "num_gt_dets": sum(f.true_id.size for f in frames),
        "num_tracker_dets": sum(f.track_id.size for f in frames),
    }
    peer = hota.HOTA().eval_sequence(data)
    assert score(frames).hota == pytest.approx(float(np.mean(peer["HOTA"])), abs=1e-9)


def test_who_counts_at_a_node():
    """Beyond the radius or no motor vehicle: neither asked for nor held against the unit; near nobody: a false alarm."""
    five = np.zeros(5)
    rsm = RoadsideSafety(
        0, 1, np.array([1, 2, 3, 4, 5], np.uint32), np.ones(5, np.uint8),
        np.array([10.0, 40.0, 151.0, 149.5, 300.0]), five, five, five, five, five, five, five, five, five, five, five,
    )  # fmt: skip
    # A car at 10 m, a cyclist at 40 m, a car at 150.5 m; rows near 151 and 149.5 m compete for the latter; 300 m is out of it.
    bodies = (
        np.array([2, 4, 6]), np.array([[10.2, 0.0], [40.0, 0.3], [150.5, 0.0]]), np.zeros(3),
        np.array([True, False, True]),
    )  # fmt: skip
    f = frame_of(rsm, bodies, (0.0, 0.0), 150.0)
    assert f.true_id.tolist() == [2]
    assert f.track_id.tolist() == [1, 4]  # 1 is the car, 4 lies inside and near nobody left
    alone = dataclasses.replace(rsm, x_m=np.array([10.0, 40.0, 150.5, 80.0, 300.0]))
    assert frame_of(alone, bodies, (0.0, 0.0), 150.0).track_id.tolist() == [1, 4]


def test_handovers_are_counted_between_nodes():
    ns = 100_000_000
    first = [frame(t * ns, {1: (t, 0, 1), 2: (t, 9, 1)}, {7: (t, 0, 1), 8: (t, 9, 1)}) for t in range(10)]  # fmt: skip
    second = [frame(t * ns, {1: (t, 0, 1), 2: (t, 9, 1)}, {7: (t, 0, 1), 9: (t, 9, 1)}) for t in range(12, 26)]  # fmt: skip
    assert handovers({1: first, 2: second}) == (1, 2)
    late = [dataclasses.replace(f, t_ns=f.t_ns + 4_000_000_000) for f in second]
    assert handovers({1: first, 2: late}) == (0, 0)
