"""The truth about the sample files: a slow, obvious reference in plain Python, with no part of FlowForge in it.

It reads the generator's own rows, never a CSV file, and goes one row at a time. What is declared here about a table
(types, key, rules) is what `retail` declares; a difference between the two is what `expected.json` is there to find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rows import File

Values = dict[str, Any]
Silver = dict[str, dict[tuple[Any, ...], Values]]
Report = dict[str, Any]

ACCOUNTS = ("inserted", "updated", "unchanged", "deduplicated", "late", "quarantined")


@dataclass(frozen=True)
class Rule:
    """`breaks` gets the row's cast values and the silver tables, and tells whether the row breaks the rule."""

    name: str
    breaks: Callable[[Values, Silver], bool]
    quarantines: bool = True


@dataclass(frozen=True)
class Table:
    """A table's declared columns with their types, key and rules."""

    name: str
    types: dict[str, str]
    key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    sequence_by: str | None = None


def allowed(column: str, *values: str) -> Rule:
    """Make the rule that a value is one of these."""
    return Rule(f"allowed_values_{column}", lambda row, _: row[column] is not None and row[column] not in values)


def within(column: str, low: int, high: int | None = None) -> Rule:
    """Make the rule that a number is in the range, both ends included."""

    def breaks(row: Values, _: Silver) -> bool:
        value = row[column]
        return value is not None and (value < low or (high is not None and value > high))

    return Rule(f"range_{column}", breaks)


def refers(column: str, parent: str) -> Rule:
    """Make the rule that the parent's silver has the value as its key."""

    def breaks(row: Values, silver: Silver) -> bool:
        return row[column] is not None and (row[column],) not in silver[parent]

    return Rule(f"references_{column}", breaks, quarantines=False)


def bad_email(row: Values, _: Silver) -> bool:
    """Tell whether the email is there and is not an address."""
    return row["email"] is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", row["email"])


def shipped_before_ordered(row: Values, _: Silver) -> bool:
    """Tell whether both dates are there and in the wrong order."""
    ordered, shipped = row["order_date"], row["ship_date"]
    return ordered is not None and shipped is not None and shipped < ordered


# Parents first: a reference is judged against the parent's silver after the same day.
TABLES = (
    Table("regions", {"region_code": "text", "region_name": "text"}, ("region_code",)),
    Table("countries", {"country_code": "text", "country_name": "text", "region_code": "text"}, ("country_code",)),
    Table("categories", dict.fromkeys(("category_code", "category_name", "department"), "text"), ("category_code",)),
    Table(
        "products",
        {
            **dict.fromkeys(("product_id", "product_name", "category_code"), "text"),
            "unit_price": "decimal",
            "discontinued": "yes_no",
            "updated_at": "timestamp",
        },
        ("product_id",),
        (within("unit_price", 0), refers("category_code", "categories")),
        "updated_at",
    ),
    Table(
        "customers",
        {
            **dict.fromkeys(("customer_id", "full_name", "email", "phone", "street_address"), "text"),
            **dict.fromkeys(("city", "country_code", "status"), "text"),
            "signup_date": "date_or_dotted_date",
            "updated_at": "timestamp",
        },
        ("customer_id",),
        (
            Rule("matches_email", bad_email),
            allowed("status", "active", "inactive", "prospect"),
            refers("country_code", "countries"),
        ),
        "updated_at",
    ),
    Table(
        "orders",
        {
            **dict.fromkeys(("order_id", "customer_id"), "text"),
            **dict.fromkeys(("order_date", "ship_date"), "date"),
            **dict.fromkeys(("status", "channel"), "text"),
            "updated_at": "timestamp",
        },
        ("order_id",),
        (
            allowed("status", "pending", "paid", "shipped", "delivered", "cancelled", "returned"),
            Rule("shipped_after_ordered", shipped_before_ordered),
            refers("customer_id", "customers"),
        ),
        "updated_at",
    ),
    Table(
        "order_items",
        {
            "order_id": "text",
            "line_number": "integer",
            "product_id": "text",
            "quantity": "integer",
            "unit_price": "decimal",
            "discount_percent": "decimal",
        },
        ("order_id", "line_number"),
        (within("quantity", 1, 1000), refers("order_id", "orders"), refers("product_id", "products")),
    ),
)


class NotCastableError(ValueError):
    """The text is not a value of the declared type."""


def _moment(text: str, *formats: str) -> datetime:
    for wanted in formats:
        try:
            return datetime.strptime(text, wanted)  # noqa: DTZ007 - the files carry no zone
        except ValueError:
            continue
    raise NotCastableError


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise NotCastableError
    return int(text)


def _decimal(text: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]{1,2})?", text):
        raise NotCastableError
    return Decimal(text)


def _yes_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise NotCastableError
    return text == "yes"


CASTS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "date": lambda text: _moment(text, "%Y-%m-%d"),
    "date_or_dotted_date": lambda text: _moment(text, "%Y-%m-%d", "%d.%m.%Y"),
    "timestamp": lambda text: _moment(text, "%Y-%m-%d %H:%M:%S"),
    "integer": _integer,
    "decimal": _decimal,
    "yes_no": _yes_no,
}


def cast(text: str, kind: str) -> Any:
    """Give the typed value, None for an empty field."""
    return CASTS[kind](text) if text else None


def cast_row(table: Table, texts: dict[str, str]) -> tuple[Values, bool]:
    """Give the cast values (None where a cast failed) and whether a cast failed."""
    values: Values = {}
    failed = False
    for column, kind in table.types.items():
        try:
            values[column] = cast(texts[column], kind)
        except NotCastableError:
            values[column] = None
            failed = True
    return values, failed


def broken_rules(table: Table, texts: dict[str, str], silver: Silver) -> tuple[Values, list[str], bool]:
    """Give the cast values, the names of the rules the row breaks, and whether it goes to quarantine."""
    values, failed = cast_row(table, texts)
    broken = []
    if any(texts[column] == "" for column in table.key):
        broken.append("keys_present")
    if failed:
        broken.append("type")
    quarantined = bool(broken)
    for rule in table.rules:
        if rule.breaks(values, silver):
            broken.append(rule.name)
            quarantined = quarantined or rule.quarantines
    return values, broken, quarantined


def ingest(table: Table, files: list[File], silver: Silver) -> Report:
    """Take one day's files of one table into its silver rows; give that run's books."""
    soft = {rule.name for rule in table.rules if not rule.quarantines}
    rules = dict.fromkeys(("keys_present", "type", *(rule.name for rule in table.rules)), 0)
    reasons = dict.fromkeys(rules, 0)
    books = dict.fromkeys(("read", *ACCOUNTS), 0)
    winners: dict[tuple[Any, ...], Values] = {}
    for file in sorted(files, key=lambda file: file.name):
        for row in file.rows:
            books["read"] += 1
            values, broken, quarantined = broken_rules(table, row.values, silver)
            for name in broken:
                rules[name] += 1
            if quarantined:
                # Whether a rule that only warns would be a reason too is not settled: no such row is generated.
                assert not soft.intersection(broken), (file.path, row)  # noqa: S101
                books["quarantined"] += 1
                for name in broken:
                    reasons[name] += 1
                continue
            key = tuple(values[column] for column in table.key)
            if key in winners:
                books["deduplicated"] += 1
                if table.sequence_by and values[table.sequence_by] < winners[key][table.sequence_by]:
                    continue
            winners[key] = values
    for key, values in winners.items():
        held = silver[table.name].get(key)
        books[outcome(table, values, held)] += 1
        if outcome(table, values, held) in ("inserted", "updated"):
            silver[table.name][key] = values
    assert books["read"] == sum(books[account] for account in ACCOUNTS), (table.name, books)  # noqa: S101
    return {
        **books,
        "rules": rules,
        "reasons": {name: count for name, count in reasons.items() if count},
        "rows_in_silver": len(silver[table.name]),
    }


def outcome(table: Table, values: Values, held: Values | None) -> str:
    """Tell which account a batch's winning row of one key goes to."""
    if held is None:
        return "inserted"
    if table.sequence_by and values[table.sequence_by] < held[table.sequence_by]:
        return "late"
    return "unchanged" if values == held else "updated"


def ingest_day(files: list[File], silver: Silver) -> dict[str, Report]:
    """Ingest one day's files into all tables, parents first."""
    return {table.name: ingest(table, [file for file in files if file.table == table.name], silver) for table in TABLES}


def gold(silver: Silver) -> Report:
    """Count what the gold tables must hold, from the silver rows."""
    revenue = {row["region_name"]: Decimal(0) for _, row in sorted(silver["regions"].items())}
    revenue["Unknown"] = Decimal(0)
    unknown_customers = unknown_products = 0
    for item in silver["order_items"].values():
        order = silver["orders"].get((item["order_id"],), {})
        customer = silver["customers"].get((order.get("customer_id"),), {})
        country = silver["countries"].get((customer.get("country_code"),), {})
        region = silver["regions"].get((country.get("region_code"),), {})
        unknown_customers += not customer
        unknown_products += (item["product_id"],) not in silver["products"]
        discount = item["discount_percent"] or Decimal(0)
        revenue[region.get("region_name", "Unknown")] += (
            item["quantity"] * item["unit_price"] * (1 - discount / Decimal(100))
        )
    return {
        "fact_sales_rows": len(silver["order_items"]),
        "unknown_customer_sales": unknown_customers,
        "unknown_product_sales": unknown_products,
        "revenue_by_region": {
            name: str(amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)) for name, amount in revenue.items()
        },
    }
