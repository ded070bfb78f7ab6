"""Logs at the edge of what a run may be: one tick, nobody, far away, many, angles and numbers beyond the usual; and the size of what is made."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.errors import LogError
from protocols.v1 import bsm_pb2, log_pb2, rsm_pb2, world_pb2
from protocols.wire import packed, text
from scenarios.load import check_scene
from sim.report.html import Page, write_report
from sim.report.pack import build_pack
from tests.report_pack.held import Held
from tests.report_pack.pack_reading import blocks
from tests.report_pack.shown import Shown
from tests.report_pack.test_pack_hostile import Log
from tests.support import fault_scene

_SIZES = ("length_m", "width_m", "height_m", "wheelbase_m", "rear_overhang_m", "hitch_x_m", "rear_length_m")  # fmt: skip


def report_of(path: Path) -> tuple[Held, Shown]:
    out = path.with_suffix(".html")
    write_report(path, out)
    return Held(path), Shown.in_report(out)


def actors(log: Log, ids: list[int], t_ns: int = 0) -> None:
    """Describes actors, which a log does when they appear."""
    size: dict[str, Any] = {name: [1.0] * len(ids) for name in _SIZES}
    proto = world_pb2.ActorDescriptions(id=ids, kind=[bsm_pb2.ACTOR_KIND_CAR] * len(ids), **size)
    log.add("truth/actor", world_pb2.ActorDescriptions, t_ns, proto.SerializeToString())


def place(log: Log, t_ns: int, ids: list[int], **columns: list[float]) -> None:
    """A world sample; columns that are not given are 0."""
    zero = [0.0] * len(ids)
    names = ("x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "hitch_rad")
    values: dict[str, Any] = {name: columns.get(name, zero) for name in names}
    none: dict[str, Any] = {name: [0] * len(ids) for name in ("lane", "flags", "doors")}
    proto = world_pb2.WorldState(t_ns=t_ns, id=ids, **values, **none)
    log.add("truth/world", world_pb2.WorldState, t_ns, proto.SerializeToString())


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_of_one_tick(tmp_path: Path) -> None:
    held, shown = report_of(fault_scene.run(fault_scene.scene([], 0.01), tmp_path).log_path)
    ((t_ns, proto),) = held.of("truth/world")
    (frame,) = shown.frames("world")
    assert t_ns == frame.t_ms == 0 and frame.rows["id"].tolist() == list(proto.id)
    rows = shown.messages()
    assert len(rows) == len(list(held.sent())) == 8  # what is sent in the last tick is shown too
    assert sum(row["heard"] for row in rows) > 0
    assert all(y.size == 1 for y in (shown.curve(f"{k}/a")[1] for k in ("speed", "jerk", "gap")))
    assert all(row["t_s"] is None for row in shown.meta["criteria"])


def test_a_run_without_vehicles_and_units(tmp_path: Path) -> None:
    late = {"name": "late", "origins": ["road:1"], "destinations": {"road:3": 1.0}, "vehicles_per_hour": 60.0, "start_s": 60.0}  # fmt: skip
    table = {"name": "nobody", "duration_s": 2.0, "map": {"file": "crossroads.xodr"}, "demand": {"flows": [late]}}  # fmt: skip
    held, shown = report_of(fault_scene.run(check_scene(table, "nobody"), tmp_path).log_path)
    assert [frame.rows["id"].size for frame in shown.frames("world")] == [0] * 10
    meta = shown.meta
    assert meta["vehicles"] == {} and meta["actors"] == [] and meta["receivers"] == []
    assert meta["outcome"] == "nothing_ran" and len(shown.messages()) == len(list(held.sent()))
    assert shown.table("signals")["light"].size > 0


def test_what_is_sent_in_the_last_tick_has_its_fates_and_nobody_need_hear(tmp_path: Path) -> None:
    # Two pieces of one run, alone at the junction: the unit speaks to nobody; one that never speaks hears it all.
    spec = fault_scene.scene([], 1.01, flow=False)
    alone = spec.model_copy(update={"vehicles": ()})
    _, shown = report_of(fault_scene.run(alone, tmp_path / "alone").log_path)
    rows = shown.messages()
    assert rows[-1]["t"] == 1000 and {row["sender"] for row in rows} == {"rsu/X"}
    assert all(row["heard"] == row["lost"] == 0 for row in rows)
    mute = {"kind": "message_loss", "at_s": 0.0, "share": 1.0, "senders": ["obu/a"]}
    silent = spec.model_copy(update={"faults": check_scene(
        {"name": "x", "map": {"file": "x.xodr"}, "duration_s": 1.0, "faults": [mute]}, "x").faults})  # fmt: skip
    _, shown = report_of(fault_scene.run(silent, tmp_path / "silent").log_path)
    mine = [row for row in shown.messages() if row["sender"] == "obu/a" and row["rows"]]
    assert mine and all(row["heard"] == 0 < row["lost"] for row in mine)
    lost = shown.meta["fates"].index("loss_fault")
    assert all(set(row["fate"].ravel().tolist()) == {0, lost} for row in mine)


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_coordinates_of_a_national_grid_keep_their_centimetres(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    random = np.random.default_rng(3)
    far: dict[int, tuple[list[float], list[float]]] = {}
    ids = list(range(1, 40))
    actors(log, ids)
    for k in range(20):
        x, y = random.uniform(4e5, 8e5, 39).tolist(), random.uniform(-9.9e6, 9.9e6, 39).tolist()
        far[k * 200] = x, y
        place(log, k * 200_000_000, ids, x_m=x, y_m=y)
    log.out.close()
    for frame in report_of(log.path)[1].frames("world"):
        x, y = far[frame.t_ms]
        assert np.abs(frame.rows["x"] - x).max() <= 0.00501
        assert np.abs(frame.rows["y"] - y).max() <= 0.00501


@pytest.mark.parametrize("angle", [3.3, -3.5, 6.0, -7.0, 100.0])
def test_an_angle_beyond_a_half_turn_is_the_same_direction(angle: float, tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    place(log, 0, [1], yaw_rad=[angle], hitch_rad=[-angle])
    trace = world_pb2.VehicleTrace(name="a", id=1, step_ns=10_000_000)
    for field in trace.DESCRIPTOR.fields:
        if field.number >= 5:
            getattr(trace, field.name).append(0)
    trace.yaw_rad[0] = angle
    log.add("truth/trace", world_pb2.VehicleTrace, 0, trace.SerializeToString(), sender="a")
    log.out.close()
    shown = report_of(log.path)[1]
    (frame,) = shown.frames("world")
    for said, held in ((frame.rows["yaw"][0], angle), (frame.rows["hitch"][0], -angle), (shown.table("trace/a")["yaw"][0], angle)):  # fmt: skip
        assert abs((said - held + np.pi) % (2 * np.pi) - np.pi) < 1e-4


def test_every_number_that_an_actor_may_have(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    ids = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    actors(log, ids)
    place(log, 0, ids)
    log.out.close()
    shown = report_of(log.path)[1]
    assert shown.frames("world")[0].rows["id"].tolist() == ids
    assert [row["id"] for row in shown.meta["actors"]] == ids


@pytest.mark.parametrize("speed", [400.0, -400.0])
def test_speeds_and_accelerations_of_a_tumbling_body(speed: float, tmp_path: Path) -> None:
    # A physics engine that frees two bodies from one place reports such for a frame.
    log = Log(tmp_path / "run.mcap")
    place(log, 0, [1], speed_mps=[speed], accel_mps2=[50 * speed])
    log.out.close()
    (frame,) = report_of(log.path)[1].frames("world")
    assert frame.rows["speed"][0] == pytest.approx(speed, abs=0.006)
    assert frame.rows["accel"][0] == pytest.approx(50 * speed, abs=0.006)


def test_a_late_receiver_does_not_shorten_the_latency_of_others(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    for t_ns, receivers, late in ((0, ["a", "b"], 260_000), (10_000_000, ["c", "b"], 4_000_000_000)):  # fmt: skip
        data = b"".join(
            (
                b"\x08\x01", *(text(2, name) for name in receivers), text(3, "obu/a"), text(4, "v2x/bsm"),
                packed(5, np.array([7], np.uint32)), packed(6, np.array([1], np.uint32)),
                packed(7, np.array([1, 1], np.uint8)), packed(8, np.full(2, late, np.uint32)),
            )
        )  # fmt: skip
        log.add("log/radio", log_pb2.RadioFates, t_ns, data)
    log.out.close()
    first, second = report_of(log.path)[1].messages()
    assert first["latency_us"].tolist() == [[260_000, 260_000, 0]]
    assert second["latency_us"].tolist() == [[0, 4_000_000_000, 4_000_000_000]]


def test_a_stamp_that_a_unit_gave_may_lie_before_the_start(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    for k, stamp in enumerate((-300_000_000, 0, 600_000_000)):
        proto = rsm_pb2.RoadsideSafety(t_ns=stamp, node_id=1)
        log.add("v2x/rsm", rsm_pb2.RoadsideSafety, k * 500_000_000, proto.SerializeToString(), "rsu/X")  # fmt: skip
    log.out.close()
    frames = report_of(log.path)[1].frames("perceived/rsu/X")
    assert [(f.t_ms, f.head["said"]) for f in frames] == [(0, -300), (500, 0), (1000, 600)]


# -- time ------------------------------------------------------------------------------------------------------------


def test_a_record_stamped_before_the_start_is_refused_by_its_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    place(log, -200_000_000, [1])
    place(log, 0, [1])
    log.out.close()
    with pytest.raises(LogError, match=r"begin -0\.2 s"):
        build_pack(log.path)


def test_a_log_that_begins_late_keeps_its_times(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    actors(log, [1])
    for k in range(10):
        place(log, (3_600 * 10 + k) * 100_000_000, [1], x_m=[float(k)])
    log.out.close()
    shown = report_of(log.path)[1]
    assert [frame.t_ms for frame in shown.frames("world")] == list(range(3_600_000, 3_601_000, 200))
    assert shown.meta["duration_s"] == pytest.approx(3600.9)


def test_an_actor_that_is_there_for_one_sample_is_shown(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    actors(log, [1])
    for k in range(40):
        if k in (13, 20):
            actors(log, [{13: 2, 20: 3}[k]], k * 50_000_000)
        ids = [1] + [2] * (k == 13) + [3] * (20 <= k < 30)
        place(log, k * 50_000_000, ids, x_m=[float(k + 10 * i) for i in ids])
    log.out.close()
    frames = report_of(log.path)[1].frames("world")
    seen = {f.t_ms: f.rows["x"].tolist() for f in frames if 2 in f.rows["id"]}
    assert seen == {650: [23.0, 33.0]}
    # The frames of every 0.2 s are there all the same, and whoever stays needs no more.
    assert [f.t_ms for f in frames] == sorted({650, *range(0, 2000, 200)})
    assert [f.t_ms for f in frames if 3 in f.rows["id"]] == [1000, 1200, 1400]


# -- size ------------------------------------------------------------------------------------------------------------


def crowd(path: Path, count: int, seconds: int) -> Path:
    """`count` actors that drive about for some seconds, a sample every 0.1 s."""
    log = Log(path)
    ids = list(range(1, count + 1))
    actors(log, ids)
    random = np.random.default_rng(1)
    x, v = random.uniform(0, 5000, count), random.uniform(0, 20, count)
    for k in range(seconds * 10):
        place(log, k * 100_000_000, ids, x_m=(x + v * k / 10).tolist(), speed_mps=v.tolist())
    log.out.close()
    return path


def test_thousands_of_actors_fit_and_what_is_made_grows_with_the_log(tmp_path: Path) -> None:
    shown = report_of(crowd(tmp_path / "wide.mcap", 4000, 3))[1]
    assert len(shown.meta["actors"]) == 4000
    assert {frame.rows["id"].size for frame in shown.frames("world")} == {4000}
    sizes, peaks = [], []
    for seconds in (30, 60, 120):
        path = crowd(tmp_path / f"{seconds}.mcap", 300, seconds)
        tracemalloc.start()
        sizes.append(build_pack(path).size())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    for (a, b), (p, q) in zip(pairwise(sizes), pairwise(peaks), strict=True):
        assert 1.8 < b / a < 2.2 and q / p < 2.2


def test_frames_of_a_log_sampled_more_slowly_are_all_there(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.mcap")
    for k in range(8):
        place(log, k * 7_500_000_000, [1], x_m=[float(k)])
    (first, second) = blocks(log.pack(), "world")
    assert [*first["t"].tolist(), *second["t"].tolist()] == [7500 * k for k in range(8)]


def test_events_beyond_the_list_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.report.pack.meta.MAX_EVENTS", 7)
    log = Log(tmp_path / "run.mcap")
    for k in range(9):
        event = log_pb2.Event(t_ns=k * 10**9, kind="stop", subject="1")
        log.add("truth/event", log_pb2.Event, k * 10**9, event.SerializeToString())
    log.out.close()
    meta = report_of(log.path)[1].meta
    assert len(meta["events"]) == 7
    assert "Of 9 events the first 7 are listed." in meta["budget"]["sentence_en"]
    assert "仅列出前 7 个" in meta["budget"]["sentence_zh"]


def test_a_file_stays_within_its_limit_whatever_its_manifest_takes(
    corridor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page.load()
    limit = len(page.script.encode()) + len(page.style.encode()) + 1_400_000
    monkeypatch.setattr("sim.report.html.LIMIT", limit)
    monkeypatch.setattr("sim.report.html._MANIFEST_ROOM", 1_000)  # as if it had many more events
    out = tmp_path / "report.html"
    pack = write_report(corridor, out)
    budget = pack.manifest["meta"]["budget"]
    assert budget["with_bytes"] < budget["messages"]  # room was made
    assert out.stat().st_size <= limit
