"""The calls of CARLA 0.9.16: what each takes, what each answers.

A call answers a value, nothing ("void": it only succeeds or fails) or, `apply_batch` alone, a bare list. An asynchronous call is a void
call whose answer the client drops. Names and types are those of the client in the 0.9.16 wheel; the metadata that precedes
every call's arguments is not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from msgspec import Raw

from sim.carla.wire import structs as s

ID = s.U32


class Kind(Enum):
    """The shape of the answer."""

    VALUE = "value"
    VOID = "void"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: names and types of its arguments in order, the type of its answer (None: no value)."""

    name: str
    names: tuple[str, ...]
    args: tuple[Any, ...]
    reply: Any
    kind: Kind
    is_async: bool


def _value(name: str, reply: Any, /, **args: Any) -> Call:
    return Call(name, tuple(args), tuple(args.values()), reply, Kind.VALUE, False)


def _void(name: str, /, **args: Any) -> Call:
    return Call(name, tuple(args), tuple(args.values()), None, Kind.VOID, False)


def _async(name: str, /, **args: Any) -> Call:
    return Call(name, tuple(args), tuple(args.values()), None, Kind.VOID, True)


# fmt: off
_WORLD = (
    _value("version", str),
    _value("get_episode_info", s.EpisodeInfo),
    _value("get_sensor_token", s.Token, stream_id=s.U32),
    _value("get_episode_settings", s.EpisodeSettings),
    _value("set_episode_settings", s.U64, settings=s.EpisodeSettings),
    _value("get_required_files", list[str], folder=str),
    _value("request_file", bytes, name=str),
    _value("get_map_info", s.MapInfo),
    _value("get_map_data", str),
    _value("get_available_maps", list[str]),
    _value("get_navigation_mesh", bytes),
    _value("tick_cue", s.U64),
    _void("load_new_episode", map_name=str, reset_settings=bool, map_layers=s.U16),
    _void("copy_opendrive_to_file", opendrive=str, parameters=s.OpendriveGenerationParameters),
    _void("load_map_layer", map_layers=s.U16),
    _void("unload_map_layer", map_layers=s.U16),
    _value("get_weather_parameters", s.WeatherParameters),
    _async("set_weather_parameters", weather=s.WeatherParameters),
    _value("get_imui_gravity", s.Number),
    _async("set_imui_gravity", gravity=s.Number),
    _value("get_all_level_BBs", list[s.BoundingBox], tag=s.U8),
    _value("get_environment_objects", list[s.EnvironmentObject], tag=s.U8),
    _async("enable_environment_objects", object_ids=list[s.U64], is_enabled=bool),
    _value("get_names_of_all_objects", list[str]),
    _value("project_point", tuple[bool, s.LabelledPoint],
           location=s.Location, direction=s.Vector3D, search_distance=s.Number),
    _value("cast_ray", list[s.LabelledPoint], start=s.Location, end=s.Location),
    _async("draw_debug_shape", shape=s.DebugShape),
    _async("clear_debug_shape"),
    _async("clear_debug_string"),
    _value("query_lights_state", list[s.LightState], client=str),
    _async("update_lights_state", client=str, lights=list[s.LightState], discard_client=bool),
    _async("update_day_night_cycle", client=str, is_active=bool),
)

_ACTORS = (
    _value("get_actor_definitions", list[s.ActorDefinition]),
    _value("get_actors_by_id", list[s.Actor], ids=list[ID]),
    _value("get_spectator", s.Actor),
    _value("spawn_actor", s.Actor, description=s.ActorDescription, transform=s.Transform),
    _value("spawn_actor_with_parent", s.Actor, description=s.ActorDescription, transform=s.Transform,
           parent=ID, attachment=s.AttachmentType, socket=str),
    _value("destroy_actor", bool, actor=ID),
    Call("apply_batch", ("commands", "do_tick"), (list[Any], bool), list[Any], Kind.BATCH, False),
    _value("get_actor_bounding_box", s.BoundingBox, actor=ID),
    _async("set_actor_location", actor=ID, location=s.Location),
    _async("set_actor_transform", actor=ID, transform=s.Transform),
    _async("set_actor_target_velocity", actor=ID, velocity=s.Vector3D),
    _async("set_actor_target_angular_velocity", actor=ID, velocity=s.Vector3D),
    _async("enable_actor_constant_velocity", actor=ID, velocity=s.Vector3D),
    _async("disable_actor_constant_velocity", actor=ID),
    _void("set_actor_simulate_physics", actor=ID, is_on=bool),
    _void("set_actor_collisions", actor=ID, is_on=bool),
    _async("set_actor_enable_gravity", actor=ID, is_on=bool),
    _async("set_actor_autopilot", actor=ID, is_on=bool),
    _async("set_actor_dead", actor=ID),
    _async("add_actor_impulse", actor=ID, impulse=s.Vector3D),
    _async("add_actor_force", actor=ID, force=s.Vector3D),
    _async("add_actor_angular_impulse", actor=ID, impulse=s.Vector3D),
    _async("add_actor_torque", actor=ID, torque=s.Vector3D),
    _async("add_actor_impulse_at_location", actor=ID, impulse=s.Vector3D, location=s.Vector3D),
    _async("add_actor_force_at_location", actor=ID, force=s.Vector3D, location=s.Vector3D),
    _value("get_actor_component_names", list[str], actor=ID),
    _value("get_actor_bone_names", list[str], actor=ID),
    _value("get_actor_socket_names", list[str], actor=ID),
    _value("get_actor_bone_world_transforms", list[s.Transform], actor=ID),
    _value("get_actor_bone_relative_transforms", list[s.Transform], actor=ID),
    _value("get_actor_socket_world_transforms", list[s.Transform], actor=ID),
    _value("get_actor_socket_relative_transforms", list[s.Transform], actor=ID),
    _value("get_vehicle_bone_world_transforms", list[s.Transform], actor=ID),
    _value("get_actor_component_world_transform", s.Transform, actor=ID, component=str),
    _value("get_actor_component_relative_transform", s.Transform, actor=ID, component=str),
)

_VEHICLES_AND_WALKERS = (
    _async("apply_control_to_vehicle", actor=ID, control=s.VehicleControl),
    _async("apply_ackermann_control_to_vehicle", actor=ID, control=s.VehicleAckermannControl),
    _value("get_ackermann_controller_settings", s.AckermannControllerSettings, actor=ID),
    _async("apply_ackermann_controller_settings", actor=ID, settings=s.AckermannControllerSettings),
    _value("get_physics_control", s.VehiclePhysicsControl, actor=ID),
    _async("apply_physics_control", actor=ID, control=s.VehiclePhysicsControl),
    _value("get_vehicle_light_state", s.VehicleLightState, actor=ID),
    _async("set_vehicle_light_state", actor=ID, lights=s.VehicleLightState),
    _value("get_vehicle_light_states", list[tuple[ID, s.U32]]),
    _value("get_telemetry_data", s.VehicleTelemetryData, actor=ID),
    _async("show_vehicle_debug_telemetry", actor=ID, is_on=bool),
    _async("open_vehicle_door", actor=ID, door=s.VehicleDoor),
    _async("close_vehicle_door", actor=ID, door=s.VehicleDoor),
    _async("set_wheel_steer_direction", actor=ID, wheel=s.VehicleWheelLocation, degrees=s.Number),
    _async("set_wheel_pitch_angle", actor=ID, wheel=s.VehicleWheelLocation, degrees=s.Number),
    _value("get_wheel_steer_angle", s.Number, actor=ID, wheel=s.VehicleWheelLocation),
    _value("get_wheel_pitch_angle", s.Number, actor=ID, wheel=s.VehicleWheelLocation),
    _async("enable_carsim", actor=ID, simfile=str),
    _async("use_carsim_road", actor=ID, is_on=bool),
    _async("enable_chrono_physics", actor=ID, max_substeps=s.U64, max_substep_delta_time=s.Number,
           vehicle_json=str, powertrain_json=str, tire_json=str, base_path=str),
    _async("restore_physx_physics", actor=ID),
    _async("apply_control_to_walker", actor=ID, control=s.WalkerControl),
    _value("get_bones_transform", s.WalkerBoneControlOut, actor=ID),
    _async("set_bones_transform", actor=ID, bones=s.WalkerBoneControlIn),
    _async("blend_pose", actor=ID, blend=s.Number),
    _async("get_pose_from_animation", actor=ID),
)

_TRAFFIC = (
    _async("set_traffic_light_state", actor=ID, state=s.TrafficLightState),
    _async("set_traffic_light_green_time", actor=ID, seconds=s.Number),
    _async("set_traffic_light_yellow_time", actor=ID, seconds=s.Number),
    _async("set_traffic_light_red_time", actor=ID, seconds=s.Number),
    _async("freeze_traffic_light", actor=ID, is_frozen=bool),
    _async("freeze_all_traffic_lights", is_frozen=bool),
    _async("reset_traffic_light_group", actor=ID),
    _void("reset_all_traffic_lights"),
    _value("get_group_traffic_lights", list[ID], actor=ID),
    _value("get_light_boxes", list[s.BoundingBox], actor=ID),
    _value("is_traffic_manager_running", bool, port=s.U16),
    _value("get_traffic_manager_running", tuple[str, s.U16], port=s.U16),
    _value("add_traffic_manager_running", bool, address=tuple[str, s.U16]),
    _async("destroy_traffic_manager", port=s.U16),
)

_RECORDER = (
    _value("start_recorder", str, name=str, additional_data=bool),
    _async("stop_recorder"),
    _value("show_recorder_file_info", str, name=str, show_all=bool),
    _value("show_recorder_collisions", str, name=str, type_1=s.Char, type_2=s.Char),
    _value("show_recorder_actors_blocked", str, name=str, min_time=s.Number, min_distance=s.Number),
    _value("replay_file", str, name=str, start=s.Number, duration=s.Number, follow_id=ID,
           replay_sensors=bool, offset=s.Transform),
    _async("stop_replayer", keep_actors=bool),
    _async("set_replayer_time_factor", factor=s.Number),
    _async("set_replayer_ignore_hero", is_ignored=bool),
    _async("set_replayer_ignore_spectator", is_ignored=bool),
)

_SENSORS_AND_PICTURES = (
    _async("send", actor=ID, message=str),
    _void("set_ignored_vehicles", actor=ID, ids=list[ID]),
    _void("apply_color_texture_to_objects", names=Raw, parameter=s.I32, texture=Raw),
    _void("apply_float_color_texture_to_objects", names=Raw, parameter=s.I32, texture=Raw),
    _async("enable_sensor_for_ros", stream_id=s.U32),
    _async("disable_sensor_for_ros", stream_id=s.U32),
    _value("is_sensor_enabled_for_ros", bool, stream_id=s.U32),
    _void("enable_gbuffers", actor=ID, is_on=bool),
    _value("are_gbuffers_enabled", bool, actor=ID),
    _value("get_gbuffer_token", bytes, actor=ID, gbuffer=s.U32),
    _async("set_annotations_traverse_translucency", is_on=bool),
)
# fmt: on

CALLS: dict[str, Call] = {
    call.name: call
    for group in (
        _WORLD,
        _ACTORS,
        _VEHICLES_AND_WALKERS,
        _TRAFFIC,
        _RECORDER,
        _SENSORS_AND_PICTURES,
    )
    for call in group
}

LARGE_CALLS = frozenset(
    {
        "copy_opendrive_to_file",
        "apply_color_texture_to_objects",
        "apply_float_color_texture_to_objects",
    }
)
"""Calls whose request may be as large as a road file or a picture; every other request is small."""
