"""A batch of no vehicle, from a fleet of another maker, is a message that nobody hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.participant import Inbox, Outbox, Transmission
from protocols.simtime import Now
from roadside.unit import RoadsideUnit
from sim import units
from sim.log.reader import LogReader
from sim.radio.air import take_rows
from tests.support.fault_scene import run, scene
from vehicle.fleet import FleetUnit


class Empty(FleetUnit):
    """Sends batches without rows."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        out = super().on_tick(now, inbox)
        out.transmissions = [
            Transmission(item.topic, take_rows(item.message, np.zeros(0, np.int64)))  # type: ignore[arg-type]
            for item in out.transmissions
        ]
        return out


class Silent(RoadsideUnit):
    """Hears and sees, and says nothing."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        out = super().on_tick(now, inbox)
        out.transmissions = []
        return out


@pytest.mark.parametrize("is_alone", (True, False))
def test_a_batch_of_no_vehicle_is_heard_by_nobody_and_breaks_nothing(
    is_alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FleetUnit", Empty)
    spec = scene((), 5.0)
    if is_alone:  # nobody else sends in the same tick
        spec = spec.model_copy(update={"vehicles": ()})
        monkeypatch.setattr(units, "RoadsideUnit", Silent)
    done = run(spec, tmp_path)
    log = LogReader.open(done.log_path)
    sent = [m for m in log.messages("v2x/bsm") if m.sender == "fleet"]
    assert sent and all(m.decode().station_id.size == 0 for m in sent)  # type: ignore[union-attr]
