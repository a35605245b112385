"""Patterns that are looked at without a regular expression say of every text what RE2 says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowforge_checks.rules.patterns import full_match
from flowforge_resources.duck import connect, literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import duckdb

RANGES = ("[A-Z]", "[a-z]", "[0-9]", "[b-y]", "[9-A]", "[a-a]", "\\d")
LITERALS = (*tuple("aZ0_ -@:/#%&=<>\"'~!,;"), "\\.", "\\-")
# Characters that a range ends before or behind, that GLOB or RE2 read as more than themselves, or that are no ASCII.
NASTY = st.sampled_from(list("aAzZ09bxyB.-_ *?[]\\!^:@;`{/\n\r\t\x00\x7fäßÄé٣0ſK😀́"))  # noqa: RUF001  # look-alikes are the point
PLACES = st.tuples(st.sampled_from((*RANGES, *LITERALS)), st.sampled_from(("", "{1}", "{2}", "{3}")))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(tmp_path_factory.mktemp("spilled")) as connection:
        yield connection


def fitting(places: list[tuple[str, str]]) -> str:
    """A text that a pattern of these places matches."""
    characters = {"[9-A]": "9", "\\d": "7", "\\.": ".", "\\-": "-"}
    one = [characters.get(place, place[1] if place in RANGES else place) for place, _ in places]
    return "".join(each * int(times.strip("{}") or 1) for each, (_, times) in zip(one, places, strict=True))


@given(
    st.lists(PLACES, min_size=1, max_size=6),
    st.lists(st.text(NASTY, max_size=8), max_size=6),
    st.lists(st.tuples(st.integers(0, 20), NASTY), max_size=12),
)
@example([("[A-Z]", "{3}"), ("-", ""), ("\\d", "{3}")], ["", "ABC-12٣", "ABC-123\n", "ABC-123\x00"], [(3, "–")])  # noqa: RUF001
def test_a_pattern_of_fixed_length_says_what_re2_says(
    database: duckdb.DuckDBPyConnection,
    places: list[tuple[str, str]],
    others: list[str],
    changes: list[tuple[int, str]],
) -> None:
    pattern, valid = "".join(place + times for place, times in places), fitting(places)
    changed = [valid[:at] + character + valid[at + 1 :] for at, character in changes]
    texts: list[str | None] = [valid, valid[:-1], valid + valid, "", None, *changed, *others]
    told, slow = both(database, pattern, texts)
    assert told == slow
    assert told[:1] == [True]
    assert "regexp" not in full_match("v", pattern)


@pytest.mark.parametrize(
    "pattern",
    ["[A-Z0-9]{3}", "[0-9]+", "a?", "[0-9]{2,3}", "a|b", "(ab)", "[^0-9]", "a{02}", "[0-9]{30}", "\\w", "[a-]", "é"],
)
def test_other_patterns_are_left_to_re2(database: duckdb.DuckDBPyConnection, pattern: str) -> None:
    assert "regexp_full_match" in full_match("v", pattern)
    told, slow = both(database, pattern, ["a", "ab", "12", "A-0", "é", "0" * 30, ""])
    assert told == slow


def both(database: duckdb.DuckDBPyConnection, pattern: str, texts: list[Any]) -> tuple[list[Any], list[Any]]:
    """What is said of each text without RE2, where that can be, and by RE2."""
    database.execute("CREATE OR REPLACE TEMP TABLE said (n INTEGER, v VARCHAR)")
    database.executemany("INSERT INTO said VALUES (?, ?)", [list(one) for one in enumerate(texts)])
    found = database.execute(
        f"SELECT {full_match('v', pattern)}, regexp_full_match(v, {literal(pattern)}) FROM said ORDER BY n"
    ).fetchall()
    return [row[0] for row in found], [row[1] for row in found]
