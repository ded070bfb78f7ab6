"""Makes the pack of a log for a report: one pass over its blocks, each deflated while the next is read.

The same log and options give the same bytes, whatever the machine. A log that broke off gives a pack of what is there; `meta.lost`
says what is not. Without the run's road file there are no roads in the pack, and `meta.lost` says so too.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim.report.pack import meta
from sim.report.pack.blocks import Periods
from sim.report.pack.budget import Budget, moments
from sim.report.pack.columns import Section
from sim.report.pack.radio import Directory, Names
from sim.report.pack.source import BLOCK_NS, Source
from sim.report.pack.survey import Scene, Survey, manifest, read_scene

_RUN_BYTES_PER_S = 700  # deflated traces and curves of one vehicle; what is set aside for them


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How much of a run a pack holds."""

    budget: int | None = 10_000_000  # bytes of all sections, deflated; None: no limit
    periods: Periods = field(default_factory=Periods)
    level: int = 6  # of deflate
    road_file: Path | None = None  # where the run's road file lies now, if not where it was


@dataclass(frozen=True, slots=True)
class Pack:
    """A manifest and the deflated sections it names."""

    manifest: dict[str, Any]
    sections: dict[str, bytes]

    def size(self) -> int:
        """Bytes of all sections."""
        return sum(map(len, self.sections.values()))


def build_pack(path: Path, options: PackOptions | None = None) -> Pack:
    """The pack of the log at `path`; LogError when it is none of ours or nothing of it can be read."""
    options = options or PackOptions()
    source = Source.open(path)
    scene = read_scene(source, options.road_file)
    receivers: tuple[str, ...] = ()
    limit = options.budget
    while True:
        packer = _Packer(source, scene, options, receivers, limit)
        pack = packer.run()
        grown = tuple(packer.survey.directory.receivers.names)
        if packer.width not in (
            -1,
            len(grown),
        ):  # fates are as wide as all receivers, late ones too
            receivers = grown
            continue
        over = 0 if options.budget is None else pack.size() - options.budget
        if over <= 0 or not limit:
            return pack
        limit = max(0, limit - over - over // 10)


class _Packer:
    """Packs every block of a run."""

    def __init__(
        self,
        source: Source,
        scene: Scene,
        options: PackOptions,
        receivers: tuple[str, ...],
        limit: int | None,
    ) -> None:
        self._source = source
        self._options = options
        self.survey = Survey(scene, options.periods, Directory(receivers=Names(receivers)))
        self.width = -1  # receivers when the first fates were packed
        left = limit
        if left is not None:
            left = max(0, left - round(_RUN_BYTES_PER_S * source.num_blocks * BLOCK_NS / 1e9))
        self._budget = Budget(left, source.block_bytes())
        self._waiting: Future[dict[str, bytes]] | None = None
        self._entries: dict[str, dict[str, Any]] = {}
        self._deflated: dict[str, bytes] = {}

    def run(self) -> Pack:
        """One pass."""
        source = self._source
        result = meta.result_table(source.path, source.result_json())
        criteria = meta.about(source.header, result, None)["criteria"]
        with ThreadPoolExecutor(1) as pool:
            for number in range(source.num_blocks):
                made = self._block(number, criteria)
                self._waiting = pool.submit(_deflate, made, self._options.level)
            self._settle()
        about, whole = self.survey.whole(source, result)
        about["budget"] = meta.with_events(self._budget.sentences(), self.survey.num_events)
        self._entries |= {key: item.entry for key, item in whole.items()}
        self._deflated |= _deflate(whole, self._options.level)
        made_of = manifest(about, self._entries)
        return Pack(made_of, {key: self._deflated[key] for key in made_of["sections"]})

    def _block(self, number: int, criteria: list[dict[str, Any]]) -> dict[str, Section]:
        survey = self.survey
        block = survey.read(self._source, number)
        if self.width < 0 and block.messages.fate.size:
            self.width = block.messages.fate.shape[1]
        self._settle()  # what earlier blocks take decides how much this one may
        events, automated = survey.facts[number].events, survey.people.vehicles.values()
        at = moments(criteria, events, automated)
        made = block.sections(
            self._budget.choose(block.messages, survey.directory.topics.names, at)
        )
        self._entries |= {key: item.entry for key, item in made.items()}
        return made

    def _settle(self) -> None:
        """Takes in the block that is being deflated."""
        if self._waiting is None:
            return
        found = self._waiting.result()
        self._deflated |= found
        wire = sum(len(data) for key, data in found.items() if key.startswith("bytes/"))
        self._budget.spend(sum(map(len, found.values())) - wire, wire)
        self._waiting = None


def _deflate(made: Mapping[str, Section], level: int) -> dict[str, bytes]:
    return {key: item.deflated(level) for key, item in made.items()}
