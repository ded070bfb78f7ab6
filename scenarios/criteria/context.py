"""What every checker knows about the run, and the two shapes that checkers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from protocols.judging import Event, EventKind, RunFacts, TraceBlock
from protocols.sentence import say
from protocols.simtime import NS_PER_S
from scenarios.spec import SceneSpec
from scenarios.verdict import CriterionResult


@dataclass(frozen=True, slots=True)
class RearSection:
    """Geometry of an articulated vehicle's second section, for comfort at the back."""

    hitch_x_m: (
        float  # joint in body coordinates of the front section; negative: behind its rear axle
    )
    wheelbase_m: float  # joint to the axle of the rear section


@dataclass(frozen=True, slots=True)
class Context:
    """The scene, who is who, and how to write a lane."""

    spec: SceneSpec
    actors: Mapping[str, int]  # automated vehicle -> actor id
    rear: Mapping[str, RearSection] = field(default_factory=dict)
    lane_key: Callable[[int], str] = str

    def name(self, actor: int) -> str:
        """Name of a vehicle under test, `vehicle 17` for the background."""
        for name, other in self.actors.items():
            if other == actor:
                return name
        return say("vehicle {number:d}", number=actor)

    def is_under_test(self, actor: int) -> bool:
        """Whether `actor` is one of the scene's automated vehicles."""
        return actor in self.actors.values()

    def chosen(self, vehicles: Sequence[str]) -> list[str]:
        """`vehicles`, or all automated vehicles when empty, in scene order."""
        return [v.name for v in self.spec.vehicles if not vehicles or v.name in vehicles]

    def concerns(self, event: Event, who: str) -> bool:
        """Whether `event` belongs to `who`; a collision belongs to both of its sides."""
        sides = [event.actor]
        if event.kind == EventKind.COLLISION and event.other >= 0:
            sides.append(event.other)
        under_test = [self.is_under_test(actor) for actor in sides]
        if who == "under_test":
            return any(under_test)
        if who == "background":
            return not any(under_test)
        return True

    def where(self, event: Event) -> str:
        """Lane of an event as a reader knows it, "" when it has none."""
        return self.lane(event.lane)

    def lane(self, lane: int) -> str:
        """A lane as a reader knows it, "" for none."""
        return say("lane {lane:s}", lane=self.lane_key(lane)) if lane >= 0 else ""


class Checker(Protocol):
    """One criterion at work. Memory must not grow with the length of a run."""

    def on_trace(self, block: TraceBlock) -> None:
        """Rows of one automated vehicle, in order of time."""

    def on_event(self, event: Event) -> None:
        """One event, in order of time."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """What came out; called once, after the last row."""
        ...


class Quiet(ABC):
    """A checker that hears nothing by default; subclasses override what they listen to."""

    def __init__(self, model: Any, context: Context) -> None:
        self.model = model
        self.context = context

    def on_trace(self, block: TraceBlock) -> None:
        """Nothing to do with motion."""
        return None

    def on_event(self, event: Event) -> None:
        """Nothing to do with events."""
        return None

    @abstractmethod
    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Subclasses answer."""


def seconds(t_ns: float) -> float:
    """Nanoseconds as seconds, for people."""
    return t_ns / NS_PER_S
