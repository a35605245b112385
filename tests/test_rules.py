"""The vocabulary of rules: what each kind says of values, of rows, of a table, and of null."""

from __future__ import annotations

from datetime import UTC, datetime
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flowforge_checks.gate import Gate
from flowforge_checks.model_tests import as_tests
from flowforge_checks.rules import RULE_KINDS, AnyRule, Judged, Rule
from flowforge_checks.statements import statements
from flowforge_checks.table_judge import judge
from flowforge_resources.duck import connect, literal, quote
from flowforge_resources.errors import RuleValuesError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from flowforge_checks.results import Outcome

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(tmp_path_factory.mktemp("spilled")) as connection:
        yield connection


def rule_of(**written: Any) -> Rule:
    return TypeAdapter(AnyRule).validate_python(written)


def values(rows: list[Any], kind: str, name: str = "v") -> str:
    """SQL of a table of one column, and `_rid`."""
    each = ", ".join(f"({place}, {literal(row)}::{kind})" for place, row in enumerate(rows))
    return f"(SELECT * FROM (VALUES {each}) AS t(_rid, {quote(name)}))"


def broken(connection: duckdb.DuckDBPyConnection, rule: Rule, table: str, **reads: str) -> list[int]:
    """Numbers of the rows that break a rule."""
    rule.prepare(connection, table)
    found = connection.execute(f"SELECT _rid FROM {table} WHERE {rule.broken(reads)} ORDER BY 1").fetchall()
    return [row[0] for row in found]


# A rule about `v`, the type of `v`, and its values: valid ones, then those that break it. Null is valid wherever it stands left.
OF_VALUES: list[tuple[dict[str, Any], str, list[Any], list[Any]]] = [
    ({"rule": "not_null"}, "INTEGER", [0, 1], [None]),
    (
        {"rule": "not_blank"},
        "VARCHAR",
        ["x", " x ", "!", "~", "é", " é", "\u20ac"],
        [None, "", "  ", "\t\n", "\u00a0", "\u2003 "],
    ),
    ({"rule": "not_blank", "markers": ["N/A", "empty"]}, "VARCHAR", ["na"], [None, "n/a", " Empty ", ""]),
    ({"rule": "range", "min": 1, "max": 3}, "INTEGER", [1, 3, None], [0, 4]),
    ({"rule": "range", "min": 1, "exclusive_min": True}, "INTEGER", [2, None], [1]),
    ({"rule": "range", "max": 3, "exclusive_max": True}, "DOUBLE", [2.99, None], [3, 4]),
    (
        {"rule": "range", "min": "2026-01-01", "max_sql": "DATE '2026-02-01'"},
        "DATE",
        ["2026-01-01", None],
        ["2025-12-31", "2026-02-02"],
    ),
    ({"rule": "range", "min": "08:00", "max": "17:00"}, "TIME", ["08:00", None], ["07:59:59", "17:00:01"]),
    ({"rule": "length", "exactly": 2}, "VARCHAR", ["äö", None], ["", "a", "abc"]),
    ({"rule": "length", "min": 1, "max": 2}, "VARCHAR", ["a", "ab", None], ["", "abc"]),
    ({"rule": "allowed_values", "values": ["a", "B"]}, "VARCHAR", ["a", "B", None], ["A", ""]),
    ({"rule": "allowed_values", "values": ["a", "B"], "case_sensitive": False}, "VARCHAR", ["A", "b", None], ["c"]),
    ({"rule": "allowed_values", "values": [1, 2]}, "INTEGER", [1, None], [3]),
    ({"rule": "forbidden_values", "values": ["N/A", "-"]}, "VARCHAR", ["x", "n/a", None], ["N/A", "-"]),
    ({"rule": "forbidden_values", "values": ["n/a"], "case_sensitive": False}, "VARCHAR", ["x", None], ["N/A"]),
    ({"rule": "matches", "pattern": "[A-Z]{2}\\d+"}, "VARCHAR", ["AB1", None], ["ab1", "AB1x", ""]),
    ({"rule": "matches", "pattern": "[A-Z]+", "case_sensitive": False}, "VARCHAR", ["ab", None], ["a1"]),
    ({"rule": "matches", "pattern": ".*(x|\\?).*", "negate": True}, "VARCHAR", ["abc", None], ["axc", "?"]),
    ({"rule": "type", "is_a": "integer"}, "VARCHAR", ["1", "-20", None], ["1.0", "x", "", "1e3"]),
    (
        {"rule": "type", "is_a": "decimal(5,2)"},
        "VARCHAR",
        ["123.45", "-1", "0.5", None],
        ["1234", "1.234", "x", ".", ""],
    ),
    ({"rule": "type", "is_a": "decimal"}, "VARCHAR", ["123.45", "-1", None], ["1,5", "x", ""]),
    ({"rule": "type", "is_a": "float"}, "VARCHAR", ["1e3", "2.5", None], ["nan", "inf", "x", "1_0"]),
    ({"rule": "type", "is_a": "boolean"}, "VARCHAR", ["TRUE", "no", None], ["maybe", ""]),
    ({"rule": "type", "is_a": "date"}, "VARCHAR", ["2024-02-29", None], ["2023-02-29", "1.2.2024", "2024-1-1"]),
    (
        {"rule": "type", "is_a": "date", "formats": ["%d.%m.%Y", "%m/%d/%Y"]},
        "VARCHAR",
        ["29.02.2024", "12/31/2024", None],
        ["31.02.2024", "2024-01-01"],
    ),
    ({"rule": "type", "is_a": "time", "formats": ["%I:%M %p"]}, "VARCHAR", ["7:10 AM", None], ["7:10", "25:10 PM"]),
    (
        {"rule": "type", "is_a": "timestamp"},
        "VARCHAR",
        ["2024-01-01 10:00:00", "2024-01-01T10:00:00Z", None],
        ["2024-01-01", "x"],
    ),
    ({"rule": "type", "is_a": "uuid"}, "VARCHAR", ["123e4567-e89b-12d3-a456-426614174000", None], ["123"]),
    ({"rule": "type", "is_a": "json"}, "VARCHAR", ['{"a": 1}', None], ["{a"]),
]
# Published examples of each format, and what is not one.
OF_FORMATS: dict[str, tuple[list[str], list[str]]] = {
    "email": (["a@b.co", "first.last+tag@sub.example.com"], ["a@b", "a b@c.de", "@b.co", "a..b@c.de", "a@-b.de", ""]),
    "url": (
        ["https://example.com", "http://localhost:8080/a?b=c#d", "ftp://a.example/x"],
        ["example.com", "http://", "http://a b.de", "javascript:x"],
    ),
    "hostname": (["example.com", "localhost"], ["-a.de", "a_b.de", "a..de"]),
    "ipv4": (["127.0.0.1", "255.255.255.255"], ["256.1.1.1", "1.2.3", "01.2.3.4"]),
    "ipv6": (
        ["::1", "::", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "fe80::"],
        ["1:2:3", "1::2::3", ":::", "12345::", "1:2:3:4:5:6:7:8:9"],
    ),
    "uuid": (
        ["123e4567-e89b-12d3-a456-426614174000"],
        ["123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"],
    ),
    "json": (['{"a": [1, null]}', "3"], ["{'a': 1}", ""]),
    "base64": (["TWFu", "TWE=", "TQ=="], ["TWF", "T=Fu", "TWFu!"]),
    "md5": (["d41d8cd98f00b204e9800998ecf8427e"], ["d41d8cd9"]),
    "sha256": (["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"], ["e3b0"]),
    "hex_colour": (["#fff", "#A1B2C3"], ["fff", "#ggg", "#12345"]),
    "iban": (
        ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "NO9386011117947"],
        ["DE89370400440532013001", "DE8937040044053201300", "XX89370400440532013000", ""],
    ),
    "bic": (["DEUTDEFF", "NEDSZAJJXXX"], ["DEUTXXFF", "DEUTDEF", "deutdeff"]),
    "credit_card": (["4111 1111 1111 1111", "378282246310005"], ["4111111111111112", "1234"]),
    "ean": (["4006381333931", "73513537"], ["4006381333932", "123"]),
    "gtin": (["036000291452", "10614141000415"], ["036000291453"]),
    "isbn": (
        ["0-306-40615-2", "978-0-306-40615-7", "080442957X"],
        ["0-306-40615-3", "978-0-306-40615-8", "1234567890123", ""],
    ),
    "issn": (["0378-5955", "2434-561X"], ["0378-5954", "03785955"]),
    "npi": (["1234567893", "1245319599"], ["1234567892", "3234567893", "123456789"]),
    "isin": (["US0378331005", "DE0007164600"], ["US0378331006", "us0378331005", ""]),
    "lei": (["5493001KJTIIGC8Y1R12", "HWUPKR0MPOU8FGXBT394"], ["5493001KJTIIGC8Y1R13", "5493001KJTIIGC8Y1R"]),
    "orcid": (["0000-0002-1825-0097", "0000-0002-1694-233X"], ["0000-0002-1825-0098", "0000000218250097"]),
    "aba_routing": (["021000021", "011401533"], ["021000022", "21000021"]),
    "vat": (
        [
            "DE136695976",
            "BE0428759497",
            "IT00743110157",
            "FR40303265045",
            "PL8567346215",
            "atu 13585627",
            "FRXX303265045",
        ],
        ["DE136695975", "BE0428759496", "IT00743110158", "FR41303265045", "PL8567346216", "136695976", "US1", "SE123"],
    ),
    "doi": (["10.1000/182", "10.1038/s41586-020-2649-2"], ["doi:10.1000/182", "10.1000/", "10.10/1", "10.1000/a b"]),
    "clean_text": (
        ["Café au lait", "SÃO PAULO", "AT&T; R&D", "Ärzte", "two\nlines", ""],
        ["CafÃ©", "itâ€™s", "KÃ\u2013LN", "a\ufffdb", "a&nbsp;b", "&#39;", " a", "a\u00a0", "a  b", "\ufeffa\x07"],
    ),
    "phone": (
        ["+49 30 1234567", "(212) 555-0187", "030/1234567", "212-555-0187 ext. 12"],
        ["12345", "call me", "1234567890123456"],
    ),
    "phone_e164": (["+493012345678"], ["493012345678", "+0123456789", "+49 30 1"]),
    "country": (["DE", "deu", "Germany", "USA", "Viet Nam"], ["XX", "Germny", ""]),
    "country_alpha2": (["DE", "US"], ["de", "UK", "DEU"]),
    "us_state": (["AL", "DC", "PR"], ["al", "Ala", "ZZ", ""]),
    "country_alpha3": (["DEU"], ["DE", "GER"]),
    "country_name": (["france", "Côte d'Ivoire"], ["FR"]),
    "currency": (["EUR", "USD"], ["eur", "DEM"]),
    "language": (["de", "pt-BR"], ["xx", "german"]),
    "date": (["2024-02-29"], ["2023-02-29", "29.02.2024", "2024-2-9"]),
    "time": (["23:59", "07:10:00.5", "10:00Z"], ["24:00", "7:10", "7:10 a.m."]),
    "timestamp": (["2024-02-29T10:00:00Z", "2024-01-01 10:00"], ["2024-01-01", "2023-02-29T10:00"]),
    "percent": (["12.5%", "3 %"], ["12.5", "%"]),
    "latitude": (["-90", "52.5"], ["90.1", "x"]),
    "longitude": (["180", "-0.1"], ["181", "-"]),
}


@pytest.mark.parametrize(("written", "kind", "valid", "invalid"), OF_VALUES, ids=lambda one: str(one)[:60])
def test_a_rule_about_a_value_tells_valid_from_broken_ones(
    database: duckdb.DuckDBPyConnection, written: dict[str, Any], kind: str, valid: list[Any], invalid: list[Any]
) -> None:
    rule = rule_of(column="v", **written)
    found = broken(database, rule, values([*valid, *invalid], kind))
    assert found == list(range(len(valid), len(valid) + len(invalid)))


@pytest.mark.parametrize("pattern", [".*@.*", "ab.*", ".*b c", "ab c", ".*a.c.*", ".*", "a|b.*"])
def test_an_expression_that_asks_for_a_text_says_the_same_without_being_run(
    database: duckdb.DuckDBPyConnection, pattern: str
) -> None:
    rows = ["a@b", "@", "ab c", "ab", "xab c", "ab cx", "a\n@", "@\n", "abc", "", "a'c", None]
    table = values(rows, "VARCHAR")
    for negate in (False, True):
        full = f"regexp_full_match(v, {literal(pattern)}) = {negate}"
        slow = database.execute(f"SELECT _rid FROM {table} WHERE {full} ORDER BY 1").fetchall()
        rule = rule_of(rule="matches", column="v", pattern=pattern, negate=negate)
        assert broken(database, rule, table) == [row[0] for row in slow]


def test_an_example_shows_the_key_and_what_the_rule_is_about_before_other_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(20)]
    rules = [rule_of(rule="expression", name="adds_up", sql="c17 = c12 + c15"), rule_of(rule="not_null", column="c9")]
    with connect(tmp_path) as connection:
        columns = ", ".join(f"NULLIF({n}, 9) AS {name}, '{n}' AS _raw_{name}" for n, name in enumerate(names))
        connection.execute(
            f"CREATE VIEW typed AS SELECT 1 AS _rid, 1 AS _position, 'f' AS _source_file, 1 AS _row_number, {columns}"
        )
        gate = Gate(connection, statements([], {}, rules, {}), ["c19"])
        shown = {count.check: list(count.examples[0]) for count in gate.counts(names) if count.examples}
    assert shown == {
        "adds_up": ["file", "row", "c19", "c12", "c15", "c17"],
        "not_null_c9": ["file", "row", "c19", "c9", "c0", "c1"],
    }


@pytest.mark.parametrize("many", [15, 16, 31, 32, 62, 63, 98])
def test_the_gate_counts_each_of_many_statements_and_shows_the_first_rows_that_break_it(
    tmp_path: Path, many: int
) -> None:
    rules = [rule_of(rule="expression", name=f"not_by_{n}", sql=f"v % {n} <> 0") for n in range(2, 2 + many)]
    with connect(tmp_path) as connection:
        connection.execute(
            "CREATE VIEW typed AS SELECT i AS _rid, i AS _position, 'f' AS _source_file, i AS _row_number, "
            "i AS v, i::VARCHAR AS _raw_v FROM range(0, 1000) AS r(i)"
        )
        found = Gate(connection, statements((), {}, rules, {}), ()).counts(["v"])
    assert [one.check for one in found] == [rule.name for rule in rules]
    for n, one in enumerate(found, start=2):
        multiples = list(range(0, 1000, n))  # 0 breaks all of them
        assert (one.rows_checked, one.rows_broken) == (1000, len(multiples))
        assert [example["row"] for example in one.examples] == multiples[:5]


@pytest.mark.parametrize("name", list(OF_FORMATS))
def test_a_format_tells_valid_from_broken_texts_and_lets_null_pass(
    database: duckdb.DuckDBPyConnection, name: str
) -> None:
    valid, invalid = OF_FORMATS[name]
    rule = rule_of(rule="format", column="v", is_a=name)
    found = broken(database, rule, values([None, *valid, *invalid], "VARCHAR"))
    assert found == list(range(1 + len(valid), 1 + len(valid) + len(invalid)))


def test_every_format_has_examples() -> None:
    from flowforge_checks.rules.formats import FORMATS

    assert set(FORMATS) == set(OF_FORMATS)


def test_a_postal_code_is_one_of_a_country(database: duckdb.DuckDBPyConnection) -> None:
    table = values(["12345", "12345-6789", "1234", None], "VARCHAR")
    assert broken(database, rule_of(rule="format", column="v", is_a="postal_code", country="US"), table) == [2]
    rows = [
        ("12345", "DE"),
        ("1234", "Germany"),
        ("1234", " AUT"),
        ("1234", "Narnia"),
        ("1234", None),
        (None, "DE"),
        ("EC1A 1BB", "gb"),
    ]
    listed = ", ".join(str((place, *row)).replace("None", "NULL") for place, row in enumerate(rows))
    table = f"(SELECT * FROM (VALUES {listed}) AS t(_rid, v, country))"
    rule = rule_of(rule="format", column="v", is_a="postal_code", country_column="country")
    assert (broken(database, rule, table), rule.own_column, rule.check_name) == ([1], "v", "format_v")


PAIRS = "(SELECT * FROM (VALUES (0, 1, 2), (1, 2, 2), (2, 3, 2), (3, NULL, 2), (4, NULL, NULL)) AS t(_rid, a, b))"


@pytest.mark.parametrize(
    ("operator", "options", "wanted"),
    [
        ("==", {}, [0, 2]),
        ("!=", {}, [1]),
        ("<", {}, [1, 2]),
        ("<=", {}, [2]),
        (">", {}, [0, 1]),
        (">=", {}, [0]),
        ("==", {"tolerance": 1}, []),
        ("<=", {"tolerance": 1}, []),
        ("==", {"nulls": "fail"}, [0, 2, 3, 4]),
        ("==", {"nulls": "equal"}, [0, 2, 3]),
        ("!=", {"nulls": "equal"}, [1, 4]),
    ],
)
def test_columns_compare(
    database: duckdb.DuckDBPyConnection, operator: str, options: dict[str, Any], wanted: list[int]
) -> None:
    assert (
        broken(database, rule_of(rule="compare", column="a", operator=operator, other="b", **options), PAIRS) == wanted
    )


def test_how_many_of_several_columns_have_a_value(database: duckdb.DuckDBPyConnection) -> None:
    assert broken(database, rule_of(rule="at_least_one_not_null", columns=["a", "b"]), PAIRS) == [4]
    assert broken(database, rule_of(rule="exactly_one_not_null", columns=["a", "b"]), PAIRS) == [0, 1, 2, 4]


def test_a_reference_may_be_of_several_columns_of_some_rows_and_of_any_case(
    database: duckdb.DuckDBPyConnection,
) -> None:
    other = "(SELECT * FROM (VALUES ('x', 1, TRUE), ('y', 2, FALSE)) AS t(code, n, active))"
    mine = "(SELECT * FROM (VALUES (0, 'x', 1), (1, 'x', 2), (2, 'Y', 2), (3, NULL, 9)) AS t(_rid, c, n))"
    both = {"rule": "references", "columns": ["c", "n"], "table": "o", "to": ["code", "n"]}
    assert broken(database, rule_of(**both), mine, o=other) == [1, 2]
    assert broken(database, rule_of(**both, case_sensitive=False), mine, o=other) == [1]
    one = {"rule": "references", "column": "c", "table": "o", "to": "code", "case_sensitive": False}
    assert broken(database, rule_of(**one), mine, o=other) == []
    assert broken(database, rule_of(**one, of_rows="active"), mine, o=other) == [2]


def test_a_rule_is_asked_only_of_the_rows_its_where_holds_for(database: duckdb.DuckDBPyConnection) -> None:
    rule = rule_of(rule="range", column="b", max=1, where="a > 1")
    assert broken(database, rule, PAIRS) == [1, 2]
    (outcome,) = judge(database, [rule], Judged(PAIRS, NOON), ["a"])
    assert outcome.metadata["rows_checked"] == 2
    assert outcome.metadata["rows_broken"] == 2


MIXED = "(SELECT * FROM (VALUES (0, '1'), (1, 'x'), (2, NULL), (3, '7')) AS t(_rid, v))"


def test_a_row_of_whose_values_a_condition_cannot_be_computed_breaks_the_rule(
    database: duckdb.DuckDBPyConnection,
) -> None:
    # The same cast twice: DuckDB computes it once, and outside of a TRY around either.
    small = rule_of(rule="expression", name="small", sql="v::INTEGER > 0 AND v::INTEGER < 5")
    asked = rule_of(rule="not_null", column="v", where="v::INTEGER > 5")
    bound = rule_of(rule="range", column="_rid", max_sql="v::INTEGER")
    judged = judge(database, [small, asked, bound], Judged(MIXED, NOON), ["_rid"])
    assert [one.metadata["rows_checked"] for one in judged] == [4, 2, 4], "1 may be asked: nobody knows"
    assert [one.rows_broken for one in judged] == [2, 1, 1]
    examples = [record.data["_rid"] for record in judged[0].metadata["examples"].records]
    assert sorted(examples) == [1, 3]


@pytest.mark.parametrize(
    "written",
    [
        {"rule": "sql", "name": "q", "sql": "SELECT * FROM {table} WHERE v::INTEGER > 5"},
        {"rule": "unique", "name": "q", "columns_sql": ["v::INTEGER"]},
        {"rule": "expression", "name": "q", "sql": "v::INTEGER IN (SELECT 1)"},
    ],
    ids=lambda one: one["rule"],
)
def test_a_rule_about_several_rows_that_cannot_be_computed_names_itself_and_no_value(
    database: duckdb.DuckDBPyConnection, written: dict[str, Any]
) -> None:
    with pytest.raises(RuleValuesError, match="try_cast") as error:
        outcome_of(database, MIXED, **written)
    assert "'x'" not in str(error.value)
    assert error.value.__cause__ is None


def outcome_of(
    connection: duckdb.DuckDBPyConnection, table: str, previous: str | None = None, *earlier: str, **written: Any
) -> Outcome:
    judged = Judged(table, NOON, {"o": PAIRS}, previous, earlier)
    (outcome,) = judge(connection, [rule_of(**written)], judged, ["_rid"])
    return outcome


NUMBERS = values([1, 2, 3, 4, None], "INTEGER")
DAYS = values(["2026-01-01", "2026-01-02", "2026-01-04", "2026-01-04", None], "DATE")
OF_TABLES: list[tuple[str, dict[str, Any], bool]] = [
    (NUMBERS, {"rule": "row_count", "min": 5, "max": 5}, True),
    (NUMBERS, {"rule": "row_count", "min": 6}, False),
    (NUMBERS, {"rule": "row_count", "max": 3, "where": "v > 1"}, True),
    (NUMBERS, {"rule": "null_rate", "column": "v", "max": "20%"}, True),
    (NUMBERS, {"rule": "null_rate", "column": "v", "max": 0.1}, False),
    (NUMBERS, {"rule": "distinct_count", "column": "v", "min": 4, "max": 4}, True),
    (NUMBERS, {"rule": "mean_between", "column": "v", "min": 2.5, "max": 2.5}, True),
    (NUMBERS, {"rule": "mean_between", "column": "v", "max": 2}, False),
    (NUMBERS, {"rule": "sum_between", "column": "v", "min": 10, "max": 10}, True),
    (NUMBERS, {"rule": "quantile_between", "column": "v", "q": 0.5, "min": 2.5, "max": 2.5}, True),
    (NUMBERS, {"rule": "quantile_between", "column": "v", "q": 1, "max": 3}, False),
    (DAYS, {"rule": "fresh_within", "column": "v", "max_age": "56d"}, True),
    (DAYS, {"rule": "fresh_within", "column": "v", "max_age": "54d"}, False),
    (NUMBERS, {"rule": "schema_is", "columns": {"v": "integer"}}, True),
    (NUMBERS, {"rule": "schema_is", "columns": {"v": "BIGINT"}}, False),
    (NUMBERS, {"rule": "schema_is", "columns": {"w": "INTEGER"}, "allow_more": True}, False),
    (NUMBERS, {"rule": "no_gaps", "column": "v", "every": 1}, True),
    (DAYS, {"rule": "no_gaps", "column": "v", "every": "day"}, False),
    (DAYS, {"rule": "no_gaps", "column": "v", "every": "week"}, True),
    (DAYS, {"rule": "no_gaps", "column": "v", "every": "day", "error_above": 1}, True),
    (DAYS, {"rule": "unique", "columns": ["v"]}, False),
    (NUMBERS, {"rule": "unique", "columns": ["v"]}, True),
    (NUMBERS, {"rule": "sql", "name": "none_above", "sql": "SELECT * FROM {table} WHERE v > 4"}, True),
    (
        NUMBERS,
        {"rule": "sql", "name": "known", "tables": ["o"], "sql": "SELECT v FROM {table} ANTI JOIN o ON v = o.b"},
        False,
    ),
]


@pytest.mark.parametrize(("table", "written", "passes"), OF_TABLES, ids=lambda one: str(one)[:70])
def test_a_rule_about_a_table_passes_or_fails(
    database: duckdb.DuckDBPyConnection, table: str, written: dict[str, Any], passes: bool
) -> None:
    outcome = outcome_of(database, table, **written)
    assert outcome.passed is passes, outcome
    assert passes == (outcome.description is None or "tolerated" in outcome.description)


def test_gaps_are_told_per_group(database: duckdb.DuckDBPyConnection) -> None:
    rows = "(SELECT * FROM (VALUES (0, 'a', 1), (1, 'a', 2), (2, 'b', 5), (3, 'b', 7)) AS t(_rid, g, n))"
    outcome = outcome_of(database, rows, rule="no_gaps", column="n", every=1, per=["g"])
    assert outcome.rows_broken == 1
    assert outcome.metadata["examples"].records[0].data == {"_rid": 3}


def test_history_is_compared_and_a_first_version_passes(database: duckdb.DuckDBPyConnection) -> None:
    before, now = values([1, 2, 3, 4] * 50, "INTEGER"), values([3, 4, 5, 6] * 60, "INTEGER")
    change = {"rule": "row_count_change", "max_increase": "10%"}
    assert outcome_of(database, now, **change).passed
    assert not outcome_of(database, now, before, **change).passed
    assert outcome_of(database, now, before, rule="row_count_change", max_increase=40, max_decrease="0%").passed
    assert not outcome_of(database, before, now, rule="row_count_change", max_decrease=39).passed
    for method, distance in (("psi", 9), ("ks", 0.5)):
        like = {"rule": "distribution_like", "column": "v", "method": method}
        assert outcome_of(database, now, **like).passed
        assert outcome_of(database, before, before, **like).metadata["measured"] == 0
        moved = outcome_of(database, now, before, **like)
        assert not moved.passed
        assert 0 < float(moved.metadata["measured"]) <= distance


def test_the_spread_of_texts_is_compared_by_the_share_of_each(database: duckdb.DuckDBPyConnection) -> None:
    before, now = values(["a"] * 60 + ["b"] * 40, "VARCHAR"), values(["a"] * 40 + ["b"] * 60, "VARCHAR")
    outcome = outcome_of(database, now, before, rule="distribution_like", column="v", max=0.1)
    # Both together are half a, so 40 of 200 are 10 rows from each expectation of 50: 4 * 100 / 50 over 200.
    v = outcome_of(database, now, before, rule="distribution_like", column="v", method="cramers_v", max=0.1)
    assert float(v.metadata["measured"]) == pytest.approx(0.2, abs=1e-6)
    # Twice 0.2 times the logarithm of 1.5.
    assert float(outcome.metadata["measured"]) == pytest.approx(0.162186, abs=1e-6)
    assert not outcome.passed


# Shares of a: 0.6, 0.2 and 0.4 have the mean 0.4, however many rows there are; now 0.5. For Cramér's V, 4 of 10 rows.
A_AND_B = [["a"] * 6 + ["b"] * 4, ["a", "b", "b", "b", "b"] * 2, ["a", "a", "b", "b", "b"] * 2]
OVER_THREE: list[tuple[str, list[Any], list[list[Any]], float]] = [
    ("psi", ["a", "b"], [A_AND_B[0] * 5, *A_AND_B[1:]], 0.1 * (log(0.5 / 0.4) - log(0.5 / 0.6))),
    ("cramers_v", ["a", "b"] * 5, A_AND_B, 0.1 / (2 * sqrt(0.45 * 0.55))),
    # No more than 1: a quarter, a half and all, on the mean 7 of 12; now none.
    ("ks", [2, 3], [[1, 2, 3, 3], [1, 2] * 30, [1]], 7 / 12),
]


@pytest.mark.parametrize(("method", "now", "before", "distance"), OVER_THREE, ids=[one[0] for one in OVER_THREE])
def test_several_versions_are_one_reference_in_which_each_weighs_the_same(
    database: duckdb.DuckDBPyConnection, method: str, now: list[Any], before: list[list[Any]], distance: float
) -> None:
    kind = "INTEGER" if method == "ks" else "VARCHAR"
    like = {"rule": "distribution_like", "column": "v", "method": method, "over": 3}
    tables = [values(one, kind) for one in before]
    found = outcome_of(database, values(now, kind), *tables, values(now, kind), **like)
    assert float(found.metadata["measured"]) == pytest.approx(distance, abs=1e-6)
    assert found.metadata["versions"] == 3
    # One without a row, or from before the column was there, says nothing.
    empty, without = f"(SELECT * FROM {tables[0]} WHERE FALSE)", "(SELECT 1 AS other)"
    found = outcome_of(database, values(now, kind), without, empty, *tables, **(like | {"over": 5}))
    assert float(found.metadata["measured"]) == pytest.approx(distance, abs=1e-6)
    assert outcome_of(database, tables[1], tables[1], **like).metadata["measured"] == 0
    assert outcome_of(database, tables[1], without, **like).metadata["measured"] == "none"


def test_over_is_no_part_of_what_silver_was_made_with_before_it_was_there() -> None:
    like = {"rule": "distribution_like", "column": "v"}
    assert "over" not in rule_of(**like).shape
    assert rule_of(**like, over=7).shape["over"] == 7
    with pytest.raises(ValueError, match="compares with 7 versions, and a gold table keeps none"):
        as_tests([rule_of(**like, over=7)])


def test_a_functional_dependency_counts_the_rows_that_disagree_with_most(database: duckdb.DuckDBPyConnection) -> None:
    rows = "(SELECT * FROM (VALUES (0, 1, 'A'), (1, 1, 'A'), (2, 1, 'B'), (3, 2, 'C'), (4, NULL, 'D'), (5, 1, NULL)) AS t(_rid, zip, city))"
    outcome = outcome_of(database, rows, rule="determines", columns=["zip"], determines=["city"])
    assert outcome.rows_broken == 1
    assert outcome.metadata["examples"].records[0].data == {"_rid": 2}


def test_pairs_and_misspellings_count_the_rows_that_would_have_to_go(database: duckdb.DuckDBPyConnection) -> None:
    rows = "(SELECT * FROM (VALUES (0, 1, 9, 'heart'), (1, 2, 8, 'heart'), (2, 3, 7, 'hearts'), (3, 4, 10, 'lung'), (4, 5, NULL, NULL)) AS t(_rid, a, b, v))"
    outcome = outcome_of(database, rows, rule="no_pair", name="falls", sql="a.a < b.a AND a.b < b.b")
    assert (outcome.rows_broken, outcome.metadata["examples"].records[0].data) == (1, {"_rid": 3})
    where = outcome_of(database, rows, rule="no_pair", name="falls", sql="a.a < b.a AND a.b < b.b", where="a < 4")
    assert (where.rows_broken, where.passed) == (0, True)
    outcome = outcome_of(database, rows, rule="one_spelling", columns=["v"], times=2)
    assert (outcome.rows_broken, outcome.metadata["examples"].records[0].data) == (1, {"_rid": 2})
    assert outcome_of(database, rows, rule="one_spelling", columns=["v"], times=3).passed


@pytest.mark.parametrize(
    ("ignoring", "wrong"),
    [
        (["case"], {"kölsch", "IPA, PALE"}),
        (["accents"], {"Kolsch"}),
        (["blanks", "punctuation"], {"Kölsch.", "IPA/Pale", "IPA, Pa le"}),
        (["case", "accents"], {"kölsch", "Kolsch", "IPA, PALE"}),
    ],
)
def test_of_values_that_differ_in_what_is_ignored_the_most_common_is_right(
    tmp_path: Path, ignoring: list[Any], wrong: set[str]
) -> None:
    said = [
        *["Kölsch"] * 2,
        "kölsch",
        "Kolsch",
        "Kölsch.",
        *["IPA, Pale"] * 2,
        "IPA, PALE",
        "IPA/Pale",
        "IPA, Pa le",
        "?",
    ]
    with connect(tmp_path) as connection:
        rule = rule_of(rule="one_spelling", columns=["v"], max_edits=0, ignoring=ignoring)
        values = ", ".join(f"({literal(one)})" for one in [*said, "!"])
        table = f"(SELECT * FROM (VALUES {values}, (NULL)) AS t(v))"
        found = connection.sql(rule.rows_breaking(Judged(table, datetime.now(UTC)))).fetchall()
    assert {row[0] for row in found} == wrong


@pytest.mark.parametrize(
    ("thresholds", "status"),
    [
        ({"warn_above": 2}, "passed"),
        ({"warn_above": 1}, "warned"),
        ({"error_above": 1}, "failed"),
        ({"warn_above": "10%", "error_above": "60%"}, "warned"),
        ({"warn_above": "10%", "error_above": "49.9%"}, "failed"),
        ({"error_above": "50%"}, "passed"),
    ],
)
def test_thresholds_say_how_many_broken_rows_are_a_warning_or_an_error(
    database: duckdb.DuckDBPyConnection, thresholds: dict[str, Any], status: str
) -> None:
    four = values([1, 2, 3, 4], "INTEGER")
    outcome = outcome_of(database, four, rule="range", column="v", max=2, action="keep", **thresholds)
    assert outcome.report().status == status
    assert outcome.rows_broken == 2


def test_a_blocking_rule_with_thresholds_blocks_only_above_the_second(database: duckdb.DuckDBPyConnection) -> None:
    four = values([1, 2, 3, 4], "INTEGER")
    written = {"rule": "range", "column": "v", "action": "block", "warn_above": 0, "error_above": 1}
    warned, failed = (outcome_of(database, four, max=most, **written) for most in (3, 2))
    assert (warned.passed, warned.warns, warned.blocks) == (False, True, False)
    assert (failed.passed, failed.warns, failed.blocks) == (False, False, True)


def test_a_python_rule_is_asked_in_batches_and_its_words_are_not_quoted(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowforge_checks.rules import in_batches
    from flowforge_resources.errors import RuleFunctionError

    monkeypatch.setattr(in_batches, "BATCH_ROWS", 2048)
    (tmp_path / "own.py").write_text(
        "import polars as pl\nsizes = []\n"
        "def even(frame):\n    sizes.append(len(frame))\n    return frame['v'] % 2 == 0\n"
        "def lazily(frame):\n    return pl.col('v') % 2 == 0\n"
        "def bad(frame):\n    raise ValueError('secret ' + str(frame['v'][0]))\n"
        "def short(frame):\n    return frame['v'] % 2\n"
    )
    table = (
        "(SELECT range AS _rid, CASE WHEN range < 4999 THEN range * 2 + (range = 3)::INTEGER END AS v FROM range(5000))"
    )

    def named(function: str) -> Rule:
        return rule_of(rule="python", name=function, function=f"own.py:{function}", columns=["v"]).beside(tmp_path)

    assert broken(database, named("even"), table) == [3]
    assert broken(database, named("lazily"), table) == [3]
    with pytest.raises(RuleFunctionError, match="failed with ValueError") as failed:
        broken(database, named("bad"), table)
    assert "secret" not in str(failed.value)
    with pytest.raises(RuleFunctionError, match="not a boolean for each"):
        broken(database, named("short"), table)
    with pytest.raises(ValueError, match="Did you mean 'even'"):
        named("evn").require_types({})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rule": "format", "column": "v", "is_a": "emial"}, "Did you mean 'email'?"),
    ({"rule": "format", "column": "v", "is_a": "postal_code"}, "needs the `country`"),
    ({"rule": "format", "column": "v", "is_a": "iban", "country_column": "c"}, "`country_column` goes with"),
    ({"rule": "format", "column": "v", "is_a": "postal_code", "country": "US", "country_column": "c"}, "Keep one"),
    ({"rule": "type", "column": "v", "is_a": "dat"}, "Did you mean 'date'?"),
    ({"rule": "range", "column": "v"}, "needs `min`, `max` or both"),
    ({"rule": "range", "column": "v", "min": 1, "min_sql": "1"}, "Keep one of them"),
    ({"rule": "range", "column": "v", "min": 1, "exclusive_max": True}, "there is no `max`"),
    ({"rule": "length", "column": "v"}, "needs `min`, `max` or `exactly`"),
    ({"rule": "matches", "column": "v", "pattern": "(?<!a)b"}, "RE2 cannot"),
    ({"rule": "not_null"}, "needs `column`, or `for_each_column`"),
    ({"rule": "not_null", "column": "v", "warn_above": "x"}, "neither a number of rows"),
    ({"rule": "not_null", "column": "v", "warn_above": 5, "error_above": 3}, "Swap them"),
    ({"rule": "not_null", "column": "v", "action": "block", "warn_above": 5}, "needs `error_above`"),
    ({"rule": "range", "column": "v", "min": 5, "max": 1}, "nothing would be valid. Swap them"),
    ({"rule": "range", "column": "v", "min": "2026-02-01", "max": "2026-01-01"}, "nothing would be valid"),
    ({"rule": "length", "column": "v", "min": 5, "max": 1}, "nothing would be valid"),
    ({"rule": "row_count", "min": 5, "max": 1}, "nothing would be valid"),
    ({"rule": "allowed_values", "column": "v", "values": ["a", None]}, "null is no value: it passes"),
    ({"rule": "row_count", "min": 1, "action": "drop"}, "has no single row to take out"),
    ({"rule": "row_count", "min": 1, "warn_above": 1}, "counts no broken rows"),
    ({"rule": "unique", "columns": ["v"], "action": "quarantine"}, "must say which row of a group stays"),
    ({"rule": "unique", "columns": ["v"], "keep_row": "first"}, "Add `action: quarantine`"),
    (
        {"rule": "unique", "columns": ["v"], "action": "drop", "keep_row": "most_common"},
        "has no `keep_row: most_common`",
    ),
    ({"rule": "no_pair", "sql": "a.v > b.v"}, "needs a `name`"),
    ({"rule": "one_spelling", "columns": ["v"], "action": "drop"}, "`keep_row: most_common`"),
    ({"rule": "unique"}, "`columns_sql: [lower(email)]`"),
    ({"rule": "unique", "columns_sql": ["zip"]}, "Write it into `columns`"),
    ({"rule": "determines", "columns": ["v"]}, "needs `determines`"),
    ({"rule": "one_spelling", "columns": ["v"], "max_edits": 0}, "finds only what `ignoring` lets pass"),
    ({"rule": "near_median", "columns": ["v"]}, "one of `max_ratio: 5`"),
    ({"rule": "near_median", "columns": ["v"], "max_ratio": 5, "max_spreads": 3}, "one of `max_ratio: 5`"),
    ({"rule": "near_median", "columns": ["v"], "max_difference": "5 parsecs"}, "is no length of time"),
    ({"rule": "near_median", "columns": ["v"], "max_difference": -1}, "is below 0"),
    ({"rule": "near_median", "columns": ["v"], "per": ["v"], "max_ratio": 5}, "Keep one of them"),
    ({"rule": "sql", "name": "x", "sql": "SELECT 1"}, "does not read the table"),
    ({"rule": "fresh_within", "column": "v", "max_age": "soon"}, "is no length of time"),
    ({"rule": "references", "columns": ["a", "b"], "table": "t", "to": "a"}, "Name one for each"),
]


@pytest.mark.parametrize(("written", "said"), WRONG, ids=lambda one: str(one)[:70])
def test_a_rule_that_cannot_be_meant_is_refused_with_a_fix(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        rule_of(**written)
    assert said in str(error.value)


def test_every_kind_is_in_the_union_and_says_what_it_is() -> None:
    words = [kind.word() for kind in RULE_KINDS]
    assert len(words) == len(set(words))
    assert all(kind.__doc__ for kind in RULE_KINDS)


def test_a_rule_for_each_column_is_one_check_a_column() -> None:
    rule = rule_of(rule="not_null", for_each_column=["id", "*_at"])
    assert [one.check_name for one in rule.each(["id", "name", "made_at", "sent_at"])] == [
        "not_null_id",
        "not_null_made_at",
        "not_null_sent_at",
    ]
    with pytest.raises(ValueError, match="fits no column"):
        rule.each(["id"])
