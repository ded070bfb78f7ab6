"""Scenes on a CARLA server through the stock client: the same verdicts, known differences, honest failures."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from protocols.errors import ConfigError, InfrastructureError, LogError
from sim.carla.backend.agreement import agree
from sim.carla.backend.drive import Drive
from sim.carla.backend.session import CarlaTarget, Session
from sim.log.reader import LogReader
from tests.carla.conftest import ROOT, Server
from tests.support.ports import free_port
from vehicle.dynamics import vehicle_params

ROAD = ROOT / "scenarios/library/smart_island.toml"


def run(scene: str, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`icv run`, in a process of its own: the wheel's threads must not outlive a test."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("icv")), "run", scene, "--out", str(out), "--no-picture", *words],
        capture_output=True, text=True, timeout=240, cwd=ROOT,
        env={**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip


def words(result: Path) -> dict[str, bool]:
    """What each criterion says."""
    return {c["name"]: c["passed"] for c in json.loads(result.read_text())["criteria"]}


@pytest.mark.parametrize(
    ("scene", "short"),
    [
        ("smart_island", ("--duration", "60")),
        ("brt_corridor", ("--duration", "70", "--set", "vehicles.bus1.depart_s=5")),
    ],
)
def test_a_scene_says_the_same_on_a_carla_server_and_differs_by_little(
    scene: str, short: tuple[str, ...], start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(scene=scene)
    there = run(scene, tmp_path / "there", "--backend", "carla", "--carla", f":{server.port}", *short)  # fmt: skip
    again = run(scene, tmp_path / "again", "--backend", "carla", "--carla", f":{server.port}", *short)  # fmt: skip
    here = run(scene, tmp_path / "here", *short)
    assert there.returncode == here.returncode == again.returncode, there.stderr + here.stderr
    assert words(tmp_path / "there/result.json") == words(tmp_path / "here/result.json")
    first, second = (
        json.loads((tmp_path / name / "result.json").read_text())["digest"] for name in ("there", "again")
    )  # fmt: skip
    assert first == second, "the same server, the same bytes"
    found = agree(tmp_path / "here/run.mcap", tmp_path / "there/run.mcap")
    (vehicle,) = found.vehicles
    assert found.same_verdicts
    assert vehicle.distance_m[0] > 200.0, "it drove"
    assert 0.001 < vehicle.position_m[0] < 3.0, "other physics, so not nothing; but close"
    assert vehicle.path_m[0] < 0.3
    assert vehicle.speed_mps[0] < 0.8
    assert vehicle.b.accel_gain == pytest.approx(1.0, abs=0.05)


def test_what_we_show_on_the_server_is_what_we_have(start_server: Callable[..., Server]) -> None:
    """Vehicles and lights, as another client sees them while the scene runs."""
    server = start_server(scene="brt_corridor")
    seen = server.client(
        """
        from pathlib import Path
        from scenarios.load import load_scene
        from sim.carla.backend.session import CarlaTarget
        from sim.compose import RunOptions, run_scene
        import tempfile, threading
        import sim.carla.backend.bodies as bodies

        step = bodies.CarlaBodies.step
        seen = {}

        def watched(self, t_ns, dt_s, accel, steer):
            step(self, t_ns, dt_s, accel, steer)
            if t_ns == 30_000_000_000:
                other = carla.Client("127.0.0.1", port)
                other.set_timeout(10)
                there = other.get_world()
                for _ in range(500):  # who joins a world that stands knows nobody until its first snapshot is there
                    actors = there.get_actors()
                    if len(actors.filter("vehicle.*")):
                        break
                    time.sleep(0.01)
                cars = [a for a in actors.filter("vehicle.*") if a.attributes.get("role_name") != "bus1"]
                states = self._states
                lights = {}
                for light in actors.filter("traffic.traffic_light*"):
                    lights[light.get_opendrive_id()] = str(light.get_state())
                seen["cars"] = sorted([round(a.get_location().x, 2), round(a.get_location().y, 2)] for a in cars)
                seen["ours"] = [
                    [
                        states.x_m[r] + self.background._ahead(r) * math.cos(states.yaw_rad[r]),
                        -states.y_m[r] - self.background._ahead(r) * math.sin(states.yaw_rad[r]),
                    ]
                    for r in self.background._moved_by_us().nonzero()[0].tolist()
                ]
                seen["lights"] = lights
                seen["shown"] = {
                    name: int(self.lights.light[self.lights.net.signals.group[k]])
                    for k, name in enumerate(self.lights.net.signals.id)
                    if self.lights.net.signals.group[k] >= 0
                    and self.lights.net.signals.type[k] == "1000001"
                }
                seen["missing"] = self.lights.missing
                seen["refused"] = self.background.refused

        bodies.CarlaBodies.step = watched
        loaded = load_scene(Path("brt_corridor"), ["duration_s=31"])
        options = RunOptions(picture=False, carla=CarlaTarget("127.0.0.1", port))
        with tempfile.TemporaryDirectory() as out:
            run_scene(loaded.spec, loaded.path.parent, Path(out), options=options)
        result = seen
        """,
        timeout_s=120.0,
        with_world=False,
    )
    assert seen["missing"] == [], "our server makes a light for each of our signals"
    assert seen["refused"] <= 3
    assert len(seen["cars"]) >= 10
    for x, y in seen["cars"]:  # a tick old: 0.17 m at 60 km/h
        assert min(math.hypot(x - u, y - v) for u, v in seen["ours"]) < 0.25, (x, y)
    assert len(seen["ours"]) - len(seen["cars"]) <= 3, "nobody is forgotten"
    colour = {2: "Red", 3: "Red", 4: "Green", 5: "Green", 6: "Yellow", 7: "Yellow"}
    assert {name: colour[state] for name, state in seen["shown"].items()} == seen["lights"]
    assert set(seen["lights"].values()) >= {"Red", "Green"}


def test_a_server_that_dies_ends_the_run_with_its_time_and_a_whole_log(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(scene="smart_island")
    victim = server.process

    def strike() -> None:
        until = time.monotonic() + 100.0
        log = tmp_path / "out/run.mcap"
        while time.monotonic() < until and (not log.exists() or log.stat().st_size < 200_000):
            time.sleep(0.1)
        victim.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    done = run("smart_island", tmp_path / "out", "--backend", "carla", "--carla", f":{server.port}")
    thread.join()
    assert done.returncode == 3, done.stdout + done.stderr
    assert "CARLA server at 127.0.0.1" in done.stderr and "t=" in done.stderr
    log = LogReader.open(tmp_path / "out/run.mcap", recover=True)
    assert log.traces(log.trace_names()[0]).t_ns.size > 100


def test_no_server_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"no CARLA server answers at 127\.0\.0\.1"):
        Session(CarlaTarget(port=free_port(), answer_s=0.5), ROAD, 0.01)


def test_another_version_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def old() -> None:
            peer, _ = listener.accept()
            with peer:
                reader = msgpack.Unpacker()
                while data := peer.recv(4096):
                    reader.feed(data)
                    for _, ident, _, _ in reader:
                        peer.sendall(msgpack.packb([1, ident, None, [[1, "0.9.13"]]]))

        threading.Thread(target=old, daemon=True).start()
        target = CarlaTarget(port=listener.getsockname()[1], answer_s=5.0)
        with pytest.raises(InfrastructureError, match=r"is 0\.9\.13, expected 0\.9\.16"):
            Session(target, ROAD, 0.01)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("", "127.0.0.1", 2000), (":3000", "127.0.0.1", 3000), ("sim", "sim", 2000), ("10.0.0.1:7", "10.0.0.1", 7)],
)  # fmt: skip
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    target = CarlaTarget.parse(text)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize("text", [":0", ":65536", "a:b", "::"])
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        CarlaTarget.parse(text)


def drive() -> Drive:
    """A bus of 10 t without drag."""
    params = vehicle_params("articulated_bus_18m")
    return Drive(params, 10_000.0, 0.5, 0.0, 6.0, 0.8)


def test_a_standing_vehicle_is_held_until_it_is_told_to_go() -> None:
    pedals = drive()
    assert pedals.control(0.0, 0.0, 0.0, 0.01)[:2] == (0.0, 1.0)
    assert pedals.control(-2.0, 0.0, 0.05, 0.01)[:2] == (0.0, 1.0)
    throttle, brake, _ = pedals.control(0.5, 0.0, 0.0, 0.01)
    assert throttle > 0.0 and brake == 0.0


def test_pedals_give_the_force_that_the_acceleration_needs() -> None:
    pedals = drive()
    speed = 5.0
    pedals.start(speed)
    for _ in range(300):  # the vehicle does exactly what the pedals say: F = m a
        throttle, brake, _ = pedals.control(0.8, 0.0, speed, 0.01)
        force = throttle * pedals.force_n - brake * pedals.brake_n
        speed += force / 10_000.0 * 0.01
    assert force / 10_000.0 == pytest.approx(0.8, abs=0.02)
    for _ in range(200):
        throttle, brake, _ = pedals.control(-1.5, 0.0, speed, 0.01)
        force = throttle * pedals.force_n - brake * pedals.brake_n
        speed += force / 10_000.0 * 0.01
    assert throttle == 0.0 and force / 10_000.0 == pytest.approx(-1.5, abs=0.05)


def test_a_heavier_vehicle_than_said_still_gets_its_speed() -> None:
    pedals = drive()
    speed, wanted = 5.0, 5.0
    pedals.start(speed)
    for k in range(1000):
        accel = 0.5 if k < 500 else 0.0
        throttle, brake, _ = pedals.control(accel, 0.0, speed, 0.01)
        speed += (throttle * pedals.force_n - brake * pedals.brake_n) / 12_000.0 * 0.01
        wanted += accel * 0.01
    assert speed == pytest.approx(wanted, abs=0.15)


def test_left_is_left() -> None:
    pedals = drive()
    for _ in range(300):
        steer = pedals.control(0.0, 0.4, 5.0, 0.01)[2]
    assert steer == pytest.approx(-0.5, abs=1e-3), (
        "CARLA's steer is right positive; full lock here is 0.8 rad"
    )


def test_agreement_of_runs_of_different_scenes_is_refused(tmp_path: Path) -> None:
    for scene in ("smart_island", "brt_corridor"):
        done = run(scene, tmp_path / scene, "--duration", "2")
        assert done.returncode in (0, 1), done.stderr
    with pytest.raises(LogError, match="expected two runs of one scene"):
        agree(tmp_path / "smart_island/run.mcap", tmp_path / "brt_corridor/run.mcap")
    itself = tmp_path / "smart_island/run.mcap"
    same = agree(itself, itself)
    assert same.same_verdicts and same.vehicles[0].position_m[0] == 0.0
    assert "every criterion says the same" in same.text() and json.loads(same.json())["scenario"] == "smart_island"  # fmt: skip
