"""The customers of both days: the widest table, and the one with awkward text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from flaws import arrive_late, correct, correct_above, correct_tied, newer, repeat, resend
from rows import Dice, File, Flaw, Row
from vocabulary import COUNTRIES, MAIL_DOMAINS, PLACE_NOTES

if TYPE_CHECKING:
    from vocabulary import Country

COLUMNS = (
    "customer_id",
    "full_name",
    "email",
    "phone",
    "street_address",
    "city",
    "country_code",
    "status",
    "signup_date",
    "updated_at",
)
# The column that day 2 brings and nobody declared stands in the middle, so that columns are matched by name.
COLUMNS_DAY2 = (*COLUMNS[:8], "marketing_opt_in", *COLUMNS[8:])
OPENED = date(2023, 6, 1)
LAST_DAY = date(2026, 1, 30)
DOTTED = ("CZ", "DE", "PL", "TR")
QUOTING = ("AU", "GB", "NA", "US", "ZA")


@dataclass
class Customers:
    """What the orders need to know: who exists since when; `lost` have no valid row on day 1."""

    files: list[File]
    since: dict[str, date] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)


def customers(seed: str) -> Customers:
    """Make both customer files."""
    dice = Dice(f"{seed} customers")
    days = sorted(OPENED + timedelta(days=dice.below((LAST_DAY - OPENED).days)) for _ in range(600))
    people = [_person(dice, number, day) for number, day in _numbered(dice, days)]
    first = File("day1", "customers", "Customers.csv", COLUMNS, people, line_end="\r\n")
    today = File("day2", "customers", "Customers_2026-02-01.csv", COLUMNS_DAY2, [])
    world = Customers([first, today])
    world.since = {row.values["customer_id"]: day for row, day in zip(people, days, strict=True)}
    _awkward_text(dice, first)
    _first_day(dice, first, world)
    _second_day(dice, first, today, world)
    for row in today.rows:
        row.values.setdefault("marketing_opt_in", dice.pick(("yes", "no")))
    return world


def moved(dice: Dice, row: Row) -> dict[str, str]:
    """Give the row's new phone number and status."""
    return {"phone": f"{row.values['phone'][:-2]}{dice.between(10, 99)}", "status": dice.pick(("active", "inactive"))}


def _first_day(dice: Dice, first: File, world: Customers) -> None:
    repeat(dice, first, 4)
    correct(dice, first, first.take(dice, 4), lambda row: moved(dice, row))
    correct_above(dice, first, first.take(dice, 2), lambda row: moved(dice, row))
    correct_tied(dice, first, first.take(dice, 2), lambda row: moved(dice, row))
    for bad in ("2025-02-30", "soon", "31.02.2024"):
        _lose(dice, first, world).spoil("bad date", f"signup_date `{bad}`", "type", signup_date=bad)
    for bad in ("yesterday", "2025-13-01 10:00:00"):
        _lose(dice, first, world).spoil("bad timestamp", f"updated_at `{bad}`", "type", updated_at=bad)
    for bad in ("no at sign.example.com", "info@localhost", "two@@example.com", "blank in@example.org"):
        _lose(dice, first, world).spoil("bad email", "not an address", "matches_email", email=bad)
    for bad in ("vip", "ACTIVE", "unknwon"):
        note = f"status `{bad}`"
        _lose(dice, first, world).spoil("unknown status", note, "allowed_values_status", status=bad)
    for bad in ("vip", "deleted"):
        row = _lose(dice, first, world)
        row.spoil("bad email", "breaks two rules", "matches_email", email="@")
        row.spoil("unknown status", f"`{bad}`; breaks two rules", "allowed_values_status", status=bad)
    for row in first.take(dice, 2):
        first.put(dice, row.copy().spoil("missing key", "no customer_id", "keys_present", customer_id=""))
    for row in first.take(dice, 1):
        copy = row.copy().spoil("missing key", "breaks two rules", "keys_present", customer_id="")
        first.put(dice, copy.spoil("bad date", "signup_date `soon`; breaks two rules", "type", signup_date="soon"))
    for row in first.take(dice, 1):
        copy = row.copy(**newer(row)).spoil("bad date", "`2026-00-10`; the row above it stays valid", "type")
        copy.values["signup_date"] = "2026-00-10"
        first.put_after(dice, row, copy)
    for row, code in zip(first.take(dice, 3), ("UK", "XX", "de"), strict=True):
        note = f"country_code `{code}` is in no countries row; the row stays"
        row.spoil("unknown country", note, "references_country_code", country_code=code)


def _second_day(dice: Dice, first: File, today: File, world: Customers) -> None:
    fresh = [date(2026, 1, 31)] * 10 + [date(2026, 2, 1)] * 15
    for number, day in _numbered(dice, fresh, after=int(max(world.since))):
        row = _person(dice, number, day)
        today.rows.append(row)
        world.since[row.values["customer_id"]] = day
    world.early = [row.values["customer_id"] for row in today.rows[:3]]
    repeat(dice, today, 1)
    for row in first.take(dice, 30):
        today.put(dice, row.copy(**moved(dice, row), updated_at=dice.moment("2026-02-01")))
    _twice_today(dice, first, today)
    resend(dice, today, first.take(dice, 6))
    for row in first.take(dice, 2, lambda row: row.values["signup_date"][4] == "-"):
        year, month, day_ = row.values["signup_date"].split("-")
        note = "as in silver, but signup_date is written in the other accepted format"
        today.put(dice, row.copy(signup_date=f"{day_}.{month}.{year}").spoil("resent unchanged", note, "unchanged"))
    arrive_late(dice, today, first.take(dice, 2), lambda row: moved(dice, row))
    _released(dice, first, today, world)
    spare = iter(first.take(dice, 6))
    stamp = dice.moment("2026-02-01")
    for row in (
        next(spare).copy(updated_at=stamp).spoil("missing key", "no customer_id", "keys_present", customer_id=""),
        next(spare).copy(updated_at=stamp).spoil("bad email", "not an address", "matches_email", email="none"),
        next(spare).copy(updated_at=stamp).spoil("unknown status", "`gone`", "allowed_values_status", status="gone"),
        next(spare).copy(updated_at=stamp).spoil("bad date", "`2025-11-31`", "type", signup_date="2025-11-31"),
        next(spare).copy(updated_at="n/a").spoil("bad timestamp", "updated_at `n/a`", "type"),
        next(spare)
        .copy(updated_at=stamp)
        .spoil("unknown country", "`ZZ`; the row stays", "references_country_code", country_code="ZZ"),
    ):
        today.put(dice, row)


def _twice_today(dice: Dice, first: File, today: File) -> None:
    """One key twice on day 2: two changes, and a change beside a late row, which then is no late row."""
    changed, late = first.take(dice, 2)
    for row, stamp, kind in (
        (changed, dice.moment("2026-01-31"), "corrected later"),
        (late, "2023-06-01 08:00:00", "older than silver, beside a newer row"),
    ):
        winner = row.copy(**moved(dice, row), updated_at=dice.moment("2026-02-01"))
        today.put(dice, winner.spoil("correction, same file", "replaces another row of this file"))
        loser = row.copy(**moved(dice, row), updated_at=stamp)
        today.put(dice, loser.spoil(kind, "loses: this file has a newer row of the key", "deduplicated"))


def _released(dice: Dice, first: File, today: File, world: Customers) -> None:
    """Send valid rows for two customers who have been in quarantine only."""
    broken = [row for row in first.rows if row.values["customer_id"] in world.lost and row.values["status"] == "vip"]
    for row in broken:
        fixed = row.copy(status="active", email="", updated_at=dice.moment("2026-02-01"))
        today.put(dice, fixed.spoil("quarantined on day 1, right on day 2", "silver knows the key from now on"))


def _awkward_text(dice: Dice, first: File) -> None:
    for row in dice.some(first.rows, 16):
        row.values["email"] = ""
    rows = iter(dice.some([row for row in first.rows if "," not in row.values["street_address"]], 16))
    for number in range(8):
        row = next(rows)
        end, shown = ("\r\n", "CR LF") if number in (2, 5) else ("\n", "LF")
        row.values["street_address"] += f"{end}{dice.pick(PLACE_NOTES)}"
        row.flaws.append(Flaw("quoted newline", f"street_address holds {shown}"))
    for _ in range(4):
        row = next(rows)
        row.values["street_address"] += f", {dice.pick(PLACE_NOTES)}"
    english = [row for row in first.rows if row.values["country_code"] in QUOTING and not row.flaws]
    for row, house in zip(
        dice.some(english, 6), ("Old Mill", "Villa Rosa", "Dunes", "Oaks", "Loft", "Gables"), strict=True
    ):
        row.values["street_address"] = f'"The {house}", {row.values["street_address"]}'
        row.flaws.append(Flaw("doubled quotes", "street_address holds quotation marks and a comma"))


def _lose(dice: Dice, file: File, world: Customers) -> Row:
    """Pick a customer that will have no valid row on day 1."""
    row = file.take(dice, 1)[0]
    world.lost.append(row.values["customer_id"])
    return row


def _numbered(dice: Dice, days: list[date], after: int = 0) -> list[tuple[int, date]]:
    numbers = []
    for day in days:
        after += dice.between(1, 3)
        numbers.append((after, day))
    return numbers


def _person(dice: Dice, number: int, signed_up: date) -> Row:
    country = dice.weighted([(country, country.weight) for country in COUNTRIES])
    name, mailbox = _name(dice, country)
    shown = "%d.%m.%Y" if country.code in DOTTED and dice.chance(0.6) else "%Y-%m-%d"
    touched = min(signed_up + timedelta(days=dice.below(500)), max(LAST_DAY, signed_up))
    return Row(
        {
            "customer_id": f"{number:06d}",
            "full_name": name,
            "email": f"{mailbox}{dice.between(1, 99)}@{dice.pick(MAIL_DOMAINS)}",
            "phone": f"{country.dial} 555 01 {dice.between(10, 99)}",
            "street_address": dice.pick(country.streets.split("|")).format(n=dice.between(1, 180)),
            "city": dice.pick(country.cities.split("|")),
            "country_code": country.code,
            "status": dice.weighted((("active", 75), ("inactive", 15), ("prospect", 10))),
            "signup_date": signed_up.strftime(shown),
            "updated_at": dice.moment(f"{touched:%Y-%m-%d}"),
        }
    )


def _name(dice: Dice, country: Country) -> tuple[str, str]:
    """Give the name as written and the local part of the email address."""
    given, _, given_mail = dice.pick(country.given.split("|")).partition("=")
    family, _, family_mail = dice.pick(country.family.split("|")).partition("=")
    shown = family + given if country.family_first else f"{given} {family}"
    return shown, f"{_ascii(given_mail or given)}.{_ascii(family_mail or family)}"


def _ascii(name: str) -> str:
    for mark, plain in (
        ("Ł", "L"),
        ("ł", "l"),
        ("ø", "o"),
        ("Ø", "O"),
        ("Æ", "Ae"),
        ("æ", "ae"),
        ("ß", "ss"),
        ("ı", "i"),  # noqa: RUF001 - the Turkish letter is meant
    ):
        name = name.replace(mark, plain)
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in letters.lower() if letter.isalnum())
