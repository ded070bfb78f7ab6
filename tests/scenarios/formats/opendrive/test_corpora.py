"""Every public road file at hand either reads, or is listed here with the reason."""

from pathlib import Path

import numpy as np
import pytest

from protocols.errors import RoadError
from scenarios.formats.opendrive import check, info, read

CORPORA = Path(__file__).parents[5] / "shared" / "corpora"
FILES = sorted(CORPORA.rglob("*.xodr"))
REFUSED: dict[str, str] = {}
"""File name and words of the refusal; at present every file reads."""

pytestmark = pytest.mark.skipif(not FILES, reason="../shared/corpora is absent")


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parts[len(CORPORA.parts)]}-{p.name}")
def test_every_file_reads_or_is_refused_with_the_listed_reason(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(RoadError, match=REFUSED[path.name]):
            read(path)
        return
    net = read(path)
    lanes, points = net.lanes, net.points
    first, last = lanes.point_start[:-1], lanes.point_start[1:] - 1
    assert (last > first).all()  # at least two points a lane
    assert (points.s_m[first] == 0.0).all()
    np.testing.assert_allclose(points.s_m[last], lanes.length_m, atol=1e-9)
    inside = np.ones(points.s_m.size - 1, np.bool_)
    inside[last[:-1]] = False
    assert (np.diff(points.s_m)[inside] >= 0.0).all()
    assert (np.diff(points.s_m)[inside] <= 5.0 + 1e-9).all()
    for column in (points.x_m, points.y_m, points.z_m, points.yaw_rad, points.width_m):
        assert np.isfinite(column).all()
    assert (points.width_m >= 0.0).all()
    # Neighbours see each other; predecessors are the inverse of successors.
    for near, back in ((lanes.left, lanes.right), (lanes.right, lanes.left)):
        has = near >= 0
        np.testing.assert_array_equal(back[near[has]], np.flatnonzero(has))
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.next_start))
    heir = np.repeat(np.arange(net.num_lanes), np.diff(lanes.prev_start))
    forth = set(zip(owner.tolist(), lanes.next.tolist(), strict=True))
    assert forth == set(zip(lanes.prev.tolist(), heir.tolist(), strict=True))
    assert info(net)["lanes"] == net.num_lanes


def test_lanes_that_are_linked_meet_in_a_town_of_many_junctions() -> None:
    path = CORPORA / "carla-opendrive" / "OpenDrive" / "Town01.xodr"
    if not path.exists():
        pytest.skip("Town01 is absent")
    assert [f for f in check(path) if f.rule == "lane_joint"] == []
    assert read(path).lanes.next.size > 200
