"""CARLA's stock client against `icv carla-server`, each in a process of its own, on this machine: what a script sees.

Ticks, calls, the stock Traffic Manager, a lidar and a generated world, on a grid of streets made here (570 kB of OpenDRIVE). Vehicles of
the tick rows drive in circles, apart from each other. "ready" is the first answer after the start of a process with warm kernel caches.
All figures are by the clock: client and server share the machine.

`python -m sim.bench.carla JOB PORT ARGUMENT` is the client's side.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import pi
from pathlib import Path
from typing import Any

from protocols.errors import InfrastructureError
from scenarios.roads import crossing
from scenarios.roads.crossing import Leg
from scenarios.roads.model import Cubic, Junction, Lane, Map, Mark, Road, Section
from scenarios.roads.plan import Pose, chain
from scenarios.roads.write import to_bytes
from sim.bench import carla_limit
from sim.bench.measure import OURS, Row, row, skipped

BLOCK_M, GAP_M, LANE_M, WALK_M = 180.0, 18.0, 3.5, 2.5
STREETS = 6  # each way
CLIENT_WITHIN_S = 180.0
READY_WITHIN_S = 120.0
STEP_S = 0.05
MEASURE_S = 2.0
SWEEPS = 40
CHANNELS, POINTS, BOXES = 64, 1024, 50


def rows(runs: int) -> Iterator[Row]:
    """CARLA rows."""
    if importlib.util.find_spec("carla") is None:
        why = "the carla 0.9.16 wheel is not installed: pip install 'icv[carla]'"
        yield skipped("CARLA client against icv carla-server", "all", "icv", why)
        return
    with tempfile.TemporaryDirectory() as folder:
        road = Path(folder) / "grid.xodr"
        road.write_bytes(grid())
        size = f"{road.stat().st_size / 1000:.0f} kB"
        with serving("--map", str(road)):
            pass  # compiles what is not compiled yet
        ready = []
        for _ in range(runs):
            with serving() as (_, seconds):
                ready.append(seconds)
        yield row("icv carla-server, warm kernel cache", "ready after", ready, "s", basis="wall")
        plan: list[tuple[str, str, str, list[str]]] = [
            ("world.tick(), {} vehicles", "ticks", "ticks", ["0", "1", "50", "200"]),
            ("get_server_version()", "round trips", "calls", ["0"]),
            ("world.tick(), stock Traffic Manager, {} vehicles", "ticks", "traffic", ["50", "200"]),
            (f"lidar {CHANNELS} x {POINTS}, {BOXES} boxes", "sweeps", "lidar", ["0"]),
        ]
        for workload, metric, job, arguments in plan:
            for argument in arguments:
                named = workload.format(argument)
                yield _rate(named, metric, [ask(job, road, argument) for _ in range(runs)])
        bare: list[float | str] = []
        for _ in range(runs):
            with carla_limit.serving() as port:
                bare.append(_asked("bare", port, ""))
        yield _rate("get_server_version()", "round trips", bare, peer=carla_limit.PEER)
        for argument in ("1", "50", "200"):
            still: list[float | str] = []
            for _ in range(runs):
                with carla_limit.serving(road) as port:
                    still.append(_asked("ticks", port, argument))
            named = f"world.tick(), {argument} vehicles"
            yield _rate(named, "ticks", still, peer=carla_limit.PEER)
        times = [ask("generate", road, str(road)) for _ in range(runs)]
        yield _rate(f"generate_opendrive_world, {size} road file", "time", times, "s")


def _rate(
    workload: str, metric: str, found: list[float | str], unit: str = "", peer: str = OURS
) -> Row:
    """A row of what the clients measured; of the reason where one of them did not."""
    reasons = [f for f in found if isinstance(f, str)]
    if reasons:
        return skipped(workload, metric, peer, reasons[0])
    values = [float(f) for f in found]
    return row(workload, metric, values, unit or f"{metric}/s", basis="wall", peer=peer)


@contextmanager
def serving(*options: str) -> Iterator[tuple[int, float]]:
    """A server's port, and how long after its start it answered."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("icv")), "carla-server", "--port", str(port)]
    begun = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, *options], stdout=quiet, stderr=quiet)
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begun > READY_WITHIN_S:
                raise InfrastructureError(
                    "icv carla-server did not answer; run it by hand to see why"
                )
            time.sleep(0.005)
        yield port, time.perf_counter() - begun
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    """Whether a server answers `version` there; it listens a little earlier than that."""
    from sim.carla.wire import rpc

    try:
        with socket.create_connection(("127.0.0.1", port), READY_WITHIN_S) as sock:
            sock.sendall(rpc.request(0, "version"))
            return bool(sock.recv(256))
    except OSError:
        return False


def _free_port() -> int:
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def ask(job: str, road: Path, argument: str) -> float | str:
    """What one client measured against a server of its own, or a sentence about why it did not."""
    with serving("--map", str(road)) as (port, _):
        return _asked(job, port, argument)


def _asked(job: str, port: int, argument: str) -> float | str:
    command = [sys.executable, "-m", "sim.bench.carla", job, str(port), argument]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=CLIENT_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        return f"the client did not end within {CLIENT_WITHIN_S:g} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"the client ended with code {done.returncode}: {last}"
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def grid(streets: int = STREETS) -> bytes:
    """A square grid of two-lane streets with pavements and without dead ends."""
    town = Map("grid", "+proj=tmerc +lat_0=34.76 +lon_0=113.66 +datum=WGS84 +units=m +no_defs")
    legs: dict[tuple[int, int], list[Leg]] = {(i, j): [] for i in range(streets) for j in range(streets)}  # fmt: skip
    for (i, j), met in legs.items():
        for along, (di, dj) in enumerate(((1, 0), (0, 1))):
            if (i + di, j + dj) not in legs:
                continue
            yaw = along * pi / 2
            start = Pose(i * BLOCK_M, j * BLOCK_M, yaw).ahead(GAP_M)
            plan = chain(start, (BLOCK_M - 2 * GAP_M, 0.0, 0.0))
            road = Road(f"{len(town.roads) + 1}", f"{i},{j}", plan, (_lanes(),), 50.0)
            road.before = ("junction", f"{1000 + i * streets + j}", "")
            road.after = ("junction", f"{1000 + (i + di) * streets + j + dj}", "")
            town.roads.append(road)
            met.append(Leg(road, False))
            legs[i + di, j + dj].append(Leg(road, True))
    for (i, j), met in legs.items():
        junction = Junction(f"{1000 + i * streets + j}", f"{i},{j}")
        town.junctions.append(junction)
        ways = [(a, b) for a in met for b in met if a is not b]
        for number, (a, b) in enumerate(ways):
            road_id = f"{int(junction.id) * 100 + number}"
            way = (a, a.sign, b, -b.sign)
            crossing.connect(town, junction, road_id, way, "driving", 30.0, 0.0)
    return to_bytes(town)


def _lanes() -> Section:
    kinds = (("driving", LANE_M, Mark("solid")), ("sidewalk", WALK_M, Mark("curb")))
    lanes = tuple(
        Lane(side * k, kind, (Cubic(0.0, width),), (mark,))
        for side in (1, -1)
        for k, (kind, width, mark) in enumerate(kinds, 1)
    )
    return Section(0.0, lanes, Mark("broken", colour="yellow"))


# ---- the client's side


class Script:
    """A client with a synchronous world."""

    def __init__(self, port: int) -> None:
        import carla

        self.carla = carla
        self.port = port
        self.client = carla.Client("127.0.0.1", port)
        self.client.set_timeout(60.0)
        self.world = self.client.get_world()
        settings = self.world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, STEP_S
        self.world.apply_settings(settings)
        self.library = self.world.get_blueprint_library()

    def circling(self, count: int) -> None:
        """Vehicles beside the streets that drive in circles, too far apart to meet."""
        carla = self.carla
        car = self.library.find("vehicle.tesla.model3")
        control = carla.VehicleControl(throttle=0.4, steer=0.4)
        batch = []
        for k in range(count):
            place = carla.Location(-100.0 - 30.0 * (k // 20), -30.0 * (k % 20), 0.3)
            spawn = carla.command.SpawnActor(car, carla.Transform(place, carla.Rotation()))
            batch.append(
                spawn.then(carla.command.ApplyVehicleControl(carla.command.FutureActor, control))
            )
        self._sent(batch)

    def _sent(self, batch: list[Any]) -> list[int]:
        answers = self.client.apply_batch_sync(batch, True)
        errors = [a.error for a in answers if a.error]
        if errors:
            raise RuntimeError(f"{len(errors)} of {len(batch)} vehicles not spawned: {errors[0]}")
        return [a.actor_id for a in answers]

    def traffic(self, count: int) -> None:
        """Vehicles under the stock Traffic Manager, spread over the spawn points."""
        carla = self.carla
        manager = self.client.get_trafficmanager(_free_port())
        manager.set_synchronous_mode(True)
        manager.set_random_device_seed(1)
        points = self.world.get_map().get_spawn_points()
        step = max(len(points) // count, 1)
        car = self.library.find("vehicle.tesla.model3")
        drives = carla.command.SetAutopilot(carla.command.FutureActor, True, manager.get_port())
        self._sent([carla.command.SpawnActor(car, p).then(drives) for p in points[::step][:count]])

    def sweeps(self) -> float:
        """Sweeps per second, from the tick that asks for one to its points in the script."""
        carla = self.carla
        car = self.library.find("vehicle.tesla.model3")
        batch = []
        for k in range(BOXES):
            place = carla.Location(-100.0 - 12.0 * (k // 10), -12.0 * (k % 10), 0.3)
            batch.append(carla.command.SpawnActor(car, carla.Transform(place, carla.Rotation(yaw=37.0 * k))))  # fmt: skip
        self._sent(batch)
        blueprint = self.library.find("sensor.lidar.ray_cast")
        wish = {
            "channels": CHANNELS, "points_per_second": round(CHANNELS * POINTS / STEP_S), "rotation_frequency": 1.0 / STEP_S,
            "range": 100.0, "upper_fov": 5.0, "lower_fov": -25.0, "dropoff_general_rate": 0.0, "dropoff_intensity_limit": 0.0,
            "dropoff_zero_intensity": 0.0,
        }  # fmt: skip
        for name, value in wish.items():
            blueprint.set_attribute(name, str(value))
        place = carla.Location(-118.0, -54.0, 2.5)
        lidar = self.world.spawn_actor(blueprint, carla.Transform(place))
        points: list[int] = []
        lidar.listen(lambda data: points.append(len(data)))

        def sweep() -> None:
            before = len(points)
            self.world.tick()
            while len(points) == before:
                time.sleep(0.0002)

        for _ in range(5):
            sweep()
        begun = time.perf_counter()
        for _ in range(SWEEPS):
            sweep()
        seconds = time.perf_counter() - begun
        if min(points) < 0.5 * CHANNELS * POINTS:
            raise RuntimeError(f"a sweep had {min(points)} points: not what was to be measured")
        return SWEEPS / seconds

    def generate_s(self, road: Path) -> float:
        """Seconds of one generate_opendrive_world, before which the server does not know the road."""
        text = road.read_text(encoding="utf-8").replace("<header ", '<header north="1" ', 1)
        begun = time.perf_counter()
        self.client.generate_opendrive_world(text)
        return time.perf_counter() - begun


def rate(call: Callable[[], Any], warm: int, block: int) -> float:
    """Calls per second over MEASURE_S."""
    for _ in range(warm):
        call()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < MEASURE_S:
        for _ in range(block):
            call()
        done += block
    return done / (time.perf_counter() - begun)


def _measure(job: str, port: int, argument: str) -> float:
    if job == "bare":
        import carla

        return rate(carla.Client("127.0.0.1", port).get_server_version, 1000, 200)
    script = Script(port)
    if job == "ticks":
        script.circling(int(argument))
        return rate(script.world.tick, 300, 50)
    if job == "calls":
        return rate(script.client.get_server_version, 1000, 200)
    if job == "traffic":
        script.traffic(int(argument))
        return rate(script.world.tick, 100, 10)
    if job == "lidar":
        return script.sweeps()
    return script.generate_s(Path(argument))


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])), flush=True)
    os._exit(0)  # threads of the wheel may race at exit
