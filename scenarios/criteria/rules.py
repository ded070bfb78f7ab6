"""Rules that an event breaks: collisions, red lights, lanes, signal phases, and the background's manners."""

from __future__ import annotations

from typing import Any

from protocols.judging import Event, EventKind, RunFacts
from protocols.sentence import phrase, say
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.verdict import CriterionResult

_PEOPLE = {
    "under_test": phrase("automated vehicles"),
    "background": phrase("background traffic"),
    "any": phrase("anybody"),
}
_KINDS = {
    EventKind.COLLISION: phrase("collision"),
    EventKind.RED_LIGHT: phrase("red_light"),
    EventKind.BUS_LANE: phrase("bus_lane"),
    EventKind.OFF_ROAD: phrase("off_road"),
}


class Counting(Quiet):
    """Counts events of some kinds that concern some people; remembers the first."""

    kinds: tuple[EventKind, ...] = ()
    nouns: tuple[str, str] = (phrase("event"), phrase("events"))

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
        name, lane = self.context.name(event.actor), event.lane
        return name if lane < 0 else say("{who!s} lane {lane:s}", who=name, lane=self.context.lane_key(lane))  # fmt: skip

    def people(self) -> str:
        """Whom the count is about."""
        return _PEOPLE[self.who]

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result: how many, and the first."""
        allowed: int = getattr(self.model, "max_count", 0)
        noun = self.nouns[self.count != 1]
        words = phrase("{count:d} {noun!s} ({people!s})")
        if not self.count:
            words = phrase("no {noun!s} ({people!s})")
        sentence = say(words, count=self.count, noun=noun, people=self.people())
        where, when = "", None
        if self.first is not None:
            when = seconds(self.first.t_ns)
            where = self.first.text or self.context.where(self.first)
            story = self.story(self.first)
            if self.first.text:
                story = say("{story!s} ({text!s})", story=story, text=self.first.text)
            sentence = say(
                "{counted!s}; first at {t_s:.2f} s: {story!s}",
                counted=sentence,
                t_s=when,
                story=story,
            )
        return [
            CriterionResult(
                self.model.kind, self.count <= allowed, sentence, float(self.count), float(allowed), "", when, where
            )
        ]  # fmt: skip


class Collisions(Counting):
    """no_collision."""

    kinds = (EventKind.COLLISION,)
    nouns = (phrase("collision"), phrase("collisions"))

    def story(self, event: Event) -> str:
        """Who with whom, how fast."""
        context = self.context
        one, other = context.name(event.actor), context.name(event.other)
        return say(
            "{one!s} with {other!s} at {speed_mps:.1f} m/s", one=one, other=other, speed_mps=event.value
        )  # fmt: skip


class RedLights(Counting):
    """no_red_light."""

    kinds = (EventKind.RED_LIGHT,)
    nouns = (phrase("red light run"), phrase("red lights run"))

    def counts(self, event: Event) -> bool:
        """Red that began less than the grace ago is forgiven."""
        grace_s: float = getattr(self.model, "grace_s", 0.0)
        return super().counts(event) and (grace_s == 0.0 or event.value > grace_s)

    def story(self, event: Event) -> str:
        """Who, where, how late."""
        return say(
            "{story!s}, {late_s:.2f} s after red began", story=super().story(event), late_s=event.value
        )  # fmt: skip


class Lanes(Counting):
    """lane_rules."""

    kinds = (EventKind.BUS_LANE, EventKind.OFF_ROAD)
    nouns = (phrase("lane rule broken"), phrase("lane rules broken"))


class Background(Counting):
    """background_clean."""

    kinds = (EventKind.COLLISION, EventKind.RED_LIGHT, EventKind.BUS_LANE, EventKind.OFF_ROAD)
    nouns = (phrase("rule broken"), phrase("rules broken"))

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
        return say("{kind!s:s}, {story!s}", kind=_KINDS[event.kind], story=super().story(event))

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Adds the count of each kind to the sentence."""
        (result,) = super().results(facts)
        parts = ", ".join(
            say("{count:d} {kind!s:s}", count=count, kind=_KINDS[kind])
            for kind, count in self.by_kind.items()
            if count
        )
        if not parts:
            return [result]
        sentence = say("{counted!s}; in all {parts!s}", counted=result.sentence, parts=parts)
        return [
            CriterionResult(
                result.name, result.passed, sentence, result.value, result.limit, "", result.t_s, result.where
            )
        ]  # fmt: skip


class SignalPhases(Counting):
    """signal_rules."""

    kinds = (EventKind.SIGNAL_RULE,)
    nouns = (phrase("phase rule broken"), phrase("phase rules broken"))

    def story(self, event: Event) -> str:
        """Which group, which rule."""
        return say("group {group:d}, rule {rule:.0f}", group=event.other, rule=event.value)

    def people(self) -> str:
        """Nobody on the road: the controllers."""
        return phrase("signal controllers")
