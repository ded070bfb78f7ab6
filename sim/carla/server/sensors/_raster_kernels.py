"""A z-buffer: triangles of the ground, paint, terrain and boxes into nearest inverse depth and face per pixel, and pixels from those.

Camera frame: x forward, y right, z up. A point lands at column 0.5 w + f y / x, row 0.5 h - f z / x, f = 0.5 w / tan(fov / 2); a pixel
is sampled at its centre. 1 / x is linear on the screen. Faces are numbered: ground triangle t, then the terrain, then paint
triangles, then six faces a body (front, back, right, left, top, bottom), and -1 for the sky.
"""

from typing import Any

import numpy as np

from protocols.jit import array_helper, array_kernel
from sim.carla.server.sensors import _scene_kernels as s

SKY = -1
_NEAR = 0.05  # m: nothing closer is drawn
_MOUNT_M = 0.5  # a real roof or bonnet is not as high and long as its box: a camera this close looks past its own
_PAINT_NEARER = 1.0005  # paint wins against what it lies on
FAR_M = 1000.0  # CARLA's depth images end here


@array_helper
def _camera(at: Any, rot: Any, x: Any, y: Any, z: Any) -> Any:
    dx, dy, dz = x - at[0], y - at[1], z - at[2]
    return (
        rot[0, 0] * dx + rot[0, 1] * dy + rot[0, 2] * dz,
        rot[1, 0] * dx + rot[1, 1] * dy + rot[1, 2] * dz,
        rot[2, 0] * dx + rot[2, 1] * dy + rot[2, 2] * dz,
    )


@array_helper
def _fill(
    focal: Any, plane: Any, ax: Any, ay: Any, az: Any, bx: Any, by: Any, bz: Any, cx: Any, cy: Any, cz: Any, face: Any,
    nearer: Any, inverse: Any, faces: Any,
) -> None:  # fmt: skip
    """One triangle in front of the near plane. `plane`: inverse depth straight ahead, and its change per unit of y / x and z / x."""
    high, wide = inverse.shape
    x0, y0 = 0.5 * wide + focal * ay / ax, 0.5 * high - focal * az / ax
    x1, y1 = 0.5 * wide + focal * by / bx, 0.5 * high - focal * bz / bx
    x2, y2 = 0.5 * wide + focal * cy / cx, 0.5 * high - focal * cz / cx
    if max(x0, x1, x2) < 0.0 or min(x0, x1, x2) > wide:
        return
    top, bottom = min(y0, y1, y2), max(y0, y1, y2)
    if bottom < 0.0 or top > high:
        return
    # No pixel may come out nearer or farther than the corners: a sliver's plane would say so.
    least, most = 1.0 / max(ax, bx, cx), 1.0 / min(ax, bx, cx)
    step = plane[1] / focal
    for row in range(
        max(int(np.ceil(top - 0.5)), 0), min(int(np.floor(bottom - 0.5)), high - 1) + 1
    ):
        y = row + 0.5
        left, right = np.inf, -np.inf
        for e in range(3):
            px, py, qx, qy = x0, y0, x1, y1
            if e == 1:
                px, py, qx, qy = x1, y1, x2, y2
            elif e == 2:
                px, py, qx, qy = x2, y2, x0, y0
            if py > qy:  # the same arithmetic for both triangles of an edge
                px, py, qx, qy = qx, qy, px, py
            if y < py or y > qy:
                continue
            if qy == py:
                left, right = min(left, px, qx), max(right, px, qx)
            else:
                x = px + (y - py) / (qy - py) * (qx - px)
                left, right = min(left, x), max(right, x)
        if left > right or right < 0.0 or left > wide:
            continue
        first = max(int(np.ceil(left - 0.5)), 0)
        last = min(int(np.floor(right - 0.5)), wide - 1)
        w = plane[0] + plane[2] * (0.5 * high - y) / focal + (0.5 - 0.5 * wide) * step
        for column in range(first, last + 1):
            here = max(min(w + column * step, most), least)
            if here * nearer > inverse[row, column]:
                inverse[row, column] = here
                faces[row, column] = face


@array_helper
def _clipped(
    focal: Any, ax: Any, ay: Any, az: Any, bx: Any, by: Any, bz: Any, cx: Any, cy: Any, cz: Any, face: Any, nearer: Any,
    inverse: Any, faces: Any,
) -> None:  # fmt: skip
    """One triangle, cut at the near plane where it has to be."""
    behind = (ax < _NEAR) + (bx < _NEAR) + (cx < _NEAR)
    if behind == 3:
        return
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    gap = nx * ax + ny * ay + nz * az
    if gap == 0.0:
        return  # seen from its edge
    plane = (nx / gap, ny / gap, nz / gap)
    if behind == 0:
        _fill(focal, plane, ax, ay, az, bx, by, bz, cx, cy, cz, face, nearer, inverse, faces)
        return
    # Turn the corners so that a is the odd one out.
    if (bx < _NEAR) == (behind == 1):
        ax, ay, az, bx, by, bz, cx, cy, cz = bx, by, bz, cx, cy, cz, ax, ay, az
    elif (cx < _NEAR) == (behind == 1):
        ax, ay, az, bx, by, bz, cx, cy, cz = cx, cy, cz, ax, ay, az, bx, by, bz
    k = (_NEAR - ax) / (bx - ax)
    m = (_NEAR - ax) / (cx - ax)
    uy, uz = ay + k * (by - ay), az + k * (bz - az)
    vy, vz = ay + m * (cy - ay), az + m * (cz - az)
    if behind == 1:
        _fill(focal, plane, _NEAR, uy, uz, bx, by, bz, cx, cy, cz, face, nearer, inverse, faces)
        _fill(focal, plane, _NEAR, uy, uz, cx, cy, cz, _NEAR, vy, vz, face, nearer, inverse, faces)
    else:
        _fill(focal, plane, ax, ay, az, _NEAR, uy, uz, _NEAR, vy, vz, face, nearer, inverse, faces)


@array_helper
def _in_view(x: Any, y: Any, z: Any, radius: Any, side: Any, rise: Any, far: Any) -> Any:
    """May a sphere at (x, y, z) in the camera's frame show? `side`, `rise`: tangents of half the angles of view."""
    if x < -radius or x > far + radius:
        return False
    spread_y = radius * np.sqrt(1.0 + side * side)
    spread_z = radius * np.sqrt(1.0 + rise * rise)
    return abs(y) - side * x <= spread_y and abs(z) - rise * x <= spread_z


@array_helper
def _sheets(
    at: Any, rot: Any, focal: Any, side: Any, rise: Any, far: Any, tri: Any, bound: Any, base: Any, nearer: Any,
    inverse: Any, faces: Any,
) -> None:  # fmt: skip
    """Triangles of the world, numbered from `base`."""
    for t in range(tri.shape[0]):
        x, y, z = _camera(at, rot, bound[t, 0], bound[t, 1], bound[t, 2])
        if not _in_view(x, y, z, bound[t, 3], side, rise, far):
            continue
        ax, ay, az = _camera(at, rot, tri[t, 0], tri[t, 1], tri[t, 2])
        bx, by, bz = _camera(at, rot, tri[t, 3], tri[t, 4], tri[t, 5])
        cx, cy, cz = _camera(at, rot, tri[t, 6], tri[t, 7], tri[t, 8])
        _clipped(focal, ax, ay, az, bx, by, bz, cx, cy, cz, base + t, nearer, inverse, faces)


@array_kernel
def draw(
    at: Any, rot: Any, focal: float, far: float, paint_far: float, tri: Any, bound: Any, paint: Any, paint_bound: Any,
    xs: Any, ys: Any, zs: Any, body: Any, mark: Any, count: int, own: int, inverse: Any, faces: Any,
) -> None:  # fmt: skip
    """Everything within `far`, paint within `paint_far`, into `inverse` (1 / depth; 0 is the sky) and `faces`, both (h, w).

    A body around the camera is not drawn, nor is the one of table row `own` when the camera sits on it (within _MOUNT_M)."""
    high, wide = inverse.shape
    for row in range(high):
        for column in range(wide):
            inverse[row, column] = 0.0
            faces[row, column] = SKY
    side, rise = 0.5 * wide / focal, 0.5 * high / focal
    first_paint = tri.shape[0] + 1
    first_body = first_paint + paint.shape[0]
    for b in range(count):
        gx, gy, gz = _camera(at, rot, body[b, s.CX], body[b, s.CY], body[b, s.CZ])
        if not _in_view(gx, gy, gz, body[b, s.RADIUS], side, rise, far):
            continue
        a = np.empty((3, 3))  # half axes in the camera's frame
        o = np.empty(3)  # the camera along the box's axes
        for j in range(3):
            k = s.FX + 3 * j
            for i in range(3):
                a[j, i] = (
                    rot[i, 0] * body[b, k] + rot[i, 1] * body[b, k + 1] + rot[i, 2] * body[b, k + 2]
                )
            o[j] = -(a[j, 0] * gx + a[j, 1] * gy + a[j, 2] * gz)
        more = _MOUNT_M if mark[b, s.MROW] == own else 0.0
        is_inside = True
        for j in range(3):
            if abs(o[j]) > body[b, s.EX + j] + more:
                is_inside = False
        if is_inside:
            continue  # from inside a box one sees out
        for j in range(3):
            e = body[b, s.EX + j]
            if abs(o[j]) <= e:
                continue  # neither face of this pair looks this way
            sign = 1.0 if o[j] > 0.0 else -1.0
            face = first_body + 6 * b + 2 * j + (0 if sign > 0.0 else 1)
            u, v = (j + 1) % 3, (j + 2) % 3
            eu, ev = body[b, s.EX + u], body[b, s.EX + v]
            q = np.empty((4, 3))
            for corner in range(4):
                su = eu if 0 < corner < 3 else -eu
                sv = ev if corner >= 2 else -ev
                for i in range(3):
                    centre = gx if i == 0 else (gy if i == 1 else gz)
                    q[corner, i] = centre + sign * e * a[j, i] + su * a[u, i] + sv * a[v, i]
            _clipped(
                focal,
                q[0, 0],
                q[0, 1],
                q[0, 2],
                q[1, 0],
                q[1, 1],
                q[1, 2],
                q[2, 0],
                q[2, 1],
                q[2, 2],
                face,
                1.0,
                inverse,
                faces,
            )
            _clipped(
                focal,
                q[0, 0],
                q[0, 1],
                q[0, 2],
                q[2, 0],
                q[2, 1],
                q[2, 2],
                q[3, 0],
                q[3, 1],
                q[3, 2],
                face,
                1.0,
                inverse,
                faces,
            )
    _sheets(at, rot, focal, side, rise, far, tri, bound, 0, 1.0, inverse, faces)
    _sheets(
        at,
        rot,
        focal,
        side,
        rise,
        paint_far,
        paint,
        paint_bound,
        first_paint,
        _PAINT_NEARER,
        inverse,
        faces,
    )
    for j in range(ys.size - 1):
        for i in range(xs.size - 1):
            low = min(zs[j, i], zs[j, i + 1], zs[j + 1, i], zs[j + 1, i + 1])
            top = max(zs[j, i], zs[j, i + 1], zs[j + 1, i], zs[j + 1, i + 1])
            hx, hy, hz = 0.5 * (xs[i + 1] - xs[i]), 0.5 * (ys[j + 1] - ys[j]), 0.5 * (top - low)
            x, y, z = _camera(at, rot, xs[i] + hx, ys[j] + hy, low + hz)
            if not _in_view(x, y, z, np.sqrt(hx * hx + hy * hy + hz * hz), side, rise, far):
                continue
            ax, ay, az = _camera(at, rot, xs[i], ys[j], zs[j, i])
            bx, by, bz = _camera(at, rot, xs[i + 1], ys[j], zs[j, i + 1])
            cx, cy, cz = _camera(at, rot, xs[i + 1], ys[j + 1], zs[j + 1, i + 1])
            dx, dy, dz = _camera(at, rot, xs[i], ys[j + 1], zs[j + 1, i])
            _clipped(focal, ax, ay, az, bx, by, bz, cx, cy, cz, tri.shape[0], 1.0, inverse, faces)
            _clipped(focal, ax, ay, az, cx, cy, cz, dx, dy, dz, tri.shape[0], 1.0, inverse, faces)


@array_kernel
def depth(inverse: Any, out: Any) -> None:
    """CARLA's 24 bits of depth / 1000 m, least significant in red; `out` (h, w, 4) BGRA."""
    high, wide = inverse.shape
    for row in range(high):
        for column in range(wide):
            code = 16777215
            w = inverse[row, column]
            if w > 1.0 / FAR_M:
                code = int(16777215.0 / (FAR_M * w) + 0.5)
            out[row, column, 0] = code >> 16
            out[row, column, 1] = (code >> 8) & 255
            out[row, column, 2] = code & 255
            out[row, column, 3] = 255


@array_kernel
def lookup(
    faces: Any, tri_tag: Any, paints: int, by_tag: Any, by_paint: Any, by_face: Any, out: Any
) -> None:
    """Pixels from tables of BGRA words: `by_tag` for ground triangles (and 11 for the sky, 256 for the terrain), `by_paint` for paint
    triangles, `by_face` for the faces of bodies. `out` (h, w) uint32."""
    high, wide = faces.shape
    terrain = tri_tag.size
    for row in range(high):
        for column in range(wide):
            face = faces[row, column]
            if face < 0:
                out[row, column] = by_tag[11]
            elif face < terrain:
                out[row, column] = by_tag[tri_tag[face]]
            elif face == terrain:
                out[row, column] = by_tag[256]
            elif face <= terrain + paints:
                out[row, column] = by_paint[face - terrain - 1]
            else:
                out[row, column] = by_face[face - terrain - 1 - paints]


@array_kernel
def air(
    inverse: Any,
    faces: Any,
    rot: Any,
    focal: float,
    haze: Any,
    zenith: Any,
    horizon: Any,
    sun: Any,
    glow: float,
    out: Any,
) -> None:
    """Sky and distance over flat colours: the sky from `horizon` to `zenith` (3,) with the sun's disc at direction `sun`, everything
    else faded to the horizon by `haze` (1001,), a share by metre. `out` (h, w, 4) BGRA."""
    high, wide = inverse.shape
    for row in range(high):
        v = (0.5 * high - row - 0.5) / focal
        for column in range(wide):
            w = inverse[row, column]
            if faces[row, column] >= 0:
                metres = int(min(1.0 / w, 1000.0))
                share = haze[metres]
                for k in range(3):
                    flat = np.float64(out[row, column, k])
                    out[row, column, k] = np.uint8(flat + share * (horizon[k] - flat) + 0.5)
                continue
            u = (column + 0.5 - 0.5 * wide) / focal
            x = rot[0, 0] + u * rot[1, 0] + v * rot[2, 0]
            y = rot[0, 1] + u * rot[1, 1] + v * rot[2, 1]
            z = rot[0, 2] + u * rot[1, 2] + v * rot[2, 2]
            size = np.sqrt(x * x + y * y + z * z)
            share = np.sqrt(max(z / size, 0.0))
            near = (x * sun[0] + y * sun[1] + z * sun[2]) / size
            light = glow * (1.0 if near > 0.9998 else max(near - 0.97, 0.0) * 10.0)
            for k in range(3):
                flat = horizon[k] + share * (zenith[k] - horizon[k])
                out[row, column, k] = np.uint8(min(flat + light * (255.0 - flat), 255.0))
            out[row, column, 3] = 255


@array_kernel
def flow(
    at: Any,
    rot: Any,
    was_at: Any,
    was_rot: Any,
    focal: float,
    inverse: Any,
    faces: Any,
    first_body: int,
    shift: Any,
    out: Any,
) -> None:
    """How far each pixel moved since the last frame, as shares of the image's width and height, into `out` (h, w, 2).

    `shift` (B, 12): rotation (row-major) and translation that take a point of a body now to where it was. The sky stays where it
    is in the world.
    """
    high, wide = inverse.shape
    for row in range(high):
        v = (0.5 * high - row - 0.5) / focal
        for column in range(wide):
            u = (column + 0.5 - 0.5 * wide) / focal
            w = inverse[row, column]
            x = rot[0, 0] + u * rot[1, 0] + v * rot[2, 0]
            y = rot[0, 1] + u * rot[1, 1] + v * rot[2, 1]
            z = rot[0, 2] + u * rot[1, 2] + v * rot[2, 2]
            if w > 0.0:
                x, y, z = at[0] + x / w, at[1] + y / w, at[2] + z / w
                face = faces[row, column]
                if face >= first_body:
                    m = shift[(face - first_body) // 6]
                    x, y, z = (
                        m[0] * x + m[1] * y + m[2] * z + m[9],
                        m[3] * x + m[4] * y + m[5] * z + m[10],
                        m[6] * x + m[7] * y + m[8] * z + m[11],
                    )
                x, y, z = x - was_at[0], y - was_at[1], z - was_at[2]
            ahead = was_rot[0, 0] * x + was_rot[0, 1] * y + was_rot[0, 2] * z
            out[row, column, 0] = 0.0
            out[row, column, 1] = 0.0
            if ahead > _NEAR or (w == 0.0 and ahead > 0.0):
                right = was_rot[1, 0] * x + was_rot[1, 1] * y + was_rot[1, 2] * z
                up = was_rot[2, 0] * x + was_rot[2, 1] * y + was_rot[2, 2] * z
                moved_x = focal * (u - right / ahead) / wide
                moved_y = focal * (up / ahead - v) / high
                out[row, column, 0] = min(max(moved_x, -2.0), 2.0)
                out[row, column, 1] = min(max(moved_y, -2.0), 2.0)


@array_kernel
def crossings(
    before: Any, after: Any, level: Any, last_ns: Any, begin_ns: int, end_ns: int, plus: float, minus: float, rest_ns: int, stamps: Any,
    pixels: Any,
) -> int:  # fmt: skip
    """Events of a vision sensor between two frames of (log) intensity: a pixel fires each time its value passes another step of `plus`
    up or `minus` down from `level`, its value at the last event. Returns how many there are; stores the first `stamps.size` of them:
    nanoseconds, and pixel index * 2 + polarity."""
    n = 0
    for p in range(before.size):
        rise = after[p] - before[p]
        if abs(rise) <= 1e-6:
            continue
        step = plus if rise > 0.0 else -minus
        while True:
            mark = level[p] + step
            if (step > 0.0 and mark > after[p]) or (step < 0.0 and mark < after[p]):
                break
            level[p] = mark
            share = min(max((mark - before[p]) / rise, 0.0), 1.0)
            stamp = begin_ns + int(share * (end_ns - begin_ns))
            if last_ns[p] >= 0 and stamp - last_ns[p] < rest_ns:
                continue
            last_ns[p] = stamp
            if n < stamps.size:
                stamps[n] = stamp
                pixels[n] = 2 * p + (1 if step > 0.0 else 0)
            n += 1
    return n
