"""How well roadside units perceive: RSM (or SSM, `--message ssm`) against the truth of a log, per node, with the measures that trackers are judged by.

`python -m sim.perception_score RUN.mcap --radius 150`. Truth: every section of every motor vehicle (an articulated bus is two
boxes, as sensors and RSM have it) whose centre lies within `radius` metres of the node, seen or not: hidden ones count. Truth is
interpolated to the instant that the RSM states. Others on the road (people, bicycles, vehicles beyond the radius) are neither
asked for nor held against a unit; a row of the RSM near nobody at all is a false alarm.

Pairs lie within `MATCH_M`. MOTA, switches, precision, recall: CLEAR MOT (Bernardin and Stiefelhagen 2008), a pair of the frame before
kept while it can be. IDF1: Ristani et al. 2016. HOTA: Luiten et al. 2020, similarity 1 - distance / `MATCH_M`, mean of 19 levels. Tests
compare with motmetrics and trackeval.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from protocols.errors import CodecError, InputError, LogError
from protocols.messages import ActorKind, Equipment, Map, Message, RoadsideSafety, SensorSharing
from protocols.roads.network import F64, Bool
from protocols.sharing import as_rsm
from protocols.simtime import NS_PER_S
from sim.log.reader import LogReader
from sim.log.records import Actors, LoggedMessage, WorldSample

MATCH_M = 2.0
LEVELS: F64 = np.arange(0.05, 0.99, 0.05)
HANDOVER_GAP_S = 2.0  # a vehicle that long between two nodes' views still counts as handed over
_MOTOR = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.BUS, ActorKind.ARTICULATED_BUS,
          ActorKind.SHUTTLE, ActorKind.MOTORCYCLE)  # fmt: skip
_FAR = 1e6
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frame:
    """Truth and tracks at one instant. Truth (n,), (n, 2), (n,); tracks (k,), (k, 2), (k,)."""

    t_ns: int
    true_id: I64
    true_m: F64
    true_mps: F64
    track_id: I64
    track_m: F64
    track_mps: F64


@dataclass(frozen=True, slots=True)
class Score:
    """One node. Rates 0..1; nan where nothing was there."""

    num_true: int  # truth rows over all frames
    mota: float
    hota: float
    idf1: float
    precision: float
    recall: float
    num_switches: int
    position_rmse_m: float
    speed_rmse_mps: float
    latency_max_ms: float  # age of the newest measurement when sent
    latency_mean_ms: float


@dataclass(frozen=True, slots=True)
class _Pairs:
    """CLEAR MOT pairs of all frames."""

    hits: int
    misses: int
    false_alarms: int
    switches: int
    position2: float
    speed2: float


def score(frames: Sequence[Frame], latency_ms: Sequence[float] = ()) -> Score:
    """All measures of one node."""
    clear = _clear(frames)
    true = clear.hits + clear.misses
    late = np.asarray(latency_ms, dtype=np.float64)
    hits = clear.hits or math.nan
    return Score(
        num_true=true,
        mota=1.0 - (clear.misses + clear.false_alarms + clear.switches) / (true or math.nan),
        hota=_hota(frames),
        idf1=_idf1(frames),
        precision=clear.hits / ((clear.hits + clear.false_alarms) or math.nan),
        recall=clear.hits / (true or math.nan),
        num_switches=clear.switches,
        position_rmse_m=math.sqrt(clear.position2 / hits),
        speed_rmse_mps=math.sqrt(clear.speed2 / hits),
        latency_max_ms=float(late.max()) if late.size else math.nan,
        latency_mean_ms=float(late.mean()) if late.size else math.nan,
    )


def _clear(frames: Sequence[Frame]) -> _Pairs:
    last: dict[int, int] = {}
    hits = misses = alarms = switches = 0
    position2 = speed2 = 0.0
    for frame in frames:
        distance = _distance(frame)
        true, track = frame.true_id.tolist(), frame.track_id.tolist()
        place = {ident: k for k, ident in enumerate(track)}
        free_true, free_track = set(range(len(true))), set(range(len(track)))
        pairs: list[tuple[int, int]] = []
        for i, ident in enumerate(true):
            j = place.get(last.get(ident, -1), -1)
            if j >= 0 and j in free_track and distance[i, j] < _FAR:
                pairs.append((i, j))
                free_true.remove(i)
                free_track.remove(j)
        rows, columns = sorted(free_true), sorted(free_track)
        if rows and columns:
            rest = distance[np.ix_(rows, columns)]
            for a, b in zip(*linear_sum_assignment(rest), strict=True):
                if rest[a, b] < _FAR:
                    pairs.append((rows[a], columns[b]))
        for i, j in pairs:
            switches += last.get(true[i], track[j]) != track[j]
            last[true[i]] = track[j]
            position2 += float(distance[i, j]) ** 2
            speed2 += float(frame.true_mps[i] - frame.track_mps[j]) ** 2
        hits += len(pairs)
        misses += len(true) - len(pairs)
        alarms += len(track) - len(pairs)
    return _Pairs(hits, misses, alarms, switches, position2, speed2)


def _distance(frame: Frame) -> F64:
    distance: F64 = cdist(frame.true_m, frame.track_m)
    distance[distance >= MATCH_M] = _FAR
    return distance


def _index(frames: Iterable[Frame]) -> tuple[dict[int, int], dict[int, int]]:
    true: dict[int, int] = {}
    track: dict[int, int] = {}
    for frame in frames:
        for ident in frame.true_id.tolist():
            true.setdefault(ident, len(true))
        for ident in frame.track_id.tolist():
            track.setdefault(ident, len(track))
    return true, track


def _idf1(frames: Sequence[Frame]) -> float:
    true, track = _index(frames)
    together = np.zeros((len(true), len(track)))
    total = 0
    for frame in frames:
        total += frame.true_id.size + frame.track_id.size
        for i, j in np.argwhere(_distance(frame) < _FAR).tolist():
            together[true[int(frame.true_id[i])], track[int(frame.track_id[j])]] += 1
    if not together.size:
        return math.nan if total == 0 else 0.0
    rows, columns = linear_sum_assignment(together, maximize=True)
    return float(2.0 * together[rows, columns].sum() / total)


def _hota(frames: Sequence[Frame]) -> float:
    true, track = _index(frames)
    if not true or not track:
        return math.nan if not true and not track else 0.0
    potential = np.zeros((len(true), len(track)))
    num_true, num_track = np.zeros(len(true)), np.zeros(len(track))
    known = []
    for frame in frames:
        similar = np.maximum(1.0 - cdist(frame.true_m, frame.track_m) / MATCH_M, 0.0)
        rows = np.array([true[k] for k in frame.true_id.tolist()], dtype=np.int64)
        columns = np.array([track[k] for k in frame.track_id.tolist()], dtype=np.int64)
        either = similar.sum(0)[None, :] + similar.sum(1)[:, None] - similar
        share = np.where(either > 1e-12, similar / np.where(either > 1e-12, either, 1.0), 0.0)
        potential[np.ix_(rows, columns)] += share
        num_true[rows] += 1
        num_track[columns] += 1
        known.append((rows, columns, similar))
    alignment = potential / (num_true[:, None] + num_track[None, :] - potential)
    matches = np.zeros((LEVELS.size, len(true), len(track)))
    hits, misses, alarms = (np.zeros(LEVELS.size) for _ in range(3))
    for rows, columns, similar in known:
        a, b = linear_sum_assignment(alignment[np.ix_(rows, columns)] * similar, maximize=True)
        for level, alpha in enumerate(LEVELS):
            good = similar[a, b] >= alpha - np.finfo(np.float64).eps
            matches[level, rows[a[good]], columns[b[good]]] += 1
            hits[level] += good.sum()
            misses[level] += rows.size - good.sum()
            alarms[level] += columns.size - good.sum()
    out = 0.0
    for level in range(LEVELS.size):
        m = matches[level]
        union = np.maximum(num_true[:, None] + num_track[None, :] - m, 1.0)
        association = (m * m / union).sum() / max(hits[level], 1.0)
        detection = hits[level] / max(hits[level] + misses[level] + alarms[level], 1.0)
        out += math.sqrt(association * detection)
    return out / LEVELS.size


class _Truth:
    """Bodies at any instant of a log: one row per section of each actor, interpolated between samples."""

    def __init__(self, reader: LogReader) -> None:
        actors: Actors = reader.actors()
        self._path = reader.path
        self._row = {int(ident): k for k, ident in enumerate(actors.id)}
        self._actors = actors
        self._samples: list[WorldSample] = list(reader.world())
        self._stamps: I64 = np.array([s.t_ns for s in self._samples], dtype=np.int64)

    def at(self, t_ns: int) -> tuple[I64, F64, F64, Bool] | None:
        """Ids (2 * actor + section), centres (n, 2), speeds, and which are motor vehicles; None outside the log."""
        k = int(np.searchsorted(self._stamps, t_ns, side="right")) - 1
        if k < 0 or (self._stamps[k] != t_ns and k + 1 == self._stamps.size):
            return None
        first = self._bodies(k)
        if self._stamps[k] == t_ns:
            return first
        after = self._bodies(k + 1)
        part = (t_ns - self._stamps[k]) / (self._stamps[k + 1] - self._stamps[k])
        _, a, b = np.intersect1d(first[0], after[0], assume_unique=True, return_indices=True)
        return (
            first[0][a],
            first[1][a] + part * (after[1][b] - first[1][a]),
            first[2][a] + part * (after[2][b] - first[2][a]),
            first[3][a],
        )

    def _bodies(self, k: int) -> tuple[I64, F64, F64, Bool]:
        w, a = self._samples[k], self._actors
        unknown = set(w.id.tolist()) - self._row.keys()
        if unknown:
            raise LogError(
                f"{self._path}: actor {min(unknown)} at t={w.t_ns / 1e9:.2f} s is described nowhere; the log is damaged."
            )
        row = np.array([self._row[int(ident)] for ident in w.id], dtype=np.int64)
        c, s = np.cos(w.yaw_rad), np.sin(w.yaw_rad)
        ahead = 0.5 * a.length_m[row] - a.rear_overhang_m[row]
        front = np.column_stack((w.x_m + ahead * c, w.y_m + ahead * s))
        rear_yaw = w.yaw_rad - w.hitch_rad
        half = 0.5 * a.rear_length_m[row]
        rear = np.column_stack(
            (
                w.x_m + a.hitch_x_m[row] * c - half * np.cos(rear_yaw),
                w.y_m + a.hitch_x_m[row] * s - half * np.sin(rear_yaw),
            )
        )
        second = a.rear_length_m[row] > 0.0
        motor = np.isin(a.kind[row], _MOTOR)
        ident = 2 * w.id.astype(np.int64)
        speed = w.speed_mps.astype(np.float64)
        return (
            np.concatenate((ident, ident[second] + 1)),
            np.concatenate((front, rear[second])),
            np.concatenate((speed, speed[second] * np.cos(w.hitch_rad[second]))),
            np.concatenate((motor, motor[second])),
        )


def frame_of(
    rsm: RoadsideSafety, bodies: tuple[I64, F64, F64, Bool], place: tuple[float, float], radius_m: float
) -> Frame:  # fmt: skip
    """The part of truth and RSM that counts at a node: see the top of this module."""
    ident, where, speed, is_motor = bodies
    away = np.hypot(where[:, 0] - place[0], where[:, 1] - place[1])
    asked = is_motor & (away <= radius_m)
    near = away <= radius_m + 2.0 * MATCH_M
    ident, where, speed, asked = ident[near], where[near], speed[near], asked[near]
    tracks = np.column_stack((rsm.x_m, rsm.y_m))
    distance: F64 = cdist(where, tracks)
    distance[distance >= MATCH_M] = _FAR
    keep: Bool = np.hypot(rsm.x_m - place[0], rsm.y_m - place[1]) <= radius_m
    for i, j in zip(*linear_sum_assignment(distance), strict=True):
        if distance[i, j] < _FAR:
            keep[j] = asked[i]
    return Frame(
        rsm.t_ns, ident[asked], where[asked], speed[asked],
        rsm.track_id[keep].astype(np.int64), tracks[keep], rsm.speed_mps[keep],
    )  # fmt: skip


def read_run(
    path: Path, radius_m: float, from_s: float = 0.0, message: str = "rsm"
) -> dict[int, tuple[list[Frame], list[float]]]:
    """Frames and latencies (ms) of every node in a log, as its RSM or SSM has it; LogError for a file that is none."""
    reader = LogReader.open(path)
    truth = _Truth(reader)
    place: dict[int, tuple[float, float]] = {}
    for item in reader.messages("v2x/map", 0, 2 * NS_PER_S):
        sign = _decoded(path, item)
        assert isinstance(sign, Map)
        place.setdefault(sign.node_id, (sign.x_m, sign.y_m))
    out: dict[int, tuple[list[Frame], list[float]]] = {}
    for item in reader.messages(f"v2x/{message}", round(from_s * NS_PER_S)):
        rsm = _decoded(path, item)
        if isinstance(rsm, SensorSharing):
            if rsm.equipment != Equipment.RSU:
                continue
            rsm = as_rsm(rsm)
        assert isinstance(rsm, RoadsideSafety)
        bodies = truth.at(rsm.t_ns)
        if bodies is None or rsm.node_id not in place:
            continue
        frames, latency = out.setdefault(rsm.node_id, ([], []))
        frames.append(frame_of(rsm, bodies, place[rsm.node_id], radius_m))
        latency.append((item.t_ns - rsm.t_ns) / 1e6)
    return out


def _decoded(path: Path, item: LoggedMessage) -> Message:
    try:
        return item.decode()
    except CodecError as error:
        raise LogError(
            f"{path}: message {item.seq} of {item.sender}: {error}; the log is damaged."
        ) from error


def handovers(nodes: dict[int, list[Frame]]) -> tuple[int, int]:
    """(kept, all): bodies that went from one node's view to another's within `HANDOVER_GAP_S`; kept: the number that the first node
    had last is the one that the second node has at that time, or a second after it began."""
    seen: dict[int, dict[int, list[tuple[int, int]]]] = {}  # true id, node: (t_ns, track id)
    for node, frames in nodes.items():
        for frame in frames:
            distance = _distance(frame)
            for i, j in zip(*linear_sum_assignment(distance), strict=True):
                if distance[i, j] < _FAR:
                    by_node = seen.setdefault(int(frame.true_id[i]), {})
                    by_node.setdefault(node, []).append((frame.t_ns, int(frame.track_id[j])))
    kept = total = 0
    for by_node in seen.values():
        views = sorted(by_node.values(), key=lambda view: view[0][0])
        for one, other in pairwise(views):
            when = max(one[-1][0], other[0][0] + NS_PER_S)
            if other[0][0] - one[-1][0] > HANDOVER_GAP_S * NS_PER_S or other[-1][0] < when:
                continue
            total += 1
            kept += one[-1][1] == next(number for t_ns, number in other if t_ns >= when)
    return kept, total


def table(scores: dict[int, Score]) -> str:
    """One line per node."""
    head = (
        "node   truths   MOTA   HOTA   IDF1   prec.  recall  switches  position  speed      latency"
    )
    lines = [head]
    for node, s in sorted(scores.items()):
        lines.append(
            f"{node:4d} {s.num_true:8d} {s.mota:6.3f} {s.hota:6.3f} {s.idf1:6.3f} {s.precision:7.3f} {s.recall:7.3f} "
            f"{s.num_switches:9d} {s.position_rmse_m:7.3f} m {s.speed_rmse_mps * 3.6:5.2f} km/h "
            f"{s.latency_mean_ms:4.0f} ms, at most {s.latency_max_ms:.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table of a log."""
    parser = argparse.ArgumentParser(
        prog="python -m sim.perception_score", description="RSM against truth, per node."
    )
    parser.add_argument("log", type=Path)
    parser.add_argument("--radius", type=float, default=150.0, help="metres around the node")
    parser.add_argument("--from-s", type=float, default=0.0, help="leave out what was sent before")
    parser.add_argument("--message", choices=("rsm", "ssm"), default="rsm", help="which is judged")
    arguments = parser.parse_args()
    try:
        nodes = read_run(arguments.log, arguments.radius, arguments.from_s, arguments.message)
    except InputError as error:
        sys.exit(f"perception_score: {error}")
    print(f"truth: sections of motor vehicles within {arguments.radius:g} m, hidden ones too; pairs within {MATCH_M:g} m")  # fmt: skip
    print(table({node: score(*parts) for node, parts in nodes.items()}))
    kept, total = handovers({node: frames for node, (frames, _) in nodes.items()})
    print(f"hand-overs within {HANDOVER_GAP_S:g} s: {kept} of {total} kept their number")


if __name__ == "__main__":
    main()
