"""The page with the graph, in a real browser: a click on a column shows where it comes from and where it goes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By

from flowforge_assets.cli.lineage import declared_lineage
from flowforge_assets.lineage.edges import KINDS, ColumnRef, Edge, TableNode
from flowforge_assets.lineage.graph import Lineage
from flowforge_assets.lineage.page import render
from web_ui import CHROMEDRIVER, CHROMIUM, Page, browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and CHROMEDRIVER.exists()), reason="needs chromium and chromium-driver"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with browser(f"file://{folder}", folder) as found:
        yield found


def show(page: Page, lineage: Lineage, workflow: str, at: str = "") -> None:
    (page.folder / "page.html").write_text(render(lineage, workflow), encoding="utf-8")
    page.driver.get("about:blank")
    page.driver.get(f"{page.url}/page.html{at}")


def table(page: Page, name: str) -> WebElement:
    return page.driver.find_element(By.CSS_SELECTOR, f"[data-table='{name}'] h3")


def column(page: Page, name: str, label: str) -> WebElement:
    return page.driver.find_element(By.XPATH, f"//*[@data-table='{name}']//li[b='{label}']")


def lit(page: Page) -> set[str]:
    """What is highlighted, as `table.column`."""
    found: list[str] = page.driver.execute_script(
        "return [...document.querySelectorAll('li.on')].map(row => row.closest('.card').dataset.table + '.' + row.querySelector('b').textContent)"
    )
    return set(found)


def lines(page: Page) -> dict[str, int]:
    """How many highlighted lines of each kind are drawn."""
    drawn = [path.get_attribute("class") or "" for path in page.driver.find_elements(By.CSS_SELECTOR, "path.lit")]
    return {kind: sum(kind in one.split() for one in drawn) for kind in KINDS if any(kind in one for one in drawn)}


def choose(page: Page, name: str, label: str) -> None:
    table(page, name).click()
    column(page, name, label).click()


def test_all_tables_are_there_with_a_legend_of_the_kinds(page: Page) -> None:
    show(page, declared_lineage(), "retail")
    shown = [card.get_attribute("data-table") for card in page.driver.find_elements(By.CSS_SELECTOR, ".card")]
    assert set(shown) == set(declared_lineage().tables)
    legend = page.driver.find_element(By.ID, "legend").text.split()
    assert legend == list(KINDS)
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "path")) > len(shown)


def test_a_click_on_a_column_shows_its_way_from_the_landed_file_to_the_last_model(page: Page) -> None:
    show(page, declared_lineage(), "retail")
    choose(page, "retail.fact_sales", "revenue")
    layers = ("landing_order_items", "bronze_order_items", "silver_order_items")
    inputs = ("quantity", "unit_price", "discount_percent")
    expected = {f"retail.{layer}.{name}" for layer in layers for name in inputs}
    shown = lit(page)
    assert expected | {"retail.fact_sales.revenue", "retail.agg_sales_by_month.revenue"} <= shown
    assert "retail.fact_sales.order_id" not in shown
    assert lines(page) == {"identity": 3, "transformation": 6, "aggregation": 1, "join": 8}
    side = page.driver.find_element(By.ID, "side").text
    assert "fact_sales.revenue" in side
    assert "agg_sales_by_month.revenue" in side


def test_joins_and_filters_can_be_left_out_and_what_is_unrelated_hidden(page: Page) -> None:
    show(page, declared_lineage(), "retail", "#retail.fact_sales.revenue")
    assert "join" in lines(page)
    page.driver.find_element(By.ID, "deciding").click()
    assert lines(page) == {"identity": 3, "transformation": 6, "aggregation": 1}
    region = table(page, "retail.dim_region")
    assert region.is_displayed()
    page.driver.find_element(By.ID, "only").click()
    assert not region.is_displayed()
    assert table(page, "retail.silver_order_items").is_displayed()


def test_a_second_click_and_a_click_beside_end_the_choice(page: Page) -> None:
    show(page, declared_lineage(), "retail")
    choose(page, "retail.dim_region", "region_key")
    assert lit(page)
    column(page, "retail.dim_region", "region_key").click()
    assert not lit(page)
    column(page, "retail.dim_region", "region_key").click()
    page.driver.execute_script("document.getElementById('canvas').click()")
    assert not lit(page)


def test_the_list_beside_and_the_search_lead_to_columns(page: Page) -> None:
    show(page, declared_lineage(), "retail", "#retail.fact_sales.revenue")
    page.driver.find_element(By.XPATH, "//aside//button[contains(., 'unit_price')]").click()
    assert "retail.landing_order_items.unit_price" in lit(page)
    assert page.driver.current_url.endswith("#retail.silver_order_items.unit_price")
    page.driver.find_element(By.ID, "search").send_keys("dim_country.country_name")
    assert "retail.landing_countries.country_name" in lit(page)


def test_a_graph_of_a_thousand_columns_answers_a_click_at_once(page: Page) -> None:
    names = [f"column_{number}" for number in range(200)]
    tables = [f"wide.{layer}_t" for layer in ("landing", "bronze", "silver")] + ["wide.dim_t", "wide.fact_t"]
    layers = ("landing", "bronze", "silver", "gold", "gold")
    nodes = {
        name: TableNode(name, layer, dict.fromkeys(names, "text")) for name, layer in zip(tables, layers, strict=True)
    }
    edges = tuple(
        Edge(ColumnRef(source, name), ColumnRef(target, name), "identity")
        for source, target in pairwise(tables)
        for name in names
    )
    show(page, Lineage(nodes, edges), "wide")
    page.driver.find_element(By.ID, "all").click()
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "li[data-ref]")) == 1000
    took_ms = page.driver.execute_script(
        "const row = document.querySelector(\"[data-table='wide.silver_t'] li:nth-child(100)\");"
        "const began = performance.now(); row.click(); document.body.offsetHeight; return performance.now() - began"
    )
    assert lit(page) == {f"{name}.column_99" for name in tables}
    assert took_ms < 1000


def test_an_open_ended_table_and_an_unknown_origin_say_so(page: Page) -> None:
    nodes = {
        "w.by_shop": TableNode("w.by_shop", "gold", None),
        "w.x": TableNode("w.x", "gold", {"a": "text"}, unknown=frozenset({"a"})),
    }
    show(page, Lineage(nodes, ()), "w")
    assert "columns known when it runs" in page.text
    assert "origin unknown" in page.text
