"""An S3 server as a process of its own, which outlives whatever run is killed, and lakes on it that start alike.

Belongs here: the server and the prefixes. Does not: what is done to the runs.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flowforge_resources.lake import Lake
from processes import free_port, stop, wait_until
from scenario import SHOP_DAY1, SHOP_DAY2, land, leftovers, state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from forker import Forker

BUCKET = "outlives"
_ONE_ENVIRONMENT = Lock()
DAYS = {"first load": SHOP_DAY1, "second day": SHOP_DAY2}


class Remote:
    """The server, and the environment of a run on it. Lakes are prefixes of one bucket."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def env(self, name: str, url: str | None = None) -> dict[str, str]:
        """What a run on the lake `name` has to be told; `url` is that of a proxy."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
            "AWS_REGION": "eu-central-1",
            "FLOWFORGE_SCRATCH_DIR": str(self.folder / name.replace("/", "-")),
            "FLOWFORGE_LAKE_URL": f"s3://{BUCKET}/{name}",
        }

    def lake(self, name: str) -> Lake:
        """The lake as the test sees it, past any proxy."""
        with _ONE_ENVIRONMENT, pytest.MonkeyPatch.context() as patch:
            for variable, value in self.env(name).items():
                patch.setenv(variable, value)
            return Lake()

    def run(self, forker: Forker, name: str, url: str | None = None, **kill: Any) -> dict[str, Any]:
        """Run `shop` on the lake `name`."""
        env = self.env(name, url)
        return forker.run(env["FLOWFORGE_LAKE_URL"], "shop", env=env, **kill)

    def same(self, name: str, content: Mapping[str, bytes]) -> Lake:
        """A new lake that holds some objects."""
        lake = self.lake(name)
        for key, value in content.items():
            lake.write(key, value)
        return lake

    def start(self, forker: Forker, day: str) -> dict[str, bytes]:
        """What lies on the lake before the run of a day."""
        name = f"start/{uuid4().hex[:8]}"
        lake = self.lake(name)
        land(lake, "shop", SHOP_DAY1)
        if day == "second day":
            done = self.run(forker, name)
            assert done["status"] == 0, done["said"]
            land(lake, "shop", SHOP_DAY2)
        return {found.key: lake.read(found.key) or b"" for found in lake.objects("")}

    def wrong(self, name: str, after: dict[str, Any], expected: Mapping[str, str]) -> str | None:
        """What a clean run left that an undisturbed one does not leave."""
        if after["status"]:
            return f"the clean run failed: {after['said']}"
        lake = self.lake(name)
        if left := leftovers(lake):
            return f"left over: {left}"
        found = state(lake)
        return next((f"{key} differs" for key in {**expected, **found} if found.get(key) != expected.get(key)), None)


@contextmanager
def remote(folder: Path) -> Iterator[Remote]:
    """Start the server, with its bucket, and end it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _has_bucket(port), "the S3 server answers", process=process)
        yield Remote(f"http://127.0.0.1:{port}", folder)
    finally:
        stop(process)


def _has_bucket(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("PUT", f"/{BUCKET}")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
