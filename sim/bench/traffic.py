"""Background traffic beside SUMO: vehicle-steps per CPU second on the same signalised grid, and whether ours stays flat.

Workload: 20 x 20 junctions, 200 m blocks, 2 lanes each way, one green per approach in turn, step 0.1 s, N vehicles present all
the time. The net comes from SUMO's netgenerate; netconvert's OpenDRIVE of it is what we drive on. Peer: libsumo in this process.
Both run in turn (A B A B) and by CPU time.

Equal: road geometry, number of vehicles, vehicle length 4.8 m and gap 2.5 m, car-following model (IDM), green and yellow times
(the order of the approaches differs), step. In both: signals, right of way at junctions, lane changing.
Not equal: our vehicles have 64 destinations and take the cheapest lane sequence to one, then draw the next; SUMO's follow
random routes of 80 edges. Our drivers' acceleration and desired speeds come from our class table, SUMO's from its defaults.
Our step writes x, y, z, yaw, speed, acceleration, yaw rate, lane position and lights of everybody; SUMO's writes poses only
where asked, so the second figure has it subscribe to position, angle and speed and put them into one numpy array per step.
Mean speeds of both are rows of their own: a jam is cheap to simulate, and nobody should win by one.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ConfigError
from protocols.messages import Light
from protocols.roads.network import F64, U8, RoadNetwork
from scenarios.formats.opendrive import read
from sim.bench.measure import Row, row, skipped
from sim.rows import RowAllocator
from sim.state import empty_states, empty_statics
from sim.traffic import Traffic, TrafficConfig
from sim.traffic import _kernels as k

PEER = "libsumo (IDM)"
NUM_DESTINATIONS = 64
WARM_STEPS, STEPS = 300, 200
GREEN_S = {1: 87.0, 2: 42.0, 3: 27.0, 4: 18.0}  # netgenerate's own plan by number of approaches
YELLOW_S = 3.0
HOPS = 80


def make_grid(folder: Path, num: int = 20) -> tuple[Path, Path]:
    """(net.xml, xodr) of the grid."""
    import sumo

    tools = Path(os.environ.get("SUMO_HOME", sumo.SUMO_HOME))
    env = {**os.environ, "SUMO_HOME": str(tools)}
    net, xodr = folder / "grid.net.xml", folder / "grid.xodr"
    generate = [
        "netgenerate", "--grid", "--grid.number", str(num), "--grid.length", "200",
        "--default.lanenumber", "2", "--default-junction-type", "traffic_light", "--tls.layout",
        "incoming", "--no-turnarounds.except-deadend", "-o", str(net),
    ]  # fmt: skip
    convert = ["netconvert", "-s", str(net), "--opendrive-output", str(xodr)]
    for name, *arguments in (generate, convert):
        subprocess.run(
            [str(tools / "bin" / name), *arguments], check=True, capture_output=True, env=env
        )
    return net, xodr


@dataclasses.dataclass(slots=True)
class ApproachLights:
    """Fixed time, one approach after the other; groups are the approach roads (the export has one group per junction)."""

    order: npt.NDArray[np.int64]
    slot_s: F64
    cycle_s: F64

    def at(self, t_s: float) -> U8:
        """(H,) lights at `t_s`."""
        phase = np.mod(t_s, self.cycle_s) - self.order * self.slot_s
        green = (phase >= 0) & (phase < self.slot_s - YELLOW_S)
        yellow = (phase >= self.slot_s - YELLOW_S) & (phase < self.slot_s)
        lights = np.where(green, int(Light.GREEN_PROTECTED), int(Light.RED))
        return np.where(yellow, int(Light.YELLOW), lights).astype(np.uint8)


def with_approach_groups(net: RoadNetwork) -> tuple[RoadNetwork, ApproachLights]:
    """The net with one signal group per approach road, and its plan."""
    lanes, lines = net.lanes, net.stop_lines
    road, group = np.unique(lanes.road[lines.lane], return_inverse=True)
    junction = np.zeros(road.size, dtype=np.int32)
    junction[group] = lanes.junction[lanes.next[lanes.next_start[lines.lane]]]
    order = np.zeros(road.size, dtype=np.int64)
    seen: dict[int, int] = {}
    for g, j in enumerate(junction.tolist()):
        order[g] = seen.get(j, 0)
        seen[j] = seen.get(j, 0) + 1
    count = np.array([seen[j] for j in junction.tolist()])
    slot = np.array([GREEN_S[min(n, 4)] + YELLOW_S for n in count.tolist()])
    names = tuple(f"approach:{net.roads.id[r]}" for r in road.tolist())
    groups = dataclasses.replace(net.groups, id=names, name=names, junction=junction)
    lines = dataclasses.replace(lines, group=group.astype(np.int32))
    grid = dataclasses.replace(net, groups=groups, stop_lines=lines)
    return grid, ApproachLights(order, slot, slot * count)


def fill(net: RoadNetwork, size: int, seed: int) -> Traffic:
    """N cars spread over the grid, each with a random destination road and a new one on arrival."""
    states, statics = empty_states(size), empty_statics(size)
    traffic = Traffic(net, TrafficConfig(), seed, states, statics, RowAllocator(size))
    rng = np.random.default_rng(seed)
    inner = np.flatnonzero((net.lanes.junction < 0) & (net.lanes.length_m > 50.0))
    roads = np.unique(net.lanes.road[inner])
    chosen = np.sort(rng.choice(roads, min(NUM_DESTINATIONS, roads.size), replace=False))
    goals = [tuple(int(x) for x in inner[net.lanes.road[inner] == road]) for road in chosen]
    placed = 0
    for _ in range(100 * size):
        if placed == size:
            break
        lane = int(rng.choice(inner))
        goal = goals[int(rng.integers(len(goals)))]
        s_m = float(rng.uniform(6.0, net.lanes.length_m[lane] - 6.0))
        factor = float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2))
        if lane in goal:
            continue
        try:
            traffic.place("car", lane, s_m, goal, 8.0, factor)
        except ConfigError:  # somebody stands there: try another place
            continue
        placed += 1
    traffic.vf[:size, k.S0] = 2.5
    traffic.recycle(True)
    return traffic


class Ours:
    """The grid on our side."""

    def __init__(self, xodr: Path) -> None:
        self.net, self.lights = with_approach_groups(read(xodr))

    def run(self, size: int, seed: int) -> tuple[float, float, float, int]:
        """(vehicle-steps per CPU second stepping, the same with copies of all poses, mean speed m/s, vehicles at the end)."""
        traffic = fill(self.net, size, seed)
        t_ns = 0
        for _ in range(WARM_STEPS):
            traffic.step(t_ns, self.lights.at(t_ns * 1e-9))
            t_ns += 100_000_000
        before = float(traffic.vf[:size, k.ODO].sum())
        rates = []
        for is_read in (False, True):
            gc.collect()
            start = time.process_time()
            for _ in range(STEPS):
                traffic.step(t_ns, self.lights.at(t_ns * 1e-9))
                t_ns += 100_000_000
                if is_read:
                    st = traffic.states
                    np.stack((st.x_m, st.y_m, st.yaw_rad, st.speed_mps), axis=1)
            rates.append(size * STEPS / (time.process_time() - start))
        moved = float(traffic.vf[:size, k.ODO].sum()) - before
        return rates[0], rates[1], moved / (size * 2 * STEPS * 0.1), int(traffic.states.valid.sum())


class Theirs:
    """The same grid in libsumo."""

    def __init__(self, net: Path, folder: Path) -> None:
        import sumolib

        self.net, self.folder = net, folder
        edges = [e for e in sumolib.net.readNet(str(net)).getEdges() if e.getID()[0] != ":"]
        self.after = {
            e.getID(): [o.getID() for o in e.getOutgoing() if o.getToNode() is not e.getFromNode()]
            for e in edges
        }

    def _routes(self, size: int, seed: int) -> Path:
        rng = random.Random(seed)
        ids = list(self.after)
        path = self.folder / f"routes_{size}_{seed}.rou.xml"
        lines = ['<routes>\n<vType id="car" carFollowModel="IDM" length="4.8" minGap="2.5"/>']
        for n in range(size):
            edges = [rng.choice(ids)]
            while len(edges) < HOPS and self.after[edges[-1]]:
                edges.append(rng.choice(self.after[edges[-1]]))
            lines.append(
                f'<vehicle id="v{n}" type="car" depart="0" departLane="random" '
                f'departPos="random_free" departSpeed="8"><route edges="{" ".join(edges)}"/></vehicle>'
            )
        path.write_text("\n".join([*lines, "</routes>\n"]), encoding="utf-8")
        return path

    def run(self, size: int, seed: int) -> tuple[float, float, float, int]:
        """As `Ours.run`."""
        import libsumo

        libsumo.start(
            ["sumo", "-n", str(self.net), "-r", str(self._routes(size, seed)), "--step-length", "0.1",
             "--no-step-log", "true", "--no-warnings", "true", "--error-log", os.devnull, "--time-to-teleport", "120", "--seed",
             str(seed), "--threads", "1"]
        )  # fmt: skip
        try:
            return self._measure(libsumo)
        finally:
            libsumo.close()

    def _measure(self, sumo: Any) -> tuple[float, float, float, int]:
        for _ in range(WARM_STEPS):
            sumo.simulationStep()
        start_m = {v: sumo.vehicle.getDistance(v) for v in sumo.vehicle.getIDList()}
        steps = 0
        gc.collect()
        start = time.process_time()
        for _ in range(STEPS):
            sumo.simulationStep()
            steps += sumo.vehicle.getIDCount()
        plain = steps / (time.process_time() - start)
        c = sumo.constants
        for vehicle in sumo.vehicle.getIDList():
            sumo.vehicle.subscribe(vehicle, [c.VAR_POSITION, c.VAR_ANGLE, c.VAR_SPEED])
        steps = 0
        gc.collect()
        start = time.process_time()
        for _ in range(STEPS):
            sumo.simulationStep()
            results = sumo.vehicle.getAllSubscriptionResults()
            poses = np.empty((len(results), 4))
            for n, r in enumerate(results.values()):
                poses[n, 0], poses[n, 1] = r[c.VAR_POSITION]
                poses[n, 2], poses[n, 3] = r[c.VAR_ANGLE], r[c.VAR_SPEED]
            steps += len(results)
        reading = steps / (time.process_time() - start)
        moved = [
            sumo.vehicle.getDistance(v) - start_m[v]
            for v in sumo.vehicle.getIDList()
            if v in start_m
        ]
        speed = float(np.mean(moved)) / (2 * STEPS * 0.1)
        return plain, reading, speed, int(sumo.vehicle.getIDCount())


def rows(runs: int = 3, sizes: tuple[int, ...] = (100, 1000, 5000)) -> Iterator[Row]:
    """Traffic rows; without SUMO installed there is no net to drive on, and every figure says so."""
    if importlib.util.find_spec("libsumo") is None or importlib.util.find_spec("sumo") is None:
        reason = "eclipse-sumo and libsumo are not installed; `pip install icv[peers]`"
        yield skipped("grid 20x20", "vehicle-steps per cpu s, stepping", PEER, reason)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        net, xodr = make_grid(folder)
        ours, theirs = Ours(xodr), Theirs(net, folder)
        fill(ours.net, 2, 0).step(0, ours.lights.at(0.0))  # kernels compiled or loaded
        best: dict[int, list[float]] = {}
        for size in sizes:
            a: list[tuple[float, float, float, int]] = []
            b: list[tuple[float, float, float, int]] = []
            for n in range(runs):
                a.append(ours.run(size, 42 + n))
                b.append(theirs.run(size, 42 + n))
            best[size] = [r[0] for r in a]
            yield from _size_rows(f"grid 20x20, N={size}, dt 0.1 s", a, b)
        if len(sizes) > 1:
            first, last = sizes[0], sizes[-1]
            fall = [x / y for x, y in zip(best[first], best[last], strict=True)]
            yield row(
                f"grid 20x20, N={first} to {last}", "our rate falls by, stepping", fall, "x",
                basis="cpu",
            )  # fmt: skip


def _size_rows(
    workload: str,
    a: list[tuple[float, float, float, int]],
    b: list[tuple[float, float, float, int]],
) -> Iterator[Row]:
    for index, metric in (
        (0, "vehicle-steps per cpu s, stepping"),
        (1, "vehicle-steps per cpu s, all poses in numpy"),
    ):
        yield row(workload, metric, [r[index] for r in a], "1/s", basis="cpu")
        yield row(workload, metric, [r[index] for r in b], "1/s", peer=PEER, basis="cpu")
        pairs = [x[index] / y[index] for x, y in zip(a, b, strict=True)]
        yield row(workload, f"{metric}: ours over libsumo, pair by pair", pairs, "x", basis="cpu")
    for peer, results in (("icv", a), (PEER, b)):
        yield row(workload, "mean speed while measured", [r[2] for r in results], "m/s", peer=peer)
        yield row(workload, "vehicles at the end", [float(r[3]) for r in results], "1", peer=peer)
