"""What each transform does to values and rows, awkward ones first."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowforge_assets.table_spec import Routed
from flowforge_assets.transforms.computing import Route
from flowforge_assets.transforms.place import fits
from flowforge_resources.duck import literal
from flowforge_resources.errors import SettingError, TransformError
from flowforge_resources.layout import TableId
from transforming import came_of, table

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.table_spec import TableSpec

QUOTED = 'a "b'  # a name that needs quoting in SQL


def value_of(folder: Path, text: str | None, **step: Any) -> Any:
    """What a transform of the column `a "b` makes of one value."""
    spec = table([{**step, "columns": [QUOTED]}], [QUOTED])
    return came_of(folder, [{QUOTED: text}], spec).rows[0][QUOTED]


VALUES: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "trim": ({"transform": "trim"}, " \t\u00a0a  b\u3000\r\n", "a  b"),
    "trim of nothing": ({"transform": "trim"}, None, None),
    "trim of blanks": ({"transform": "trim"}, "  ", None),
    "trim and collapse": ({"transform": "trim", "collapse": True}, "\u00a0 a \n\u2009 b ", "a b"),
    "lower": ({"transform": "case", "to": "lower"}, "ÄB", "äb"),
    "upper": ({"transform": "case", "to": "upper"}, "straße é", "STRAẞE É"),
    "title": ({"transform": "case", "to": "title"}, "ANNE-marie  o'BRIEN éa", "Anne-Marie  O'brien Éa"),
    "title of nothing": ({"transform": "case", "to": "title"}, None, None),
    "replace": ({"transform": "replace", "find": ".", "by": "'"}, "a.b.", "a'b'"),
    "replace with nothing": ({"transform": "replace", "find": "("}, "(a)", "a)"),
    "replace a regex": (
        {"transform": "replace", "find": r"^(\d+)\.(\d+)$", "by": r"\2-\1", "regex": True},
        "12.34",
        "34-12",
    ),
    "replace every match": ({"transform": "replace", "find": r"\s", "regex": True}, "a b c", "abc"),
    "map": ({"transform": "map_values", "values": {"M": "male", 1: "one"}}, "M", "male"),
    "map a number": ({"transform": "map_values", "values": {"M": "male", 1: "one"}}, "1", "one"),
    "map keeps": ({"transform": "map_values", "values": {"M": "male"}}, "X", "X"),
    "map to null": ({"transform": "map_values", "values": {"M": "male"}, "default": None}, "X", None),
    "map to a value": ({"transform": "map_values", "values": {"M": "male"}, "default": "o'x"}, "X", "o'x"),
    "map leaves nothing": ({"transform": "map_values", "values": {"M": "male"}, "default": "x"}, None, None),
    "map nothing": ({"transform": "map_values", "values": {"": "none"}}, "", "none"),
    "map null": ({"transform": "map_values", "values": {"": "none"}}, None, "none"),
    "mask": ({"transform": "mask", "keep_first": 1, "keep_last": 2}, "abcdef", "a***ef"),
    "mask what is too short": ({"transform": "mask", "keep_first": 2, "keep_last": 2}, "abcd", "****"),
    "mask all": ({"transform": "mask", "character": "x"}, "äöü", "xxx"),
    "mask nothing": ({"transform": "mask", "keep_first": 1}, None, None),
    "hash": ({"transform": "hash"}, "a", hashlib.sha256(b"a").hexdigest()),
    "hash nothing": ({"transform": "hash"}, "", None),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_becomes_what_its_transform_says(tmp_path: Path, case: str) -> None:
    step, text, wanted = VALUES[case]
    assert value_of(tmp_path, text, **step) == wanted


def test_a_hash_is_salted_by_an_environment_variable_that_must_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"transform": "hash", "salt_env": "SHOP_SALT"}
    with pytest.raises(SettingError, match="SHOP_SALT"):
        value_of(tmp_path / "1", "a", **step)
    monkeypatch.setenv("SHOP_SALT", "it's")
    assert value_of(tmp_path / "2", "a", **step) == hashlib.sha256(b"it'sa").hexdigest()


def test_another_salt_makes_silver_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [{"transform": "hash", "columns": ["a"], "salt_env": "SHOP_SALT"}]
    found = set()
    for salt in ("one", "two"):
        monkeypatch.setenv("SHOP_SALT", salt)
        found.add(table(steps, ["a"]).fingerprint)
    assert len(found) == 2


def test_rename_gives_landed_columns_other_names_and_may_swap(tmp_path: Path) -> None:
    swap = [{"transform": "rename", "columns": {"a": "b", "b": "a", QUOTED: "c"}}]
    spec = table(swap, ["a", "b", "c"], landed_columns=(QUOTED,))
    assert came_of(tmp_path, [{"a": "1", "b": "2", QUOTED: "3"}], spec).rows == [{"a": "2", "b": "1", "c": "3"}]
    assert spec.landed_headers == ("a", "b", QUOTED)


def test_coalesce_takes_the_first_value_and_empty_text_is_none(tmp_path: Path) -> None:
    spec = table([{"transform": "coalesce", "columns": ["a", "b"]}], ["a"], landed_columns=("b",))
    rows = [{"a": "1", "b": "2"}, {"a": "", "b": "2"}, {"a": None, "b": ""}]
    assert came_of(tmp_path, rows, spec).column("a") == ["1", "2", None]


def test_split_gives_what_is_left_to_the_last_column_and_null_to_missing_parts(tmp_path: Path) -> None:
    spec = table(
        [{"transform": "split", "column": "a", "by": ".", "into": ["x", "y"]}], ["x", "y"], landed_columns=("a",)
    )
    rows = [{"a": "1.2.3"}, {"a": "1"}, {"a": ""}, {"a": None}, {"a": ".2"}]
    found = [(row["x"], row["y"]) for row in came_of(tmp_path, rows, spec).rows]
    assert found == [("1", "2.3"), ("1", None), (None, None), (None, None), (None, "2")]


def test_concatenate_leaves_out_what_has_no_value(tmp_path: Path) -> None:
    step = {"transform": "concatenate", "columns": ["a", "b"], "into": "c", "separator": "'"}
    spec = table([step], ["c"], landed_columns=("a", "b"))
    rows = [{"a": "1", "b": "2"}, {"a": "", "b": "2"}, {"a": None, "b": ""}]
    assert came_of(tmp_path, rows, spec).column("c") == ["1'2", "2", None]


def test_derive_behind_cast_computes_with_types(tmp_path: Path) -> None:
    columns = ["id", {"name": "n", "type": "integer"}, {"name": "total", "type": "decimal(5,2)"}]
    steps = [{"transform": "cast"}, {"transform": "derive", "column": "total", "sql": "n * 1.5 -- half more"}]
    spec = table(steps, columns)
    came = came_of(tmp_path, [{"id": "1", "n": "3"}, {"id": "2", "n": None}, {"id": "3", "n": "1000"}], spec)
    assert came.column("total") == [Decimal("4.50"), None, None]
    assert [row["_broken_total"] for row in came.all_columns] == [False, False, True]
    assert [row["_raw_total"] for row in came.all_columns] == ["4.5", None, "1500.0"]
    assert spec.landed_headers == ("id", "n")


def test_a_row_whose_expression_fails_is_kept_marked_and_passes_the_rest_untouched(tmp_path: Path) -> None:
    steps = [
        {
            "transform": "derive",
            "column": "n",
            "sql": "CASE WHEN a::INTEGER > 0 THEN a::INTEGER + 1 ELSE -a::INTEGER END",
        },
        {"transform": "filter", "where": "FALSE"},
        {"transform": "explode", "column": "tags", "by": ","},
        {"transform": "unpivot", "columns": ["p", "q"], "names_to": "name", "values_to": "value"},
    ]
    columns = ["id", {"name": "n", "type": "integer"}, "tags"]
    spec = table(steps, columns, landed_columns=("a", "p", "q"))
    rows = [
        {"id": "1", "a": "1", "tags": "x,y", "p": "", "q": ""},
        {"id": "2", "a": "one", "tags": "x,y", "p": "", "q": ""},
    ]
    came = came_of(tmp_path, rows, spec)
    assert came.rows == [{"id": "2", "n": None, "tags": "x,y"}]
    assert came.all_columns[0]["_failed"] == 1
    assert [one.message for one in came.prepared.statements] == [
        "transform 1 (derive) cannot be computed",
        "transform 2 (filter) cannot be computed",
        "transform 3 (explode) cannot be computed",
    ]
    assert (came.books.read, came.books.filtered, came.books.exploded) == (2, 1, 0)


def test_filter_drops_what_does_not_satisfy_and_null_does_not(tmp_path: Path) -> None:
    spec = table([{"transform": "filter", "where": "a <> 'x' OR a = ''"}], ["id", "a"])
    rows = [{"id": str(n), "a": a} for n, a in enumerate(["x", "y", None, ""])]
    came = came_of(tmp_path, rows, spec)
    assert came.column("id") == ["1", "3"]
    assert (came.books.read, came.books.filtered) == (4, 2)


def test_a_row_that_did_not_cast_is_not_filtered_away_behind_cast(tmp_path: Path) -> None:
    steps = [{"transform": "cast"}, {"transform": "filter", "where": "n > 5"}]
    spec = table(steps, ["id", {"name": "n", "type": "integer"}])
    came = came_of(tmp_path, [{"id": "1", "n": "9"}, {"id": "2", "n": "nine"}, {"id": "3", "n": "1"}], spec)
    assert came.column("id") == ["1", "2"]


def routed(source: TableSpec, columns: list[Any], steps: list[Any], to: str) -> TableSpec:
    """A table whose rows another one routes to it."""
    at = next(place for place, step in enumerate(source.transforms) if isinstance(step, Route) and step.to == to)
    route = source.transforms[at]
    assert isinstance(route, Route)
    return table(steps, columns, id=TableId("shop", to), routed=Routed(source, at, route))


def test_rows_can_be_routed_on_and_every_row_is_in_one_table(tmp_path: Path) -> None:
    n = {"name": "n", "type": "integer"}
    first = table(
        [
            {"transform": "derive", "column": "m", "sql": "n::INTEGER + 1"},
            {"transform": "route", "where": "n LIKE '1%'", "to": "second"},
            {"transform": "cast"},
            {"transform": "route", "where": "m > 20", "to": "third"},
        ],
        ["id", n, {"name": "m", "type": "integer"}],
    )
    second = routed(first, ["id", n], [{"transform": "route", "where": "id = 'c'", "to": "fourth"}], "second")
    third = routed(
        first,
        ["id", {"name": "number", "type": "integer", "source": "n"}, {"name": "m", "type": "decimal(5,1)"}],
        [],
        "third",
    )
    fourth = routed(second, ["id"], [{"transform": "case", "columns": ["id"], "to": "upper"}], "fourth")
    # d fails before the first route, though it satisfies it; e does not cast behind it.
    rows = [{"id": i, "n": text} for i, text in zip("abcdef", ["5", "11", "12", "1x", None, "30"], strict=True)]
    came = {spec.id.name: came_of(tmp_path / spec.id.name, rows, spec) for spec in (first, second, third, fourth)}
    assert came["things"].rows == [
        {"id": "a", "n": 5, "m": 6},
        {"id": "d", "n": None, "m": None},
        {"id": "e", "n": None, "m": None},
    ]
    assert [row["_failed"] for row in came["things"].all_columns] == [None, 1, None]
    assert came["second"].rows == [{"id": "b", "n": 11}]
    assert came["third"].rows == [{"id": "f", "number": 30, "m": Decimal("31.0")}]
    assert came["fourth"].rows == [{"id": "C"}]
    books = {name: (one.books.read, one.books.routed) for name, one in came.items()}
    assert books == {"things": (6, 3), "second": (2, 1), "third": (1, 0), "fourth": (1, 0)}
    assert third.sources == {"id": "id", "number": "n"}


def test_a_column_that_is_named_like_one_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="'_failed' is a name that FlowForge uses"):
        came_of(tmp_path, [{"_failed": "1"}], table([{"transform": "trim", "columns": ["_failed"]}], ["_failed"]))


def test_explode_makes_a_row_of_each_element_in_order(tmp_path: Path) -> None:
    steps = [{"transform": "explode", "column": "tags"}]
    cells = ['["a", "b", null, {"c": [1]}]', "[]", None, "", "nothing", '{"a": 1}', '["z"]']
    came = came_of(
        tmp_path, [{"id": str(n), "tags": cell} for n, cell in enumerate(cells)], table(steps, ["id", "tags"])
    )
    found = [(row["id"], row["tags"]) for row in came.rows]
    assert found == [
        ("0", "a"),
        ("0", "b"),
        ("0", None),
        ("0", '{"c":[1]}'),
        ("1", None),
        ("2", None),
        ("3", None),
        ("4", "nothing"),
        ("5", '{"a": 1}'),
        ("6", "z"),
    ]
    assert [row["id"] for row in came.all_columns if row["_failed"] == 1] == ["4", "5"]
    assert (came.books.read, came.books.exploded) == (7, 3)


def test_explode_of_delimited_text_into_another_column(tmp_path: Path) -> None:
    steps = [{"transform": "explode", "column": "tags", "by": "|", "into": "tag"}]
    spec = table(steps, ["id", "tag", "tags"])
    came = came_of(tmp_path, [{"id": "1", "tags": "a||b"}, {"id": "2", "tags": None}], spec)
    assert [(row["id"], row["tag"], row["tags"]) for row in came.rows] == [
        ("1", "a", "a||b"),
        ("1", None, "a||b"),
        ("1", "b", "a||b"),
        ("2", None, None),
    ]


def test_unpivot_makes_a_row_of_each_column_nulls_too(tmp_path: Path) -> None:
    steps = [{"transform": "unpivot", "columns": ["q1", "q'2"], "names_to": "quarter", "values_to": "amount"}]
    spec = table(steps, ["id", "quarter", {"name": "amount", "type": "integer"}], landed_columns=("q1", "q'2"))
    came = came_of(tmp_path, [{"id": "1", "q1": "5", "q'2": None}, {"id": "2", "q1": "x", "q'2": "7"}], spec)
    assert [tuple(row.values()) for row in came.rows] == [
        ("1", "q1", 5),
        ("1", "q'2", None),
        ("2", "q1", None),
        ("2", "q'2", 7),
    ]
    assert [row["_broken_amount"] for row in came.all_columns] == [False, False, True, False]
    assert came.books.exploded == 2


def test_transforms_that_multiply_rows_can_follow_each_other(tmp_path: Path) -> None:
    steps = [
        {"transform": "explode", "column": "a", "by": ","},
        {"transform": "explode", "column": "b", "by": ","},
        {"transform": "filter", "where": "a <> b"},
        {"transform": "unpivot", "columns": ["a", "b"], "names_to": "which", "values_to": "value"},
    ]
    spec = table(steps, ["id", "which", "value"], landed_columns=("a", "b"))
    came = came_of(tmp_path, [{"id": "1", "a": "1,2", "b": "1,2,3"}], spec)
    assert came.column("value") == ["1", "2", "1", "3", "2", "1", "2", "3"]
    assert (came.books.read, came.books.exploded, came.books.filtered) == (1, 1 + 4 + 4, 2)


def test_lookup_adds_columns_by_the_key_as_the_other_table_cast_it(tmp_path: Path) -> None:
    other = table([], [{"name": "nr", "type": "integer"}, "label"])
    steps = [{"transform": "lookup", "table": "items", "keys": {"item": "nr"}, "take": {"name": "label"}}]
    spec = table(steps, ["id", "name"], landed_columns=("item",), lookups={"items": other.columns})
    rows = [{"id": "1", "item": "007"}, {"id": "2", "item": "8"}, {"id": "3", "item": "x"}, {"id": "4", "item": None}]
    came = came_of(tmp_path, rows, spec, reads={"items": [{"nr": 7, "label": "Spade"}]})
    assert came.column("name") == ["Spade", None, None, None]


HISTORY = {
    "nr": [7, 7, 8],
    "label": ["Old", "New", "Gone"],
    "since": [date(2026, 1, 1), date(2026, 2, 1), date(2026, 1, 1)],
    "until": [date(2026, 2, 1), None, date(2026, 3, 1)],
    "now": [False, True, False],
}


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [(None, ["New", "New", "New", None, None]), ("day", [None, "Old", "New", "Gone", None])],
)
def test_lookup_of_a_table_with_history_takes_the_version_of_the_day_or_the_present_one(
    tmp_path: Path, as_of: str | None, expected: list[str | None]
) -> None:
    kinds = {"nr": "integer", "label": "text", "since": "date", "until": "date", "now": "boolean"}
    other = table([], [{"name": name, "type": kind} for name, kind in kinds.items()])
    step = {"transform": "lookup", "table": "items", "keys": {"item": "nr"}, "take": {"name": "label"}, "as_of": as_of}
    spec = table(
        [step],
        ["id", "name"],
        landed_columns=("item", "day"),
        lookups={"items": other.columns},
        histories={"items": ("since", "until", "now")},
    )
    days = [("7", "2025-12-31"), ("7", "2026-01-31"), ("7", "2026-02-01"), ("8", "2026-02-28"), ("8", "2026-03-01")]
    rows = [{"id": str(place), "item": item, "day": day} for place, (item, day) in enumerate(days)]
    history = [dict(zip(HISTORY, values, strict=True)) for values in zip(*HISTORY.values(), strict=True)]
    assert came_of(tmp_path, rows, spec, reads={"items": history}).column("name") == expected


def test_a_lookup_that_says_nothing_of_versions_is_no_other_than_before() -> None:
    step = {"transform": "lookup", "table": "items", "keys": ["nr"], "take": ["label"]}
    other = table([], [{"name": "nr", "type": "integer"}, "label"])
    now = table([step], ["nr", "label"], lookups={"items": other.columns}).transforms[0].shape
    assert now == [{"transform": "lookup", "table": "items", "keys": {"nr": "nr"}, "take": {"label": "label"}}]
    later = table([{**step, "as_of": "day"}], ["nr", "label", "day"], lookups={"items": other.columns})
    assert later.transforms[0].shape != now


def test_the_order_of_transforms_is_the_declared_one(tmp_path: Path) -> None:
    upper, replaced = (
        {"transform": "case", "columns": ["a"], "to": "upper"},
        {"transform": "replace", "columns": ["a"], "find": "x", "by": "y"},
    )
    rows = [{"a": "xX"}]
    assert came_of(tmp_path / "1", rows, table([upper, replaced], ["a"])).column("a") == ["XX"]
    assert came_of(tmp_path / "2", rows, table([replaced, upper], ["a"])).column("a") == ["YX"]


def test_a_table_without_transforms_has_the_fingerprint_it_always_had() -> None:
    plain = table([], ["a", {"name": "b", "type": "date"}])
    assert plain.fingerprint == "d0635c6d1debd82f"
    assert (
        table([{"transform": "trim", "columns": ["a"]}], ["a", {"name": "b", "type": "date"}]).fingerprint
        != "d0635c6d1debd82f"
    )


# Python


def python(folder: Path, source: str, **more: Any) -> Any:
    """Rows with ids 1 to 3 through the function `f` of a file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(f"import polars as pl\n{source}", encoding="utf-8")
    steps = [*more.pop("before", []), {"transform": "python", "function": "own.py:f", **more.pop("step", {})}]
    spec = table(steps, more.pop("columns", ["id"]), folder=folder, **more)
    return came_of(folder / "rows", [{"id": "1"}, {"id": "2"}, {"id": "3"}], spec)


def test_a_python_function_adds_columns_drops_and_repeats_rows(tmp_path: Path) -> None:
    source = "def f(frame):\n    more = frame.with_columns(n=pl.col('id').cast(pl.Int64) * 10).filter(pl.col('id') != '2')\n    return pl.concat([more, more.filter(pl.col('id') == '1')])\n"
    came = python(tmp_path, source, step={"adds": {"n": "integer"}}, columns=["id", {"name": "n", "type": "integer"}])
    assert [tuple(row.values()) for row in came.rows] == [("1", 10), ("1", 10), ("3", 30)]
    assert (came.books.read, came.books.filtered, came.books.exploded) == (3, 1, 1)


def test_a_value_of_python_that_is_too_large_for_its_type_holds_its_row(tmp_path: Path) -> None:
    source = "def f(frame):\n    return frame.with_columns(n=pl.col('id').cast(pl.Int64) * 40)\n"
    columns = ["id", {"name": "n", "type": "decimal(2,0)"}]
    came = python(tmp_path, source, step={"adds": {"n": "decimal(2,0)"}}, columns=columns)
    assert came.column("n") == [40, 80, None]
    assert [row["_failed"] for row in came.all_columns] == [None, None, 1]


def test_a_python_function_sees_rows_in_order_of_arrival_and_not_those_that_failed(tmp_path: Path) -> None:
    source = "def f(frame):\n    return frame.with_columns(seen=pl.col('_rid').cum_count().cast(pl.Int64))\n"
    before = [{"transform": "derive", "column": "m", "sql": "(id || CASE WHEN id = '2' THEN 'x' ELSE '' END)::INTEGER"}]
    columns = ["id", {"name": "m", "type": "integer"}, {"name": "seen", "type": "integer"}]
    came = python(tmp_path, source, before=before, step={"adds": {"seen": "integer"}}, columns=columns)
    assert [tuple(row.values()) for row in came.rows] == [("1", 1, 1), ("2", None, None), ("3", 3, 2)]
    assert [row["_failed"] for row in came.all_columns] == [None, 1, None]


def test_rows_that_were_exploded_keep_their_place_through_python(tmp_path: Path) -> None:
    source = (
        "def f(frame):\n    return pl.concat([frame, frame.filter(pl.col('id') == 'a')]).sort('id', descending=True)\n"
    )
    before = [
        {"transform": "derive", "column": "id", "sql": "id || ',a'"},
        {"transform": "explode", "column": "id", "by": ","},
    ]
    came = python(tmp_path, source, before=before)
    assert came.column("id") == ["1", "a", "a", "2", "a", "a", "3", "a", "a"]
    assert came.books.exploded == 6


FAILING = {
    "raises": ("def f(frame):\n    raise ValueError('boom')\n", "failed with ValueError: boom"),
    "fails when it runs": ("def f(frame):\n    return frame.select('nothing')\n", "failed with ColumnNotFoundError"),
    "no lazy frame": ("def f(frame):\n    return frame.collect()\n", "returned DataFrame, not a LazyFrame"),
    "loses _rid": ("def f(frame):\n    return frame.select('id')\n", "no column '_rid'"),
    "loses a column": ("def f(frame):\n    return frame.select('_rid')\n", "no column 'id'"),
    "another type": (
        "def f(frame):\n    return frame.with_columns(pl.col('id').cast(pl.Int64))\n",
        "returned 'id' as BIGINT, not as VARCHAR",
    ),
    "null _rid": (
        "def f(frame):\n    return frame.with_columns(_rid=pl.lit(None, pl.Int64))\n",
        "3 rows whose `_rid` is null",
    ),
    "strange _rid": ("def f(frame):\n    return frame.with_columns(_rid=pl.col('_rid') + 1)\n", "1 rows whose `_rid`"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_python_function_that_cannot_be_used_is_a_clear_error(tmp_path: Path, case: str) -> None:
    source, wanted = FAILING[case]
    with pytest.raises(TransformError) as caught:
        python(tmp_path, source)
    assert str(caught.value).startswith("shop.things, transform 1: ")
    assert wanted in str(caught.value)
    assert "keeps its last version" in str(caught.value)


def test_what_a_function_says_is_not_quoted_where_there_is_personal_data(tmp_path: Path) -> None:
    with pytest.raises(TransformError) as caught:
        python(tmp_path, "def f(frame):\n    raise ValueError('Ann Lee')\n", columns=[{"name": "id", "pii": True}])
    assert "Ann" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "failed with ValueError." in str(caught.value)


def test_a_changed_function_makes_silver_anew(tmp_path: Path) -> None:
    steps = [{"transform": "python", "function": "own.py:f"}]
    found = set()
    for helper in ("1", "2"):
        (tmp_path / "own.py").write_text(f"HELPER = {helper}\ndef f(frame):\n    return frame\n", encoding="utf-8")
        found.add(table(steps, ["id"], folder=tmp_path).fingerprint)
    assert len(found) == 2


# Laws

TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6),
    find=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=3),
)
def test_values_become_what_python_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str | None, str | None]], find: str
) -> None:
    steps = [
        {"transform": "replace", "columns": ["a"], "find": find, "by": "'\""},
        {"transform": "concatenate", "columns": ["a", "b"], "into": "c", "separator": find},
        {"transform": "mask", "columns": ["b"], "keep_last": 2},
    ]
    spec = table(steps, ["c", "a", "b"])
    rows = came_of(tmp_path_factory.mktemp("law"), [{"a": a, "b": b} for a, b in values], spec).rows
    for (a, b), row in zip(values, rows, strict=True):
        replaced = (a or "").replace(find, "'\"") or None
        masked = "*" * (len(b or "") - 2) + (b or "")[-2:] if len(b or "") > 2 else "*" * len(b or "")
        assert row == {"a": replaced, "b": masked or None, "c": find.join(x for x in (replaced, b) if x) or None}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lists=st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=5),
    kept=st.sampled_from(["a", "b", "z"]),
)
def test_the_books_balance_whatever_is_exploded_and_filtered(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[str]], kept: str
) -> None:
    steps = [
        {"transform": "explode", "column": "x", "by": ","},
        {"transform": "filter", "where": f"x = {literal(kept)}"},
    ]
    rows = [{"id": str(n), "x": ",".join(one)} for n, one in enumerate(lists)]
    came = came_of(tmp_path_factory.mktemp("law"), rows, table(steps, ["id", "x"]))
    books = came.books
    assert [row["id"] for row in came.rows] == [str(n) for n, one in enumerate(lists) for x in one if x == kept]
    assert books.read == len(lists)
    assert books.exploded == sum(max(len(one), 1) - 1 for one in lists)
    assert books.read + books.exploded == books.filtered + len(came.rows)


@pytest.mark.parametrize(
    ("found", "wanted", "does"),
    [
        ("INTEGER", "BIGINT", True),
        ("HUGEINT", "BIGINT", True),
        ("DECIMAL(18,0)", "BIGINT", True),
        ("DECIMAL(18,1)", "BIGINT", False),
        ("DOUBLE", "BIGINT", False),
        ("DECIMAL(29,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(4,3)", "DECIMAL(12,2)", False),
        ("DOUBLE", "DECIMAL(12,2)", False),
        ("FLOAT", "DOUBLE", True),
        ("DECIMAL(4,3)", "DOUBLE", True),
        ("VARCHAR", "DATE", False),
        ("DATE", "TIMESTAMP", True),
        ("TIMESTAMP", "DATE", False),
        ("BIGINT", "VARCHAR", False),
        ('"NULL"', "DATE", True),
    ],
)
def test_a_type_fits_where_nothing_is_rounded_or_guessed(found: str, wanted: str, *, does: bool) -> None:
    assert fits(found, wanted) is does
    if does and found != '"NULL"':
        with duckdb.connect() as connection:
            assert connection.execute(f"SELECT TRY_CAST(NULL::{found} AS {wanted})").fetchall() == [(None,)]
