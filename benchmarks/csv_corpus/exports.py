"""What other programs export: files as a stranger met them, of which the reader once lost many.

Belongs here: whole ways of writing a file. Does not: damage to single rows (`pollutions`), drawings with joints (`guises`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from benchmarks.csv_corpus.document import Document

PLACES = {
    "cp1251": ("Москва", "Казань", "Нижний Новгород", "Тула"), "koi8-r": ("Москва", "Казань", "Омск", "Тула"),
    "cp1250": ("Łódź", "Gdańsk", "Świnoujście", "Kraków"), "iso8859-2": ("Łódź", "Gdańsk", "Świnoujście", "Kraków"),
    "cp1253": ("Αθήνα", "Πάτρα", "Θεσσαλονίκη", "Βόλος"), "cp1254": ("İstanbul", "Diyarbakır", "Ağrı", "Şırnak"),  # noqa: RUF001
    "shift_jis": ("東京都のまち", "大阪市", "名古屋", "サンプル"), "gb18030": ("北京市", "上海", "广州", "朝阳区"),
    "big5": ("臺北市", "高雄市", "新竹縣", "臺南"), "euc_kr": ("서울특별시", "부산", "대구", "광주"),
    "mac-roman": ("Zürich", "Düsseldorf", "Saint-Étienne", "Besançon"),
    "cp850": ("Zürich", "Düsseldorf", "Saint-Étienne", "Besançon"),
    "utf-16-le": ("Москва", "上海市", "東京都", "Αθήνα"), "utf-16-be": ("Москва", "上海市", "東京都", "Αθήνα"),
}  # fmt: skip


def old_encoding(doc: Document, r: random.Random) -> None:
    doc.encoding = r.choice(list(PLACES))
    doc.header = [*doc.header, "place"]
    doc.rows = [[*map(_ascii, row), r.choice(PLACES[doc.encoding])] for row in doc.rows]


def _ascii(cell: str) -> str:
    return cell.encode("ascii", "ignore").decode()


def _plain(doc: Document, mark: str) -> list[list[str]]:
    doc.rows = [[cell.replace(mark, " ").replace("\n", " ").strip() for cell in row] for row in doc.rows]
    doc.rows = [[cell.replace('"', "") for cell in row] for row in doc.rows]
    return [doc.header, *doc.rows]


def between_bars(doc: Document, r: random.Random) -> None:
    table = _plain(doc, "|")
    widths = [max(len(row[place]) for row in table) for place in range(len(doc.header))]
    lines = ["|" + "|".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + "|" for row in table]
    ruler = "-" * len(lines[0])
    sap = r.random() < 0.6  # noqa: PLR2004
    doc.drawn = ["05.01.2024   List 1", ruler, lines[0], ruler, *lines[1:], ruler] if sap else lines


def flush_right(doc: Document, _: random.Random) -> None:
    table = [[cell.replace(" ", "_") or "-" for cell in row] for row in _plain(doc, ",")]
    doc.header, doc.rows = table[0], table[1:]
    widths = [max(len(row[place]) for row in table) for place in range(len(doc.header))]
    doc.drawn = [" ".join(cell.rjust(n) for cell, n in zip(row, widths, strict=True)) for row in table]


def quoted_with_empty_cells(doc: Document, _: random.Random) -> None:
    table = _plain(doc, ",")
    doc.drawn = ['"' + ",".join(row) + '";;;' for row in table]


def decimals_cut(doc: Document, r: random.Random) -> None:
    doc.header = ["station", "day", "temperature", "sky"]
    doc.rows = [
        [
            r.choice(["Ulm", "Rome", "Bath"]),
            f"2024-01-{1 + i % 28:02d}",
            f"{r.randint(-9, 30)},{r.randint(10, 99)}",
            "fair",
        ]
        for i in range(len(doc.rows))
    ]
    doc.drawn = [",".join(row) for row in [doc.header, *doc.rows]]


def numbers_as_names(doc: Document, r: random.Random) -> None:
    first = r.choice([0, 1, 2001])
    doc.header = [str(first + i) for i in range(8)]
    doc.rows = [[f"{r.gauss(0, 1):.3f}" for _ in doc.header] for _ in doc.rows]


def prose(doc: Document, r: random.Random) -> None:
    words = [
        "the",
        "room",
        "was",
        "clean",
        "and",
        "quiet",
        "but",
        "breakfast",
        "cost",
        "extra",
        "so",
        "we",
        "went",
        "out",
        "for",
        "coffee",
    ]
    doc.header = ["comment"]
    doc.rows = [[" ".join(r.choice(words) for _ in range(r.randint(2, 20)))] for _ in doc.rows]


EXPORTS: dict[str, Callable[[Document, random.Random], None]] = {
    "old encoding": old_encoding, "between bars": between_bars, "flush right": flush_right,
    "quoted with empty cells": quoted_with_empty_cells, "decimals cut in every row": decimals_cut,
    "numbers as names": numbers_as_names, "prose": prose,
}  # fmt: skip
