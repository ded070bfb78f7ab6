"""What a scene file may say: map, vehicles, roadside units, signals, demand, walkers, environment, radio, record, criteria.

Frozen pydantic models, unknown keys refused. Sections that configure another room (`onboard`, `signals`, `sensors`, `radio`) stay
plain tables here, because rooms do not import each other; `sim.config` validates them with the room's own model and
reports errors under the same key path. SI units; `t = 0` is the start of the run.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from protocols.sentence import say
from scenarios.fault_spec import FaultSpec
from scenarios.mistakes import LANE, NAME, TIME

Table = dict[str, JsonValue]
Name = Annotated[str, Field(pattern=NAME)]
Departures = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(max_length=100_000)]
LaneKey = Annotated[str, Field(pattern=LANE, description="road/section/lane")]


class Spec(BaseModel):
    """Base: frozen, nothing unknown, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)


class MapSpec(Spec):
    """The road file, relative to the scene file or to the library's roads."""

    file: str


class StopSpec(Spec):
    """One station of a timetable."""

    station: str  # station name as in the road file; with several rows of that name the one on the route is taken
    arrive_s: float | None = Field(default=None, ge=0)
    depart_s: float | None = Field(default=None, ge=0)  # never leaves earlier
    min_dwell_s: float = Field(default=8.0, ge=0, le=600)
    on_call: bool = False


class PassengerSpec(Spec):
    """Who waits where: a Poisson stream per station, and how long each takes (facts: TCQSM dwell model)."""

    boarding_per_hour: float = Field(default=60.0, ge=0, le=10_000)
    alighting_share: float = Field(default=0.2, ge=0, le=1)
    door_dead_time_s: float = Field(default=4.0, ge=0, le=30)
    boarding_s: float = Field(default=1.6, gt=0, le=30)  # per person and channel
    alighting_s: float = Field(default=1.2, gt=0, le=30)
    channels: int = Field(default=4, ge=1, le=12)
    capacity: int = Field(default=120, ge=1, le=400)


class VehicleSpec(Spec):
    """An automated vehicle under test."""

    name: Name
    type: str  # key of the vehicle catalogue: articulated_bus_18m, bus_12m, shuttle, car
    start_lane: LaneKey
    start_s_m: float = Field(default=0.0, ge=0)
    destination_lane: LaneKey
    destination_s_m: float | None = Field(default=None, ge=0)  # None: end of the lane minus 5 m
    depart_s: float = Field(default=0.0, ge=0)
    speed_mps: float = Field(default=0.0, ge=0, le=60)
    stops: tuple[StopSpec, ...] = ()
    passengers: PassengerSpec | None = None
    arrive_by_s: float | None = Field(default=None, gt=0)
    sensors: Table = {}  # sim.sensors
    onboard: Table = {}  # vehicle.onboard, over the scene's [onboard]


class RoadsideSpec(Spec):
    """A roadside unit; it runs the signals of its junctions."""

    name: Name
    junctions: tuple[str, ...] = Field(min_length=1)  # ids or names from the road file
    x_m: float | None = None  # default: the first junction's centre
    y_m: float | None = None
    sensors: Table = {}
    share: tuple[Literal["rsm", "ssm"], ...] = ("rsm",)  # messages that say what it sees
    ssm_period_ms: int = Field(default=100, ge=100, le=10_000, multiple_of=100)

    @model_validator(mode="after")
    def _share_once(self) -> RoadsideSpec:
        if len(set(self.share)) != len(self.share):
            raise ValueError(say("`share` names a message twice"))
        return self


class FlowSpec(Spec):
    """Vehicles per hour from lanes to lanes. Lanes: keys, or `road:<id>` for every fitting lane at the road's entry or exit."""

    name: Name
    origins: tuple[str, ...] = Field(min_length=1)
    destinations: dict[str, float] = Field(min_length=1)  # lane or road -> weight
    vehicles_per_hour: float = Field(gt=0, le=20_000)
    mix: dict[str, float] = Field(default_factory=lambda: {"car": 0.9, "van": 0.07, "truck": 0.03})
    start_s: float = Field(default=0.0, ge=0)
    end_s: float | None = Field(default=None, gt=0)
    process: Literal["poisson", "even"] = "poisson"
    stops: tuple[str, ...] = ()  # station names for background buses
    dwell_s: float = Field(default=20.0, ge=0, le=600)
    only: Departures | None = None  # which of its vehicles come, in order of departure; None: all


class WalkerFlowSpec(Spec):
    """Pedestrians or cyclists over crossings, or along a free path."""

    name: Name
    kind: Literal["pedestrian", "bicycle"] = "pedestrian"
    per_hour: float = Field(gt=0, le=20_000)
    crossings: tuple[str, ...] = ()  # crossing ids; both directions
    path: tuple[tuple[float, float], ...] = ()  # world metres
    start_s: float = Field(default=0.0, ge=0)
    end_s: float | None = Field(default=None, gt=0)
    only: Departures | None = None  # which of its people come, in order of departure; None: all

    @model_validator(mode="after")
    def _one_place(self) -> WalkerFlowSpec:
        if bool(self.crossings) == bool(self.path):
            raise ValueError(say("give either `crossings` or `path`, not both and not neither"))
        if self.path and len(self.path) < 2:
            raise ValueError(say("`path` needs at least two points"))
        return self


class RecordSpec(Spec):
    """What the log keeps. The digest covers everything at every tick in any case."""

    truth_period_ms: int = Field(default=100, gt=0, le=10_000)
    inbox: tuple[str, ...] = ()  # units whose inboxes are kept, such as "rsu/J1"; "*": all
    foxglove_period_ms: int = Field(default=500, ge=0, le=10_000)
    """The world as public viewers draw it; rounded up to a multiple of the above, 0: not at all."""


class DemandSpec(Spec):
    """Background traffic."""

    flows: tuple[FlowSpec, ...] = ()
    walkers: tuple[WalkerFlowSpec, ...] = ()
    equipped_share: float = Field(
        default=1.0, ge=0, le=1
    )  # background vehicles with an on-board unit


class RtcmSpec(Spec):
    """GNSS corrections: one epoch every period, none in [from, to) of an outage."""

    period_s: float = Field(default=1.0, gt=0, le=60)
    outage: tuple[tuple[float, float], ...] = ()  # seconds


class SkySpec(Spec):
    """Where satellites are hidden: a polygon in world metres, or whole roads by id."""

    kind: Literal["canyon", "tunnel"]
    polygon: tuple[tuple[float, float], ...] = ()
    roads: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_place(self) -> SkySpec:
        if bool(self.polygon) == bool(self.roads):
            raise ValueError(say("give either `polygon` or `roads`, not both and not neither"))
        if self.polygon and len(self.polygon) < 3:
            raise ValueError(say("`polygon` needs at least three points"))
        return self


class EnvironmentSpec(Spec):
    """Weather, light, sky and corrections; they reach every sensor model. Default: a clear day."""

    light: Literal["day", "dusk", "night"] = "day"
    sun_azimuth_rad: float = Field(default=0.0, ge=-6.3, le=6.3)  # counter-clockwise from east
    sun_elevation_rad: float = Field(default=1.0, ge=-1.5708, le=1.5708)
    rain_mmph: float = Field(default=0.0, ge=0, le=200)
    fog_visibility_m: float | None = Field(default=None, ge=10, le=100_000)  # None: clear
    rtcm: RtcmSpec = RtcmSpec()
    sky: tuple[SkySpec, ...] = ()


class BusSpec(Spec):
    """Units in other processes (`icv run --bus zmq`): who joins from outside, and the wall time units get."""

    external: tuple[str, ...] = ()  # unit names, such as "rsu/J1", that the run waits for
    join_s: float = Field(default=60.0, gt=0, le=86_400)
    first_answer_s: float = Field(default=120.0, gt=0, le=3_600)  # a unit may compile its kernels
    answer_s: float = Field(default=5.0, gt=0, le=3_600)


class CarlaSpec(Spec):
    """What a run on a CARLA server (`icv run --backend carla`) does differently; without one it says nothing."""

    sensors: tuple[Literal["gnss", "imu", "lidar"], ...] = ()  # of vehicles, from the server's own


class SceneSpec(Spec):
    """One scene."""

    schema_version: Literal[1] = 1
    name: Name
    title: str = ""
    title_zh: str = ""
    description: str = ""
    duration_s: float = Field(gt=0, le=86_400)
    tick_ms: int = Field(default=10, ge=1, le=100)
    seed: int = Field(default=1, ge=0, lt=2**63)
    epoch_utc: str = Field(default="2026-01-01T00:00:00Z", pattern=TIME)
    map: MapSpec
    vehicles: tuple[VehicleSpec, ...] = ()
    roadside: tuple[RoadsideSpec, ...] = ()
    signals: tuple[Table, ...] = ()  # roadside.signals.config.SignalPlan, one per junction
    default_signals: bool = (
        True  # derive a plan for signalised junctions that `signals` does not name
    )
    demand: DemandSpec = DemandSpec()
    environment: EnvironmentSpec = EnvironmentSpec()
    radio: Table = {"model": "ideal"}
    bus: BusSpec = BusSpec()
    carla: CarlaSpec = CarlaSpec()
    onboard: Table = {}
    faults: tuple[FaultSpec, ...] = ()
    record: RecordSpec = RecordSpec()
    criteria: tuple[Table, ...] = ()  # scenarios.criteria, checked in load

    @model_validator(mode="after")
    def _names_are_unique(self) -> SceneSpec:
        for what, names in (
            ("vehicles", [v.name for v in self.vehicles]),
            ("roadside", [r.name for r in self.roadside]),
            ("demand.flows", [f.name for f in self.demand.flows]),
            ("demand.walkers", [w.name for w in self.demand.walkers]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(
                    say("{what}: name '{name}' is used twice; names must differ", what=what, name=twice[0])
                )  # fmt: skip
        return self


def schema() -> dict[str, Any]:
    """JSON schema of a scene file, for editors."""
    return SceneSpec.model_json_schema()
