"""Carries edits out in a run: between sender and receivers, after the channel and the scene's own faults.

What an edit does not name goes on as ever, drawn from the same random numbers: a dropped message has been sent, kept its sequence
number and occupied the air; a forged one has a number of its own far above everybody's. The digest covers what units do and
not the edit itself, so an edit that nobody reacts to leaves it unchanged. One `Edited` serves one run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols import codec
from protocols.errors import CodecError, InputError, LogError
from protocols.messages import BasicSafetyBatch, Message
from protocols.roads.network import U8
from sim.log.header import RunHeader
from sim.radio.air import Sent
from sim.radio.fates import I64, Fate
from sim.whatif import rewrite
from sim.whatif.edit import Corrupt, Delay, Drop, Edit, Forge, parse

FORGED_SEQ = 1 << 31  # sequence numbers of forged messages start here; nobody else gets so far
SHOWN = 20  # messages of one edit that are kept by name
FLEET = "fleet"
MARK = "what_if"  # in the header's versions: the edits of a run
MAX_EDITS = 1000
MAX_NS = (1 << 63) - 1


def marked(header: RunHeader, where: str) -> tuple[Edit, ...]:
    """The edits of a recorded run; LogError when they cannot be read."""
    text = header.versions.get(MARK)
    if text is None:
        return ()
    try:
        rows = json.loads(text)
        if not isinstance(rows, list) or len(rows) > MAX_EDITS:
            raise ValueError("no list of edits")
        return tuple(parse(str(kind), str(body), may_read_files=False) for kind, body in rows)
    except (ValueError, TypeError, InputError) as error:
        raise LogError(f"{where}: the edits in the header cannot be read ({error}).") from error


def _forged(edit: Forge) -> Message:
    """The message that `edit` wants on the air; InputError when nobody could send it."""
    try:
        message = rewrite.from_json(edit.topic, edit.json, edit.start_ns)
    except CodecError as error:
        raise InputError(f"--forge {str(edit)[:80]}: {str(error).rstrip('.')}.") from error
    if isinstance(message, BasicSafetyBatch) and not message.station_id.size:
        raise InputError(
            f"--forge {str(edit)[:80]}: a BSM of no vehicle, expected at least one in each column."
        )
    return message


@dataclass(frozen=True, slots=True)
class Touched:
    """One message that an edit met."""

    t_ns: int
    topic: str
    sender: str
    seq: int


@dataclass(slots=True)
class Effect:
    """What one edit did in a run."""

    messages: int = 0  # it met
    receptions: int = 0  # of them, (row, receiver) pairs that were struck
    garbled: int = 0  # of these, lost because the bytes could not be decoded
    never: int = 0  # of these, so late that the run has ended
    unchanged: int = 0  # messages that have no such field or row, or would not take the value
    first: list[Touched] = field(default_factory=list)  # at most SHOWN


@dataclass(frozen=True, slots=True)
class Forged:
    """A message to be put on the air."""

    index: int
    topic: str
    sender: str
    seq: int
    message: Message
    data: bytes


class Edited:
    """The edits of one run. `seed`: the run's, for flipped bits; `last_ns`: its last tick, for what comes too late."""

    def __init__(self, edits: Iterable[Edit], seed: int, last_ns: int = MAX_NS) -> None:
        self.edits = tuple(edits)
        self.effects = [Effect() for _ in self.edits]
        self._seed = seed
        self._last_ns = last_ns
        self._is_done = [False] * len(self.edits)
        self._notes: list[tuple[str, str, int]] = []
        self._by_sender: dict[str, list[int]] = {}
        self._forges: list[tuple[int, int, Message, bytes]] = []
        for index, edit in enumerate(self.edits):
            if isinstance(edit, Forge):
                message = _forged(edit)
                data = codec.encode(message)
                self._forges.append((edit.start_ns, index, message, data))
            else:
                self._by_sender.setdefault(edit.which.sender, []).append(index)
        self._forges.sort(key=lambda row: row[:2])

    def check(self, units: Collection[str], antennas: Collection[str]) -> None:
        """InputError where an edit names a unit that this scene does not have, or that cannot be heard or hear."""
        known = ", ".join(sorted(units))
        for edit in self.edits:
            sender = edit.sender if isinstance(edit, Forge) else edit.which.sender
            receiver = edit.receiver if isinstance(edit, Forge) else edit.which.receiver
            if sender not in units:
                raise InputError(
                    f"--{edit.kind}: no unit '{sender}' in this scene; units are {known}."
                )
            if receiver is not None and receiver not in antennas:
                raise InputError(
                    f"--{edit.kind}: no unit '{receiver}' that hears messages; those that do are {', '.join(sorted(antennas))}."
                )
            if (
                isinstance(edit, Forge)
                and sender not in antennas
                and (sender != FLEET or edit.topic != "v2x/bsm")
            ):
                raise InputError(
                    f"--forge: '{sender}' cannot send {edit.topic}: it has no antenna. Those that have one are "
                    f"{', '.join(sorted(antennas))}; {FLEET} sends v2x/bsm."
                )

    def mark(self) -> dict[str, str]:
        """For the log's header: edits as text, so that the run can be done again; nothing without edits."""
        rows = [[edit.kind, str(edit)] for edit in self.edits]
        return {MARK: json.dumps(rows, ensure_ascii=False)} if rows else {}

    def forged(self, t_ns: int) -> list[Forged]:
        """What has to go on the air now."""
        out = []
        while self._forges and self._forges[0][0] <= t_ns:
            _, index, message, data = self._forges.pop(0)
            edit = self.edits[index]
            assert isinstance(edit, Forge), "only forges are queued"
            out.append(Forged(index, edit.topic, edit.sender, FORGED_SEQ + index, message, data))
        return out

    def edit(
        self, t_ns: int, item: Sent, receivers: Sequence[str], fate: U8, deliver_ns: I64
    ) -> list[tuple[Sent, U8]]:
        """What each receiver gets of one transmission: (message, fate of the rows (n, R)) once or more often.

        Changes `fate` and `deliver_ns` (n, R) in place, for the record.
        """
        if item.seq >= FORGED_SEQ:
            self._limit(t_ns, item, receivers, fate)
            return [(item, fate)]
        parts: list[tuple[Sent, U8]] = [(item, fate)]
        for index in self._by_sender.get(item.sender, ()):
            edit = self.edits[index]
            assert not isinstance(edit, Forge)
            which = edit.which
            if self._is_done[index] or not which.holds(t_ns, item.topic, item.sender, item.seq):
                continue
            self._is_done[index] = which.is_single
            struck = fate == Fate.DELIVERED
            if which.receiver is not None:
                struck &= np.array([name == which.receiver for name in receivers], np.bool_)
            effect = self._touch(index, t_ns, item)
            if isinstance(edit, Corrupt):
                if self._corrupt(index, edit, parts, struck, fate):
                    effect.receptions += int(struck.sum())
                continue
            effect.receptions += int(struck.sum())
            if isinstance(edit, Delay):
                deliver_ns[struck] += edit.by_ns
                effect.never += int((deliver_ns[struck] > self._last_ns).sum())
            elif isinstance(edit, Drop):
                fate[struck] = Fate.LOSS_FAULT
                for _, heard in parts:
                    heard[struck & (heard == Fate.DELIVERED)] = Fate.LOSS_FAULT
        return parts

    def notes(self) -> list[tuple[str, str, int]]:
        """(sender, name, sequence number) of what was done since the last call, for the log."""
        out, self._notes = self._notes, []
        return out

    def _touch(self, index: int, t_ns: int, item: Sent) -> Effect:
        effect = self.effects[index]
        effect.messages += 1
        if len(effect.first) < SHOWN:
            effect.first.append(Touched(t_ns, item.topic, item.sender, item.seq))
        self._notes.append(
            (item.sender, f"what_if/{self.edits[index].kind}/{item.topic}", item.seq)
        )
        return effect

    def _limit(self, t_ns: int, item: Sent, receivers: Sequence[str], fate: U8) -> None:
        """A forged message for one receiver is lost to the others."""
        index = item.seq - FORGED_SEQ
        edit = self.edits[index]
        assert isinstance(edit, Forge)
        if edit.receiver is not None:
            others = np.array([name != edit.receiver for name in receivers], np.bool_)
            fate[(fate == Fate.DELIVERED) & others] = Fate.LOSS_FAULT
        self._touch(index, t_ns, item).receptions += int((fate == Fate.DELIVERED).sum())

    def _corrupt(
        self, index: int, edit: Corrupt, parts: list[tuple[Sent, U8]], struck: np.typing.NDArray[np.bool_], fate: U8,
    ) -> bool:  # fmt: skip
        """Splits off, from each version that is under way, what the struck receivers get; False: nothing was changed."""
        effect, is_changed = self.effects[index], False
        for sent, heard in list(parts):
            mine = struck & (heard == Fate.DELIVERED)
            if not mine.any():
                continue
            try:
                changed = self._changed(index, edit, sent)
            except CodecError:
                if (
                    edit.field
                ):  # no such row, or a value that does not fit: the message stays as it was
                    effect.unchanged += 1
                    continue
                effect.garbled += int(mine.sum())
                heard[mine] = Fate.GARBLED
                fate[mine] = Fate.GARBLED
                is_changed = True
                continue
            version = np.full_like(heard, Fate.UNSPECIFIED)
            version[mine] = Fate.DELIVERED
            if (
                heard is fate
            ):  # the record keeps DELIVERED; what is queued from the original does not
                parts[0] = (sent, np.where(mine, np.uint8(Fate.UNSPECIFIED), heard))
            else:
                heard[mine] = Fate.UNSPECIFIED
            parts.append((changed, version))
            is_changed = True
        return is_changed

    def _changed(self, index: int, edit: Corrupt, sent: Sent) -> Sent:
        if edit.field:
            message = rewrite.with_field(sent.message, edit.field, edit.value, edit.is_added)
            return dataclasses.replace(sent, message=message, data=codec.encode(message))
        name = f"what_if/{index}/{sent.sender}/{sent.seq}"
        data = rewrite.with_bits(sent.data, edit.bits, self._seed, name)
        message = codec.decode(sent.topic, data)
        if isinstance(message, BasicSafetyBatch) and message.station_id.size != sent.origin.id.size:
            raise CodecError(f"{sent.topic}: other rows than were sent")
        return dataclasses.replace(sent, message=message, data=data)
