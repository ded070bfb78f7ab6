"""The region a unit states is where its sensors look: inside their range and field of view, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols import codec
from protocols.messages import Polygon
from roadside.unit import RoadsideUnit
from sim.sensors.coverage import coverage, sector
from sim.sensors.detections import ON_POLE, fitted
from sim.sensors.params import ObjectParams, preset
from sim.units import Units
from tests.protocols.samples import samples
from tests.support.corridor import resolved
from vehicle.onboard import OnboardUnit


def area(polygon: Polygon) -> float:
    """Shoelace; positive counter-clockwise."""
    x, y = polygon.x_m, polygon.y_m
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


@pytest.mark.parametrize("view_rad", [0.1, 1.0, math.pi, 5.0, 2.0 * math.pi])
def test_a_sector_fills_range_and_field_of_view(view_rad):
    look = sector(10.0, -20.0, 2.0, 100.0, view_rad)
    assert 4 <= look.x_m.size <= 32
    away = np.hypot(look.x_m - 10.0, look.y_m + 20.0)
    rim = away > 1.0
    assert away[rim] == pytest.approx(100.0)
    assert rim.sum() == look.x_m.size - (view_rad < 6.0)
    bearing = np.arctan2(look.y_m + 20.0, look.x_m - 10.0)[rim] - 2.0
    off = np.abs(np.mod(bearing + np.pi, 2 * np.pi) - np.pi)
    assert off.max() <= 0.5 * view_rad + 1e-9
    true = 0.5 * view_rad * 100.0**2
    assert 0.985 * true < area(look) <= true


def test_every_sensor_has_its_polygon_and_the_largest_eight_go_on_the_air():
    rows = [{"kind": "radar", "name": str(k), "range_m": 40.0 + k, "x_m": float(k)} for k in range(9)]  # fmt: skip
    extra = fitted(rows, "test", ON_POLE)
    objects = preset(ObjectParams, "roadside")
    looks = coverage(objects, (5.0, 6.0), extra, (5.0, 6.0))
    assert len(looks) == 8
    assert np.hypot(looks[0].x_m - 5.0, looks[0].y_m - 6.0) == pytest.approx(150.0)
    assert [look.x_m[0] for look in looks[1:]] == pytest.approx([5.0 + k for k in range(2, 9)])
    assert coverage(None, (0.0, 0.0), ()) == ()
    ssm = samples()["v2x/ssm"]
    for polygon in looks:
        codec.encode(type(ssm)(**{**{f: getattr(ssm, f) for f in ssm.__slots__}, "region": (polygon,)}))  # fmt: skip


def test_units_of_a_scene_know_where_they_look():
    units = Units(
        resolved(
            'roadside.0.share=["rsm","ssm"]',
            "roadside.0.ssm_period_ms=200",
            'onboard.share=["ssm"]',
        )
    )
    first, second = units.build("rsu/J1"), units.build("rsu/J2")
    assert isinstance(first, RoadsideUnit) and isinstance(second, RoadsideUnit)
    (look,) = first._sharing.region
    assert np.hypot(look.x_m - first.x_m, look.y_m - first.y_m) == pytest.approx(150.0)
    assert first._sharing.messages == ("rsm", "ssm") and first._sharing.ssm_period_ms == 200
    assert second._sharing.messages == ("rsm",) and second._sharing.region == ()
    bus = units.build("obu/bus1")
    assert isinstance(bus, OnboardUnit) and bus.view is not None
    (look,) = bus.view._region
    assert np.hypot(look.x_m - 6.0, look.y_m) == pytest.approx(100.0)  # the set sits 6 m ahead
