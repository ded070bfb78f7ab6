"""`icv report` and `icv run --report`, as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sim.cli import app


def icv(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_folder_gets_its_report_beside_the_log(corridor: Path) -> None:
    result = icv("report", corridor.parent)
    assert result.exit_code == 0, result.output
    target = corridor.parent / "report.html"
    assert f"wrote {target}" in result.output and "FAIL" in result.output
    text = target.read_text(encoding="utf-8")
    assert 'id="icv-manifest"' in text and 'id="icv-manifest-b"' not in text
    target.unlink()


def test_two_runs_go_into_one_file(corridor: Path, garbled: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "both.html"
    result = icv("report", corridor, garbled, "--out", target)
    assert result.exit_code == 0, result.output
    text = target.read_text(encoding="utf-8")
    assert 'id="icv-manifest-b"' in text and 'data-run="b" data-key="world/0"' in text


def test_a_broken_log_gets_a_report_that_says_so(corridor: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.mcap"
    path.write_bytes(corridor.read_bytes()[:700_000])
    result = icv("report", path)
    assert result.exit_code == 0 and "breaks off" in result.output
    assert (tmp_path / "half.report.html").is_file()


def test_wrong_input_is_told_in_a_sentence(corridor: Path, tmp_path: Path) -> None:
    (tmp_path / "no.mcap").write_bytes(b"nothing")
    for words, what in (
        (("report", tmp_path / "nowhere"), "no such file or folder"),
        (("report", tmp_path / "no.mcap"), "do not begin like an MCAP"),
        (("report", corridor, "--out", corridor), "the log itself"),
        (("report", corridor, "--map", tmp_path / "no.xodr"), "no such file"),
        (("view", corridor.parent, "--map", tmp_path / "no.xodr"), "no such file"),
        (("view", tmp_path / "nowhere"), "no such file or folder"),
        (("view", corridor, "--live", "tcp://127.0.0.1:1"), "not both"),
        (("view", corridor, "--keys", tmp_path), "--keys goes with --live"),
        (("view", "--live", "nonsense"), "expected tcp://"),
    ):
        result = icv(*words)
        assert result.exit_code == 2, (words, result.output)
        assert what in " ".join(result.output.split()), result.output
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mcap").write_bytes(b"")
    (tmp_path / "a" / "y.mcap").write_bytes(b"")
    result = icv("report", tmp_path / "a")
    assert result.exit_code == 2 and "x.mcap, y.mcap" in result.output
    assert not list(tmp_path.rglob("*.html"))


def test_a_run_writes_its_report_when_asked(tmp_path: Path) -> None:
    result = icv("run", "smart_island", "--duration", 3, "--no-picture", "--report", "--out", tmp_path, "-q")  # fmt: skip
    assert result.exit_code == 1, result.output  # three seconds are too short to arrive
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("command", ["report", "view"])
def test_help_is_there(command: str) -> None:
    assert icv(command, "--help").exit_code == 0
