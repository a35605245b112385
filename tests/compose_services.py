"""docker-compose.yml as tests see it: its promises to read, its commands to run as processes of this machine.

A container's view becomes this machine's by one visible table (`Machine.here`): service names and 0.0.0.0 are 127.0.0.1,
the ports and folders of the images are free ports and a temporary folder. Nothing else of a command, an environment
or a health check is changed, and a process gets no variable that its container would not get.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from processes import stop, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


def compose() -> dict[str, Any]:
    """The file as written: anchors resolved, variables not."""
    return dict(yaml.safe_load(COMPOSE_FILE.read_text()))


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Compose's `${X:?…}`, `${X:-…}` and `$$`; an empty variable is an unset one."""

    def value(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        if given := variables.get(match["name"]):
            return given
        if match["kind"] == "-":
            return match["rest"]
        raise KeyError(f"{match['name']} {match['rest']}")

    return VARIABLE.sub(value, text)


def image_environment() -> dict[str, str]:
    """What the image itself sets: the last ENV of the Dockerfile."""
    last = re.findall(r"^ENV (.+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)[-1]
    return dict(item.split("=", 1) for item in last.split())


@dataclass(frozen=True)
class Machine:
    """This machine in the place of the containers."""

    folder: Path
    variables: dict[str, str]
    ports: dict[str, int]
    programs: tuple[Path, ...] = ()

    def here(self, text: str) -> str:
        text = interpolate(str(text), self.variables)
        text = re.sub(rf"(?<![\w.-])({'|'.join(compose()['services'])}|0\.0\.0\.0)(?![\w.-])", "127.0.0.1", text)
        text = re.sub(rf"\b({'|'.join(self.ports)})\b", lambda port: str(self.ports[port[1]]), text)
        text = re.sub(r"^/app/", f"{ROOT}/", text)
        return re.sub(r"^/(?=tmp$|var/lib/flowforge|opt/dagster)", f"{self.folder}/", text)

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        given = {"HOME": "/tmp"} | image_environment() | service.get("environment", {})  # noqa: S108
        folders = (Path(sys.prefix) / "bin", *self.programs, "/usr/bin", "/bin")
        return {name: self.here(value) for name, value in given.items()} | {"PATH": os.pathsep.join(map(str, folders))}


class Container:
    """One service of the compose file as a process group."""

    def __init__(self, name: str, machine: Machine, **changed: str) -> None:
        self.name, self.machine, self.service = name, machine, compose()["services"][name]
        self.environment = machine.environment(self.service)
        command = [changed.get(word, machine.here(word)) for word in self.service["command"]]
        self.log = machine.folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [shutil.which(command[0], path=self.environment["PATH"]) or command[0], *command[1:]],
                env=self.environment,
                cwd=machine.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_as_init_starts_it,  # noqa: PLW1509 (one signal call; no lock to inherit)
            )

    def is_healthy(self) -> bool:
        """The compose file's own health check, run once."""
        kind, *words = (self.machine.here(word) for word in self.service["healthcheck"]["test"])
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        found = shutil.which(command[0], path=self.environment["PATH"]) or command[0]
        asked = subprocess.run([found, *command[1:]], env=self.environment, check=False, capture_output=True)
        return asked.returncode == 0

    def wait_until_healthy(self) -> None:
        try:
            wait_until(self.is_healthy, f"{self.name} is healthy", process=self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-4000:]}") from error

    def stop(self) -> None:
        """As Docker does: the first process, or all with TINI_KILL_PROCESS_GROUP, is asked; what is left is killed."""
        stop(self.process, group="TINI_KILL_PROCESS_GROUP" in self.environment)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _as_init_starts_it() -> None:
    """A test run in the background ignores SIGINT; Dagster would inherit that, and then ignore SIGTERM as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
