"""The in-process bus: call order cannot matter, and a unit that fails is named with its tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from protocols.bus import InProcessBus
from protocols.errors import UnitError
from protocols.messages import (
    Plan,
    SignalCommand,
    VehicleCommand,
)
from protocols.participant import Inbox, Outbox, Transmission
from protocols.sensing import Readings
from protocols.simtime import Now
from tests.protocols.samples import bsm, samples

NOW = Now(412, 4_120_000_000)
EMPTY = Inbox((), Readings())


@dataclass
class FakeUnit:
    """Answers what it is told to."""

    name: str
    answer: Callable[[], Outbox] = Outbox
    period_ticks: int = 1
    calls: list[str] = field(default_factory=list)

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        self.calls.append(self.name)
        return self.answer()


def exchange_one(name: str, outbox: Outbox) -> None:
    InProcessBus([FakeUnit(name, lambda: outbox)]).exchange(NOW, {name: EMPTY})


def test_units_are_called_in_name_order_whatever_the_order_given() -> None:
    calls: list[str] = []
    units = [FakeUnit(name, calls=calls) for name in ("rsu/b", "obu/z", "fleet", "obu/a")]
    bus = InProcessBus(units)
    answers = bus.exchange(NOW, {name: EMPTY for name in reversed(bus.names)})
    assert calls == ["fleet", "obu/a", "obu/z", "rsu/b"]
    assert list(answers) == calls


def test_another_call_order_gives_the_same_answers_in_the_same_order() -> None:
    def sending(name: str) -> FakeUnit:
        return FakeUnit(name, lambda: Outbox(notes=[(name, 1.0)]))

    names = ["obu/a", "obu/b", "rsu/c"]
    plain = InProcessBus([sending(n) for n in names])
    turned = InProcessBus([sending(n) for n in names], order=lambda due: list(reversed(due)))
    inboxes = dict.fromkeys(names, EMPTY)
    first, second = plain.exchange(NOW, inboxes), turned.exchange(NOW, inboxes)
    assert list(first) == list(second) == names
    assert first == second


def test_only_due_units_are_called() -> None:
    bus = InProcessBus([FakeUnit("obu/a", period_ticks=1), FakeUnit("rsu/b", period_ticks=10)])
    assert bus.due(0) == ("obu/a", "rsu/b")
    assert bus.due(7) == ("obu/a",)
    assert bus.due(20) == ("obu/a", "rsu/b")


def test_an_exception_in_a_unit_names_unit_and_tick_and_keeps_its_cause() -> None:
    def fail() -> Outbox:
        raise ZeroDivisionError("no speed")

    bus = InProcessBus([FakeUnit("obu/bus1", fail)])
    with pytest.raises(
        UnitError, match=r"obu/bus1 at tick 412 \(t=4\.12 s\) raised ZeroDiv"
    ) as got:
        bus.exchange(NOW, {"obu/bus1": EMPTY})
    assert isinstance(got.value.__cause__, ZeroDivisionError)
    assert got.value.exit_code == 3


NONSENSE: list[tuple[str, Outbox, str]] = [
    ("obu/a", Outbox(vehicle=VehicleCommand(0, float("nan"), 0.0, 0, 0)), "finite"),
    ("obu/a", Outbox(vehicle=VehicleCommand(0, 0.0, 0.0, 2, 0)), "open_doors = 2"),
    ("rsu/a", Outbox(vehicle=VehicleCommand(0, 0.0, 0.0, 0, 0)), "may not send 'cmd/vehicle'"),
    ("obu/a", Outbox(transmissions=[Transmission("v2x/nope", bsm(1))]), "v2x/nope"),
    ("obu/a", Outbox(transmissions=[Transmission("cmd/signal", bsm(1))]), "no radio topic"),
    (
        "obu/a",
        Outbox(transmissions=[Transmission("v2x/spat", samples()["v2x/spat"])]),
        "belongs to rsu",
    ),
    (
        "rsu/a",
        Outbox(transmissions=[Transmission("v2x/spat", samples()["v2x/map"])]),
        "is a Map, expected Spat",
    ),
    ("fleet", Outbox(transmissions=[Transmission("v2x/bsm", bsm(1))] * 257), "257 messages"),
    ("obu/a", Outbox(notes=[("gap", float("inf"))]), "note 'gap'"),
    (
        "rsu/a",
        Outbox(signals=SignalCommand(0, np.array([1, 1], np.int32), np.array([2, 2], np.uint8))),
        "group twice",
    ),
    (
        "rsu/a",
        Outbox(signals=SignalCommand(0, np.array([1], np.int32), np.array([2, 2], np.uint8))),
        "equally long",
    ),
    ("rsu/a", Outbox(plan=samples()["obu/plan"]), "may not send 'obu/plan'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("name", "outbox", "sentence"), NONSENSE)
def test_a_nonsense_answer_is_an_infrastructure_error(
    name: str, outbox: Outbox, sentence: str
) -> None:
    with pytest.raises(UnitError, match=f"{name} at tick 412.*{sentence}"):
        exchange_one(name, outbox)


def test_a_message_from_the_future_is_refused() -> None:
    future = VehicleCommand(0, 0.0, 0.0, 0, 0)
    assert future.t_ns == 0
    late = bsm(1)  # stamped 1.23 s
    bus = InProcessBus([FakeUnit("fleet", lambda: Outbox([Transmission("v2x/bsm", late)]))])
    bus.exchange(NOW, {"fleet": EMPTY})
    with pytest.raises(UnitError, match=r"stamped 1234567890 ns, expected 0\.\.1000000000"):
        bus.exchange(Now(100, 1_000_000_000), {"fleet": EMPTY})


def test_a_full_honest_answer_passes() -> None:
    plan = samples()["obu/plan"]
    assert isinstance(plan, Plan)
    exchange_one(
        "obu/a",
        Outbox(
            [Transmission("v2x/bsm", bsm(1)), Transmission("v2x/vir", samples()["v2x/vir"])],
            VehicleCommand(0, 1.0, 0.1, 1, 3),
            None,
            plan,
            [("gap_m", 12.0)],
        ),
    )


def test_an_answer_of_another_type_is_refused() -> None:
    bus = InProcessBus([FakeUnit("obu/a", lambda: None)])  # type: ignore[arg-type, return-value]
    with pytest.raises(UnitError, match="answered NoneType, expected an Outbox"):
        bus.exchange(NOW, {"obu/a": EMPTY})


def test_two_units_of_one_name_are_refused() -> None:
    with pytest.raises(UnitError, match="two units are called 'obu/a'"):
        InProcessBus([FakeUnit("obu/a"), FakeUnit("obu/a")])
