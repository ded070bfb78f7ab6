"""A report shows the messages that its log holds: who sent, who heard, when, who did not and why, every field and byte, and the totals.

Read as in `test_shown_is_held`: the log with the `mcap` package, the report's HTML as `docs/reports.md` describes it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

from protocols.v1 import log_pb2
from tests.report_pack.held import Held, Record
from tests.report_pack.shown import Shown

Both = tuple[Held, Shown]
_DELIVERED, _OUT_OF_RANGE = 1, 2
Key = tuple[int, str, str, int]  # ns, topic, sender, sequence number
Fates = tuple[list[str], list[list[int]], list[list[int]]]  # receivers; (rows, receivers) fate, us


def fates_of(held: Held) -> dict[Key, Fates]:
    """What the radio recorded of each message, record by record and row by row."""
    out: dict[Key, Fates] = {}
    for t_ns, proto in held.of("log/radio"):
        fates, late = iter(proto.fate), iter(proto.latency_us)
        width = len(proto.receiver)
        for sender, topic, seq, rows in zip(proto.sender, proto.topic, proto.seq, proto.num_rows, strict=True):  # fmt: skip
            fate = [[next(fates) for _ in range(width)] for _ in range(rows)]
            us = [[next(late) if f == _DELIVERED else 0 for f in row] for row in fate]
            out[t_ns, topic, sender, seq] = list(proto.receiver), fate, us
        assert next(fates, None) is None and next(late, None) is None
    return out


def key_of(row: dict[str, Any]) -> Key:
    return row["t"] * 10**6, row["topic"], row["sender"], row["seq"]


def test_every_message_is_shown_once_and_in_order(both: Both) -> None:
    held, shown = both
    sent = {(r.t_ns, r.topic, r.sender, r.seq): r for r in held.sent()}
    rows = shown.messages()
    assert [row["t"] for row in rows] == sorted(row["t"] for row in rows)
    keys = [key_of(row) for row in rows]
    fates = fates_of(held)
    assert Counter(keys) == Counter({*sent, *fates}) and len(keys) > 500
    for row, key in zip(rows, keys, strict=True):
        record = sent.get(key)
        assert row["size"] == (len(record.data) if record else 0)
        assert row["data"] in (None, record.data if record else None)
        assert row["rows"] == (len(fates[key][1]) if key in fates else 0)
    carried = sum(row["data"] is not None for row in rows)
    assert shown.meta["budget"]["with_bytes"] == carried
    assert shown.meta["budget"]["messages"] == len(rows)


def test_who_heard_when_and_who_did_not_and_why(both: Both) -> None:
    held, shown = both
    names = shown.meta["receivers"]
    assert shown.meta["fates"] == [value.name.removeprefix("FATE_").lower() for value in log_pb2.Fate.DESCRIPTOR.values]  # fmt: skip
    fates = fates_of(held)
    met: Counter[int] = Counter()
    latest = 0
    for row in shown.messages():
        if not row["rows"]:
            continue
        receivers, fate, us = fates[key_of(row)]
        order = [names.index(name) for name in receivers]
        assert row["fate"][:, order].tolist() == fate
        assert row["latency_us"][:, order].tolist() == us
        others = [k for k in range(len(names)) if k not in order]
        assert not row["fate"][:, others].any() and not row["latency_us"][:, others].any()
        flat = [f for line in fate for f in line]
        assert row["heard"] == flat.count(_DELIVERED)
        assert row["lost"] == sum(f > _DELIVERED for f in flat)
        met.update(flat)
        latest = max([latest, *(t for line in us for t in line)])
    # On the island everybody is near enough; in the corridor some are not; faults lose messages and delay them.
    least, slowest = {"smart_island": (2, 0), "brt_corridor": (3, 0), "faults": (5, 200_000)}[held.header.scenario]  # fmt: skip
    assert len(met) >= least and latest > slowest


def test_messages_unfold_into_the_fields_that_were_sent(both: Both) -> None:
    held, shown = both
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(shown.meta["descriptor"]))
    for file in files.file:
        pool.Add(file)  # type: ignore[attr-defined]
    sent = {(r.t_ns, r.topic, r.sender, r.seq): r for r in held.sent()}
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for row in shown.messages():
        if row["data"] is not None:
            by_topic.setdefault(row["topic"], []).append(row)
    assert by_topic.keys() == {r.topic for r in held.sent()}
    random = np.random.default_rng(20_260_518)
    for topic, rows in sorted(by_topic.items()):
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(shown.meta["message_types"][topic]))  # fmt: skip
        for at in random.integers(0, len(rows), 25).tolist():
            record: Record = sent[key_of(rows[at])]
            said, held_ = kind.FromString(rows[at]["data"]), record.proto()
            assert json_format.MessageToJson(said) == json_format.MessageToJson(held_)
            assert not len(UnknownFieldSet(said))  # type: ignore[no-untyped-call]


def test_totals_are_the_sums_of_what_is_recorded(both: Both) -> None:
    held, shown = both
    (result,) = [json.loads(proto.result_json) for _, proto in held.of("log/result")]
    facts = shown.meta["facts"]
    assert facts["messages_sent"] == result["facts"]["messages_sent"]
    sent: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    rows = shown.messages()
    for row in rows:
        sent[row["topic"]] += row["rows"]
        heard[row["topic"]] += row["heard"]
    on_air = {topic for topic in facts["messages_sent"] if topic.startswith("v2x/")}
    assert {t: sent[t] for t in on_air} == {t: facts["messages_sent"][t] for t in on_air}
    # Counted in the run when they arrive: what was still on its way at the end is heard by nobody yet.
    end_us = round(shown.meta["duration_s"] * 1e6)
    for topic in on_air:
        late = sum(
            int(((row["fate"] == _DELIVERED) & (row["t"] * 1000 + row["latency_us"].astype(np.int64) > end_us - 20_000)).sum())
            for row in rows if row["topic"] == topic and row["rows"]
        )  # fmt: skip
        got = facts["messages_heard"].get(topic, 0)
        assert heard[topic] - late <= got <= heard[topic], topic


def test_delivery_ratios_are_those_of_the_recorded_fates(both: Both) -> None:
    held, shown = both
    counts: dict[tuple[str, int], list[int]] = {}
    for (t_ns, topic, _, _), (_, fate, _) in fates_of(held).items():
        flat = [f for row in fate for f in row]
        count = counts.setdefault((topic, t_ns // 10**9 * 1000), [0, 0])
        count[0] += flat.count(_DELIVERED)
        count[1] += sum(f not in (0, _OUT_OF_RANGE) for f in flat)
    for topic in {topic for topic, _ in counts}:
        expected = {t: h / n for (name, t), (h, n) in counts.items() if name == topic and n}
        t, y = shown.curve(f"delivery/{topic}")
        assert t.tolist() == sorted(expected)
        assert np.allclose(y, [expected[k] for k in t.tolist()], atol=1e-6)
