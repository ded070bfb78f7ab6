"""Memory of a run: bounded over ten minutes, flat over two hours. Measured in processes of their own."""

from __future__ import annotations

from statistics import fmean

import pytest

from sim.bench.child import NO_RECORD, run_child

LIMIT_MB = 600.0
FLAT = 1.10  # last ten minutes over minutes 20 to 30


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_minutes_of_the_corridor_stay_below_600_mb():
    report = run_child("brt_corridor", ("duration_s=600",))
    peak_mb = max(mb for _, mb in report["memory_mb"])
    print(f"\npeak resident memory over 600 s: {peak_mb:.0f} MB, log {report['log_mb']:.1f} MB")
    assert peak_mb <= LIMIT_MB


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hours_with_recording_and_picture_stay_flat():
    report = run_child("brt_corridor", ("duration_s=7200",))
    at = {t_s: mb for t_s, mb in report["memory_mb"]}
    early = fmean(mb for t_s, mb in at.items() if 1200 <= t_s < 1800)
    late = fmean(mb for t_s, mb in at.items() if t_s >= 6600)
    said = f"resident memory: {early:.1f} MB in minutes 20 to 30, {late:.1f} MB in the last ten, peak {max(at.values()):.0f} MB"
    print(f"\n{said}, log {report['log_mb']:.0f} MB")
    assert len([t_s for t_s in at if t_s >= 6600]) >= 50
    assert late <= FLAT * early, said
    assert max(at.values()) <= LIMIT_MB, said


def test_a_child_without_recording_reports_memory_and_no_log():
    report = run_child("brt_corridor", (NO_RECORD, "duration_s=2"))
    assert report["log_mb"] == 0.0
    assert [t_s for t_s, _ in report["memory_mb"]] == [0.0, 2.0]
    assert 50.0 < report["memory_mb"][-1][1] < LIMIT_MB
    recorded = run_child("brt_corridor", ("duration_s=2",))
    assert recorded["log_mb"] > 0.0
    assert recorded["digest"] == report["digest"]
