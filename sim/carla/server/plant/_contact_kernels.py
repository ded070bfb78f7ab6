"""Contacts of oriented boxes: who touches whom, impulses that stop them, and pushing them apart.

Seen from above; heights only decide whether two boxes meet at all. Boxes with others near are hashed by the cell of their centre,
static ones lie in a grid made once. Two boxes that were apart before the step are traced along it (a swept separating-axis test: the
axis whose overlap begins last is the contact's normal) and set back to where they meet, so nothing passes through anything and the
side that is hit does not depend on the step. Boxes that overlapped already are separated along the axis of least overlap. Pairs are
worked through in the order of their rows with a fixed number of rounds, so that far-away pairs cannot influence each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protocols.jit import helper, inlined, kernel
from sim.carla.server import columns as c
from sim.carla.server.plant import layout as p

RESTITUTION = 0.15
BOUNCE_MPS = 1.0  # slower contacts do not bounce
MOST_BOUNCE_MPS = 1.5  # faster ones crumple
FRICTION = 0.3  # metal on metal
SLOP_M = 0.005  # contacts keep this much overlap, so that they last
MIN_OVERLAP_M = 0.1  # in height; less is driven over
LEAST_HALF_M, MOST_HALF_M = 0.01, 200.0
ROUNDS = 8  # of impulses
WARM = 0.9  # share of the last step's impulse a lasting contact starts from, so that long rows of bodies hold
PUSHES = 8  # of moving apart
PUSH_SHARE = 0.8
KNOCK_MPS = 1.0  # a walker whose velocity is changed by more has been knocked over
YIELD_MPS = 0.5  # a walker does not push a vehicle slower than this
MAX_SPIN_RADPS = 20.0
LEAST_IMPULSE_NS = 1e-6  # smaller ones are forgotten, before they become denormal
OFFSET = 1 << 31  # makes the second half of a pair's key positive
ALONE = -2  # ends no chain of bodies: there is nobody near
STATIC = -1  # static box k has the row STATIC - k

# columns of a contact, (JX, JY) its impulse on A, and of its pair; KNOWN and HELD are keys and impulses of the last step
NX, NY, RAX, RAY, RBX, RBY, DEPTH, TARGET, NORMAL, TANGENT, MA, MB, IA, IB, JX, JY, HELD = range(17)
CONTACT = 17
A, B, FIRST, KEY, KNOWN = range(5)
PAIR = 5
# rows of the table of bodies: the chain that begins in a slot; of every body the next one in its chain, its cell, its row;
# the map of cells with one body and with more
HEAD, NEXT, CELL_X, CELL_Y, ROW, ONE, MORE = range(7)
TABLE = 7


@inlined
def shape(f: Any, i: Any, q: Any, box: Any, r: int) -> None:
    """The box of row r as the step left it."""
    if i[r, c.KIND] == c.VEHICLE and i[r, c.SIMULATE] != 0:
        cos, sin = q[r, p.YAW_COS], q[r, p.YAW_SIN]  # `advance` has just written them
    else:
        yaw = f[r, c.YAW] * (math.pi / 180.0)
        cos, sin = math.cos(yaw), math.sin(yaw)
    hx = min(max(f[r, c.EXT_X], LEAST_HALF_M), MOST_HALF_M)
    hy = min(max(f[r, c.EXT_Y], LEAST_HALF_M), MOST_HALF_M)
    hz = min(max(f[r, c.EXT_Z], LEAST_HALF_M), MOST_HALF_M)
    bx, by = f[r, c.BOX_X], f[r, c.BOX_Y]
    box[r, p.CX], box[r, p.CY] = f[r, c.X] + bx * cos - by * sin, f[r, c.Y] + bx * sin + by * cos
    box[r, p.COS], box[r, p.SIN] = cos, sin
    box[r, p.HALF_X], box[r, p.HALF_Y] = hx, hy
    middle = f[r, c.Z] + f[r, c.BOX_Z]
    box[r, p.LOW], box[r, p.HIGH] = middle - hz, middle + hz
    dx, dy = f[r, c.X] - q[r, p.OLD_X], f[r, c.Y] - q[r, p.OLD_Y]
    if not (abs(dx) < MOST_HALF_M and abs(dy) < MOST_HALF_M):
        dx, dy = 0.0, 0.0
    box[r, p.DX], box[r, p.DY] = dx, dy
    box[r, p.REACH] = math.sqrt(hx * hx + hy * hy) + abs(dx) + abs(dy)
    box[r, p.INV_MASS] = box[r, p.INV_INERTIA] = 0.0
    if i[r, c.SIMULATE] != 0 and f[r, c.MASS] > 0.0:
        box[r, p.INV_MASS] = 1.0 / f[r, c.MASS]
        if i[r, c.KIND] != c.WALKER:
            box[r, p.INV_INERTIA] = 1.0 / (f[r, c.MASS] * q[r, p.GYRATION2])
    box[r, p.BVX], box[r, p.BVY] = f[r, c.VX], f[r, c.VY]
    box[r, p.BSPIN] = f[r, c.WZ] * (math.pi / 180.0)


@helper
def axis(box: Any, a: int, other: Any, b: int, k: int) -> Any:
    """Separating axis k of two boxes and half the room both take up along it."""
    ca, sa, cb, sb = box[a, p.COS], box[a, p.SIN], other[b, p.COS], other[b, p.SIN]
    same, cross = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    ax, ay, bx, by = box[a, p.HALF_X], box[a, p.HALF_Y], other[b, p.HALF_X], other[b, p.HALF_Y]
    if k == 0:
        return ca, sa, ax + bx * same + by * cross
    if k == 1:
        return -sa, ca, ay + bx * cross + by * same
    if k == 2:
        return cb, sb, bx + ax * same + ay * cross
    return -sb, cb, by + ax * cross + ay * same


@helper
def meet(box: Any, a: int, other: Any, b: int) -> Any:
    """When in the step (0..1, 2: never) a meets b, the normal from b to a, and the overlap left there.

    Time 1 with an overlap: they touched before the step and do so at its end.
    """
    ex, ey = box[a, p.CX] - other[b, p.CX], box[a, p.CY] - other[b, p.CY]
    mx, my = box[a, p.DX] - other[b, p.DX], box[a, p.DY] - other[b, p.DY]
    before, after = math.inf, math.inf  # least overlap at the start and the end
    first, last = -math.inf, math.inf
    nx = ny = fx = fy = 0.0
    for k in range(4):
        x, y, room = axis(box, a, other, b, k)
        end, way = ex * x + ey * y, mx * x + my * y
        start = end - way
        before = min(before, room - abs(start))
        if room - abs(end) < after - 1e-9:
            after = room - abs(end)
            sign = 1.0 if end >= 0.0 else -1.0
            nx, ny = sign * x, sign * y
        room -= SLOP_M
        if abs(way) > 1e-12:
            enter, leave = (-room - start) / way, (room - start) / way
            if enter > leave:
                enter, leave = leave, enter
            if enter > first + 1e-12:
                first = enter
                sign = 1.0 if way < 0.0 else -1.0
                fx, fy = sign * x, sign * y
            last = min(last, leave)
        elif abs(start) >= room:
            last = -math.inf
    if before > 0.0:
        return (1.0, nx, ny, after) if after > 0.0 else (2.0, 0.0, 0.0, 0.0)
    if 0.0 <= first <= 1.0 and first < last:
        return first, fx, fy, SLOP_M
    return 2.0, 0.0, 0.0, 0.0


@helper
def touch(box: Any, a: int, other: Any, b: int, poly: Any) -> Any:
    """The middle of what both boxes cover: a's corners cut by b's sides."""
    ca, sa, cb, sb = box[a, p.COS], box[a, p.SIN], other[b, p.COS], other[b, p.SIN]
    ex, ey = box[a, p.CX] - other[b, p.CX], box[a, p.CY] - other[b, p.CY]
    mx, my = ex * cb + ey * sb, ey * cb - ex * sb  # a's centre and axes in b's frame
    c_, s_ = ca * cb + sa * sb, sa * cb - ca * sb
    hx, hy = box[a, p.HALF_X], box[a, p.HALF_Y]
    for k in range(4):
        px, py = (hx if k in (0, 3) else -hx), (hy if k < 2 else -hy)
        poly[0, k, 0], poly[0, k, 1] = mx + px * c_ - py * s_, my + px * s_ + py * c_
    n, here = 4, 0
    for side in range(4):
        d = side // 2
        sign = 1.0 if side % 2 == 0 else -1.0
        limit = other[b, p.HALF_X] if d == 0 else other[b, p.HALF_Y]
        there = 1 - here
        m = 0
        for k in range(n):
            j = k + 1 if k + 1 < n else 0
            u, v = limit - sign * poly[here, k, d], limit - sign * poly[here, j, d]
            if u >= 0.0:
                poly[there, m, 0], poly[there, m, 1] = poly[here, k, 0], poly[here, k, 1]
                m += 1
            if u * v < 0.0:
                t = u / (u - v)
                for e in range(2):
                    poly[there, m, e] = poly[here, k, e] + t * (poly[here, j, e] - poly[here, k, e])
                m += 1
        n, here = m, there
        if n == 0:
            break
    x = y = 0.0
    if n == 0:
        x, y = 0.5 * mx, 0.5 * my
    for k in range(n):
        x += poly[here, k, 0] / n
        y += poly[here, k, 1] / n
    return other[b, p.CX] + x * cb - y * sb, other[b, p.CY] + x * sb + y * cb


@helper
def near(box: Any, a: int, other: Any, b: int) -> bool:
    """Whether the two may meet in this step and one of them can move."""
    dx, dy = box[a, p.CX] - other[b, p.CX], box[a, p.CY] - other[b, p.CY]
    reach = box[a, p.REACH] + other[b, p.REACH]
    return bool(
        dx * dx + dy * dy < reach * reach
        and box[a, p.INV_MASS] + other[b, p.INV_MASS] > 0.0
        and box[a, p.HIGH] - other[b, p.LOW] > MIN_OVERLAP_M
        and other[b, p.HIGH] - box[a, p.LOW] > MIN_OVERLAP_M
    )


@helper
def mark(box: Any, n: int, table: Any) -> bool:
    """Where the bodies are; NEXT is ALONE for those with nobody in their cell or beside it. True where there are others.

    The map of cells has 32 columns and is laid over the world again and again: strangers may share a cell, nobody is overlooked.
    """
    widest = 0.5
    for k in range(n):
        widest = max(widest, box[table[ROW, k], p.REACH])
    inv = 0.5 / widest
    half = table.shape[1]
    mask = half - 1
    for k in range(half):
        table[ONE, k] = table[MORE, k] = 0
    for k in range(n):
        r = table[ROW, k]
        gx, gy = int(np.floor(box[r, p.CX] * inv)), int(np.floor(box[r, p.CY] * inv))
        table[CELL_X, k], table[CELL_Y, k] = gx, gy
        bit, at = 1 << (gx & 31), gy & mask
        table[MORE, at] |= table[ONE, at] & bit
        table[ONE, at] |= bit
    crowded = False
    for k in range(n):
        gx, gy = table[CELL_X, k], table[CELL_Y, k]
        bit, beside = 1 << (gx & 31), 1 << (gx - 1 & 31) | 1 << (gx + 1 & 31)
        others = (table[ONE, gy - 1 & mask] | table[ONE, gy + 1 & mask]) & (beside | bit)
        others |= table[ONE, gy & mask] & beside | table[MORE, gy & mask] & bit
        table[NEXT, k] = ALONE if others == 0 else 0
        crowded |= others != 0
    return crowded


@helper
def candidates(
    box: Any, n: int, walls: Any, grid: Any, start: Any, entry: Any, table: Any, pairs: Any
) -> int:
    """Fills KEY with pairs that may meet, ascending: (row << 32) + other + OFFSET."""
    half = table.shape[1]
    mask = half - 1
    nx, ny = int(grid[3]), int(grid[4])
    if mark(box, n, table):
        for k in range(half):
            table[HEAD, k] = -1
        for k in range(n):
            if table[NEXT, k] != ALONE:
                slot = (table[CELL_X, k] * 73856093 ^ table[CELL_Y, k] * 19349663) & mask
                table[NEXT, k] = table[HEAD, slot]  # chains run from the latest body down
                table[HEAD, slot] = k
    elif nx == 0:
        return 0
    x0, y0, cell = grid[0], grid[1], grid[2]
    count, limit = 0, pairs.shape[0]
    for k in range(n):
        r = table[ROW, k]
        begin = count
        gx, gy = table[CELL_X, k], table[CELL_Y, k]
        for ix in range(gx - 1, gx - 1 if table[NEXT, k] == ALONE else gx + 2):
            for iy in range(gy - 1, gy + 2):
                m = table[HEAD, (ix * 73856093 ^ iy * 19349663) & mask]
                while m > k:
                    if (
                        table[CELL_X, m] == ix
                        and table[CELL_Y, m] == iy
                        and near(box, r, box, table[ROW, m])
                        and count < limit
                    ):
                        pairs[count, KEY] = (r << 32) + table[ROW, m] + OFFSET
                        count += 1
                    m = table[NEXT, m]
        if nx > 0 and box[r, p.INV_MASS] > 0.0:
            reach = box[r, p.REACH]
            u0 = max(int(np.floor((box[r, p.CX] - reach - x0) / cell)), 0)
            v0 = max(int(np.floor((box[r, p.CY] - reach - y0) / cell)), 0)
            u1 = min(int(np.floor((box[r, p.CX] + reach - x0) / cell)), nx - 1)
            v1 = min(int(np.floor((box[r, p.CY] + reach - y0) / cell)), ny - 1)
            for v in range(v0, v1 + 1):
                for u in range(u0, u1 + 1):
                    for e in range(start[v * nx + u], start[v * nx + u + 1]):
                        if near(box, r, walls, entry[e]) and count < limit:
                            pairs[count, KEY] = (r << 32) + STATIC - entry[e] + OFFSET
                            count += 1
        for j in range(begin + 1, count):  # few: insertion sort
            key = pairs[j, KEY]
            m = j - 1
            while m >= begin and pairs[m, KEY] > key:
                pairs[m + 1, KEY] = pairs[m, KEY]
                m -= 1
            pairs[m + 1, KEY] = key
    kept = 0
    for k in range(count):  # a wall lies in several cells
        if kept == 0 or pairs[k, KEY] != pairs[kept - 1, KEY]:
            pairs[kept, KEY] = pairs[k, KEY]
            kept += 1
    return kept


@helper
def prepare(i: Any, box: Any, a: int, other: Any, b: int, walker: bool, con: Any, k: int, poly: Any, hit: Any) -> None:  # fmt: skip
    """Contact k of a and b: lever arms, masses, the speed they part with."""
    nx, ny = hit[1], hit[2]
    x, y = touch(box, a, other, b, poly)
    rax, ray = x - box[a, p.CX], y - box[a, p.CY]
    rbx, rby = x - other[b, p.CX], y - other[b, p.CY]
    ma, mb = box[a, p.INV_MASS], other[b, p.INV_MASS]
    ia, ib = box[a, p.INV_INERTIA], other[b, p.INV_INERTIA]
    if walker:  # who of them is the vehicle has an inertia
        limit = YIELD_MPS * YIELD_MPS
        if (
            ia > 0.0
            and mb > 0.0
            and box[a, p.BVX] * box[a, p.BVX] + box[a, p.BVY] * box[a, p.BVY] < limit
        ):
            ma = ia = 0.0
        elif (
            ib > 0.0
            and ma > 0.0
            and other[b, p.BVX] * other[b, p.BVX] + other[b, p.BVY] * other[b, p.BVY] < limit
        ):
            mb = ib = 0.0
    vx = box[a, p.BVX] - box[a, p.BSPIN] * ray - other[b, p.BVX] + other[b, p.BSPIN] * rby
    vy = box[a, p.BVY] + box[a, p.BSPIN] * rax - other[b, p.BVY] - other[b, p.BSPIN] * rbx
    closing = -(vx * nx + vy * ny)
    con[k, NX], con[k, NY] = nx, ny
    con[k, RAX], con[k, RAY], con[k, RBX], con[k, RBY] = rax, ray, rbx, rby
    con[k, DEPTH] = hit[3]
    con[k, TARGET] = 0.0
    if closing > BOUNCE_MPS:
        con[k, TARGET] = min(RESTITUTION * closing, MOST_BOUNCE_MPS)
    con[k, NORMAL] = con[k, TANGENT] = 0.0
    con[k, MA], con[k, MB], con[k, IA], con[k, IB] = ma, mb, ia, ib


@helper
def push(box: Any, r: int, mass: float, inertia: float, x: float, y: float, rx: float, ry: float) -> None:  # fmt: skip
    """Impulse (x, y) on row r at (rx, ry) from its middle."""
    box[r, p.BVX] += mass * x
    box[r, p.BVY] += mass * y
    box[r, p.BSPIN] += inertia * (rx * y - ry * x)


@helper
def solve(box: Any, pairs: Any, con: Any, k: int) -> None:
    """One round of impulses at contact k: stop closing, then rub."""
    a, b = pairs[k, A], pairs[k, B]
    rax, ray, rbx, rby = con[k, RAX], con[k, RAY], con[k, RBX], con[k, RBY]
    ma, mb, ia, ib = con[k, MA], con[k, MB], con[k, IA], con[k, IB]
    for along in range(2):
        nx, ny = con[k, NX], con[k, NY]
        if along == 1:
            nx, ny = -ny, nx
        vx, vy = box[a, p.BVX] - box[a, p.BSPIN] * ray, box[a, p.BVY] + box[a, p.BSPIN] * rax
        if b >= 0:
            vx -= box[b, p.BVX] - box[b, p.BSPIN] * rby
            vy -= box[b, p.BVY] + box[b, p.BSPIN] * rbx
        arm_a, arm_b = rax * ny - ray * nx, rbx * ny - rby * nx
        weight = ma + mb + ia * arm_a * arm_a + ib * arm_b * arm_b
        if weight <= 0.0:
            return
        speed = vx * nx + vy * ny
        if along == 0:
            old = con[k, NORMAL]
            new = max(old + (con[k, TARGET] - speed) / weight, 0.0)
            con[k, NORMAL] = new
        else:
            old = con[k, TANGENT]
            most = FRICTION * con[k, NORMAL]
            new = min(max(old - speed / weight, -most), most)
            con[k, TANGENT] = new
        jx, jy = (new - old) * nx, (new - old) * ny
        push(box, a, ma, ia, jx, jy, rax, ray)
        if b >= 0:
            push(box, b, mb, ib, -jx, -jy, rbx, rby)


@helper
def warm(box: Any, pairs: Any, con: Any, k: int, impulse: float) -> None:
    """Contact k starts from this impulse; the rounds take back what is too much."""
    a, b = pairs[k, A], pairs[k, B]
    x, y = impulse * con[k, NX], impulse * con[k, NY]
    con[k, NORMAL] = impulse
    push(box, a, con[k, MA], con[k, IA], x, y, con[k, RAX], con[k, RAY])
    if b >= 0:
        push(box, b, con[k, MB], con[k, IB], -x, -y, con[k, RBX], con[k, RBY])


@helper
def apart(box: Any, pairs: Any, con: Any, k: int) -> None:
    """Move the two of contact k away from each other, the lighter further."""
    a, b = pairs[k, A], pairs[k, B]
    nx, ny, ma, mb = con[k, NX], con[k, NY], con[k, MA], con[k, MB]
    moved = box[a, p.DX] * nx + box[a, p.DY] * ny
    if b >= 0:
        moved -= box[b, p.DX] * nx + box[b, p.DY] * ny
    left = PUSH_SHARE * (con[k, DEPTH] - SLOP_M - moved)
    if left <= 0.0 or ma + mb <= 0.0:
        return
    left /= ma + mb
    box[a, p.DX] += ma * left * nx
    box[a, p.DY] += ma * left * ny
    if b >= 0:
        box[b, p.DX] -= mb * left * nx
        box[b, p.DY] -= mb * left * ny


@helper
def set_back(f: Any, box: Any, r: int, t: float) -> None:
    """Row r as it was at time t of the step."""
    for k in range(2):
        less = (1.0 - t) * box[r, p.DX + k]
        f[r, c.X + k] -= less
        box[r, p.CX + k] -= less
        box[r, p.DX + k] -= less


@helper
def place(pairs: Any, n: int, key: int) -> int:
    """Where the key is among the last step's n, which ascend; -1 where it is not."""
    low, high = 0, n
    while low < high:
        mid = (low + high) // 2
        if pairs[mid, KNOWN] < key:
            low = mid + 1
        else:
            high = mid
    return low if low < n and pairs[low, KNOWN] == key else -1


@helper
def gather(f: Any, i: Any, q: Any, high: int, box: Any, table: Any) -> int:
    """All that can be hit as boxes, their rows in ROW; the number of them, 0 where none can move."""
    n = 0
    moving = False
    for r in range(high):
        if i[r, c.COLLIDES] == 0 or i[r, c.ID] == 0 or i[r, c.PARENT] != 0:
            continue
        kind = i[r, c.KIND]
        if kind == c.VEHICLE or kind == c.WALKER or kind == c.PROP:  # noqa: PLR1714
            shape(f, i, q, box, r)
            moving = moving or box[r, p.INV_MASS] > 0.0
            table[ROW, n] = r
            n += 1
    return n if moving else 0


@kernel
def collide(
    f: Any, i: Any, q: Any, high: int, dt: float, box: Any, walls: Any, grid: Any, start: Any, entry: Any,
    table: Any, pairs: Any, con: Any, poly: Any, num_known: int,
) -> int:  # fmt: skip
    """Contacts after `advance`, then the acceleration of the whole step; the number of contacts in `pairs` and `con`.

    `num_known` is the number that the step before gave: its KNOWN and HELD are read, then written anew.
    """
    n = gather(f, i, q, high, box, table)
    found = candidates(box, n, walls, grid, start, entry, table, pairs) if n > 0 else 0
    num = 0
    for e in range(found):
        key = pairs[e, KEY]
        a, b = key >> 32, (key & 0xFFFFFFFF) - OFFSET
        hit = meet(box, a, box, b) if b >= 0 else meet(box, a, walls, STATIC - b)
        if hit[0] > 1.0 or num >= pairs.shape[0]:
            continue
        if hit[0] < 1.0:
            set_back(f, box, a, hit[0])
            if b >= 0:
                set_back(f, box, b, hit[0])
        pairs[num, A], pairs[num, B] = a, b
        if b >= 0:
            walker = (i[a, c.KIND] == c.WALKER) != (i[b, c.KIND] == c.WALKER)
            prepare(i, box, a, box, b, walker, con, num, poly, hit)
        else:
            prepare(i, box, a, walls, STATIC - b, False, con, num, poly, hit)
        num += 1
    for k in range(num):
        for e in range(2):
            r = pairs[k, A + e]
            if r >= 0:
                box[r, p.DX] = box[r, p.DY] = 0.0
    for k in range(num):
        key = (pairs[k, A] << 32) + pairs[k, B] + OFFSET
        before = place(pairs, num_known, key)
        pairs[k, FIRST] = 0 if before >= 0 else 1
        pairs[k, KEY] = key
        if before >= 0:
            warm(box, pairs, con, k, WARM * con[before, HELD])
    for _ in range(ROUNDS):
        for k in range(num):
            solve(box, pairs, con, k)
    for _ in range(PUSHES):
        for k in range(num):
            apart(box, pairs, con, k)
    for k in range(num):
        nx, ny = con[k, NX], con[k, NY]
        con[k, JX] = con[k, NORMAL] * nx - con[k, TANGENT] * ny
        con[k, JY] = con[k, NORMAL] * ny + con[k, TANGENT] * nx
        for e in range(2):
            r = pairs[k, A + e]
            if r < 0 or box[r, p.INV_MASS] == 0.0:
                continue
            if i[r, c.KIND] == c.WALKER:
                dx, dy = box[r, p.BVX] - f[r, c.VX], box[r, p.BVY] - f[r, c.VY]
                if dx * dx + dy * dy > KNOCK_MPS * KNOCK_MPS:
                    q[r, p.IS_KNOCKED] = 1.0
            f[r, c.VX], f[r, c.VY] = box[r, p.BVX], box[r, p.BVY]
            spin = min(max(box[r, p.BSPIN], -MAX_SPIN_RADPS), MAX_SPIN_RADPS)
            f[r, c.WZ] = spin * (180.0 / math.pi)
            f[r, c.X] += box[r, p.DX]
            f[r, c.Y] += box[r, p.DY]
            box[r, p.DX] = box[r, p.DY] = 0.0
    for k in range(num):
        pairs[k, KNOWN] = pairs[k, KEY]
        con[k, HELD] = con[k, NORMAL] if con[k, NORMAL] > LEAST_IMPULSE_NS else 0.0
    for r in range(high):
        if i[r, c.SIMULATE] == 0 or i[r, c.ID] == 0:
            continue
        for k in range(3):
            f[r, c.AX + k] = (f[r, c.VX + k] - q[r, p.OLD_VX + k]) / dt
    return num
