"""The blueprint library: what is in it, what a client may ask of it, and what the stock wheel makes of it."""

from __future__ import annotations

import tomllib

import msgspec
import pytest

from sim.carla.server import blueprints
from sim.carla.server import columns as c
from sim.carla.wire import structs
from tests.carla.conftest import Server

# What ScenarioRunner 0.9.16 names in its scenarios and its code.
NAMED_BY_SCENARIO_RUNNER = [
    "vehicle.lincoln.mkz_2017",
    "vehicle.tesla.model3",
    "vehicle.nissan.patrol",
    "vehicle.nissan.patrol_2021",
    "vehicle.nissan.micra",
    "vehicle.audi.tt",
    "vehicle.mini.cooper_s",
    "vehicle.volkswagen.t2",
    "vehicle.carlamotors.carlacola",
    "vehicle.jeep.wrangler_rubicon",
    "vehicle.dodge.charger_police_2020",
    "vehicle.kawasaki.ninja",
    "vehicle.diamondback.century",
    "vehicle.bh.crossbike",
    "vehicle.gazelle.omafiets",
    "static.prop.streetbarrier",
    "static.prop.container",
    "static.prop.constructioncone",
    "static.prop.chainbarrier",
    "static.prop.dirtdebris01",
    "static.prop.dirtdebris02",
    "static.prop.warningconstruction",
    "static.prop.warningaccident",
    "static.prop.trafficwarning",
    "static.prop.vendingmachine",
    "static.prop.advertisement",
    "static.prop.foodcart",
    "static.prop.haybalelb",
    "static.prop.busstoplb",
    "static.trigger.friction",
    "walker.pedestrian.0001",
    "controller.ai.walker",
]

# filter("vehicle.*") of a 0.9.15 server, as published; see blueprints_vehicles.toml.
ORDER_0_9_15 = [
    "vehicle.audi.a2",
    "vehicle.citroen.c3",
    "vehicle.chevrolet.impala",
    "vehicle.dodge.charger_police_2020",
    "vehicle.micro.microlino",
    "vehicle.dodge.charger_police",
    "vehicle.audi.tt",
    "vehicle.jeep.wrangler_rubicon",
    "vehicle.mercedes.coupe",
    "vehicle.yamaha.yzf",
    "vehicle.mercedes.coupe_2020",
    "vehicle.harley-davidson.low_rider",
    "vehicle.dodge.charger_2020",
    "vehicle.ford.ambulance",
    "vehicle.lincoln.mkz_2020",
    "vehicle.mini.cooper_s_2021",
    "vehicle.ford.crown",
    "vehicle.toyota.prius",
    "vehicle.carlamotors.european_hgv",
    "vehicle.carlamotors.carlacola",
    "vehicle.vespa.zx125",
    "vehicle.nissan.patrol_2021",
    "vehicle.mercedes.sprinter",
    "vehicle.audi.etron",
    "vehicle.seat.leon",
    "vehicle.volkswagen.t2_2021",
    "vehicle.tesla.cybertruck",
    "vehicle.lincoln.mkz_2017",
    "vehicle.carlamotors.firetruck",
    "vehicle.ford.mustang",
    "vehicle.volkswagen.t2",
    "vehicle.mitsubishi.fusorosa",
    "vehicle.tesla.model3",
    "vehicle.diamondback.century",
    "vehicle.gazelle.omafiets",
    "vehicle.bmw.grandtourer",
    "vehicle.bh.crossbike",
    "vehicle.kawasaki.ninja",
    "vehicle.nissan.patrol",
    "vehicle.nissan.micra",
    "vehicle.mini.cooper_s",
]
NEW_IN_0_9_16 = [
    "sensor.camera.cosmos_visualization",
    "sensor.other.v2x",
    "sensor.other.v2x_custom",
    "static.prop.aporosatree",
    "static.prop.coconutpalm",
    "static.prop.cypresstree",
    "walker.pedestrian.0052",
]


class HashTable:
    """The order in which the wheel's std::unordered_map<std::string, ...> lists what it holds (libstdc++)."""

    PRIMES = (1, 13, 29, 59, 127, 139, 149, 157, 167, 179, 193, 199, 211, 227, 241, 257)

    def __init__(self, room: int = 0) -> None:
        self.buckets = next(p for p in self.PRIMES if p >= room)
        self.order: list[tuple[str, int]] = []

    def insert(self, name: str) -> None:
        if len(self.order) >= self.buckets or self.buckets == 1:
            self._grow(max(len(self.order) + 1, 2 * self.buckets))
        self._place(name, murmur(name.encode()))

    def _place(self, name: str, key: int) -> None:
        same = [k for k, (_, other) in enumerate(self.order) if not (other - key) % self.buckets]
        self.order.insert(same[0] if same else 0, (name, key))

    def _grow(self, room: int) -> None:
        old, self.order = self.order, []
        self.buckets = next(p for p in self.PRIMES if p >= room)
        for name, key in old:
            self._place(name, key)

    def names(self) -> list[str]:
        return [name for name, _ in self.order]


def murmur(data: bytes) -> int:
    """libstdc++'s hash of a string on 64 bits."""
    mul, mask = 0xC6A4A7935BD1E995, (1 << 64) - 1
    h = 0xC70F6907 ^ (len(data) * mul & mask)
    whole = len(data) & ~7
    for k in range(0, whole, 8):
        part = int.from_bytes(data[k : k + 8], "little") * mul & mask
        h = (h ^ ((part ^ part >> 47) * mul & mask)) * mul & mask
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * mul & mask
    h = (h ^ h >> 47) * mul & mask
    return h ^ h >> 47


def listed(ids: list[str], prefix: str = "") -> list[str]:
    """What the wheel lists of a library of these ids; with a prefix, what `filter` makes of that."""
    whole = HashTable(len(ids))
    for name in ids:
        whole.insert(name)
    if not prefix:
        return whole.names()
    some = HashTable()
    for name in whole.names():
        if name.startswith(prefix):
            some.insert(name)
    return some.names()


def description(name: str, **values: str) -> structs.ActorDescription:
    """As the wheel sends it: every attribute of the blueprint, some with other values."""
    blueprint = blueprints.find(name)
    assert blueprint is not None
    return structs.ActorDescription(
        1,
        name,
        [
            structs.ActorAttributeValue(a.id, a.type, values.pop(a.id, a.value))
            for a in blueprint.attributes
        ]
        + [
            structs.ActorAttributeValue(k, structs.ActorAttributeType.STRING, v)
            for k, v in values.items()
        ],
    )


def test_no_id_comes_twice_and_every_kind_is_there() -> None:
    ids = [b.id for b in blueprints.library()]
    assert len(set(ids)) == len(ids)
    counted = {
        kind: sum(i.startswith(kind) for i in ids)
        for kind in ("vehicle.icv.", "vehicle.", "sensor.", "walker.", "static.prop.")
    }
    assert counted == {
        "vehicle.icv.": 6,
        "vehicle.": 47,
        "sensor.": 19,
        "walker.": 52,
        "static.prop.": 99,
    }


@pytest.mark.parametrize("name", NAMED_BY_SCENARIO_RUNNER)
def test_what_scenario_runner_names_exists(name: str) -> None:
    assert blueprints.find(name) is not None


def test_every_value_reads_as_its_type_and_is_accepted_by_resolve() -> None:
    for blueprint in blueprints.library():
        for a in blueprint.attributes:
            assert a.value in a.recommended or not a.modifiable
            for value in (a.value, *a.recommended):
                sent = structs.ActorDescription(
                    1, blueprint.id, [structs.ActorAttributeValue(a.id, a.type, value)]
                )
                got = blueprints.resolve(sent)[1][a.id]
                if a.type == structs.ActorAttributeType.FLOAT:
                    assert float(got) == float(value.rstrip("f") or 0.0)
                elif a.type == structs.ActorAttributeType.INT:
                    assert int(got) == int(value)
                else:
                    assert got == value


def test_bodies_are_of_this_world() -> None:
    for b in blueprints.library():
        if b.kind == c.VEHICLE:
            assert 0.7 < b.extent[0] < 10.0 and 0.25 < b.extent[1] < 2.0 and 0.6 < b.extent[2] < 2.2
            assert 50.0 < b.mass_kg < 40_000.0 and 5.0 < b.max_speed_mps < 75.0
            assert 0.9 < b.wheelbase_m < 2.0 * b.extent[0] and 0.2 < b.wheel_radius_m < 0.6
            assert abs(b.centre[2] - b.extent[2]) < 0.2  # it stands on the ground
            assert b.wheels == int(b.defaults()["number_of_wheels"])
        elif b.kind == c.WALKER:
            assert b.centre == (0.0, 0.0, 0.0) and 0.5 < b.extent[2] < 1.0 and b.mass_kg > 20.0
        elif b.kind == c.SENSOR:
            assert b.extent == (0.0, 0.0, 0.0) and b.mass_kg == 0.0


def test_the_model_3_is_as_measured_in_carla() -> None:
    model3 = blueprints.find("vehicle.tesla.model3")
    assert model3 is not None
    # two public measurements: 4.791779518 x 2.163450003 x 1.487660050 m, and the centre's height
    assert [2 * e for e in model3.extent] == pytest.approx([4.79178, 2.16345, 1.48766], abs=1e-5)
    assert model3.centre == pytest.approx((0.02922, 0.0, 0.73586), abs=1e-5)


def test_data_files_name_a_known_confidence_for_all_they_say() -> None:
    for path in blueprints.HERE.glob("blueprints_*.toml"):
        data = tomllib.loads(path.read_text("utf-8"))
        assert set(data["confidence"].values()) <= {"verified", "reported", "default"}, path
        assert all(len(text) > 10 for text in data["sources"].values())


def test_definitions_are_what_the_wire_promises() -> None:
    data = msgspec.msgpack.encode(blueprints.definitions())
    back = msgspec.msgpack.decode(data, type=list[structs.ActorDefinition])
    assert [d.uid for d in back] == list(range(1, len(blueprints.library()) + 1))
    plain = msgspec.msgpack.decode(data)
    assert all(type(d) is list and len(d) == 4 and len(d[3][0]) == 6 for d in plain)
    tesla = next(d for d in back if d.id == "vehicle.tesla.model3")
    assert tesla.tags == "vehicle,tesla,model3"


def test_resolve_fills_in_defaults_and_keeps_what_was_set() -> None:
    blueprint, values = blueprints.resolve(
        structs.ActorDescription(
            0,
            "sensor.camera.rgb",
            [structs.ActorAttributeValue("image_size_x", blueprints.INT, "320")],
        )
    )
    assert blueprint.kind == c.SENSOR
    assert (values["image_size_x"], values["image_size_y"], values["fov"]) == ("320", "600", "90.0")
    assert values["role_name"] == "front"


def test_resolve_takes_what_the_wheel_sends_of_a_whole_blueprint() -> None:
    for blueprint in blueprints.library():
        found, values = blueprints.resolve(description(blueprint.id))
        assert found is blueprint
        assert values == blueprint.defaults()


def test_resolve_reads_carlas_number_with_an_f() -> None:
    assert blueprints.resolve(description("static.trigger.friction"))[1]["friction"] == "3.5"


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("vehicle.tesla.model3", {"wings": "2"}, "no such attribute"),
        ("vehicle.tesla.model3", {"number_of_wheels": "6"}, "cannot be changed from '4'"),
        ("vehicle.tesla.model3", {"color": "300,0,0"}, "is not a color"),
        ("vehicle.tesla.model3", {"color": "1,2"}, "is not a color"),
        ("vehicle.tesla.model3", {"sticky_control": "maybe"}, "is not a bool"),
        ("vehicle.lincoln.mkz_2020", {"driver_id": "9"}, "is not one of 0"),
        ("walker.pedestrian.0012", {"use_wheelchair": "true"}, "is not one of false"),
        ("sensor.camera.rgb", {"image_size_x": "wide"}, "is not a int"),
        ("sensor.camera.rgb", {"image_size_x": "1e99"}, "is not a int"),
        ("sensor.camera.rgb", {"fov": "nan"}, "is not a float"),
        ("sensor.camera.rgb", {"fov": "inf"}, "is not a float"),
        ("sensor.camera.rgb", {"exposure_mode": "auto"}, "is not one of histogram, manual"),
        ("sensor.camera.rgb", {"role_name": "x" * 5000}, "characters"),
    ],
)
def test_resolve_refuses(name: str, values: dict[str, str], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        blueprints.resolve(description(name, **values))


def test_resolve_refuses_what_is_not_in_the_library() -> None:
    with pytest.raises(ValueError, match=r"no blueprint 'vehicle\.none'"):
        blueprints.resolve(structs.ActorDescription(0, "vehicle.none", []))


def test_resolve_refuses_an_attribute_of_another_type() -> None:
    sent = structs.ActorDescription(
        0,
        "vehicle.tesla.model3",
        [structs.ActorAttributeValue("color", structs.ActorAttributeType.STRING, "0,0,0")],
    )
    with pytest.raises(ValueError, match="it is a color, not a string"):
        blueprints.resolve(sent)


def carlas() -> list[str]:
    return [b.id for b in blueprints.library() if ".icv." not in b.id]


def test_a_client_of_0_9_15s_share_lists_vehicles_as_was_published() -> None:
    ids = [name for name in carlas() if name not in NEW_IN_0_9_16]
    assert len(ids) == 207
    assert listed(ids, "vehicle.") == ORDER_0_9_15


@pytest.mark.parametrize("prefix", ["vehicle.", "walker.", "static.", "sensor."])
def test_ours_do_not_change_the_order_of_carlas(prefix: str) -> None:
    everybody = [b.id for b in blueprints.library()]
    with_ours = [name for name in listed(everybody, prefix) if ".icv." not in name]
    assert with_ours == listed(carlas(), prefix)


WHEEL = """
library = world.get_blueprint_library()
model3 = library.find("vehicle.tesla.model3")
attributes = 0
for bp in library:
    for a in bp:
        attributes += 1
        read = {
            carla.ActorAttributeType.Bool: a.as_bool,
            carla.ActorAttributeType.Int: a.as_int,
            carla.ActorAttributeType.Float: a.as_float,
            carla.ActorAttributeType.String: a.as_str,
            carla.ActorAttributeType.RGBColor: a.as_color,
        }[a.type]
        read()
        for value in a.recommended_values if a.is_modifiable else []:
            bp.set_attribute(a.id, value)
def cars(generation):
    return [
        b.id
        for b in library.filter("vehicle.*")
        if b.get_attribute("base_type") == "car" and int(b.get_attribute("generation")) == generation
    ]
color = model3.get_attribute("color")
result = {
    "count": len(library),
    "everything": [b.id for b in library],
    "attributes": attributes,
    "vehicles": [b.id for b in library.filter("vehicle.*")],
    "cars2": cars(2),
    "cars1": len(cars(1)),
    "colors": list(color.recommended_values),
    "color": str(color.as_color()),
    "wheels": model3.get_attribute("number_of_wheels").as_int(),
    "tags": sorted(model3.tags),
    "by_tag": [b.id for b in library.filter("*model3*")],
    "friction": library.find("static.trigger.friction").get_attribute("friction").as_float(),
    "readonly": model3.get_attribute("generation").is_modifiable,
    "age": library.find("walker.pedestrian.0012").get_attribute("age").as_str(),
}
"""


@pytest.fixture(scope="module")
def seen(shared_server: Server) -> dict[str, object]:
    """What a stock client sees of the library."""
    found = shared_server.client(WHEEL)
    assert isinstance(found, dict)
    return found


def test_the_wheel_reads_every_attribute(seen: dict[str, object]) -> None:
    assert seen["count"] == len(blueprints.library())
    assert seen["attributes"] == sum(len(b.attributes) for b in blueprints.library())
    assert seen["colors"] == ["17,37,103", "75,86,173", "180,42,42", "0,0,0", "137,0,0"]
    assert seen["color"] == "Color(17,37,103,255)"
    assert (seen["wheels"], seen["friction"], seen["readonly"]) == (4, 3.5, False)
    assert seen["tags"] == ["model3", "tesla", "vehicle"]
    assert seen["by_tag"] == ["vehicle.tesla.model3"]
    assert seen["age"] == "child"


def test_the_wheel_draws_second_generation_cars_from_carlas_seven(seen: dict[str, object]) -> None:
    assert seen["cars2"] == [
        "vehicle.mercedes.coupe_2020",
        "vehicle.dodge.charger_2020",
        "vehicle.lincoln.mkz_2020",
        "vehicle.mini.cooper_s_2021",
        "vehicle.ford.crown",
        "vehicle.nissan.patrol_2021",
        "vehicle.dodge.charger_police_2020",
    ]
    assert seen["cars1"] == 16  # 18 with the BMW and the Mini, whose base_type is empty in CARLA


def test_the_wheel_lists_as_predicted(seen: dict[str, object]) -> None:
    ids = [b.id for b in blueprints.library()]
    assert seen["everything"] == listed(ids)
    assert seen["vehicles"] == listed(ids, "vehicle.")
    assert listed(ids, "vehicle.")[0] == "vehicle.audi.a2"
