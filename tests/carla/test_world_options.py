"""What the command line can ask for: a folder of maps under CARLA's names, one file, a scene; a taken port; a broken file."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest

from scenarios.roads.catalogue import path_of
from tests.carla.conftest import ROOT


def test_a_folder_serves_towns_with_and_without_opt(start_server, tmp_path):
    shutil.copy(path_of("smart_island"), tmp_path / "Town01.xodr")
    shutil.copy(path_of("brt_corridor"), tmp_path / "Town10HD_Opt.xodr")
    server = start_server(maps_dir=tmp_path)
    found = server.client(
        """
        names = [world.get_map().name]
        for name in ("Town10HD", "Town01_Opt", "/Game/Carla/Maps/Town01"):
            names.append(client.load_world(name).get_map().name)
        result = dict(names=names, maps=sorted(client.get_available_maps()))
        """
    )
    assert found["maps"] == ["/Game/Carla/Maps/Town01", "/Game/Carla/Maps/Town10HD_Opt"]
    assert found["names"] == [
        "Carla/Maps/Town01",
        "Carla/Maps/Town10HD",
        "Carla/Maps/Town01_Opt",
        "Carla/Maps/Town01",
    ]


def test_a_scene_serves_its_map_and_says_what_is_in_it(start_server):
    server = start_server(scene="smart_island", seed=3)
    assert "smart_island: " in server.said and "seed 3" in server.said
    assert server.client("result = world.get_map().name") == "Carla/Maps/smart_island"


@pytest.mark.parametrize("case", ["port", "file"])
def test_what_cannot_be_served_is_one_sentence_and_an_error_of_ours(case, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1] if case == "port" else 0
        file = "None" if case == "port" else f"Path({str(tmp_path / 'no.xodr')!r})"
        code = (
            "from pathlib import Path\n"
            "from protocols.errors import IcvError\n"
            "from sim.carla.server.serve import ServeOptions, serve\n"
            f"try: serve(ServeOptions(port={port}, map_file={file}))\n"
            "except IcvError as error: print(error.exit_code, error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code_, _, sentence = done.stdout.strip().partition(" ")
    assert code_ == ("3" if case == "port" else "2")
    assert (str(port) if case == "port" else "no.xodr") in sentence
