"""Clean tables of many trades, made by a random generator: the truth before pollution."""
# ruff: noqa: PLR2004 -- odds and sizes of made-up tables are read where they stand

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Table = tuple[list[str], list[list[str]]]
FIRST = [
    "Anna",
    "Bob",
    "Carla",
    "Dmitri",
    "Élodie",
    "Fatima",
    "Günter",
    "Hiro",
    "Ines",
    "Jürgen",
    "Kofi",
    "Lena",
    "Marta",
    "Nils",
    "Olga",
    "Søren",
    "Zoë",
    "Ying",
]
LAST = [
    "Smith",
    "Müller",
    "O'Neil",
    "Garcia",
    "Rossi",
    "Nowak",
    "Tanaka",
    "Dubois",
    "Larsen",
    "Kaya",
    "Silva",
    "Khan",
    "Novák",
    "Jensen",
    "Weiß",
    "Li",
]
CITIES = ["London", "São Paulo", "Zürich", "New York", "Köln", "Paris", "Łódź", "Oslo", "Den Haag", "Athens", "Lima"]
STREETS = ["Main Street", "Baker St.", "Rue de la Paix", "Hauptstraße", "5th Avenue", "Via Roma", "Station Road"]
WORDS = [
    "late",
    "order",
    "customer",
    "asked",
    "for",
    "refund",
    "item",
    "arrived",
    "damaged",
    "please",
    "call",
    "back",
    "gift",
    "wrap",
    "fragile",
    "fast",
    "delivery",
]
THINGS = ["Lamp", "Desk", "Chair", "Monitor", "Cable", "Pipe", "Bolt", "Coat", "Mug", "Tent", "Bike", "Phone"]


def sentence(r: random.Random, most: int = 9) -> str:
    text = " ".join(r.choice(WORDS) for _ in range(r.randint(2, most)))
    if r.random() < 0.35:
        text = text.replace(" ", ", ", 1)
    return text[0].upper() + text[1:] + r.choice(["", ".", "!", "?"])


def day(r: random.Random) -> date:
    return date(2019, 1, 1) + timedelta(days=r.randrange(2200))


def name(r: random.Random) -> str:
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def customers(r: random.Random, n: int) -> Table:
    rows = [
        [str(1000 + i), name(r), f"{r.randint(1, 99)} {r.choice(STREETS)}, {r.choice(CITIES)}", f"user{i}@example.org",
         day(r).isoformat(), r.choice(["gold", "silver", "none"])]
        for i in range(n)
    ]  # fmt: skip
    return ["customer_id", "name", "address", "email", "since", "tier"], rows


def orders(r: random.Random, n: int) -> Table:
    rows = [
        [f"SO-{r.randint(10000, 99999)}", day(r).strftime("%d/%m/%Y"), str(r.randint(1, 40)), f"{r.uniform(1, 900):.2f}",
         r.choice(["EUR", "USD", "GBP"]), r.choice(["open", "paid", "shipped"]), sentence(r) if r.random() < 0.6 else ""]
        for _ in range(n)
    ]  # fmt: skip
    return ["Order No", "Order Date", "Quantity", "Amount", "Currency", "Status", "Comment"], rows


def sensors(r: random.Random, n: int) -> Table:
    rows = [
        [f"{day(r).isoformat()} {r.randint(0, 23):02}:{r.randint(0, 59):02}:00", f"S{r.randint(1, 9):03}",
         f"{r.uniform(-20, 40):.1f}", f"{r.uniform(10, 99):.2f}", str(r.randint(0, 1))]
        for _ in range(n)
    ]  # fmt: skip
    return ["timestamp", "sensor", "temperature", "humidity", "valid"], rows


def products(r: random.Random, n: int) -> Table:
    rows = [
        [f"{r.randrange(10**7):07}", f"{r.choice(THINGS)} {r.randint(1, 40)}\" {r.choice(['black', 'red', 'oak'])}"
         if r.random() < 0.2 else f"{r.choice(THINGS)} {r.choice(['black', 'red', 'oak'])}",
         f"{r.uniform(1, 500):.2f}", str(r.randint(0, 5000)), r.choice(["yes", "no"]), f"https://shop.example/p/{r.randrange(9999)}"]
        for _ in range(n)
    ]  # fmt: skip
    return ["sku", "title", "price", "stock", "active", "url"], rows


def sales(r: random.Random, n: int) -> Table:
    rows = [
        [day(r).strftime("%d/%m/%Y"), f"{r.randint(0, 23):02}:{r.randint(0, 59):02}", str(r.randint(1, 20)),
         f"P{r.randint(100, 999)}", f"{r.uniform(1, 90):.2f}", r.choice(THINGS), sentence(r), f"http://example.com/{r.randint(1, 99)}",
         r.choice(["", sentence(r, 4)])]
        for _ in range(n)
    ]  # fmt: skip
    return ["DATE", "TIME", "Qty", "PRODUCTID", "Price", "ProductType", "ProductDescription", "URL", "Comments"], rows


def people_text(r: random.Random, n: int) -> Table:
    rows = [
        [r.choice(FIRST), r.choice(LAST), r.choice(CITIES), r.choice(["Engineer", "Nurse", "Clerk", "Cook"])]
        for _ in range(n)
    ]
    return ["first name", "last name", "city", "job"], rows


def europe(r: random.Random, n: int) -> Table:
    rows = [
        [str(i + 1), f"Konto {r.randint(100, 999)}", f"{r.randint(1, 9)}.{r.randint(100, 999)},{r.randint(0, 99):02}",
         day(r).strftime("%d.%m.%Y"), r.choice(["Soll", "Haben"])]
        for i in range(n)
    ]  # fmt: skip
    return ["Nr", "Konto", "Betrag", "Buchungstag", "Seite"], rows


def survey(r: random.Random, n: int) -> Table:
    rows = [
        [str(i + 1), str(r.randint(18, 80)), r.choice(["f", "m", "x"]), str(r.randint(1, 5)),
         "\n".join(sentence(r) for _ in range(r.choice([1, 1, 1, 2, 3]))), f'said "{r.choice(WORDS)}" twice' if r.random() < 0.3 else "no"]
        for i in range(n)
    ]  # fmt: skip
    return ["respondent", "age", "gender", "score", "free text", "quote"], rows


def log(r: random.Random, n: int) -> Table:
    rows = [
        [f"{day(r).isoformat()}T{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}Z", r.choice(["INFO", "WARN", "ERROR"]),
         f"10.0.{r.randint(0, 255)}.{r.randint(1, 254)}", str(r.choice([200, 301, 404, 500])), f"GET /{r.choice(WORDS)}/{r.randint(1, 99)}",
         f"{r.uniform(0, 3):.3f}"]
        for _ in range(n)
    ]  # fmt: skip
    return ["time", "level", "ip", "status", "request", "seconds"], rows


def narrow(r: random.Random, n: int) -> Table:
    return ["key", "value"], [[f"k{i:04}", f"{r.uniform(0, 1):.4f}"] for i in range(n)]


def wide(r: random.Random, n: int) -> Table:
    count = r.choice([40, 120])
    rows = [
        [str(i), *(f"{r.uniform(0, 100):.2f}" if c % 3 else r.choice(WORDS) for c in range(count))] for i in range(n)
    ]
    return ["id", *(f"m{c}" for c in range(count))], rows


def sparse(r: random.Random, n: int) -> Table:
    def maybe(text: str) -> str:
        return text if r.random() < 0.5 else ""

    rows = [
        [str(i + 1), maybe(name(r)), maybe(day(r).isoformat()), maybe(f"{r.uniform(0, 99):.1f}"), maybe(r.choice(CITIES)), maybe(sentence(r))]
        for i in range(n)
    ]  # fmt: skip
    return ["id", "owner", "closed", "hours", "place", "note"], rows


def geo(r: random.Random, n: int) -> Table:
    rows = [
        [r.choice(CITIES), f"{r.uniform(-90, 90):.5f}", f"{r.uniform(-180, 180):.5f}", f"{r.randint(1, 9)},{r.randint(100, 999)},{r.randint(100, 999)}",
         r.choice(["true", "false"])]
        for _ in range(n)
    ]  # fmt: skip
    return ["City", "Lat", "Lon", "Population", "Capital"], rows


TABLES: tuple[Callable[[random.Random, int], Table], ...] = (
    customers, orders, sensors, products, sales, people_text, europe, survey, log, narrow, wide, sparse, geo,
)  # fmt: skip
