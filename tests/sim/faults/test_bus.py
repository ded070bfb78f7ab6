"""Units that crash, hang, are slow or have a wrong clock: what they hear and when they are heard, on both buses alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
import pytest
import zmq

from protocols.bus import Bus, InProcessBus
from protocols.errors import InfrastructureError, UnitError
from protocols.judging import EventKind
from protocols.messages import VehicleCommand
from protocols.participant import Inbox, Outbox, Received, Transmission
from protocols.sensing import Imu, Odometry, Readings
from protocols.simtime import Now
from protocols.zmq_bus import Limits, ZmqBus
from protocols.zmq_unit import serve
from scenarios.fault_spec import ClockOffsetSpec, CrashSpec, HangSpec, SlowSpec
from sim.faults.bus import HELD_BYTES, HELD_MESSAGES, FaultyBus, UnitFaults, merged
from sim.faults.clocks import UnitClock
from sim.faults.watchdog import Watchdog
from sim.faults.windows import window
from tests.protocols.samples import bsm, samples

TICK_NS = 10_000_000
NAME = "obu/a"
VIR = samples()["v2x/vir"]


class Counting:
    """Says in its command how often it was called (acceleration) and how much it has heard (steering), stamped by its clock."""

    period_ticks = 1

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self.calls = self.heard = 0

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        self.calls += 1
        self.heard += len(inbox.messages)
        sent = replace(bsm(1), t_ns=now.t_ns)
        command = VehicleCommand(now.t_ns, float(self.calls), float(self.heard), 0, 0)
        imu_ns = -1.0 if inbox.readings.imu is None else float(inbox.readings.imu.t_ns)
        last_ns = float(inbox.messages[-1].deliver_ns) if inbox.messages else -1.0
        return Outbox(
            transmissions=[Transmission("v2x/bsm", sent)], vehicle=command,
            notes=[("imu_ns", imu_ns), ("deliver_ns", last_ns)],
        )  # fmt: skip


@contextmanager
def carried(kind: str) -> Iterator[Bus]:
    """A bus with `obu/a` and an undisturbed `obu/b`, in this process or over ZeroMQ."""
    names = (NAME, "obu/b")
    if kind == "in process":
        makers = {name: lambda name=name: Counting(name) for name in names}
        yield InProcessBus([Counting(name) for name in names], makers=makers)
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    limits = Limits(20.0, 20.0, 5.0)
    bus = ZmqBus("inproc://faults", dict.fromkeys(names, 1), time.monotonic_ns, limits=limits, context=context)  # fmt: skip

    def take_part(name: str) -> None:
        with suppress(InfrastructureError):
            serve(name, bus.address, lambda welcome: Counting(name), context=context)

    threads = [Thread(target=take_part, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    try:
        bus.gather()
        yield bus
    finally:
        bus.end("pass")
        for thread in threads:
            thread.join(5.0)
        bus.close()
        context.term()


both = pytest.mark.parametrize("kind", ["in process", "zmq"])


def drive(bus: Bus, num_ticks: int) -> list[dict[str, Outbox]]:
    """Each unit hears one message a tick."""
    out = []
    for tick in range(num_ticks):
        now = Now(tick, tick * TICK_NS)
        heard = (Received("v2x/vir", "obu/x", tick, now.t_ns, now.t_ns, VIR),)
        readings = Readings(imu=Imu(now.t_ns, 0.0, 0.0, 0.0))
        out.append(bus.exchange(now, {name: Inbox(heard, readings) for name in bus.due(tick)}))
    return out


def faulty(bus: Bus, faults: UnitFaults) -> FaultyBus:
    return FaultyBus(bus, {NAME: faults}, Watchdog((), {}, np.zeros(0, np.bool_)))


def calls(ticks: list[dict[str, Outbox]], name: str = NAME) -> list[Any]:
    """(calls, heard) that each tick's command tells of; None for silence."""
    out: list[Any] = []
    for answers in ticks:
        command = answers[name].vehicle if name in answers else None
        out.append(None if command is None else (int(command.accel_mps2), int(command.steer_rad)))
    return out


@both
def test_a_crashed_unit_is_silent_and_comes_back_without_memory(kind: str) -> None:
    crash = window(0, CrashSpec(kind="crash", unit=NAME, at_s=0.03, until_s=0.06))
    with carried(kind) as bus:
        ticks = drive(faulty(bus, UnitFaults(crash=[crash])), 8)
    assert calls(ticks) == [(1, 1), (2, 2), (3, 3), None, None, None, (1, 1), (2, 2)]
    assert calls(ticks, "obu/b") == [(n, n) for n in range(1, 9)]


@both
def test_a_hung_unit_goes_on_with_its_memory_and_hears_what_was_kept(kind: str) -> None:
    hang = window(0, HangSpec(kind="hang", unit=NAME, at_s=0.03, until_s=0.06))
    with carried(kind) as bus:
        ticks = drive(faulty(bus, UnitFaults(hang=[hang])), 8)
    # Not called in ticks 3, 4, 5; in tick 6 it hears their three messages and the one of tick 6.
    assert calls(ticks) == [(1, 1), (2, 2), (3, 3), None, None, None, (4, 7), (5, 8)]


@both
def test_a_slow_unit_takes_effect_later_and_in_order(kind: str) -> None:
    slow = window(0, SlowSpec(kind="slow", unit=NAME, at_s=0.02, until_s=0.05, delay_s=0.03))
    with carried(kind) as bus:
        ticks = drive(faulty(bus, UnitFaults(slow=[slow])), 10)
    # Answers of ticks 2, 3, 4 come in 5, 6, 7; those of 5, 6 and 7 may not overtake and come with that of 4.
    told = [(1, 1), (2, 2), None, None, None, (3, 3), (4, 4), (8, 8), (9, 9), (10, 10)]
    assert calls(ticks) == told
    assert [item.message.t_ns // TICK_NS for item in ticks[7][NAME].transmissions] == [4, 5, 6, 7]


@both
def test_a_clock_that_is_ahead_dates_everything_of_the_unit_and_nothing_else(kind: str) -> None:
    ahead = window(0, ClockOffsetSpec(kind="clock_offset", unit=NAME, at_s=0.02, until_s=0.04, offset_s=0.015))  # fmt: skip
    with carried(kind) as bus:
        ticks = drive(faulty(bus, UnitFaults(clock=UnitClock([ahead]))), 8)
    # Right until 20 ms, then 15 ms ahead: 35, 45. At 40 ms it shows 55 and should show 40: half speed, so 55, 60, 65, 70 ms.
    shown_ms = [0, 10, 35, 45, 55, 60, 65, 70]
    for tick, ms in enumerate(shown_ms):
        own = ticks[tick][NAME]
        assert own.transmissions[0].message.t_ns == own.vehicle.t_ns == ms * 1_000_000
        assert dict(own.notes) == {"imu_ns": ms * 1e6, "deliver_ns": ms * 1e6}
        assert ticks[tick]["obu/b"].vehicle.t_ns == tick * TICK_NS


def test_a_clock_behind_runs_at_half_speed_until_it_is_and_never_backwards() -> None:
    behind = window(0, ClockOffsetSpec(kind="clock_offset", unit=NAME, at_s=1.0, until_s=4.0, offset_s=-1.0))  # fmt: skip
    clock = UnitClock([behind])
    # From 1 s at half speed: 1 s behind at 3 s; right again, a step forward, at 4 s.
    expected = {0.0: 0.0, 1.0: 1.0, 2.0: 1.5, 3.0: 2.0, 3.5: 2.5, 3.999: 2.999, 4.0: 4.0, 9.0: 9.0}
    assert {t: clock.show(round(t * 1e9)) / 1e9 for t in expected} == pytest.approx(expected)
    shown = [clock.show(t_ns) for t_ns in range(0, 5_000_000_000, 7_000_000)]
    assert shown == sorted(shown) and shown[0] == 0


def test_a_stamp_beyond_the_units_own_clock_is_still_refused() -> None:
    class Hasty(Counting):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            return super().on_tick(Now(now.tick, now.t_ns + 1), inbox)

    ahead = window(0, ClockOffsetSpec(kind="clock_offset", unit=NAME, at_s=0.0, offset_s=0.5))
    bus = faulty(InProcessBus([Hasty()]), UnitFaults(clock=UnitClock([ahead])))
    with pytest.raises(UnitError, match=r"obu/a at tick 0 .* stamped 500000001 ns, expected 0\.\.500000000"):  # fmt: skip
        drive(bus, 1)


def test_a_crash_within_a_hang_loses_what_was_kept() -> None:
    hang = window(0, HangSpec(kind="hang", unit=NAME, at_s=0.01, until_s=0.06))
    crash = window(1, CrashSpec(kind="crash", unit=NAME, at_s=0.03, until_s=0.04))
    with carried("in process") as bus:
        ticks = drive(faulty(bus, UnitFaults(hang=[hang], crash=[crash])), 8)
    # Reset at tick 4, hanging until 6: the fresh unit then hears the messages of ticks 4, 5 and 6.
    assert calls(ticks) == [(1, 1), None, None, None, None, None, (1, 3), (2, 4)]


def test_a_crash_loses_what_a_slow_unit_had_on_the_way() -> None:
    slow = window(0, SlowSpec(kind="slow", unit=NAME, at_s=0.0, until_s=0.03, delay_s=0.03))
    crash = window(1, CrashSpec(kind="crash", unit=NAME, at_s=0.04, until_s=0.06))
    with carried("in process") as bus:
        ticks = drive(faulty(bus, UnitFaults(slow=[slow], crash=[crash])), 8)
    # The answer of tick 0 came in 3; those of 1, 2 and 3 were on their way when it died.
    assert calls(ticks) == [None, None, None, (1, 1), None, None, (1, 1), (2, 2)]


def test_two_crashes_that_overlap_are_one() -> None:
    crash = [
        window(0, CrashSpec(kind="crash", unit=NAME, at_s=0.01, until_s=0.04)),
        window(1, CrashSpec(kind="crash", unit=NAME, at_s=0.02, until_s=0.05)),
    ]
    with carried("in process") as bus:
        ticks = drive(faulty(bus, UnitFaults(crash=crash)), 7)
    assert calls(ticks) == [(1, 1), None, None, None, None, (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("size", "kept"), [(10, HELD_MESSAGES), (100_000, HELD_BYTES // 100_000)], ids=["many", "large"]
)
def test_the_buffer_of_a_hung_unit_is_bounded_and_keeps_what_came_first(
    size: int, kept: int
) -> None:
    hang = window(0, HangSpec(kind="hang", unit=NAME, at_s=0.0, until_s=1.0))
    faults = UnitFaults(hang=[hang])
    num = HELD_MESSAGES + 100
    for seq in range(num):
        item = Received("v2x/vir", "obu/x", seq, 0, 0, data=bytes(size))
        assert faults.take(0, Inbox((item,), Readings())) is None
    inbox = faults.take(1_000_000_000, Inbox((), Readings()))
    assert inbox is not None and [item.seq for item in inbox.messages] == list(range(kept))
    assert faults.take(1_000_000_000, Inbox((), Readings())) == Inbox((), Readings())


def test_readings_missed_in_a_hang_are_gone() -> None:
    hang = window(0, HangSpec(kind="hang", unit=NAME, at_s=0.0, until_s=0.01))
    faults = UnitFaults(hang=[hang])
    faults.take(0, Inbox((), Readings(odometry=Odometry(0, 1.0, 0.0, 0.0))))
    inbox = faults.take(TICK_NS, Inbox((), Readings()))
    assert inbox is not None and inbox.readings == Readings()


def test_of_answers_in_one_tick_the_newest_commands_count() -> None:
    one = Outbox(vehicle=VehicleCommand(1, 1.0, 0.0, 0, 0), notes=[("a", 1.0)])
    two = Outbox(notes=[("b", 2.0)])
    both_of_them = merged([one, two])
    assert both_of_them.vehicle == one.vehicle
    assert both_of_them.notes == [("a", 1.0), ("b", 2.0)]


def test_a_unit_nobody_can_make_cannot_start_over() -> None:
    with pytest.raises(UnitError, match=r"obu/a at tick 3 .* nobody knows how to make it"):
        InProcessBus([Counting()]).reset(Now(3, 30_000_000), NAME)
    broken = InProcessBus([Counting()], makers={NAME: lambda: Counting(1 / 0)})  # type: ignore[arg-type]
    with pytest.raises(UnitError, match=r"obu/a at tick 3 .* could not start over: ZeroDivision"):
        broken.reset(Now(3, 30_000_000), NAME)
    bus = ZmqBus("tcp://127.0.0.1:*", {NAME: 1}, time.monotonic_ns)
    with pytest.raises(UnitError, match="no unit 'obu/a' on this bus"):
        bus.reset(Now(3, 30_000_000), NAME)
    bus.close()


def test_a_unit_that_fails_while_it_starts_over_is_named() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bus = ZmqBus("inproc://again", {NAME: 1}, time.monotonic_ns, limits=Limits(20.0, 20.0, 5.0), context=context)  # fmt: skip
    built = []

    def build(welcome: Any) -> Counting:
        built.append(welcome.unit)
        if len(built) == 2:
            raise RuntimeError("no memory left")
        return Counting()

    def take_part() -> None:
        with suppress(RuntimeError):
            serve(NAME, bus.address, build, context=context)

    thread = Thread(target=take_part, daemon=True)
    thread.start()
    bus.gather()
    bus.exchange(Now(0, 0), {NAME: Inbox((), Readings())})
    bus.reset(Now(3, 30_000_000), NAME)
    with pytest.raises(UnitError, match=r"obu/a at tick 1 .*gave up: RuntimeError: no memory left"):
        bus.exchange(Now(1, TICK_NS), {NAME: Inbox((), Readings())})
    thread.join(5.0)
    bus.close()
    context.term()
    assert built == [NAME, NAME]


def test_the_watchdog_hears_of_silence_through_the_bus() -> None:
    crash = window(0, CrashSpec(kind="crash", unit=NAME, at_s=0.05))
    watchdog = Watchdog([NAME], {NAME: 7}, np.zeros(0, np.bool_))
    bus = FaultyBus(InProcessBus([Counting()]), {NAME: UnitFaults(crash=[crash])}, watchdog)
    ticks = drive(bus, 40)
    # Last heard at 40 ms, patience 200 ms: the vehicle brakes at 240 ms, told once.
    spoke = [tick for tick, answers in enumerate(ticks) if answers]
    assert spoke == [0, 1, 2, 3, 4, 24]
    assert ticks[24][NAME].vehicle.accel_mps2 == -3.0
    (event,) = watchdog.events
    assert (event.kind, event.actor, event.t_ns) == (EventKind.WATCHDOG, 7, 240_000_000)
