"""Ground: what stands on it stands at the height of the road, and there is no hole in it."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import RoadError
from scenarios.formats.opendrive import read
from sim.carla.server import columns as c
from sim.carla.server import ground
from sim.carla.server.table import Table
from tests.support import xodr
from tests.support.xodr import lane, road, section

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
HILLY = (
    "Town04.xodr",
    "SampleDatabase.xodr",
    "curves_elevation.xodr",
    "crest-curve.xodr",
    "multi_lane_3way_intersection.xodr",
    "Town01.xodr",
)
WIDE = '<width sOffset="0" a="4" b="0" c="0" d="0"/>'


def hilly_files() -> list[Path]:
    seen: dict[str, Path] = {}
    for path in sorted(CORPORA.rglob("*.xodr")):
        if path.name in HILLY:
            seen.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return sorted(seen.values())


FILES = hilly_files()


def climb(slope: float, base: float = 0.0) -> str:
    return f'<elevationProfile><elevation s="0" a="{base}" b="{slope}" c="0" d="0"/></elevationProfile>'


def two_levels(tmp_path: Path) -> ground.Ground:
    """A road along x at height 0, and a bridge along y at height 6 over its middle."""
    low = road("1", 100.0, xodr.line(100.0))
    high = road("2", 100.0, xodr.line(100.0, x=50.0, y=-50.0, hdg=math.pi / 2), before=climb(0.0, 6.0))  # fmt: skip
    return ground.from_network(read(xodr.write(tmp_path, low, high)))


def test_a_flat_ground_has_one_height_everywhere() -> None:
    g = ground.flat(2.5)
    for x, y, z in ((0.0, 0.0, 0.0), (1e6, -1e6, 50.0), (-3.0, 7.0, -100.0)):
        assert ground.height(g, x, y, z) == 2.5


def test_under_a_bridge_and_on_it_are_two_heights(tmp_path: Path) -> None:
    g = two_levels(tmp_path)
    assert ground.height(g, 50.0, 0.0, 0.2) == pytest.approx(0.0)
    assert ground.height(g, 50.0, 0.0, 6.1) == pytest.approx(6.0)
    assert ground.height(g, 50.0, 0.0, 5.5) == pytest.approx(6.0)  # wheels half a metre into it
    assert ground.height(g, 50.0, 0.0, 5.3) == pytest.approx(0.0)
    assert ground.height(g, 50.0, 0.0, 300.0) == pytest.approx(6.0)  # falling


def test_the_normal_leans_back_on_a_slope(tmp_path: Path) -> None:
    """Road along x, one metre up in ten: normal (-1, 0, 10) / sqrt(101)."""
    net = read(xodr.write(tmp_path, road(before=climb(0.1))))
    table = Table()
    row = table.add(7, c.VEHICLE)
    table.f[row, c.X], table.f[row, c.Y], table.f[row, c.Z] = 30.0, 1.5, 3.0
    ground.sample(ground.from_network(net), table.f, table.i, table.high)
    assert table.f[row, c.GROUND_Z] == pytest.approx(3.0, abs=1e-6)
    normal = table.f[row, [c.GROUND_NX, c.GROUND_NY, c.GROUND_NZ]]
    np.testing.assert_allclose(normal, np.array([-1.0, 0.0, 10.0]) / math.sqrt(101.0), atol=1e-9)


def test_only_what_stands_is_sampled() -> None:
    table = Table()
    kinds = (c.VEHICLE, c.SENSOR, c.WALKER, c.SPECTATOR, c.PROP, c.LIGHT)
    rows = [table.add(k + 1, kind) for k, kind in enumerate(kinds)]
    ground.sample(ground.flat(4.0), table.f, table.i, table.high)
    assert table.f[rows, c.GROUND_Z].tolist() == [4.0, 0.0, 4.0, 0.0, 4.0, 0.0]


def test_a_place_that_is_no_number_harms_nothing(tmp_path: Path) -> None:
    g = two_levels(tmp_path)
    assert math.isfinite(ground.height(g, math.nan, 0.0, 0.0))
    assert math.isfinite(ground.height(g, 1e300, -1e300, 0.0))


def test_a_banked_road_is_higher_on_its_outer_side(tmp_path: Path) -> None:
    """Rolled by 0.1 rad about the reference line, left side up: a point 3 m left of it on the surface lies 3 sin 0.1 higher."""
    bank = '<lateralProfile><superelevation s="0" a="0.1" b="0" c="0" d="0"/></lateralProfile>'
    left = section(lane(1, width=WIDE), lane(-1, width=WIDE))
    g = ground.from_network(read(xodr.write(tmp_path, road(sections=left, before=bank))))
    beside = 3.0 * math.cos(0.1)
    assert ground.height(g, 50.0, -beside, 1.0) == pytest.approx(3.0 * math.sin(0.1), abs=1e-6)
    assert ground.height(g, 50.0, beside, 1.0) == pytest.approx(-3.0 * math.sin(0.1), abs=1e-6)


def test_lanes_carry_carlas_labels(tmp_path: Path) -> None:
    right = lane(-1) + lane(-2, kind="sidewalk") + lane(-3, kind="none") + lane(-4, kind="tram")
    g = ground.from_network(read(xodr.write(tmp_path, road(sections=section("", right)))))
    tags = []
    for k in range(4):
        _, hit = ground.heights(g, np.array([50.0]), np.array([1.5 + 3.0 * k]), np.array([0.0]))
        tags.append(int(g.tri_tag[hit[0]]))
    assert tags == [1, 2, 10, 27]  # Roads, Sidewalks, Terrain, RailTrack


def test_the_terrain_goes_on_from_the_edge_of_the_road(tmp_path: Path) -> None:
    g = ground.from_network(read(xodr.write(tmp_path, road(before=climb(0.1)))))
    along = np.arange(5.0, 95.0, 1.0)
    for beside in (3.2, 4.0, 6.0):
        z, hit = ground.heights(g, along, np.full(along.size, beside), 0.1 * along)
        assert (hit < 0).all()
        assert np.abs(z - 0.1 * along).max() < 0.25
    assert ground.height(g, -1e5, 0.0, 0.0) == pytest.approx(0.0, abs=1.0)  # level beyond the map
    assert ground.height(g, 1e5, 0.0, 0.0) == pytest.approx(10.0, abs=1.0)


def test_a_gap_between_two_roads_is_closed(tmp_path: Path) -> None:
    """Files leave centimetres between roads: a wheel must not fall through to the terrain."""
    both = road("1", 50.0, xodr.line(50.0)), road("2", 50.0, xodr.line(50.0, x=50.05))
    g = ground.from_network(read(xodr.write(tmp_path, *both)))
    x = np.arange(49.9, 50.2, 0.01)
    z, hit = ground.heights(g, x, np.full(x.size, 1.0), np.zeros(x.size))
    assert (hit >= 0).all()
    assert np.abs(z).max() < 1e-9


def test_lanes_that_cover_everything_many_times_are_refused(tmp_path: Path) -> None:
    """A small file whose triangles each touch every cell of a large map."""
    wide = '<width sOffset="0" a="100000" b="0" c="0" d="0"/>'
    bends = '<elevationProfile>' + "".join(f'<elevation s="{s}" a="0" b="0" c="0" d="0"/>' for s in range(1, 500)) + "</elevationProfile>"  # fmt: skip
    sections = section(lane(1, width=wide), lane(-1, width=wide))
    net = read(
        xodr.write(tmp_path, road("1", 500.0, xodr.line(500.0, hdg=0.8), sections, before=bends))
    )
    with pytest.raises(RoadError, match="absurd lane widths"):
        ground.from_network(net)


@pytest.mark.skipif(not FILES, reason="../shared/corpora is absent")
@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_roads_are_as_high_as_carla_says(path: Path) -> None:
    """At CARLA's own waypoints, 1.7 m apart; where surfaces overlap (junctions), the highest carries and none is lower."""
    carla = pytest.importorskip("carla", reason="the carla wheel is the oracle; install icv[carla]")
    g = ground.from_network(read(path))
    world = carla.Map("oracle", path.read_text(errors="replace"))
    at = np.array(
        [
            (p.x, p.y, p.z)
            for p in (w.transform.location for w in world.generate_waypoints(1.7) if w.lane_width > 0.2)
        ]
    )  # fmt: skip
    z, hit = ground.heights(g, at[:, 0], at[:, 1], at[:, 2])
    above = z - at[:, 2]
    assert np.mean(hit >= 0) > 0.999
    assert np.abs(above[hit >= 0]).max() <= 0.6  # the highest within reach of a wheel
    assert above.min() >= -0.04  # never lower than the road, and the terrain only by its sink
    assert np.percentile(np.abs(above), 98) <= 0.02
