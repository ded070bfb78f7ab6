"""The plant: moves vehicles, walkers and props by one step, and answers what a client asks of a vehicle's physics.

Reads and writes columns of the table only; parameters and memory of every row lie in a matrix of its own. A step is two kernel
calls: everything moves by itself (`_plant_kernels.advance`), then contacts stop and push it (`_contact_kernels.collide`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.carla.server import columns as c
from sim.carla.server.plant import _contact_kernels as contact_kernels
from sim.carla.server.plant import _plant_kernels as plant_kernels
from sim.carla.server.plant import layout as p
from sim.carla.server.plant import physics
from sim.carla.server.plant.walls import Walls, build
from sim.carla.server.table import Floats, Ints, Table
from sim.carla.wire import structs

CONTACT = np.dtype(
    [("a_row", "i8"), ("b_row", "i8"), ("impulse", "f8", (3,)), ("first", "?")], align=True
)
"""`a_row` was given the impulse (N s, world), `b_row` its opposite; static box k is the row -1 - k."""
Contacts = npt.NDArray[np.void]

ACKERMANN = structs.AckermannControllerSettings(0.15, 0.0, 0.25, 0.01, 0.0, 0.01)  # CARLA's
LONGEST_PART_S = 0.05  # of a step, where no substep is asked for
MAX_PARTS = 20
SLOWEST_MPS = 0.1  # a slip angle is taken against at least this speed
PAIRS_PER_BODY = 16  # candidates that are kept; beyond them contacts are lost
_NONE: Contacts = np.zeros(0, CONTACT)


class Plant:
    """Physics of one episode. `add` every vehicle, walker and prop once its columns are filled."""

    def __init__(self, table: Table) -> None:
        self.between: Callable[[], None] | None = (
            None  # puts bodies that others move where they are, once `advance` knows where they were
        )
        self._bodies: dict[int, physics.Body] = {}
        self._controls: dict[int, structs.VehiclePhysicsControl] = {}
        self._q: Floats = np.zeros((0, p.WIDTH))
        self._pairs: Ints = np.zeros((0, contact_kernels.PAIR), np.int64)
        self._con: Floats = np.zeros((0, contact_kernels.CONTACT))
        self._num_known = 0
        self._walls: Walls = build(np.zeros((0, 9)))
        self._statics: Floats | None = None
        self._table = table
        self._grow()

    def add(self, row: int, blueprint: physics.Body) -> None:
        """A new body in `row`; mass, half sizes and centre come from the blueprint where their columns are still 0."""
        self._grow()
        self.remove(row)
        f = self._table.f
        q = self._q[row]
        q[:] = 0.0
        if self._table.i[row, c.KIND] != c.PROP and f[row, c.MASS] == 0.0:
            f[row, c.MASS] = blueprint.mass_kg
        if not f[row, c.EXT_X : c.EXT_Z + 1].any():
            f[row, c.EXT_X : c.EXT_Z + 1] = blueprint.extent
            f[row, c.BOX_X : c.BOX_Z + 1] = blueprint.centre
        q[p.GYRATION2] = physics.gyration2(blueprint.extent)
        if self._table.i[row, c.KIND] == c.VEHICLE:
            self._bodies[row] = blueprint
            self._controls[row] = physics.default(blueprint)
            physics.fill(q, self._controls[row], blueprint)
            self.set_ackermann_settings(row, ACKERMANN)

    def remove(self, row: int) -> None:
        """The row's actor is gone; nothing happens where there was none."""
        self._bodies.pop(row, None)
        self._controls.pop(row, None)
        known = self._pairs[: self._num_known, contact_kernels.KNOWN]
        held = self._con[: self._num_known, contact_kernels.HELD]
        kept = (known >> 32 != row) & ((known & 0xFFFFFFFF) - contact_kernels.OFFSET != row)
        num = int(np.count_nonzero(kept))
        known[:num], held[:num] = known[kept], held[kept]
        self._num_known = num

    def step(
        self, table: Table, statics: Floats, dt_s: float, substep_s: float | None = None
    ) -> Contacts:
        """One step of `dt_s`, its vehicle dynamics in parts of at most `substep_s`. GROUND_* have been sampled at the present poses.

        `statics` is read anew when it is another array than last time.
        """
        if table is not self._table or table.capacity != self._q.shape[0]:
            self._table = table
            self._grow()
        if not dt_s > 0.0:
            return _NONE
        if statics is not self._statics:
            self._statics, self._walls = statics, build(statics)
        part = LONGEST_PART_S if substep_s is None or not substep_s > 0.0 else substep_s
        parts = min(max(math.ceil(dt_s / part - 1e-6), 1), MAX_PARTS)
        high = table.high
        plant_kernels.advance(table.f, table.i, self._q, high, dt_s, parts, self._lane)
        if self.between is not None:
            self.between()
        walls = self._walls
        num = contact_kernels.collide(
            table.f, table.i, self._q, high, dt_s, self._box, walls.box, walls.grid, walls.start, walls.entry,
            self._hash, self._pairs, self._con, self._poly, self._num_known,
        )  # fmt: skip
        self._num_known = num
        if num == 0:
            return _NONE
        contacts = np.zeros(num, CONTACT)
        contacts["a_row"] = self._pairs[:num, contact_kernels.A]
        contacts["b_row"] = self._pairs[:num, contact_kernels.B]
        contacts["impulse"][:, :2] = self._con[:num, contact_kernels.JX : contact_kernels.JY + 1]
        contacts["first"] = self._pairs[:num, contact_kernels.FIRST] != 0
        return contacts

    def physics_control(self, row: int) -> structs.VehiclePhysicsControl:
        """Wheels where they are now, in centimetres; tyres as a friction trigger has them."""
        pc = self._control(row)
        f = self._table.f[row]
        trigger = float(f[c.FRICTION])
        turn = _rotation(f[c.PITCH], f[c.YAW], f[c.ROLL])
        wheels = []
        for wheel in pc.wheels:
            at = turn @ (wheel.position.x, wheel.position.y, wheel.position.z)
            at += 100.0 * f[c.X : c.Z + 1]
            friction = wheel.tire_friction
            if trigger != 1.0:
                friction = trigger * plant_kernels.TRIGGER_TYRE
            wheels.append(_with(wheel, tire_friction=friction, position=structs.Vector3D(*at)))
        found: structs.VehiclePhysicsControl = _with(pc, wheels=wheels)
        return found

    def set_physics_control(self, row: int, wish: structs.VehiclePhysicsControl) -> None:
        """Numbers beyond what a vehicle can have are cut; where wheels are stays as it is."""
        pc = physics.admit(wish, self._control(row))
        self._controls[row] = pc
        physics.fill(self._q[row], pc, self._bodies[row])
        self._table.f[row, c.MASS] = pc.mass

    def ackermann_settings(self, row: int) -> structs.AckermannControllerSettings:
        self._control(row)
        gains = self._q[row, p.ACK_SPEED_P : p.ACK_SPEED_P + 6]
        return structs.AckermannControllerSettings(*map(float, gains))

    def set_ackermann_settings(
        self, row: int, settings: structs.AckermannControllerSettings
    ) -> None:
        self._control(row)
        s = settings
        gains = (s.speed_kp, s.speed_ki, s.speed_kd, s.accel_kp, s.accel_ki, s.accel_kd)
        self._q[row, p.ACK_SPEED_P : p.ACK_SPEED_P + 6] = [_finite(x, 1e6) for x in gains]

    def set_ackermann(self, row: int, control: structs.VehicleAckermannControl) -> None:
        """From now on the controller drives, until the ACKERMANN column is 0 again."""
        self._control(row)
        q = self._q[row]
        q[p.ACK_STEER] = _finite(control.steer, 10.0)
        q[p.ACK_STEER_RATE] = _finite(control.steer_speed, 1e3)
        q[p.ACK_SPEED] = _finite(control.speed, plant_kernels.MAX_SPEED_MPS)
        q[p.ACK_ACCEL] = _finite(control.acceleration, 100.0)
        self._table.i[row, c.ACKERMANN] = 1

    def telemetry(self, row: int) -> structs.VehicleTelemetryData:
        """Of the last step. Wheels roll without slip along their plane: long_slip follows from the force, omega from the speed."""
        pc = self._control(row)
        f, q = self._table.f[row], self._q[row]
        yaw = math.radians(f[c.YAW])
        speed = float(f[c.VX] * math.cos(yaw) + f[c.VY] * math.sin(yaw))
        a, b = q[p.FRONT_M], q[p.REAR_M]
        half = max(len(pc.wheels) // 2, 1)
        wheels = []
        for k, wheel in enumerate(pc.wheels):
            is_front = k < half
            load = (
                float(f[c.MASS] * plant_kernels.GRAVITY * (b if is_front else a) / (a + b)) / half
            )
            lateral = float(q[p.LAT_F_N if is_front else p.LAT_R_N]) / half
            along = float(q[p.LONG_N]) / len(pc.wheels)
            friction = float(f[c.FRICTION])
            stiff = max(wheel.long_stiff_value * load / plant_kernels.GRAVITY, 1.0)
            wheels.append(
                structs.WheelTelemetryData(
                    tire_friction=(
                        wheel.tire_friction
                        if friction == 1.0
                        else friction * plant_kernels.TRIGGER_TYRE
                    ),
                    lat_slip=math.atan2(
                        q[p.SLIP_F if is_front else p.SLIP_R], max(abs(speed), SLOWEST_MPS)
                    ),
                    long_slip=along / stiff,
                    omega=speed / (wheel.radius / 100.0),
                    tire_load=load,
                    normalized_tire_load=1.0,
                    torque=float(q[p.TORQUE_NM]) / len(pc.wheels),
                    long_force=along,
                    lat_force=lateral,
                    normalized_long_force=along / load,
                    normalized_lat_force=lateral / load,
                )
            )
        return structs.VehicleTelemetryData(
            speed=speed,
            steer=float(q[p.STEER]),
            throttle=float(q[p.THROTTLE]),
            brake=float(q[p.BRAKE]),
            engine_rpm=float(q[p.RPM]),
            gear=int(q[p.GEAR]),
            drag=float(q[p.DRAG] * speed * abs(speed)),
            wheels=wheels,
        )

    def wheel_steer_deg(self, row: int) -> float:
        """Of the front wheels, positive to the right."""
        self._control(row)
        return math.degrees(float(self._q[row, p.STEER_ANGLE]))

    def _control(self, row: int) -> structs.VehiclePhysicsControl:
        found = self._controls.get(row)
        if found is None:
            raise ValueError(f"row {row} is no vehicle, so it has no vehicle physics")
        return found

    def _grow(self) -> None:
        """Room for every row of the table."""
        rows = self._table.capacity
        old = self._q
        if old.shape[0] >= rows:
            return
        self._q = np.zeros((rows, p.WIDTH))
        self._q[: old.shape[0]] = old
        self._box = np.zeros((rows, p.BOX))
        slots = 1 << (2 * rows - 1).bit_length()
        self._hash = np.zeros((contact_kernels.TABLE, slots), np.int64)
        self._lane = np.zeros(plant_kernels.LANE_SIZE)
        self._poly = np.zeros((2, 12, 2))
        old_pairs, old_con, num = self._pairs, self._con, self._num_known
        self._pairs = np.zeros((PAIRS_PER_BODY * rows, contact_kernels.PAIR), np.int64)
        self._con = np.zeros((PAIRS_PER_BODY * rows, contact_kernels.CONTACT))
        self._pairs[:num], self._con[:num] = old_pairs[:num], old_con[:num]


def _finite(x: float, limit: float) -> float:
    """Cut to +-limit; NaN is 0."""
    return 0.0 if math.isnan(x) else min(max(float(x), -limit), limit)


def _with(value: Any, **changes: Any) -> Any:
    """A copy of a struct with other fields."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return type(value)(**(fields | changes))


def _rotation(pitch_deg: float, yaw_deg: float, roll_deg: float) -> Floats:
    """CARLA's rotation as a matrix: columns are the forward, right and up vectors."""
    sp, cp = math.sin(math.radians(pitch_deg)), math.cos(math.radians(pitch_deg))
    sy, cy = math.sin(math.radians(yaw_deg)), math.cos(math.radians(yaw_deg))
    sr, cr = math.sin(math.radians(roll_deg)), math.cos(math.radians(roll_deg))
    return np.array(
        (
            (cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr),
            (cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr),
            (sp, -cp * sr, cp * cr),
        )
    )
