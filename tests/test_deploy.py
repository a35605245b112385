"""The compose file keeps its promises, and its commands work: no Docker engine is needed to know both.

PostgreSQL, code server, webserver and daemon are started as processes from the words of docker-compose.yml, and judged by its
own health checks. What only an engine can show (the image builds, volumes' owners, the read-only file system) is
not proved here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from compose_services import COMPOSE_FILE, ROOT, VARIABLE, Container, Machine, compose, interpolate
from postgres_server import postgres_server
from processes import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = compose()["services"]
LONG_RUNNING = sorted(set(SERVICES) - {"bucket"})
DAGSTER = ["code", "webserver", "daemon"]
SECRETS = {
    "DAGSTER_POSTGRES_PASSWORD",
    "MINIO_ROOT_PASSWORD",
    "FLOWFORGE_LAKE_SECRET_ACCESS_KEY",
    "FLOWFORGE_LANDING_SECRET_ACCESS_KEY",
}
REAL_MODULE = "flowforge_assets.definitions"
STAND_IN = "deployed_definitions"


# ---- the files ----


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_long_running_service_restarts_and_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= SERVICES[name]["healthcheck"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_root_no_capability_and_no_writable_file_system(name: str) -> None:
    service = SERVICES[name]
    assert str(service["user"]).split(":")[0] not in ("", "0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_an_exact_version(name: str) -> None:
    tag = interpolate(SERVICES[name]["image"], {}).rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-\w+)?|RELEASE\.[\dTZ-]+", tag)


@pytest.mark.parametrize("name", SERVICES)
def test_a_dependency_is_awaited_until_it_is_ready(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        ready = "service_healthy" if needed in LONG_RUNNING else "service_completed_successfully"
        assert how == {"condition": ready}


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_what_is_kept_lives_on_named_volumes_and_what_is_mounted_is_there() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith(".")}
    assert named == set(compose()["volumes"])
    for source, _, *mode in (mount for mount in mounts if mount[0].startswith(".")):
        assert (ROOT / source).is_file()
        assert mode == ["ro"]


def test_each_build_names_a_dockerfile_that_copies_only_what_its_context_lets_in() -> None:
    for build in (service["build"] for service in SERVICES.values() if "build" in service):
        assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_is_made_with_the_makefiles_uv() -> None:
    makefile, dockerfile = (ROOT / "Makefile").read_text(), (ROOT / "deploy/Dockerfile").read_text()
    assert re.search(r"UV_VERSION := (\S+)", makefile)[1] == re.search(r"UV_VERSION=(\S+)", dockerfile)[1]  # type: ignore[index]


def test_every_secret_must_be_given_and_says_how() -> None:
    required = {m["name"]: m["rest"] for m in VARIABLE.finditer(COMPOSE_FILE.read_text()) if m["kind"] == "?"}
    assert required.keys() == SECRETS
    assert all("make-env.sh" in message for message in required.values())


def test_no_secret_is_written_in_a_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {variable}"
    example = (ROOT / "deploy/env.example").read_text()
    assert {f"{secret}=" for secret in SECRETS} <= set(example.splitlines())


def test_only_the_code_server_holds_a_key_of_the_lake() -> None:
    holders = {name for name in DAGSTER if "AWS_SECRET_ACCESS_KEY" in SERVICES[name]["environment"]}
    assert holders == {"code"}


def test_the_lakes_user_is_let_into_the_lakes_prefix_and_nowhere_else() -> None:
    bucket, prefix = SERVICES["code"]["environment"]["FLOWFORGE_LAKE_URL"].removeprefix("s3://").split("/")
    listing, uploads, objects = json.loads((ROOT / "deploy/lake-policy.json").read_text())["Statement"]
    assert (uploads["Action"], uploads["Resource"]) == (["s3:ListBucketMultipartUploads"], listing["Resource"])
    assert listing["Resource"] == [f"arn:aws:s3:::{bucket}"]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == [prefix, f"{prefix}/*"]
    assert objects["Resource"] == [f"arn:aws:s3:::{bucket}/{prefix}/*"]
    assert not any("*" in action for statement in (listing, uploads, objects) for action in statement["Action"])


def test_the_receivers_user_can_add_to_landing_and_nothing_else() -> None:
    environment = SERVICES["receiver"]["environment"]
    assert environment["AWS_ACCESS_KEY_ID"] == SERVICES["bucket"]["environment"]["LANDING_USER"]
    assert environment["AWS_ACCESS_KEY_ID"] != SERVICES["code"]["environment"]["AWS_ACCESS_KEY_ID"]
    bucket, prefix = environment["FLOWFORGE_LAKE_URL"].removeprefix("s3://").split("/")
    listing, objects = json.loads((ROOT / "deploy/landing-policy.json").read_text())["Statement"]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == [f"{prefix}/landing", f"{prefix}/landing/*"]
    assert objects["Resource"] == [f"arn:aws:s3:::{bucket}/{prefix}/landing/*"]
    assert objects["Action"] == ["s3:GetObject", "s3:PutObject"]


def test_make_env_writes_random_secrets_once_and_for_the_owner_only(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in ("make-env.sh", "env.example"):
        shutil.copy(ROOT / "deploy" / name, tmp_path / "deploy")
    make = ["sh", tmp_path / "deploy/make-env.sh"]
    subprocess.run(make, check=True, capture_output=True)
    env = (tmp_path / ".env").read_text()
    values = dict(re.findall(r"^(\w+)=([0-9a-f]{40})$", env, re.MULTILINE))
    assert values.keys() == SECRETS
    assert len(set(values.values())) == len(SECRETS)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    again = subprocess.run(make, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "left as it is" in again.stderr
    assert (tmp_path / ".env").read_text() == env


@pytest.mark.parametrize("attached", [False, True])
def test_the_bucket_script_repeats_without_a_change(tmp_path: Path, attached: bool) -> None:
    """`mc` itself is on no package registry; this recorder shows what the script would ask of it, and in what order."""
    recorder = tmp_path / "mc"
    answer = "PolicyName: lake-access,landing-access" if attached else "PolicyName:"
    recorder.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/calls\n'
        f'case "$*" in *"alias set"*|*"user add"*) cat >> {tmp_path}/keys;; *"user info"*) echo "{answer}";; esac\n'
    )
    recorder.chmod(0o755)
    service = SERVICES["bucket"]
    machine = Machine(tmp_path, dict.fromkeys(SECRETS, "s3cret"), {"9000": 9000})
    script = str(ROOT / service["command"][0].removeprefix("/"))
    env = machine.environment(service) | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run([*service["entrypoint"], script], env=env, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == [
        f"--quiet alias set store {env['MINIO_URL']}",
        "--quiet mb --ignore-existing store/flowforge",
        *(
            call
            for user in ("lake", "landing")
            for call in (
                f"--quiet admin policy create store {user}-access {ROOT}/deploy/{user}-policy.json",
                "--quiet admin user add store",
                f"admin user info store flowforge-{user}",
                *([] if attached else [f"--quiet admin policy attach store {user}-access --user flowforge-{user}"]),
            )
        ),
    ]
    assert "s3cret" not in "".join(calls)
    assert (tmp_path / "keys").read_text().split() == [
        word for user in ("admin", "lake", "landing") for word in (f"flowforge-{user}", "s3cret")
    ]


def test_a_compose_program_accepts_the_file(tmp_path: Path) -> None:
    """`config` needs no engine: Compose v2's plugin, or Debian's docker-compose 1.29."""
    program = _compose_program()
    (tmp_path / "env").write_text("".join(f"{secret}=x\n" for secret in SECRETS))
    command = [*program, "--file", COMPOSE_FILE, "--env-file", tmp_path / "env", "config"]
    resolved = subprocess.run(command, check=True, capture_output=True, text=True)
    assert yaml.safe_load(resolved.stdout)["services"].keys() == SERVICES.keys()
    (tmp_path / "env").write_text("")
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "make-env.sh" in refused.stderr


def _compose_program() -> list[str]:
    for program in (["docker", "compose"], ["docker-compose"]):
        if not shutil.which(program[0]):
            continue
        if subprocess.run([*program, "version"], check=False, capture_output=True).returncode == 0:
            return program
    pytest.skip("No compose program: install Docker's compose plugin, or Debian's docker-compose. No engine is needed.")


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster.yaml"])
def test_dagster_accepts_its_settings(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import DagsterInstance
    from dagster._core.instance.config import PoolGranularity
    from dagster._core.run_coordinator import QueuedRunCoordinator

    settings = yaml.safe_load((ROOT / file).read_text())
    settings.pop("storage", None)  # the process test opens the real one
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DAGSTER_LOGS_DIR", str(tmp_path / "logs"))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
        pools = instance.get_concurrency_config().pool_config
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert (pools.pool_granularity, pools.default_pool_limit) == (PoolGranularity.RUN, 1)


# ---- the processes ----


class Deployment:
    """The three Dagster containers as processes over a real PostgreSQL, and their GraphQL."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.running: dict[str, Container] = {}
        self.url = f"http://127.0.0.1:{machine.ports['3000']}/graphql"

    def start(self) -> None:
        """In the order of `depends_on`: the code server is healthy before the others begin, which begin together."""
        self.start_code(module=STAND_IN)
        for name in ("webserver", "daemon"):
            self.running[name] = Container(name, self.machine)
        for name in ("webserver", "daemon"):
            self.running[name].wait_until_healthy()

    def start_code(self, *, module: str) -> None:
        self.running["code"] = Container("code", self.machine, **{REAL_MODULE: module})
        self.running["code"].wait_until_healthy()

    def stop(self) -> None:
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(Container.stop, self.running.values()))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(self.url, body, {"Content-Type": "application/json"})  # noqa: S310 (our own http URL)
        with urlopen(request, timeout=20) as answer:  # noqa: S310 (the same)
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return dict(found["data"])

    def launch(self, job: str) -> str:
        selector = {"repositoryLocationName": "flowforge", "repositoryName": "__repository__", "jobName": job}
        launched = self.ask(LAUNCH, params={"selector": selector})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def status(self, run_id: str) -> str:
        return str(self.ask(STATUS, id=run_id)["runOrError"]["status"])

    def last_run(self, job: str) -> str | None:
        runs = self.ask(RUNS, job=job)["runsOrError"]["results"]
        return str(runs[0]["runId"]) if runs else None

    def events(self, run_id: str) -> list[dict[str, Any]]:
        return list(self.ask(EVENTS, id=run_id)["runOrError"]["eventConnection"]["events"])

    def assets(self) -> set[str]:
        """The last part of every asset's key in the location `flowforge`."""
        (entry,) = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        assert entry["name"] == "flowforge"
        repositories = (entry["locationOrLoadError"] or {}).get("repositories", [])
        return {node["assetKey"]["path"][-1] for repository in repositories for node in repository["assetNodes"]}


LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
EVENTS = """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection {
  events { __typename ... on MessageEvent { message } ... on LogsCapturedEvent { fileKey } } } } } }"""
LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
  ... on PythonError { message } ... on RepositoryLocation { repositories { assetNodes { assetKey { path } } } } } } } } }"""
RUNS = "query($job: String!) { runsOrError(filter: {pipelineName: $job}) { ... on Runs { results { runId } } } }"
LOGS = "query($key: [String!]!) { capturedLogs(logKey: $key) { stdout } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    for path in ("tmp", "opt/dagster", "var/lib/flowforge/logs", "var/lib/flowforge/scratch"):
        (folder / path).mkdir(parents=True)
    shutil.copy(ROOT / "deploy/dagster.yaml", folder / "opt/dagster")
    shutil.copy(Path(__file__).with_name(f"{STAND_IN}.py"), folder)
    environment = SERVICES["postgres"]["environment"]
    variables = {secret: os.urandom(20).hex() for secret in SECRETS}
    password = interpolate(environment["POSTGRES_PASSWORD"], variables)
    with postgres_server(
        user=environment["POSTGRES_USER"], password=password, database=environment["POSTGRES_DB"]
    ) as server:
        ports = {"5432": server.port, "4000": free_port(), "3000": free_port(), "9000": free_port()}
        deployment = Deployment(Machine(folder, variables, ports, (server.programs,)))
        try:
            deployment.start()
            yield deployment
        finally:
            deployment.stop()


@contextmanager
def s3_with_a_day_of_retail(machine: Machine) -> Iterator[None]:
    """An S3 server where the compose file puts MinIO, with the bucket that its one-shot service makes."""
    import boto3
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer(ip_address="127.0.0.1", port=machine.ports["9000"], verbose=False)
    store.start()
    try:
        env = machine.environment(SERVICES["code"])
        bucket, _, prefix = env["FLOWFORGE_LAKE_URL"].removeprefix("s3://").partition("/")
        client = boto3.client(
            "s3",
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=bucket)
        for file in (ROOT / "sample-data/day1").glob("*/*"):
            client.put_object(
                Bucket=bucket, Key=f"{prefix}/landing/retail/{file.parent.name}/{file.name}", Body=file.read_bytes()
            )
        yield
    finally:
        store.stop()


def test_the_receiver_is_healthy_and_answers(tmp_path: Path) -> None:
    """The sample workflow declares no webhook: every table is unknown to it. What it does with others: test_webhook."""
    (tmp_path / "var/lib/flowforge/scratch").mkdir(parents=True)
    machine = Machine(tmp_path, dict.fromkeys(SECRETS, "s3cret"), {"3001": free_port(), "9000": free_port()})
    receiver = Container("receiver", machine)
    try:
        receiver.wait_until_healthy()
        delivery = Request(f"http://127.0.0.1:{machine.ports['3001']}/landing/retail/orders", b"{}")
        with pytest.raises(HTTPError) as refused:
            urlopen(delivery, timeout=20)  # noqa: S310 (the same)
        with refused.value as answer:
            assert answer.code == 404
    finally:
        receiver.stop()


def test_each_container_says_that_it_is_healthy(deployment: Deployment) -> None:
    assert all(container.is_healthy() for container in deployment.running.values())
    statuses = deployment.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert all(status["healthy"] for status in statuses if status["required"])


def test_postgres_health_check_tells_a_server_from_none(deployment: Deployment) -> None:
    machine, service = deployment.machine, SERVICES["postgres"]
    kind, check = service["healthcheck"]["test"]
    for port, healthy in ((machine.ports["5432"], True), (free_port(), False)):
        env = machine.environment(service) | {"PGPORT": str(port)}  # the container's port is the default one
        assert kind == "CMD-SHELL"
        asked = subprocess.run(["sh", "-c", machine.here(check)], check=False, env=env)
        assert (asked.returncode == 0) is healthy


@pytest.mark.parametrize("target", ["grpc 127.0.0.1:{}", "http http://127.0.0.1:{}/server_info"])
def test_a_health_check_fails_where_nobody_answers(target: str) -> None:
    words = target.format(free_port()).split()
    asked = subprocess.run([sys.executable, ROOT / "deploy/healthy.py", *words], check=False, capture_output=True)
    assert asked.returncode == 1


def test_the_webserver_shows_what_the_code_server_holds(deployment: Deployment) -> None:
    assert deployment.assets() == {"quick", "endless"}


def test_a_run_passes_the_queue_and_its_printed_lines_reach_the_webserver(deployment: Deployment) -> None:
    run_id = deployment.launch("quick_job")
    wait_until(lambda: deployment.status(run_id) in ("SUCCESS", "FAILURE"), "the run has ended")
    events = deployment.events(run_id)
    assert deployment.status(run_id) == "SUCCESS", events
    assert "RunEnqueuedEvent" in {event["__typename"] for event in events}
    (file_key,) = (event["fileKey"] for event in events if event["__typename"] == "LogsCapturedEvent")
    logs = deployment.ask(LOGS, key=[run_id, "compute_logs", file_key])["capturedLogs"]
    assert logs["stdout"] == "printed by a step\n"


def test_stopping_the_code_container_leaves_no_run_that_looks_alive(deployment: Deployment) -> None:
    run_id = deployment.launch("endless_job")

    def has_begun() -> bool:
        return any("endless has begun" in event.get("message", "") for event in deployment.events(run_id))

    wait_until(has_begun, "the endless run works")
    deployment.running["code"].stop()
    assert deployment.status(run_id) in ("FAILURE", "CANCELED")


def test_a_new_code_container_is_found_again_and_its_sensor_runs_the_workflow_on_s3(deployment: Deployment) -> None:
    """The compose file's command word for word, in the environment it gives; the webserver meets it as an upgrade."""
    with s3_with_a_day_of_retail(deployment.machine):
        deployment.running["code"].stop()
        deployment.start_code(module=REAL_MODULE)
        wait_until(lambda: "silver_orders" in deployment.assets(), "FlowForge's tables are shown")
        run_id = wait_until(lambda: deployment.last_run("retail"), "the landing sensor has requested a run")
        wait_until(lambda: deployment.status(run_id) in ("SUCCESS", "FAILURE"), "the workflow has ended")
        said = [event.get("message", "") for event in deployment.events(run_id)]
        assert deployment.status(run_id) == "SUCCESS", "\n".join(said[-20:])


def test_the_containers_wrote_nothing_beside_their_volumes(deployment: Deployment) -> None:
    """DAGSTER_HOME is part of the image, whose file system is read-only."""
    home = deployment.machine.folder / "opt/dagster"
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]
