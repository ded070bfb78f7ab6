"""A log that keeps nothing: the same calls as `LogWriter`, for measuring what recording costs. Digests are made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.judging import TraceBlock
from protocols.messages import VehicleCommand
from protocols.roads.network import U8
from sim.log.digest import TickDigest
from sim.radio.fates import TickFates
from sim.state import ActorStates, ActorStatics


class SilentLog:
    """See `sim.log.writer.LogWriter` for what each call means."""

    def world(self, t_ns: int, states: ActorStates, statics: ActorStatics) -> None:
        """Nothing."""

    def command(self, name: str, command: VehicleCommand | None) -> None:
        """Nothing."""

    def trace(self, block: TraceBlock) -> None:
        """Nothing."""

    def signals(self, t_ns: int, light: U8) -> None:
        """Nothing."""

    def event(
        self, t_ns: int, kind: str, subject: str, what: str = "", values: Mapping[str, float] | None = None
    ) -> None:  # fmt: skip
        """Nothing."""

    def message(self, topic: str, sender: str, seq: int, t_ns: int, data: bytes) -> None:
        """Nothing."""

    def fates(self, fates: TickFates) -> None:
        """Nothing."""

    def notes(self, sender: str, t_ns: int, notes: Sequence[tuple[str, float]]) -> None:
        """Nothing."""

    def digest(self, digest: TickDigest) -> None:
        """Nothing."""

    def timing(self, t_ns: int, cpu_s: Mapping[str, float]) -> None:
        """Nothing."""

    def result(self, t_ns: int, result_json: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
