"""The tests of the pages hold on a machine that has no time to draw: what they read, they have waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.browser import require_browser

PAGES = (
    "tests/viewer_browser", "tests/suite_page", "tests/report_pack/test_far_in_browser.py", "tests/diff/test_diff_page_in_browser.py",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("late_ms", [150, 500])
def test_pages_that_draw_late_fail_no_test(late_ms: int) -> None:
    require_browser()
    environment = {**os.environ, "ICV_TEST_SLOW_PAGE_MS": str(late_ms)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider", *PAGES],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, timeout=3000, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
