"""Dagster's web UI as `make dev` starts it, on a lake of its own, and a browser to look at it.

Belongs here: processes, GraphQL and page reading. Does not: what the pages should show.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from processes import free_port, stop, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

ROOT = Path(__file__).parent.parent
CHROMIUM, CHROMEDRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
WINDOW = (1600, 1400)
# Large enough for the whole lineage graph at the zoom from which nodes show their kinds.
WALL = (6400, 3600)
_QUIET = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
)
TRAIL = "quarantine_decisions"  # the one asset of a workflow that is no table
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass
class Stack:
    """The processes of `make dev` on one lake and instance."""

    folder: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The machine's, without its settings of ours and Dagster's."""
        ours = ("FLOWFORGE_", "AWS_", "DAGSTER_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        settings = {"DAGSTER_HOME": "home", "FLOWFORGE_LAKE_URL": "lake", "XDG_CACHE_HOME": "cache"}
        return kept | {name: str(self.folder / value) for name, value in settings.items()}

    def prepare(self) -> None:
        """An instance as the Makefile makes it."""
        (self.folder / "home").mkdir()
        shutil.copy(ROOT / "dagster.yaml", self.folder / "home")

    def start(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}.log").open("wb") as log:
            self.running[command] = subprocess.Popen(
                [str(Path(sys.executable).parent / command), *arguments, "-w", str(ROOT / "workspace.yaml")],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.running[command]

    def start_webserver(self) -> None:
        process = self.start("dagster-webserver", "-h", "127.0.0.1", "-p", str(self.port))
        wait_until(self._answers, "the webserver answers", process=process, limit_s=180)

    def stop(self) -> None:
        """All at once: the daemon waits for its threads, and what they still say is of no use."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda process: stop(process, group=True, limit_s=5), self.running.values()))

    def land(self, day: str) -> None:
        """Upload a day's files as a user does."""
        for table in sorted((ROOT / "sample-data" / day).iterdir()):
            command = [str(Path(sys.executable).parent / "flowforge"), "land", "--workflow", "retail"]
            files = sorted(str(file) for file in table.glob("*.csv"))
            done = subprocess.run(
                [*command, "--table", table.name, *files], env=self.env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/server_info", timeout=10) as answer:  # noqa: S310  # our own server
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310  # our own server
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            said = json.load(answer)
        assert "errors" not in said, said["errors"]
        data: dict[str, Any] = said["data"]
        return data

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs with these tags, newest first."""
        wanted = {"tags": [{"key": name.replace("__", "/"), "value": value} for name, value in tags.items()]}
        query = (
            "query($filter: RunsFilter) {runsOrError(filter: $filter) {... on Runs {results {runId jobName status}}}}"
        )
        found: list[dict[str, Any]] = self.graphql(query, filter=wanted)["runsOrError"]["results"]
        return found

    def ended(self, run_id: str, *, limit_s: float = 120) -> str:
        """How a run ended."""

        def status() -> str:
            found = {run["runId"]: run["status"] for run in self.runs()}
            return found[run_id] if found[run_id] in _ENDED else ""

        return wait_until(status, f"run {run_id} ended", process=self.running["dagster-daemon"], limit_s=limit_s)

    def materialized(self, asset: str) -> dict[str, Any]:
        """The newest materialization of a `retail` asset: its numbers by label, and `run`."""
        query = (
            "query($key: AssetKeyInput!) {assetNodeOrError(assetKey: $key) {... on AssetNode {assetMaterializations(limit: 1) "
            "{runId metadataEntries {label ... on IntMetadataEntry {intValue}}}}}}"
        )
        found = self.graphql(query, key={"path": ["retail", asset]})["assetNodeOrError"]["assetMaterializations"]
        numbers = {entry["label"]: entry["intValue"] for entry in found[0]["metadataEntries"] if "intValue" in entry}
        return {"run": found[0]["runId"], **numbers}

    def stop_sensor(self, name: str) -> None:
        """As the switch on its page does."""
        where = {"repositoryLocationName": "flowforge", "repositoryName": "__repository__", "sensorName": name}
        query = "query($sensor: SensorSelector!) {sensorOrError(sensorSelector: $sensor) {... on Sensor {id}}}"
        sensor = self.graphql(query, sensor=where)["sensorOrError"]["id"]
        self.graphql("mutation($id: String) {stopSensor(id: $id) {__typename}}", id=sensor)


@dataclass
class Page:
    """What a person sees and does in the browser."""

    driver: webdriver.Chrome
    url: str
    folder: Path

    def open(self, path: str) -> None:
        self.driver.get(f"{self.url}{path}")
        self.see("Automation")  # the navigation, beside every page
        for button in self.driver.find_elements(By.XPATH, "//button[normalize-space()='Skip']"):
            button.click()  # "Join the community", where an instance asks for it

    @property
    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def see(self, *texts: str, limit_s: float = 120) -> None:
        """Wait until the page shows all these texts; a picture of it is left behind where it does not."""
        missing = list(texts)

        def all_there() -> bool:
            shown = self.text
            missing[:] = [text for text in texts if text not in shown]
            return not missing

        try:
            wait_until(all_there, "the page shows", limit_s=limit_s)
        except AssertionError:
            picture = self.folder / "not-shown.png"
            self.driver.save_screenshot(str(picture))
            raise AssertionError(f"{self.driver.current_url} does not show {missing}; see {picture}") from None

    def click(self, xpath: str) -> None:
        self._found(xpath).click()

    def _found(self, xpath: str) -> WebElement:
        def first() -> WebElement | None:
            found = self.driver.find_elements(By.XPATH, xpath)
            return next((one for one in found if one.is_displayed() and one.is_enabled()), None)

        found = wait_until(first, f"the page has {xpath}", limit_s=90)
        assert found is not None
        return found

    def graph(self, path: str) -> dict[str, set[str]]:
        """The nodes of a lineage graph, once all stand there with their kinds: the label as shown, the icons' names."""
        self.driver.set_window_size(*WALL)
        try:
            self.open(path)
            return wait_until(self._whole_graph, f"{path} shows every node and its kinds", limit_s=60)
        finally:
            self.driver.set_window_size(*WINDOW)

    def _whole_graph(self) -> dict[str, set[str]]:
        nodes = self._nodes()
        tables = [icons for name, icons in nodes.items() if name != TRAIL]
        return nodes if TRAIL in nodes and all(icons & {"parquet", "duckdb"} for icons in tables) else {}

    def _nodes(self) -> dict[str, set[str]]:
        return {
            label: set(icons)
            for label, icons in self.driver.execute_script(
                "return [...document.querySelectorAll('foreignObject')].map(node => ["
                "  node.querySelector('[data-tooltip]')?.innerText,"
                "  [...node.querySelectorAll('[role=img]')].map(icon => icon.ariaLabel)]).filter(([label]) => label)"
            )
        }


@contextmanager
def browser(url: str, folder: Path) -> Iterator[Page]:
    """Chromium with a new profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    size = ",".join(str(pixels) for pixels in WINDOW)
    for option in (*_QUIET, f"user-data-dir={folder / 'profile'}", f"window-size={size}"):
        options.add_argument(f"--{option}")
    driver = webdriver.Chrome(options=options, service=Service(str(CHROMEDRIVER)))
    try:
        yield Page(driver, url, folder)
    finally:
        driver.quit()
