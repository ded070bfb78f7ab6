"""What a vehicle and lights do when nobody commands them."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.messages import BsmFlag, Light, SignalCommand, VehicleCommand
from protocols.participant import Outbox
from sim.faults.watchdog import Watchdog, numbers, pedestrian_groups
from tests.support.crossroads import crossroads

S = 1_000_000_000
GREEN, RED = int(Light.GREEN_PROTECTED), int(Light.RED)
LIGHTS = SignalCommand(0, np.array([3, 5], np.int32), np.array([GREEN, RED], np.uint8))


def test_the_numbers_have_a_source_and_are_what_the_page_says() -> None:
    assert numbers() == {"vehicle.silence_s": 0.2, "vehicle.decel_mps2": 3.0, "lights.silence_s": 1.0}  # fmt: skip


def test_a_vehicle_keeps_its_command_and_then_brakes_with_steering_and_doors_as_they_were() -> None:
    watchdog = Watchdog(["obu/a"], {"obu/a": 1}, np.zeros(0, np.bool_))
    last = VehicleCommand(S, 0.7, 0.05, 1, int(BsmFlag.AUTOMATED))
    watchdog.watch(S, {"obu/a": Outbox(vehicle=last)})
    for t_ns in range(S + 10_000_000, S + 200_000_000, 10_000_000):
        answers: dict[str, Outbox] = {}
        watchdog.watch(t_ns, answers)
        assert not answers
    watchdog.watch(S + 200_000_000, answers)
    flags = int(BsmFlag.AUTOMATED | BsmFlag.BRAKE | BsmFlag.HAZARD)
    assert answers["obu/a"].vehicle == VehicleCommand(S + 200_000_000, -3.0, 0.05, 1, flags)
    answers = {}
    watchdog.watch(2 * S, answers)
    assert not answers  # said once; the vehicle keeps it


def test_a_unit_that_was_never_heard_leaves_a_vehicle_that_brakes_straight() -> None:
    watchdog = Watchdog(["obu/a"], {"obu/a": 1}, np.zeros(0, np.bool_))
    answers: dict[str, Outbox] = {}
    watchdog.watch(200_000_000, answers)
    command = answers["obu/a"].vehicle
    assert command is not None and (command.accel_mps2, command.steer_rad) == (-3.0, 0.0)


def test_lights_freeze_then_flash_and_come_back_with_the_unit() -> None:
    is_pedestrian = np.array([False, False, False, False, False, True])
    watchdog = Watchdog(["rsu/X"], {}, is_pedestrian)
    watchdog.watch(0, {"rsu/X": Outbox(signals=LIGHTS)})
    answers: dict[str, Outbox] = {}
    watchdog.watch(999_999_999, answers)
    assert not answers
    watchdog.watch(S, answers)
    shown = answers["rsu/X"].signals
    assert shown is not None
    assert shown.light.tolist() == [int(Light.FLASHING_YELLOW), int(Light.DARK)]
    assert shown.group.tolist() == [3, 5]
    # An answer without lights: the cabinet shows what the unit had commanded, as of now.
    back = {"rsu/X": Outbox()}
    watchdog.watch(2 * S, back)
    again = back["rsu/X"].signals
    assert again is not None and again.t_ns == 2 * S and again.light.tolist() == [GREEN, RED]
    assert len(watchdog.events) == 1


def test_an_answer_with_lights_is_taken_as_it_is() -> None:
    watchdog = Watchdog(["rsu/X"], {}, np.zeros(6, np.bool_))
    watchdog.watch(0, {"rsu/X": Outbox(signals=LIGHTS)})
    watchdog.watch(S, {})
    fresh = SignalCommand(2 * S, LIGHTS.group, np.array([RED, RED], np.uint8))
    back = {"rsu/X": Outbox(signals=fresh)}
    watchdog.watch(2 * S, back)
    assert back["rsu/X"].signals is fresh


def test_lights_that_were_never_commanded_stay_as_they_are() -> None:
    watchdog = Watchdog(["rsu/X"], {}, np.zeros(6, np.bool_))
    answers: dict[str, Outbox] = {}
    watchdog.watch(5 * S, answers)
    assert not answers and not watchdog.events


@pytest.mark.parametrize(("name", "is_pedestrian"), [("E.left", False), ("N.ped", True)])
def test_pedestrian_groups_are_those_of_crossings_only(name: str, is_pedestrian: bool) -> None:
    net = crossroads()
    assert bool(pedestrian_groups(net)[net.groups.name.index(name)]) is is_pedestrian
