"""The binary cache gives back what was stored, or nothing."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.roads import cache
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from tests.support import xodr

KEY = "some file, some reader"


@pytest.fixture
def net(tmp_path: Path) -> RoadNetwork:
    signal = (
        '<signals><signal s="90" t="-4" id="7" name="灯" dynamic="yes" orientation="+" type="1000001"/>'
        "</signals>"
    )
    return read(xodr.write(tmp_path, xodr.road(after=signal)))


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for entry in dataclasses.fields(value):
        item = getattr(value, entry.name)
        if dataclasses.is_dataclass(item):
            out |= leaves(item, f"{prefix}{entry.name}.")
        else:
            out[prefix + entry.name] = item
    return out


def assert_same(a: RoadNetwork, b: RoadNetwork) -> None:
    one, two = leaves(a), leaves(b)
    assert one.keys() == two.keys()
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == two[name].dtype, name
            assert value.shape == two[name].shape, name
            assert value.tobytes() == two[name].tobytes(), name
        else:
            assert value == two[name], name


def test_round_trip_keeps_every_bit(net: RoadNetwork, tmp_path: Path) -> None:
    cache.save(net, tmp_path / "a.roads", KEY)
    back = cache.load(tmp_path / "a.roads", KEY)
    assert back is not None
    assert_same(net, back)
    # Kernels are compiled for writable arrays: others would be compiled a second time.
    assert back.points.x_m.flags.writeable
    assert back.points.x_m.flags.c_contiguous


def test_another_key_is_a_miss(net: RoadNetwork, tmp_path: Path) -> None:
    cache.save(net, tmp_path / "a.roads", KEY)
    assert cache.load(tmp_path / "a.roads", KEY + "!") is None
    assert cache.load(tmp_path / "absent.roads", KEY) is None


def test_every_damaged_byte_is_noticed(net: RoadNetwork, tmp_path: Path) -> None:
    path = tmp_path / "a.roads"
    cache.save(net, path, KEY)
    good = path.read_bytes()
    draw = np.random.default_rng(1)
    for at in (0, 8, 20, len(good) - 1, *draw.integers(0, len(good), 40)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        path.write_bytes(bad)
        assert cache.load(path, KEY) is None, at
    for size in (0, 10, 63, 64, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        assert cache.load(path, KEY) is None, size


def test_no_draft_is_left_behind_when_writing_fails(
    net: RoadNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    folder = tmp_path / "cache"
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        cache.save(net, folder / "a.roads", KEY)
    assert list(folder.iterdir()) == []


def test_reader_uses_the_cache_and_rebuilds_a_damaged_one(tmp_path: Path) -> None:
    path, folder = xodr.write(tmp_path, xodr.road()), tmp_path / "cache"
    first = read(path, cache_dir=folder)
    (stored,) = folder.iterdir()
    stamp = stored.stat().st_mtime_ns
    assert_same(first, read(path, cache_dir=folder))
    assert stored.stat().st_mtime_ns == stamp  # read, not rebuilt
    stored.write_bytes(stored.read_bytes()[:-40])
    again = read(path, cache_dir=folder)
    assert "damaged and rebuilt" in again.notes[-1]
    assert_same(first, dataclasses.replace(again, notes=first.notes))
    assert_same(first, read(path, cache_dir=folder))


def test_changed_file_is_read_anew(tmp_path: Path) -> None:
    path, folder = xodr.write(tmp_path, xodr.road()), tmp_path / "cache"
    assert read(path, cache_dir=folder).roads.length_m[0] == 100.0
    xodr.write(tmp_path, xodr.road(length=60.0))
    assert read(path, cache_dir=folder).roads.length_m[0] == 60.0


def test_same_bytes_under_another_name_keep_that_name(tmp_path: Path) -> None:
    path, folder = xodr.write(tmp_path, xodr.road()), tmp_path / "cache"
    read(path, cache_dir=folder)
    other = path.with_name("harbour.xodr")
    other.write_bytes(path.read_bytes())
    assert read(other, cache_dir=folder).name == "harbour"
