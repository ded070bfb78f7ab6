"""A table and a plant without a server: what the tests of the plant share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.plant import Contacts, Plant
from sim.carla.server.table import Floats, Table
from sim.carla.wire import structs

NO_WALLS: Floats = np.zeros((0, 9))


@dataclass(frozen=True, slots=True)
class Body:
    """As a blueprint says it; by default a car of 4.8 m, 1.9 m, 1.5 m and 1500 kg."""

    extent: tuple[float, float, float] = (2.4, 0.95, 0.75)
    centre: tuple[float, float, float] = (0.0, 0.0, 0.75)
    wheels: int = 4
    mass_kg: float = 1500.0
    base_type: str = "car"
    max_speed_mps: float = 0.0
    wheelbase_m: float = 2.8
    wheel_radius_m: float = 0.34


CAR = Body()
WALKER = Body((0.2, 0.2, 0.93), (0.0, 0.0, 0.0), 0, 75.0, "", 0.0, 0.0, 0.0)


class PlantWorld:
    """An endless plane z = slope_x x + slope_y y, and rows numbered in the order of spawning."""

    def __init__(self, slope_x: float = 0.0, slope_y: float = 0.0, dt_s: float = 0.05) -> None:
        self.table = Table()
        self.plant = Plant(self.table)
        self.slope = (slope_x, slope_y)
        self.dt_s = dt_s
        self.substep_s: float | None = None
        self.statics = NO_WALLS
        self.contacts: Contacts = np.zeros(0, np.void)

    @property
    def f(self) -> Floats:
        return self.table.f

    def spawn(
        self,
        x: float = 0.0,
        y: float = 0.0,
        yaw: float = 0.0,
        z: float | None = None,
        body: Body = CAR,
        kind: int = c.VEHICLE,
        **changes: float,
    ) -> int:
        """On the ground unless z says otherwise; `changes` are fields of the body."""
        body = replace(body, **changes)  # type: ignore[arg-type]
        row = self.table.add(int(self.table.i[:, c.ID].max()) + 1, kind)
        f, i = self.table.f, self.table.i
        ground = self.slope[0] * x + self.slope[1] * y
        if z is None:
            z = ground + body.extent[2] - body.centre[2]
        f[row, c.X : c.ROLL + 1] = (x, y, z, 0.0, yaw, 0.0)
        f[row, c.MASS] = body.mass_kg
        f[row, c.EXT_X : c.EXT_Z + 1] = body.extent
        f[row, c.BOX_X : c.BOX_Z + 1] = body.centre
        i[row, [c.SIMULATE, c.GRAVITY, c.COLLIDES]] = 1
        self.plant.add(row, body)
        return row

    def plant_of_a_car(self) -> structs.VehiclePhysicsControl:
        """Physics of a car that stands at the origin."""
        return self.plant.physics_control(self.spawn())

    def walker(self, x: float, y: float, **more: float) -> int:
        return self.spawn(x, y, body=WALKER, kind=c.WALKER, **more)

    def control(self, row: int, **values: float) -> None:
        """Columns by name: throttle=1, reverse=1, ..."""
        for name, value in values.items():
            column = getattr(c, name.upper())
            if name in ("throttle", "steer", "brake"):
                self.f[row, column] = value
            else:
                self.table.i[row, column] = int(value)

    def push(self, row: int, vx: float, vy: float = 0.0, vz: float = 0.0) -> None:
        """A target velocity."""
        self.f[row, c.TV_X : c.TV_Z + 1] = (vx, vy, vz)
        self.table.i[row, c.TV_ON] = 1

    def step(self, times: int = 1) -> None:
        f, (sx, sy) = self.table.f, self.slope
        size = np.sqrt(1.0 + sx * sx + sy * sy)
        for _ in range(times):
            f[:, c.GROUND_Z] = sx * f[:, c.X] + sy * f[:, c.Y]
            f[:, c.GROUND_NX], f[:, c.GROUND_NY] = -sx / size, -sy / size
            f[:, c.GROUND_NZ] = 1.0 / size
            self.contacts = self.plant.step(self.table, self.statics, self.dt_s, self.substep_s)

    def at(self, row: int, *columns: int) -> Floats:
        """A copy of some columns of a row."""
        return self.f[row, list(columns)].copy()


def walls(*boxes: Sequence[float]) -> Floats:
    """Static boxes from centre x, y, z, yaw in degrees, half sizes."""
    return np.array([(*box, 4, k + 1) for k, box in enumerate(boxes)], dtype=np.float64)
