"""Automated vehicles among background traffic: their bodies stand in the lists of the lanes they cover.

Traffic sees them as leaders, keeps out of their way where they are on a junction, and lets them go first once they are on
its connecting lanes. Inputs are the state columns `lane`, `s_m`, `d_m`, `speed_mps`, which the world sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from protocols.messages import Light
from protocols.roads.network import F64, I32, U8, RoadNetwork
from sim.state import ActorStates, ActorStatics, Control
from sim.traffic import _kernels
from sim.traffic import _kernels as k
from sim.traffic.tables import LaneTables

OVERLAP_M = 0.1  # a body this far over the lane edge also stands on the neighbour
APPROACH_DECEL_MPS2 = 2.0
APPROACH_M = 6.0
FIRST_TICKET = 0  # before everybody else
OPEN = (Light.GREEN_PERMISSIVE, Light.GREEN_PROTECTED, Light.DARK, Light.UNSPECIFIED)


@dataclass(slots=True)
class Externals:
    """Rows under `Control.UNIT` as occupants of lanes. `way[row]`: the lanes a unit said it will take, if it did."""

    net: RoadNetwork
    tables: LaneTables
    vf: F64
    vi: I32
    way: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _rows: list[int] = field(default_factory=list)
    _candidates: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def sync(
        self,
        states: ActorStates,
        statics: ActorStatics,
        light: U8,
        counters: npt.NDArray[np.int64],
    ) -> None:
        """Brings lists and claims up to the state of this decision."""
        units = statics.control == int(Control.UNIT)
        walkers = (statics.control == int(Control.WALKER)) & (states.lane >= 0)
        now = np.flatnonzero(states.valid & (units | walkers)).tolist()
        for row in self._rows:
            if row not in now:
                self._drop(row)
        for row in now:
            if row not in self._rows:
                self._start(row, states, statics)
            is_walker = int(statics.control[row]) == int(Control.WALKER)
            self._move(row, states, is_walker, light, counters)
        self._rows = now

    def _start(self, row: int, states: ActorStates, statics: ActorStatics) -> None:
        f, i = self.vf[row], self.vi[row]
        f[:], i[:] = 0.0, -1
        i[k.KIND], i[k.ID], i[k.NB] = k.EXTERNAL, int(states.id[row]), 0
        f[k.LEN], f[k.S0], f[k.ODO] = float(statics.total_length_m[row]), 2.0, 1000.0
        f[k.AMAX], f[k.BCOM], f[k.BMAX], f[k.T] = 1.2, 1.5, 6.0, 1.5
        f[k.WID] = float(statics.width_m[row])

    def _drop(self, row: int) -> None:
        t = self.tables
        self._unclaim_ahead(row)
        _kernels.remove(self.vf, self.vi, t.lf, t.li, _NO_HOP, t.cl_row, t.cl_odo, t.cl_ticket, row)
        self.vi[row, k.NB] = 0

    def _move(
        self,
        row: int,
        states: ActorStates,
        is_walker: bool,
        light: U8,
        counters: npt.NDArray[np.int64],
    ) -> None:
        t, f, i = self.tables, self.vf[row], self.vi[row]
        half = self.vi.shape[0] // 2
        if i[k.GL] >= 0:
            _kernels.unlink(self.vi, t.li, row + half)
            i[k.GL] = -1
        old, new = int(i[k.LANE]), int(states.lane[row])
        s, v = float(states.s_m[row]), max(float(states.speed_mps[row]), 0.0)
        if old >= 0:
            _kernels.unlink(self.vi, t.li, row)
            if new == old:
                f[k.ODO] += s - f[k.S]
            elif new >= 0 and new in self._after(old):
                past = float(f[k.S] - t.lf[old, k.LLEN])
                f[k.ODO] += s - past
                f[k.S] = s
                _kernels.push_back(
                    self.vf, self.vi, t.lf, t.li, t.cl_row, t.cl_odo, t.cl_ticket, row, old, s
                )
            else:
                _kernels.unclaim(t.li, t.cl_row, t.cl_odo, t.cl_ticket, old, row)
                if new not in (int(t.li[old, k.LEFT]), int(t.li[old, k.RIGHT])):
                    self._forget_behind(row)
        f[k.S], f[k.V], f[k.A] = s, v, float(states.accel_mps2[row])
        i[k.LANE] = new
        if new < 0:
            self._unclaim_ahead(row)
            self._forget_behind(row)
            return
        _kernels.link(self.vf, self.vi, t.li, row, new)
        _kernels.drop_back(self.vf, self.vi, t.lf, t.li, t.cl_row, t.cl_odo, t.cl_ticket, row)
        self._ghost(row, float(states.d_m[row]))
        if is_walker:  # an obstacle, whatever way it walks
            f[k.V] = 0.0
        elif t.li[new, k.JUNC] >= 0:
            for lane in self._ahead_claims(row):
                if lane != new:
                    _kernels.unclaim(t.li, t.cl_row, t.cl_odo, t.cl_ticket, lane, row)
            self._claim(row, new, float(f[k.ODO]) - s, FIRST_TICKET)
            self._candidates.pop(row, None)
        else:
            if s + _reach_m(v) > t.lf[new, k.MEET0]:
                self._claim(row, new, float(f[k.ODO]) - s, FIRST_TICKET)
                if new in self._ahead_claims(row):
                    self._candidates[row] = tuple(n for n in self._candidates[row] if n != new)
            self._approach(row, light, counters)

    def _after(self, lane: int) -> list[int]:
        lanes = self.net.lanes
        return [int(x) for x in lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]]]

    def _forget_behind(self, row: int) -> None:
        t = self.tables
        for n in range(int(self.vi[row, k.NB])):
            _kernels.unclaim(
                t.li, t.cl_row, t.cl_odo, t.cl_ticket, int(self.vi[row, k.BK + n]), row
            )
        self.vi[row, k.NB] = 0

    def _ghost(self, row: int, d_m: float) -> None:
        """A second place on the neighbour lane that the body reaches into."""
        t, f = self.tables, self.vf[row]
        lane = int(self.vi[row, k.LANE])
        if abs(d_m) + f[k.WID] / 2 <= t.lf[lane, k.LWID] / 2 + OVERLAP_M:
            return
        side = int(t.li[lane, k.LEFT if d_m > 0 else k.RIGHT])
        if side < 0:
            return
        g = row + self.vi.shape[0] // 2
        self.vf[g] = f
        self.vi[g, k.KIND], self.vi[g, k.ID], self.vi[g, k.RESV] = (
            k.EXTERNAL,
            self.vi[row, k.ID],
            -1,
        )
        self.vf[g, k.S] = f[k.S] * t.lf[side, k.LLEN] / t.lf[lane, k.LLEN]
        _kernels.link(self.vf, self.vi, t.li, g, side)
        self.vi[row, k.GL] = side

    # Junctions ---------------------------------------------------------------------------------

    def _approach(self, row: int, light: U8, counters: npt.NDArray[np.int64]) -> None:
        """Tickets for the connecting lanes it may be about to enter; given back when it is held."""
        t, f, lane = self.tables, self.vf[row], int(self.vi[row, k.LANE])
        end = float(t.lf[lane, k.LLEN] - f[k.S])
        reach = _reach_m(float(f[k.V]))
        near = [
            n
            for n in self._after(lane)
            if end + (0.0 if t.li[n, k.JUNC] >= 0 else t.lf[n, k.MEET0]) < reach
        ]
        said = self.way.get(row, ())
        near = [n for n in near if n in said] or near
        near = [n for n in near if self._is_open(lane, n, light)]
        held = self._ahead_claims(row)
        for old in held:
            if old not in near:
                _kernels.unclaim(t.li, t.cl_row, t.cl_odo, t.cl_ticket, old, row)
        fresh = [n for n in near if n not in held]
        if fresh:
            counters[k.C_TICKET] += 1
        for n in fresh:
            self._claim(row, n, float(f[k.ODO]) + end, int(counters[k.C_TICKET]))
        if near:
            self._candidates[row] = tuple(near)
        else:
            self._candidates.pop(row, None)

    def _ahead_claims(self, row: int) -> tuple[int, ...]:
        return self._candidates.get(row, ())

    def _unclaim_ahead(self, row: int) -> None:
        t = self.tables
        for lane in self._ahead_claims(row):
            _kernels.unclaim(t.li, t.cl_row, t.cl_odo, t.cl_ticket, lane, row)
        self._candidates.pop(row, None)

    def _is_open(self, lane: int, after: int, light: U8) -> bool:
        t = self.tables
        for r in range(int(t.li[lane, k.SL0]), int(t.li[lane, k.SL1])):
            bound, group = int(t.sl_i[r, 0]), int(t.sl_i[r, 1])
            if bound in (-1, after) and group >= 0 and light[group] not in OPEN:
                return False
        return True

    def _claim(self, row: int, lane: int, odo: float, ticket: int) -> None:
        t = self.tables
        n = int(t.li[lane, k.NCL])
        for m in range(n):
            if t.cl_row[lane, m] == row:
                t.cl_odo[lane, m], t.cl_ticket[lane, m] = odo, ticket
                return
        if n < t.cl_row.shape[1]:
            t.cl_row[lane, n], t.cl_odo[lane, n], t.cl_ticket[lane, n] = row, odo, ticket
            t.li[lane, k.NCL] = n + 1


def _reach_m(v_mps: float) -> float:
    return v_mps * v_mps / (2 * APPROACH_DECEL_MPS2) + v_mps + APPROACH_M


_NO_HOP = np.full((1, 1), -1, dtype=np.int32)
