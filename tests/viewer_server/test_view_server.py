"""The viewer's server gives what the logs hold, piece by piece, and nothing else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from protocols.errors import ConfigError
from sim.log.reader import LogReader
from sim.report.pack.columns import Array, unpack
from sim.viewer import opened, shelf
from sim.viewer.server import listen
from sim.viewer.shelf import Shelf
from tests.report_pack.pack_reading import table_of
from tests.viewer_server.serving import PAGE, Client, age, serving


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    age(folder)
    with serving(folder, tmp_path_factory.mktemp("static"), ("lab",)) as made:
        yield made


@pytest.fixture(scope="module")
def ids(client: Client) -> dict[str, str]:
    return {line["path"]: line["id"] for line in client.get("/api/runs").json()}


def section(client: Client, ident: str, key: str) -> dict[str, Array]:
    manifest = client.get(f"/api/run/{ident}/manifest").json()
    answer = client.get(f"/api/run/{ident}/section/{key}")
    assert answer.status == 200
    return unpack(answer.content, table_of(manifest, key), manifest["sections"][key])


def test_the_list_says_what_each_log_is(client: Client, folder: Path) -> None:
    lines = {line["path"]: line for line in client.get("/api/runs").json()}
    assert set(lines) == {"first/run.mcap", "second one!/run.mcap", "broken.mcap", "foreign.mcap"}
    first = lines["first/run.mcap"]
    assert (first["scenario"], first["seed"], first["outcome"]) == ("smart_island", 1, "fail")
    assert first["duration_s"] == 35.0 and first["size"] == (folder / first["path"]).stat().st_size
    assert first["modified_utc"] == "2023-11-14T22:13:20.000Z" and first["digest"]
    assert lines["broken.mcap"]["outcome"] == "incomplete" and not lines["broken.mcap"]["live"]
    assert lines["foreign.mcap"]["outcome"] == "unreadable"
    assert "do not begin like an MCAP" in lines["foreign.mcap"]["sentence"]
    assert "开头不是 MCAP 文件" in lines["foreign.mcap"]["sentence_zh"]
    assert lines["broken.mcap"]["sentence_zh"].startswith("日志中没有结果")
    assert re.fullmatch(r"\d+ 项判据中有 \d+ 项未满足；首项：shuttle1 .*", first["sentence_zh"])
    for line in lines.values():
        assert line["id"].replace("-", "").isalnum() and len(line["id"]) < 60
    assert len({line["id"] for line in lines.values()}) == 4


def test_ids_are_the_same_after_a_restart(client: Client, folder: Path) -> None:
    again = {line["path"]: line["id"] for line in Shelf(folder).lines()}
    assert again == {line["path"]: line["id"] for line in client.get("/api/runs").json()}


def test_sections_are_what_the_log_holds(client: Client, ids: dict[str, str], folder: Path) -> None:
    ident = ids["first/run.mcap"]
    log = LogReader.open(folder / "first" / "run.mcap")
    samples = {sample.t_ns // 1_000_000: sample for sample in log.world()}
    stamps = []
    for block in (1, 0):
        part = section(client, ident, f"world/{block}")
        for k, t in enumerate(part["t"].tolist()):
            rows = slice(part["start"][k], part["start"][k + 1])
            assert np.array_equal(part["id"][rows], samples[t].id)
            assert np.abs(part["x"][rows] - samples[t].x_m).max() <= 0.005 + 1e-9
            stamps.append(t)
    assert sorted(stamps) == sorted(samples)
    trace = section(client, ident, "trace/shuttle1")
    assert trace["t"].tolist() == list(range(0, 35_000, 100))


def test_every_message_can_be_had(client: Client, ids: dict[str, str], folder: Path) -> None:
    ident = ids["first/run.mcap"]
    log = LogReader.open(folder / "first" / "run.mcap")
    logged = {(m.t_ns // 1_000_000, m.topic, m.sender, m.seq): m.data for m in log.messages()}
    meta = client.get(f"/api/run/{ident}/manifest").json()["meta"]
    assert meta["budget"]["with_bytes"] == meta["budget"]["messages"] == len(logged)
    rng = np.random.default_rng(3)
    for block in (0, 1):
        part = section(client, ident, f"messages/{block}")
        wire = section(client, ident, f"bytes/{block}")["data"].tobytes()
        for row in rng.choice(part["t"].size, 25, replace=False).tolist():
            key = (
                int(part["t"][row]), meta["topics"][part["topic"][row]],
                meta["units"][part["sender"][row]], int(part["seq"][row]),
            )  # fmt: skip
            answer = client.get(f"/api/run/{ident}/bytes/{block}/{row}")
            assert answer.status == 200 and answer.content == logged[key]
            begin = int(part["bytes0"][row])
            assert wire[begin : begin + int(part["size"][row])] == logged[key]
            other = client.get(f"/api/run/{ident}/message?block={block}&row={row}")
            assert other.content == answer.content


def test_a_log_that_broke_off_is_shown_and_says_so(client: Client, ids: dict[str, str]) -> None:
    meta = client.get(f"/api/run/{ids['broken.mcap']}/manifest").json()["meta"]
    assert "breaks off" in meta["lost"] and meta["outcome"] == "incomplete" and not meta["live"]
    assert 5.0 < meta["duration_s"] < 35.0
    answer = client.get(f"/api/run/{ids['foreign.mcap']}/manifest")
    assert answer.status == 422 and b"MCAP" in answer.content
    assert "开头不是 MCAP 文件" in unquote(answer.headers["icv-chinese"])
    assert unquote(client.get("/api/run/nobody/manifest").headers["icv-chinese"]) == "没有这个运行"


@pytest.mark.parametrize(
    "path",
    [
        "api/run/nobody/manifest", "api/run/../manifest", "api/run/..%2F..%2Fetc/manifest", "api/run/ID/section/world/99",
        "api/run/ID/section/world/-1", "api/run/ID/section/../manifest", "api/run/ID/section/world/0/0", "api/run/ID/section/world",
        "api/run/ID/bytes/0/999999", "api/run/ID/bytes/77/0", "api/run/ID/bytes/-1/0", "viewer.py", "..%2fserver.py",
        "static/viewer.js", "api", "notes.txt", "first/run.mcap",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path: str, client: Client, ids: dict[str, str]) -> None:
    assert client.get(f"/{path.replace('ID', ids['first/run.mcap'])}").status == 404


@pytest.mark.parametrize("tail", ["bytes/0/x", "bytes/1e3/0", "message", "message?block=0", "message?block=0&row=1.5"])  # fmt: skip
def test_numbers_that_are_none_are_refused(tail: str, client: Client, ids: dict[str, str]) -> None:
    assert client.get(f"/api/run/{ids['first/run.mcap']}/{tail}").status == 400


def test_only_reading(client: Client, ids: dict[str, str]) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.get(f"/api/run/{ids['first/run.mcap']}/manifest", method=method).status == 405


def test_the_page_is_served_with_its_policies(client: Client) -> None:
    for path, name in (
        ("", "index.html"),
        ("viewer.js", "viewer.js"),
        ("viewer.css", "viewer.css"),
    ):
        answer = client.get(f"/{path}")
        assert answer.status == 200 and answer.content.decode() == PAGE[name]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("localhost", 200), ("localhost:1", 200), ("[::1]:8000", 200), ("192.168.1.7", 200),
        ("lab:80", 200), ("evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1.evil.example", 421), ("", 421),
        ("localhost.evil.example", 421), ("[::1].evil.example", 421),
    ],
)  # fmt: skip
def test_a_foreign_name_is_refused(host: str, status: int, client: Client) -> None:
    assert client.get("/", host=host).status == status


def test_a_page_of_another_site_gets_no_socket(client: Client, ids: dict[str, str]) -> None:
    url = f"/api/run/{ids['first/run.mcap']}/live"
    for origin in ("http://evil.example", f"http://localhost:{client.port}", "null"):
        with pytest.raises(InvalidStatus), client.socket(url, origin):
            pass
    with client.socket(url, f"http://127.0.0.1:{client.port}") as live:
        assert json.loads(live.recv())["done"] is True  # the run has long ended
    with pytest.raises(InvalidStatus), client.socket("/api/run/nobody/live"):
        pass


def test_memory_is_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, client: Client, ids: dict[str, str]
) -> None:
    monkeypatch.setattr(opened, "KEPT_BYTES", 20_000)
    monkeypatch.setattr(opened, "KEPT_BLOCKS", 1)
    run = opened.OpenRun(folder / "first" / "run.mcap")
    keys = [key for key in run.manifest["sections"] if key[-1].isdigit() and "/" in key and "trace" not in key]  # fmt: skip
    for key in keys * 2:
        data = run.section(key)
        assert data == client.get(f"/api/run/{ids['first/run.mcap']}/section/{key}").content
        assert run._kept_bytes == sum(map(len, run._sections.values()))
        assert run._kept_bytes <= 20_000 or len(run._sections) == 1
        assert len(run._blocks) == 1
    monkeypatch.setattr(shelf, "MAX_OPEN", 1)
    few = Shelf(folder)
    first = few.open(ids["first/run.mcap"])
    assert few.open(ids["first/run.mcap"]) is first
    few.open(ids["second one!/run.mcap"])
    assert list(few._open) == [ids["second one!/run.mcap"]]


def test_one_log_is_a_folder_of_one(folder: Path) -> None:
    (line,) = Shelf(folder / "first" / "run.mcap").lines()
    assert line["path"] == "run.mcap" and line["scenario"] == "smart_island"


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_the_command_serves_until_ctrl_c(folder: Path) -> None:
    words = [sys.executable, "-m", "sim.cli", "view", str(folder), "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().split()[0]
        port = urlsplit(address).port
        assert address.startswith("http://127.0.0.1:") and port
        deadline = time.monotonic() + 20
        while True:
            try:
                lines = Client(port).get("/api/runs").json()
                break
            except ConnectionError:  # bound, but not served yet
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert {line["path"] for line in lines} >= {"first/run.mcap", "broken.mcap"}
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
