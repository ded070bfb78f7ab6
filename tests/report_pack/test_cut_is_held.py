"""A log cut anywhere: what its report shows is what the whole log holds, and nothing is made up about what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim.report.html import write_report
from tests.report_pack.held import Held
from tests.report_pack.shown import Shown
from tests.report_pack.test_messages_are_held import fates_of, key_of


def test_a_cut_log_shows_what_the_whole_one_holds_up_to_there(
    corridor: Path, tmp_path: Path
) -> None:
    held, data = Held(corridor), corridor.read_bytes()
    fates = fates_of(held)
    sent = {(r.t_ns, r.topic, r.sender, r.seq): r for r in held.sent()}
    states = {t_ns // 10**6: proto for t_ns, proto in held.of("truth/world")}
    cut = tmp_path / "run.mcap"
    messages = bodies = 0
    for place in np.random.default_rng(11).integers(60_000, len(data), 5).tolist():
        cut.write_bytes(data[:place])
        write_report(cut, tmp_path / "cut.html")
        shown = Shown.in_report(tmp_path / "cut.html")
        meta = shown.meta
        assert meta["lost"] and meta["outcome"] == "incomplete" and meta["criteria"] == []
        rows = shown.messages()
        for row in rows:
            key = key_of(row)
            assert row["data"] in (None, sent[key].data)
            if row["rows"]:
                receivers, fate, us = fates[key]
                order = [meta["receivers"].index(name) for name in receivers]
                assert row["fate"][:, order].tolist() == fate
                assert row["latency_us"][:, order].tolist() == us
            elif key in fates:  # the log breaks off between a message and what became of it
                assert row["t"] == rows[-1]["t"] and row["heard"] == row["lost"] == 0
        # Up to the last tick not one is missing.
        end = rows[-1]["t"] * 10**6 if rows else 0
        assert {key_of(row) for row in rows if row["t"] * 10**6 < end} == {k for k in sent if k[0] < end}  # fmt: skip
        for frame in shown.frames("world"):
            proto = states[frame.t_ms]
            assert frame.rows["id"].tolist() == list(proto.id)
            assert np.abs(frame.rows["x"] - proto.x_m).max() <= 0.00501
            bodies += len(proto.id)
        messages += len(rows)
    assert messages > 2000 and bodies > 500
