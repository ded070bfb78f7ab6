"""The page that is served follows a new build, and sections say themselves what they are."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.cli import app
from sim.report.pack.columns import unpack
from sim.viewer import server
from sim.viewer.opened import OpenRun
from sim.viewer.server import SECTION_HEADER
from sim.viewer.shelf import Shelf
from tests.report_pack.pack_reading import table_of
from tests.viewer_server.serving import PAGE, Client, age, serving


def ask(client: Client, path: str, tag: str | None = None) -> tuple[int, str | None, bytes]:
    """Status, tag and content."""
    connection = HTTPConnection("127.0.0.1", client.port, timeout=30)
    try:
        connection.request("GET", path, headers={} if tag is None else {"If-None-Match": tag})
        answer = connection.getresponse()
        return answer.status, answer.getheader("etag"), answer.read()
    finally:
        connection.close()


def test_a_new_build_is_served_without_a_restart(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path) as client:
        status, tag, content = ask(client, "/viewer.js")
        assert (status, content) == (200, PAGE["viewer.js"].encode()) and tag
        assert ask(client, "/viewer.js", tag) == (304, tag, b"")
        assert ask(client, "/viewer.js", f'"other", {tag}')[0] == 304
        assert ask(client, "/viewer.css", tag)[0] == 200
        (tmp_path / "viewer.js").write_text("2; // built again")
        status, fresh, content = ask(client, "/viewer.js", tag)
        assert (status, content) == (200, b"2; // built again") and fresh != tag
        (tmp_path / "viewer.css").unlink()  # in the middle of a build
        assert ask(client, "/viewer.css")[2] == PAGE["viewer.css"].encode()
        (tmp_path / "viewer.css").write_text("b{}")
        assert ask(client, "/viewer.css")[2] == b"b{}"


def test_a_section_can_be_read_by_its_header_alone(folder: Path, tmp_path: Path) -> None:
    """A page that knows an older manifest of a run in progress still reads what it is sent."""
    root, static = tmp_path / "runs", tmp_path / "static"
    root.mkdir()
    static.mkdir()
    data = (folder / "first" / "run.mcap").read_bytes()
    path = root / "run.mcap"
    path.write_bytes(data[: len(data) // 2])
    with serving(root, static) as client:
        (line,) = client.get("/api/runs").json()
        old = client.get(f"/api/run/{line['id']}/manifest").json()
        assert line["live"]
        with client.socket(f"/api/run/{line['id']}/live", f"http://127.0.0.1:{client.port}") as live:  # fmt: skip
            live.recv(10)
            path.write_bytes(data)
            live.recv(10)
        grown = 0
        for key, known in old["sections"].items():
            answer = client.get(f"/api/run/{line['id']}/section/{key}")
            entry = json.loads(answer.headers[SECTION_HEADER])
            columns = unpack(answer.content, table_of(old, key), entry)
            assert sum(column.nbytes for column in columns.values()) > 0
            grown += entry != known
        assert grown >= 3


def test_a_section_that_grows_at_every_look_has_no_header(folder: Path) -> None:
    age(folder)
    run = OpenRun(folder / "first" / "run.mcap")

    class Restless:
        """A run whose manifest is another one each time."""

        @property
        def manifest(self) -> dict[str, object]:
            return dict(run.manifest)

        def section(self, key: str) -> bytes | None:
            return run.section(key)

    found = server._described(run, "world/0")
    assert found is not None and found[1] == run.manifest["sections"]["world/0"]
    assert server._described(Restless(), "world/0") == (found[0], None)  # type: ignore[arg-type]
    assert server._described(run, "world/99") is None


def test_a_run_that_was_killed_does_not_stay_in_progress(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    data = (folder / "first" / "run.mcap").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    run = OpenRun(path, is_live=True, patience_s=60.0)
    assert not run.refresh() and run.manifest["meta"]["live"]
    waiting = OpenRun(path, is_live=True)
    age(tmp_path)
    assert run.refresh() and not run.refresh()
    meta = run.manifest["meta"]
    assert not meta["live"] and meta["outcome"] == "incomplete" and "breaks off" in meta["lost"]
    assert run.section("world/0") == OpenRun(path).section("world/0")
    assert not waiting.refresh() and waiting.manifest["meta"]["live"]  # one that is known to go on


def test_one_log_that_cannot_be_read_is_refused_with_the_reason_and_nothing_is_served(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def served(*arguments: object) -> None:
        raise AssertionError("a page without a run")

    monkeypatch.setattr("sim.viewer.server.listen", served)
    whole = (folder / "first" / "run.mcap").read_bytes()
    middle = bytearray(whole)
    at = whole.index(b"zstd") + 500  # inside the first chunk's data
    middle[at : at + 64] = bytes(64)
    for name, data, why in (
        ("text.mcap", b"not a log", "do not begin like an MCAP file"),
        ("empty.mcap", b"", "0 bytes that do not begin like an MCAP file"),
        ("short.mcap", whole[:30], "breaks off inside the record at byte 8"),
        ("head.mcap", whole[:200], "holds no header"),
        ("damaged.mcap", bytes(middle), "damaged.mcap: "),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        said = CliRunner().invoke(app, ["view", str(path), "--port", "0", "--no-browser"])
        assert said.exit_code == 2, (name, said.output)
        assert "icv: " in said.stderr and name in said.stderr and why in said.stderr
        assert "http://" not in said.output and "Traceback" not in said.output
        # In a folder it is one line among others, with the reason.
        (line,) = (line for line in Shelf(tmp_path).lines() if line["path"] == name)
        assert line["outcome"] == "unreadable" and line["sentence"], line
        assert why in f"{name}: {line['sentence']}"


def test_what_is_neither_log_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = CliRunner().invoke(app, ["view", str(tmp_path / "pipe"), "--no-browser"])
    assert said.exit_code == 2 and "neither a file nor a folder" in said.stderr
