"""The committed generated code is what protoc makes of the committed schemas, and both sides agree on every number."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import pytest

from protocols import messages
from protocols.v1 import bsm_pb2, map_pb2, priority_pb2, spat_pb2, ssm_pb2
from protocols.v1.generate import FAMILIES, HERE, generate


def test_generated_files_do_not_drift_from_the_schemas(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="protoc comes with the dev extra")
    generate(tmp_path)
    for family in FAMILIES:
        for suffix in ("_pb2.py", "_pb2.pyi"):
            fresh = (tmp_path / "protocols" / "v1" / f"{family}{suffix}").read_text()
            assert (HERE / f"{family}{suffix}").read_text() == fresh, (
                f"{family}{suffix} drifted; run python -m protocols.v1.generate"
            )


@pytest.mark.parametrize(
    ("ours", "wire", "prefix"),
    [
        (messages.ActorKind, bsm_pb2.ActorKind, "ACTOR_KIND_"),
        (messages.Light, spat_pb2.Light, "LIGHT_"),
        (messages.Maneuver, map_pb2.Maneuver, "MANEUVER_"),
        (messages.Equipment, ssm_pb2.Equipment, "EQUIPMENT_"),
        (messages.SharedSource, ssm_pb2.SharedSource, "SHARED_SOURCE_"),
        (messages.ObstacleType, ssm_pb2.ObstacleType, "OBSTACLE_TYPE_"),
        (messages.RequestStatus, priority_pb2.RequestStatus, "REQUEST_STATUS_"),
    ],
)
def test_enumerations_have_the_same_names_and_numbers_on_the_wire(
    ours: type[IntEnum], wire: object, prefix: str
) -> None:
    assert {prefix + item.name: item.value for item in ours} == dict(wire.items())  # type: ignore[attr-defined]


def test_every_enumeration_starts_with_unspecified() -> None:
    for module in (bsm_pb2, spat_pb2, ssm_pb2, map_pb2, priority_pb2):
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
