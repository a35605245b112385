"""Blanks around a value do not count, of whatever kind; where only those of ASCII landed, silver casts without looking for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowforge_assets.column_types.parse import parse_type
from flowforge_assets.formats import csv_fast
from flowforge_assets.formats.csv_fast import proven_wholly
from flowforge_assets.formats.csv_read import read_any
from flowforge_assets.formats.csv_source import Source
from flowforge_resources import ledger_checkpoint
from flowforge_resources.compaction import Sizes, compact
from flowforge_resources.duck import connect, one_row
from flowforge_resources.layout import TableId
from flowforge_resources.ledger import LedgerEntry, read_ledger
from flowforge_resources.ledger_checkpoint import write_checkpoint
from scenario import land, load, rows_of, run_well

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_resources.lake import Lake

ITEMS = TableId("shop", "items")
YAML = """
    type: flowforge_assets.components.Workflow
    attributes: {description: A shop.}
    ---
    type: flowforge_assets.components.Table
    attributes:
      name: items
      columns:
        - {name: item_id, type: integer}
        - {name: price, type: "decimal(8,2)"}
        - {name: sold, type: date}
        - {name: weight, type: float}
        - {name: label}
      keys: [item_id]
"""
HEADER = "item_id,price,sold,weight,label\n"
FILES = {
    "ascii": "1, 12.50 ,2026-01-02 , 0.5,a\n2,+7,2026-01-03,1e3,\n",
    "letters": "3,1.00,2026-01-04,2,größe \u2014 “x”\n",
    "blanks": "4,\u00a09.99\u2003,2026-01-05\u3000,\u202f3\u00a0,b\u00a0c\n\u20075,,,,\n",
}
VALUES = [
    (1, "12.50", "2026-01-02", 0.5, "a"),
    (2, "7.00", "2026-01-03", 1000.0, None),
    (3, "1.00", "2026-01-04", 2.0, "größe \u2014 “x”"),
    (4, "9.99", "2026-01-05", 3.0, "b\u00a0c"),
    (5, None, None, None, None),
]


def says(path: Path, *, at_once: bool, monkeypatch: pytest.MonkeyPatch) -> bool:
    """What the proof of a file says of its blanks."""
    with monkeypatch.context() as context:
        context.setattr(csv_fast, "AT_ONCE_BYTES", 1 << 30 if at_once else 0)
        context.setattr(csv_fast, "BEGINNING_BYTES", 10)
        read = read_any(path)
        assert read.unproven is not at_once
        assert at_once or not read.dialect.ascii_blanks
        found = proven_wholly(Source(path), read.dialect)
        assert found.clean
        return found.ascii_blanks


@pytest.mark.parametrize("at_once", [True, False])
def test_every_blank_that_duckdb_trims_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    codes = "SELECT c::INTEGER AS c FROM range(1, 1114112) t(c) WHERE c NOT BETWEEN 55296 AND 57343"
    with connect(tmp_path) as connection:
        trimmed, passed = one_row(
            connection,
            f"""
            SELECT list(c) FILTER (trim(chr(c)) = ''), list(c) FILTER (TRY_CAST(chr(c) || '5' || chr(c) AS BIGINT) = 5)
            FROM ({codes}) WHERE trim(chr(c)) = '' OR TRY_CAST(chr(c) || '5' || chr(c) AS BIGINT) = 5
            """,
        )
    assert set(trimmed) & set(range(128)) <= set(passed)
    others = [chr(code) for code in trimmed if code not in passed]
    assert len(others) > 10
    path = tmp_path / "file.csv"
    for number, blank in enumerate(others):
        path.write_text(HEADER + FILES["letters"] * 40 + FILES["letters"].replace("“x”", f"{'x' * number}{blank}"))
        assert not says(path, at_once=at_once, monkeypatch=monkeypatch), hex(ord(blank))
    for name, blanks in {"ascii": True, "letters": True, "blanks": False}.items():
        path.write_text(HEADER + FILES[name] * 40)
        assert says(path, at_once=at_once, monkeypatch=monkeypatch) is blanks


@pytest.mark.parametrize("order", [("ascii", "letters", "blanks"), ("blanks", "ascii", "letters")])
def test_silver_is_the_same_whatever_is_known_of_blanks(lake: Lake, order: tuple[str, ...], tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    for name in order:
        land(lake, "shop", {f"items/{name}.csv": HEADER + FILES[name]})
        run_well(defs, "shop")
    assert values(lake) == VALUES
    assert known(lake) == [name != "blanks" for name in order]
    assert compact(lake, [ITEMS], run_id="r", sizes=Sizes(fewest=2)).groups
    assert known(lake) == [name != "blanks" for name in order]
    changed = load(tmp_path / "changed", YAML.replace("(8,2)", "(9,2)"))
    run_well(changed, "shop")  # all of bronze once more
    assert values(lake) == VALUES


def test_files_of_one_batch_are_known_together(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    land(lake, "shop", {f"items/{name}.csv": HEADER + text for name, text in FILES.items()})
    run_well(defs, "shop")
    assert known(lake) == [False]
    assert values(lake) == VALUES


def test_nothing_is_known_of_files_that_are_read_with_care(lake: Lake, tmp_path: Path) -> None:
    defs = load(tmp_path, YAML)
    land(lake, "shop", {"items/a.csv": HEADER + "1,2,2026-01-01,1,a\n2,3\n"})
    run_well(defs, "shop")
    assert known(lake) == [False]


def test_a_checkpoint_keeps_what_is_known_and_an_older_one_knows_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [LedgerEntry(n, "2026-01-01", "r", f"{n}.parquet", 1, ascii_blanks=n != 2) for n in (1, 2, 3)]
    write_checkpoint(lake, ITEMS, None, entries)
    assert known(lake) == [True, False, True]
    schema = ledger_checkpoint.records_schema
    with monkeypatch.context() as older:
        older.setattr(
            ledger_checkpoint, "records_schema", lambda: {k: v for k, v in schema().items() if k != "ascii_blanks"}
        )
        older.setattr(LedgerEntry, "own_facts", lambda _: {"bronze_file": "b.parquet", "rows": 1})
        write_checkpoint(lake, ITEMS, None, [LedgerEntry(4, "2026-01-01", "r", "b.parquet", 1)])
    assert known(lake) == [False]


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("integer", {}, "7"),
        ("integer", {"thousands_separator": ".", "decimal_separator": ","}, "1.000"),
        ("decimal(6,2)", {}, "7.5"),
        ("decimal(6,2)", {"currency": ("€",)}, "5 €"),
        ("float", {}, "-1e3"),
        ("float", {"decimal_separator": ","}, "7,5"),
        ("boolean", {}, "yes"),
        ("date", {}, "2024-02-01"),
        ("date", {"formats": ("%d.%m.%Y",)}, "01.02.2024"),
        ("date", {"formats": ("excel",)}, "45000"),
        ("time", {}, "10:20"),
        ("time", {"formats": ("%H.%M",)}, "10.20"),
        ("timestamp", {}, "2024-02-01 10:20:30"),
        ("timestamp", {"timezone": "Europe/Berlin"}, "2024-02-01T10:20:30+05:30"),
        ("timestamp", {"formats": ("%d.%m.%Y %H:%M",)}, "01.02.2024 10:20"),
        ("json", {}, '{"a": " "}'),
    ],
)
def test_a_value_of_any_type_may_stand_between_blanks_of_any_kind(
    tmp_path: Path, kind: str, options: dict[str, Any], text: str
) -> None:
    of = parse_type(kind, **options)
    with connect(tmp_path) as connection:
        for around in ("{}", " {} ", "\u00a0{}\u2003", "\u3000 {}"):
            read = f"SELECT ({of.cast('x')})::VARCHAR, ({of.settled('x')})::VARCHAR FROM (SELECT ?::VARCHAR AS x)"
            value, settled = connection.execute(read, [around.format(text)]).fetchall()[0]
            assert value is not None
            assert value == settled == connection.execute(read, [text]).fetchall()[0][0]


def known(lake: Lake) -> list[bool]:
    """What the ledger knows of each entry's blanks."""
    return [part.ascii_blanks for part in read_ledger(lake, ITEMS).data_after(0)]


def values(lake: Lake) -> list[tuple[object, ...]]:
    rows = sorted(rows_of(lake, ITEMS.current), key=lambda row: row["item_id"])
    names = ("item_id", "price", "sold", "weight", "label")
    return [
        tuple(v if v is None or name in {"item_id", "weight"} else str(v) for name in names for v in [row[name]])
        for row in rows
    ]
