"""Orders and their lines, for both days."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from flaws import (
    arrive_late,
    correct,
    correct_above,
    correct_in_later_file,
    correct_tied,
    newer,
    repeat,
    resend,
    stale_in_later_file,
)
from rows import Dice, File, Row
from vocabulary import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalogue import Products
    from customers import Customers

ORDER_COLUMNS = ("order_id", "customer_id", "order_date", "ship_date", "status", "channel", "updated_at")
ITEM_COLUMNS = ("order_id", "line_number", "product_id", "quantity", "unit_price", "discount_percent")
OPENED = date(2024, 1, 2)
LAST_DAY = date(2026, 1, 31)
TODAY = date(2026, 2, 1)
SETTLED_AFTER_DAYS = 14
DISCOUNTS = (("", 70), ("5", 10), ("10", 10), ("12.50", 4), ("7.25", 3), ("33.33", 2), ("0", 1))


@dataclass
class Orders:
    """What the order items need to know. `lost`: orders with no valid row on day 1."""

    files: list[File]
    lost: list[str] = field(default_factory=list)


def orders(seed: str, people: Customers) -> Orders:
    """Make the four order files."""
    dice = Dice(f"{seed} orders")
    files = [
        File(day, "orders", f"orders_{period}.csv", ORDER_COLUMNS, [])
        for day, period in (("day1", "2024"), ("day1", "2025"), ("day1", "2026-01"), ("day2", "2026-02"))
    ]
    days = sorted(_busier_later(dice) for _ in range(1450)) + [TODAY] * 30
    for number, day in enumerate(days, start=1):
        files[day.year - 2024 + (day == TODAY)].rows.append(_order(dice, f"SO-{number:06d}", day, people))
    world = Orders(files)
    _early_customers(dice, files, people)
    _orders_first_day(dice, files[:3], people, world)
    _orders_second_day(dice, files, people, world)
    return world


def order_items(seed: str, sold: Orders, goods: Products) -> list[File]:
    """Make the four files of order lines; an order's lines come with the first file that names it."""
    dice = Dice(f"{seed} order items")
    files = [
        File(file.day, "order_items", f"order_items_{file.name.removeprefix('orders_')}", ITEM_COLUMNS, [])
        for file in sold.files
    ]
    seen: set[str] = set()
    for file, of in zip(files, sold.files, strict=True):
        for order in of.rows:
            order_id = order.values["order_id"]
            if order_id and order_id not in seen:
                seen.add(order_id)
                file.rows.extend(_items(dice, order_id, goods))
    _items_first_day(dice, files[:3], sold, goods)
    _items_second_day(dice, files, sold, goods)
    return files


def _busier_later(dice: Dice) -> date:
    """Give a day of the two years; the company grows, so a later one is likelier."""
    span = (LAST_DAY - OPENED).days + 1
    return OPENED + timedelta(days=max(dice.below(span), dice.below(span)) if dice.chance(0.3) else dice.below(span))


def _order(dice: Dice, order_id: str, day: date, people: Customers) -> Row:
    known = [customer for customer, since in people.since.items() if since <= day]
    status = _status(dice, (LAST_DAY - day).days)
    sent = status in ("shipped", "delivered", "returned")
    shipped = min(day + timedelta(days=dice.between(0, 6)), LAST_DAY) if sent else None
    touched = (shipped or day) + timedelta(days=dice.between(0, 12))
    return Row(
        {
            "order_id": order_id,
            "customer_id": dice.pick(known),
            "order_date": f"{day}",
            "ship_date": f"{shipped or ''}",
            "status": status,
            "channel": dice.weighted(CHANNELS),
            "updated_at": dice.moment(f"{max(day, min(touched, LAST_DAY))}"),
        }
    )


def _status(dice: Dice, age_days: int) -> str:
    if age_days < 0:
        return dice.weighted((("pending", 60), ("paid", 40)))
    if age_days < SETTLED_AFTER_DAYS:
        return dice.weighted((("pending", 15), ("paid", 35), ("shipped", 35), ("delivered", 12), ("cancelled", 3)))
    return dice.weighted((("delivered", 88), ("cancelled", 6), ("returned", 6)))


def _early_customers(dice: Dice, files: list[File], people: Customers) -> None:
    for row, customer in zip(files[2].take(dice, 2), people.early, strict=False):
        note = "the customer arrives on day 2; the row stays"
        row.spoil("unknown customer", note, "references_customer_id", customer_id=customer)


def _sound(people: Customers) -> Callable[[Row], bool]:
    """Tell rows whose customer is known: a quarantined row then never breaks a reference as well."""
    return lambda row: row.values["customer_id"] not in people.lost


def _next_status(row: Row) -> dict[str, str]:
    return {"status": "returned" if row.values["status"] == "delivered" else "cancelled"}


def _orders_first_day(dice: Dice, files: list[File], people: Customers, world: Orders) -> None:
    sound = _sound(people)
    y2024, y2025, january = files
    for file, count in ((y2024, 2), (y2025, 2), (january, 1)):
        repeat(dice, file, count)
    correct(dice, y2024, y2024.take(dice, 2), _next_status)
    correct(dice, y2025, y2025.take(dice, 2), _next_status)
    correct_above(dice, y2025, y2025.take(dice, 2), _next_status)
    correct_tied(dice, y2024, y2024.take(dice, 1), _next_status)
    correct_in_later_file(dice, y2025, y2024.take(dice, 2), _next_status)
    correct_in_later_file(dice, january, y2025.take(dice, 4), _next_status)
    stale_in_later_file(dice, january, y2025.take(dice, 2), lambda _: {"status": "pending", "ship_date": ""})
    for file, customer in ((y2024, "999901"), (y2025, "999902"), (january, "999903"), (y2025, None)):
        row = file.take(dice, 1, sound)[0]
        lost_zeros = row.values["customer_id"].lstrip("0")
        note = "no such customer" if customer else "the customer's leading zeros are gone"
        row.spoil("unknown customer", f"{note}; the row stays", "references_customer_id")
        row.values["customer_id"] = customer or lost_zeros
    for file in (y2024, january):
        file.take(dice, 1)[0].spoil("order without customer", "empty, so no reference is broken", customer_id="")

    def lose(file: File) -> Row:
        row = file.take(dice, 1, sound)[0]
        world.lost.append(row.values["order_id"])
        return row

    for file, column, bad in (
        (y2024, "order_date", "2024-02-30"),
        (y2025, "order_date", "2025-02-30"),
        (y2025, "ship_date", "soon"),
        (january, "ship_date", "2026-01-32"),
    ):
        lose(file).spoil("bad date", f"{column} `{bad}`", "type", **{column: bad})
    for file, bad in ((y2024, "lost"), (y2025, "payed"), (january, "Shipped")):
        lose(file).spoil("unknown status", f"status `{bad}`", "allowed_values_status", status=bad)
    for file in (y2024, y2025, january):
        _ship_early(dice, lose(file))
    row = _ship_early(dice, lose(y2025))
    row.spoil("unknown status", "status `??`; breaks two rules", "allowed_values_status", status="??")
    for file in (y2024, y2025):
        row = file.take(dice, 1, sound)[0].copy()
        file.put(dice, row.spoil("missing key", "no order_id", "keys_present", order_id=""))
    row = y2025.take(dice, 1, sound)[0]
    broken = row.copy(**newer(row))
    note = "status `lost`; the row above it stays valid"
    y2025.put_after(dice, row, broken.spoil("unknown status", note, "allowed_values_status", status="lost"))


def _ship_early(dice: Dice, row: Row) -> Row:
    ordered = date.fromisoformat(row.values["order_date"])
    shipped = ordered - timedelta(days=dice.between(1, 20))
    return row.spoil(
        "shipped before ordered", f"{shipped} < {ordered}", "shipped_after_ordered", ship_date=f"{shipped}"
    )


def _orders_second_day(dice: Dice, files: list[File], people: Customers, world: Orders) -> None:
    sound = _sound(people)
    _, y2025, january, today = files
    fresh = today.take(dice, 5, sound)
    for row in january.take(dice, 14, lambda row: row.values["status"] in ("pending", "paid")):
        today.put(dice, row.copy(status="shipped", ship_date=f"{TODAY}", updated_at=dice.moment(f"{TODAY}")))
    for row in y2025.take(dice, 6, lambda row: row.values["status"] == "delivered"):
        today.put(dice, row.copy(status="returned", updated_at=dice.moment(f"{TODAY}")))
    resend(dice, today, january.take(dice, 4))
    arrive_late(dice, today, y2025.take(dice, 2), lambda _: {"status": "paid", "ship_date": ""})
    repeat(dice, today, 1)
    correct(dice, today, fresh[:1], lambda _: {"status": "cancelled"})
    lost = [row for row in january.rows if row.values["order_id"] in world.lost]
    for row in lost[:2]:
        fixed = row.copy(ship_date=f"{TODAY}", status="shipped", updated_at=dice.moment(f"{TODAY}"))
        today.put(dice, fixed.spoil("quarantined on day 1, right on day 2", "silver knows the key from now on"))
    nameless, undated = january.take(dice, 2, sound)
    today.put(dice, nameless.copy().spoil("missing key", "no order_id", "keys_present", order_id=""))
    bad = undated.copy(updated_at=dice.moment(f"{TODAY}"))
    today.put(dice, bad.spoil("bad date", "ship_date `soon`; day 1's row stays", "type", ship_date="soon"))
    _ship_early(dice, fresh[1])
    fresh[2].spoil("unknown status", "status `open`", "allowed_values_status", status="open")
    world.lost += [fresh[1].values["order_id"], fresh[2].values["order_id"]]
    note = "no such customer; the row stays"
    fresh[3].spoil("unknown customer", note, "references_customer_id", customer_id="999904")


def _items(dice: Dice, order_id: str, goods: Products) -> list[Row]:
    chosen = dice.some(sorted(goods.prices), dice.weighted(((1, 22), (2, 28), (3, 25), (4, 15), (5, 10))))
    return [_item(dice, order_id, line, product, goods.prices[product]) for line, product in enumerate(chosen, start=1)]


def _item(dice: Dice, order_id: str, line: int, product: str, price: str) -> Row:
    return Row(
        {
            "order_id": order_id,
            "line_number": f"{line}",
            "product_id": product,
            "quantity": f"{dice.weighted(((1, 55), (2, 22), (3, 9), (4, 6), (6, 5), (12, 2), (40, 1)))}",
            "unit_price": price,
            "discount_percent": dice.weighted(DISCOUNTS),
        }
    )


def _one_more(row: Row) -> dict[str, str]:
    return {"quantity": f"{int(row.values['quantity']) + 1}"}


def _items_first_day(dice: Dice, files: list[File], sold: Orders, goods: Products) -> None:
    y2024, y2025, january = files

    def take(file: File, count: int = 1) -> list[Row]:
        return file.take(dice, count, lambda row: row.values["order_id"] not in sold.lost)

    for file in files:
        repeat(dice, file, 2)
    correct(dice, y2024, y2024.take(dice, 3), _one_more)
    correct(dice, y2025, y2025.take(dice, 3), _one_more)
    correct_in_later_file(dice, y2025, y2024.take(dice, 2), _one_more)
    correct_in_later_file(dice, january, y2025.take(dice, 3), _one_more)
    for file, bad in ((y2024, "0"), (y2025, "0"), (y2024, "-3"), (january, "-3"), (y2025, "99999"), (january, "99999")):
        take(file)[0].spoil("quantity out of range", f"quantity {bad}", "range_quantity", quantity=bad)
    for file, column, bad in (
        (y2024, "quantity", "two"),
        (y2025, "quantity", "1O"),
        (y2025, "unit_price", "12,5O"),
        (january, "unit_price", "n/a"),
        (january, "discount_percent", "5%"),
    ):
        take(file)[0].spoil("bad number", f"{column} `{bad}`", "type", **{column: bad})
    for file in (y2024, january):
        row = take(file)[0].spoil("quantity out of range", "0; breaks two rules", "range_quantity", quantity="0")
        row.spoil("bad number", "unit_price `n/a`; breaks two rules", "type", unit_price="n/a")
    for file, column in ((y2024, "order_id"), (y2025, "line_number"), (january, "order_id")):
        file.put(dice, take(file)[0].copy().spoil("missing key", f"no {column}", "keys_present", **{column: ""}))
    for file, order_id in ((y2024, "SO-900001"), (y2025, "SO-900002"), (y2025, "SO-900003")):
        product = dice.pick(sorted(goods.prices))
        row = _item(dice, order_id, 1, product, goods.prices[product])
        file.put(dice, row.spoil("unknown order", "no such order; the row stays", "references_order_id"))
    _unknown_products(dice, files, goods)


def _unknown_products(dice: Dice, files: list[File], goods: Products) -> None:
    y2024, y2025, january = files
    lost, early = sorted(goods.lost), sorted(goods.early)
    for file, product, note in (
        (y2024, "999001", "no such product"),
        (y2025, "999002", "no such product"),
        (y2025, None, "the product's leading zeros are gone"),
        (january, None, "the product's leading zeros are gone"),
        (y2024, lost[0], "the product is in quarantine"),
        (y2025, lost[1], "the product is in quarantine"),
        (january, early[0], "the product arrives on day 2"),
        (january, early[1], "the product arrives on day 2"),
    ):
        row = file.take(dice, 1)[0]
        shown = product or row.values["product_id"].lstrip("0")
        row.spoil("unknown product", f"{note}; the row stays", "references_product_id", product_id=shown)


def _items_second_day(dice: Dice, files: list[File], sold: Orders, goods: Products) -> None:
    _, y2025, january, today = files

    def take(count: int) -> list[Row]:
        return today.take(dice, count, lambda row: row.values["order_id"] not in sold.lost)

    for row in january.take(dice, 6):
        today.put(dice, row.copy(**_one_more(row)))
    for row in today.rows[:4]:
        product = sorted(goods.early)[2]
        row.values |= {"product_id": product, "unit_price": goods.early[product]}
    resend(dice, today, january.take(dice, 3))
    resend(dice, today, y2025.take(dice, 1))
    repeat(dice, today, 1)
    correct(dice, today, take(2), _one_more)
    zero, minus, many, wordy, nameless, unknown = take(6)
    for row, bad in ((zero, "0"), (minus, "-3"), (many, "99999")):
        row.spoil("quantity out of range", f"quantity {bad}", "range_quantity", quantity=bad)
    wordy.spoil("bad number", "quantity `n/a`", "type", quantity="n/a")
    today.put(dice, nameless.copy().spoil("missing key", "no order_id", "keys_present", order_id=""))
    unknown.spoil("unknown product", "no such product; the row stays", "references_product_id", product_id="999003")
    product = dice.pick(sorted(goods.prices))
    row = _item(dice, "SO-900004", 1, product, goods.prices[product])
    today.put(dice, row.spoil("unknown order", "no such order; the row stays", "references_order_id"))
