"""A roadside unit: runs the signals of its junctions, tells the road what it knows, answers requests for priority.

Every 100 ms: SPAT of each junction, RSM or SSM (or both) of what its sensors see, under identities shared with neighbours;
every second: MAP. A VIR is answered by an RSC and reaches the junction's controller as a priority request. Sensors and loops
come as readings; the lights leave as a SignalCommand when one changes. Bytes and positions on the air are the codec's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocols.errors import ConfigError
from protocols.messages import (
    Light,
    Map,
    PhaseState,
    Polygon,
    RequestStatus,
    RoadsideCoordination,
    RoadsideSafety,
    SensorSharing,
    SignalCommand,
    Spat,
    VehicleIntention,
)
from protocols.participant import Inbox, Outbox, Transmission
from protocols.roads.network import I32, U8, RoadNetwork
from protocols.sentence import say
from protocols.simtime import NS_PER_MS, Now, ticks
from roadside.map_message import build_map, junction_centre
from roadside.perception import Perception
from roadside.signals import (
    Cabinet,
    Controller,
    GroupForecast,
    PriorityRequest,
    SignalPlan,
    signal_forecaster,
    signal_machine,
)
from roadside.signals.priority import Answer
from roadside.signals.wiring import Wiring
from roadside.tracking import TrackingConfig

PERIOD_MS = 100
MAP_EVERY_NS = 1000 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Sharing:
    """In which messages a unit says what it sees."""

    messages: tuple[str, ...] = ("rsm",)  # of "rsm", "ssm"
    ssm_period_ms: int = PERIOD_MS
    region: tuple[Polygon, ...] = ()  # where its sensors look, for SSM


class _Node:
    """One junction of the unit."""

    def __init__(self, net: RoadNetwork, plan: SignalPlan) -> None:
        self.controller = signal_machine(net, plan)
        layout = self.controller.timing.layout
        self.node_id = layout.junction + 1
        self.name = layout.name
        self.wiring = Wiring(net, layout)
        self.forecaster = signal_forecaster(self.controller)
        self.map: Map = build_map(net, layout, self.node_id)
        self.phase_id: list[int] = [int(g) + 1 for g in layout.group]
        self.local = {phase: k for k, phase in enumerate(self.phase_id)}
        self.movement = {
            (lane.lane, movement.to_lane): movement.phase_id
            for lane in self.map.lanes
            for movement in lane.movements
        }
        self.requests: list[PriorityRequest] = []
        self.light: U8 | None = None
        self._forecast: tuple[GroupForecast, ...] = ()
        self._phases: tuple[PhaseState, ...] = ()

    def phases(self) -> tuple[PhaseState, ...]:
        """SPAT phases as of the controller's last step; the same tuple object while nothing has changed."""
        forecast = self.forecaster.forecast()
        if forecast is not self._forecast:
            self._phases = tuple(
                PhaseState(
                    phase_id=self.phase_id[k],
                    light=Light(f.light),
                    start_ns=f.start_ns,
                    min_end_ns=f.min_end_ns,
                    max_end_ns=f.max_end_ns,
                    likely_end_ns=f.likely_end_ns,
                    next_green_start_ns=f.next_green_start_ns,
                    next_green_end_ns=f.next_green_end_ns,
                )
                for k, f in enumerate(forecast)
            )
            self._forecast = forecast
        return self._phases


class RoadsideUnit:
    """A participant; `name` is `rsu/<something>`."""

    def __init__(
        self,
        name: str,
        net: RoadNetwork,
        plans: Sequence[SignalPlan],
        tick_ms: int,
        *,
        x_m: float | None = None,
        y_m: float | None = None,
        tracking: TrackingConfig | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """A unit that serves the junctions of `plans`; it stands at (x_m, y_m), by default in the first junction's middle.

        Raises ConfigError for plans that do not fit the network, none at all, or two of one junction, and for messages that it
        cannot share in.
        """
        if not plans:
            raise ConfigError(
                say("roadside unit '{name}' serves no junction; name at least one with a plan", name=name)
            )  # fmt: skip
        self._name = name
        self._period_ticks = ticks(PERIOD_MS, tick_ms, f"{name}: period")
        self._nodes = [_Node(net, plan) for plan in plans]
        self.node_ids: tuple[int, ...] = tuple(node.node_id for node in self._nodes)
        if len(set(self.node_ids)) != len(self.node_ids):
            raise ConfigError(
                say("roadside unit '{name}' has two plans for one junction; keep one plan per junction", name=name)
            )  # fmt: skip
        centre = junction_centre(net, self.node_ids[0] - 1)
        self.x_m = centre[0] if x_m is None else x_m
        self.y_m = centre[1] if y_m is None else y_m
        self._group: I32 = np.concatenate(
            [node.controller.timing.layout.group for node in self._nodes]
        ).astype(np.int32)
        self._perception = Perception(self.node_ids[0], (self.x_m, self.y_m), tracking)
        self._height_m = (tracking or TrackingConfig()).mount_height_m
        self._sharing = sharing or Sharing()
        unknown = [word for word in self._sharing.messages if word not in ("rsm", "ssm")]
        if unknown or self._sharing.ssm_period_ms < 1 or self._sharing.ssm_period_ms % PERIOD_MS:
            raise ConfigError(
                say(
                    "roadside unit '{name}' shares {messages}, SSM every {ssm_period_ms} ms; expected 'rsm', 'ssm' and a "
                    "multiple of {period_ms} ms",
                    name=name, messages=list(self._sharing.messages), ssm_period_ms=self._sharing.ssm_period_ms,
                    period_ms=PERIOD_MS,
                )
            )  # fmt: skip
        self._ssm_due_ns = 0
        self._map_due_ns = 0

    @property
    def name(self) -> str:
        """Stable name."""
        return self._name

    @property
    def period_ticks(self) -> int:
        """Call period in base ticks."""
        return self._period_ticks

    @property
    def controllers(self) -> Mapping[int, Controller | Cabinet]:
        """Controllers by node id."""
        return {node.node_id: node.controller for node in self._nodes}

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """Take in requests and readings, step the signals, send what is due."""
        out = Outbox()
        t_ns = now.t_ns
        for received in inbox.messages:
            if received.topic == "v2x/vir" and isinstance(received.message, VehicleIntention):
                self._take_request(t_ns, received.message, out)
            elif received.topic in ("v2x/rsm", "v2x/ssm") and isinstance(
                received.message, (RoadsideSafety, SensorSharing)
            ):
                self._perception.hear(received.message)
        has_changed = False
        for node in self._nodes:
            has_changed |= self._step(node, t_ns, inbox, out)
        if has_changed:
            light = np.concatenate([node.light for node in self._nodes if node.light is not None])
            out.signals = SignalCommand(t_ns=t_ns, group=self._group, light=light)
        if t_ns >= self._map_due_ns:
            self._map_due_ns = t_ns + MAP_EVERY_NS
            for node in self._nodes:
                out.transmissions.append(Transmission("v2x/map", replace(node.map, t_ns=t_ns)))
        rsm = self._perception.observe(t_ns, inbox.readings)
        if rsm is not None:
            self._share(t_ns, rsm, out)
        return out

    def _share(self, t_ns: int, rsm: RoadsideSafety, out: Outbox) -> None:
        """Say what is seen in the messages that the scene wants."""
        sharing = self._sharing
        if "rsm" in sharing.messages:
            out.transmissions.append(Transmission("v2x/rsm", rsm))
        if "ssm" in sharing.messages and t_ns >= self._ssm_due_ns:
            self._ssm_due_ns = t_ns + sharing.ssm_period_ms * NS_PER_MS
            ssm = self._perception.share(rsm, self._height_m, sharing.region)
            out.transmissions.append(Transmission("v2x/ssm", ssm))

    def _step(self, node: _Node, t_ns: int, inbox: Inbox, out: Outbox) -> bool:
        """Step one junction; True when one of its lights has changed."""
        node.wiring.take(inbox.readings)
        light = node.controller.step(
            t_ns, node.wiring.occupied, node.wiring.pressed, node.requests, node.wiring.has_detector
        )
        node.requests = []
        for answer in node.controller.take_answers():
            self._tell(node, t_ns, answer, out)
        spat = Spat(
            t_ns=t_ns,
            node_id=node.node_id,
            name=node.name,
            phases=node.phases(),
            is_priority_active=node.controller.grant is not None,
        )
        out.transmissions.append(Transmission("v2x/spat", spat))
        has_changed = light is not node.light
        node.light = light
        return has_changed

    def _take_request(self, t_ns: int, vir: VehicleIntention, out: Outbox) -> None:
        """A VIR for one of our junctions becomes a request; one that names no movement of ours is refused."""
        node = next((n for n in self._nodes if n.node_id == vir.node_id), None)
        if node is None:
            return
        phase = vir.phase_id or node.movement.get((vir.from_lane, vir.to_lane), 0)
        group = node.local.get(phase)
        if group is None or node.controller.timing.layout.is_pedestrian[group]:
            reason = f"no vehicle signal group {phase} here"
            out.transmissions.append(
                Transmission(
                    "v2x/rsc",
                    RoadsideCoordination(
                        t_ns=t_ns,
                        node_id=node.node_id,
                        station_id=vir.station_id,
                        request_id=vir.request_id,
                        status=RequestStatus.REJECTED,
                        phase_id=vir.phase_id,
                        until_ns=t_ns,
                        reason=reason,
                    ),
                )
            )
            return
        node.requests.append(
            PriorityRequest(
                station_id=vir.station_id,
                request_id=vir.request_id,
                group=group,
                eta_ns=vir.eta_ns,
                lateness_s=vir.lateness_s,
                is_cancel=vir.is_cancel,
            )
        )

    def _tell(self, node: _Node, t_ns: int, answer: Answer, out: Outbox) -> None:
        """Send an answer as RSC and note what was decided."""
        out.transmissions.append(
            Transmission(
                "v2x/rsc",
                RoadsideCoordination(
                    t_ns=t_ns,
                    node_id=node.node_id,
                    station_id=answer.station_id,
                    request_id=answer.request_id,
                    status=answer.status,
                    phase_id=node.phase_id[answer.group],
                    # A stage that ended before the run began has no stamp on the wire.
                    until_ns=max(answer.until_ns, 0),
                    reason=answer.reason,
                ),
            )
        )
        label = f"priority/{node.name}/{answer.station_id}/{answer.status.name.lower()}"
        out.notes.append((label, answer.until_ns / 1e9))
