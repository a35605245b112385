"""Fixtures: a lake in a temporary folder, and one on a real S3 wire."""

from __future__ import annotations

import faulthandler
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from dagster._core.storage.event_log import in_memory as in_memory_events
from dagster._core.storage.runs import in_memory as in_memory_runs

from flowforge_resources.lake import Lake
from s3_actions import Recorder, refused
from scenario import MODELS, TABLES, land_day, objects, retail, rows_of, run_well, state
from sources import mariadb_source, postgres_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sources import Server

REGION = "eu-central-1"
LAKE_POLICY = Path(__file__).parent.parent / "deploy" / "lake-policy.json"
# Files that take longest, or wait for clocks and browsers: they begin first, so that no process is left alone with one.
LONGEST = (
    "test_gates_daemon",
    "test_crash",
    "test_ui",
    "test_faulty_store",
    "test_crash_s3",
    "test_extraction_crash",
    "test_deploy",
    "test_strategy_properties",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: some are always waiting for a server, a child or a clock."""
    del config
    return (os.cpu_count() or 1) + 1


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of a crash in native code, tell the thread it happened in and no other.

    To look into the frames of threads that go on running is a second fault, and then a core file shows that one.
    """
    if (stderr := session.config.stash.get(fault_handler_stderr_fd_key, None)) is not None:
        faulthandler.enable(stderr, all_threads=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, all others in their order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _quick_instances() -> Iterator[None]:
    """Dagster stamps every storage in memory with the newest of its 90 migrations: 50 ms of a run, and nobody reads it."""
    with pytest.MonkeyPatch.context() as patch:
        for storage in (in_memory_runs, in_memory_events):
            patch.setattr(storage, "stamp_alembic_rev", lambda *_args: None)
        yield


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing a developer exported reaches a test, and no test writes into the checkout or the home."""
    for name in [name for name in os.environ if name.startswith(("FLOWFORGE_", "AWS_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path / "lake"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FLOWFORGE_THREADS", "2")


@pytest.fixture
def lake(_no_settings_of_the_machine: None) -> Lake:
    """An empty lake in a local folder, which the environment names."""
    return Lake()


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Day 1, day 2 and a third run with nothing new of `retail`, each with what the local lake held after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWFORGE_LAKE_URL", str(tmp_path_factory.mktemp("two_days")))
        lake = Lake()
        found: dict[str, Any] = {"lake": lake}
        for day in ("day1", "day2", "again"):
            if day != "again":
                land_day(lake, day)
            found[day] = run_well(retail(), "retail")
            found[f"{day} objects"] = objects(lake)
            found[f"{day} state"] = state(lake)
            found[f"{day} rows"] = {table: rows_of(lake, f"silver/retail/{table}/current.parquet") for table in TABLES}
            found[f"{day} gold"] = {model: rows_of(lake, f"gold/retail/{model}.parquet") for model in MODELS}
            held = {table: rows_of(lake, f"quarantine/retail/{table}/current.parquet") for table in TABLES}
            found[f"{day} held"] = held
    return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server of this session."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line a request otherwise
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, _no_settings_of_the_machine: None) -> Iterator[str]:
    """The URL of an empty prefix in a new bucket, with the standard variables set for it.

    Whatever is asked of it must be allowed by the policy we tell people to give the lake's user.
    """
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    bucket = f"bucket-{uuid4().hex[:12]}"
    settings = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "FLOWFORGE_LAKE_URL": f"s3://{bucket}/some/prefix",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    seen, answer = Recorder(), DomainDispatcherApplication.__call__

    def noted(app: Any, environ: dict[str, Any], start_response: Any) -> Any:
        # A test puts objects with boto3, as a user would; we only list and abort uploads with it.
        of_a_test = "Boto3" in environ.get("HTTP_USER_AGENT", "") and environ["REQUEST_METHOD"] in ("PUT", "POST")
        if environ["PATH_INFO"].lstrip("/").startswith(bucket) and not of_a_test:
            seen.note(environ)
        return answer(app, environ, start_response)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", noted)
    yield settings["FLOWFORGE_LAKE_URL"]
    assert refused(LAKE_POLICY, seen.asked, bucket=bucket, prefix="some/prefix") == []


@pytest.fixture
def s3_lake(s3: str) -> Lake:
    """An empty lake on S3, which the environment names."""
    return Lake()


@pytest.fixture(params=["local", "s3"])
def any_lake(request: pytest.FixtureRequest) -> Lake:
    """A lake of each kind."""
    found: Lake = request.getfixturevalue("lake" if request.param == "local" else "s3_lake")
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL of this session."""
    with postgres_source() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A MariaDB of this session."""
    with mariadb_source() as server:
        yield server
