"""Map store: CARLA's names find files, hostile text is refused with a reason, and server and client see one road network."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import ConfigError, RoadError
from protocols.roads.network import LaneType
from sim.carla.server.maps import MAX_TEXT_BYTES, MapStore, origin
from tests.support import xodr
from tests.support.xodr import lane, road, section

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
TOWNS = CORPORA / "carla-opendrive" / "OpenDrive"
needs_corpora = pytest.mark.skipif(not TOWNS.exists(), reason="../shared/corpora is absent")

SMALL = xodr.document(road(sections=section(lane(1), lane(-1))), header="<geoReference>+proj=tmerc +lat_0=49.5 +lon_0=-8.25</geoReference>")  # fmt: skip


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / f"{name}.xodr").write_text(SMALL)
    return tmp_path


def test_nothing_given_serves_our_own_maps() -> None:
    store = MapStore(check_planner=False)
    assert store.names() == ["/Game/Carla/Maps/brt_corridor", "/Game/Carla/Maps/smart_island"]
    loaded = store.load("smart_island")
    assert loaded.name == "Carla/Maps/smart_island"
    assert loaded.geo == (34.76, 113.66)
    assert loaded.statics.shape == (7, 9)


@pytest.mark.parametrize(
    "asked",
    ["Town01", "Town01_Opt", "Carla/Maps/Town01", "/Game/Carla/Maps/Town01_Opt", "/Game/Carla/Maps/Town01/"],
)  # fmt: skip
def test_a_town_is_found_under_all_its_names(tmp_path: Path, asked: str) -> None:
    store = MapStore(folder(tmp_path, "Town01"), check_planner=False)
    loaded = store.load(asked)
    assert loaded.name == "Carla/Maps/" + asked.rstrip("/").rpartition("/")[2]
    assert loaded.xodr == store.load("Town01").xodr


def test_an_optimised_town_is_found_by_its_plain_name(tmp_path: Path) -> None:
    assert MapStore(folder(tmp_path, "Town05_Opt"), check_planner=False).load("Town05").spawn_points


@pytest.mark.parametrize("asked", ["Town02", "town01", "", "../Town01/..", "Town01.xodr", "\x00", "x" * 100_000])  # fmt: skip
def test_a_map_that_is_not_here_is_refused_with_those_that_are(tmp_path: Path, asked: str) -> None:
    store = MapStore(folder(tmp_path, "Town01"))
    with pytest.raises(RoadError, match="there are Town01") as refusal:
        store.load(asked)
    assert len(str(refusal.value)) < 500


def test_a_folder_without_road_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoadError, match=r"no \.xodr file"):
        MapStore(tmp_path)
    with pytest.raises(RoadError, match="no such file"):
        MapStore(tmp_path / "nothing.xodr")


def test_a_map_that_breaks_the_planner_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A connecting road without length: taking it out would take the junction's way with it, so it stays and is reported."""
    pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    link = '<{} elementType="road" elementId="{}" contactPoint="{}"/>'
    ids = '<link><predecessor id="-1"/><successor id="-1"/></link>'
    parts = [
        road("1", 50.0, xodr.line(50.0), section("", lane(-1)), link='<successor elementType="junction" elementId="9"/>'),
        road("2", 1e-6, xodr.line(1e-6, x=50.0), section("", lane(-1, ids)), junction="9",
             link=link.format("predecessor", "1", "end") + link.format("successor", "3", "start")),
        road("3", 50.0, xodr.line(50.0, x=50.0), section("", lane(-1)), link='<predecessor elementType="junction" elementId="9"/>'),
        '<junction id="9" name=""><connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection></junction>',
    ]  # fmt: skip
    path = xodr.write(tmp_path, *parts)
    with pytest.raises(RoadError, match=r"route planner would fail.*2/0/-1.*one point"):
        MapStore(path).load("test")
    assert MapStore(path, check_planner=False).load("test").spawn_points


def test_text_becomes_a_map_and_the_same_text_the_same_map() -> None:
    store = MapStore()
    loaded = store.generate(SMALL)
    assert loaded.name == "Carla/Maps/OpenDriveMap"
    assert loaded.geo == (49.5, -8.25)
    assert store.generate(SMALL) is loaded
    assert MapStore(rule_lights=True).generate(SMALL).xodr == loaded.xodr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not well-formed"),
        ("<OpenDRIVE>", "not well-formed"),
        ("<html/>", "outermost element is <html>"),
        ("<OpenDRIVE/>", "header"),
        (SMALL.replace('length="100.0"', 'length="nan"'), "road"),
        (SMALL.replace('s="0.0"', 's="x"'), "road '1'"),
        (SMALL.replace('id="-1"', 'id="one"'), "road '1'"),
        (SMALL.replace('a="3"', 'a="1e300"'), "lane width"),
        ("\udc80" + SMALL, "not well-formed"),
        (
            SMALL.replace("<line/>", '<spiral curvStart="0" curvEnd="9"/>'),
            "turns by more than 30 rad",
        ),
        (SMALL.replace('b="0" c="0"', 'b="0" c="1e6"'), "at most 400000"),
        (SMALL.replace('x="0.0"', 'x="9e7"'), "away"),
    ],
)
def test_broken_text_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(RoadError, match=reason):
        MapStore().generate(text)


def test_a_crowd_of_signals_is_refused() -> None:
    one = '<signal s="50" t="0" id="{}" dynamic="yes" orientation="+" type="1000001" country="DE"/>'
    marks = "".join(one.format(k) for k in range(5001))
    with pytest.raises(RoadError, match="5001 signals"):
        MapStore().generate(xodr.document(road(after=f"<signals>{marks}</signals>")))


def test_a_hundred_megabytes_are_refused_at_once() -> None:
    text = SMALL + " " * 100_000_000
    began = time.process_time()
    with pytest.raises(RoadError, match=f"at most {MAX_TEXT_BYTES}"):
        MapStore().generate(text)
    assert time.process_time() - began < 1.0


def test_entities_are_not_expanded() -> None:
    """Ten levels of ten: a parser that expands them would need a gigabyte."""
    levels = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 10))
    text = f'<!DOCTYPE OpenDRIVE [<!ENTITY e0 "ha">{levels}]>' + SMALL.partition("?>")[2]
    text = text.replace("</header>", "<userData>&e9;</userData></header>")
    began = time.process_time()
    loaded = None
    with contextlib.suppress(RoadError):
        loaded = MapStore().generate(text)
    assert time.process_time() - began < 5.0
    assert loaded is None or len(loaded.xodr) < 100_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0.0, 0.0)),
        ("+proj=tmerc +lat_0=4.9e1 +lon_0=8", (49.0, 8.0)),
        ("+lat_0=91 +lon_0=181", (0.0, 0.0)),
        ("+lat_0=.-e +lon_0=1", (0.0, 1.0)),
    ],
)
def test_the_origin_is_read_as_carla_reads_it(text: str, expected: tuple[float, float]) -> None:
    assert origin(text) == expected


def test_clients_place_the_origin_where_the_server_does() -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    loaded = MapStore().generate(SMALL)
    there = carla.Map("m", loaded.xodr).transform_to_geolocation(carla.Location(0.0, 0.0, 0.0))
    assert (there.latitude, there.longitude) == pytest.approx(loaded.geo)


def test_clients_find_every_lane_of_ours_where_it_is() -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    loaded = MapStore(check_planner=False).load("brt_corridor")
    world, net = carla.Map("m", loaded.xodr), loaded.net
    asked = 0
    for k in np.flatnonzero((net.lanes.type == LaneType.DRIVING) & (net.lanes.length_m > 2.0)):
        mid = (int(net.lanes.point_start[k]) + int(net.lanes.point_start[k + 1])) // 2
        road_id = int(net.roads.id[net.lanes.road[k]])
        found = world.get_waypoint_xodr(road_id, int(net.lanes.odr_id[k]), float(net.points.road_s_m[mid]))  # fmt: skip
        at = found.transform.location
        assert (at.x, at.y) == pytest.approx((net.points.x_m[mid], -net.points.y_m[mid]), abs=0.02)
        asked += 1
    assert asked > 50


def test_a_lights_file_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, "A")
    lights = tmp_path / "A.lights.toml"
    store = MapStore(tmp_path, check_planner=False)
    for text, reason in (
        ('[[junction]]\nid = "77"\n', "junction '77'"),
        ("[[junction]]\nid = 77\n", "junction.0.id"),
        ('rule = true\ncolour = "red"\n', "colour"),
        ('[[junction]]\nid = "1"\ngreen_s = -1.0\n', "green_s"),
        ("= = =", "cannot be read"),
    ):
        lights.write_text(text)
        with pytest.raises(ConfigError, match=reason):
            store.load("A")
    lights.write_text("rule = true\n")
    assert store.load("A").lights.heads == ()


@needs_corpora
def test_a_town_is_ready_within_the_third_of_a_second_that_generating_may_take() -> None:
    text = (TOWNS / "Town01.xodr").read_text()
    MapStore().generate(SMALL)  # kernels are compiled
    began = time.process_time()
    loaded = MapStore().generate(text)
    assert time.process_time() - began < 0.3 * 5  # five times over, for a busy machine
    assert len(loaded.spawn_points) > 50


def test_what_stands_beside_the_road_is_a_box_and_what_is_painted_is_not(tmp_path: Path) -> None:
    """A house turned by 90 degrees, a pole, a guard rail as an outline on the road, a crosswalk, paint without height."""
    rail = "".join(f'<cornerRoad s="{s}" t="{t}" dz="0" height="0.8"/>' for s, t in ((60, -4), (80, -4), (80, -4.4), (60, -4.4)))  # fmt: skip
    things = (
        '<object id="h" name="townhall" type="building" s="20" t="20" zOffset="0" hdg="1.5707963267948966" length="10" width="6" height="9"/>'
        '<object id="p" name="" type="pole" s="30" t="-5" zOffset="0" radius="0.15" height="6"/>'
        f'<object id="r" name="" type="barrier" subtype="guardRail" s="70" t="-4.2" zOffset="0" height="0.8"><outline>{rail}</outline></object>'
        '<object id="x" name="zebra" type="crosswalk" s="50" t="0" length="4" width="6" height="0.1"/>'
        '<object id="m" name="" type="roadMark" s="55" t="0" length="1" width="1" height="0"/>'
    )
    path = xodr.write(tmp_path, road(after=f"<objects>{things}</objects>"))
    loaded = MapStore(path, check_planner=False).load("test")
    expected = [
        # x, y, z, yaw, half sizes, label (Buildings, Poles, GuardRail), id
        [20.0, -20.0, 4.5, -90.0, 5.0, 3.0, 4.5, 3, 1],
        [30.0, 5.0, 3.0, 0.0, 0.15, 0.15, 3.0, 6, 2],
        [70.0, 4.2, 0.4, 0.0, 10.0, 0.2, 0.4, 28, 3],
    ]
    np.testing.assert_allclose(loaded.statics, expected, atol=1e-9)
    assert [o.id for o in loaded.objects] == [1, 2, 3]
    assert loaded.objects[0].name == "townhall_h"
    house = loaded.objects[0].bounding_box
    assert (house.location.z, house.extent.x, house.extent.y) == pytest.approx((4.5, 5.0, 3.0))
    assert "crosswalk" in loaded.xodr
