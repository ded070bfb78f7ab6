"""The network as a whole: priority and what it costs, message periods, traffic flow, gridlock."""

from __future__ import annotations

from typing import Any

from protocols.judging import Event, EventKind, RunFacts
from protocols.sentence import phrase, say
from scenarios.criteria.context import Context, Quiet, seconds
from scenarios.verdict import CriterionResult


class Priority(Quiet):
    """priority_granted."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Granted against asked."""
        granted, asked = facts.priority_granted, facts.priority_requests
        needed: int = self.model.min_granted
        sentence = say(
            "{granted:d} of {asked:d} requests for signal priority granted",
            granted=granted,
            asked=asked,
        )
        return [
            CriterionResult(
                "priority_granted", granted >= needed, sentence, float(granted), float(needed)
            )
        ]


class SideStreets(Quiet):
    """side_street_delay."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Mean delay and longest wait."""
        mean_s, longest_s = facts.side_street_delay_s, facts.side_street_max_wait_s
        return [
            CriterionResult(
                phrase("side_street_delay mean"), mean_s <= self.model.mean_s,
                say("side streets wait {mean_s:.1f} s on average", mean_s=mean_s), mean_s, self.model.mean_s, "s",
            ),
            CriterionResult(
                phrase("side_street_delay longest"), longest_s <= self.model.max_wait_s,
                say("the longest wait on a side street is {longest_s:.1f} s", longest_s=longest_s), longest_s, self.model.max_wait_s, "s",
            ),
        ]  # fmt: skip


class Periods(Quiet):
    """message_periods: the longest gap between two sendings, by topic."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """One result a topic; the worst sender speaks."""
        out = []
        for topic, limit_ms in sorted(self.model.max_gap_ms.items()):
            gaps = {
                key.rpartition(" ")[0]: gap
                for key, gap in facts.max_gap_ms.items()
                if key.rpartition(" ")[2].rpartition("/")[2].lower() == topic.lower()
            }
            name = say("message_periods/{topic:s}", topic=topic.lower())
            if not gaps:
                sentence = say("nobody sent {topic:s}", topic=topic.upper())
                out.append(CriterionResult(name, False, sentence, None, limit_ms, "ms"))
                continue
            sender = max(sorted(gaps), key=lambda key: gaps[key])
            sentence = say(
                "{topic:s} at most {gap_ms:.0f} ms apart ({sender:s}, the slowest of {senders:d})",
                topic=topic.upper(), gap_ms=gaps[sender], sender=sender, senders=len(gaps),
            )  # fmt: skip
            out.append(
                CriterionResult(
                    name, gaps[sender] <= limit_ms, sentence, gaps[sender], limit_ms, "ms", None, sender
                )
            )  # fmt: skip
        return out


class Flow(Quiet):
    """traffic_flow."""

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """Arrived, most at once, mean speed: those that are asked for."""
        out = []
        for key, needed, unit, words in (
            (phrase("arrived"), float(self.model.min_arrived), "", phrase("{value:.0f} background vehicles arrived")),
            (phrase("peak"), float(self.model.min_peak), "", phrase("{value:.0f} background vehicles at once at the peak")),
            (phrase("mean_speed_mps"), self.model.min_mean_speed_mps, "m/s", phrase("background traffic runs at {value:.2f} m/s on average")),
        ):  # fmt: skip
            if needed > 0:
                value = facts.traffic.get(key, 0.0)
                out.append(
                    CriterionResult(
                        say("traffic_flow/{key!s}", key=key), value >= needed, say(words, value=value), value, needed, unit
                    )
                )  # fmt: skip
        return out


class Gridlock(Quiet):
    """no_gridlock: the longest time in which nobody arrived although there were vehicles inside."""

    def __init__(self, model: Any, context: Context) -> None:
        super().__init__(model, context)
        self.inside = 0
        self.since_ns: int | None = None  # last arrival, or when enough vehicles were inside
        self.longest_ns = 0
        self.longest_end_ns = 0

    def on_event(self, event: Event) -> None:
        """Vehicles come and go."""
        if event.kind not in (EventKind.SPAWNED, EventKind.ARRIVED):
            return
        if self.context.is_under_test(event.actor):
            return
        if event.kind == EventKind.ARRIVED:
            self._close(event.t_ns)
        self.inside += 1 if event.kind == EventKind.SPAWNED else -1
        if self.inside < self.model.min_inside:
            self.since_ns = None
        elif self.since_ns is None or event.kind == EventKind.ARRIVED:
            self.since_ns = event.t_ns

    def _close(self, t_ns: int) -> None:
        if self.since_ns is not None and t_ns - self.since_ns > self.longest_ns:
            self.longest_ns, self.longest_end_ns = t_ns - self.since_ns, t_ns

    def results(self, facts: RunFacts) -> list[CriterionResult]:
        """The end of the run closes the last quiet time."""
        self._close(round(facts.duration_s * 1e9))
        quiet_s, limit_s = seconds(self.longest_ns), self.model.quiet_s
        sentence = say(
            "with traffic inside, somebody left at least every {quiet_s:.1f} s", quiet_s=quiet_s
        )
        return [
            CriterionResult(
                "no_gridlock", quiet_s <= limit_s, sentence, quiet_s, limit_s, "s", seconds(self.longest_end_ns)
            )
        ]  # fmt: skip
