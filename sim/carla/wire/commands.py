"""The commands of a batch: what `apply_batch` carries, one struct for each kind.

On the wire a command is `[[index, payload]]`: an array of one around the variant. Here the variant is a struct tagged with its
index and the array of one a tuple, so that a whole batch is checked in one pass. Where a command of a `then` chain names actor 0, the
actor just spawned is meant.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sim.carla.wire.structs import (
    U8,
    U32,
    ActorDescription,
    Location,
    MaybeId,
    Number,
    TrafficLightState,
    Transform,
    Vector3D,
    VehicleAckermannControl,
    VehicleControl,
    VehiclePhysicsControl,
    WalkerControl,
    Wire,
    given,
)


class SpawnActorPayload(Wire, frozen=True):
    description: ActorDescription
    transform: Transform
    parent: MaybeId
    attachment: U8  # an AttachmentType; without a parent the wheel sends whatever its memory holds
    socket: str
    do_after: list[tuple[Command]]

    def __post_init__(self) -> None:
        given(self.parent)


class SpawnActor(Wire, frozen=True, tag=0):
    """`do_after` is carried out on the new actor; there, id 0 stands for it."""

    INDEX: ClassVar[int] = 0
    payload: SpawnActorPayload


class DestroyActor(Wire, frozen=True, tag=1):
    INDEX: ClassVar[int] = 1
    payload: tuple[U32]


class ApplyVehicleControl(Wire, frozen=True, tag=2):
    INDEX: ClassVar[int] = 2
    payload: tuple[U32, VehicleControl]


class ApplyVehicleAckermannControl(Wire, frozen=True, tag=3):
    INDEX: ClassVar[int] = 3
    payload: tuple[U32, VehicleAckermannControl]


class ApplyWalkerControl(Wire, frozen=True, tag=4):
    INDEX: ClassVar[int] = 4
    payload: tuple[U32, WalkerControl]


class ApplyVehiclePhysicsControl(Wire, frozen=True, tag=5):
    INDEX: ClassVar[int] = 5
    payload: tuple[U32, VehiclePhysicsControl]


class ApplyTransform(Wire, frozen=True, tag=6):
    INDEX: ClassVar[int] = 6
    payload: tuple[U32, Transform]


class ApplyWalkerState(Wire, frozen=True, tag=7):
    """Where the walker is and how fast it walks, m/s."""

    INDEX: ClassVar[int] = 7
    payload: tuple[U32, Transform, Number]


class ApplyTargetVelocity(Wire, frozen=True, tag=8):
    INDEX: ClassVar[int] = 8
    payload: tuple[U32, Vector3D]


class ApplyTargetAngularVelocity(Wire, frozen=True, tag=9):
    INDEX: ClassVar[int] = 9
    payload: tuple[U32, Vector3D]


class ApplyImpulse(Wire, frozen=True, tag=10):
    INDEX: ClassVar[int] = 10
    payload: tuple[U32, Vector3D]


class ApplyForce(Wire, frozen=True, tag=11):
    INDEX: ClassVar[int] = 11
    payload: tuple[U32, Vector3D]


class ApplyAngularImpulse(Wire, frozen=True, tag=12):
    INDEX: ClassVar[int] = 12
    payload: tuple[U32, Vector3D]


class ApplyTorque(Wire, frozen=True, tag=13):
    INDEX: ClassVar[int] = 13
    payload: tuple[U32, Vector3D]


class SetSimulatePhysics(Wire, frozen=True, tag=14):
    INDEX: ClassVar[int] = 14
    payload: tuple[U32, bool]


class SetEnableGravity(Wire, frozen=True, tag=15):
    INDEX: ClassVar[int] = 15
    payload: tuple[U32, bool]


class SetAutopilot(Wire, frozen=True, tag=16):
    INDEX: ClassVar[int] = 16
    payload: tuple[U32, bool]


class ShowDebugTelemetry(Wire, frozen=True, tag=17):
    INDEX: ClassVar[int] = 17
    payload: tuple[U32, bool]


class SetVehicleLightState(Wire, frozen=True, tag=18):
    INDEX: ClassVar[int] = 18
    payload: tuple[U32, U32]


class ApplyLocation(Wire, frozen=True, tag=19):
    INDEX: ClassVar[int] = 19
    payload: tuple[U32, Location]


class ConsoleCommand(Wire, frozen=True, tag=20):
    INDEX: ClassVar[int] = 20
    payload: tuple[str]


class SetTrafficLightState(Wire, frozen=True, tag=21):
    INDEX: ClassVar[int] = 21
    payload: tuple[U32, TrafficLightState]


Command = (
    SpawnActor
    | DestroyActor
    | ApplyVehicleControl
    | ApplyVehicleAckermannControl
    | ApplyWalkerControl
    | ApplyVehiclePhysicsControl
    | ApplyTransform
    | ApplyWalkerState
    | ApplyTargetVelocity
    | ApplyTargetAngularVelocity
    | ApplyImpulse
    | ApplyForce
    | ApplyAngularImpulse
    | ApplyTorque
    | SetSimulatePhysics
    | SetEnableGravity
    | SetAutopilot
    | ShowDebugTelemetry
    | SetVehicleLightState
    | ApplyLocation
    | ConsoleCommand
    | SetTrafficLightState
)


def unfold(commands: list[tuple[Command]]) -> list[tuple[int, Any]]:
    """Index and payload of each command; also for the `do_after` of a SpawnActor."""
    return [(command.INDEX, command.payload) for (command,) in commands]
