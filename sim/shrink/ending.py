"""How each automated vehicle's run ended, in words without figures, so that two things that never happened can be told apart.

    under way                                             it was moving
    stood before J1.bus_east: red                         the next light on its route, and what its planner says limits it
    stood before J1.bus_east: no signal heard, rsu/J1 tells it      somebody sends that junction's SPAT, and it did not arrive

Without this every arrival that never came would shrink to a vehicle that waits at a light of which nobody tells it.
"""

from __future__ import annotations

from pathlib import Path

from protocols import codec
from protocols.errors import IcvError
from protocols.judging import RunFacts
from protocols.messages import Plan
from protocols.roads.network import RoadNetwork
from protocols.simtime import NS_PER_S
from scenarios.spec import SceneSpec
from sim.log.reader import LogReader
from sim.report.data import RunPicture, VehiclePicture

STANDING_MPS = 0.1
PAST_M = 5.0  # a vehicle that stands on its stop line is still before that light
LAST_NS = 3 * NS_PER_S  # plans come every 0.1 s


def endings(
    picture: RunPicture | None, log: Path, facts: RunFacts, spec: SceneSpec
) -> dict[str, str]:
    """Vehicle -> how its run ended; `log` holds its plans."""
    if picture is None:
        return {}
    reasons = _last_reasons(log, round(spec.duration_s * NS_PER_S))
    return {
        vehicle.name: _ending(vehicle, reasons.get(vehicle.name, ""), picture.network, facts, spec)
        for vehicle in picture.vehicles
    }


def _last_reasons(log: Path, end_ns: int) -> dict[str, str]:
    out: dict[str, str] = {}
    try:
        for item in LogReader.open(log).messages("obu/plan", max(0, end_ns - LAST_NS)):
            plan = codec.decode(item.topic, item.data)
            assert isinstance(plan, Plan), "the topic's type"
            out[item.sender.removeprefix("obu/")] = plan.reason
    except IcvError:  # a plan that nobody can read is no reason to stop
        pass
    return out


def _ending(
    vehicle: VehiclePicture, reason: str, net: RoadNetwork, facts: RunFacts, spec: SceneSpec
) -> str:
    if not vehicle.speed_mps.size:
        return ""
    if vehicle.speed_mps[-1] > STANDING_MPS:
        return "under way"
    here_m = float(vehicle.route_s_m[-1])
    ahead = [signal.name for signal in vehicle.signals if signal.route_s_m > here_m - PAST_M]
    words = f"stood before {ahead[0]}" if ahead else "stood"
    if reason:
        words += f": {reason}"
    if ahead and reason == "no signal heard":
        tells = _tells(ahead[0], net, facts, spec)
        words += f", {tells} tells it" if tells else ""
    return words


def _tells(group: str, net: RoadNetwork, facts: RunFacts, spec: SceneSpec) -> str:
    """The roadside unit that has sent SPAT of the junction of signal group `group`; "" when none has."""
    junction = int(net.groups.junction[net.groups.name.index(group)]) if group in net.groups.name else -1  # fmt: skip
    if junction < 0:
        return ""
    names = {net.junctions.id[junction], net.junctions.name[junction]}
    for unit in spec.roadside:
        if names & set(unit.junctions) and f"rsu/{unit.name} v2x/spat" in facts.max_gap_ms:
            return f"rsu/{unit.name}"
    return ""
