"""Puts a run together: the only module that knows concrete units, sensors and channels.

`run_scene` takes a checked scene and gives log, verdict and numbers; `replay_log` does it again from a log's header and compares.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from protocols.bus import Bus, InProcessBus, Order
from protocols.errors import ConfigError
from protocols.judging import RunFacts
from protocols.participant import Participant
from protocols.roads.matching import RoadIndex, build_index
from protocols.roads.network import U8
from protocols.sentence import say
from protocols.simtime import NS_PER_S, ticks
from protocols.zmq_net import SERVER_NAME, Keys, load_keys
from roadside.unit import RoadsideUnit
from scenarios.criteria import Judge, RearSection
from scenarios.formats.opendrive import read
from scenarios.load import find_map
from scenarios.spec import SceneSpec
from scenarios.verdict import Outcome, Verdict
from sim.bodies import Bodies, OwnBodies
from sim.carla.backend.session import CarlaTarget
from sim.carrier import Carrier, CarrierBus
from sim.config import Resolved, ResolvedVehicle, resolve, resolved_json
from sim.faults import Faults, make_faults
from sim.log.header import RunHeader
from sim.log.replay import ReplayCheck
from sim.log.silent import SilentLog
from sim.log.writer import LogWriter
from sim.loop import Antenna, Loop, Port
from sim.pace import RealTime
from sim.passengers import PassengerParams, make_cabin
from sim.picture import PictureCollector
from sim.placing import place_body
from sim.ports import FleetPort, RoadsidePort, Served, VehiclePort
from sim.radio.air import Air
from sim.radio.channel import make_channel
from sim.referee import Referee
from sim.report.data import RunPicture
from sim.report.result import as_table, versions, write_result
from sim.route_line import build_route_line
from sim.rows import RowAllocator
from sim.signal_watch import SignalWatch
from sim.state import empty_states, empty_statics
from sim.tap import Tap
from sim.timing import Clock, TimedUnit, laps, totals
from sim.traffic import Traffic
from sim.unit_replay.listening import EVERYBODY, Listen, ListeningBus, into
from sim.units import Units
from sim.versions import commit
from sim.whatif.apply import Edited
from sim.world import HeadlessWorld, UnitVehicle

CAPACITY = 4096
RSU_STATION = 900_000_000  # radio identities of roadside units start here, above every actor id
RSU_HEIGHT_M = 6.0
BACKEND, CARLA = (
    "backend",
    "carla",
)  # in the header's versions: whose physics drove, where it was not ours
VEHICLE_ANTENNA_M = 0.1  # above the roof


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one run leaves behind."""

    verdict: Verdict
    facts: RunFacts
    log_path: Path
    result_path: Path
    digest: str
    picture: RunPicture | None
    timing: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What may differ between two runs of the same scene without changing a single byte of the digest; `edits` alone may."""

    order: Order | None = None  # in which order units of a tick are called
    record: bool = True  # False: digests only, for measuring what recording costs
    picture: bool = True
    cache_dir: Path | None = None
    check: ReplayCheck | None = None  # a recording that the run must equal
    clock: Clock = time.perf_counter_ns
    carrier: Carrier | None = None  # units in other processes; None: in this one
    keys: Path | None = None  # folder of CURVE keys, for a tap that others can reach
    tap: str = ""  # address on which the log's records are published
    carla: CarlaTarget | None = None  # whose physics drives; None: ours
    realtime: bool = False  # hold the run back to wall time
    listen: Listen | None = None  # hears what units are called with
    edits: Edited | None = None  # messages lost, late, wrong or invented: only these change the run


def run_scene(
    spec: SceneSpec,
    base: Path,
    out: Path,
    *,
    progress: Callable[[float], None] | None = None,
    options: RunOptions | None = None,
) -> RunOutcome:
    """Run `spec`; `base` is the folder its paths start from, `out` where log and result go."""
    options = options or RunOptions()
    out.mkdir(parents=True, exist_ok=True)
    started_ns, started_cpu = options.clock(), time.process_time()
    map_path = find_map(spec, base)
    net = read(map_path, cache_dir=options.cache_dir)
    resolved = resolve(spec, base, net)
    built = _Builder(resolved, options)
    num_ticks = round(spec.duration_s * 1000.0 / spec.tick_ms)
    log_path = out / "run.mcap"
    header = RunHeader(
        scenario=spec.name,
        config_json=resolved_json(spec, map_path),
        seed=spec.seed,
        map_digest=net.digest,
        tick_ns=spec.tick_ms * 1_000_000,
        commit=commit(),
        versions=versions()
        | ({} if options.carla is None else {BACKEND: CARLA})
        | ({} if options.edits is None else options.edits.mark()),
        epoch_ns=_epoch_ns(spec.epoch_utc),
    )
    try:
        loop = built.loop(header)  # whatever is wrong with the scene shows before a log is begun
    except ValueError as error:  # a period that is no whole number of ticks
        raise ConfigError(
            say("{scene}, tick_ms = {tick_ms}: {why!s}", scene=spec.name, tick_ms=spec.tick_ms, why=error)
        ) from error  # fmt: skip
    log = loop.log = built.log(log_path, header) if options.record else SilentLog()
    if spec.record.inbox and isinstance(log, LogWriter):
        loop.bus = ListeningBus(loop.bus, into(log, spec.record.inbox))
    outcome = Outcome.INFRASTRUCTURE_ERROR.value
    try:
        built.open(loop, out)
        ready_ns, ready_cpu = options.clock(), time.process_time()
        last = loop.run(num_ticks, progress)
        facts = built.finish(loop)
        verdict = loop.judge.finish(facts)
        outcome = verdict.outcome.value
        ended_ns, ended_cpu = options.clock(), time.process_time()
        digest = f"{last:016x}"
        timing = built.timing(spec.duration_s, started_ns, ready_ns, ended_ns, loop)
        timing |= {"cpu_s": ended_cpu - started_cpu, "loop_cpu_s": ended_cpu - ready_cpu}
        table = as_table(
            spec, verdict, facts, digest=digest, map_digest=net.digest, log=log_path.name
        )
        log.result(num_ticks * header.tick_ns, json.dumps(table, sort_keys=True))
        log.timing(num_ticks * header.tick_ns, timing)
    finally:
        loop.close_traces()
        log.close()
        built.close(loop, outcome)
    table["timing"] = timing
    result_path = write_result(out / "result.json", table)
    picture = built.picture(loop, verdict, digest) if options.picture else None
    return RunOutcome(verdict, facts, log_path, result_path, digest, picture, timing)


def make_judge(resolved: Resolved, actors: Mapping[str, int]) -> Judge:
    """The judge of a scene's criteria; `actors`: automated vehicle -> actor id."""
    rear = {
        item.spec.name: RearSection(item.params.hitch_x_m, item.params.rear_wheelbase_m)
        for item in resolved.vehicles
        if item.params.is_articulated
    }
    return Judge(resolved.spec, actors, rear=rear, lane_key=resolved.net.lane_key)


def _epoch_ns(text: str) -> int:
    try:
        stamp = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        stamp = None
    # Without an offset the answer would depend on the machine's time zone; log stamps cannot be before 1970.
    if stamp is None or stamp.tzinfo is None or not 0 <= stamp.timestamp() < 9e9:
        raise ConfigError(
            say("epoch_utc: found {text!r}, expected a time from 1970 on such as '2026-05-18T00:30:00Z'.", text=text)
        )  # fmt: skip
    return int(stamp.timestamp()) * NS_PER_S


class _Builder:
    """Holds what is being put together."""

    def __init__(self, resolved: Resolved, options: RunOptions) -> None:
        self.resolved = resolved
        self.options = options
        spec, net = resolved.spec, resolved.net
        self.index: RoadIndex = build_index(net)
        self.rows = RowAllocator(CAPACITY)
        self.states = empty_states(CAPACITY)
        self.statics = empty_statics(CAPACITY)
        self.facts = RunFacts(duration_s=spec.duration_s)
        self.timed: list[TimedUnit] = []
        self.rsus: list[tuple[str, float, float]] = []
        self.ports: dict[str, Port] = {}
        self.antennas: dict[str, Antenna] = {}
        self.units: list[Participant] = []
        self.plans = Units(resolved)
        self.tap: Tap | None = None
        self.served: Mapping[str, Served] = {}  # by vehicle: sensors that are a CARLA server's
        self.carried: CarrierBus | None = None  # None: units are in this process

    def loop(self, header: RunHeader) -> Loop:
        """Everything wired."""
        resolved, spec, net = self.resolved, self.resolved.spec, self.resolved.net
        vehicles = tuple(
            self._vehicle(item, f"vehicles.{k}") for k, item in enumerate(resolved.vehicles)
        )
        traffic = Traffic(net, resolved.traffic, spec.seed, self.states, self.statics, self.rows)
        for (
            vehicle
        ) in vehicles:  # as an indicator shows it: only the lanes it will take are kept clear
            traffic.announce(vehicle.row, tuple(int(lane) for lane in vehicle.line.lanes))
        light = np.zeros(max(len(net.groups.id), 1), dtype=np.uint8)
        world = HeadlessWorld(
            net, self.index, self.states, self.statics, traffic, vehicles,
            spec.tick_ms * 1_000_000, light, np.zeros(light.size), self._bodies(vehicles, light),
        )  # fmt: skip
        for index, vehicle in enumerate(vehicles):
            self._onboard(world, vehicle, index)
        self._roadside(world)
        self._fleet(world)
        bus = self._bus(header)
        actors = {v.name: v.actor for v in vehicles}
        faults = make_faults(spec, self.plans.makers, {v.unit: v.actor for v in vehicles}, net)
        self.facts.vehicles = dict(actors)
        edits = self.options.edits
        if edits is not None:
            edits.check(self.plans.makers, self.antennas)
        return Loop(
            world=world,
            bus=self._heard(bus if faults is None else faults.bus(bus)),
            air=Air(
                make_channel(resolved.radio, spec.seed), world.tick_ns,
                None if faults is None else faults.messages.strike,
                None if edits is None else edits.edit,
            ),
            ports=_struck(self.ports, faults),
            antennas=dict(sorted(self.antennas.items())),
            due={
                **{v.unit: ("v2x/bsm",) for v in vehicles},
                **{f"rsu/{unit.name}": ("v2x/map", "v2x/spat", *(f"v2x/{word}" for word in unit.share)) for unit in spec.roadside},
            },
            log=SilentLog(),
            judge=make_judge(resolved, actors),
            picture=PictureCollector(net, vehicles) if self.options.picture else None,
            watch=SignalWatch(net, tuple(resolved.plans.values())),
            truth_period_ticks=ticks(
                spec.record.truth_period_ms, spec.tick_ms, "record.truth_period_ms"
            ),
            facts=self.facts,
            check=self.options.check,
            lap=(lambda: laps(self.timed)) if self.carried is None else None,
            faults=faults,
            edits=edits,
        )  # fmt: skip

    def _bodies(self, vehicles: Sequence[UnitVehicle], light: U8) -> Bodies:
        rows, params = [v.row for v in vehicles], [v.params for v in vehicles]
        if self.options.carla is None:
            return OwnBodies(self.states, rows, params)
        from sim.carla.backend.bodies import CarlaBodies  # needs the carla package, an extra

        bodies = CarlaBodies(
            self.options.carla, self.resolved, self.states, self.statics, vehicles, light
        )
        self.served = bodies.sensors.by_name
        return bodies

    def _heard(self, bus: Bus) -> Bus:
        kept = self.resolved.spec.record.inbox
        unknown = [name for name in kept if name not in (*self.plans.makers, EVERYBODY)]
        if unknown:
            raise ConfigError(
                say(
                    "record.inbox: no unit '{unit}'; units are {names}, all of them '{everybody}'.",
                    unit=unknown[0], names=", ".join(sorted(self.plans.makers)), everybody=EVERYBODY,
                )
            )  # fmt: skip
        return bus if self.options.listen is None else ListeningBus(bus, self.options.listen)

    def _bus(self, header: RunHeader) -> Bus:
        options, carrier = self.options, self.options.carrier
        external = self.resolved.spec.bus.external
        unknown = [name for name in external if name not in self.plans.makers]
        if unknown:
            raise ConfigError(
                say("bus.external: no unit '{unit}'; units are {names}.", unit=unknown[0], names=", ".join(sorted(self.plans.makers)))
            )  # fmt: skip
        if carrier is not None:
            periods = {unit.name: unit.period_ticks for unit in self.units}
            self.carried = CarrierBus(carrier, periods, self.resolved.spec, header, options.clock)
            return self.carried
        if external:
            raise ConfigError(
                say("bus.external = {names}: these units join from outside, which needs `icv run --bus zmq`.", names=list(external))
            )  # fmt: skip
        makers = {
            timed.name: lambda timed=timed: timed.renew(self.plans.build(timed.name))
            for timed in self.timed
        }
        return InProcessBus(self.units, options.order, makers)

    def log(self, path: Path, header: RunHeader) -> LogWriter:
        """The log, with the world for public viewers where the scene wants that."""
        log = LogWriter(path, header)
        record = self.resolved.spec.record
        if record.foxglove_period_ms:
            periods = -(-record.foxglove_period_ms // record.truth_period_ms)
            from sim.log.foxglove import PublicScene  # takes 0.1 s to import

            log.public = PublicScene(
                self.resolved.net,
                header.epoch_ns,
                periods * record.truth_period_ms * 1_000_000,
                self.facts.vehicles,
            )
        return log

    def open(self, loop: Loop, out: Path) -> None:
        """What needs the world outside: the tap, real time, units that have to join."""
        if self.options.tap and isinstance(loop.log, LogWriter):
            self.tap = Tap(self.options.tap, self._keys())
            loop.log.publish_to(self.tap.publish)
        if self.options.realtime:
            loop.pace = RealTime(self.options.clock, time.sleep)
        if self.carried is not None:
            self.carried.open(out / "units")

    def _keys(self) -> Keys | None:
        folder = self.options.keys
        return load_keys(folder, SERVER_NAME) if folder is not None else None

    def close(self, loop: Loop, outcome: str) -> None:
        """Lets go of all that."""
        if self.carried is not None:
            self.carried.end(outcome)
        loop.bus.close()
        loop.world.bodies.close()
        if self.tap is not None:
            self.tap.close()

    # vehicles -----------------------------------------------------------------------------------------------------

    def _vehicle(self, item: ResolvedVehicle, where: str) -> UnitVehicle:
        spec, params, net = item.spec, item.params, self.resolved.net
        line = build_route_line(net, spec, params.user_class, where)
        taken = self.rows.take()
        assert taken is not None, "automated vehicles take the first rows"
        row, actor = taken
        place_body(net, self.states, self.statics, row, actor, item, line)
        referee = Referee(
            net, spec.name, actor, row, params.user_class, line, spec.stops, spec.depart_s
        )
        cabin = None
        if spec.passengers is not None and spec.stops:
            p = spec.passengers
            stations = [
                (place.index, stop.on_call)
                for place, stop in zip(line.stations, spec.stops, strict=True)
            ]
            passengers = PassengerParams(
                p.boarding_per_hour, p.alighting_share, p.door_dead_time_s, p.boarding_s,
                p.alighting_s, p.channels, p.capacity,
            )  # fmt: skip
            cabin = make_cabin(spec.name, passengers, stations, self.resolved.spec.seed)
        return UnitVehicle(spec.name, f"obu/{spec.name}", row, actor, params, line, referee, cabin)

    def _onboard(self, world: HeadlessWorld, vehicle: UnitVehicle, index: int) -> None:
        item = self.resolved.vehicles[index]
        self._add(self.plans.onboard(item, index, vehicle.line))
        self.antennas[vehicle.unit] = Antenna(
            vehicle.actor, item.params.height_m + VEHICLE_ANTENNA_M, vehicle.row
        )
        self.ports[vehicle.unit] = VehiclePort(
            world, vehicle, item.spec.sensors, self.resolved.spec, self.served.get(vehicle.name)
        )

    def _add(self, unit: Participant) -> None:
        timed = TimedUnit(unit, self.options.clock)
        self.timed.append(timed)
        self.units.append(timed)

    # roadside ---------------------------------------------------------------------------------------------------

    def _roadside(self, world: HeadlessWorld) -> None:
        resolved, spec = self.resolved, self.resolved.spec
        for name, k in self.plans.roadside.items():
            unit = self.plans.build(name)
            assert isinstance(unit, RoadsideUnit)
            self._add(unit)
            row = spec.roadside[k]
            self.rsus.append((row.name, unit.x_m, unit.y_m))
            self.antennas[name] = Antenna(RSU_STATION + k, RSU_HEIGHT_M, -1, unit.x_m, unit.y_m)
            self.ports[name] = RoadsidePort(
                world, row.name, row.sensors, (unit.x_m, unit.y_m), resolved.roadside[k], spec
            )
        for name in self.plans.makers:
            if name.startswith("rsu/") and name not in self.plans.roadside:
                self._add(self.plans.build(name))
        for name, junction in self.plans.controllers.items():
            self.ports[name] = RoadsidePort(world, name, None, (0.0, 0.0), (junction,), spec)

    def _fleet(self, world: HeadlessWorld) -> None:
        if "fleet" in self.plans.makers:
            self._add(self.plans.build("fleet"))
            self.ports["fleet"] = FleetPort(world, self.resolved.spec)

    # the end --------------------------------------------------------------------------------------------------------

    def finish(self, loop: Loop) -> RunFacts:
        """Numbers that are known at the end."""
        world, facts = loop.world, self.facts
        loop.close_traces()
        for vehicle in world.vehicles:
            referee = vehicle.referee
            if referee.arrived_s is not None:
                facts.arrived_s[vehicle.name] = referee.arrived_s
            facts.signal_delay_s[vehicle.name] = referee.signal_delay_s
        world.summarise(facts)
        return facts

    def timing(
        self, duration_s: float, started_ns: int, ready_ns: int, ended_ns: int, loop: Loop
    ) -> dict[str, float]:
        """Wall-clock figures; never compared."""
        wall_s = (ended_ns - ready_ns) / NS_PER_S
        out = {
            "setup_s": (ready_ns - started_ns) / NS_PER_S,
            "wall_s": wall_s,
            "realtime_factor": duration_s / wall_s if wall_s > 0 else 0.0,
        }
        if loop.pace is not None:
            out |= loop.pace.figures()
        if self.carried is not None:
            return out | self.carried.figures()
        return out | totals(self.timed)

    def picture(self, loop: Loop, verdict: Verdict, digest: str) -> RunPicture | None:
        """What run.png is drawn from."""
        if loop.picture is None:
            return None
        spec = self.resolved.spec
        return loop.picture.finish(
            title=spec.title or spec.name,
            outcome=verdict.outcome.value,
            sentence=verdict.sentence,
            subtitle=f"seed {spec.seed}, digest {digest}",
            duration_s=spec.duration_s,
            rsus=tuple(self.rsus),
            states=self.states,
            statics=self.statics,
            arrive_by_s={v.name: v.arrive_by_s for v in spec.vehicles},
        )


def _struck(ports: Mapping[str, Port], faults: Faults | None) -> Mapping[str, Port]:
    """The ports with their sensors' faults."""
    if faults is None:
        return ports
    return {name: faults.port(name, port) for name, port in ports.items()}
