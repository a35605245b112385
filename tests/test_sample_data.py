"""The sample data is reproducible, its truth balances, and every flaw is where its documentation says."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "sample-data"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
ACCOUNTS = ("inserted", "updated", "unchanged", "deduplicated", "late", "quarantined")
KINDS = {
    "bad date",
    "bad email",
    "bad flag",
    "bad number",
    "bad timestamp",
    "corrected later",
    "correction, later file",
    "correction, same file",
    "doubled quotes",
    "exact duplicate",
    "late",
    "missing key",
    "negative price",
    "newer row above older",
    "quantity out of range",
    "quarantined on day 1, right on day 2",
    "quoted newline",
    "resent unchanged",
    "shipped before ordered",
    "stale row in later file",
    "tie on updated_at",
    "unknown category",
    "unknown country",
    "unknown customer",
    "unknown order",
    "unknown product",
    "unknown status",
}


def generated(folder):
    return {f"{path.relative_to(folder)}": path.read_bytes() for path in made_by_script(folder)}


def made_by_script(folder):
    return [*folder.glob("day[12]/*/*.csv"), folder / "expected.json", folder / "FLAWS.md"]


def records(path):
    delimiter = ";" if path.name == "countries.csv" else ","
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


def flaws():
    """(kind, file, line, row number, key) of each line of FLAWS.md that has a row number."""
    kind = ""
    for text in (FOLDER / "FLAWS.md").read_text(encoding="utf-8").splitlines():
        if text.startswith("## "):
            kind = re.sub(r" \(\d+\)$", "", text[3:])
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if len(cells) == 6 and cells[1].isdigit():
            yield kind, cells[0], int(cells[1]), int(cells[2]), cells[3]


def books():
    return [pytest.param(day, table, id=f"{day}-{table}") for day in ("day1", "day2") for table in EXPECTED[day]]


def test_a_rerun_gives_the_committed_bytes(tmp_path):
    script = FOLDER / "generate.py"
    subprocess.run([sys.executable, "-B", script, "--out", tmp_path], check=True, capture_output=True)
    assert generated(tmp_path) == generated(FOLDER)


@pytest.mark.parametrize(("day", "table"), books())
def test_the_books_balance(day, table):
    report = EXPECTED[day][table]
    assert report["read"] == sum(report[account] for account in ACCOUNTS)
    before = EXPECTED["day1"][table]["rows_in_silver"] if day == "day2" else 0
    assert report["rows_in_silver"] == before + report["inserted"]
    assert report["quarantined"] <= sum(report["reasons"].values())
    assert all(0 < count <= report["rules"][name] for name, count in report["reasons"].items())


@pytest.mark.parametrize(("day", "table"), books())
def test_the_files_hold_the_rows_the_books_say(day, table):
    files = (FOLDER / day / table).glob("*.csv")
    assert sum(len(records(path)) for path in files) == EXPECTED[day][table]["read"]


@pytest.mark.parametrize("after", ["gold_day1", "gold"])
def test_gold_counts_follow_from_silver(after):
    day = "day1" if after == "gold_day1" else "day2"
    gold = EXPECTED[after]
    assert gold["fact_sales_rows"] == EXPECTED[day]["order_items"]["rows_in_silver"]
    assert 0 < gold["unknown_customer_sales"] < gold["fact_sales_rows"]
    assert 0 < gold["unknown_product_sales"] < gold["fact_sales_rows"]
    assert len(gold["revenue_by_region"]) == 6
    assert all(re.fullmatch(r"\d+\.\d\d", amount) for amount in gold["revenue_by_region"].values())


def test_every_kind_of_flaw_occurs_at_least_twice():
    counts = Counter(kind for kind, *_ in flaws())
    assert set(counts) >= KINDS
    assert {kind: counts[kind] for kind in KINDS if counts[kind] < 2} == {}


def test_each_documented_flaw_stands_on_its_line():
    lines = {path: None for _, path, *_ in flaws()}
    for path in lines:
        lines[path] = (FOLDER / path).read_text(encoding="utf-8").split("\n")
    parsed = {path: records(FOLDER / path) for path in lines}
    for _, path, line, number, key in flaws():
        values = list(parsed[path][number - 1].values())
        parts = ["" if part == "(empty)" else part for part in key.split(" / ")]
        assert values[: len(parts)] == parts, (path, line)
        assert re.match("[,;]".join(map(re.escape, parts)) + "[,;]", lines[path][line - 1]), (path, line)


def test_names_of_a_tables_files_sort_in_upload_order():
    for table in EXPECTED["day1"]:
        days = [sorted(path.name for path in (FOLDER / day / table).glob("*.csv")) for day in ("day1", "day2")]
        assert sorted(days[0] + days[1]) == days[0] + days[1]


def test_the_awkward_text_is_in_the_files():
    raw = (FOLDER / "day1/customers/Customers.csv").read_bytes()
    rows = records(FOLDER / "day1/customers/Customers.csv")
    assert raw.count(b"\r\n") >= len(rows)
    assert sum("\n" in row["street_address"] for row in rows) >= 2
    assert sum('"' in row["street_address"] for row in rows) >= 2
    assert sum("," in row["street_address"] for row in rows) >= 2
    assert sum(not row["full_name"].isascii() for row in rows) >= 2
    assert sum(row["country_code"] == "NA" for row in rows) >= 2
    assert sum(bool(re.fullmatch(r"\d\d\.\d\d\.\d{4}", row["signup_date"])) for row in rows) >= 2
    assert sum(row["email"] == "" for row in rows) >= 2
    assert all(re.fullmatch(r"\d{6}|", row["customer_id"]) for row in rows)
    assert {"Łukasz", "Zoë", "José"} <= {row["full_name"].split()[0] for row in rows}
    assert {"北京", "İstanbul"} <= {row["city"] for row in rows}


def test_day_two_brings_a_column_that_day_one_has_not():
    (one,) = (FOLDER / "day1/customers").glob("*.csv")
    (two,) = (FOLDER / "day2/customers").glob("*.csv")
    assert set(records(two)[0]) - set(records(one)[0]) == {"marketing_opt_in"}


def test_countries_are_separated_by_semicolons():
    header, *_ = (FOLDER / "day1/countries/countries.csv").read_text(encoding="utf-8").splitlines()
    assert header == "country_code;country_name;region_code"
    assert sum("," in row["country_name"] for row in records(FOLDER / "day1/countries/countries.csv")) >= 2
