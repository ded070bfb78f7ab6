"""Kernels of background traffic: lists of who is where, lane changes, motion and pose. Decisions: `_decide_kernels.py`.

Rows of `vf` (2N, F) and `vi` (2N, I) are vehicles 0..N-1 and, N further, the *ghost* that keeps a vehicle's place on the lane
it is leaving sideways. A lane's vehicles form a doubly linked list ordered by travel distance of the front bumper. One row
of a table is one or two cache lines, which is where the speed comes from.
Source of the lane-change rule: MOBIL, Kesting, Treiber, Helbing 2007 (Transp. Res. Rec. 1999).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.jit import helper, kernel

# Columns of vf: position and speed first (one cache line holds what a follower asks of its leader).
S, V, LEN, A, ODO, D, S0, BMAX = range(8)
V0, AMAX, BCOM, T, GAP, POL, THR, WB = range(8, 16)
FOH, LCP, LCW, WAIT, RD, DWELL, TIN, HALT = range(16, 24)
FREE, COOPS, WID, TLANE, LCEND, VMAX, STUCK = range(24, 31)
F_COLS = 32
# Columns of vi.
LANE, AHEAD, BEHIND, KIND, ROUTE, GL, RESV, NB = range(8)
BK, ID, EXITL, REASON, SIDE, COOPT, LEG, MASK = 8, 14, 15, 16, 17, 18, 19, 20  # BK: six columns
TURN, DROP, DRAWS, HINT, MEETS = 21, 22, 23, 24, 25
I_COLS = 26
NUM_BK = 6
# Columns of lane tables.
LLEN, LSPD, LPEND, LODO, LWID, LTURN, LLO, LHI, MEET0, MEET1 = range(10)
HEAD, TAIL, LAST, LASTID, LEFT, RIGHT, CHANGE, JUNC = range(8)
CF0, CF1, SL0, SL1, CR0, CR1, NCL, NXT0 = range(8, 16)
# Counters.
C_ROWS, C_STEP, C_TICKET, C_OUT, C_RECYCLE = range(5)
MAX_CHAIN = 24  # lanes looked ahead; some tools cut one way through a junction into many short ones
FREE_ROW, BACKGROUND, EXTERNAL = 0, 1, 2
ON_TARGET, NO_WAY = 3, 9  # values of `act` beside -1 right, 0 straight on, 1 left
# Why a vehicle is held at a gate.
OK, SIGNAL, ROOM, YIELDS, QUEUE = range(5)

B_LEADER = 9.0  # m/s2, hardest braking expected of a leader
MARGIN = 0.5  # m kept beside every hard bound
LC_S, LC_M = 3.0, 10.0  # a lane change takes 3 s, and at least 10 m of travel
LC_PAUSE = 40  # steps between two free lane changes
B_LET_IN = (
    3.0  # m/s2, braking asked of the follower by a free change; a needed one may ask for more
)
B_NEEDED = 5.0


@kernel
def link(vf: Any, vi: Any, li: Any, i: int, lane: int) -> None:
    """Puts node i (position set) into the list of `lane`, searching from the rear."""
    s = vf[i, S]
    behind = -1
    ahead = li[lane, TAIL]
    while ahead >= 0 and vf[ahead, S] < s:
        behind = ahead
        ahead = vi[ahead, AHEAD]
    vi[i, LANE], vi[i, AHEAD], vi[i, BEHIND] = lane, ahead, behind
    if ahead >= 0:
        vi[ahead, BEHIND] = i
    else:
        li[lane, HEAD] = i
    if behind >= 0:
        vi[behind, AHEAD] = i
    else:
        li[lane, TAIL] = i


@kernel
def unlink(vi: Any, li: Any, i: int) -> None:
    """Takes node i out of its lane's list."""
    lane, ahead, behind = vi[i, LANE], vi[i, AHEAD], vi[i, BEHIND]
    if ahead >= 0:
        vi[ahead, BEHIND] = behind
    else:
        li[lane, HEAD] = behind
    if behind >= 0:
        vi[behind, AHEAD] = ahead
    else:
        li[lane, TAIL] = ahead


@kernel
def unclaim(li: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, lane: int, i: int) -> None:
    """Gives back the ticket of i on `lane`, if it has one; the others keep their order."""
    n = li[lane, NCL]
    for k in range(n):
        if cl_row[lane, k] == i:
            for m in range(k, n - 1):
                cl_row[lane, m] = cl_row[lane, m + 1]
                cl_odo[lane, m] = cl_odo[lane, m + 1]
                cl_ticket[lane, m] = cl_ticket[lane, m + 1]
            li[lane, NCL] = n - 1
            return


@helper
def release(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, i: int
) -> None:
    """A vehicle that can still stop gives up its pending claim."""
    lane = vi[i, RESV]
    for _ in range(MAX_CHAIN):
        if lane < 0 or li[lane, JUNC] < 0:
            break
        unclaim(li, cl_row, cl_odo, cl_ticket, int(lane), i)
        lane = hop[vi[i, ROUTE], lane]
    if vi[i, EXITL] >= 0:
        lf[vi[i, EXITL], LPEND] -= vf[i, LEN] + vf[i, S0]
        vi[i, EXITL] = -1
    vi[i, RESV] = -1


@kernel
def remove(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, i: int
) -> None:
    """Row i leaves: lists, claims and pending room are cleaned."""
    half = vi.shape[0] // 2
    if vi[i, GL] >= 0:
        unlink(vi, li, i + half)
    if vi[i, LANE] >= 0:
        unlink(vi, li, i)
        unclaim(li, cl_row, cl_odo, cl_ticket, int(vi[i, LANE]), i)
    if vi[i, KIND] == BACKGROUND:
        release(vf, vi, lf, li, hop, cl_row, cl_odo, cl_ticket, i)
    for k in range(vi[i, NB]):
        unclaim(li, cl_row, cl_odo, cl_ticket, int(vi[i, BK + k]), i)
    vi[i, :] = -1
    vi[i, KIND] = FREE_ROW


@kernel
def safe_speed(gap: float, v_leader: float, b: float, dt: float) -> float:
    """Fastest next speed from which braking by b ends behind a leader that brakes by B_LEADER."""
    room = gap + v_leader * v_leader / (2.0 * B_LEADER)
    if room <= 0.0:
        return 0.0
    return float(-b * dt + math.sqrt(b * b * dt * dt + 2.0 * b * room))


@kernel
def drop_back(
    vf: Any, vi: Any, lf: Any, li: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, i: int
) -> None:
    """Forgets the lanes that the rear of i has left, and gives back their tickets."""
    while vi[i, NB] > 0:
        n = vi[i, NB]
        behind = vf[i, S]
        for k in range(n - 1):
            behind += lf[vi[i, BK + k], LLEN]
        if behind < vf[i, LEN]:
            return
        unclaim(li, cl_row, cl_odo, cl_ticket, int(vi[i, BK + n - 1]), i)
        vi[i, NB] = n - 1


@kernel
def push_back(
    vf: Any, vi: Any, lf: Any, li: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, i: int,
    lane: int, past: float,
) -> None:  # fmt: skip
    """The front of i has left `lane` by `past` metres; the body still lies on it."""
    n = min(vi[i, NB], NUM_BK - 1)
    if vi[i, NB] == NUM_BK:
        unclaim(li, cl_row, cl_odo, cl_ticket, int(vi[i, BK + NUM_BK - 1]), i)
    for k in range(n, 0, -1):
        vi[i, BK + k] = vi[i, BK + k - 1]
    vi[i, BK] = lane
    vi[i, NB] = n + 1
    li[lane, LAST], li[lane, LASTID] = i, vi[i, ID]
    lf[lane, LODO] = vf[i, ODO] - past


@kernel
def change_lanes(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, act: Any, pv_start: Any, pv: Any, cl_row: Any,
    cl_odo: Any, cl_ticket: Any, counts: Any,
) -> None:  # fmt: skip
    """Claims given up are cleared; every vehicle looks sideways twice a second (a fifth of them each step)."""
    half = vi.shape[0] // 2
    step = counts[C_STEP]
    dt = 0.1
    for i in range(counts[C_ROWS]):
        if vi[i, KIND] != BACKGROUND:
            continue
        if vi[i, DROP] == 1:
            release(vf, vi, lf, li, hop, cl_row, cl_odo, cl_ticket, i)
            vi[i, DROP] = 0
        if (i + step) % 5 != 0 or vi[i, GL] >= 0 or vi[i, RESV] >= 0 or vi[i, NB] > 0:
            continue
        if vi[i, MEETS] == 1:
            continue
        lane, route = vi[i, LANE], vi[i, ROUTE]
        if li[lane, JUNC] >= 0 or vf[i, LCW] != 0.0 or vf[i, DWELL] > 0.0:
            continue
        s, v, length = vf[i, S], vf[i, V], vf[i, LEN]
        rest = (lf[lane, LLEN] if hop[route, lane] >= 0 else lf[lane, LHI]) - s
        if rest < max(LC_S * (v + 4.0), LC_M) + 3.0 or s - length < max(1.0, lf[lane, LLO]):
            continue
        need = act[route, lane]
        a_max, two_ab = vf[i, AMAX], 2.0 * math.sqrt(vf[i, AMAX] * vf[i, BCOM])
        desired = max(min(lf[lane, LSPD] * vf[i, V0], vf[i, VMAX]), 0.5)
        share = (v / desired) * (v / desired)
        share *= share
        best_gain = vf[i, THR]
        best = 0
        best_lane = -1
        if need in (0, ON_TARGET):
            if v < 1.0 or step - vf[i, LCEND] < LC_PAUSE or vi[i, AHEAD] < 0:
                continue
            j = vi[i, AHEAD]
            q = (vf[i, S0] + max(0.0, v * vf[i, T] + v * (v - vf[j, V]) / two_ab)) / max(
                vf[j, S] - vf[j, LEN] - s, 0.1
            )
            a_now = a_max * (1.0 - share - q * q)
            if a_now > 0.6 * a_max * (1.0 - share) or a_now > a_max - best_gain:
                continue
        else:
            a_now = 0.0
        for side in (1, -1):
            if need in (1, -1) and side != need:
                continue
            to = li[lane, LEFT] if side == 1 else li[lane, RIGHT]
            if to < 0:
                continue
            if (li[lane, CHANGE] & (1 if side == 1 else 2)) == 0 and need not in (1, -1):
                continue
            code = act[route, to]
            if code == NO_WAY or (need not in (1, -1) and code not in (0, ON_TARGET)):
                continue
            if (
                code in (1, -1)
                and hop[route, to] < 0
                and rest < 2.0 * max(LC_S * (v + 4.0), LC_M) + 6.0
            ):
                continue  # no room for the change after this one
            scale = lf[to, LLEN] / lf[lane, LLEN]
            s_to = s * scale
            if s_to - length < lf[to, LLO] or s_to > lf[to, LHI]:
                continue  # too narrow there
            if s_to - length < lf[to, MEET1] and s_to + v * v / 5.0 + v + 8.0 > lf[to, MEET0]:
                continue  # others meet that lane here
            behind = -1
            ahead = li[to, TAIL]
            while ahead >= 0 and vf[ahead, S] < s_to:
                behind = ahead
                ahead = vi[ahead, AHEAD]
            is_fine = True
            a_new = a_max * (1.0 - share)
            if ahead >= 0:
                gap = vf[ahead, S] - vf[ahead, LEN] - s_to
                is_fine = gap > 1.0 and v <= safe_speed(gap - MARGIN, vf[ahead, V], 4.0, dt)
                q = (vf[i, S0] + max(0.0, v * vf[i, T] + v * (v - vf[ahead, V]) / two_ab)) / max(
                    gap, 0.1
                )
                a_new -= a_max * q * q
            if not is_fine and need in (1, -1) and rest < 150.0:
                vi[i, COOPT] = ahead  # takes its place behind the leader over there
                vf[i, COOPS] = step
            limit = B_NEEDED if need in (1, -1) else B_LET_IN
            loss = 0.0
            if is_fine:
                gap = np.inf
                if behind >= 0:
                    gap = s_to - length - vf[behind, S]
                elif s_to - length < 60.0:
                    for k in range(pv_start[to], pv_start[to + 1]):
                        j = li[pv[k], HEAD]
                        if j >= 0 and s_to - length + lf[pv[k], LLEN] - vf[j, S] < gap:
                            gap = s_to - length + lf[pv[k], LLEN] - vf[j, S]
                            behind = j
                if behind >= 0:
                    vb = vf[behind, V]
                    ab = vf[behind, AMAX]
                    is_fine = gap > 1.0 and vb <= safe_speed(gap - MARGIN, v, limit, dt)
                    root = 2.0 * math.sqrt(ab * vf[behind, BCOM])
                    q = (
                        vf[behind, S0] + max(0.0, vb * vf[behind, T] + vb * (vb - v) / root)
                    ) / max(gap, 0.1)
                    loss = ab * q * q
                    is_fine = is_fine and loss < limit + ab
                    if (
                        not is_fine
                        and need in (1, -1)
                        and behind < half
                        and vi[behind, KIND] == BACKGROUND
                        and vi[behind, LANE] == to
                    ):
                        vi[behind, COOPT] = i  # asks to be let in
                        vf[behind, COOPS] = step
            if not is_fine:
                continue
            if need in (1, -1):
                best, best_lane = side, to
            else:
                gain = a_new - a_now - vf[i, POL] * loss
                if gain > best_gain:
                    best_gain, best, best_lane = gain, side, to
        if best_lane < 0:
            continue
        # The vehicle moves to the new list at once; its ghost keeps the old place until the body has left.
        unlink(vi, li, i)
        g = i + half
        vi[g, KIND], vi[g, ID], vi[g, RESV] = BACKGROUND, vi[i, ID], -1
        vf[g, S], vf[g, V], vf[g, LEN], vf[g, A] = s, v, length, vf[i, A]
        vf[g, S0], vf[g, T], vf[g, AMAX], vf[g, BCOM] = vf[i, S0], vf[i, T], a_max, vf[i, BCOM]
        vf[g, ODO] = vf[i, ODO]
        link(vf, vi, li, g, int(lane))
        vf[i, S] = s * lf[best_lane, LLEN] / lf[lane, LLEN]
        link(vf, vi, li, i, int(best_lane))
        vi[i, GL], vi[i, SIDE] = lane, best
        vf[i, LCP] = 0.0
        vf[i, LCW] = -best * 0.5 * (lf[lane, LWID] + lf[best_lane, LWID])
        vf[i, D] = vf[i, LCW]


@kernel
def locate(vi: Any, lf: Any, pt_start: Any, pt: Any, i: int, s: float, d: float, out: Any) -> None:
    """World x, y, z of the point s on i's lane (negative: on the lanes behind), d to the left, into `out`."""
    lane = vi[i, LANE]
    k = 0
    while s < 0.0 and k < vi[i, NB]:
        lane = vi[i, BK + k]
        s += lf[lane, LLEN]
        k += 1
    lo = pt_start[lane]
    hi = pt_start[lane + 1] - 1
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if pt[mid, 0] <= s:
            lo = mid
        else:
            hi = mid
    ds = pt[hi, 0] - pt[lo, 0]
    w = (s - pt[lo, 0]) / ds
    dx = pt[hi, 1] - pt[lo, 1]
    dy = pt[hi, 2] - pt[lo, 2]
    out[0] = pt[lo, 1] + w * dx - d * dy / ds
    out[1] = pt[lo, 2] + w * dy + d * dx / ds
    out[2] = pt[lo, 3] + w * (pt[hi, 3] - pt[lo, 3])


@kernel
def advance(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, act: Any, pt_start: Any, pt: Any, cl_row: Any,
    cl_odo: Any, cl_ticket: Any, leg_i: Any, key: Any, lane_stat: Any, arrived: Any,
    x: Any, y: Any, z: Any, yaw: Any, speed: Any, accel: Any, yaw_rate: Any, hitch: Any,
    lane_out: Any, s_out: Any, d_out: Any, flags: Any, hitch_x: Any, rear_wb: Any,
    counts: Any, ends: Any, t_s: float, dt: float,
) -> None:  # fmt: skip
    """Moves every background vehicle by dt, hands lanes over, writes poses; rows that arrived go to `arrived`."""
    half = vi.shape[0] // 2
    front, rear = ends[0], ends[1]
    counts[C_OUT] = 0
    for i in range(counts[C_ROWS]):
        if vi[i, KIND] != BACKGROUND:
            continue
        v, a = vf[i, V], vf[i, A]
        v_new = v + a * dt
        if v_new < 0.0:
            moved = v * v / (-2.0 * a) if v > 0.0 else 0.0
            v_new = 0.0
        else:
            moved = 0.5 * (v + v_new) * dt
        if v >= 0.5 and v_new < 0.5:
            vf[i, HALT] += 1.0
        vf[i, V] = v_new
        vf[i, S] += moved
        vf[i, ODO] += moved
        gone = False
        while vf[i, S] > lf[vi[i, LANE], LLEN]:
            lane = vi[i, LANE]
            past = vf[i, S] - lf[lane, LLEN]
            nxt = hop[vi[i, ROUTE], lane]
            is_end = act[vi[i, ROUTE], lane] == ON_TARGET
            if is_end and vi[i, LEG] >= 0 and leg_i[vi[i, LEG], 1] >= 0:
                vi[i, LEG] += 1  # rolled past a stop: on with the journey
                vi[i, ROUTE] = leg_i[vi[i, LEG], 0]
                continue
            if is_end and counts[C_RECYCLE] == 0:
                gone = True
                break
            if nxt < 0:
                vf[i, S], vf[i, V] = lf[lane, LLEN], 0.0
                vf[i, ODO] -= past
                break
            free = lf[lane, LLEN] / max(min(lf[lane, LSPD] * vf[i, V0], vf[i, VMAX]), 0.5)
            vf[i, FREE] += free
            spent = t_s - vf[i, TLANE]
            lane_stat[lane, 0] += 1.0
            lane_stat[lane, 1] += max(spent - free, 0.0)
            lane_stat[lane, 2] = max(lane_stat[lane, 2], spent - free)
            vf[i, TLANE] = t_s
            if vi[i, GL] >= 0:
                unlink(vi, li, i + half)
                vi[i, GL] = -1
            unlink(vi, li, i)
            push_back(vf, vi, lf, li, cl_row, cl_odo, cl_ticket, i, int(lane), past)
            vf[i, S] = past
            link(vf, vi, li, i, int(nxt))
            if vi[i, RESV] == nxt:
                vi[i, RESV] = -1
            if vi[i, EXITL] == nxt:
                lf[nxt, LPEND] -= vf[i, LEN] + vf[i, S0]
                vi[i, EXITL] = -1
            if counts[C_RECYCLE] > 0 and act[vi[i, ROUTE], nxt] == ON_TARGET:
                for _ in range(8):  # a new journey from here
                    vi[i, DRAWS] += 1
                    h = key[i] + np.uint64(vi[i, DRAWS]) * np.uint64(0x9E3779B97F4A7C15)
                    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                    h = h ^ (h >> np.uint64(31))
                    route = np.int64(h % np.uint64(hop.shape[0]))
                    if act[route, nxt] != NO_WAY and act[route, nxt] != ON_TARGET:
                        vi[i, ROUTE] = route
                        break
        if gone:
            if counts[C_OUT] < arrived.size:
                arrived[counts[C_OUT]] = i
                counts[C_OUT] += 1
            vf[i, S] = lf[vi[i, LANE], LLEN]
            vf[i, FREE] += lf[vi[i, LANE], LLEN] / max(
                min(lf[vi[i, LANE], LSPD] * vf[i, V0], vf[i, VMAX]), 0.5
            )
        if vi[i, NB] > 0:
            drop_back(vf, vi, lf, li, cl_row, cl_odo, cl_ticket, i)
        d_rear = 0.0
        if vf[i, LCW] != 0.0:
            rate = min(1.0 / LC_S, v_new / LC_M)
            p = vf[i, LCP] + rate * dt
            vf[i, LCP] = p
            if p >= 1.0:
                if vi[i, GL] >= 0:
                    unlink(vi, li, i + half)
                    vi[i, GL] = -1
                q = p - vf[i, WB] / max(LC_S * v_new, LC_M)
                if q >= 1.0:
                    vf[i, LCW], vf[i, LCEND], vi[i, SIDE] = 0.0, counts[C_STEP], 0
            q = min(max(p - vf[i, WB] / max(LC_S * v_new, LC_M), 0.0), 1.0)
            p = min(p, 1.0)
            vf[i, D] = vf[i, LCW] * (1.0 - p * p * (3.0 - 2.0 * p))
            d_rear = vf[i, LCW] * (1.0 - q * q * (3.0 - 2.0 * q))
            if vi[i, GL] >= 0:
                g = i + half
                vf[g, S] = vf[i, S] * lf[vi[i, GL], LLEN] / lf[vi[i, LANE], LLEN]
                vf[g, V], vf[g, A], vf[g, ODO] = v_new, a, vf[i, ODO]
        s_front = vf[i, S] - vf[i, FOH]
        locate(vi, lf, pt_start, pt, i, s_front, vf[i, D], front)
        locate(vi, lf, pt_start, pt, i, s_front - vf[i, WB], d_rear, rear)
        heading = math.atan2(front[1] - rear[1], front[0] - rear[0])
        turned = heading - yaw[i]
        turned -= 2.0 * np.pi * math.floor(turned / (2.0 * np.pi) + 0.5)
        x[i], y[i], z[i], yaw[i] = rear[0], rear[1], rear[2], heading
        speed[i], accel[i], yaw_rate[i] = v_new, a, turned / dt
        lane_out[i], s_out[i], d_out[i] = vi[i, LANE], vf[i, S], vf[i, D]
        if rear_wb[i] > 0.0:
            # Kinematic trailer on a joint hitch_x from the rear axle (Murray, Sastry 1993): the joint's velocity across
            # the trailer turns it.
            bend = hitch[i]
            omega = turned / dt
            back = (moved / dt * math.sin(bend) + omega * hitch_x[i] * math.cos(bend)) / rear_wb[i]
            hitch[i] = bend + turned - back * dt
        bits = 0
        if a < -0.6 or v_new < 0.1:
            bits |= 1
        if a <= -3.92:
            bits |= 2
        if vi[i, SIDE] == 1 or vi[i, TURN] == 1:
            bits |= 4
        elif vi[i, SIDE] == -1 or vi[i, TURN] == -1:
            bits |= 8
        flags[i] = bits
