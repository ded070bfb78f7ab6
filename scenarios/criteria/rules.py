"""Rules that an event breaks: collisions, red lights, lanes, signal phases, and the background's manners."""

from __future__ import annotations

from typing import Any

from protocols.judging import Event, EventKind, RunFacts
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.verdict import CriterionResult

_PEOPLE = {"under_test": "automated vehicles", "background": "background traffic", "any": "anybody"}


class Counting(Quiet):
    """Counts events of some kinds that concern some people; remembers the first."""

    kinds: tuple[EventKind, ...] = ()
    nouns: tuple[str, str] = ("event", "events")

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        self.who: str = getattr(model, "who", "any")
        self.count = 0
        self.first: Event | None = None

    def counts(self, event: Event) -> bool:
        """Whether this event breaks the rule."""
        return event.kind in self.kinds and self.context.concerns(event, self.who)

    def on_event(self, event: Event) -> None:
        """Count, keep the first."""
        if self.counts(event):
            self.count += 1
            self.first = self.first or event

    def story(self, event: Event) -> str:
        """One event in words."""
        return f"{self.context.name(event.actor)} {self.context.where(event)}".strip()

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result: how many, and the first."""
        allowed: int = getattr(self.model, "max_count", 0)
        people = _PEOPLE[self.who]
        noun = self.nouns[self.count != 1]
        sentence = f"{self.count or 'no'} {noun} ({people})"
        where, when = "", None
        if self.first is not None:
            when = seconds(self.first.t_ns)
            where = self.first.text or self.context.where(self.first)
            sentence += f"; first at {when:.2f} s: {self.story(self.first)}"
            if self.first.text:
                sentence += f" ({self.first.text})"
        return [
            CriterionResult(
                self.model.kind, self.count <= allowed, sentence, float(self.count), float(allowed), "", when, where
            )
        ]  # fmt: skip


class Collisions(Counting):
    """no_collision."""

    kinds = (EventKind.COLLISION,)
    nouns = ("collision", "collisions")

    def story(self, event: Event) -> str:
        """Who with whom, how fast."""
        context = self.context
        return (
            f"{context.name(event.actor)} with {context.name(event.other)} at {event.value:.1f} m/s"
        )


class RedLights(Counting):
    """no_red_light."""

    kinds = (EventKind.RED_LIGHT,)
    nouns = ("red light run", "red lights run")

    def counts(self, event: Event) -> bool:
        """Red that began less than the grace ago is forgiven."""
        grace_s: float = getattr(self.model, "grace_s", 0.0)
        return super().counts(event) and (grace_s == 0.0 or event.value > grace_s)

    def story(self, event: Event) -> str:
        """Who, where, how late."""
        return f"{super().story(event)}, {event.value:.2f} s after red began"


class Lanes(Counting):
    """lane_rules."""

    kinds = (EventKind.BUS_LANE, EventKind.OFF_ROAD)
    nouns = ("lane rule broken", "lane rules broken")


class Background(Counting):
    """background_clean."""

    kinds = (EventKind.COLLISION, EventKind.RED_LIGHT, EventKind.BUS_LANE, EventKind.OFF_ROAD)
    nouns = ("rule broken", "rules broken")

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        self.who = "background"
        self.by_kind = dict.fromkeys(self.kinds, 0)

    def on_event(self, event: Event) -> None:
        """Count by kind as well."""
        if self.counts(event):
            self.by_kind[event.kind] += 1
        super().on_event(event)

    def story(self, event: Event) -> str:
        """The kind first."""
        return f"{event.kind.name.lower()}, {super().story(event)}"

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Adds the count of each kind to the sentence."""
        (result,) = super().results(facts)
        parts = ", ".join(
            f"{count} {kind.name.lower()}" for kind, count in self.by_kind.items() if count
        )
        if not parts:
            return [result]
        sentence = f"{result.sentence}; in all {parts}"
        return [
            CriterionResult(
                result.name, result.passed, sentence, result.value, result.limit, "", result.t_s, result.where
            )
        ]  # fmt: skip


class SignalPhases(Counting):
    """signal_rules."""

    kinds = (EventKind.SIGNAL_RULE,)
    nouns = ("phase rule broken", "phase rules broken")

    def story(self, event: Event) -> str:
        """Which group, which rule."""
        return f"group {event.other}, rule {event.value:.0f}"

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """The people in the sentence are controllers."""
        (result,) = super().results(facts)
        sentence = result.sentence.replace("(anybody)", "(signal controllers)")
        return [
            CriterionResult(
                result.name, result.passed, sentence, result.value, result.limit, "", result.t_s, result.where
            )
        ]  # fmt: skip
