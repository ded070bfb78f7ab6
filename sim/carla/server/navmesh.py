"""The navigation mesh that CARLA's own walkers walk on: the file's bytes, and under which name a client asks for it.

The stock client simulates its AI walkers itself (Detour crowd). It asks `get_required_files("Nav")`, takes the first name of the
answer, and unless its cache has a file of that name fetches it with `request_file`. The cache is never checked again, so the name
carries a digest of what the mesh is made from, the road file and this code: a changed map has a new name, and a client that knows the
map does not wait for a mesh that it does not need. An empty file tells the client that there is nowhere to walk.

File (little-endian): 'MSET', version 1, number of tiles, seven words of mesh parameters, then per tile its reference, its size and its
data in the layout of Detour 7. One tile holds the whole map. Detour is y-up; CARLA's (x, y, z) is written as (x, z, y). Walkers read
areas 1 pavement, 2 crossing, 3 road, 4 grass; a polygon's flag is 1 << area.
"""

from __future__ import annotations

import hashlib
import struct
from functools import cache
from pathlib import Path

import numpy as np

from protocols.errors import RoadError
from protocols.roads.network import F64, U8, RoadNetwork
from sim.carla.server._navmesh_polygons import Polygons, polygons
from sim.carla.server._navmesh_strips import I64, surfaces

FILE_MAGIC = int.from_bytes(b"MSET", "big")
FILE_VERSION = 1
TILE_MAGIC = int.from_bytes(b"DNAV", "big")
TILE_VERSION = 7
MAX_POLYGONS = 0xFFFF  # neighbours are numbered from 1 in 16 bits
MAX_CORNERS = 0xFFFE
NO_LINK = 0xFFFFFFFF

WALKER_HEIGHT_M = 1.8  # CARLA's walkers
WALKER_RADIUS_M = 0.3
WALKER_CLIMB_M = 0.4
BOX_UNIT_M = 0.3  # unit of the tile's box tree
SALT = 1  # Detour counts reuse of a tile from 1

POLY = np.dtype([("link", "<u4"), ("ring", "<u2", 6), ("beyond", "<u2", 6), ("flags", "<u2"),
                 ("size", "u1"), ("area", "u1")])  # fmt: skip
DETAIL = np.dtype([("vert", "<u4"), ("tri", "<u4"), ("num_vert", "u1"), ("num_tri", "u1"),
                   ("pad", "<u2")])  # fmt: skip
BOX = np.dtype([("low", "<u2", 3), ("high", "<u2", 3), ("i", "<i4")])
LINK_BYTES = 12
HEADER = struct.Struct("<5iI9i10f")


def nav_name(net: RoadNetwork, map_name: str) -> str:
    """What `get_required_files("Nav")` lists: `Carla/Maps/Nav/<map>-<digest>.bin`. `map_name` may be a path of which the last part counts."""
    last = map_name.rsplit("/", 1)[-1][:64]
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in last) or "map"
    digest = hashlib.sha256(net.digest.encode() + _code()).hexdigest()
    return f"Carla/Maps/Nav/{stem}-{digest[:16]}.bin"


@cache
def _code() -> bytes:
    """Digest of what makes meshes: another version of it gives other names."""
    here = Path(__file__)
    files = sorted([here, *here.parent.glob("_navmesh*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).digest()


def navmesh(net: RoadNetwork) -> bytes:
    """Bytes of the navigation mesh of `net`, the same for the same network on every machine; empty without any surface.

    Takes about a second for a town; callers keep the result for as long as the map is loaded.
    """
    ground = surfaces(net)
    mesh = polygons(ground)
    if mesh.size.size > MAX_POLYGONS or mesh.corners.shape[0] > MAX_CORNERS:
        mesh = polygons(ground.without_roads())
    return encode(mesh, net.name)


def encode(mesh: Polygons, name: str = "") -> bytes:
    """The file around one tile. Raises RoadError where a tile cannot number the polygons."""
    count, corners = mesh.size.size, mesh.corners.shape[0]
    if not count:
        return b""
    if count > MAX_POLYGONS or corners > MAX_CORNERS:
        raise RoadError(
            f"{name}: {count} walkable polygons with {corners} corners, at most {MAX_POLYGONS} with "
            f"{MAX_CORNERS} fit a navigation mesh. Serve a part of the map, or go without walkers."
        )
    x, y, z = mesh.corners.T
    verts = np.column_stack((x, z, -y)).astype("<f4")
    low = np.floor(verts.min(0).astype(np.float64)) - 1.0
    high = np.ceil(verts.max(0).astype(np.float64)) + 1.0
    unit = max(BOX_UNIT_M, float((high - low).max()) / 65_000)
    poly = np.zeros(count, POLY)
    poly["link"] = NO_LINK
    poly["ring"] = np.where(mesh.ring >= 0, mesh.ring, 0)
    poly["beyond"] = mesh.beyond + 1
    poly["flags"] = 1 << mesh.area
    poly["size"], poly["area"] = mesh.size, mesh.area
    detail, tris = _fans(mesh.size)
    boxes = _box_tree(_boxes(mesh, verts.astype(np.float64), low, unit))
    links = int(mesh.size.sum())
    header = HEADER.pack(
        TILE_MAGIC, TILE_VERSION, 0, 0, 0, 0, count, corners, links, count, 0, tris.shape[0],
        boxes.size, 0, count, WALKER_HEIGHT_M, WALKER_RADIUS_M, WALKER_CLIMB_M, *low, *high,
        1.0 / unit,
    )  # fmt: skip
    parts = (header, verts, poly, bytes(LINK_BYTES * links), detail, tris, boxes)
    tile = b"".join(p if isinstance(p, bytes) else p.tobytes() for p in parts)
    poly_bits = max(int(np.ceil(np.log2(count))), 1)
    size = high - low
    params = struct.pack("<5f2i", *low, size[0], size[2], 1, 1 << poly_bits)
    reference = SALT << poly_bits
    return (
        struct.pack("<3i", FILE_MAGIC, FILE_VERSION, 1)
        + params
        + struct.pack("<Ii", reference, len(tile))
        + tile
    )


def _fans(size: I64) -> tuple[np.ndarray[tuple[int], np.dtype[np.void]], U8]:
    """Detail triangles: each polygon as a fan of its own corners; the fourth byte marks edges on the polygon's border."""
    fans = size - 2
    detail = np.zeros(size.size, DETAIL)
    detail["tri"] = np.concatenate(([0], np.cumsum(fans)[:-1]))
    detail["num_tri"] = fans
    k = np.arange(int(fans.sum())) - np.repeat(detail["tri"].astype(np.int64), fans)
    tris = np.zeros((k.size, 4), np.uint8)
    tris[:, 1], tris[:, 2] = k + 1, k + 2
    tris[:, 3] = 1 << 2  # the middle edge always is; the first and last fan triangle have one more
    tris[:, 3] |= np.where(k == 0, 1, 0).astype(np.uint8)
    tris[:, 3] |= np.where(k == np.repeat(fans, fans) - 1, 1 << 4, 0).astype(np.uint8)
    return detail, tris


def _boxes(mesh: Polygons, verts: F64, low: F64, unit: float) -> I64:
    """(N, 6) box of each polygon in units from the tile's corner."""
    filled = np.where(mesh.ring >= 0, mesh.ring, mesh.ring[:, :1])
    at = (verts[filled] - low) / unit
    box = np.concatenate((np.floor(at.min(1)), np.floor(at.max(1)) + 1), axis=1)
    units: I64 = np.clip(box, 0, 0xFFFF).astype(np.int64)
    return units


def _box_tree(box: I64) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Detour's box tree in depth-first order: a leaf names its polygon, an inner node says how far to jump when it is missed.

    Polygons are ordered along a space-filling curve and halved; n leaves make 2 n - 1 nodes.
    """
    middle = (box[:, :3] + box[:, 3:]) // 2
    curve = np.zeros(box.shape[0], np.int64)
    for bit in range(16):
        for axis, place in ((0, 0), (2, 1)):
            curve |= ((middle[:, axis] >> bit) & 1) << (2 * bit + place)
    order = np.lexsort((np.arange(curve.size), curve))
    sorted_box = box[order]
    tree = np.zeros(2 * order.size - 1, BOX)
    lo, hi, node = np.array([0]), np.array([order.size]), np.array([0])
    while lo.size:
        # Reduced over pairs (lo, hi): every second result is that of a range.
        ends = np.stack((lo, np.minimum(hi, order.size - 1)), 1).ravel()
        for name, part, reduce in (
            ("low", slice(0, 3), np.minimum),
            ("high", slice(3, 6), np.maximum),
        ):
            value = reduce.reduceat(sorted_box[:, part], ends)[::2]
            last = sorted_box[hi - 1, part]
            tree[name][node] = reduce(value, last)
        leaf = hi - lo == 1
        tree["i"][node] = np.where(leaf, order[lo], -(2 * (hi - lo) - 1))
        lo, hi, node = lo[~leaf], hi[~leaf], node[~leaf]
        half = (lo + hi) // 2
        left = node + 1
        right = left + 2 * (half - lo) - 1
        lo, hi, node = (
            np.stack(pair, 1).ravel() for pair in ((lo, half), (half, hi), (left, right))
        )
    return tree
