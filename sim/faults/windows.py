"""When a fault holds: [from_ns, to_ns) of simulation time, and which of several counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from protocols.simtime import NS_PER_S
from scenarios.fault_spec import Fault

FOREVER_NS = 2**63 - 1
Spec = TypeVar("Spec", bound=Fault)


@dataclass(frozen=True, slots=True)
class Window(Generic[Spec]):
    """One fault of the scene, `index` counting from 0 as written."""

    index: int
    spec: Spec
    from_ns: int
    to_ns: int

    def holds(self, t_ns: int) -> bool:
        """Whether the fault is there now."""
        return self.from_ns <= t_ns < self.to_ns


def window(index: int, spec: Spec) -> Window[Spec]:
    """The window of a fault, in whole nanoseconds."""
    to_ns = FOREVER_NS if spec.until_s is None else round(spec.until_s * NS_PER_S)
    return Window(index, spec, round(spec.at_s * NS_PER_S), to_ns)


def first(windows: Iterable[Window[Spec]], t_ns: int) -> Spec | None:
    """Of those that hold now the one that is written first."""
    return next((item.spec for item in windows if item.holds(t_ns)), None)
