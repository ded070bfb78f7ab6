"""Suite results to keep, and a private PostgreSQL cluster where the server's programs are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty database on a cluster of our own: a socket in a folder of its own, no port, gone afterwards."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server programs (/usr/lib/postgresql/*/bin/initdb)")
    programs = found[-1].parent
    prefix: list[str] = []
    # Short: a socket's path has at most 107 bytes. Of its own: nobody but its owner may enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="icv-pg-"))
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres"
        try:
            shutil.chown(folder, user)
        except LookupError:
            folder.rmdir()
            pytest.skip(
                "as root, PostgreSQL has to run as the user postgres, who is not known here"
            )
        if shutil.which("setpriv") is None:
            folder.rmdir()
            pytest.skip(
                "as root, PostgreSQL has to run as another user, and setpriv is not installed"
            )
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    data = folder / "data"

    def call(*arguments: str) -> None:
        done = subprocess.run(
            [*prefix, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    call(str(programs / "initdb"), "-D", str(data), "-U", "icv", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")  # fmt: skip
    options = f"-c listen_addresses= -c fsync=off -k {folder}"
    log = folder / "log"
    call(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(log), "-w", "start")
    try:
        call(str(programs / "createdb"), "-h", str(folder), "-U", "icv", "icv")
        yield f"postgresql://icv@/icv?host={folder}"
    finally:
        call(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
