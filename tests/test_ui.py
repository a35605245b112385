"""What a person sees in the web UI: the lineage graph, a table's page, the Materialize button, the landing sensor."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from processes import wait_until
from scenario import MODELS
from web_ui import CHROMEDRIVER, CHROMIUM, ROOT, TRAIL, Page, Stack, browser

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPECTED = json.loads((ROOT / "sample-data/expected.json").read_text(encoding="utf-8"))
TABLES = sorted(EXPECTED["day1"])
LAYER = (
    {f"bronze_{name}": "bronze" for name in TABLES}
    | {f"silver_{name}": "silver" for name in TABLES}
    | dict.fromkeys((*MODELS, "gold_published"), "gold")
)
CUSTOMERS_PAGE = "/assets/retail/silver_customers"
SENSOR_PAGE = "/locations/flowforge/sensors/retail_landing"
MATERIALIZE_ALL = "//button[contains(., 'Materialize all')]"
SWITCH = "//tr[contains(., 'Running')]//label"

if not (CHROMIUM.exists() and CHROMEDRIVER.exists()) and not os.environ.get("CI"):
    pytest.skip(
        f"No {CHROMIUM} or {CHROMEDRIVER}: install them with `apt-get install chromium chromium-driver`.",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web UI and daemon over a lake where day 1 has landed, the sensor switched off."""
    stack = Stack(tmp_path_factory.mktemp("ui"))
    stack.prepare()
    try:
        stack.start_webserver()
        stack.stop_sensor("retail_landing")  # or it would take day 1 before the button is pressed
        stack.start("dagster-daemon", "run")
        stack.land("day1")
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    with browser(stack.url, stack.folder) as page:
        yield page


@pytest.fixture(scope="module")
def pressed(stack: Stack, page: Page) -> str:
    """The run that the Materialize button of the job's page started, ended."""
    page.open("/locations/flowforge/jobs/retail")
    page.click(MATERIALIZE_ALL)
    (run,) = wait_until(stack.runs, "the button started a run")
    assert run["jobName"] == "retail"
    assert stack.ended(run["runId"]) == "SUCCESS"
    return str(run["runId"])


def test_the_lineage_graph_shows_every_table_under_a_name_of_its_own_with_its_layers_icon(page: Page) -> None:
    shown = page.graph("/asset-groups/")
    assert not shown.pop(TRAIL) & {"bronze", "silver", "gold"}
    layers = {name: icons & {"bronze", "silver", "gold"} for name, icons in shown.items()}
    assert layers == {name: {layer} for name, layer in LAYER.items()}


def test_the_materialize_button_starts_a_run_that_succeeds(page: Page, pressed: str) -> None:
    page.open(f"/runs/{pressed}")
    page.see("Success", "23 assets", "retail__silver_customers")


def test_a_silver_tables_page_shows_rows_columns_account_and_preview(stack: Stack, page: Page, pressed: str) -> None:
    expected = EXPECTED["day1"]["customers"]
    assert stack.materialized("silver_customers")["run"] == pressed
    page.open(f"{CUSTOMERS_PAGE}?view=overview")
    page.see("Row count", str(expected["rows_in_silver"]), "Latest check results")
    page.see("customers_key", "signup_date", "date", "Six digits, leading zeros matter.", "Personal data")
    page.see("People who registered, as they are known today.", "sensors", "quarantined", "preview", "•••")


def test_a_checks_page_says_what_is_demanded_and_shows_the_rows_that_break_it(page: Page, pressed: str) -> None:
    broken = EXPECTED["day1"]["customers"]["rules"]["matches_email"]
    page.open(f"{CUSTOMERS_PAGE}?view=checks&checkDetail=matches_email")
    page.see("keys_present", "type", "allowed_values_status", "references_country_code", "books")
    page.see("email as a whole matches", f"{broken} of 616 rows break it and are in quarantine.", "Customers.csv")
    assert "@example" not in page.text, "an e-mail address is personal data"


def test_the_landing_sensor_starts_a_run_that_takes_the_new_files(stack: Stack, page: Page, pressed: str) -> None:
    expected = EXPECTED["day2"]["customers"]
    stack.land("day2")
    page.open(SENSOR_PAGE)
    page.click(SWITCH)
    by_sensor = {"dagster__sensor_name": "retail_landing"}
    (run,) = wait_until(lambda: stack.runs(**by_sensor), "the sensor started a run", limit_s=90)
    assert stack.ended(run["runId"]) == "SUCCESS"
    taken = stack.materialized("silver_customers")
    assert taken["run"] == run["runId"] != pressed
    assert taken["dagster/row_count"] == expected["rows_in_silver"]
    assert taken["inserted"] == expected["inserted"]
    assert stack.materialized("fact_sales")["dagster/row_count"] == EXPECTED["gold"]["fact_sales_rows"]
    page.see("1 run requested", run["runId"][:8])
    page.open(f"{CUSTOMERS_PAGE}?view=overview")
    page.see("Row count", str(expected["rows_in_silver"]))
