"""What is written comes back; stock MCAP tools read it; a broken log gives its beginning or one clear sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import make_reader
from mcap.writer import Writer

from protocols.errors import InfrastructureError, LogError
from protocols.messages import BasicSafetyBatch, SignalCommand, Spat
from sim.diff.first import first_difference
from sim.log.reader import LogReader
from sim.log.writer import LogWriter
from sim.radio.fates import Fate
from tests.sim.log.run import HEADER, TICK, Run


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    path = tmp_path_factory.mktemp("log") / "run.mcap"
    run = Run()
    run.write(path)
    return path, run


def test_the_header_comes_back_whole(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    assert log.header() == HEADER
    assert log.lost is None
    assert log.end_ns() == 250 * TICK


def test_digests_come_back_one_per_tick(logged: tuple[Path, Run]) -> None:
    digests = LogReader.open(logged[0]).digests()
    assert digests.tick.tolist() == list(range(250))
    assert digests.digest.tolist() == [d.digest for d in logged[1].digests]
    assert digests.truth.tolist() == [d.truth for d in logged[1].digests]
    assert len(set(digests.digest.tolist())) == 250


def test_messages_come_back_once_with_sender_and_sequence(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    batches = list(log.messages("v2x/bsm"))
    assert [m.seq for m in batches] == list(range(25))
    assert [m.t_ns for m in batches] == [10 * k * TICK for k in range(25)]
    assert {m.sender for m in batches} == {"fleet"}
    first, last = batches[0].decode(), batches[-1].decode()
    assert isinstance(first, BasicSafetyBatch)
    assert isinstance(last, BasicSafetyBatch)
    assert first.station_id.tolist() == [1, 2, 3, 4]
    assert last.station_id.tolist() == [1, 2, 3, 4, 5]
    signals = [m.decode() for m in log.messages("cmd/signal")]
    assert [s.light.tolist() for s in signals if isinstance(s, SignalCommand)] == [
        [2, 5],
        [2, 6],
        [2, 7],
    ]


def test_a_time_window_cuts_exactly(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    found = [(m.topic, m.t_ns // TICK) for m in log.messages(None, 100 * TICK, 111 * TICK)]
    assert sorted(found) == [
        ("cmd/signal", 100),
        ("v2x/bsm", 100),
        ("v2x/bsm", 110),
        ("v2x/spat", 100),
        ("v2x/spat", 110),
    ]
    assert [s.t_ns // TICK for s in log.world(100 * TICK, 111 * TICK)] == [100, 105, 110]


def test_truth_comes_back_in_columns(logged: tuple[Path, Run]) -> None:
    path, run = logged
    log = LogReader.open(path)
    samples = list(log.world())
    assert len(samples) == 50
    assert samples[7].id.tolist() == [1, 2, 3, 4]
    assert samples[8].id.tolist() == [1, 2, 3, 4, 5]
    # Constant speed: position at tick k is x0 + (k+1) * v * dt, so two samples differ by 5 ticks of travel.
    step = samples[1].x_m - samples[0].x_m
    assert step == pytest.approx(run.states.speed_mps[:4] * 0.05)
    assert samples[0].lane.tolist() == [-1] * 4
    actors = log.actors()
    assert actors.id.tolist() == [1, 2, 3, 4, 5]
    assert actors.length_m.tolist() == [4.5] * 5


def test_the_trace_has_every_tick_and_the_command_given(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    assert log.trace_names() == ("obu/a",)
    trace = log.traces("obu/a")
    assert trace.id == 1
    assert trace.t_ns.tolist() == [k * TICK for k in range(250)]
    assert trace.command_accel_mps2 == pytest.approx(0.1 * np.arange(250))
    assert trace.x_m[-1] == logged[1].states.x_m[0]
    with pytest.raises(LogError, match="no trace of 'obu/b'; there are traces of obu/a"):
        log.traces("obu/b")


def test_fates_events_notes_signals_and_result_come_back(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    fates = list(log.fates())
    assert len(fates) == 25
    first = fates[0]
    assert first.receivers == ("obu/a", "rsu/J1")
    assert first.senders == ("fleet", "rsu/J1")
    assert first.num_rows.tolist() == [4, 1]
    # Rows of vehicles 1..4, then the roadside unit; vehicle 1 is obu/a itself, the pole is rsu/J1 itself.
    assert first.fate.tolist() == [[0, 1], [1, 1], [1, 1], [1, 1], [1, 0]]
    assert first.deliver_ns[1].tolist() == [2 * TICK, 2 * TICK]
    assert first.counts()[Fate.DELIVERED] == 8
    (event,) = log.events()
    assert (event.kind, event.subject, event.text, event.values) == (
        "stop",
        "obu/a",
        "done",
        {"gap_m": 0.5},
    )
    assert [n.values for n in log.notes()][1] == (("gap_m", 1.5), ("eta_s", 100.0))
    assert [(t // TICK, lights.tolist()) for t, lights in log.signals()] == [
        (0, [2, 5]),
        (100, [2, 6]),
        (200, [2, 7]),
    ]
    assert log.result() == '{"verdict": "pass"}'
    assert [row for _, row in log.timing()] == [{"world": 0.1, "units": 0.2}] * 3


def test_the_stock_reader_decodes_every_message_with_the_schemas_in_the_file(
    logged: tuple[Path, Run],
) -> None:
    classes = {}
    seen: dict[str, int] = {}
    with logged[0].open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            if schema.id not in classes:
                pool = descriptor_pool.DescriptorPool()
                for proto in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
                    pool.Add(proto)
                classes[schema.id] = message_factory.GetMessageClass(
                    pool.FindMessageTypeByName(schema.name)
                )
            decoded = classes[schema.id].FromString(message.data)
            assert decoded.ListFields() != []
            assert message.log_time >= HEADER.epoch_ns
            seen[channel.topic] = seen.get(channel.topic, 0) + 1
        assert sum(seen.values()) == summary.statistics.message_count
        assert summary.statistics.message_start_time == HEADER.epoch_ns
    assert seen["v2x/bsm"] == 25
    assert seen["truth/world"] == 50
    assert seen["truth/trace"] == 5  # blocks of 50 ticks
    assert seen["log/digest"] == 3


def test_the_stock_reader_seeks_by_the_index(logged: tuple[Path, Run]) -> None:
    with logged[0].open("rb") as file:
        reader = make_reader(file)
        start = HEADER.epoch_ns + 100 * TICK
        got = [
            message.log_time
            for _, _, message in reader.iter_messages(
                topics=["v2x/spat"], starting_at=start, ending_before=start + 20 * TICK
            )
        ]
    assert got == [start, start + 10 * TICK]


def test_two_equal_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Run().write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_crash_loses_the_open_chunk_and_recovery_reads_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "crash.mcap"
    log = Run().write(path, 250, close=False)
    log.flush()
    Run().write(tmp_path / "other")  # the first log is never closed: no summary, no footer
    with pytest.raises(LogError, match=r"ends at byte .* without a footer .*cut off.*recovery"):
        LogReader.open(path)
    got = LogReader.open(path, recover=True)
    assert got.lost is not None
    assert "cut off" in got.lost
    assert got.digests().tick.tolist() == list(range(250))
    assert len(list(got.messages("v2x/bsm"))) == 25
    assert len(list(got.world(100 * TICK, 111 * TICK))) == 3
    assert got.result() is None
    log.close()


def test_a_log_cut_at_any_place_is_read_up_to_what_arrived(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mcap", tmp_path / "cut.mcap"
    log = Run().write(whole, 400, close=False, chunk_bytes=4000)
    log.flush()
    offsets = [chunk.chunk_start_offset for chunk in log._out._chunks]
    log.close()
    data = whole.read_bytes()
    assert len(offsets) > 6
    before = 0
    for place in (offsets[3] - 1, offsets[3] + 5, offsets[3] + 60, offsets[5] + 100, len(data) - 1):
        cut.write_bytes(data[:place])
        with pytest.raises(LogError, match=r"cut\.mcap: .*recovery"):
            LogReader.open(cut)
        found = LogReader.open(cut, recover=True)
        count = len(list(found.world()))
        assert count >= max(before, 1)
        assert found.lost is not None
        before = count
    assert before == 80  # only the very last byte is missing: every sample is there


def test_garbage_and_foreign_files_are_refused_with_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(b"")
    with pytest.raises(LogError, match=r"x\.mcap: 0 bytes that do not begin like an MCAP file"):
        LogReader.open(path)
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    with pytest.raises(LogError, match="do not begin like an MCAP file"):
        LogReader.open(path, recover=True)
    with path.open("wb") as file:
        foreign = Writer(file)
        foreign.start(profile="ros2")
        foreign.finish()
    with pytest.raises(LogError, match="profile 'ros2', expected 'icv'"):
        LogReader.open(path)
    with pytest.raises(LogError, match=r"nowhere\.mcap: cannot be opened"):
        LogReader.open(tmp_path / "nowhere.mcap")


def test_a_changed_byte_in_a_chunk_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    Run().write(path)
    data = bytearray(path.read_bytes())
    data[3000] ^= 0x40  # inside the second chunk; the first holds the header alone
    path.write_bytes(data)
    with pytest.raises(LogError, match=r"x\.mcap: .*(damaged|checksum)"):
        list(LogReader.open(path).world())


def test_random_damage_never_raises_anything_but_a_log_error(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    Run().write(path, 60)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    draw = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        broken = data.copy()
        broken[draw.integers(8, data.size, 4)] = draw.integers(0, 256, 4)
        path.write_bytes(broken[: draw.integers(8, data.size)].tobytes())
        try:
            log = LogReader.open(path, recover=True)
            log.digests()
            log.actors()
            list(log.world())
            list(log.fates())
            list(log.messages())
        except LogError:
            refused += 1
    assert 0 < refused < 60


def test_a_log_of_digests_alone_still_replays(tmp_path: Path) -> None:
    Run().write(tmp_path / "full.mcap")
    Run().write(tmp_path / "thin.mcap", is_full=False)
    full, thin = LogReader.open(tmp_path / "full.mcap"), LogReader.open(tmp_path / "thin.mcap")
    assert thin.digests().digest.tolist() == full.digests().digest.tolist()
    assert thin.result() == full.result()
    assert thin.events() == full.events()
    assert list(thin.world()) == []
    assert list(thin.messages()) == []
    assert first_difference(full.path, thin.path) is None


def test_a_state_that_is_not_finite_is_not_recorded(tmp_path: Path) -> None:
    run = Run()
    with LogWriter(tmp_path / "x.mcap", HEADER) as log:
        run.states.speed_mps[2] = np.nan
        with pytest.raises(InfrastructureError, match=r"actor 3 has x_m = .* speed_mps = nan"):
            log.world(0, run.states, run.statics)


def test_memory_of_the_writer_stays_flat(tmp_path: Path) -> None:
    with Run().write(tmp_path / "x.mcap", 1500, close=False, chunk_bytes=50_000) as log:
        assert len(log._digests) <= 100
        assert log._out._size < 60_000
        assert sum(len(rows) for rows in log._out._index.values()) < 2_000
        assert len(log._out._chunks) > 5


def test_spat_in_the_log_is_the_message_that_was_sent(logged: tuple[Path, Run]) -> None:
    log = LogReader.open(logged[0])
    message = next(iter(log.messages("v2x/spat", 30 * TICK))).decode()
    assert isinstance(message, Spat)
    assert (message.t_ns, message.node_id, message.name) == (30 * TICK, 3, "J1")
    assert message.phases[0].min_end_ns == 31 * TICK


def test_a_chunk_that_unfolds_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mcap"
    Run().write(path)
    data = bytearray(path.read_bytes())
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    chunk = summary.chunk_indexes[1]
    head = chunk.chunk_start_offset + 9
    struct.pack_into("<Q", data, head + 16, 1000)  # the uncompressed size that the chunk claims
    path.write_bytes(data)
    with pytest.raises(LogError, match="not what the index says"):
        LogReader.open(path)
    with pytest.raises(LogError, match="checksum"):
        LogReader.open(path, recover=True)
