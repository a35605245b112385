"""What the company sells and where: regions, countries, categories, products."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flaws import arrive_late, correct, correct_above, correct_tied, newer, repeat, resend
from rows import Dice, File, Flaw, Row
from vocabulary import CATEGORIES, COUNTRIES, REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = ("product_id", "product_name", "category_code", "unit_price", "discontinued", "updated_at")


@dataclass
class Products:
    """What the order items need to know. `lost`: ids that never reach silver; `early`: ids that come on day 2."""

    files: list[File]
    prices: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    early: dict[str, str] = field(default_factory=dict)


def money(cents: int) -> str:
    """Give cents as the decimal text of a price."""
    return f"{cents // 100}.{cents % 100:02d}"


def small_tables(seed: str) -> list[File]:
    """Make the three reference tables."""
    dice = Dice(f"{seed} small tables")
    regions = _file("regions", ("region_code", "region_name"), REGIONS)
    countries = _file(
        "countries",
        ("country_code", "country_name", "region_code"),
        [(country.code, country.name, country.region) for country in COUNTRIES],
        delimiter=";",
    )
    by_code = {row.values["country_code"]: row for row in countries.rows}
    by_code["NA"].flaws.append(Flaw("text that looks null", "Namibia's code is the text NA, not a missing value"))
    for code, former in (("TR", "Turkey"), ("CZ", "Czech Republic")):
        correct(dice, countries, [by_code[code]], lambda row: {"country_name": row.values["country_name"]})
        by_code[code].values["country_name"] = former
    repeat(dice, countries, 1)
    countries.put(dice, Row(_values(countries, "", "Atlantis", "EUR")).spoil("missing key", "no code", "keys_present"))
    categories = _file("categories", ("category_code", "category_name", "department"), [c[:3] for c in CATEGORIES])
    repeat(dice, categories, 1)
    return [regions, countries, categories]


def products(seed: str) -> Products:
    """Make both product files."""
    dice = Dice(f"{seed} products")
    clean = _clean_products(dice)
    today = File("day2", "products", "products_2026-02-01.csv", COLUMNS, clean[-5:])
    first = File("day1", "products", "products_2026-01-31.csv", COLUMNS, clean[:-5])
    for row in today.rows:
        row.values["updated_at"] = dice.moment("2026-02-01")
    world = Products([first, today], early=_prices(today.rows))
    _first_day(dice, first, world)
    world.prices = _prices(row for row in first.rows if row.values["product_id"] not in {"", *world.lost})
    _second_day(dice, first, today)
    return world


def new_price(row: Row) -> dict[str, str]:
    """Give the row's price raised by five per cent, at least ten cents."""
    cents = int(row.values["unit_price"].replace(".", ""))
    return {"unit_price": money(cents + max(10, cents // 20 // 10 * 10))}


def _first_day(dice: Dice, first: File, world: Products) -> None:
    repeat(dice, first, 2)
    correct(dice, first, first.take(dice, 2), new_price)
    correct_above(dice, first, first.take(dice, 1), new_price)
    correct_tied(dice, first, first.take(dice, 1), new_price)
    for bad in ("-12.50", "-0.01"):
        _lose(dice, first, world).spoil("negative price", f"unit_price {bad}", "range_unit_price", unit_price=bad)
    for bad in ("12,5O", "n/a"):
        _lose(dice, first, world).spoil("bad number", f"unit_price `{bad}`", "type", unit_price=bad)
    _lose(dice, first, world).spoil("bad flag", "discontinued `maybe`", "type", discontinued="maybe")
    row = _lose(dice, first, world)
    row.spoil("negative price", "unit_price -5.00; breaks two rules", "range_unit_price", unit_price="-5.00")
    row.spoil("bad timestamp", "updated_at `2025-02-30 08:00:00`; breaks two rules", "type")
    row.values["updated_at"] = "2025-02-30 08:00:00"
    for row in first.take(dice, 1):
        copy = row.copy(unit_price="-8.90", **newer(row))
        first.put_after(dice, row, copy.spoil("negative price", "the row before it stays valid", "range_unit_price"))
    for row in first.take(dice, 1):
        first.put(dice, row.copy().spoil("missing key", "no product_id", "keys_present", product_id=""))
    for row, code in zip(first.take(dice, 2), ("XXX", "bag"), strict=True):
        note = f"category_code `{code}` is in no categories row; the row stays"
        row.spoil("unknown category", note, "references_category_code", category_code=code)


def _second_day(dice: Dice, first: File, today: File) -> None:
    for row in first.take(dice, 10):
        today.put(dice, row.copy(**new_price(row), updated_at=dice.moment("2026-02-01")))
    resend(dice, today, first.take(dice, 3))
    arrive_late(dice, today, first.take(dice, 2), lambda _: {"unit_price": "1.00"})
    correct(dice, today, today.take(dice, 1), new_price)
    bad, nameless, negative, undecided = first.take(dice, 4)
    stamp = dice.moment("2026-02-01")
    for row in (
        bad.copy(updated_at=stamp).spoil("bad number", "unit_price `free`", "type", unit_price="free"),
        nameless.copy(updated_at=stamp).spoil("missing key", "no product_id", "keys_present", product_id=""),
        negative.copy(updated_at=stamp).spoil("negative price", "-3.00", "range_unit_price", unit_price="-3.00"),
        undecided.copy(updated_at=stamp).spoil("bad flag", "discontinued `tbd`", "type", discontinued="tbd"),
    ):
        today.put(dice, row)


def _lose(dice: Dice, file: File, world: Products) -> Row:
    """Pick a product that will have no valid row at all."""
    row = file.take(dice, 1)[0]
    world.lost[row.values["product_id"]] = row.values["unit_price"]
    return row


def _clean_products(dice: Dice) -> list[Row]:
    kinds = []
    for code, _, _, styles, nouns, prices in CATEGORIES:
        names = [f"{style} {noun}" for noun in nouns.split("|") for style in styles.split("|")]
        kinds += [(code, name, prices) for name in dice.some(names, 19)]
    kinds = dice.some(kinds, len(kinds))
    ids = sorted(dice.some(range(3, 900), len(kinds)))
    return [
        Row(
            {
                "product_id": f"{number:06d}",
                "product_name": name,
                "category_code": code,
                "unit_price": money(dice.between(low // 10, high // 10) * 10),
                "discontinued": "yes" if dice.chance(0.07) else "no",
                "updated_at": dice.moment(f"{dice.between(2024, 2025)}-{dice.between(1, 12):02d}-11"),
            }
        )
        for number, (code, name, (low, high)) in zip(ids, kinds, strict=True)
    ]


def _prices(rows: Iterable[Row]) -> dict[str, str]:
    return {row.values["product_id"]: row.values["unit_price"] for row in rows}


def _file(table: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], delimiter: str = ",") -> File:
    file = File("day1", table, f"{table}.csv", columns, [], delimiter)
    file.rows.extend(Row(_values(file, *values)) for values in rows)
    return file


def _values(file: File, *values: str) -> dict[str, str]:
    return dict(zip(file.columns, values, strict=True))
