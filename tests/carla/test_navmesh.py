"""The navigation mesh: read back with a reader of its own, and walked on by the stock client's AI walkers.

`Mesh` decodes the file from Detour's layout alone. The client runs in a child process with an empty home, against a server of a few
calls that keeps what the client sends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.errors import IcvError, RoadError
from protocols.roads.geometry import lane_pose
from protocols.roads.network import LaneType, RoadNetwork
from scenarios.formats.opendrive import read
from sim.carla.server import _navmesh_kernels as kernels
from sim.carla.server import _navmesh_polygons as shapes
from sim.carla.server.navmesh import encode, nav_name, navmesh

ROADS = Path(__file__).parents[2] / "scenarios" / "roads"
CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
FILES = list(
    {hashlib.sha256(p.read_bytes()).digest(): p for p in sorted(CORPORA.rglob("*.xodr"))}.values()
)
TOWN04 = [path for path in FILES if path.name == "Town04.xodr"]
WALK, CROSS, ROAD, GRASS = 1, 2, 3, 4


@dataclass
class Mesh:
    """One tile in CARLA's plane: x forward, y right; `ring` holds corner numbers, `beyond` 1 + polygon or 0."""

    header: dict[str, Any]
    corners: Any  # (V, 3) x, y, z up
    ring: list[list[int]]
    beyond: list[list[int]]
    area: Any
    flags: Any
    fans: list[list[tuple[int, int, int, int]]]
    tree: list[tuple[Any, Any, int]]

    def polygon(self, k: int) -> Any:
        return self.corners[self.ring[k]]

    def holders(self, x: float, y: float, slack_m: float = 0.0) -> list[int]:
        """Polygons that hold the point; `slack_m` further out counts too, a negative one asks for the inside."""
        return [
            k for k in np.flatnonzero(self.boxes_hold(x, y, max(slack_m, 0.0)))
            if inside(self.polygon(k), x, y, slack_m)
        ]  # fmt: skip

    def boxes_hold(self, x: float, y: float, slack_m: float) -> Any:
        if not hasattr(self, "_box"):
            rows = [self.polygon(k) for k in range(len(self.ring))]
            self._box = np.array([[*r[:, :2].min(0), *r[:, :2].max(0)] for r in rows])
        b = self._box
        return (
            (b[:, 0] - slack_m <= x) & (x <= b[:, 2] + slack_m)
            & (b[:, 1] - slack_m <= y) & (y <= b[:, 3] + slack_m)
        )  # fmt: skip


def inside(polygon: Any, x: float, y: float, slack_m: float) -> bool:
    d = np.roll(polygon, -1, 0) - polygon
    side = d[:, 0] * (y - polygon[:, 1]) - d[:, 1] * (x - polygon[:, 0])
    # Clockwise on paper with y up, which is what Detour wants of (x, z): the inside is on the right.
    return bool((side <= slack_m * np.hypot(d[:, 0], d[:, 1]) + 1e-9).all())


def decode(data: bytes) -> Mesh:
    magic, version, tiles = struct.unpack_from("<3i", data)
    assert (magic, version, tiles) == (0x4D534554, 1, 1)
    orig = struct.unpack_from("<3f", data, 12)
    width, height, max_tiles, max_polys = struct.unpack_from("<2f2i", data, 24)
    reference, size = struct.unpack_from("<Ii", data, 40)
    tile = data[48:]
    assert size == len(tile)
    names = [
        "magic", "version", "x", "y", "layer", "user", "polys", "verts", "links", "details",
        "detail_verts", "tris", "nodes", "offmesh", "offbase",
    ]  # fmt: skip
    head = dict(zip(names, struct.unpack_from("<15i", tile), strict=True))
    head |= dict(zip(("h", "r", "climb"), struct.unpack_from("<3f", tile, 60), strict=True))
    low, high = struct.unpack_from("<3f", tile, 72), struct.unpack_from("<3f", tile, 84)
    (quant,) = struct.unpack_from("<f", tile, 96)
    assert (head["magic"], head["version"]) == (0x444E4156, 7)
    assert orig == low
    assert (width, height) == (high[0] - low[0], high[2] - low[2])
    # A reference is salt, tile, polygon: enough bits for every polygon, at least 10 for the salt.
    bits = (max_polys - 1).bit_length()
    assert max_tiles == 1
    assert head["polys"] <= max_polys
    assert bits <= 22
    assert reference == 1 << bits
    at = 100
    verts = np.frombuffer(tile, "<f4", head["verts"] * 3, at).reshape(-1, 3).astype(float)
    at += 12 * head["verts"]
    rows = [struct.unpack_from("<I6H6HHBB", tile, at + 32 * k) for k in range(head["polys"])]
    at += 32 * head["polys"] + 12 * head["links"]
    fans = []
    detail = [struct.unpack_from("<IIBB", tile, at + 12 * k) for k in range(head["details"])]
    at += 12 * head["details"] + 12 * head["detail_verts"]
    for _, base, extra, count in detail:
        assert extra == 0
        fans.append([struct.unpack_from("<4B", tile, at + 4 * (base + k)) for k in range(count)])
    at += 4 * head["tris"]
    tree = []
    for k in range(head["nodes"]):
        values = struct.unpack_from("<6Hi", tile, at + 16 * k)
        tree.append((np.array(values[:3]), np.array(values[3:6]), values[6]))
    assert at + 16 * head["nodes"] + 36 * head["offmesh"] == len(tile)
    head |= {"low": np.array(low), "high": np.array(high), "quant": quant}
    assert (verts >= head["low"]).all()
    assert (verts <= head["high"]).all()
    assert all(row[15] >> 6 == 0 for row in rows)  # ground polygons
    return Mesh(
        head, verts[:, [0, 2, 1]],
        [list(row[1 : 1 + row[14]]) for row in rows], [list(row[7 : 7 + row[14]]) for row in rows],
        np.array([row[15] & 63 for row in rows]), np.array([row[13] for row in rows]), fans, tree,
    )  # fmt: skip


def check(mesh: Mesh) -> None:
    """What Detour relies on."""
    assert mesh.header["links"] >= sum(map(len, mesh.ring))
    assert set(mesh.area) <= {WALK, CROSS, ROAD, GRASS}
    np.testing.assert_array_equal(mesh.flags, 1 << mesh.area)
    for k, (ring, beyond) in enumerate(zip(mesh.ring, mesh.beyond, strict=True)):
        n = len(ring)
        assert 3 <= n <= 6
        assert len(set(ring)) == n
        p = mesh.polygon(k)[:, :2]
        d = np.roll(p, -1, 0) - p
        after = np.roll(d, -1, 0)
        turn = d[:, 0] * after[:, 1] - d[:, 1] * after[:, 0]
        # 1 mm off straight on the longest chord: what 32-bit coordinates do to corners on a line.
        assert (turn <= 1e-3 * np.hypot(*d.T)).all(), k
        q = p - p[0]
        area = np.sum(q[:, 0] * np.roll(q[:, 1], -1) - q[:, 1] * np.roll(q[:, 0], -1)) / 2
        assert area < 1e-3 * np.hypot(*d.T).sum(), k  # clockwise, or a sliver
        for i, other in enumerate(beyond):
            if other:
                a, b = ring[i], ring[(i + 1) % n]
                back = mesh.ring[other - 1]
                at = [j for j in range(len(back)) if (back[j], back[(j + 1) % len(back)]) == (b, a)]
                assert len(at) == 1, (k, i)
                assert mesh.beyond[other - 1][at[0]] == k + 1, (k, i)
        covered = [t[:3] for t in mesh.fans[k]]
        assert covered == [(0, i + 1, i + 2) for i in range(n - 2)]


def parts(mesh: Mesh, areas: set[int]) -> list[set[int]]:
    """Connected groups of polygons of `areas`."""
    seen: set[int] = set()
    out = []
    for first in range(len(mesh.ring)):
        if first in seen or mesh.area[first] not in areas:
            continue
        group, todo = {first}, [first]
        while todo:
            for other in mesh.beyond[todo.pop()]:
                if other and other - 1 not in group and mesh.area[other - 1] in areas:
                    group.add(other - 1)
                    todo.append(other - 1)
        seen |= group
        out.append(group)
    return out


@pytest.fixture(scope="module", params=["smart_island", "brt_corridor"])
def net(request: pytest.FixtureRequest) -> RoadNetwork:
    return read(ROADS / f"{request.param}.xodr")


@pytest.fixture(scope="module")
def mesh(net: RoadNetwork) -> Mesh:
    return decode(navmesh(net))


def test_library_maps_keep_what_detour_relies_on(mesh: Mesh) -> None:
    check(mesh)
    assert {WALK, CROSS, ROAD} <= set(mesh.area)


def test_no_place_is_in_two_polygons(mesh: Mesh) -> None:
    rng = np.random.default_rng(11)
    for k in rng.integers(0, len(mesh.ring), 400):
        weights = rng.dirichlet(np.ones(len(mesh.ring[k])))
        x, y, _ = weights @ mesh.polygon(k)
        assert len(mesh.holders(x, y, -0.002)) <= 1
        assert k in mesh.holders(x, y, 0.002)


def test_lanes_are_found_as_what_they_are(net: RoadNetwork, mesh: Mesh) -> None:
    """Lane centres by the network's own geometry; a pavement may have become part of a crossing, a carriageway too."""
    rng = np.random.default_rng(5)
    for kind, allowed in ((LaneType.SIDEWALK, {WALK, CROSS}), (LaneType.DRIVING, {ROAD, CROSS})):
        lanes = np.flatnonzero((net.lanes.type == kind) & (net.lanes.length_m > 5.0))
        lanes = rng.choice(lanes, 200)
        s = rng.uniform(0.3, net.lanes.length_m[lanes] - 0.3)
        pose = lane_pose(net, lanes, s, 0.0)
        width = np.array([
            np.interp(v, net.points.s_m[a:b], net.points.width_m[a:b])
            for v, a, b in zip(s, net.lanes.point_start[lanes], net.lanes.point_start[lanes + 1], strict=True)
        ])  # fmt: skip
        found = 0
        for x, y, z, w in zip(pose.x_m, -pose.y_m, pose.z_m, width, strict=True):
            if w < 0.5:
                continue
            held = mesh.holders(x, y, 0.01)
            assert held, (x, y)
            assert {int(mesh.area[k]) for k in held} & (allowed | {ROAD}), (x, y)
            found += any(mesh.area[k] in allowed for k in held)
            assert min(abs(mesh.polygon(k)[:, 2].mean() - z) for k in held) < 0.5
        # Where a pavement of one road lies under another's carriageway, it is carriageway.
        assert found >= 0.95 * np.count_nonzero(width >= 0.5)


def test_crossings_join_the_pavements(net: RoadNetwork, mesh: Mesh) -> None:
    c = net.crossings
    for k in range(len(c.id)):
        held = mesh.holders((c.x0_m[k] + c.x1_m[k]) / 2, -(c.y0_m[k] + c.y1_m[k]) / 2, 0.01)
        assert {int(mesh.area[p]) for p in held} == {CROSS}
    together = [
        g for g in parts(mesh, {WALK, CROSS, GRASS}) if any(mesh.area[k] == WALK for k in g)
    ]
    assert len(together) == 1
    # Without crossings and road there is more than one side.
    assert len([g for g in parts(mesh, {WALK}) if len(g) > 1]) > 1


def test_box_tree_finds_every_polygon(mesh: Mesh) -> None:
    """Detour's own walk over the tree, for small boxes around places in known polygons."""
    assert mesh.header["nodes"] == len(mesh.tree) == 2 * len(mesh.ring) - 1
    assert sorted(i for _, _, i in mesh.tree if i >= 0) == list(range(len(mesh.ring)))
    for at, (_, _, i) in enumerate(mesh.tree):
        if i < 0:  # jumps over itself and all below: one leaf more than inner nodes
            below = [leaf for _, _, leaf in mesh.tree[at : at - i] if leaf >= 0]
            assert len(below) == (1 - i) // 2
            assert at - i <= len(mesh.tree)
    rng = np.random.default_rng(3)
    for k in rng.integers(0, len(mesh.ring), 200):
        x, y, z = rng.dirichlet(np.ones(len(mesh.ring[k]))) @ mesh.polygon(k)
        at = np.array([x, z, y])
        low = ((at - 0.01 - mesh.header["low"]) * mesh.header["quant"]).astype(int) & 0xFFFE
        high = ((at + 0.01 - mesh.header["low"]) * mesh.header["quant"] + 1).astype(int) | 1
        node, found, visits = 0, [], 0
        while node < len(mesh.tree):
            visits += 1
            bmin, bmax, i = mesh.tree[node]
            overlap = bool((low <= bmax).all() and (high >= bmin).all())
            if i >= 0 and overlap:
                found.append(i)
            node += 1 if overlap or i >= 0 else -i
        assert k in found
        assert visits < len(mesh.tree) / 3


def test_crossings_that_end_before_the_pavement_are_continued_to_it() -> None:
    net = read(ROADS / "smart_island.xodr")
    c = net.crossings
    length = np.hypot(c.x1_m - c.x0_m, c.y1_m - c.y0_m)
    dx, dy = 1.2 * (c.x1_m - c.x0_m) / length, 1.2 * (c.y1_m - c.y0_m) / length
    shorter = replace(c, x0_m=c.x0_m + dx, y0_m=c.y0_m + dy, x1_m=c.x1_m - dx, y1_m=c.y1_m - dy)
    gap = replace(c, x0_m=c.x0_m + 3 * dx, y0_m=c.y0_m + 3 * dy)
    # Of the pavements on either side: the verges (grass) are left out, so that only crossings join them.
    joined = decode(navmesh(replace(net, crossings=shorter)))
    apart = decode(navmesh(replace(net, crossings=gap)))
    count = [
        len([g for g in parts(m, {WALK, CROSS}) if any(m.area[k] == WALK for k in g)])
        for m in (joined, apart)
    ]
    assert count[0] == 1
    assert count[1] > 1


@pytest.mark.skipif(not TOWN04, reason="../shared/corpora is absent")
def test_a_bridge_and_the_road_below_are_different_polygons() -> None:
    """Town04's motorways cross at the origin, one above the other."""
    net = read(TOWN04[0])
    mesh = decode(navmesh(net))
    near = np.hypot(net.points.x_m, net.points.y_m) < 25.0
    low, high = net.points.z_m[near].min(), net.points.z_m[near].max()
    assert high - low > 4.0
    stacked = [
        sorted(mesh.polygon(k)[:, 2].mean() for k in mesh.holders(x, y))
        for x, y in ((10.0, 10.0), (-10.0, 10.0), (10.0, -10.0), (-10.0, -10.0))
    ]
    both = [heights for heights in stacked if len(heights) > 1]
    assert both
    for heights in both:
        assert len(heights) == 2
        assert heights[0] < low + 1.5
        assert heights[1] > high - 1.5


def test_same_network_same_bytes_and_name() -> None:
    path = ROADS / "smart_island.xodr"
    assert navmesh(read(path)) == navmesh(read(path))
    name = nav_name(read(path), "Carla/Maps/island")
    assert name == nav_name(read(path), "island")
    assert re.fullmatch(r"Carla/Maps/Nav/island-[0-9a-f]{16}\.bin", name)


def test_another_road_file_has_another_name(tmp_path: Path) -> None:
    text = (ROADS / "smart_island.xodr").read_text(encoding="utf-8")
    other = tmp_path / "smart_island.xodr"
    other.write_text(text.replace('vendor="icv"', 'vendor="other"', 1), encoding="utf-8")
    assert nav_name(read(other), "island") != nav_name(read(ROADS / "smart_island.xodr"), "island")


def test_a_map_name_cannot_leave_the_cache_folder() -> None:
    name = nav_name(read(ROADS / "smart_island.xodr"), "../..\\..\0é/.bashrc")
    assert name.startswith("Carla/Maps/Nav/_bashrc-")


def test_an_empty_file_is_no_mesh_to_the_client(tmp_path: Path) -> None:
    with serving({"Carla/Maps/Nav/nothing-0.bin": b""}) as server:
        assert run_client(server, tmp_path, random=2)["places"] == []


def test_more_polygons_than_a_tile_can_number_are_refused() -> None:
    n = 70_000
    ring = np.full((n, 6), -1)
    ring[:, :3] = np.arange(3)
    many = shapes.Polygons(
        np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]),
        ring,
        np.full(n, 3),
        np.full(n, 1),
        ring * 0 - 1,
    )
    with pytest.raises(RoadError, match="70000 walkable polygons"):
        encode(many)


@pytest.mark.parametrize("seed", range(12))
def test_triangulation_keeps_given_edges_and_area(seed: int) -> None:
    """Random crossing segments: nothing overlaps, nothing is lost, every edge kept is a chain of held edges near the segment."""
    rng = np.random.default_rng(seed)
    n, size = (
        60,
        10_000 if seed % 2 else 300,
    )  # sparse, and so dense that most points lie near some edge
    points = np.unique(rng.integers(0, size, (n, 2)), axis=0)
    n = points.shape[0]
    given = np.unique(np.sort(rng.integers(0, n, (30, 2)), 1), axis=0)
    given = given[given[:, 0] != given[:, 1]]
    room = n + 3000
    p, z = np.zeros((room + 3, 2), np.int64), np.zeros(room + 3)
    p[:n], z[:n] = points, points[:, 0]
    far = 4 * size
    p[room:] = [[-far, -far], [2 * far, -far], [0, 2 * far]]
    tri, near, held = (np.zeros((2 * room + 8, 3), np.int64) for _ in range(3))
    count, _, dropped = kernels.triangulate(p, z, n, np.arange(n), given, 2.0, tri, near, held)
    tri, near, held = tri[:count], near[:count], held[:count]
    a, b, c = p[tri[:, 0]], p[tri[:, 1]], p[tri[:, 2]]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    assert (area > 0).all()
    d = p[room + 1] - p[room], p[room + 2] - p[room]
    assert area.sum() == d[0][0] * d[1][1] - d[0][1] * d[1][0]
    for t, i in np.argwhere(near >= 0):
        u = near[t, i]
        (j,) = [j for j in range(3) if near[u, j] == t and tri[u, j] == tri[t, (i + 1) % 3]]
        assert tri[u, (j + 1) % 3] == tri[t, i]
        assert held[u, j] == held[t, i]
    assert dropped == 0
    links: dict[int, set[int]] = {}
    for t, i in np.argwhere(held):
        links.setdefault(int(tri[t, i]), set()).add(int(tri[t, (i + 1) % 3]))
    for start, end in given:
        # Held edges lead from start to end without straying more than three times the reach from the segment.
        axis = (p[end] - p[start]) / np.hypot(*(p[end] - p[start]))
        seen, todo = {int(start)}, [int(start)]
        while todo:
            for other in links.get(todo.pop(), ()):
                off = p[other] - p[start]
                if other not in seen and abs(axis[0] * off[1] - axis[1] * off[0]) <= 240.0:
                    seen.add(other)
                    todo.append(other)
        assert int(end) in seen


@pytest.mark.skipif(not FILES, reason="../shared/corpora is absent")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_corpora_maps_get_a_mesh_that_detour_can_use(path: Path) -> None:
    try:
        net = read(path)
    except IcvError:
        pytest.skip("not readable as a road network")
    mesh = decode(navmesh(net))
    check(mesh)
    assert WALK in mesh.area  # somewhere to be, pavement in the file or not


# ---- the stock client ----------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """The calls that a client with AI walkers makes; `asked` and `states` keep what it sent."""

    files: dict[str, bytes]
    frame: int = 1
    actors: dict[int, Any] = field(default_factory=dict)
    streams: list[socket.socket] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    states: dict[int, list[Any]] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    settings: list[Any] = field(
        default_factory=lambda: [
            True,
            False,
            [True, 0.05],
            False,
            0.01,
            10,
            0.0,
            False,
            0.0,
            0.0,
            True,
        ]
    )

    def snapshot(self) -> bytes:
        body = struct.pack("<QQd24x", 17, self.frame, self.frame * 0.05)
        body += struct.pack("<Qdf3iI", 1, 0.0, 0.05, 0, 0, 0, 0)
        for number, (_, (place, turn)) in self.actors.items():
            body += struct.pack("<IB6f90x", number, 1, *place, *turn)
        return struct.pack("<I", len(body)) + body

    def spawn(self, description: Any, transform: Any, parent: int = 0) -> Any:
        number = 10 + len(self.actors)
        box = [[0, 0, 0], [0.3, 0.3, 0.9], [0, 0, 0], number]
        actor = [number, parent, description, box, b"\x0c", b""]
        self.actors[number] = (actor, transform)
        return actor

    def batch(self, commands: Any) -> Any:
        for ((kind, payload),) in commands:
            assert kind == 7, kind  # ApplyWalkerState: id, transform with the feet's place, speed
            number, transform, _ = payload
            self.states.setdefault(number, []).append(transform[0])
            self.actors[number] = (self.actors[number][0], transform)
        return [[[1, payload[0]]] for ((_, payload),) in commands]

    def answer(self, name: str, args: Any) -> Any:
        token = struct.pack("<IHBB16x", 1, self.ports[1], 1, 0)
        attribute = ["role_name", 4, "x", [], True, False]
        known = {
            "version": lambda: "0.9.16",
            "get_episode_info": lambda: [1, [token]],
            "get_sensor_token": lambda: [token],
            "get_episode_settings": lambda: self.settings,
            "set_episode_settings": lambda: self.frame,
            "query_lights_state": list,
            "get_required_files": lambda: list(self.files) if args[0] == "Nav" else [],
            "request_file": lambda: self.files[args[0]],
            "get_actor_definitions": lambda: [
                [1, "walker.pedestrian.0001", "walker,pedestrian", [attribute]],
                [2, "controller.ai.walker", "controller,ai", [attribute]],
            ],
            "get_actors_by_id": lambda: [self.actors[i][0] for i in args[0] if i in self.actors],
            "spawn_actor": lambda: self.spawn(*args[:2]),
            "spawn_actor_with_parent": lambda: self.spawn(*args[:3]),
            "get_actor_bounding_box": lambda: self.actors[args[0]][0][3],
            "tick_cue": self.tick,
        }
        if name == "apply_batch":
            return self.batch(args[0])
        if name in known:
            return [[1, known[name]()]]
        return [[False]]

    def tick(self) -> int:
        self.frame += 1
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.sendall(self.snapshot())
        return self.frame

    def calls(self, peer: socket.socket) -> None:
        msgpack = pytest.importorskip("msgpack")
        unpacker = msgpack.Unpacker(raw=False)
        with contextlib.suppress(OSError):
            while data := peer.recv(65536):
                unpacker.feed(data)
                for _, number, name, args in unpacker:
                    with self.lock:
                        if name in ("get_required_files", "request_file"):
                            self.asked.append((name, args[1]))
                        reply = self.answer(name, args[1:])
                    peer.sendall(msgpack.packb([1, number, None, reply]))

    def stream(self, peer: socket.socket) -> None:
        peer.recv(4)
        with self.lock:
            self.streams.append(peer)
            peer.sendall(self.snapshot())


@contextlib.contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    server = Server(files)
    peers: list[socket.socket] = []

    def accept(listener: socket.socket, handle: Any) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peers.append(peer)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=handle, args=(peer,), daemon=True).start()

    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    server.ports = [listener.getsockname()[1] for listener in listeners]
    threads = [
        threading.Thread(target=accept, args=pair, daemon=True)
        for pair in zip(listeners, (server.calls, server.stream), strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for peer in peers:
            peer.close()
        for thread in threads:
            thread.join(5.0)


CLIENT = """
import json, sys
import carla
client = carla.Client("127.0.0.1", int(sys.argv[1]))
client.set_timeout(20.0)
world = client.get_world()
job = json.loads(sys.argv[2])
world.set_pedestrians_seed(7)
world.set_pedestrians_cross_factor(job["cross"])
places = [world.get_random_location_from_navigation() for _ in range(job["random"])]
library = world.get_blueprint_library()
walkers = [
    world.spawn_actor(library.find("walker.pedestrian.0001"), carla.Transform(carla.Location(*start)))
    for start, _ in job["walks"]
]
world.tick()
controllers = [
    world.spawn_actor(library.find("controller.ai.walker"), carla.Transform(), walker)
    for walker in walkers
]
world.tick()
for controller, (_, goal) in zip(controllers, job["walks"]):
    controller.start()
    controller.go_to_location(carla.Location(*goal))
    controller.set_max_speed(1.6)
for _ in range(job["ticks"]):
    world.tick()
print(json.dumps({"places": [[p.x, p.y, p.z] for p in places if p], "ids": [w.id for w in walkers]}))
"""


def run_client(server: Server, home: Path, **job: Any) -> Any:
    pytest.importorskip("carla", reason="the carla wheel is the client; install icv[carla]")
    pytest.importorskip("msgpack")
    job = {"cross": 0.0, "random": 0, "walks": [], "ticks": 0} | job
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(server.ports[0]), json.dumps(job)],
        env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_client_fetches_the_file_once_and_picks_places_on_pavements(
    net: RoadNetwork, mesh: Mesh, tmp_path: Path
) -> None:
    files = {nav_name(net, net.name): navmesh(net)}
    (name,) = files
    with serving(files) as server:
        places = run_client(server, tmp_path, random=300)["places"]
        assert server.asked == [("get_required_files", "Nav"), ("request_file", name)]
        server.asked.clear()
        again = run_client(server, tmp_path, random=1)["places"]
        assert server.asked == [
            ("get_required_files", "Nav")
        ]  # the second client has it in its cache
    assert len(places) == 300
    assert len(again) == 1
    on = [any(mesh.area[k] == WALK for k in mesh.holders(x, y, 0.02)) for x, y, _ in places]
    assert all(on)
    # By the network itself: within 0.5 m of a pavement lane, or on the strip that continues it round a corner.
    lanes = np.flatnonzero(net.lanes.type == LaneType.SIDEWALK)
    start, end = net.lanes.point_start[lanes], net.lanes.point_start[lanes + 1]
    rows = np.concatenate([np.arange(a, b) for a, b in zip(start, end, strict=True)])
    lane = np.repeat(lanes, end - start)
    near = 0
    for x, y, _ in places:
        a, b = rows[:-1], rows[1:]
        same = lane[:-1] == lane[1:]
        px, py = net.points.x_m, net.points.y_m
        dx, dy = px[b] - px[a], py[b] - py[a]
        f = np.clip(
            ((x - px[a]) * dx + (-y - py[a]) * dy) / np.maximum(dx * dx + dy * dy, 1e-9), 0, 1
        )
        gap = np.hypot(x - px[a] - f * dx, -y - py[a] - f * dy) - net.points.width_m[a] / 2
        near += bool(gap[same].min() <= 0.5)
    assert near >= 0.95 * len(places)


def test_ai_walkers_cross_at_the_crossing(tmp_path: Path) -> None:
    """Two walkers change sides of the island's ring road; the nearest crossing is 4 m up the road from where they stand."""
    net = read(ROADS / "smart_island.xodr")
    mesh = decode(navmesh(net))
    west, east = (33.5, -38.0, 1.0), (46.5, -38.0, 1.0)
    with serving({nav_name(net, net.name): navmesh(net)}) as server:
        ids = run_client(server, tmp_path, walks=[(west, east), (east, west)], ticks=400)["ids"]
    for number, goal in zip(ids, (east, west), strict=True):
        track = np.array(server.states[number])
        assert len(track) >= 400
        assert np.hypot(track[:, 0] - goal[0], track[:, 1] - goal[1]).min() < 1.5
        assert np.hypot(*np.diff(track[:, :2], axis=0).T).max() < 0.2
        crossed = set()
        for x, y, z in track[::4]:
            held = mesh.holders(x, y, 0.05)
            crossed |= {int(mesh.area[k]) for k in held}
            assert {int(mesh.area[k]) for k in held} & {WALK, CROSS, GRASS}, (x, y)
            assert abs(z) < 0.05  # the feet, on a flat map
        assert CROSS in crossed
