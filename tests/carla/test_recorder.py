"""Recordings: what is written is read back, told in CARLA's words, played back in time, and hostile files and names do no harm."""

from __future__ import annotations

import io
import math
import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from sim.carla.server import blueprints
from sim.carla.server import columns as c
from sim.carla.server.recorder import files, packets, report
from sim.carla.server.recorder.desk import Desk
from sim.carla.server.recorder.recorder import Events, Recorder
from sim.carla.server.recorder.replay import Replayer
from sim.carla.server.table import Table
from sim.carla.wire import structs

CAR, WALKER, LIGHT, SENSOR, PROP = 7, 8, 9, 10, 11
DT_S = 0.05


def described(name: str, **values: str) -> structs.ActorDescription:
    return structs.ActorDescription(
        3, name, [structs.ActorAttributeValue(k, blueprints.STRING, v) for k, v in values.items()]
    )


@dataclass
class World:
    """As much of a world as a recorder looks at."""

    map_name: str = "Carla/Maps/Town01"
    table: Table = field(default_factory=Table)
    living: dict[int, structs.Actor] = field(default_factory=dict)
    elapsed_s: float = 0.0

    def everybody(self) -> list[structs.Actor]:
        return list(self.living.values())

    def physics_control(self, actor: int) -> structs.VehiclePhysicsControl | None:
        if actor != CAR:
            return None
        wheel = structs.WheelPhysicsControl(
            3.5,
            0.25,
            70.0,
            35.5,
            1500.0,
            3000.0,
            2.0,
            17.0,
            1000.0,
            structs.Vector3D(1.0, 2.0, 3.0),
        )
        return structs.VehiclePhysicsControl(
            torque_curve=[structs.Vector2D(0.0, 400.0), structs.Vector2D(5729.57, 600.0)],
            max_rpm=5800.0,
            moi=1.0,
            damping_rate_full_throttle=0.15,
            damping_rate_zero_throttle_clutch_engaged=2.0,
            damping_rate_zero_throttle_clutch_disengaged=0.35,
            use_gear_autobox=True,
            gear_switch_time=0.5,
            clutch_strength=10.0,
            final_ratio=4.0,
            forward_gears=[structs.GearPhysicsControl(2.85, 0.5, 0.65)],
            mass=1845.0,
            drag_coefficient=0.3,
            center_of_mass=structs.Location(0.45, 0.0, -0.3),
            steering_curve=[structs.Vector2D(0.0, 1.0)],
            wheels=[wheel, wheel, wheel, wheel],
            use_sweep_wheel_collision=False,
        )

    def trigger_box(self, actor: int) -> structs.BoundingBox | None:
        if actor != LIGHT:
            return None
        return structs.BoundingBox(
            structs.Location(2.0, 0.0, 0.0), structs.Vector3D(1.0, 3.0, 1.0), structs.LEVEL, actor
        )

    def add(
        self, actor: int, kind: int, what: structs.ActorDescription, parent: int = 0
    ) -> structs.Actor:
        row = self.table.add(actor, kind)
        self.table.f[row, c.EXT_X : c.EXT_Z + 1] = 2.4, 1.0, 0.7
        box = structs.BoundingBox(
            structs.Location(0.0, 0.0, 0.7), structs.Vector3D(2.4, 1.0, 0.7), structs.LEVEL, actor
        )
        self.living[actor] = structs.Actor(actor, parent, what, box, b"", b"")
        return self.living[actor]


def town() -> World:
    world = World()
    world.add(CAR, c.VEHICLE, described("vehicle.tesla.model3", role_name="hero", color="1,2,3"))
    world.add(WALKER, c.WALKER, described("walker.pedestrian.0001", role_name="pedestrian"))
    world.add(LIGHT, c.LIGHT, described("traffic.traffic_light"))
    row = world.table.row_of[LIGHT]
    world.table.f[row, [c.X, c.Y, c.YAW]] = 10.0, 5.0, 90.0
    world.table.f[row, [c.GREEN_S, c.YELLOW_S, c.RED_S]] = 10.0, 3.0, 2.0
    world.table.i[row, c.LIGHT_STATE] = 2
    return world


def drive(world: World, tick: int) -> None:
    """The car goes east at 10 m/s, the walker stands."""
    f, i = world.table.f, world.table.i
    car, walker = world.table.row_of[CAR], world.table.row_of[WALKER]
    f[car, c.X : c.ROLL + 1] = 0.5 * tick, -2.0, 0.1, 1.0, 90.0, 2.0
    f[car, [c.VX, c.WZ]] = 10.0, 5.0
    f[car, [c.THROTTLE, c.STEER, c.BRAKE]] = 0.5, -0.25, 0.125
    i[car, [c.GEAR, c.HAND_BRAKE, c.LAMPS]] = 2, 1, 3 | 256
    f[walker, c.X : c.Z + 1] = 1.0, 2.0, 0.9
    f[walker, c.WALK_SPEED] = 1.5


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    one = Recorder(tmp_path)
    yield one
    one.stop()


def record(recorder: Recorder, additional: bool = True, ticks: int = 4) -> World:
    """Frame 1 everybody, 2 a camera and a hit, 3 the camera goes, 4 nothing."""
    world = town()
    drive(world, 0)
    recorder.start(world, "run.log", additional, date_s=1_700_000_000)
    for tick in range(ticks):
        drive(world, tick)
        events = Events()
        if tick == 1:
            camera = described("sensor.camera.rgb", fov="90.0")
            events.added.append(world.add(SENSOR, c.SENSOR, camera, parent=CAR))
            events.collisions += [(CAR, WALKER), (WALKER, CAR), (CAR, 0)]
        if tick == 2:
            world.table.remove(SENSOR)
            events.removed.append(SENSOR)
        recorder.record(100.0 + DT_S * tick, world.table, events)
    recorder.stop()
    return world


WHOLE_TEXT = """\
Version: 1
Map: Carla/Maps/Town01
Date: 11/14/23 22:13:20

Frame 1 at 0 seconds
 Create 7: vehicle.tesla.model3 (1) at (0, -200, 10)
  role_name = hero
  color = 1,2,3
 Create 8: walker.pedestrian.0001 (2) at (100, 200, 90)
  role_name = pedestrian
 Create 9: traffic.traffic_light (3) at (1000, 500, 0)
 Positions: 2
  Id: 7 Location: (0, -200, 10) Rotation: (2, 1, 90)
  Id: 8 Location: (100, 200, 90) Rotation: (0, 0, 0)
 State traffic lights: 1
  Id: 9 state: 2 frozen: 0 elapsedTime: 0
 Vehicle animations: 1
  Id: 7 Steering: -0.25 Throttle: 0.5 Brake: 0.125 Handbrake: 1 Gear: 2
 Walker animations: 1
  Id: 8 speed: 1.5
 Vehicle light animations: 1
  Id: 7 Position LowBeam Interior
 Scene light changes: 0
 Dynamic actors: 2
  Id: 7 linear_velocity: (10, 0, 0) angular_velocity: (0, 0, 5)
  Id: 8 linear_velocity: (0, 0, 0) angular_velocity: (0, 0, 0)
 Actor bounding boxes: 2
  Id: 7 origin: (0, 0, 70) extension: (240, 100, 70)
  Id: 8 origin: (0, 0, 70) extension: (240, 100, 70)
 Actor trigger volumes: 1
  Id: 9 origin: (1000, 700, 0) extension: (100, 300, 100)
 Current platform time: 0
 Physics Control events: 1
  Id: 7
   max_rpm = 5800
   MOI = 1
   damping_rate_full_throttle = 0.15
   damping_rate_zero_throttle_clutch_engaged = 2
   damping_rate_zero_throttle_clutch_disengaged = 0.35
   use_gear_auto_box = true
   gear_switch_time = 0.5
   clutch_strength = 10
   final_ratio = 4
   mass = 1845
   drag_coefficient = 0.3
   center_of_mass = (0.45, 0, -0.3)
   torque_curve = (0, 400) (5729.57, 600)
   steering_curve = (0, 1)
   forward_gears:
    gear 0: ratio 2.85 down_ratio 0.5 up_ratio 0.65
   wheels:
    wheel 0: tire_friction 3.5 damping_rate 0.25 max_steer_angle 70 radius 35.5 max_brake_torque 1500\
 max_handbrake_torque 3000 position (1, 2, 3)
    wheel 1: tire_friction 3.5 damping_rate 0.25 max_steer_angle 70 radius 35.5 max_brake_torque 1500\
 max_handbrake_torque 3000 position (1, 2, 3)
    wheel 2: tire_friction 3.5 damping_rate 0.25 max_steer_angle 70 radius 35.5 max_brake_torque 1500\
 max_handbrake_torque 3000 position (1, 2, 3)
    wheel 3: tire_friction 3.5 damping_rate 0.25 max_steer_angle 70 radius 35.5 max_brake_torque 1500\
 max_handbrake_torque 3000 position (1, 2, 3)
 Traffic Light time events: 1
  Id: 9 green_time: 10 yellow_time: 3 red_time: 2

Frames: 1
Duration: 0 seconds
"""

EVENTS_TEXT = """\
Version: 1
Map: Carla/Maps/Town01
Date: 11/14/23 22:13:20

Frame 1 at 0 seconds
 Create 7: vehicle.tesla.model3 (1) at (0, -200, 10)
  role_name = hero
  color = 1,2,3
 Create 8: walker.pedestrian.0001 (2) at (100, 200, 90)
  role_name = pedestrian
 Create 9: traffic.traffic_light (3) at (1000, 500, 0)
Frame 2 at 0.05 seconds
 Create 10: sensor.camera.rgb (5) at (0, 0, 0)
  fov = 90.0
 Collision id 0 between 7 (hero)  with 8
 Collision id 1 between 7 (hero)  with 4294967295
 Parenting 10 with 7 (parent)
Frame 3 at 0.1 seconds
 Destroy 10

Frames: 4
Duration: 0.15 seconds
"""


def test_one_frame_is_told_in_carlas_words(recorder: Recorder) -> None:
    record(recorder, ticks=1)
    assert recorder.file_info("run.log", True) == WHOLE_TEXT


def test_events_alone_are_told_without_the_rest(recorder: Recorder) -> None:
    record(recorder)
    assert recorder.file_info("run.log", False) == EVENTS_TEXT


def test_without_additional_data_motion_is_not_told(recorder: Recorder) -> None:
    record(recorder, additional=False, ticks=2)
    text = recorder.file_info("run.log", True)
    assert " Positions: 2" in text
    assert "Dynamic actors" not in text and "Physics" not in text and "platform" not in text


def test_numbers_are_as_cpp_streams_print_them() -> None:
    # worked out with std::cout << float
    told = {0.0: "0", 1e-5: "1e-05", 123456.0: "123456", 1234567.0: "1.23457e+06"}
    assert {value: report.number(value) for value in told} == told
    assert report.number(-0.0) == "-0"
    assert report.number(-12.30000019) == "-12.3"


def read_back(text: str) -> tuple[dict[int, str], list[dict[str, list[list[str]]]]]:
    """A reader of the text as its description says: frames, sections, and the words of each row."""
    actors: dict[int, str] = {}
    frames: list[dict[str, list[list[str]]]] = []
    rows: list[list[str]] = []
    for line in text.split("\n"):
        words = line.split()
        if line.startswith("Frame "):
            frames.append({"time": [[words[3]]]})
        elif line.startswith(" Create "):
            actors[int(words[1][:-1])] = words[2]
        elif line.startswith("  ") and not line.startswith("   "):
            rows.append(words)
        elif line.startswith(" ") and ": " in line and words[-1].isdigit():
            rows = frames[-1].setdefault(line[1 : line.index(":")], [])
    return actors, frames


def test_a_reader_of_the_text_gets_every_pose_back(recorder: Recorder) -> None:
    record(recorder)
    actors, frames = read_back(recorder.file_info("run.log", True))
    assert actors == {
        7: "vehicle.tesla.model3",
        8: "walker.pedestrian.0001",
        9: "traffic.traffic_light",
        10: "sensor.camera.rgb",
    }
    assert [float(frame["time"][0][0]) for frame in frames] == [0.0, 0.05, 0.1, 0.15]
    xs = [float(frame["Positions"][0][3][1:-1]) for frame in frames]
    assert xs == [0.0, 50.0, 100.0, 150.0]  # centimetres


def test_frames_carry_their_duration_except_the_last(recorder: Recorder, tmp_path: Path) -> None:
    record(recorder)
    with (tmp_path / "run.log").open("rb") as stream:
        packets.read_header(stream)
        found = [
            packets.FRAME.unpack(payload)
            for kind, payload in packets.read_packets(stream)
            if kind == packets.Packet.FRAME_START
        ]
    assert [number for number, _, _ in found] == [1, 2, 3, 4]
    assert [duration for _, duration, _ in found] == pytest.approx([0.05, 0.05, 0.05, -1.0])


def test_the_file_begins_as_the_format_says(recorder: Recorder, tmp_path: Path) -> None:
    record(recorder, ticks=1)
    data = (tmp_path / "run.log").read_bytes()
    assert data[:18] == b"\x01\x00\x0e\x00CARLA_RECORDER"
    assert struct.unpack("<q", data[18:26]) == (1_700_000_000,)
    assert data[26:45] == b"\x11\x00Carla/Maps/Town01"
    assert data[45:50] == b"\x00\x18\x00\x00\x00"  # a frame's start has 24 bytes
    assert data[-5:] == b"\x01\x00\x00\x00\x00"  # and its end none


def test_physics_come_back_as_written(recorder: Recorder, tmp_path: Path) -> None:
    record(recorder, ticks=1)
    with (tmp_path / "run.log").open("rb") as stream:
        packets.read_header(stream)
        [one] = [
            packets.read_physics(payload)[0]
            for kind, payload in packets.read_packets(stream)
            if kind == packets.Packet.PHYSICS
        ]
    assert one.actor == CAR and one.numbers[8] == 1845.0
    assert len(one.wheels) == 4 and one.wheels[0][-3:] == (1.0, 2.0, 3.0)
    assert one.gears[0] == pytest.approx((2.85, 0.5, 0.65))


def test_collisions_are_told_once_and_by_type(recorder: Recorder) -> None:
    record(recorder)
    text = recorder.collisions("run.log", "h", "w")
    lines = text.split("\n")
    assert lines[4] == (
        "    Time  Types     Id Actor 1                                 Id Actor 2                            "
    )
    assert lines[5] == (
        "       0   v w       7 vehicle.tesla.model3                     8 walker.pedestrian.0001             "
    )
    assert lines[6:] == ["", "Frames: 4", "Duration: 0 seconds", ""]
    assert "walker" not in recorder.collisions("run.log", "w", "a")
    both = recorder.collisions("run.log", "a", "a")
    assert " v o " in both and "4294967295" in both


def test_who_stands_is_told_as_blocked(recorder: Recorder) -> None:
    world = town()
    recorder.start(world, "run.log")
    for tick in range(101):
        drive(world, tick)
        recorder.record(DT_S * tick, world.table, Events())
    recorder.stop()
    text = recorder.actors_blocked("run.log", 3.0, 10.0)
    rows = [line.split() for line in text.split("\n")[5:-4]]
    assert rows == [["0", "8", "walker.pedestrian.0001", "5"]]
    assert text.endswith("\nFrames: 101\nDuration: 5 seconds\n")


def test_a_second_start_ends_the_first_recording(recorder: Recorder) -> None:
    world = town()
    recorder.start(world, "a.log")
    recorder.record(0.0, world.table, Events())
    recorder.start(world, "b.log")
    recorder.record(5.0, world.table, Events())
    recorder.stop()
    assert not recorder.is_recording
    for name in ("a.log", "b.log"):
        assert recorder.file_info(name, False).endswith("\nFrames: 1\nDuration: 0 seconds\n")


def test_a_running_recording_can_be_asked_about(recorder: Recorder) -> None:
    world = town()
    recorder.start(world, "run.log")
    for tick in range(3):
        recorder.record(DT_S * tick, world.table, Events())
    assert recorder.file_info("run.log", True).endswith("\nFrames: 2\nDuration: 0.05 seconds\n")


# --- names ---


@pytest.mark.parametrize(
    "name",
    [
        "../x.log",
        "a/../../x.log",
        "..\\x.log",
        "/etc/passwd",
        "/tmp/x.log",
        "",
        ".",
        "/",
        "a\0b",
        "a\nb",
        "x" * 600,
    ],
)
def test_names_that_lead_out_are_refused(recorder: Recorder, name: str) -> None:
    with pytest.raises(files.NameRefused):
        recorder.start(town(), name)
    assert not recorder.is_recording
    assert recorder.file_info(name, True).count("\n") == 1
    assert "Frame" not in recorder.collisions(name, "a", "a")


def test_a_link_that_leads_out_is_refused(recorder: Recorder, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}_outside.log"
    outside.write_text("keep me")
    (tmp_path / "link.log").symlink_to(outside)
    with pytest.raises(files.NameRefused):
        recorder.start(town(), "link.log")
    assert outside.read_text() == "keep me"


def test_paths_within_the_directory_are_taken_as_scripts_write_them(
    recorder: Recorder, tmp_path: Path
) -> None:
    for name in ("./records/one.log", "records//two.log", str(tmp_path / "records" / "three.log")):
        assert recorder.start(town(), name).startswith(str(tmp_path / "records"))
        recorder.stop()
        assert recorder.file_info(name, False).startswith("Version: 1\n")


def test_what_is_not_there_is_said_as_carla_says_it(recorder: Recorder, tmp_path: Path) -> None:
    assert recorder.file_info("no.log", True) == f"File {tmp_path}/no.log not found on server\n"


def test_a_pipe_is_not_read(recorder: Recorder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    assert "is not a file" in recorder.file_info("pipe.log", True)


# --- damage ---


def test_a_file_that_ends_too_early_is_told_up_to_there(recorder: Recorder, tmp_path: Path) -> None:
    record(recorder)
    data = (tmp_path / "run.log").read_bytes()
    (tmp_path / "cut.log").write_bytes(data[: len(data) - 40])
    text = recorder.file_info("cut.log", True)
    assert text.startswith(recorder.file_info("run.log", True)[:2000])
    assert "\nThe file is read up to here only: it ends" in text
    assert text.endswith("\nFrames: 4\nDuration: 0.15 seconds\n")


def test_what_is_no_recording_is_called_so(recorder: Recorder, tmp_path: Path) -> None:
    for data in (b"", b"hello", b"\x01\x00\x0e\x00CARLA_RECORDEX" + bytes(50)):
        (tmp_path / "bad.log").write_bytes(data)
        assert recorder.file_info("bad.log", True) == "File is not a CARLA recorder\n"
        assert recorder.collisions("bad.log", "a", "a") == "File is not a CARLA recorder\n"


def test_a_packet_that_claims_gigabytes_is_not_believed() -> None:
    stream = io.BytesIO(struct.pack("<BI", 6, 0xFFFFFFFF) + bytes(100))
    with pytest.raises(packets.Broken, match="claims 4294967295 bytes"):
        list(packets.read_packets(stream))


def test_unknown_packets_are_skipped(recorder: Recorder, tmp_path: Path) -> None:
    record(recorder)
    data = (tmp_path / "run.log").read_bytes()
    extra = struct.pack("<BI", 120, 4) + b"abcd"
    (tmp_path / "new.log").write_bytes(data + extra)
    assert recorder.file_info("new.log", True) == recorder.file_info("run.log", True)


def damaged(data: bytes, seed: int) -> bytes:
    """Cut short, overwritten in places, or with a piece doubled."""
    dice = random.Random(seed)
    out = bytearray(data)
    for _ in range(dice.randrange(1, 12)):
        out[dice.randrange(len(out))] = dice.randrange(256)
    if dice.random() < 0.5:
        at = dice.randrange(len(out))
        out[at:at] = out[at : at + dice.randrange(40)]
    if dice.random() < 0.5:
        del out[dice.randrange(len(out)) :]
    return bytes(out)


def test_numbers_too_large_for_a_file_do_not_stop_a_recording(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = town()
    heavy = msgspec.structs.replace(world.physics_control(CAR), mass=1e300, moi=-1e300)
    monkeypatch.setattr(world, "physics_control", lambda actor: heavy)
    row = world.table.row_of[LIGHT]
    world.table.f[row, [c.GREEN_S, c.X]] = 1e300
    recorder.start(world, "run.log", True)
    recorder.record(0.0, world.table, Events())
    recorder.stop()
    text = recorder.file_info("run.log", True)
    assert "   mass = 3.40282e+38\n" in text and "   MOI = -3.40282e+38\n" in text
    assert "green_time: 3.40282e+38 " in text


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_never_raise(recorder: Recorder, tmp_path: Path, seed: int) -> None:
    record(recorder)
    data = (tmp_path / "run.log").read_bytes()
    (tmp_path / "bad.log").write_bytes(damaged(data, seed))
    for text in (
        recorder.file_info("bad.log", True),
        recorder.file_info("bad.log", False),
        recorder.collisions("bad.log", "a", "a"),
        recorder.actors_blocked("bad.log", 0.01, 10.0),
    ):
        assert text.endswith("seconds\n") or text == "File is not a CARLA recorder\n"
    stage = Stage()
    replayer = Replayer(tmp_path, stage)
    replayer.replay("bad.log", 0.0, 0.0, 0, True, structs.IDENTITY)
    for _ in range(20):
        replayer.step(DT_S)
    replayer.stop(keep_actors=False)
    for transform in stage.poses.values():
        assert math.isfinite(transform.location.x) and abs(transform.location.x) <= 1e6


# --- playing back ---


@dataclass
class Stage:
    """A stage that notes what it is told."""

    actors: dict[int, str] = field(default_factory=dict)
    poses: dict[int, structs.Transform] = field(default_factory=dict)
    speeds: dict[int, float] = field(default_factory=dict)
    controls: dict[int, structs.VehicleControl] = field(default_factory=dict)
    lights: dict[int, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    view: structs.Transform | None = None
    ids: Iterator[int] = field(default_factory=lambda: iter(range(101, 10_000)))

    def spawn(
        self, recorded: int, description: structs.ActorDescription, transform: structs.Transform
    ) -> int:
        actor = next(self.ids)
        self.actors[actor] = description.id
        self.poses[actor] = transform
        return actor

    def find_traffic(self, type_id: str, location: structs.Location) -> int:
        return 55 if (location.x, location.y) == (10.0, 5.0) else 0

    def destroy(self, actor: int) -> None:
        del self.actors[actor]
        self.said.append(f"destroy {actor}")

    def attach(self, child: int, parent: int) -> None:
        self.said.append(f"attach {child} {parent}")

    def set_pose(
        self, actor: int, transform: structs.Transform, velocity_mps: tuple[float, float, float]
    ) -> None:
        self.poses[actor] = transform
        self.speeds[actor] = velocity_mps[0]

    def set_physics(self, actor: int, is_on: bool) -> None:
        self.said.append(f"physics {actor} {is_on}")

    def set_vehicle_control(self, actor: int, control: structs.VehicleControl) -> None:
        self.controls[actor] = control

    def set_vehicle_lamps(self, actor: int, lamps: int) -> None: ...

    def set_walker_speed(self, actor: int, speed_mps: float) -> None:
        self.speeds[-actor] = speed_mps

    def set_light(self, actor: int, state: int, elapsed_s: float, is_frozen: bool) -> None:
        self.lights[actor] = state

    def set_spectator(self, transform: structs.Transform) -> None:
        self.view = transform

    def set_autopilot(self, actor: int) -> None:
        self.said.append(f"autopilot {actor}")


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def replayer(tmp_path: Path, stage: Stage) -> Iterator[Replayer]:
    one = Replayer(tmp_path, stage)
    yield one
    one.stop(keep_actors=True)


def test_a_replay_brings_everybody_back_and_moves_them(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    text = replayer.replay("run.log", 0.0, 0.0, 0, False, structs.IDENTITY)
    assert text == (
        f"Replaying File: {recorder.directory}/run.log\n"
        "Total time recorded: 0.15\nReplaying from 0 s - 0.15 s (0.15 s) at 1.0x\n"
    )
    assert stage.actors == {101: "vehicle.tesla.model3", 102: "walker.pedestrian.0001"}
    assert replayer.mapped == {CAR: 101, WALKER: 102, LIGHT: 55}
    assert stage.said == ["physics 101 False"]
    assert stage.lights == {55: 2}
    assert stage.controls == {101: structs.VehicleControl(0.5, -0.25, 0.125, True, False, False, 2)}
    assert replayer.step(0.025)
    # half way between two frames, 0.5 m apart in 0.05 s
    assert stage.poses[101].location.x == pytest.approx(0.25)
    assert stage.speeds[101] == pytest.approx(10.0)
    assert stage.speeds[-102] == 1.5
    assert stage.poses[101].rotation == structs.Rotation(1.0, 90.0, 2.0)
    assert replayer.step(0.075)
    assert stage.poses[101].location.x == pytest.approx(1.0)
    assert not replayer.step(0.05)
    assert stage.poses[101].location.x == pytest.approx(1.5)
    assert stage.said[1:] == ["physics 101 True", "autopilot 101"]
    assert stage.speeds[-102] == 0.0
    assert not replayer.step(0.05)


def test_sensors_come_only_when_asked_for_and_hang_on_their_parent(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    replayer.replay("run.log", 0.06, 0.0, 0, True, structs.IDENTITY)
    assert stage.actors[103] == "sensor.camera.rgb"
    assert "attach 103 101" in stage.said
    replayer.step(0.05)
    assert "destroy 103" in stage.said


def test_a_start_counts_from_the_end_and_a_duration_ends_it(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    text = replayer.replay("run.log", -0.1, 0.05, 0, False, structs.IDENTITY)
    assert "Replaying from 0.05 s - 0.1 s (0.15 s)" in text
    assert stage.poses[101].location.x == pytest.approx(0.5)
    assert not replayer.step(0.05)


def test_time_can_run_faster(recorder: Recorder, replayer: Replayer, stage: Stage) -> None:
    record(recorder)
    replayer.time_factor = 2.0
    replayer.replay("run.log", 0.0, 0.0, 0, False, structs.IDENTITY)
    replayer.step(0.025)
    assert stage.poses[101].location.x == pytest.approx(0.5)


def test_the_view_follows_who_is_named(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    behind = structs.Transform(structs.Location(-5.0, 0.0, 3.0), structs.Rotation(-20.0, 0.0, 0.0))
    replayer.replay("run.log", 0.0, 0.0, CAR, False, behind)
    assert stage.view is not None
    # the car looks along +y, so behind it is -y
    assert stage.view.location.x == pytest.approx(0.0, abs=1e-6)
    assert stage.view.location.y == pytest.approx(-7.0)
    assert stage.view.location.z == pytest.approx(3.1)
    assert (stage.view.rotation.pitch, stage.view.rotation.yaw) == pytest.approx((-20.0, 90.0))


def test_a_hero_that_is_ignored_is_left_to_itself(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    replayer.ignore_hero = True
    assert "Ignoring Hero vehicle\n" in replayer.replay(
        "run.log", 0.0, 0.0, 0, False, structs.IDENTITY
    )
    replayer.step(0.05)
    assert stage.poses[101].location.x == 0.0
    assert "physics 101 True" in stage.said and 101 not in stage.controls


def test_stopping_without_keeping_takes_everybody_away_but_the_maps_lights(
    recorder: Recorder, replayer: Replayer, stage: Stage
) -> None:
    record(recorder)
    replayer.replay("run.log", 0.0, 0.0, 0, False, structs.IDENTITY)
    replayer.stop(keep_actors=False)
    assert stage.actors == {} and not replayer.is_playing
    assert "destroy 55" not in stage.said


def test_the_map_of_a_recording_can_be_asked_for(recorder: Recorder, replayer: Replayer) -> None:
    record(recorder, ticks=1)
    assert replayer.map_of("run.log") == "Carla/Maps/Town01"
    assert replayer.map_of("../run.log") is None and replayer.map_of("none.log") is None


def test_yaw_turns_the_short_way(recorder: Recorder, replayer: Replayer, stage: Stage) -> None:
    world = town()
    recorder.start(world, "turn.log")
    row = world.table.row_of[CAR]
    for tick, yaw in enumerate((179.0, -179.0)):
        world.table.f[row, c.YAW] = yaw
        recorder.record(tick * 1.0, world.table, Events())
    recorder.stop()
    replayer.replay("turn.log", 0.5, 0.0, 0, False, structs.IDENTITY)
    assert stage.poses[101].rotation.yaw == pytest.approx(180.0)


# --- the desk ---


def test_the_desk_finds_out_who_came_and_went(tmp_path: Path, stage: Stage) -> None:
    world = town()
    drive(world, 0)
    desk = Desk(tmp_path, world, stage)
    desk.start("run.log", False)
    for tick in range(4):
        drive(world, tick)
        world.elapsed_s = 3.0 + DT_S * tick
        if tick == 1:
            world.add(PROP, c.PROP, described("static.prop.constructioncone"))
        if tick == 3:
            world.table.remove(PROP)
            del world.living[PROP]
        desk.record([(CAR, PROP)] if tick == 2 else [])
    desk.stop()
    told = desk.file_info("run.log", False)
    assert [line for line in told.split("\n") if not line.startswith("  ")][4:-4] == [
        "Frame 1 at 0 seconds",
        " Create 7: vehicle.tesla.model3 (1) at (0, -200, 10)",
        " Create 8: walker.pedestrian.0001 (2) at (100, 200, 90)",
        " Create 9: traffic.traffic_light (3) at (1000, 500, 0)",
        "Frame 2 at 0.05 seconds",
        " Create 11: static.prop.constructioncone (0) at (0, 0, 0)",
        "Frame 3 at 0.1 seconds",
        " Collision id 0 between 7 (hero)  with 11",
        "Frame 4 at 0.15 seconds",
        " Destroy 11",
    ]


def test_the_desk_does_not_record_and_play_at_once(tmp_path: Path, stage: Stage) -> None:
    world = town()
    desk = Desk(tmp_path, world, stage)
    desk.start("a.log", False)
    for tick in range(5):
        world.elapsed_s = DT_S * tick
        desk.record()
    desk.replay("a.log", 0.0, 0.0, 0, False, structs.IDENTITY)
    assert (desk.is_recording, desk.is_playing) == (False, True)
    desk.start("b.log", False)
    assert (desk.is_recording, desk.is_playing) == (True, False)
    assert stage.actors == {}
    desk.stop()
    desk.set_time_factor(-3.0)
    desk.replay("a.log", 0.0, 0.0, 0, False, structs.IDENTITY)
    desk.step(10.0)
    assert desk.is_playing  # time stands
    desk.stop_replay(keep_actors=False)
    assert stage.actors == {}
