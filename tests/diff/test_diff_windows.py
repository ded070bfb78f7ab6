"""What a comparison says does not depend on how much of the logs is in memory at a time.

The same pairs with windows from one tick to all at once: planted differences of every kind, several at once, other seeds, cut, damaged,
disordered and hostile files. And the parts that remember something from window to window, on random streams cut at random places.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protocols.v1 import rsm_pb2, world_pb2
from sim.diff.align import HOLD_NS, Aligner, Matched
from sim.diff.compare import diff_logs
from sim.diff.data import as_json
from sim.diff.model import Difference, Kind
from sim.diff.order import Order
from sim.diff.page import render
from sim.diff.side import Item, Place
from sim.diff.table import Table
from sim.diff.tolerance import Tolerances, read
from sim.diff.trace import TraceAligner
from sim.log.scan import scan
from tests.diff import mutate
from tests.diff.bases import run_bus, run_crossing
from tests.diff.mutate import TICK, Record
from tests.sim.log.run import Run

S = 1_000_000_000
AT_ONCE = 10_000 * S
FEW = (7 * TICK, 3 * S, 10 * S)  # and all at once
MANY = (TICK, 7 * TICK, S, 3 * S, 9_990_000_000, 10 * S, 20 * S)
Bases = tuple[tuple[Path, int, list[Record]], ...]
Change = Callable[[list[Record]], list[Record] | None]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Two runs, as records: 16 s and 8 s."""
    folder = tmp_path_factory.mktemp("bases")
    logs = (run_bus(folder / "bus").log_path, run_crossing(folder / "crossing").log_path)
    return tuple((log, *mutate.read(log)) for log in logs)


def the_same(
    a: Path, b: Path, spans: tuple[int, ...] = FEW, tolerances: Tolerances | None = None
) -> Difference:
    """The comparison, having asserted that it is one and the same with every window."""
    once = diff_logs(a, b, tolerances, AT_ONCE)
    said = as_json(once)
    for span_ns in spans:
        found = diff_logs(a, b, tolerances, span_ns)
        assert as_json(found) == said, f"windows of {span_ns / S} s"
        if span_ns == min(spans):
            assert render(found) == render(once), f"windows of {span_ns / S} s"
    return once


def changed(log: Path, path: Path, change: Change, chunk_bytes: int = 256 * 1024) -> Path:
    epoch, items = mutate.read(log)
    out = change(items)
    mutate.write(path, epoch, items if out is None else out, chunk_bytes)
    return path


def world(items: list[Record]) -> Record:
    """Without any sample of the world a log would be one of digests only."""
    return next(item for item in items if item.topic == "truth/world" and item.t_ns == 0)


# -- the smallest pairs ----------------------------------------------------------------------------------------------


def test_two_messages_that_changed_places_across_the_end_of_a_window_are_one_change_of_order(
    tmp_path: Path,
) -> None:
    """One stream, two messages, 9.95 s and 10.05 s: seen in two windows they looked like two messages with other contents."""
    Run().write(tmp_path / "whole.mcap", 1100)

    def two(items: list[Record]) -> list[Record]:
        first = next(i for i in items if i.topic == "v2x/bsm")
        other = next(i for i in items if i.topic == "v2x/bsm" and i.data != first.data)
        return [
            items[0],
            world(items),
            replace(first, t_ns=995 * TICK, seq=0),
            replace(other, t_ns=1005 * TICK, seq=1),
        ]

    a = changed(tmp_path / "whole.mcap", tmp_path / "a.mcap", two)

    def swapped(items: list[Record]) -> None:
        items[2], items[3] = (replace(items[k], data=items[5 - k].data) for k in (2, 3))

    b = changed(a, tmp_path / "b.mcap", swapped)
    found = the_same(a, b, MANY)
    assert found.cause is not None
    assert (found.cause.kind, found.cause.tick, found.cause.b) == (Kind.ORDER, 995, "seq 1, then 0")
    row = next(row for row in found.topics if row.topic == "v2x/bsm")
    assert (row.swapped, row.differing) == (2, 0)


def test_a_message_sent_later_is_the_same_one_up_to_the_limit_and_not_beyond(
    tmp_path: Path,
) -> None:
    Run().write(tmp_path / "whole.mcap", 2500)
    for by_ns, kind in (
        (HOLD_NS, Kind.DELAYED),
        (HOLD_NS + TICK, Kind.MISSING),
    ):

        def one(items: list[Record], at_ns: int) -> list[Record]:
            message = next(i for i in items if i.topic == "v2x/bsm")
            last = [i for i in items if i.topic == "v2x/spat"][-1]
            return [items[0], world(items), replace(message, t_ns=3 * S + at_ns), last]

        whole = tmp_path / "whole.mcap"
        a = changed(whole, tmp_path / "a.mcap", partial(one, at_ns=0))
        b = changed(whole, tmp_path / "b.mcap", partial(one, at_ns=by_ns))
        found = the_same(a, b, MANY)
        assert found.cause is not None
        assert (found.cause.kind, found.cause.tick) == (kind, 300)


# -- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", mutate.PLANTS)
def test_a_planted_difference_is_told_alike(kind: str, bases: Bases, tmp_path: Path) -> None:
    for seed in range(2):
        log, epoch, items = bases[seed % 2]
        records, _ = mutate.plant(kind, items, seed)
        mutate.write(tmp_path / "b.mcap", epoch, records)
        assert not the_same(log, tmp_path / "b.mcap").is_same


def several(items: list[Record], seed: int, number: int) -> list[Record]:
    """That many planted differences in one log, of drawn kinds."""
    rng = random.Random(seed)
    for k in range(number):
        items, _ = mutate.plant(rng.choice(sorted(mutate.PLANTS)), items, 1000 * seed + k)
    return items


def test_many_differences_at_once_are_told_alike(bases: Bases, tmp_path: Path) -> None:
    for seed in range(3):
        log, epoch, items = bases[0]
        mutate.write(tmp_path / "b.mcap", epoch, several(items, seed, 12), 60_000)
        the_same(log, tmp_path / "b.mcap")


def test_other_seeds_and_other_scenes_are_told_alike(bases: Bases, tmp_path: Path) -> None:
    other = run_bus(tmp_path / "seed", "seed=5").log_path
    for a, b in ((bases[0][0], other), (other, bases[0][0]), (bases[0][0], bases[1][0])):
        assert not the_same(a, b).is_same


def test_files_that_break_off_or_are_damaged_are_told_alike(bases: Bases, tmp_path: Path) -> None:
    log, epoch, items = bases[0]
    whole = tmp_path / "whole.mcap"
    mutate.write(whole, epoch, several(items, 7, 3), 40_000)
    raw = whole.read_bytes()
    bad = tmp_path / "bad.mcap"
    for share in (0.2, 0.61, 0.93):
        bad.write_bytes(raw[: int(len(raw) * share)])
        the_same(log, bad)
        the_same(bad, log)
    chunks = scan(whole, recover=False).chunks
    for number in (2, len(chunks) - 2):
        broken = bytearray(raw)
        broken[chunks[number].at + 50] ^= 0xFF
        bad.write_bytes(broken)
        found = the_same(log, bad)
        assert len(found.b.damaged) == 1


def test_a_chunk_that_holds_other_times_than_its_head_says_is_damaged(
    bases: Bases, tmp_path: Path
) -> None:
    log, epoch, items = bases[0]
    bad = tmp_path / "bad.mcap"
    mutate.write(bad, epoch, items, 40_000)
    raw = bytearray(bad.read_bytes())
    chunk = scan(bad, recover=False).chunks[3]
    head = raw.index(struct.pack("<QQQI", chunk.start_ns, chunk.end_ns, chunk.size, chunk.crc))
    raw[head : head + 8] = struct.pack("<Q", chunk.end_ns)
    bad.write_bytes(raw)
    found = the_same(log, bad)
    assert not found.is_same
    assert found.b.damaged == [(chunk.end_ns - epoch, chunk.end_ns - epoch)]


def late_records(items: list[Record], rng: random.Random) -> None:
    """Some records written long after their time, some before it, some twice."""
    for _ in range(6):
        at = rng.randrange(1, len(items) - 1)
        items.insert(rng.randrange(1, len(items) - 1), items.pop(at))
    for _ in range(3):
        at = rng.randrange(1, len(items) - 1)
        items.insert(rng.randrange(1, len(items) - 1), items[at])


def test_records_in_any_order_of_the_file_are_told_alike(bases: Bases, tmp_path: Path) -> None:
    for seed in range(4):
        log, epoch, items = bases[seed % 2]
        copy = list(items)
        late_records(copy, random.Random(seed))
        for chunk_bytes in (30_000, 1_000_000):
            mutate.write(tmp_path / "b.mcap", epoch, copy, chunk_bytes)
            found = the_same(log, tmp_path / "b.mcap")
            assert any(row.swapped or row.extra for row in found.topics)


def test_numbers_that_are_none_and_bytes_of_another_writer_are_told_alike(
    bases: Bases, tmp_path: Path
) -> None:
    rng = random.Random(3)

    def garble(items: list[Record]) -> None:
        for k, item in enumerate(items):
            if item.topic == "v2x/rsm" and rng.random() < 0.2:
                proto = rsm_pb2.RoadsideSafety.FromString(item.data)
                if proto.x_m:
                    proto.x_m[0] = rng.choice([float("nan"), float("inf"), 1e308, proto.x_m[0]])
                items[k] = replace(item, data=proto.SerializeToString() + b"\xf8\x3f\x01")
            elif item.topic == "truth/world" and rng.random() < 0.1:
                world = world_pb2.WorldState.FromString(item.data)
                if world.x_m:
                    world.speed_mps[0] = float("nan")
                items[k] = replace(item, data=world.SerializeToString() + b"\xf8\x3f\x01")
            elif rng.random() < 0.003:
                items[k] = replace(item, data=item.data[: rng.randrange(len(item.data) + 1)])

    for log, *_ in bases:
        the_same(log, changed(log, tmp_path / "b.mcap", garble))


def test_what_is_tolerated_is_told_alike(bases: Bases, tmp_path: Path) -> None:
    text = "".join(
        f'[[tolerance]]\ntopic = "{topic}"\nabs = {size}\nreason = "{reason}"\n'
        for topic, size, reason in (
            ("truth/*", 1e-3, "steps of the integrator"),
            ("v2x/*", 0.1, "noise of the tracker"),
            ("obu/plan", 1.0, "the planner rounds"),
        )
    )
    (tmp_path / "t.toml").write_text(text)
    rules = read(tmp_path / "t.toml")
    for seed in range(3):
        log, epoch, items = bases[0]
        mutate.write(tmp_path / "b.mcap", epoch, several(items, 50 + seed, 8))
        the_same(log, tmp_path / "b.mcap", FEW, rules)


def test_a_log_that_ends_in_records_about_itself_is_told_alike(
    bases: Bases, tmp_path: Path
) -> None:
    """Its last chunks hold nothing of the run, and are read long after the run's own end."""
    log, _, _ = bases[0]

    def cut(items: list[Record]) -> list[Record]:
        end = [i for i in items if i.topic == "log/result"]
        early = [i for i in items if i.t_ns < 4 * S and i.topic != "log/result"]
        timing = next(i for i in items if i.topic == "log/timing")
        noise = timing.data * 20  # the same field again and again
        filled = [replace(timing, t_ns=4 * S + k * S // 10, data=noise) for k in range(200)]
        return [*early, *filled, *(replace(i, t_ns=25 * S) for i in end)]

    short = changed(log, tmp_path / "b.mcap", cut, 2_000)
    found = the_same(log, short)
    assert found.cause is not None and found.cause.kind is Kind.EARLY_END
    the_same(short, log)


@pytest.mark.long
def test_hundreds_of_recordings_are_told_alike(bases: Bases, tmp_path: Path) -> None:
    for seed in range(150):
        log, epoch, items = bases[seed % 2]
        rng = random.Random(f"long/{seed}")
        records = several(items, 500 + seed, rng.randint(1, 15))
        if seed % 3 == 0:
            late_records(records, rng)
        mutate.write(tmp_path / "b.mcap", epoch, records, rng.choice([5_000, 60_000, 400_000]))
        spans = tuple(rng.randint(1, 2000) * TICK for _ in range(3))
        the_same(log, tmp_path / "b.mcap", spans)


# -- the parts that remember -----------------------------------------------------------------------------------------


def cuts(rng: random.Random, end_ns: int) -> list[int]:
    """Ends of windows, ascending, the last one beyond everything."""
    number = rng.choice([0, 1, 3, 20, 200])
    return [*sorted(rng.randrange(1, end_ns) for _ in range(number)), 2**80]


def between(items: list[Any], ends: list[int], when: Callable[[Any], int]) -> Iterator[list[Any]]:
    """The items of each window, in their own order."""
    low = -1
    for end in ends:
        yield [item for item in items if low <= when(item) < end]
        low = end


def merged(parts: list[Matched]) -> tuple[list[Any], ...]:
    return (
        [pair for part in parts for pair in part.pairs],
        [swap for part in parts for swap in part.swaps],
        [alone for part in parts for alone in part.alone],
    )


def changed_places(one: Item, two: Item, which: tuple[int, int, int]) -> list[Item]:
    """Two records that exchange what `which` names last."""
    out: list[list[Any]] = [list(one), list(two)]
    out[0][which[2]], out[1][which[2]] = two[which[2]], one[which[2]]
    return [(item[0], item[1], item[2]) for item in out]


def test_records_of_a_stream_are_matched_alike_however_they_are_cut() -> None:
    """Few ticks, numbers and contents, so that everything happens: delays, swaps, repetitions, renumbering, several in one tick."""
    seen = [0, 0, 0]
    for seed in range(400):
        rng = random.Random(seed)
        step = rng.choice([S // 10, S, 4 * S])
        stream: list[list[Item]] = []
        for _ in range(2):
            items: list[Item] = [
                (rng.randrange(40) * step, rng.randrange(rng.choice([3, 40])), rng.choice([b"x", b"y", b"z", rng.randbytes(1)]))
                for _ in range(rng.randrange(30))
            ]  # fmt: skip
            stream.append(items)
        if rng.random() < 0.5:  # mostly the same
            stream[1] = [item for item in stream[0] if rng.random() < 0.8] + stream[1][:3]
            for k in range(0, len(stream[1]) - 1, 5):
                one, two = stream[1][k : k + 2]
                which = rng.choice([(0, 2, 1), (1, 0, 2), (0, 1, 2)])  # what stays, what moves
                stream[1][k : k + 2] = changed_places(one, two, which)
        whole = merged([Aligner().match(stream[0], stream[1], 2**80)])
        for k, found in enumerate(whole):
            seen[k] += len(found)
        ends = cuts(rng, 41 * step)
        aligner, parts = Aligner(), []
        for end, a, b in zip(
            ends, *(between(items, ends, lambda item: item[0]) for items in stream), strict=True
        ):
            parts.append(aligner.match(a, b, end))
        assert merged(parts) == whole, seed
        assert not aligner.is_busy
        counted = 2 * len(whole[0]) + 4 * len(whole[1]) + len(whole[2])
        assert counted <= len(stream[0]) + len(stream[1])
    assert min(seen) > 50


def test_orders_of_files_are_compared_alike_however_they_are_cut() -> None:
    """Windows give all places read so far, those of later times too."""
    seen = 0
    for seed in range(300):
        rng = random.Random(seed)
        a: list[Place] = [("t", "s", rng.randrange(60), k % 7) for k in range(60)]
        if rng.random() < 0.7:
            a.sort(key=lambda place: place[2])
        b = [place for place in a if rng.random() < 0.9]
        for _ in range(rng.randrange(6)):
            b.insert(rng.randrange(len(b)), b.pop(rng.randrange(len(b))))
        whole = Order().compare(a, b, 2**80)
        seen += len(whole)
        ends = cuts(rng, 60)
        order, found, at = Order(), [], [0, 0]
        for end in ends:
            given = []
            for k, places in enumerate((a, b)):  # all files are read at least as far as the window
                needed = max((i + 1 for i, p in enumerate(places) if p[2] < end), default=0)
                upto = max(at[k], min(len(places), needed + rng.randrange(4)))
                given.append(places[at[k] : upto])
                at[k] = upto
            found += order.compare(given[0], given[1], end)
        assert found == whole, seed
    assert seen > 100


def test_blocks_of_a_vehicle_are_matched_alike_however_they_are_cut() -> None:
    """Blocks that do not begin at the same tick, that are missing, overlap, come late or say they are of other times."""
    for seed in range(60):
        rng = random.Random(seed)
        sides: list[list[Item]] = []
        for _ in range(2):
            items: list[Item] = []
            at = 0
            while at < 400:
                rows = rng.choice([20, 20, 20, 7, 33])
                start = at if rng.random() < 0.9 else rng.randrange(400)
                block = world_pb2.VehicleTrace(
                    id=1, start_ns=start * 100_000_000, step_ns=100_000_000
                )
                for name in [f.name for f in block.DESCRIPTOR.fields if f.number >= 5]:
                    number = rng.choice([0, 0, 0, 1])
                    getattr(block, name).extend([number] * rows)
                at += rows
                if rng.random() < 0.9:
                    log_ns = (at - 1) * 100_000_000 + (
                        rng.randrange(15) * S if rng.random() < 0.1 else 0
                    )
                    items.append((log_ns, 0, block.SerializeToString(deterministic=True)))
            sides.append(items)
        said = []
        for ends in ([2**80], cuts(rng, 60 * S)):
            table, aligner, gone = Table(TICK, Tolerances()), TraceAligner("a"), []
            for end, a, b in zip(
                ends, *(between(items, ends, lambda item: item[0]) for items in sides), strict=True
            ):
                gone += aligner.match(a, b, end, table)
            gone.sort()
            said.append((gone, aligner.differing, table.firsts, table.fields))
        assert said[0] == said[1], seed
