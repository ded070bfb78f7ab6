"""Decisions of background traffic: how hard every vehicle accelerates, and who may enter a junction.

Nothing moves here: positions and lists are read, accelerations and claims written. Layout and list order: `_kernels.py`
(the column numbers are repeated here, because numba's cache of a file notices edits of that file only; a test compares).
Sources: IDM Treiber, Hennecke, Helbing 2000 (Phys. Rev. E 62); safe speed after Krauss 1998, eq. 3.14.

Why nobody collides: (1) nobody drives faster than lets it stop behind its leader's stopping point; (2) a vehicle passes the
gate of a junction only with a *claim* (a ticket on every connecting lane of its way), and takes one only while it could
still stop; (3) where two claimed ways meet, the later ticket waits for the earlier. Tickets are totally ordered, so nobody
waits in a circle. Lanes that meet outside junctions (two ways into one lane, roads across each other) have a stretch from
MEET0 to MEET1 that is entered with a ticket too, in the order of arrival.
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
# Columns of vi.
LANE, AHEAD, BEHIND, KIND, ROUTE, GL, RESV, NB = range(8)
BK, ID, EXITL, REASON, SIDE, COOPT, LEG, MASK = 8, 14, 15, 16, 17, 18, 19, 20  # BK: six columns
TURN, DROP, DRAWS, HINT, MEETS = 21, 22, 23, 24, 25
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
B_JUNCTION = 3.5  # m/s2, braking for an earlier ticket
B_GATE = 2.5  # m/s2, braking by which a gate is decided
B_LINE = 1.8  # m/s2, braking for a red line within a lane
GATE_LINE_M = 40.0  # a stop line farther from the junction than this is not the junction's
B_YELLOW = 3.0  # m/s2, who can stop by this at yellow stops (ITE kinematic formula: 3.05)
MARGIN = 0.5  # m kept beside every hard bound
LC_S, LC_M = 3.0, 10.0  # a lane change takes 3 s, and at least 10 m of travel
CLAIM_SLOTS = 12
LC_ROOM_M = 16.0  # whoever still has to change waits this far before the end of its lane


@helper
def safe_speed(gap: float, v_leader: float, b: float, dt: float) -> float:
    """Fastest next speed from which braking by b ends behind a leader that brakes by B_LEADER."""
    room = gap + v_leader * v_leader / (2.0 * B_LEADER)
    if room <= 0.0:
        return 0.0
    return float(-b * dt + math.sqrt(b * b * dt * dt + 2.0 * b * room))


@helper
def travel_s(dist: float, v: float, a: float, v_max: float) -> float:
    """Time for `dist` when accelerating by a up to v_max."""
    if dist <= 0.0:
        return 0.0
    if v >= v_max:
        return dist / max(v, 0.1)
    gain = (v_max * v_max - v * v) / (2.0 * a)
    if dist < gain:
        return float((math.sqrt(v * v + 2.0 * a * dist) - v) / a)
    return (v_max - v) / a + (dist - gain) / v_max


@helper
def junction_limit(
    vf: Any, lf: Any, li: Any, cf_i: Any, cf_f: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any,
    i: int, c: int, base: float, dt: float,
) -> float:  # fmt: skip
    """Speed that lets every earlier ticket go first; `base` is the way from i's front to the start of c."""
    limit = np.inf
    mine = np.int64(2**62)
    for k in range(li[c, NCL]):
        if cl_row[c, k] == i:
            mine = cl_ticket[c, k]
    b = min(B_JUNCTION, vf[i, BMAX])
    for r in range(li[c, CF0], li[c, CF1]):
        o = cf_i[r, 0]
        for k in range(li[o, NCL]):
            j = cl_row[o, k]
            if j == i or (cl_ticket[o, k] >= mine and cf_i[r, 1] != 2):
                continue
            front = vf[j, ODO] - cl_odo[o, k]
            rear = front - vf[j, LEN]
            if rear >= cf_f[r, 3]:
                continue
            d_in = base + cf_f[r, 0] - MARGIN
            stop = safe_speed(d_in, 0.0, b, dt)
            kind = cf_i[r, 1]
            if kind == 0:
                if d_in > -MARGIN - 0.1:
                    limit = min(limit, stop)
            elif kind == 1:
                gap = base + lf[c, LLEN] - (lf[o, LLEN] - rear)
                follow = safe_speed(gap - MARGIN - 1.0, vf[j, V], b, dt)
                limit = min(limit, max(follow, stop) if d_in > -MARGIN - 0.1 else follow)
            elif front + base > 0.0:  # diverging: j is ahead on the shared stretch
                limit = min(limit, safe_speed(rear + base - MARGIN, vf[j, V], b, dt))
    return limit


@helper
def gate(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, cf_i: Any, cf_f: Any, cl_row: Any, cl_odo: Any,
    cl_ticket: Any, ap: Any, counts: Any, i: int, c: int, dist: float, protected: bool,
) -> int:  # fmt: skip
    """May i, `dist` before junction lane c, claim its way through? Claims it and says OK, or why not."""
    route = vi[i, ROUTE]
    v, length = vf[i, V], vf[i, LEN]
    # Room beyond: enough for everyone who has claimed the same exit, so that nobody stops in the junction.
    last = c
    way = 0.0
    for _ in range(MAX_CHAIN):
        if li[last, NCL] >= CLAIM_SLOTS:
            return QUEUE
        way += lf[last, LLEN]
        nxt = hop[route, last]
        if nxt < 0 or li[nxt, JUNC] < 0:
            break
        last = nxt
    exit_lane = hop[route, last]
    if exit_lane >= 0:
        free = 0.0
        lane = exit_lane
        need = lf[exit_lane, LPEND] + length + vf[i, S0]
        for _ in range(4):
            tail = li[lane, TAIL]
            if tail >= 0:
                free += vf[tail, S] - vf[tail, LEN] + 0.125 * vf[tail, V] * vf[tail, V]
                break
            free += lf[lane, LLEN]
            j = li[lane, LAST]
            if j >= 0 and vi[j, ID] == li[lane, LASTID]:
                past = vf[j, ODO] - lf[lane, LODO]
                if past < vf[j, LEN]:
                    free += past - vf[j, LEN] + 0.125 * vf[j, V] * vf[j, V]
                    break
            if free >= need or li[lane, NXT0] < 0:
                free = max(free, need if li[lane, NXT0] < 0 else free)
                break
            nxt = hop[route, lane]
            if nxt < 0:
                free = need
                break
            lane = nxt
        if free < need:
            return ROOM
    a = vf[i, AMAX]
    v_max = max(min(lf[c, LSPD] * vf[i, V0], vf[i, VMAX]), 0.5)
    old = (counts[C_STEP] + 1) % 2
    lane = c
    base = dist
    for _ in range(MAX_CHAIN):
        for r in range(li[lane, CF0], li[lane, CF1]):
            o = cf_i[r, 0]
            kind = cf_i[r, 1]
            if kind == 2:
                continue
            has_ap = (not protected) and cf_i[r, 2] != 2 and ap[old, o, 0] == counts[C_STEP] - 1
            if li[o, NCL] == 0 and not has_ap:
                continue
            t_in = travel_s(base + cf_f[r, 0], v, a, v_max)
            for k in range(li[o, NCL]):
                j = cl_row[o, k]
                if j == i:
                    continue
                front = vf[j, ODO] - cl_odo[o, k]
                to_clear = cf_f[r, 3] + vf[j, LEN] - front
                if to_clear <= 0.0:
                    continue
                if kind == 1 and front > cf_f[r, 2]:
                    continue  # merging behind somebody who is in already: just a leader
                v_there = max(min(lf[o, LSPD] * vf[j, V0], vf[j, VMAX]), 0.5)
                t_clear = travel_s(to_clear, vf[j, V], vf[j, AMAX], v_there)
                if kind == 1:
                    t_clear -= vf[j, LEN] / max(vf[j, V], 3.0)
                if t_clear > t_in + 0.5:
                    return YIELDS
            if has_ap:
                there = ap[old, o, 1] + cf_f[r, 2] / 10.0
                if cf_i[r, 2] == 1:  # equal: who comes first, and nobody waits for ever
                    if vf[i, WAIT] > 4.0 or there > t_in - 0.5:
                        continue
                    return YIELDS
                t_out = travel_s(base + cf_f[r, 1] + length, v, a, v_max)
                needed = max(vf[i, GAP] - 0.02 * vf[i, WAIT], 0.6 * vf[i, GAP])
                if there < max(t_out + 1.0, needed):
                    return YIELDS
        base += lf[lane, LLEN]
        if lane == last:
            break
        lane = hop[route, lane]
    counts[C_TICKET] += 1
    lane = c
    at = vf[i, ODO] + dist
    for _ in range(MAX_CHAIN):
        n = li[lane, NCL]
        cl_row[lane, n], cl_odo[lane, n], cl_ticket[lane, n] = i, at, counts[C_TICKET]
        li[lane, NCL] = n + 1
        at += lf[lane, LLEN]
        if lane == last:
            break
        lane = hop[route, lane]
    vi[i, RESV], vi[i, EXITL] = c, exit_lane
    if exit_lane >= 0:
        lf[exit_lane, LPEND] += length + vf[i, S0]
    return OK


@helper
def claim_place(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any,
    counts: Any, i: int, lane: int, base: float, front: int, decision: float,
) -> bool:  # fmt: skip
    """Ticket of i for the stretch of `lane` where others meet it; False while it must stay before it."""
    n = li[lane, NCL]
    for k in range(n):
        if cl_row[lane, k] != i:
            continue
        if base + lf[lane, MEET1] + vf[i, LEN] < 0.0:  # through
            for m in range(k, n - 1):
                cl_row[lane, m] = cl_row[lane, m + 1]
                cl_odo[lane, m] = cl_odo[lane, m + 1]
                cl_ticket[lane, m] = cl_ticket[lane, m + 1]
            li[lane, NCL] = n - 1
        else:
            vi[i, MEETS] = 1
        return True
    is_through = base + lf[lane, MEET1] + vf[i, LEN] < 0.0
    if is_through or base + lf[lane, MEET0] > decision or n >= CLAIM_SLOTS:
        return bool(is_through)
    # Nobody overtakes on the list of tickets whom it follows on the road.
    if front >= 0 and front < vi.shape[0] // 2 and vi[front, KIND] == BACKGROUND:
        at = vi[front, LANE]
        for _ in range(10):
            if at == lane or at < 0:
                break
            at = hop[vi[front, ROUTE], at]
        if at == lane and (vi[front, LANE] != lane or vf[front, S] - vf[front, LEN] <= lf[lane, MEET1]):  # fmt: skip
            has_ticket = False
            for k in range(n):
                has_ticket = has_ticket or cl_row[lane, k] == front
            if not has_ticket:
                return False
    counts[C_TICKET] += 1
    cl_row[lane, n], cl_odo[lane, n] = i, vf[i, ODO] + base
    cl_ticket[lane, n] = counts[C_TICKET]
    li[lane, NCL] = n + 1
    vi[i, MEETS] = 1
    return True


@helper
def signal_code(light: Any, group: int, dist: float, v: float) -> int:
    """0 not signalised, 1 stop, 2 protected green, 3 permissive green or a yellow too late to stop."""
    if group < 0:
        return 0
    state = light[group]
    if state == 2:
        return 1
    if state == 5:
        return 2
    if state == 4:
        return 3
    if state == 6:
        return 1 if v * v <= 2.0 * B_YELLOW * max(dist, 0.0) else 3
    return 0


@helper
def light_is_red(light: Any, sl_i: Any, li: Any, lane: int) -> bool:
    """Whether any light of the lane's stop lines is plain red."""
    for r in range(li[lane, SL0], li[lane, SL1]):
        if sl_i[r, 1] >= 0 and light[sl_i[r, 1]] == 2:
            return True
    return False


@kernel
def decide(
    vf: Any, vi: Any, lf: Any, li: Any, hop: Any, act: Any, cf_i: Any, cf_f: Any, sl_i: Any,
    sl_s: Any, light: Any, cl_row: Any, cl_odo: Any, cl_ticket: Any, ap: Any, cr_f: Any,
    cr_block: Any, leg_i: Any, leg_f: Any, counts: Any, dt: float,
) -> None:  # fmt: skip
    """Accelerations of all background vehicles for the next `dt` (0.1 s), and their claims."""
    counts[C_STEP] += 1
    step = counts[C_STEP]
    new = step % 2
    half = vi.shape[0] // 2
    for i in range(counts[C_ROWS]):
        if vi[i, KIND] != BACKGROUND:
            continue
        lane, route = vi[i, LANE], vi[i, ROUTE]
        s, v, s0, a_max = vf[i, S], vf[i, V], vf[i, S0], vf[i, AMAX]
        two_ab = 2.0 * math.sqrt(a_max * vf[i, BCOM])
        b_max, t_gap = vf[i, BMAX], vf[i, T]
        ratio = v / max(min(lf[lane, LSPD] * vf[i, V0], vf[i, VMAX]), 0.5)
        ratio *= ratio
        pull = 0.0  # largest (s*/gap)^2
        limit = np.inf
        soft = np.inf  # kept by comfortable braking only
        turn = 0
        has_leader = False
        for node in range(2):
            n = i if node == 0 else i + half
            if node == 1 and vi[i, GL] < 0:
                break
            j = vi[n, AHEAD]
            if j >= 0:
                gap = vf[j, S] - vf[j, LEN] - vf[n, S]
                vl = vf[j, V]
                want = s0 + max(0.0, v * t_gap + v * (v - vl) / two_ab)
                q = want / max(gap, 0.1)
                pull = max(pull, q * q)
                limit = min(limit, safe_speed(gap - MARGIN, vl, b_max, dt))
                has_leader = has_leader or node == 0
        # Along the way: lights, gates, crossings, leaders beyond the end of the lane.
        look = 0.25 * v * v + 2.0 * v + 25.0
        decision = v * v / (2.0 * B_GATE) + 0.8 * v + 4.0
        base = -s
        reason = OK
        held = False
        front = vi[i, AHEAD]
        vi[i, MEETS] = 0
        for hops in range(MAX_CHAIN):
            is_met = base + lf[lane, MEET0] < look
            if is_met and not claim_place(vf, vi, lf, li, hop, cl_row, cl_odo, cl_ticket, counts, i, lane, base, front, decision):  # fmt: skip
                limit = min(limit, safe_speed(base + lf[lane, MEET0] - 0.3, 0.0, b_max, dt))
            if is_met or li[lane, JUNC] >= 0:
                limit = min(limit, junction_limit(vf, lf, li, cf_i, cf_f, cl_row, cl_odo, cl_ticket, i, lane, base, dt))  # fmt: skip
            for r in range(li[lane, CR0], li[lane, CR1]):
                d = base + cr_f[r, 0] - 1.0
                if cr_block[r] > 0 and d > -0.5:
                    comfortable = cr_block[r] > 1 or v * v <= 4.0 * d
                    if comfortable:
                        limit = min(limit, safe_speed(d, 0.0, B_JUNCTION, dt))
                        held = held or d < 3.0
            if vi[i, LEG] >= 0 and leg_i[vi[i, LEG], 1] == lane:
                d = base + leg_f[vi[i, LEG], 0]
                if d > -2.0:
                    soft = min(soft, math.sqrt(2.0 * 1.0 * max(d, 0.0)))
            end = base + lf[lane, LLEN]
            first = li[lane, SL0]
            is_far = base + lf[lane, LHI] > look
            if is_far and (first == li[lane, SL1] or base + sl_s[first] > look):
                break  # before the large tables are touched
            code = act[route, lane]
            nxt = hop[route, lane]
            is_gate = nxt >= 0 and li[nxt, JUNC] >= 0 and li[lane, JUNC] < 0 and code != ON_TARGET
            # Stop lines: those of a gate are kept by the gate, any other by itself.
            state, d_stop, must_halt = 0, end, False
            for r in range(first, li[lane, SL1]):
                if sl_i[r, 0] >= 0 and sl_i[r, 0] != nxt:
                    continue
                d = base + sl_s[r]
                if d < -0.05 or d > look:
                    continue
                seen = signal_code(light, sl_i[r, 1], d, v)
                if not is_gate or end - d > GATE_LINE_M:
                    if seen == 1:
                        reason = SIGNAL
                        d = max(d - 0.3, 0.0)
                        soft = min(soft, math.sqrt(2.0 * B_LINE * d))
                        limit = min(limit, safe_speed(d, 0.0, b_max, dt))
                        held = held or d < 4.0
                    continue
                d_stop = min(d_stop, d)
                if sl_i[r, 2] == 1 and vf[i, WAIT] < 0.5:
                    must_halt = True
                state = 1 if seen == 1 or state == 1 else max(state, seen)
            if reason != OK or is_far:
                break
            # A body still across the end, whatever way it takes.
            if not has_leader:
                j = li[lane, LAST]
                if j >= 0 and j != i and vi[j, ID] == li[lane, LASTID]:
                    past = vf[j, ODO] - lf[lane, LODO]
                    if past < vf[j, LEN]:
                        gap = end + past - vf[j, LEN]
                        vl = vf[j, V]
                        want = s0 + max(0.0, v * t_gap + v * (v - vl) / two_ab)
                        q = want / max(gap, 0.1)
                        pull = max(pull, q * q)
                        limit = min(limit, safe_speed(gap - MARGIN, vl, b_max, dt))
            if code == ON_TARGET:
                break
            if nxt < 0:  # the lane ends; a change to the side needs room
                d = base + lf[lane, LHI]
                d -= LC_ROOM_M if code in (1, -1) and vi[i, GL] < 0 else 1.0
                if v < 0.1:
                    vf[i, STUCK] += dt
                q = (s0 + v * t_gap + v * v / two_ab) / max(d + s0, 0.1)
                pull = max(pull, q * q)
                limit = min(limit, safe_speed(max(d, 0.0), 0.0, b_max, dt))
                break
            ahead_speed = min(lf[nxt, LSPD] * vf[i, V0], vf[i, VMAX])
            if v > ahead_speed:
                soft = min(soft, math.sqrt(ahead_speed * ahead_speed + 2.0 * 1.5 * max(end, 0.0)))
            if li[nxt, JUNC] >= 0 and li[lane, JUNC] < 0:
                turn = int(lf[nxt, LTURN])
            if is_gate and vi[i, RESV] == nxt and state == 1 and d_stop >= 0.0:
                # A light that changed: whoever can stop gives its claim back.
                brake = 0.9 * b_max if light_is_red(light, sl_i, li, lane) else B_YELLOW + 0.5
                if v * v <= 2.0 * brake * d_stop:
                    vi[i, DROP] = 1
                else:
                    state = 3
            if state == 1:
                reason = SIGNAL
            elif is_gate and vi[i, RESV] != nxt:
                j_front = vi[i, AHEAD] if hops == 0 else li[lane, TAIL]
                if d_stop < decision:
                    if must_halt:
                        reason = YIELDS
                    elif hops > 0 and vi[i, RESV] >= 0:
                        reason = QUEUE
                    else:
                        j = j_front
                        if (j >= 0 and vi[j, RESV] < 0 and vi[j, KIND] == BACKGROUND) or j >= half:
                            reason = QUEUE
                        else:
                            reason = gate(vf, vi, lf, li, hop, cf_i, cf_f, cl_row, cl_odo, cl_ticket, ap, counts, i, nxt, end, state == 2)  # fmt: skip
                elif vi[i, REASON] == OK and (j_front < 0 or vi[j_front, RESV] >= 0):
                    eta = travel_s(end, v, a_max, max(min(lf[lane, LSPD], vf[i, VMAX]), 0.5))
                    if ap[new, nxt, 0] != step or eta < ap[new, nxt, 1]:
                        ap[new, nxt, 0] = step
                        ap[new, nxt, 1] = eta
                    break
                else:
                    break
            if reason != OK:
                d = d_stop - 0.3
                q = 0.5 * (s0 + v * t_gap) + v * v / two_ab
                q /= max(d + 0.5 * s0, 0.1)
                # Not harder than a quarter above what the stop needs: IDM alone overreacts to a sudden yellow.
                cap = 1.0 - ratio * ratio + 1.25 * v * v / (2.0 * max(d, 0.3) * a_max)
                pull = max(pull, min(q * q, cap))
                limit = min(limit, safe_speed(d, 0.0, b_max, dt))
                held = held or d_stop < 4.0
                break
            # A leader on the next lane.
            if not has_leader:
                j = li[nxt, TAIL]
                if j >= 0 and j != i:
                    gap = end + vf[j, S] - vf[j, LEN]
                    vl = vf[j, V]
                    want = s0 + max(0.0, v * t_gap + v * (v - vl) / two_ab)
                    q = want / max(gap, 0.1)
                    pull = max(pull, q * q)
                    limit = min(limit, safe_speed(gap - MARGIN, vl, b_max, dt))
                    has_leader = True
            if front < 0:
                front = li[nxt, TAIL]
            lane = nxt
            base = end
        accel = a_max * (1.0 - ratio * ratio)
        accel = max(accel, -vf[i, BCOM]) - a_max * pull
        if vi[i, COOPT] >= 0 and vf[i, COOPS] >= step - 6:  # lets a neighbour in
            j = vi[i, COOPT]
            gap = vf[j, S] - vf[j, LEN] - s
            if gap > 0.5:
                q = (s0 + max(0.0, v * t_gap + v * (v - vf[j, V]) / two_ab)) / gap
                accel = min(accel, max(a_max * (1.0 - ratio * ratio - q * q), -1.5))
            elif (
                vi[i, LANE] != vi[j, LANE] and vf[j, COOPS] < step - 6
            ):  # falls behind who is beside
                accel = min(accel, max(0.7 * vf[j, V] - v, -1.0))
        accel = min(accel, max((soft - v) / dt, -1.5 * vf[i, BCOM]))
        accel = min(accel, (limit - v) / dt)
        vf[i, A] = max(accel, -b_max)
        if v < 0.1 and (held or reason != OK):
            vf[i, WAIT] += dt
        elif reason == OK and not held:
            vf[i, WAIT] = 0.0
        vi[i, REASON] = reason
        vi[i, TURN] = turn
        if vi[i, LEG] >= 0 and leg_i[vi[i, LEG], 1] == vi[i, LANE]:
            d = leg_f[vi[i, LEG], 0] - s
            if (d < 1.5 and v < 0.2) or vf[i, DWELL] > 0.0:
                vf[i, DWELL] += dt
                vf[i, A] = min(vf[i, A], -v / dt)
                if vf[i, DWELL] > leg_f[vi[i, LEG], 1]:
                    vf[i, DWELL] = 0.0
                    vi[i, LEG] += 1
                    vi[i, ROUTE] = leg_i[vi[i, LEG], 0]
            elif d < -2.0:
                vi[i, LEG] += 1
                vi[i, ROUTE] = leg_i[vi[i, LEG], 0]
