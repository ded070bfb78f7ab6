"""Every call of the table is made, through the stock wheel wherever the wheel can make it, and answers what the wheel can read.

Pieces of script, each in a client process of its own, use the wheel's Python interface; the server compares each answer with its type
and says at its end which calls came. What that interface cannot send is in NOT_IN_THE_WHEEL with the reason, and is sent over a bare
socket. A call of the table that neither way made fails the test; so does a reason that is not true.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sim.carla.wire import rpc
from sim.carla.wire.calls import CALLS
from sim.carla.wire.frames import Frames
from tests.carla.conftest import Server

NOT_IN_THE_WHEEL = {
    "get_navigation_mesh": "the client fetches the mesh with request_file",
    "set_actor_dead": "sent by the client's crowd simulation about a walker that a vehicle has run over; no script can ask for it",
    "add_actor_impulse_at_location": "the wheel has the impulse at the centre only",
    "add_actor_force_at_location": "the wheel has the force at the centre only",
    "add_actor_torque": "the wheel's add_torque sends add_actor_angular_impulse",
    "are_gbuffers_enabled": "no method sends it",
    "freeze_traffic_light": "the wheel's freeze() of one light sends freeze_all_traffic_lights",
    "set_actor_autopilot": "set_autopilot registers with the Traffic Manager in the client, the command travels in apply_batch",
    "update_lights_state": "sent about street lights, of which this server lists none",
}

START = """
s = world.get_settings()
s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
world.apply_settings(s)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
def told(what, *arguments):
    "The sentence a call is refused with, or what it answers."
    try:
        return what(*arguments)
    except RuntimeError as error:
        return str(error)
out = {}
"""
CAR = (
    START
    + 'hero = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])\nworld.tick()\n'
)

PIECES = {
    "world": START
    + """
client.set_files_base_folder(os.environ["ICV_TEST_FILES"])
out["version"] = client.get_server_version()
out["maps"] = list(client.get_available_maps())
out["nav"] = list(client.get_required_files("Nav", True))
for name in out["nav"]:
    client.request_file(name)
out["missing"] = str(told(client.request_file, "../etc/passwd"))
out["tick"] = [world.tick(), world.get_snapshot().frame]
world.load_map_layer(carla.MapLayer.Buildings)
world.unload_map_layer(carla.MapLayer.All)
w = world.get_weather()
w.wetness = 33.0
world.set_weather(w)
out["wet"] = world.get_weather().wetness
world.set_imui_sensor_gravity(3.5)
out["gravity"] = world.get_imui_sensor_gravity()
boxes = world.get_level_bbs(carla.CityObjectLabel.Any)
out["boxes"] = [len(boxes), len(world.get_level_bbs(carla.CityObjectLabel.TrafficLight)), boxes[0].extent.z]
things = world.get_environment_objects(carla.CityObjectLabel.Any)
out["things"] = [(t.id, t.name, str(t.type)) for t in things[:3]]
world.enable_environment_objects({t.id for t in things[:1]}, False)
out["names"] = len(world.get_names_of_all_objects())
p = points[0].location
ground = world.ground_projection(p + carla.Location(z=5), 50.0)
down = world.project_point(p + carla.Location(z=5), carla.Vector3D(0, 0, -1), 50.0)
out["down"] = [str(ground.label), ground.location.z - down.location.z]
out["nothing"] = world.project_point(p + carla.Location(z=5), carla.Vector3D(0, 0, 1), 50.0) is None
out["ray"] = [str(h.label) for h in world.cast_ray(p + carla.Location(z=5), p - carla.Location(z=5))]
d = world.debug
for draw in (lambda: d.draw_point(p), lambda: d.draw_line(p, p), lambda: d.draw_arrow(p, p),
             lambda: d.draw_box(carla.BoundingBox(p, carla.Vector3D(1, 1, 1)), carla.Rotation()), lambda: d.draw_string(p, "a"),
             lambda: d.draw_hud_point(p), lambda: d.draw_hud_line(p, p), lambda: d.draw_hud_arrow(p, p),
             lambda: d.draw_hud_box(carla.BoundingBox(p, carla.Vector3D(1, 1, 1)), carla.Rotation())):
    draw()
d.clear_debug_shape()
d.clear_debug_string()
lights = world.get_lightmanager()
out["street"] = len(lights.get_all_lights(carla.LightGroup.NONE))
lights.set_day_night_cycle(True)
world.set_annotations_traverse_translucency(True)
t = carla.TextureColor(2, 2)
f = carla.TextureFloatColor(2, 2)
out["texture"] = [told(world.apply_color_texture_to_object, "a", carla.MaterialParameter.Diffuse, t),
                  told(world.apply_float_color_texture_to_object, "a", carla.MaterialParameter.Normal, f)]
other = client.load_world("smart_island")
out["loaded"] = other.get_map().name
made = client.generate_opendrive_world(other.get_map().to_opendrive())
out["made"] = [made.get_map().name, len(made.get_map().get_spawn_points())]
out["back"] = client.load_world("brt_corridor").get_map().name
result = out
""",
    "actors": CAR
    + """
gps = world.spawn_actor(library.find("sensor.other.gnss"), carla.Transform(carla.Location(z=2)), attach_to=hero,
                        attachment_type=carla.AttachmentType.Rigid)
spectator = world.get_spectator()
out["spectator"] = spectator.type_id
world.tick()
out["actors"] = sorted(a.type_id for a in world.get_actors([hero.id, gps.id, 4000000]))
out["box"] = [hero.bounding_box.extent.x, hero.bounding_box.location.z]
there = points[1]
v = carla.Vector3D(1, 0, 0)
hero.set_location(there.location)
hero.set_transform(there)
hero.set_target_velocity(v)
hero.set_target_angular_velocity(carla.Vector3D(0, 0, 10))
hero.enable_constant_velocity(v)
hero.disable_constant_velocity()
hero.set_simulate_physics(True)
hero.set_collisions(True)
hero.set_enable_gravity(True)
hero.add_impulse(v)
hero.add_force(v)
hero.add_angular_impulse(v)
hero.add_torque(v)
world.tick()
out["moved"] = hero.get_location().distance(there.location)
out["names"] = [list(hero.get_component_names()), list(hero.get_bone_names()), list(hero.get_socket_names())]
out["transforms"] = [len(f()) for f in (hero.get_bone_world_transforms, hero.get_bone_relative_transforms,
    hero.get_socket_world_transforms, hero.get_socket_relative_transforms, hero.get_vehicle_bone_world_transforms)]
out["component"] = [str(told(hero.get_component_world_transform, "wheel")), str(told(hero.get_component_relative_transform, "wheel"))]
answers = client.apply_batch_sync([carla.command.ApplyVehicleControl(hero.id, carla.VehicleControl(throttle=1.0)),
                                   carla.command.DestroyActor(4000000)], True)
out["batch"] = [(a.actor_id == hero.id, a.error) for a in answers]
client.apply_batch([carla.command.SetAutopilot(hero.id, False)])
out["destroyed"] = [gps.destroy(), hero.destroy()]
result = out
""",
    "vehicles": CAR
    + """
hero.apply_control(carla.VehicleControl(throttle=0.5))
world.tick()
out["control"] = hero.get_control().throttle
a = hero.get_ackermann_controller_settings()
a.speed_kp = 0.25
hero.apply_ackermann_controller_settings(a)
out["kp"] = hero.get_ackermann_controller_settings().speed_kp
hero.apply_ackermann_control(carla.VehicleAckermannControl(speed=5.0))
p = hero.get_physics_control()
p.mass = 1234.0
hero.apply_physics_control(p)
q = hero.get_physics_control()
out["physics"] = [q.mass, len(q.wheels), len(q.forward_gears) > 0, q.wheels[0].radius]
hero.set_light_state(carla.VehicleLightState(carla.VehicleLightState.Fog))
world.tick()
out["lamps"] = [int(hero.get_light_state()), [int(s) for i, s in world.get_vehicles_light_states().items() if i == hero.id]]
t = hero.get_telemetry_data()
out["telemetry"] = [t.speed >= 0.0, len(t.wheels), t.engine_rpm >= 0.0]
hero.show_debug_telemetry(True)
hero.open_door(carla.VehicleDoor.FL)
hero.close_door(carla.VehicleDoor.All)
wheel = carla.VehicleWheelLocation.FL_Wheel
hero.set_wheel_steer_direction(wheel, 12.5)
hero.set_wheel_pitch_angle(wheel, 7.5)
out["wheel"] = [hero.get_wheel_steer_angle(wheel), hero.get_wheel_pitch_angle(wheel)]
out["other physics"] = [told(hero.enable_carsim, "x"), told(hero.use_carsim_road, True), told(hero.enable_chrono_physics)]
hero.restore_physx_physics()
client.get_server_version()
result = out
""",
    "walkers": START
    + """
man = world.spawn_actor(library.filter("walker.pedestrian.*")[0], points[3])
world.tick()
man.apply_control(carla.WalkerControl(carla.Vector3D(1, 0, 0), 1.5))
bones = man.get_bones()
out["bones"] = len(bones.bone_transforms)
man.set_bones(carla.WalkerBoneControlIn())
man.blend_pose(0.5)
man.get_pose_from_animation()
world.tick()
out["speed"] = man.get_control().speed
result = out
""",
    "lights": START
    + """
world.tick()
lights = sorted((a for a in world.get_actors() if a.type_id == "traffic.traffic_light"), key=lambda a: a.id)
one = lights[0]
one.set_state(carla.TrafficLightState.Green)
one.set_green_time(11.0)
one.set_yellow_time(2.0)
one.set_red_time(7.0)
one.freeze(True)
world.tick()
out["light"] = [str(one.state), one.get_green_time(), one.get_yellow_time(), one.get_red_time(), one.is_frozen()]
out["group"] = one.id in [x.id for x in one.get_group_traffic_lights()]
out["pieces"] = len(one.get_light_boxes())
world.freeze_all_traffic_lights(False)
one.reset_group()
world.reset_all_traffic_lights()
world.tick()
out["after"] = one.is_frozen()
result = out
""",
    "manager": CAR
    + """
import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    number = probe.getsockname()[1]
manager = client.get_trafficmanager(number)
manager.set_synchronous_mode(True)
hero.set_autopilot(True, number)
for _ in range(40):
    world.tick()
out["speed"] = hero.get_velocity().length()
import subprocess
other = (f"import carla, os; c = carla.Client('127.0.0.1', {port}); c.set_timeout(10.0); "
         f"print(c.get_trafficmanager({number}).get_port(), flush=True); os._exit(0)")
out["same"] = int(subprocess.run([sys.executable, "-c", other], capture_output=True, timeout=30).stdout) == number
hero.set_autopilot(False, number)
manager.set_synchronous_mode(False)
manager.shut_down()
result = out
""",
    "recorder": CAR
    + """
out["path"] = client.start_recorder("every.log", True)
hero.apply_control(carla.VehicleControl(throttle=1.0))
for _ in range(40):
    world.tick()
client.stop_recorder()
out["info"] = client.show_recorder_file_info("every.log", True)
out["hits"] = client.show_recorder_collisions("every.log", "a", "a")
out["blocked"] = client.show_recorder_actors_blocked("every.log", 0.5, 10.0)
client.set_replayer_time_factor(1.0)
client.set_replayer_ignore_hero(False)
client.set_replayer_ignore_spectator(True)
out["replay"] = client.replay_file("every.log", 0.0, 0.0, 0, False)
world.tick()
client.stop_replayer(False)
out["missing"] = str(told(client.show_recorder_file_info, "../../nothing.log", False))
result = out
""",
    "sensors": CAR
    + """
def add(name):
    return world.spawn_actor(library.find(name), carla.Transform(carla.Location(z=2)), attach_to=hero)
talk, camera = add("sensor.other.v2x_custom"), add("sensor.camera.rgb")
lidar = add("sensor.lidar.ray_cast")
heard = []
lidar.listen(lambda data: heard.append(len(data)))
talk.send("hello")
lidar.set_ignored_vehicles([hero.id])
camera.enable_for_ros()
out["ros"] = camera.is_enabled_for_ros()
camera.disable_for_ros()
camera.enable_gbuffers(True)
out["gbuffer"] = [camera.is_listening_gbuffer(0), str(told(camera.listen_to_gbuffer, 0, print))]
world.tick()
for _ in range(100):
    if heard:
        break
    time.sleep(0.02)
out["heard"] = len(heard)
lidar.stop()
result = out
""",
}


@dataclass
class Made:
    """What came of the pieces: their results, the calls the wheel made, the answers to the bare ones, what the server said."""

    results: dict[str, Any]
    by_wheel: set[str]
    bare: dict[str, Any] = field(default_factory=dict)
    said: str = ""


def _bare(port: int, calls: list[tuple[str, tuple[Any, ...]]]) -> dict[str, Any]:
    """Calls over a socket of our own, one after another; a refusal raises."""
    answers: dict[str, Any] = {}
    with socket.create_connection(("127.0.0.1", port), 10.0) as sock:
        for number, (name, values) in enumerate(calls):
            sock.sendall(rpc.request(number, name, *values))
            frames, found = Frames(), list[bytes]()
            while not found:
                chunk = sock.recv(1 << 16)
                assert chunk, f"{name}: the server closed the connection"
                found = frames.feed(chunk)
            back, answers[name] = rpc.reply(found[0], name)
            assert back == number
    return answers


def _served(server: Server) -> set[str]:
    """The names the server says at its end."""
    server.process.terminate()
    server.process.wait(20)
    line = next(s for s in server.listen(1.0).splitlines() if s.startswith("calls made:"))
    return set(line.removeprefix("calls made:").split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One server for all pieces; then the bare calls, at another one, so that they are not counted as the wheel's."""
    folder = tmp_path_factory.mktemp("calls")
    server = Server(seed=3, is_checking=True, recordings=folder / "recordings")
    patch = pytest.MonkeyPatch()
    patch.setenv("ICV_TEST_FILES", str(folder))
    results: dict[str, Any] = {}
    try:
        reset = "client.reload_world()\nresult = 1"
        for name, piece in PIECES.items():
            results[name] = server.client(piece)
            server.client("world.apply_settings(carla.WorldSettings())", reset)
        made = Made(results, _served(server), said=server.said)
    finally:
        patch.undo()
        server.stop()
    second = Server(seed=3, is_checking=True, recordings=folder / "recordings")
    try:
        car, light = second.client(
            'car = world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.a2"), world.get_map().get_spawn_points()[0])',
            'result = car.id, world.get_actors().filter("traffic.traffic_light")[0].id',
        )
        push, at = (0.0, 0.0, 100.0), (0.0, 0.0, 0.0)
        made.bare = _bare(
            second.port,
            [
                ("get_navigation_mesh", ()),
                ("set_actor_autopilot", (car, True)),
                ("add_actor_torque", (car, push)),
                ("add_actor_impulse_at_location", (car, push, at)),
                ("add_actor_force_at_location", (car, push, at)),
                ("update_lights_state", ("somebody:1", [], False)),
                ("freeze_traffic_light", (light, True)),
                ("are_gbuffers_enabled", (car,)),
                ("set_actor_dead", (car,)),
            ],
        )
        made.said += second.listen(0.1)
    finally:
        second.stop()
    return made


def test_every_call_of_the_table_was_made(made):
    assert made.by_wheel <= set(CALLS)
    assert set(CALLS) - made.by_wheel == set(NOT_IN_THE_WHEEL)
    assert set(made.bare) == set(NOT_IN_THE_WHEEL)


def test_no_answer_was_of_the_wrong_shape_and_nothing_failed_inside(made):
    complaints = [s for s in made.said.splitlines() if "fit its type" in s or "failed inside" in s]
    assert complaints == []


def test_what_the_bare_calls_answer(made):
    assert made.bare["get_navigation_mesh"][:4] == b"TESM"  # 'MSET', little-endian
    assert made.bare["are_gbuffers_enabled"] is False
    silent = set(made.bare) - {"get_navigation_mesh", "are_gbuffers_enabled"}
    assert {made.bare[name] for name in silent} == {None}


def test_what_the_calls_about_the_world_answer(made):
    found = made.results["world"]
    assert found["version"] == "0.9.16"
    assert "/Game/Carla/Maps/smart_island" in found["maps"]
    assert len(found["nav"]) == 1 and found["nav"][0].endswith(".bin")
    assert found["tick"][0] == found["tick"][1]
    assert found["wet"] == 33.0 and found["gravity"] == 3.5
    total, lights, height = found["boxes"]
    assert total >= lights > 0 and height > 0.0
    assert all(number > 0 and name for number, name, _ in found["things"])
    assert found["names"] >= len(found["things"])
    assert found["down"] == ["Roads", pytest.approx(0.0, abs=0.01)]
    assert found["nothing"] and found["ray"] and found["ray"][0] == "Roads"
    assert found["street"] == 0
    assert all("without rendering" in t for t in found["texture"])
    assert found["loaded"] == "Carla/Maps/smart_island"
    assert found["made"][0] == "Carla/Maps/OpenDriveMap" and found["made"][1] > 0
    assert found["back"] == "Carla/Maps/brt_corridor"


def test_what_the_calls_about_actors_answer(made):
    found = made.results["actors"]
    assert found["spectator"] == "spectator"
    assert found["actors"] == ["sensor.other.gnss", "vehicle.tesla.model3"]
    assert 2.0 < found["box"][0] < 3.0 and found["box"][1] > 0.5
    assert found["moved"] < 0.6
    assert found["names"] == [[], [], []] and found["transforms"] == [0] * 5
    assert all("'wheel'" in t and "not found" in t for t in found["component"])
    (ours, fine), (_, gone) = found["batch"]
    assert ours and fine == "" and "4000000" in gone
    assert found["destroyed"] == [True, True]


def test_what_the_calls_about_vehicles_answer(made):
    found = made.results["vehicles"]
    assert found["control"] == 0.5 and found["kp"] == 0.25
    mass, wheels, has_gears, radius_cm = found["physics"]
    assert mass == 1234.0 and wheels == 4 and has_gears and 25.0 < radius_cm < 50.0
    assert found["lamps"] == [128, [128]]
    assert found["telemetry"] == [True, 4, True]
    assert found["wheel"] == [12.5, 7.5]


def test_what_the_calls_about_walkers_and_lights_answer(made):
    walker, light = made.results["walkers"], made.results["lights"]
    assert walker == {"bones": 0, "speed": 1.5}
    assert light["light"] == ["Green", 11.0, 2.0, 7.0, True]
    assert light["group"] and light["pieces"] > 0 and not light["after"]


def test_what_the_manager_and_the_recorder_answer(made):
    manager, recorder = made.results["manager"], made.results["recorder"]
    assert manager["speed"] > 0.5 and manager["same"]
    assert Path(recorder["path"]).name == "every.log"
    assert "Frames" in recorder["info"] or "frames" in recorder["info"]
    assert recorder["hits"] and recorder["blocked"] and recorder["replay"]
    assert len(recorder["missing"]) > 10


def test_what_the_calls_about_sensors_answer(made):
    found = made.results["sensors"]
    assert found["ros"] is False
    assert found["gbuffer"][0] is False and "without rendering" in found["gbuffer"][1]
    assert found["heard"] > 0


def test_the_documentation_says_of_every_call_what_it_does_here(made):
    """One row for each, and only calls; a row that says "refused" or "none" is about calls that do."""
    text = (Path(__file__).parents[2] / "docs/carla.md").read_text(encoding="utf-8")
    table = text.partition("## Call by call")[2].partition("\n## ")[0]
    here: dict[str, str] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not cells[0].startswith("`"):
            continue
        for name in cells[0].replace("`", "").split(", "):
            assert name not in here, f"{name} stands in two rows"
            here[name] = cells[1]
    assert set(here) == set(CALLS)
    assert set(here.values()) == {"real", "accepted", "none", "refused"}
    results = made.results
    told = [
        *results["vehicles"]["other physics"],  # void and asynchronous: the wheel hears nothing
        *results["world"]["texture"],
        *results["actors"]["component"],
        results["sensors"]["gbuffer"][1],
    ]
    assert len(told) == sum(kind == "refused" for kind in here.values())
    assert all(isinstance(t, str) for t in told[3:])
