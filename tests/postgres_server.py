"""A real PostgreSQL on loopback for tests, as an unprivileged user, gone with its data when the block ends."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import free_port, stop, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = "PostgreSQL's server programs are missing: apt-get install postgresql (any version from 13)."


@dataclass(frozen=True)
class Server:
    port: int
    programs: Path


def programs() -> Path:
    """The newest installed server's folder. Debian keeps these programs off PATH."""
    found = [Path(initdb).resolve().parent for initdb in [shutil.which("initdb")] if initdb]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in found:
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    if os.environ.get("CI") == "true":
        pytest.fail(INSTALL)
    pytest.skip(INSTALL)


@contextmanager
def postgres_server(*, user: str, password: str, database: str) -> Iterator[Server]:
    folder, bin_ = Path(tempfile.mkdtemp(prefix="flowforge-postgres-")), programs()
    server = None
    try:
        (folder / "password").write_text(password)
        as_user = _unprivileged(folder)
        subprocess.run(
            [
                *(*as_user, bin_ / "initdb", "-D", folder / "data", "-U", user, "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
        )
        port = free_port()
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(*as_user, bin_ / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ready = [bin_ / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers", process=server)
        _create_database(port, user, password, database)
        yield Server(port, bin_)
    finally:
        if server:
            stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: hand the folder to another user, and return what runs a command as them."""
    if os.geteuid() != 0:
        return []
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _create_database(port: int, user: str, password: str, database: str) -> None:
    import psycopg2

    connection = psycopg2.connect(host="127.0.0.1", port=port, user=user, password=password, dbname="postgres")
    try:
        connection.autocommit = True  # CREATE DATABASE refuses a transaction
        connection.cursor().execute(f'CREATE DATABASE "{database}"')
    finally:
        connection.close()
