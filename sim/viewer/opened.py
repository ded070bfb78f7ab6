"""A log opened for the viewer: its manifest at once, its sections when somebody looks at them, in bounded memory.

Opening reads the whole log once (about a second for ten minutes of a busy scene) and keeps only what belongs to the run as a whole;
blocks are read again from the file when they are asked for, the last few stay. A log that is still being written is read on from its last
block. Safe for several threads: one at a time gets in.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from protocols.errors import LogError
from protocols.sentence import phrase
from sim.report.pack import meta
from sim.report.pack.blocks import SERVED, Block, read_block
from sim.report.pack.radio import Directory, Names
from sim.report.pack.source import BLOCK_NS, Source
from sim.report.pack.survey import Survey, manifest, read_scene, tables_of

LEVEL = 1  # of deflate: the way is short, the answer should be quick
WIRE_LEVEL = 0  # of wire bytes: doubles, which hardly deflate
KEPT_BYTES = 32 * 1024 * 1024  # of deflated sections
KEPT_BLOCKS = 2  # read blocks, for messages that are unfolded one after the other


class OpenRun:
    """One log. `is_live`: it is still being written, so its broken end is no loss, until nothing has been added for
    `patience_s` (None: for ever)."""

    def __init__(
        self,
        path: Path,
        road_file: Path | None = None,
        is_live: bool = False,
        patience_s: float | None = None,
    ) -> None:
        self.path = path
        self._road_file = road_file
        self._patience_s = patience_s
        self._lock = Lock()
        self._source = Source.open(path)
        self.is_live = is_live and self._source.lost is not None
        self._survey = self._fresh(())
        self._entries: list[dict[str, dict[str, Any]]] = []  # by block
        self._whole: dict[str, bytes] = {}
        self._sections: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._manifest: dict[str, Any] = {}
        self._read(0)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands; replaced, never changed, when the log grows."""
        return self._manifest

    def refresh(self) -> bool:
        """Reads on in a log that is still being written; False when nothing has been added."""
        with self._lock:
            if not self.is_live:
                return False
            try:
                source = self._source.reopened()
            except LogError:
                return False  # caught in the middle of a write
            if source is None:
                if not self._is_given_up():
                    return False
                self.is_live = False  # who wrote it is gone
                self._read(len(self._entries))
                return True
            first = self._source.settled_ns // BLOCK_NS
            self._source = source
            self.is_live = source.lost is not None
            self._read(min(first, len(self._entries)))
            return True

    def section(self, key: str) -> bytes | None:
        """The deflated bytes of a section; None when the manifest names none such."""
        with self._lock:
            if key not in self._manifest["sections"]:
                return None
            known = self._whole.get(key) or self._sections.get(key)
            if known is not None:
                if key in self._sections:
                    self._sections.move_to_end(key)
                return known
            is_wire = key.startswith("bytes/")  # much, and wanted by few
            # Only this one is deflated: that takes longer than to read the block, which stays for the next one.
            item = self._block(int(key.rpartition("/")[2])).tables(has_bytes=is_wire).get(key)
            if item is None:
                return None
            data = item.section().deflated(WIRE_LEVEL if is_wire else LEVEL)
            self._keep(key, data)
            return data

    def message(self, block: int, row: int) -> bytes | None:
        """Wire bytes of a message; None when there is none such, or the log has only its fates."""
        with self._lock:
            if not 0 <= block < len(self._entries):
                return None
            messages = self._block(block).messages
            return messages.data(row) if 0 <= row < messages.t.size else None

    # -- inside --------------------------------------------------------------------------------------------------

    def _is_given_up(self) -> bool:
        """Whether nobody has written to the log for so long that nobody will."""
        if self._patience_s is None:
            return False
        try:
            return time.time() - self.path.stat().st_mtime > self._patience_s
        except OSError:
            return False  # it has just been taken away

    def _fresh(self, receivers: tuple[str, ...]) -> Survey:
        scene = read_scene(self._source, self._road_file)
        return Survey(scene, SERVED, Directory(receivers=Names(receivers)))

    def _read(self, first: int) -> None:
        """All blocks from `first` on, then the manifest."""
        source = self._source
        del self._entries[first:]
        self._forget(first)
        while len(self._entries) < source.num_blocks:
            known = len(self._survey.directory.receivers.names)
            block = self._survey.read(source, len(self._entries))
            grown = tuple(self._survey.directory.receivers.names)
            if (
                known and len(grown) != known
            ):  # earlier fates are not wide enough: from the beginning
                self._survey = self._fresh(grown)
                self._entries.clear()
                self._forget(0)
                continue
            made_of = block.tables(has_bytes=False)
            self._entries.append({key: item.entry() for key, item in made_of.items()})
        result = meta.result_table(source.path, source.result_json())
        about, whole = self._survey.whole(source, result)
        facts = self._survey.facts
        total, held = sum(block.messages for block in facts), sum(block.held for block in facts)
        about["budget"] = meta.with_events(meta.all_messages(total, held), self._survey.num_events)
        about["live"] = self.is_live
        if self.is_live:
            about["lost"] = self._survey.scene.lost or None
            about["outcome"], about["sentence"] = "running", phrase("the run is in progress")
            lost = self._survey.scene.lost
            about["zh"] = meta.in_chinese(about, [lost] if lost else [])
        entries = {key: item.entry for key, item in whole.items()}
        for block_entries in self._entries:
            entries |= block_entries
        made = manifest(about, entries)
        if self.is_live:
            made["tables"] |= self._coming()
        self._whole = {key: item.deflated(LEVEL) for key, item in whole.items()}
        self._manifest = made

    def _coming(self) -> dict[str, Any]:
        """Tables that a run in progress may still get."""
        keys = ["world/0", "spat/0", "messages/0", "fates/0", "bytes/0", "signals", "series"]
        spec = self._survey.scene.spec
        if spec is not None:
            keys += [f"trace/{vehicle.name}" for vehicle in spec.vehicles]
            keys += [f"plan/{vehicle.name}/0" for vehicle in spec.vehicles]
            keys += [f"perceived/rsu/{unit.name}/0" for unit in spec.roadside]
        return tables_of(keys)

    def _block(self, number: int) -> Block:
        block = self._blocks.get(number)
        if block is None:
            block = read_block(self._source, number, self._survey.directory, SERVED)
            self._blocks[number] = block
            while len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return block

    def _keep(self, key: str, data: bytes) -> None:
        old = self._sections.pop(key, b"")
        self._sections[key] = data
        self._kept_bytes += len(data) - len(old)
        while self._kept_bytes > KEPT_BYTES and len(self._sections) > 1:
            _, gone = self._sections.popitem(last=False)
            self._kept_bytes -= len(gone)

    def _forget(self, first: int) -> None:
        """What was made of blocks from `first` on, which are read again."""
        for key in [key for key in self._sections if int(key.rpartition("/")[2]) >= first]:
            self._kept_bytes -= len(self._sections.pop(key))
        for number in [number for number in self._blocks if number >= first]:
            del self._blocks[number]
