"""Where there is room for a vehicle to appear: in front, behind, and at the end of the lane.

Plain Python: asked a few times a second at most, unlike the kernels, and not worth compiling.
"""

from __future__ import annotations

from protocols.roads.network import F64, I32
from sim.traffic import _kernels as k
from sim.traffic.tables import LaneTables

GAP_M = 2.5  # least distance to anybody
SOFT_DECEL_MPS2 = (
    3.0  # nobody has to brake harder for a vehicle that appears, nor it for the others
)
DT_S = 0.1


def entry_speed(
    vf: F64,
    vi: I32,
    tables: LaneTables,
    lane: int,
    s_m: float,
    length_m: float,
    speed_mps: float,
    max_decel_mps2: float,
) -> float:
    """Speed at which a vehicle may appear with its front at `s_m`, at most `speed_mps`; negative when there is no room."""
    lf, li, v = tables.lf, tables.li, speed_mps
    end = float(lf[lane, k.LLEN])
    if s_m > end:
        return -1.0
    behind, ahead = -1, int(li[lane, k.TAIL])
    while ahead >= 0 and vf[ahead, k.S] < s_m:
        behind, ahead = ahead, int(vi[ahead, k.AHEAD])
    in_front = []
    if ahead >= 0:
        in_front.append((float(vf[ahead, k.S] - vf[ahead, k.LEN]) - s_m, ahead))
    last = int(li[lane, k.LAST])
    if last >= 0 and vi[last, k.ID] == li[lane, k.LASTID]:
        past = float(vf[last, k.ODO] - lf[lane, k.LODO])
        if past < vf[last, k.LEN]:  # its body still lies across the lane's end
            in_front.append((end - s_m + past - float(vf[last, k.LEN]), last))
    for gap, other in in_front:
        if gap < GAP_M:
            return -1.0
        decel = min(max_decel_mps2, SOFT_DECEL_MPS2)
        v = min(v, k.safe_speed(gap - 2.0, float(vf[other, k.V]), decel, DT_S))
    if li[lane, k.NXT0] >= 0:  # able to stop at the lane's end
        v = min(v, k.safe_speed(end - s_m, 0.0, SOFT_DECEL_MPS2, DT_S))
    if s_m < lf[lane, k.MEET0]:  # and before the place where others meet the lane
        v = min(v, k.safe_speed(float(lf[lane, k.MEET0]) - s_m, 0.0, SOFT_DECEL_MPS2, DT_S))
    elif s_m - length_m < lf[lane, k.MEET1]:
        met = tables.cf_i[li[lane, k.CF0] : li[lane, k.CF1], 0]
        if (li[met, k.NCL] > 0).any() or (li[met, k.TAIL] >= 0).any():
            return -1.0
    coming = []
    if behind >= 0:
        coming.append((s_m - length_m - float(vf[behind, k.S]), behind))
    else:
        for before in tables.pv[tables.pv_start[lane] : tables.pv_start[lane + 1]]:
            head = int(li[before, k.HEAD])
            if head >= 0:
                rest = float(lf[before, k.LLEN] - vf[head, k.S])
                coming.append((s_m - length_m + rest, head))
    for gap, other in coming:
        if gap < GAP_M or vf[other, k.V] > k.safe_speed(gap - 1.0, v, SOFT_DECEL_MPS2, DT_S):
            return -1.0
    return v
