"""What a pack shows is what the log holds: truth, messages, fates, bytes, verdict, curves."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols import codec, sharing
from protocols.messages import Light, Plan, RoadsideSafety, SensorSharing, Spat
from scenarios.criteria.motion import WINDOW_S
from sim.log.reader import LogReader
from sim.radio.fates import Fate
from sim.report.pack import Pack, PackOptions, build_pack
from sim.report.pack.blocks import SERVED
from sim.report.pack.meta import as_json
from tests.report_pack.pack_reading import blocks, curve, read
from tests.support import fault_scene

HALF_CM = 0.005 + 1e-9
ANGLE = 0.5e-4 + 1e-6


@pytest.fixture(scope="module")
def pack(corridor: Path) -> Pack:
    return build_pack(corridor)


@pytest.fixture(scope="module")
def log(corridor: Path) -> LogReader:
    return LogReader.open(corridor)


def test_the_world_is_where_the_log_says(pack: Pack, log: LogReader) -> None:
    samples = {sample.t_ns // 1_000_000: sample for sample in log.world()}
    stamps: list[int] = []
    for part in blocks(pack, "world"):
        for t, (a, b) in zip(part["t"].tolist(), pairwise(part["start"].tolist()), strict=True):
            sample = samples[t]
            assert np.array_equal(part["id"][a:b], sample.id)
            assert np.array_equal(part["doors"][a:b], sample.doors)
            for name, field, tolerance in (
                ("x", "x_m", HALF_CM), ("y", "y_m", HALF_CM), ("speed", "speed_mps", HALF_CM),
                ("accel", "accel_mps2", HALF_CM), ("yaw", "yaw_rad", ANGLE), ("hitch", "hitch_rad", ANGLE),
            ):  # fmt: skip
                assert np.abs(part[name][a:b] - getattr(sample, field)).max() <= tolerance
            stamps.append(t)
    assert stamps == list(range(0, 40_000, 200))


def test_a_served_pack_has_every_sample(corridor: Path, log: LogReader) -> None:
    whole = build_pack(corridor, PackOptions(budget=None, periods=SERVED))
    stamps = [t for part in blocks(whole, "world") for t in part["t"].tolist()]
    assert stamps == [sample.t_ns // 1_000_000 for sample in log.world()]


def test_every_message_is_there_with_its_fates_and_bytes(pack: Pack, log: LogReader) -> None:
    meta = pack.manifest["meta"]
    fates = {}
    for tick in log.fates():
        ends = np.cumsum(tick.num_rows).astype(int)
        latency = np.where(tick.fate == Fate.DELIVERED, (tick.deliver_ns - tick.t_ns) // 1000, 0)
        for k, who in enumerate(zip(tick.topics, tick.senders, tick.seq.tolist(), strict=True)):
            rows = slice(ends[k] - int(tick.num_rows[k]), ends[k])
            fates[tick.t_ns // 1_000_000, *who] = tick.fate[rows], latency[rows]
            assert list(tick.receivers) == meta["receivers"]
    logged = {(m.t_ns // 1_000_000, m.topic, m.sender, m.seq): m.data for m in log.messages()}
    width = len(meta["receivers"])
    num_fates = len(fates)
    assert num_fates > 3000 and width == 5
    for part, said, wire in zip(
        blocks(pack, "messages"), blocks(pack, "fates"), blocks(pack, "bytes"), strict=True
    ):
        assert (np.diff(part["t"]) >= 0).all()
        for k in range(part["t"].size):
            topic, sender = meta["topics"][part["topic"][k]], meta["units"][part["sender"][k]]
            key = (int(part["t"][k]), topic, sender, int(part["seq"][k]))
            data = logged.pop(key)
            begin = int(part["bytes0"][k])
            assert wire["data"][begin : begin + int(part["size"][k])].tobytes() == data
            rows, first = int(part["rows"][k]), int(part["fate0"][k])
            if not rows:
                assert topic in ("obu/plan", "cmd/signal")
                continue
            fate, latency = fates.pop(key)
            assert fate.shape == (rows, width)
            assert np.array_equal(said["fate"][first : first + rows * width], fate.ravel())
            assert np.array_equal(said["latency_us"][first : first + rows * width], latency.ravel())
            assert part["heard"][k] == (fate == Fate.DELIVERED).sum()
            assert part["lost"][k] == (fate > Fate.DELIVERED).sum()
    assert not logged and not fates


def test_a_message_that_only_the_radio_knows_is_shown_without_bytes(garbled: Path) -> None:
    pack = build_pack(garbled)
    meta = pack.manifest["meta"]
    (part,), (said,) = blocks(pack, "messages"), blocks(pack, "fates")
    bare = np.flatnonzero(part["size"] == 0)
    assert 15 <= bare.size <= 25  # 2 s at 10 Hz
    width = len(meta["receivers"])
    for k in bare.tolist():
        assert meta["units"][part["sender"][k]] == "obu/a" and part["bytes0"][k] == -1
        first = int(part["fate0"][k])
        assert "garbled" in {meta["fates"][f] for f in said["fate"][first : first + width]}
    assert meta["budget"]["with_bytes"] == part["t"].size - bare.size


def test_verdict_and_events_are_the_runs(pack: Pack, log: LogReader, corridor: Path) -> None:
    meta = pack.manifest["meta"]
    result = json.loads((corridor.parent / "result.json").read_text(encoding="utf-8"))
    for name in ("outcome", "sentence", "digest", "seed"):
        assert meta[name] == result[name]
    assert len(meta["criteria"]) == len(result["criteria"]) > 10
    for ours, theirs in zip(meta["criteria"], result["criteria"], strict=True):
        assert ours["name"] == theirs["name"] and ours["passed"] is theirs["passed"]
        for key in ("value", "limit", "t_s"):
            assert ours[key] == pytest.approx(theirs[key])
    assert [(e["kind"], e["subject"], round(e["t_s"] * 1e9)) for e in meta["events"]] == [
        (e.kind, e.subject, e.t_ns) for e in log.events()
    ]
    assert meta["vehicles"] == {"bus1": 1} and meta["lost"] is None
    said = [meta["sentence"], *(row[key] for row in meta["criteria"] for key in ("name", "sentence")), *meta["numbers"]["bus1"]]  # fmt: skip
    assert all(re.search(r"[\u4e00-\u9fff]", meta["zh"][text]) for text in said)
    assert set(meta["zh"]) <= {*said, *(event["text"] for event in meta["events"])}
    actors = log.actors()
    assert [row["id"] for row in meta["actors"]] == actors.id.tolist()
    bus = meta["actors"][0]
    assert bus["name"] == "bus1" and bus["kind_name"] == "articulated_bus"
    assert bus["hitch_x"] == pytest.approx(float(actors.hitch_x_m[0]), abs=1e-3)


def test_traces_are_the_logs_at_ten_hertz(pack: Pack, log: LogReader) -> None:
    trace, table = log.traces("bus1"), read(pack, "trace/bus1")
    assert table["t"].tolist() == list(range(0, 40_000, 100))
    rows = np.searchsorted(trace.t_ns // 1_000_000, table["t"])
    for name, field, tolerance in (
        ("x", "x_m", HALF_CM), ("y", "y_m", HALF_CM), ("z", "z_m", HALF_CM), ("s", "s_m", HALF_CM), ("d", "d_m", 0.51e-3),
        ("speed", "speed_mps", 0.51e-3), ("accel", "accel_mps2", 0.51e-3), ("yaw", "yaw_rad", ANGLE),
        ("steer", "steer_rad", ANGLE), ("hitch", "hitch_rad", ANGLE), ("yaw_rate", "yaw_rate_radps", ANGLE),
        ("command_accel", "command_accel_mps2", 0.51e-3), ("command_steer", "command_steer_rad", ANGLE),
    ):  # fmt: skip
        assert np.abs(table[name] - getattr(trace, field)[rows]).max() <= tolerance, name
    assert np.array_equal(table["lane"], trace.lane[rows])
    assert table["speed"].max() > 5.0  # it drove


def test_jerk_is_the_one_that_comfort_judges(pack: Pack, log: LogReader) -> None:
    trace, table = log.traces("bus1"), read(pack, "trace/bus1")
    width = round(WINDOW_S / 0.01)
    triangle = np.convolve(np.ones(width), np.ones(width)) / width**2
    smooth = np.convolve(trace.accel_mps2, triangle, mode="same")
    expected = (smooth[50:] - smooth[:-50]) / 0.5  # at the middle: 25 ticks after its first row
    for k in range(10, table["t"].size - 10):
        # `same` puts an even-sized window half a tick aside; jerk moves less than 0.05 in a tick.
        assert table["jerk"][k] == pytest.approx(expected[10 * k - 25], abs=0.05)
    (row,) = [c for c in pack.manifest["meta"]["criteria"] if c["name"] == "comfort/bus1 jerk"]
    assert np.abs(table["jerk"]).max() == pytest.approx(row["value"], abs=0.05)


def test_plans_perceptions_and_signals_are_what_was_said(pack: Pack, log: LogReader) -> None:
    plans = {m.t_ns // 1_000_000: codec.decode("obu/plan", m.data) for m in log.messages("obu/plan")}  # fmt: skip
    count = 0
    for part in blocks(pack, "plan/bus1"):
        for t, (a, b) in zip(part["t"].tolist(), pairwise(part["start"].tolist()), strict=True):
            plan = plans[t]
            assert isinstance(plan, Plan)
            assert np.abs(part["x"][a:b] - plan.x_m).max() <= HALF_CM
            assert np.abs(part["speed"][a:b] - plan.speed_mps).max() <= HALF_CM
            count += 1
    assert count >= 2 * 40
    seen = 0
    for unit in ("rsu/J1", "rsu/J4"):
        said = {m.t_ns // 1_000_000: codec.decode("v2x/rsm", m.data) for m in log.messages("v2x/rsm") if m.sender == unit}  # fmt: skip
        for part in blocks(pack, f"perceived/{unit}"):
            for t, (a, b) in zip(part["t"].tolist(), pairwise(part["start"].tolist()), strict=True):
                rsm = said[t]
                assert isinstance(rsm, RoadsideSafety)
                assert np.array_equal(part["kind"][a:b], rsm.kind)
                assert np.abs(part["y"][a:b] - rsm.y_m).max(initial=0.0) <= HALF_CM
                assert np.abs(part["sigma"][a:b] - rsm.sigma_m).max(initial=0.0) <= HALF_CM
                seen += b - a
    assert seen > 100
    changes = list(log.signals())
    table = read(pack, "signals")
    assert table["t"].tolist() == [t_ns // 1_000_000 for t_ns, _ in changes]
    groups = len(pack.manifest["meta"]["roads"]["groups"])
    assert np.array_equal(table["light"].reshape(-1, groups), [light for _, light in changes])


def test_remaining_green_is_what_the_unit_said(pack: Pack, log: LogReader) -> None:
    said: dict[tuple[int, int], Any] = {}
    for message in log.messages("v2x/spat"):
        spat = codec.decode("v2x/spat", message.data)
        assert isinstance(spat, Spat)
        for phase in spat.phases:
            said[message.t_ns // 1_000_000, phase.phase_id - 1] = phase
    count = 0
    for part in blocks(pack, "spat"):
        for t, group, light, remaining in zip(*(part[c].tolist() for c in ("t", "group", "light", "remaining")), strict=True):  # fmt: skip
            phase = said[t, group]
            assert Light(light) == phase.light
            end = phase.likely_end_ns or phase.min_end_ns or phase.max_end_ns
            expected = -1.0 if end is None else max(0.0, end / 1e9 - t / 1e3)
            assert remaining == pytest.approx(expected, abs=0.051)
            count += 1
    assert count >= 40 * 40


def test_delivery_ratio_counts_pairs_that_are_not_out_of_range(pack: Pack, log: LogReader) -> None:
    heard, possible = np.zeros(40), np.zeros(40)
    for tick in log.fates():
        ends = np.cumsum(tick.num_rows).astype(int)
        for k, topic in enumerate(tick.topics):
            if topic == "v2x/bsm":
                fate = tick.fate[ends[k] - int(tick.num_rows[k]) : ends[k]]
                heard[tick.t_ns // 10**9] += (fate == Fate.DELIVERED).sum()
                possible[tick.t_ns // 10**9] += ((fate != 0) & (fate != Fate.OUT_OF_RANGE)).sum()
    t, y = curve(pack, "delivery/v2x/bsm")
    assert t.tolist() == list(range(0, 40_000, 1000))
    assert y == pytest.approx(heard / possible, abs=1e-6)


def test_planner_time_is_what_the_log_says_second_by_second(pack: Pack, log: LogReader) -> None:
    said = [(t, table) for t, table in log.timing() if "wall_s" not in table]
    assert [t for t, _ in said] == [k * 10**9 for k in range(1, 40)]
    t, y = curve(pack, "plan_time/bus1")
    assert t.tolist() == list(range(1_000, 40_000, 1_000))
    assert y == pytest.approx([table["obu/bus1 plan_ms"] for _, table in said], rel=1e-6)
    assert (y > 0).all()
    costs = pack.manifest["meta"]["facts"]["timing"]
    assert min(y) / 2 < costs["planner_ms_mean"] < max(y) * 2


def test_background_speed_leaves_automated_vehicles_and_people_out(
    pack: Pack, log: LogReader
) -> None:
    kinds = dict(zip(log.actors().id.tolist(), log.actors().kind.tolist(), strict=True))
    expected = {}
    for sample in log.world():
        if sample.t_ns % 10**9 == 0:
            rows = [
                k for k, i in enumerate(sample.id.tolist()) if i != 1 and kinds[i] not in (8, 9)
            ]
            expected[sample.t_ns // 10**6] = (len(rows), sample.speed_mps[rows].mean() if rows else np.nan)  # fmt: skip
    t, count = curve(pack, "traffic/count")
    assert dict(zip(t.tolist(), count.tolist(), strict=True)) == {k: n for k, (n, _) in expected.items()}  # fmt: skip
    t, speed = curve(pack, "traffic/speed")
    assert speed == pytest.approx([expected[k][1] for k in t.tolist()], abs=1e-4, nan_ok=True)


def test_a_small_budget_keeps_rows_fates_and_short_messages(corridor: Path, pack: Pack) -> None:
    small = build_pack(corridor, PackOptions(budget=450_000))
    assert small.size() <= 450_000 < pack.size()
    meta = small.manifest["meta"]
    budget = meta["budget"]
    total = sum(part["t"].size for part in blocks(pack, "messages"))
    assert budget["messages"] == total > budget["with_bytes"] > total // 3
    assert (
        str(budget["with_bytes"]) in budget["sentence_en"] and str(total) in budget["sentence_zh"]
    )
    carried = 0
    for part, whole in zip(blocks(small, "messages"), blocks(pack, "messages"), strict=True):
        for name in ("t", "topic", "sender", "seq", "size", "rows", "heard", "lost", "fate0"):
            assert np.array_equal(part[name], whole[name])
        has = part["bytes0"] >= 0
        carried += int(has.sum())
        for name in ("v2x/spat", "v2x/map", "v2x/vir", "v2x/rsc", "cmd/signal"):
            if name in meta["topics"]:
                assert has[part["topic"] == meta["topics"].index(name)].all()
    assert carried == budget["with_bytes"]
    assert len(blocks(small, "fates")) == len(blocks(pack, "fates"))


def test_the_same_log_gives_the_same_bytes(corridor: Path, pack: Pack) -> None:
    again = build_pack(corridor)
    assert as_json(again.manifest) == as_json(pack.manifest)
    assert again.sections == pack.sections


def test_without_its_road_file_a_run_is_still_shown(garbled: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run.mcap"
    moved.write_bytes(garbled.read_bytes())
    road = garbled.parent / "crossroads.xodr"
    assert road.is_file()
    hidden = road.rename(tmp_path / "elsewhere.xodr")
    try:
        pack = build_pack(moved)
        meta = pack.manifest["meta"]
        assert meta["lost"].startswith("Roads are not shown: ")
        assert meta["zh"][meta["lost"]].startswith("无法显示道路：")
        assert pack.manifest["meta"]["roads"]["lanes"] == []
        assert blocks(pack, "world") and read(pack, "signals")["light"].size
        found = build_pack(moved, PackOptions(road_file=hidden)).manifest["meta"]
        assert found["lost"] is None and found["roads"]["lanes"]
    finally:
        hidden.rename(road)


def test_what_a_unit_shares_as_ssm_is_shown_as_perceived(tmp_path: Path) -> None:
    spec = fault_scene.scene([], duration_s=8.0)
    unit = spec.roadside[0].model_copy(update={"share": ("ssm",)})
    path = fault_scene.run(spec.model_copy(update={"roadside": (unit,)}), tmp_path).log_path
    said = {}
    for message in LogReader.open(path).messages("v2x/ssm"):
        ssm = codec.decode("v2x/ssm", message.data)
        assert isinstance(ssm, SensorSharing)
        said[message.t_ns // 1_000_000] = sharing.as_rsm(ssm)
    (part,) = blocks(build_pack(path), "perceived/rsu/X")
    assert part["t"].size == 16 and part["x"].size > 0
    for t, (a, b) in zip(part["t"].tolist(), pairwise(part["start"].tolist()), strict=True):
        assert np.abs(part["x"][a:b] - said[t].x_m).max(initial=0.0) <= HALF_CM
        assert np.array_equal(part["kind"][a:b], said[t].kind)
