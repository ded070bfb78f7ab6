"""What a roadside unit says of the road users around it: tracks of its own sensors, under identities that neighbours share.

In: readings of the unit's sensors, and the RSM or SSM of other units as the radio delivers them. Out: RSM, SSM. A track gets a
number that no other unit gives (the node in the upper 12 bits). Where a neighbour announces a track at the same place and
velocity, the older identity wins and both units go on under it; the same rule at both ends, so they agree without asking. What a
neighbour has lost sight of is remembered for `MEMORY_S` and led on, so that coverages need only touch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.errors import ConfigError
from protocols.messages import Equipment, Polygon, RoadsideSafety, SensorSharing
from protocols.roads.network import F64, U32
from protocols.sensing import ObjectList, Readings, VelocityKind
from protocols.sentence import say
from protocols.sharing import as_rsm
from protocols.simtime import NS_PER_S
from roadside.sharing import Sight, sensor_sharing
from roadside.tracking import Tracker, TrackingConfig, Tracks, _assign_kernels

NODE_SHIFT = 20  # 4095 nodes, a million tracks each
MEMORY_S = 2.0  # a neighbour's track after its last mention
REACH_M = 300.0  # farther from the own place, nothing of a neighbour's can be ours
GATE = 13.8  # squared distance in sigmas, 99.9 % of true pairs (chi-square, 2 degrees)
BIAS_M = 0.5  # 1 sigma: two units see different sides of a body
MANOEUVRE_MPS2 = 2.0  # 1 sigma of what happens between a neighbour's measurement and ours
MOVES_MPS = 1.0  # and three sigmas: what has once been so fast is no obstacle
AGREE = 2  # matches in a row before a number that others may know already is given up


@dataclass(slots=True)
class _Identity:
    """Under which number a track goes, since when, and what speaks for another number."""

    number: int
    birth_ns: int
    rival: int = 0
    agreed: int = 0


class Perception:
    """Tracker and identities of one roadside unit at `place`."""

    def __init__(
        self, node_id: int, place: tuple[float, float], config: TrackingConfig | None = None
    ) -> None:
        """Raises ConfigError for a node id that does not fit the track numbers."""
        if not 0 < node_id < 1 << (32 - NODE_SHIFT):
            raise ConfigError(
                say(
                    "node id {node_id} of a roadside unit is not in 1..{last}; track numbers hold it in 12 bits",
                    node_id=node_id, last=(1 << 32 - NODE_SHIFT) - 1,
                )
            )  # fmt: skip
        self.node_id = node_id
        self._place = place
        self._tracker = Tracker(config, place)
        self._tracks: Tracks | None = None  # of the last RSM
        self._moved: set[int] = set()  # by the tracker's id: what has ever moved
        self._identity: dict[int, _Identity] = {}  # by the tracker's id
        self._count = 0
        # By number: t_ns, birth_ns, x, y, vx, vy, xx, xy, yy, sigma_v, kind.
        self._foreign: dict[int, tuple[float, ...]] = {}

    def hear(self, message: RoadsideSafety | SensorSharing) -> None:
        """A neighbour's tracks; the own echo and what is out of reach are left out, and vehicles, whose numbers are their own."""
        if isinstance(message, SensorSharing):
            if message.equipment != Equipment.RSU:
                return
            rsm = as_rsm(message)
        else:
            rsm = message
        if rsm.node_id == self.node_id or rsm.x_m.size == 0:
            return
        near = np.hypot(rsm.x_m - self._place[0], rsm.y_m - self._place[1]) < REACH_M
        for i in np.flatnonzero(near).tolist():
            number = int(rsm.track_id[i])
            age_ns = min(max(float(rsm.age_s[i]) * NS_PER_S, 0.0), float(rsm.t_ns))
            birth_ns = rsm.t_ns - round(age_ns)
            known = self._foreign.get(number)
            if known is not None and known[0] > rsm.t_ns:
                continue
            speed, yaw = float(rsm.speed_mps[i]), float(rsm.yaw_rad[i])
            self._foreign[number] = (
                rsm.t_ns, birth_ns, rsm.x_m[i], rsm.y_m[i], speed * np.cos(yaw), speed * np.sin(yaw),
                rsm.cov_xx_m2[i], rsm.cov_xy_m2[i], rsm.cov_yy_m2[i], rsm.sigma_v_mps[i], rsm.kind[i],
            )  # fmt: skip

    def observe(self, now_ns: int, readings: Readings) -> RoadsideSafety | None:
        """RSM after taking in what the sensors delivered; None when none did."""
        lists: tuple[ObjectList, ...] = readings.detections
        if readings.objects is not None:
            lists = (readings.objects, *lists)
        if not lists:
            return None
        tracks = self._tracker.update(lists, now_ns)
        number, age_s = self._name(tracks)
        self._tracks = tracks
        moves = tracks.speed_mps >= np.maximum(MOVES_MPS, 3.0 * tracks.sigma_v_mps)
        self._moved.update(tracks.track_id[moves].tolist())
        return RoadsideSafety(
            t_ns=tracks.t_ns,
            node_id=self.node_id,
            track_id=number,
            kind=tracks.kind,
            x_m=tracks.x_m,
            y_m=tracks.y_m,
            yaw_rad=tracks.yaw_rad,
            speed_mps=tracks.speed_mps,
            length_m=tracks.length_m,
            width_m=tracks.width_m,
            sigma_m=tracks.sigma_m,
            cov_xx_m2=np.ascontiguousarray(tracks.cov_m2[:, 0]),
            cov_xy_m2=np.ascontiguousarray(tracks.cov_m2[:, 1]),
            cov_yy_m2=np.ascontiguousarray(tracks.cov_m2[:, 2]),
            sigma_v_mps=tracks.sigma_v_mps,
            age_s=age_s,
        )

    def share(self, rsm: RoadsideSafety, height_m: float, region: tuple[Polygon, ...]) -> SensorSharing:  # fmt: skip
        """What `observe` has just said, as SSM."""
        tracks = self._tracks
        assert tracks is not None, "observe() has said something"
        moved = np.array([ident in self._moved for ident in tracks.track_id.tolist()], np.bool_)
        return sensor_sharing(rsm, tracks, moved, Sight(*self._place, height_m, region))

    def _name(self, tracks: Tracks) -> tuple[U32, F64]:
        """Numbers and ages (n,) of the reported tracks."""
        ids = tracks.track_id.tolist()
        births = (tracks.t_ns - np.rint(tracks.age_s * NS_PER_S)).astype(np.int64).tolist()
        reported = set(ids)
        # A track that is hidden or unseen may come back; its number goes when the tracker's memory goes.
        alive = self._tracker.ids() | reported
        for gone in [ident for ident in self._identity if ident not in alive]:
            del self._identity[gone]
            self._moved.discard(gone)
        used = {identity.number for identity in self._identity.values()}
        rivals = self._match(tracks)
        for ident, birth_ns, rival in zip(ids, births, rivals, strict=True):
            identity = self._identity.get(ident)
            is_new = identity is None
            if identity is None:
                identity = _Identity(0, birth_ns)
                self._identity[ident] = identity
            if rival and rival != identity.number and rival not in used:
                rival_ns = int(self._foreign[rival][1])
                is_older = (rival_ns, rival) < (identity.birth_ns, identity.number)
                identity.agreed = identity.agreed + 1 if rival == identity.rival else 1
                identity.rival = rival
                if is_new or (is_older and identity.agreed >= AGREE):
                    used.discard(identity.number)
                    used.add(rival)
                    identity.number = rival
                    identity.birth_ns = min(rival_ns, identity.birth_ns)
            elif not rival:
                identity.agreed = 0
            if identity.number == 0:
                self._count = self._count % ((1 << NODE_SHIFT) - 1) + 1
                identity.number = self.node_id << NODE_SHIFT | self._count
                used.add(identity.number)
        own = [self._identity[ident] for ident in ids]
        number: U32 = np.array([identity.number for identity in own], dtype=np.uint32)
        birth = np.array([identity.birth_ns for identity in own], dtype=np.int64)
        return number, (tracks.t_ns - birth) / NS_PER_S

    def _match(self, tracks: Tracks) -> list[int]:
        """For each reported track the neighbour's number of the same object, 0 where there is none."""
        n = tracks.x_m.size
        oldest = tracks.t_ns - round(MEMORY_S * NS_PER_S)
        self._foreign = {k: row for k, row in self._foreign.items() if row[0] >= oldest}
        numbers = sorted(self._foreign)
        m = len(numbers)
        if n == 0 or m == 0:
            return [0] * n
        rows = np.array([self._foreign[k] for k in numbers], dtype=np.float64)
        dt = (tracks.t_ns - rows[:, 0]) / NS_PER_S
        mean = np.zeros((m, 5))
        mean[:, :2] = rows[:, 2:4] + dt[:, None] * rows[:, 4:6]
        mean[:, 2:4] = rows[:, 4:6]
        cov = np.zeros((m, 5, 5))
        wide = (dt * rows[:, 9]) ** 2 + (0.5 * MANOEUVRE_MPS2 * dt**2) ** 2 + BIAS_M**2
        cov[:, 0, 0], cov[:, 1, 1] = rows[:, 6] + wide, rows[:, 8] + wide
        cov[:, 0, 1] = cov[:, 1, 0] = rows[:, 7]
        cov[:, 2, 2] = cov[:, 3, 3] = rows[:, 9] ** 2 + (MANOEUVRE_MPS2 * dt) ** 2
        table = np.zeros((n, 11))
        table[:, 0], table[:, 1] = tracks.x_m, tracks.y_m
        table[:, 2], table[:, 3] = tracks.vx_mps, tracks.vy_mps
        table[:, 7:10] = tracks.cov_m2
        start, pair = np.zeros(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        column, cost = np.zeros(n * m, dtype=np.int64), np.zeros(n * m)
        _assign_kernels.gate(
            np.arange(m), mean, cov, rows[:, 10].astype(np.int64), table, int(VelocityKind.FULL), 0.0,
            float(tracks.sigma_v_mps.max()) + 0.5, GATE, 0.0, np.zeros((5, m)), start, column, cost,
        )  # fmt: skip
        ints, floats = np.zeros((4, n + m + 1), dtype=np.int64), np.zeros((3, n + m + 1))
        _assign_kernels.assign(start, column, cost, 3.0 * GATE, m, ints, floats, pair)
        return [numbers[j] if j >= 0 else 0 for j in pair.tolist()]
