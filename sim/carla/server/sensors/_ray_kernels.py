"""Rays of a lidar, a radar or an obstacle detector against boxes, road triangles and terrain.

Everything is tested in the sensor's own frame, so a tilted sensor costs nothing more. A lidar's rays form a grid of azimuth and
elevation: an object touches only the azimuths and channels between which it lies, and only those rays are tested, exactly. A ray
that starts inside a box never hits that box.

Triangle test: with corners a, b, c seen from the sensor, a direction d passes through when d.(a x b), d.(b x c), d.(c x a) have one
sign, at distance a.(b x c) / (their sum). Neighbours share an edge product up to its sign, so no ray slips between them.
"""

from typing import Any

import numpy as np

from protocols.jit import array_helper, array_kernel
from sim.carla.server.sensors import _scene_kernels as s

NOTHING, TERRAIN, TRIANGLE = -1, -2, -3  # hits that are no body; triangle t is TRIANGLE - t
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S11 = np.uint64(11)
_S52 = np.uint64(52)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_TAU = 2.0 * np.pi


@array_helper
def _mix(state: Any, word: Any) -> Any:
    z = state + word * _GAMMA + _GAMMA
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@array_helper
def _unit(word: Any) -> Any:
    """[0, 1) from 64 random bits."""
    return np.float64(word >> _S11) * (1.0 / 9007199254740992.0)


@array_helper
def _wrap(angle: Any) -> Any:
    return angle - _TAU * np.ceil((angle - np.pi) / _TAU)


@array_helper
def _to_sensor(at: Any, rot: Any, x: Any, y: Any, z: Any) -> Any:
    dx, dy, dz = x - at[0], y - at[1], z - at[2]
    return (
        rot[0, 0] * dx + rot[0, 1] * dy + rot[0, 2] * dz,
        rot[1, 0] * dx + rot[1, 1] * dy + rot[1, 2] * dz,
        rot[2, 0] * dx + rot[2, 1] * dy + rot[2, 2] * dz,
    )


@array_helper
def _near2(ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Square of the least distance from the origin to a segment in the plane."""
    ex, ey = bx - ax, by - ay
    long = ex * ex + ey * ey
    k = 0.0
    if long > 0.0:
        k = min(max(-(ax * ex + ay * ey) / long, 0.0), 1.0)
    px, py = ax + k * ex, ay + k * ey
    return px * px + py * py


@array_helper
def _channels(grid: Any, near: Any, far: Any, low: Any, high: Any) -> Any:
    """First and last channel between whose elevations something at ground distances near..far and heights low..high lies."""
    upper, step, count = grid[3], grid[4], int(grid[5])
    top = np.arctan2(high, near if high >= 0.0 else far) + 1e-9
    bottom = np.arctan2(low, near if low <= 0.0 else far) - 1e-9
    if step == 0.0:
        if bottom <= upper <= top:
            return 0, count - 1
        return 0, -1
    a, b = (upper - top) / step, (upper - bottom) / step
    if a > b:
        a, b = b, a
    if b < 0.0 or a > count - 1.0:
        return 0, -1
    return max(int(np.ceil(a)), 0), min(int(np.floor(b)), count - 1)


@array_helper
def _rays(grid: Any, points: Any, low: Any, high: Any, turn: Any, lap: Any) -> Any:
    """First and last ray (of `points`) in azimuths low..high shifted by `turn` circles, in the `lap`-th sweep of the field of view."""
    current, step, view = grid[0], grid[1], grid[2]
    a = max(low + 0.5 * view + turn * _TAU, 0.0)
    b = min(high + 0.5 * view + turn * _TAU, view)
    if a > b + 1e-9:
        return 0, -1
    if step <= 0.0:
        return 0, points - 1
    first = (a + lap * view - current) / step - 1e-6
    last = (b + lap * view - current) / step + 1e-6
    if last < 0.0 or first > points - 1.0:
        return 0, -1
    return max(int(np.ceil(first)), 0), min(int(np.floor(last)), points - 1)


@array_helper
def _sheet(
    grid: Any, laps: Any, azimuth: Any, elevation: Any, code: Any, ax: Any, ay: Any, az: Any, bx: Any, by: Any, bz: Any,
    cx: Any, cy: Any, cz: Any, depth: Any, hit: Any, cosine: Any,
) -> None:  # fmt: skip
    """One triangle in the sensor's frame against the rays it may meet."""
    ab, bc, ca = ax * by - ay * bx, bx * cy - by * cx, cx * ay - cy * ax
    far = np.sqrt(max(ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy))
    around = (ab >= 0.0 and bc >= 0.0 and ca >= 0.0) or (ab <= 0.0 and bc <= 0.0 and ca <= 0.0)
    near = 0.0
    if not around:
        near = np.sqrt(min(_near2(ax, ay, bx, by), _near2(bx, by, cx, cy), _near2(cx, cy, ax, ay)))
    first, last = _channels(grid, near, far, min(az, bz, cz), max(az, bz, cz))
    if first > last:
        return
    low, high, middle = -np.pi, np.pi, 0.0
    if not around:
        middle = np.arctan2(ay, ax)
        one, two = _wrap(np.arctan2(by, bx) - middle), _wrap(np.arctan2(cy, cx) - middle)
        low, high = min(one, two, 0.0), max(one, two, 0.0)
    points = depth.shape[0]
    e0x, e0y, e0z = ay * bz - az * by, az * bx - ax * bz, ab
    e1x, e1y, e1z = by * cz - bz * cy, bz * cx - bx * cz, bc
    e2x, e2y, e2z = cy * az - cz * ay, cz * ax - cx * az, ca
    det = cx * e0x + cy * e0y + cz * e0z
    nx, ny, nz = e0x + e1x + e2x, e0y + e1y + e2y, e0z + e1z + e2z
    size = np.sqrt(nx * nx + ny * ny + nz * nz)
    if size == 0.0 or det == 0.0:
        return
    for turn in range(-1, 2):
        for lap in range(laps):
            p0, p1 = _rays(grid, points, middle + low, middle + high, turn, lap)
            for p in range(p0, p1 + 1):
                co, si = azimuth[p, 0], azimuth[p, 1]
                a0, a1, a2 = co * e0x + si * e0y, co * e1x + si * e1y, co * e2x + si * e2y
                for k in range(first, last + 1):
                    ce, se = elevation[k, 0], elevation[k, 1]
                    s0, s1, s2 = ce * a0 + se * e0z, ce * a1 + se * e1z, ce * a2 + se * e2z
                    if (s0 >= 0.0 and s1 >= 0.0 and s2 >= 0.0) or (
                        s0 <= 0.0 and s1 <= 0.0 and s2 <= 0.0
                    ):
                        total = s0 + s1 + s2
                        if total * det <= 0.0:
                            continue
                        d = det / total
                        if d < depth[p, k]:
                            depth[p, k] = d
                            hit[p, k] = code
                            cosine[p, k] = abs(total) / size


@array_helper
def _box(
    grid: Any, laps: Any, at: Any, rot: Any, azimuth: Any, elevation: Any, body: Any, b: Any, depth: Any, hit: Any,
    cosine: Any,
) -> None:  # fmt: skip
    """Body `b` against the rays it may meet."""
    # Axes and centre of the box in the sensor's frame; m[i][j]: sensor axis i along box axis j.
    gx, gy, gz = _to_sensor(at, rot, body[b, s.CX], body[b, s.CY], body[b, s.CZ])
    m = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            k = s.FX + 3 * j
            m[i, j] = (
                rot[i, 0] * body[b, k] + rot[i, 1] * body[b, k + 1] + rot[i, 2] * body[b, k + 2]
            )
    ex, ey, ez = body[b, s.EX], body[b, s.EY], body[b, s.EZ]
    # The sensor in the box's frame.
    ox, oy, oz = (
        -(m[0, 0] * gx + m[1, 0] * gy + m[2, 0] * gz),
        -(m[0, 1] * gx + m[1, 1] * gy + m[2, 1] * gz),
        -(m[0, 2] * gx + m[1, 2] * gy + m[2, 2] * gz),
    )
    if abs(ox) <= ex and abs(oy) <= ey and abs(oz) <= ez:
        return
    q = np.empty((8, 3))
    far2, low, high = 0.0, np.inf, -np.inf
    for k in range(8):
        u = ex if k & 1 else -ex
        v = ey if k & 2 else -ey
        w = ez if k & 4 else -ez
        for i in range(3):
            centre = gx if i == 0 else (gy if i == 1 else gz)
            q[k, i] = centre + m[i, 0] * u + m[i, 1] * v + m[i, 2] * w
        far2 = max(far2, q[k, 0] * q[k, 0] + q[k, 1] * q[k, 1])
        low, high = min(low, q[k, 2]), max(high, q[k, 2])
    # Is the sensor's vertical axis inside the outline? Then every azimuth may meet the box.
    near2 = np.inf
    middle = np.arctan2(gy, gx)
    left, right = 0.0, 0.0
    for k in range(8):
        turned = _wrap(np.arctan2(q[k, 1], q[k, 0]) - middle)
        left, right = min(left, turned), max(right, turned)
        for bit in range(3):
            other = k | (1 << bit)
            if other != k:
                near2 = min(near2, _near2(q[k, 0], q[k, 1], q[other, 0], q[other, 1]))
    if right - left >= np.pi - 1e-9:
        left, right, near2 = -np.pi, np.pi, 0.0
    first, last = _channels(grid, np.sqrt(near2), np.sqrt(far2), low, high)
    if first > last:
        return
    points = depth.shape[0]
    for turn in range(-1, 2):
        for lap in range(laps):
            p0, p1 = _rays(grid, points, middle + left, middle + right, turn, lap)
            for p in range(p0, p1 + 1):
                co, si = azimuth[p, 0], azimuth[p, 1]
                hx, hy, hz = (
                    co * m[0, 0] + si * m[1, 0],
                    co * m[0, 1] + si * m[1, 1],
                    co * m[0, 2] + si * m[1, 2],
                )
                for k in range(first, last + 1):
                    ce, se = elevation[k, 0], elevation[k, 1]
                    dx, dy, dz = (
                        ce * hx + se * m[2, 0],
                        ce * hy + se * m[2, 1],
                        ce * hz + se * m[2, 2],
                    )
                    d, axis = _slab(ox, oy, oz, dx, dy, dz, ex, ey, ez)
                    if 0.0 < d < depth[p, k]:
                        depth[p, k] = d
                        hit[p, k] = b
                        cosine[p, k] = abs(dx if axis == 0 else (dy if axis == 1 else dz))


@array_helper
def _slab(ox: Any, oy: Any, oz: Any, dx: Any, dy: Any, dz: Any, ex: Any, ey: Any, ez: Any) -> Any:
    """Where a ray enters a box around the origin (distance, axis); distance -1: it does not."""
    if abs(dx) < 1e-15:
        dx = 1e-15
    if abs(dy) < 1e-15:
        dy = 1e-15
    if abs(dz) < 1e-15:
        dz = 1e-15
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    x0, y0, z0 = -ox * ix - ex * abs(ix), -oy * iy - ey * abs(iy), -oz * iz - ez * abs(iz)
    x1, y1, z1 = -ox * ix + ex * abs(ix), -oy * iy + ey * abs(iy), -oz * iz + ez * abs(iz)
    enter, axis = x0, 0
    if y0 > enter:
        enter, axis = y0, 1
    if z0 > enter:
        enter, axis = z0, 2
    if enter > min(x1, y1, z1) or enter <= 0.0:
        return -1.0, 0
    return enter, axis


@array_kernel
def sweep(
    at: Any, rot: Any, reach: float, grid: Any, azimuth: Any, elevation: Any, body: Any, count: int, tri: Any, bound: Any,
    xs: Any, ys: Any, zs: Any, depth: Any, hit: Any, cosine: Any,
) -> None:  # fmt: skip
    """Nearest hit of every ray into `depth`, `hit` and `cosine` (of incidence), all (points, channels).

    `at` (3,) and `rot` (3, 3: forward, right, up) place the sensor. `grid`: first azimuth plus half the view, azimuth step, view,
    elevation of channel 0, step downwards, channels; radians. `azimuth` (points, 2) and `elevation` (channels, 2): cosine and sine.
    """
    points, channels = depth.shape
    for p in range(points):
        for k in range(channels):
            depth[p, k] = reach
            hit[p, k] = NOTHING
    laps = 1 + int((grid[0] + grid[1] * (points - 1)) / grid[2])
    for b in range(count):
        dx, dy, dz = body[b, s.CX] - at[0], body[b, s.CY] - at[1], body[b, s.CZ] - at[2]
        limit = reach + body[b, s.RADIUS]
        if dx * dx + dy * dy + dz * dz <= limit * limit:
            _box(grid, laps, at, rot, azimuth, elevation, body, b, depth, hit, cosine)
    for t in range(tri.shape[0]):
        dx, dy, dz = bound[t, 0] - at[0], bound[t, 1] - at[1], bound[t, 2] - at[2]
        limit = reach + bound[t, 3]
        if dx * dx + dy * dy + dz * dz > limit * limit:
            continue
        ax, ay, az = _to_sensor(at, rot, tri[t, 0], tri[t, 1], tri[t, 2])
        bx, by, bz = _to_sensor(at, rot, tri[t, 3], tri[t, 4], tri[t, 5])
        cx, cy, cz = _to_sensor(at, rot, tri[t, 6], tri[t, 7], tri[t, 8])
        _sheet(
            grid,
            laps,
            azimuth,
            elevation,
            TRIANGLE - t,
            ax,
            ay,
            az,
            bx,
            by,
            bz,
            cx,
            cy,
            cz,
            depth,
            hit,
            cosine,
        )
    for j in range(ys.size - 1):
        if ys[j] > at[1] + reach or ys[j + 1] < at[1] - reach:
            continue
        for i in range(xs.size - 1):
            gap_x = max(xs[i] - at[0], at[0] - xs[i + 1], 0.0)
            gap_y = max(ys[j] - at[1], at[1] - ys[j + 1], 0.0)
            if gap_x * gap_x + gap_y * gap_y > reach * reach:
                continue
            ax, ay, az = _to_sensor(at, rot, xs[i], ys[j], zs[j, i])
            bx, by, bz = _to_sensor(at, rot, xs[i + 1], ys[j], zs[j, i + 1])
            cx, cy, cz = _to_sensor(at, rot, xs[i + 1], ys[j + 1], zs[j + 1, i + 1])
            _sheet(
                grid,
                laps,
                azimuth,
                elevation,
                TERRAIN,
                ax,
                ay,
                az,
                bx,
                by,
                bz,
                cx,
                cy,
                cz,
                depth,
                hit,
                cosine,
            )
            bx, by, bz = _to_sensor(at, rot, xs[i], ys[j + 1], zs[j + 1, i])
            _sheet(
                grid,
                laps,
                azimuth,
                elevation,
                TERRAIN,
                ax,
                ay,
                az,
                cx,
                cy,
                cz,
                bx,
                by,
                bz,
                depth,
                hit,
                cosine,
            )


@array_kernel
def echoes(
    key: Any, turn: int, drop: float, zero: float, limit: float, fade: float, sigma: float, normal: Any, azimuth: Any,
    elevation: Any, depth: Any, hit: Any, counts: Any, out: Any,
) -> int:  # fmt: skip
    """Points of a sweep by channel into `out` (n, 4): x y z in the sensor's frame and intensity; their number per channel.

    A share `drop` of all rays is lost; of an echo weaker than `limit` as many more as its intensity falls towards 0, `zero` there.
    """
    points, channels = depth.shape
    base = _mix(key, np.uint64(turn))
    n = 0
    slope = zero / limit if limit > 0.0 else 0.0
    for k in range(channels):
        begin = n
        for p in range(points):
            if hit[p, k] == NOTHING:
                continue
            word = _mix(base, np.uint64(k * points + p))
            if drop > 0.0 and _unit(word) < drop:
                continue
            r = depth[p, k]
            intensity = np.exp(-fade * r)
            if intensity <= limit and _unit(_mix(word, _ONE)) >= slope * intensity + 1.0 - zero:
                continue
            if sigma > 0.0:
                r += sigma * normal[_mix(word, _TWO) >> _S52]
            flat = r * elevation[k, 0]
            out[n, 0] = flat * azimuth[p, 0]
            out[n, 1] = flat * azimuth[p, 1]
            out[n, 2] = r * elevation[k, 1]
            out[n, 3] = intensity
            n += 1
        counts[k] = n - begin
    return n


@array_kernel
def labelled(
    azimuth: Any, elevation: Any, depth: Any, hit: Any, cosine: Any, mark: Any, tri_tag: Any, terrain_tag: int, counts: Any,
    out: Any, what: Any,
) -> int:  # fmt: skip
    """Points of a sweep by channel: x y z and cosine of incidence into `out` (n, 6), actor (0 for what is none) and tag into the
    same bytes, `what`."""
    points, channels = depth.shape
    n = 0
    for k in range(channels):
        begin = n
        for p in range(points):
            h = hit[p, k]
            if h == NOTHING:
                continue
            flat = depth[p, k] * elevation[k, 0]
            out[n, 0] = flat * azimuth[p, 0]
            out[n, 1] = flat * azimuth[p, 1]
            out[n, 2] = depth[p, k] * elevation[k, 1]
            out[n, 3] = cosine[p, k]
            if h >= 0:
                what[n, 4] = mark[h, s.MID] if mark[h, s.MROW] >= 0 else 0
                what[n, 5] = mark[h, s.MTAG]
            else:
                what[n, 4] = 0
                what[n, 5] = terrain_tag if h == TERRAIN else tri_tag[TRIANGLE - h]
            n += 1
        counts[k] = n - begin
    return n


@array_helper
def _through(at: Any, x: Any, y: Any, z: Any, tri: Any) -> Any:
    """Distance at which the direction (x, y, z) from `at` meets the triangle `tri` (9,); inf: it does not."""
    ax, ay, az = tri[0] - at[0], tri[1] - at[1], tri[2] - at[2]
    bx, by, bz = tri[3] - at[0], tri[4] - at[1], tri[5] - at[2]
    cx, cy, cz = tri[6] - at[0], tri[7] - at[1], tri[8] - at[2]
    e0x, e0y, e0z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    s0 = x * e0x + y * e0y + z * e0z
    s1 = x * (by * cz - bz * cy) + y * (bz * cx - bx * cz) + z * (bx * cy - by * cx)
    s2 = x * (cy * az - cz * ay) + y * (cz * ax - cx * az) + z * (cx * ay - cy * ax)
    if (s0 < 0.0 or s1 < 0.0 or s2 < 0.0) and (s0 > 0.0 or s1 > 0.0 or s2 > 0.0):
        return np.inf
    det = cx * e0x + cy * e0y + cz * e0z
    total = s0 + s1 + s2
    if total * det <= 0.0:
        return np.inf
    return det / total


@array_helper
def _in_cone(at: Any, axis: Any, half: Any, reach: Any, x: Any, y: Any, z: Any, radius: Any) -> Any:
    """May a sphere be touched by a ray within `half` radians of `axis`?"""
    dx, dy, dz = x - at[0], y - at[1], z - at[2]
    limit = reach + radius
    d = dx * dx + dy * dy + dz * dz
    if d > limit * limit:
        return False
    d = np.sqrt(d)
    if d <= radius:
        return True
    wide = half + np.arcsin(radius / d)
    return wide >= np.pi or dx * axis[0] + dy * axis[1] + dz * axis[2] >= np.cos(wide) * d


@array_kernel
def cast(
    at: Any, axis: Any, half: float, direction: Any, reach: Any, body: Any, count: int, tri: Any, bound: Any, xs: Any, ys: Any,
    zs: Any, depth: Any, hit: Any,
) -> None:  # fmt: skip
    """Nearest hits of a few rays with unit world directions (N, 3), all within `half` of `axis`, each as long as `reach` (N,)."""
    number = reach.size
    longest = 0.0
    for r in range(number):
        depth[r] = reach[r]
        hit[r] = NOTHING
        longest = max(longest, reach[r])
    for b in range(count):
        if not _in_cone(
            at, axis, half, longest, body[b, s.CX], body[b, s.CY], body[b, s.CZ], body[b, s.RADIUS]
        ):
            continue
        v = np.empty(9)
        gx, gy, gz = at[0] - body[b, s.CX], at[1] - body[b, s.CY], at[2] - body[b, s.CZ]
        for k in range(9):
            v[k] = body[b, s.FX + k]
        ox, oy, oz = (
            gx * v[0] + gy * v[1] + gz * v[2],
            gx * v[3] + gy * v[4] + gz * v[5],
            gx * v[6] + gy * v[7] + gz * v[8],
        )
        ex, ey, ez = body[b, s.EX], body[b, s.EY], body[b, s.EZ]
        if abs(ox) <= ex and abs(oy) <= ey and abs(oz) <= ez:
            continue
        for r in range(number):
            x, y, z = direction[r, 0], direction[r, 1], direction[r, 2]
            d, _ = _slab(
                ox, oy, oz, x * v[0] + y * v[1] + z * v[2], x * v[3] + y * v[4] + z * v[5],
                x * v[6] + y * v[7] + z * v[8], ex, ey, ez,
            )  # fmt: skip
            if 0.0 < d < depth[r]:
                depth[r] = d
                hit[r] = b
    for t in range(tri.shape[0]):
        if not _in_cone(
            at, axis, half, longest, bound[t, 0], bound[t, 1], bound[t, 2], bound[t, 3]
        ):
            continue
        for r in range(number):
            d = _through(at, direction[r, 0], direction[r, 1], direction[r, 2], tri[t])
            if d < depth[r]:
                depth[r] = d
                hit[r] = TRIANGLE - t
    sheet = np.empty(9)
    for j in range(ys.size - 1):
        if ys[j] > at[1] + longest or ys[j + 1] < at[1] - longest:
            continue
        for i in range(xs.size - 1):
            if xs[i] > at[0] + longest or xs[i + 1] < at[0] - longest:
                continue
            mx, my = 0.5 * (xs[i] + xs[i + 1]), 0.5 * (ys[j] + ys[j + 1])
            mz = 0.25 * (zs[j, i] + zs[j, i + 1] + zs[j + 1, i] + zs[j + 1, i + 1])
            high = max(zs[j, i], zs[j, i + 1], zs[j + 1, i], zs[j + 1, i + 1])
            low = min(zs[j, i], zs[j, i + 1], zs[j + 1, i], zs[j + 1, i + 1])
            wx, wy = 0.5 * (xs[i + 1] - xs[i]), 0.5 * (ys[j + 1] - ys[j])
            radius = np.sqrt(wx * wx + wy * wy + (high - low) * (high - low))
            if not _in_cone(at, axis, half, longest, mx, my, mz, radius):
                continue
            for half_quad in range(2):
                sheet[0], sheet[1], sheet[2] = xs[i], ys[j], zs[j, i]
                sheet[3], sheet[4], sheet[5] = xs[i + 1], ys[j + 1], zs[j + 1, i + 1]
                if half_quad == 0:
                    sheet[6], sheet[7], sheet[8] = xs[i + 1], ys[j], zs[j, i + 1]
                else:
                    sheet[6], sheet[7], sheet[8] = xs[i], ys[j + 1], zs[j + 1, i]
                for r in range(number):
                    d = _through(at, direction[r, 0], direction[r, 1], direction[r, 2], sheet)
                    if d < depth[r]:
                        depth[r] = d
                        hit[r] = TERRAIN


@array_kernel
def cone(
    key: Any,
    turn: int,
    rot: Any,
    wide: float,
    high: float,
    reach: float,
    direction: Any,
    length: Any,
    angle: Any,
) -> None:
    """A radar's random rays: unit world directions (N, 3), lengths (N,), azimuth and altitude (N, 2).

    The end of a ray lies at distance `reach` ahead, at a uniform share of the radii `wide` and `high` (tangents) and a uniform angle.
    """
    base = _mix(key, np.uint64(turn))
    for r in range(length.size):
        word = _mix(base, np.uint64(r))
        share, turned = _unit(word), _TAU * _unit(_mix(word, _ONE))
        y, z = wide * share * np.cos(turned), high * share * np.sin(turned)
        size = np.sqrt(1.0 + y * y + z * z)
        for k in range(3):
            direction[r, k] = (rot[0, k] + y * rot[1, k] + z * rot[2, k]) / size
        length[r] = reach * size
        angle[r, 0] = np.arctan2(y, 1.0)
        angle[r, 1] = np.arcsin(z / size)


@array_kernel
def roll_ahead(
    at: Any, x: float, y: float, z: float, reach: float, radius: float, own: int, only_moving: bool, body: Any, mark: Any,
    count: int,
) -> Any:  # fmt: skip
    """How far a ball gets along the unit direction (x, y, z) before it touches a body other than row `own`, and which (-1: none).

    Steps by the distance to the box, which cannot overshoot, until they are shorter than 0.1 mm.
    """
    best, which = reach, -1
    for b in range(count):
        if mark[b, s.MROW] == own or (only_moving and mark[b, s.MOVES] == 0):
            continue
        dx, dy, dz = at[0] - body[b, s.CX], at[1] - body[b, s.CY], at[2] - body[b, s.CZ]
        limit = best + radius + body[b, s.RADIUS]
        if dx * dx + dy * dy + dz * dz > limit * limit:
            continue
        gone = 0.0
        for _ in range(256):
            px, py, pz = dx + gone * x, dy + gone * y, dz + gone * z
            gap2 = 0.0
            for j in range(3):
                k = s.FX + 3 * j
                out = (
                    abs(px * body[b, k] + py * body[b, k + 1] + pz * body[b, k + 2])
                    - body[b, s.EX + j]
                )
                if out > 0.0:
                    gap2 += out * out
            gap = np.sqrt(gap2) - radius
            if gap <= 1e-4:
                if gone < best:
                    best, which = gone, b
                break
            gone += gap
            if gone >= best:
                break
    return best, which
