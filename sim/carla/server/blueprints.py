"""What a client can spawn: CARLA 0.9.16's library with its attributes, sizes and masses, and some vehicles of ours.

The data lie beside this module, with sources: `blueprints_vehicles.toml`, `blueprints_walkers.toml`, `blueprints_props.toml`,
`blueprints_sensors.toml`. `library()` has ours first, then vehicles, sensors, walkers, props, mesh, controller, trigger and `util`,
which is the order of `definitions()` and of the uids. A client prints another one, that of its hash table; why ours lead is said in
the vehicles' file. Traffic lights, signs and the spectator are not in CARLA's library and not here.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sim.carla.server import columns as c
from sim.carla.wire import structs

HERE = Path(__file__).parent
MAX_ATTRIBUTES = 256
MAX_VALUE_CHARS = 4096

BOOL = structs.ActorAttributeType.BOOL
INT = structs.ActorAttributeType.INT
FLOAT = structs.ActorAttributeType.FLOAT
STRING = structs.ActorAttributeType.STRING
COLOR = structs.ActorAttributeType.RGB_COLOR
_TYPES = {"bool": BOOL, "int": INT, "float": FLOAT, "string": STRING, "color": COLOR}
_TYPE_NAMES = {value: name for name, value in _TYPES.items()}

_SENSOR_ROLES = (
    "front",
    "back",
    "left",
    "right",
    "front_left",
    "front_right",
    "back_left",
    "back_right",
)
_VEHICLE_ROLES = ("autopilot", "scenario", "ego_vehicle")
_PEDESTRIANS, _DYNAMIC, _NO_LABEL = 12, 21, 0
Vector = tuple[float, float, float]
NOWHERE: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value` is what it starts with; `recommended` is empty for those a client cannot change."""

    id: str
    type: structs.ActorAttributeType
    value: str
    recommended: tuple[str, ...] = ()
    modifiable: bool = True
    restrict: bool = False


@dataclass(frozen=True, slots=True)
class Blueprint:
    """`kind` is one of `columns`, `tag` a CityObjectLabel; `extent` half sizes and `centre` of the box in the actor's frame, metres.

    A walker's origin is the middle of its body, a vehicle's and a prop's is on the ground. A mass of 0 does not move when hit.
    """

    id: str
    tags: str
    attributes: tuple[Attribute, ...]
    kind: int
    tag: int
    extent: Vector = NOWHERE
    centre: Vector = NOWHERE
    mass_kg: float = 0.0
    max_speed_mps: float = 0.0
    wheels: int = 0
    wheelbase_m: float = 0.0
    wheel_radius_m: float = 0.0
    base_type: str = (
        ""  # car, van, truck, bus, motorcycle, bicycle; filled in where CARLA's attribute is empty
    )
    dims_source: str = ""
    dims_confidence: str = ""

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name."""
        return next((a for a in self.attributes if a.id == name), None)

    def defaults(self) -> dict[str, str]:
        """What an actor's attributes are when its description names none."""
        return {a.id: _canonical(a.type, a.value) for a in self.attributes}


@cache
def library() -> tuple[Blueprint, ...]:
    """Every blueprint, in the order of the uids."""
    vehicles, walkers, props, sensors = (
        tomllib.loads((HERE / f"blueprints_{name}.toml").read_text("utf-8"))
        for name in ("vehicles", "walkers", "props", "sensors")
    )
    restricted = frozenset(sensors["groups"]["restricted"])
    radii = vehicles["wheels"]
    sources = vehicles["sources"]
    found = [
        _vehicle(e, radii, restricted, sources[e["source"]], e["confidence"])
        for e in vehicles["ours"]
    ]
    reported = (sources["carla_box"], vehicles["confidence"]["boxes"])
    found += [_vehicle(e, radii, restricted, *reported) for e in vehicles["vehicle"]]
    found += [_sensor(e, sensors["groups"], restricted) for e in sensors["sensor"]]
    found += [_walker(e, walkers, restricted) for e in walkers["walker"]]
    found += [_prop(e, props) for e in props["prop"]]
    found += [_other(e, sensors["groups"], restricted) for e in sensors["other"]]
    return tuple(found)


@cache
def _by_id() -> dict[str, Blueprint]:
    return {b.id: b for b in library()}


def find(name: str) -> Blueprint | None:
    """The blueprint with exactly that id."""
    return _by_id().get(name)


def definitions() -> list[structs.ActorDefinition]:
    """The library as the wire carries it."""
    return [
        structs.ActorDefinition(
            uid=uid,
            id=b.id,
            tags=b.tags,
            attributes=[
                structs.ActorAttribute(
                    id=a.id,
                    type=a.type,
                    value=a.value,
                    recommended_values=list(a.recommended),
                    is_modifiable=a.modifiable,
                    restrict_to_recommended=a.restrict,
                )
                for a in b.attributes
            ],
        )
        for uid, b in enumerate(library(), start=1)
    ]


def resolve(description: structs.ActorDescription) -> tuple[Blueprint, dict[str, str]]:
    """The blueprint and all its attributes, those of the description over the defaults; ValueError says what a client got wrong.

    Values come back in one spelling: `true`/`false`, whole numbers, numbers that `float` reads (CARLA's own `3.5f` is `3.5`),
    `r,g,b`. A client sends the constant attributes too, so those are accepted with the value they have.
    """
    blueprint = find(description.id)
    if blueprint is None:
        raise ValueError(
            f"there is no blueprint {description.id[:80]!r}; get_actor_definitions lists {len(library())}"
        )
    if len(description.attributes) > MAX_ATTRIBUTES:
        raise ValueError(
            f"{len(description.attributes)} attributes for {blueprint.id}; at most {MAX_ATTRIBUTES} are read"
        )
    values = blueprint.defaults()
    for sent in description.attributes:
        known = blueprint.attribute(sent.id)
        where = f"{blueprint.id}, attribute {sent.id[:80]!r}"
        if known is None:
            raise ValueError(f"{where}: there is no such attribute")
        if sent.type != known.type:
            raise ValueError(
                f"{where}: it is a {_TYPE_NAMES[known.type]}, not a {_TYPE_NAMES[sent.type]}"
            )
        if len(sent.value) > MAX_VALUE_CHARS:
            raise ValueError(
                f"{where}: {len(sent.value)} characters; at most {MAX_VALUE_CHARS} are read"
            )
        try:
            value = _canonical(known.type, sent.value)
        except ValueError:
            raise ValueError(
                f"{where}: {sent.value[:80]!r} is not a {_TYPE_NAMES[known.type]}"
            ) from None
        if not known.modifiable and value != values[known.id]:
            raise ValueError(f"{where}: it cannot be changed from {known.value!r}")
        if known.restrict and value not in known.recommended:
            raise ValueError(
                f"{where}: {value[:80]!r} is not one of {', '.join(known.recommended)}"
            )
        values[known.id] = value
    return blueprint, values


def _canonical(kind: structs.ActorAttributeType, text: str) -> str:
    """The one spelling of a value; ValueError where it is not of the kind. As in CARLA an empty number is 0."""
    if kind == STRING:
        return text
    text = text.strip()
    if kind == BOOL:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower()
    if kind == COLOR:
        parts = [int(part) for part in text.split(",")]
        if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
            raise ValueError
        return ",".join(map(str, parts))
    number = float(text.removesuffix("f") or "0")
    if not math.isfinite(number):
        raise ValueError
    if kind == INT:
        if not -(2**31) <= number < 2**31:
            raise ValueError
        return str(int(number))
    return repr(number)


def _common(name: str, roles: tuple[str, ...]) -> list[Attribute]:
    return [
        Attribute("role_name", STRING, roles[0], roles),
        Attribute("ros_name", STRING, name, (name,)),
    ]


def _settable(rows: list[list[str]], restricted: frozenset[str]) -> list[Attribute]:
    return [
        Attribute(name, _TYPES[kind], values[0], tuple(values), restrict=name in restricted)
        for name, kind, *values in rows
    ]


def _constant(name: str, kind: str, value: str) -> Attribute:
    return Attribute(name, _TYPES[kind], value, modifiable=False)


def _tags(name: str) -> str:
    return ",".join(name.split("."))


def _vector(values: list[float]) -> Vector:
    x, y, z = values
    return float(x), float(y), float(z)


def _text(value: bool) -> str:
    return "true" if value else "false"


def _vehicle(
    entry: dict[str, Any],
    radii: dict[str, float],
    restricted: frozenset[str],
    source: str,
    confidence: str,
) -> Blueprint:
    name = str(entry["id"])
    wheels = int(entry.get("wheels", 4))
    attributes = _common(name, _VEHICLE_ROLES)
    rows = [["color", "color", *entry["colors"]]] if "colors" in entry else []
    rows += [["driver_id", "int", *entry["drivers"]]] if "drivers" in entry else []
    rows += [["sticky_control", "bool", "true"], ["terramechanics", "bool", "false"]]
    attributes += _settable(rows, restricted)
    attributes += [
        _constant("object_type", "string", ""),
        _constant("base_type", "string", str(entry["base_type"])),
        _constant("special_type", "string", str(entry.get("special_type", ""))),
        _constant("number_of_wheels", "int", str(wheels)),
        _constant("generation", "int", str(entry["generation"])),
        _constant("has_dynamic_doors", "bool", _text(entry.get("has_dynamic_doors", False))),
        _constant("has_lights", "bool", _text(entry.get("has_lights", False))),
    ]
    base = str(entry["base_type"]).lower() or "car"
    return Blueprint(
        id=name,
        tags=_tags(name),
        attributes=tuple(attributes),
        kind=c.VEHICLE,
        tag=int(entry["tag"]),
        extent=_vector(entry["extent"]),
        centre=_vector(entry["centre"]),
        mass_kg=float(entry["mass_kg"]),
        max_speed_mps=float(entry["max_speed_mps"]),
        wheels=wheels,
        wheelbase_m=float(entry["wheelbase_m"]),
        wheel_radius_m=float(radii[base]),
        base_type=base,
        dims_source=source,
        dims_confidence=confidence,
    )


def _walker(entry: dict[str, Any], data: dict[str, Any], restricted: frozenset[str]) -> Blueprint:
    name = str(entry["id"])
    body = data["bodies"][entry["body"]]
    chair = ["false", "true"] if entry["can_use_wheelchair"] else ["false"]
    rows = [
        ["speed", "float", *entry["speeds"]],
        ["is_invincible", "bool", "true"],
        ["use_wheelchair", "bool", *chair],
    ]
    attributes = _common(name, ("pedestrian",)) + _settable(rows, restricted)
    attributes += [
        _constant("gender", "string", str(entry["gender"])),
        _constant("generation", "int", str(entry["generation"])),
        _constant("age", "string", str(entry["age"])),
        _constant("can_use_wheelchair", "bool", _text(entry["can_use_wheelchair"])),
    ]
    return Blueprint(
        id=name,
        tags=_tags(name),
        attributes=tuple(attributes),
        kind=c.WALKER,
        tag=_PEDESTRIANS,
        extent=_vector(body["extent"]),
        mass_kg=float(body["mass_kg"]),
        max_speed_mps=float(entry["speeds"][-1]),
        dims_source=str(data["sources"]["carla_box"]),
        dims_confidence=str(data["confidence"]["boxes"]),
    )


def _prop(entry: dict[str, Any], data: dict[str, Any]) -> Blueprint:
    name = str(entry["id"])
    length, width, height = _vector(entry["size"])
    return Blueprint(
        id=name,
        tags=_tags(name),
        attributes=(
            *_common(name, ("prop",)),
            _constant("size", "string", str(entry["size_class"])),
        ),
        kind=c.PROP,
        tag=int(entry.get("tag", _DYNAMIC)),
        extent=(length / 2, width / 2, height / 2),
        centre=(0.0, 0.0, height / 2),
        dims_source=str(data["sources"]["carla_box"]),
        dims_confidence=str(data["confidence"]["boxes"]),
    )


def _sensor(entry: dict[str, Any], groups: dict[str, Any], restricted: frozenset[str]) -> Blueprint:
    name = str(entry["id"])
    rows = [row for group in entry["groups"] for row in groups[group]]
    roles = _SENSOR_ROLES if entry["roles"] else ("default",)
    attributes = _common(name, roles) + _settable(rows, restricted)
    return Blueprint(name, _tags(name), tuple(attributes), c.SENSOR, _NO_LABEL)


def _other(entry: dict[str, Any], groups: dict[str, Any], restricted: frozenset[str]) -> Blueprint:
    name = str(entry["id"])
    kind = {"prop": c.PROP, "controller": c.CONTROLLER, "trigger": c.TRIGGER}[entry["kind"]]
    rows = [row for group in entry["groups"] for row in groups[group]]
    attributes = _common(name, ("default",)) + _settable(rows, restricted)
    return Blueprint(name, _tags(name), tuple(attributes), kind, _NO_LABEL)
