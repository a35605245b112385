"""A real MariaDB on loopback for tests, as an unprivileged user, gone with its data when the block ends."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import free_port, stop, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = "MariaDB's server programs are missing: apt-get install mariadb-server."
_LEAN = (
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
)


@contextmanager
def mariadb_server(*, user: str, password: str, database: str) -> Iterator[int]:
    """The port of a server that has the database and the user who may do anything in it."""
    server, install = shutil.which("mariadbd") or "/usr/sbin/mariadbd", shutil.which("mariadb-install-db")
    if not Path(server).exists() or install is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    folder, process = Path(tempfile.mkdtemp(prefix="flowforge-mariadb-")), None
    try:
        as_user = _unprivileged(folder)
        subprocess.run(
            [
                *(install, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", *as_user, *_LEAN[:2]),
            ],
            check=True,
            capture_output=True,
        )
        port = free_port()
        (folder / "init.sql").write_text(
            f"CREATE DATABASE `{database}`;\nCREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO '{user}'@'%' WITH GRANT OPTION;\n"
        )
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(server, "--no-defaults", f"--datadir={folder / 'data'}", f"--port={port}", *as_user, *_LEAN),
                    *(
                        "--bind-address=127.0.0.1",
                        f"--socket={folder / 'socket'}",
                        f"--init-file={folder / 'init.sql'}",
                    ),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: _answers(port, user, password, database), "MariaDB answers", process=process)
        yield port
    finally:
        if process:
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("mysql")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["--user=mysql"]


def _answers(port: int, user: str, password: str, database: str) -> bool:
    import pymysql

    with suppress(pymysql.MySQLError):
        pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, database=database).close()
        return True
    return False
