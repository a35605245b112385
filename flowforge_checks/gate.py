"""The gate: judges every row of a batch once, and says which rows pass.

Each statement about a row is one bit of a verdict; the verdict is computed in one pass and stored, so that both sides
of the split read the same answer. Belongs here: bits, the verdict table, counts and examples per rule. Does not: what
happens to rows that pass (`flowforge_assets.merge`).

Reads a DuckDB view `typed` (one row a landed row: `_rid`, `_position`, the declared columns cast, `_broken_<column>` flags, source
columns) and leaves `verdict` (`_rid`, `_position`, `_h` hash of the key, a word of bits for every 62 statements): a view over the
table `judged_row`, which has nothing that can be told from the rest. It is what a batch holds in memory for each of its rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowforge_checks.gate_sets import judge_sets
from flowforge_checks.row_ids import position_of
from flowforge_checks.rules.base import REMOVES_ROWS
from flowforge_checks.rules.conditions import asked_of_all
from flowforge_checks.statements import reason
from flowforge_resources.duck import one_row, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from flowforge_checks.rules import Action, Severity
    from flowforge_checks.rules.amounts import Amount
    from flowforge_checks.rules.sets import Rows
    from flowforge_checks.statements import Statement

EXAMPLES = 5
# Columns of an example, unless its key and what the rule is about are more: no more fit on a check's page.
_SHOWN_COLUMNS = 4
_BITS_A_WORD = 62
# A word is as wide as its bits need, the sum of all of them included.
_WORDS = {15: "SMALLINT", 31: "INTEGER", _BITS_A_WORD: "BIGINT"}


@dataclass(frozen=True)
class CheckCount:
    """What one check found in a batch. `examples` hold no value of a `pii` column.

    `tolerated`: how many broken rows are no warning, and how many are no error.
    """

    check: str
    severity: Severity
    action: Action
    rows_checked: int
    rows_broken: int
    examples: tuple[Mapping[str, Any], ...] = ()
    tolerated: tuple[Amount | None, Amount | None] = (None, None)


class Gate:
    """The verdict on one batch."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        told: Sequence[Statement],
        keys: Sequence[str],
        beside: Rows | None = None,
        landed_of: str = "",
    ) -> None:
        """Judge every row of `typed`; one pass over the batch, and one more for each rule about rows beside each other.

        Args:
            connection: holds `typed`.
            told: the statements.
            keys: the table's key columns.
            beside: what rows are compared with by rules about sets of rows; its `batch` is filled in here.
            landed_of: SQL that turns `_rid` of a judged row into that of the landed row, where they differ.
        """
        self.connection, self._keys = connection, tuple(keys)
        self.told = list(told)
        self._asked = list(dict.fromkeys(one.asked for one in self.told if one.asked))
        for one in self.told:
            if one.rule is not None:
                one.rule.prepare(connection, "typed")
        key = f"hash({', '.join(quote(name) for name in keys)})" if keys else "hash(_rid)"
        asked_of_all(
            lambda how: connection.execute(
                f"CREATE TABLE judged_row AS SELECT _rid, {key} AS _h, {self._words(how)} FROM typed"
            )
        )
        connection.execute(f"CREATE VIEW verdict AS SELECT *, {position_of(landed_of)} AS _position FROM judged_row")
        self.read = int(connection.execute("SELECT count(*) FROM verdict").fetchall()[0][0])
        if beside is not None:
            judge_sets(self, beside)

    def note(self, place: int, rows: str) -> None:
        """Note that rows (SQL over `verdict`) break the statement in this place."""
        word, bit = f"_m{place // _BITS_A_WORD}", 1 << (place % _BITS_A_WORD)
        self.connection.execute(f"UPDATE judged_row SET {word} = {word} | {bit} WHERE {rows}")

    def let_pass(self, rows: str) -> None:
        """Let the rows of a relation (`_rid`) pass: they were judged before. Rows that left `verdict` are no longer read."""
        words = sorted({f"_m{index // _BITS_A_WORD}" for index in range(max(1, len(self.told) + len(self._asked)))})
        nothing = ", ".join(f"{word} = 0" for word in words)
        self.connection.execute(f"UPDATE judged_row SET {nothing} WHERE _rid IN (SELECT _rid FROM {rows})")
        self.read = int(one_row(self.connection, "SELECT count(*) FROM verdict")[0])

    def keep_broken_alone(self) -> None:
        """Let go of the rows that break nothing, at 18 bytes each: from now on `verdict` is of the others.

        Of 30 million rows that is 540 MB, beside which DuckDB cannot write a long table without asking the system for
        each page anew (1.6 million page faults against 0.5, a twentieth of the time).
        """
        self.connection.execute(
            f"CREATE TABLE broken_row AS FROM judged_row WHERE {self._any()}; "
            "DROP TABLE judged_row; ALTER TABLE broken_row RENAME TO judged_row"
        )

    def _words(self, how: Callable[[str], str]) -> str:
        """SQL of the columns of bits."""
        said = [*(one.broken for one in self.told), *self._asked]
        words = [said[start : start + _BITS_A_WORD] for start in range(0, len(said), _BITS_A_WORD)]
        made = [_word([how(one) for one in word]) for word in words] or ["0::SMALLINT"]
        return ", ".join(f"{word} AS _m{index}" for index, word in enumerate(made))

    def _breaks(self, index: int) -> str:
        return f"(_m{index // _BITS_A_WORD} & {1 << (index % _BITS_A_WORD)}) <> 0"

    def _masks(self, wanted: Sequence[bool]) -> dict[int, int]:
        """The bits of the statements that are wanted, by word."""
        masks: dict[int, int] = {}
        for index, is_wanted in enumerate(wanted):
            if is_wanted:
                masks[index // _BITS_A_WORD] = masks.get(index // _BITS_A_WORD, 0) | 1 << (index % _BITS_A_WORD)
        return masks

    def _any(self, actions: Sequence[Action] | None = None) -> str:
        """SQL over `verdict`: the row breaks some statement (of these actions)."""
        return self.breaks_one_of(
            [place for place, one in enumerate(self.told) if actions is None or one.action in actions]
        )

    def breaks_one_of(self, places: Sequence[int]) -> str:
        """SQL over `verdict`: the row breaks one of the statements in these places."""
        chosen = set(places)
        masks = self._masks([place in chosen for place, _ in enumerate(self.told)])
        said = " OR ".join(f"(_m{word} & {mask}) <> 0" for word, mask in masks.items())
        return f"({said})" if said else "FALSE"

    @property
    def held(self) -> str:
        """SQL over `verdict`: the row goes to quarantine."""
        return self._any(["quarantine"])

    @property
    def dropped(self) -> str:
        """SQL over `verdict`: the row is left out. One that is to be held as well is held: it could come back."""
        return f"({self._any(['drop'])} AND NOT {self.held})"

    @property
    def drops(self) -> bool:
        """Whether any statement leaves rows out."""
        return any(one.action == "drop" for one in self.told)

    @property
    def taken_out(self) -> str:
        """SQL over `verdict`: the row does not reach the table."""
        return self._any(REMOVES_ROWS)

    def only_by(self, check: str) -> str:
        """SQL over `verdict`: the row does not reach the table, and would but for this check."""
        others = [
            self._breaks(index)
            for index, one in enumerate(self.told)
            if one.action in REMOVES_ROWS and one.check != check
        ]
        return " AND NOT ".join([f"({self.breaks_check(check)})", *others])

    def reasons(self, headers: Mapping[str, str]) -> str:
        """SQL over `verdict` and `landed`: the list of `{rule, column, message, value, expected, fingerprint}` a row is held for.

        `value` is the text that landed for the column, under the header that `headers` gives; null where a rule is
        about no single column.
        """
        holding = [index for index, one in enumerate(self.told) if one.action == "quarantine"]
        # Most rules hold no row of most batches, so most reasons need no planning.
        found = [index for index in holding if self._is_broken(index)] or holding[:1]
        each = (f"CASE WHEN {self._breaks(index)} THEN {reason(self.told[index], headers)} END" for index in found)
        return f"list_filter([{', '.join(each)}], lambda reason: reason IS NOT NULL)"

    def counts(self, shown: Sequence[str]) -> list[CheckCount]:
        """Per check the rows that break it, with a few examples made of the `shown` columns.

        One pass over the verdict, and one over the shown columns of the rows that are shown, however many checks there are.
        """
        checks = {one.check: one for one in self.told}
        if not checks:
            return []
        found, asked = self._broken_rows, self._rows_asked()
        rows = self._rows({rid for _, some in found.values() for rid in some}, shown)
        return [
            CheckCount(
                check,
                one.severity,
                one.action,
                asked.get(one.asked or "", self.read),
                found[check][0],
                tuple(self._example(one, rows[rid]) for rid in found[check][1]),
                one.rule.tolerated if one.rule else (None, None),
            )
            for check, one in checks.items()
        ]

    def _example(self, one: Statement, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a row where it came from, its key, what the rule is about, and some of the rest."""
        said = f"{one.column} {one.rule.demand if one.rule else one.message} {one.asked}"
        place = [name for name in ("file", "row") if name in row]
        first = [name for name in self._keys if name in row]
        first += [name for name in row if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
        names = dict.fromkeys([*place, *first, *row])
        most = max(_SHOWN_COLUMNS + len(place), len({*place, *first}))
        return {name: row[name] for name in list(names)[:most]}

    @cached_property
    def _alike(self) -> list[tuple[Any, ...]]:
        """Rows that break the same: how many, the first few (`_rid`), and what they break, a word each.

        The verdict has to stand when this is first asked. Of n checks, DuckDB's own `min(_rid, 5) FILTER` costs 10 ms each
        however few rows there are.
        """
        if not self.told:
            return []
        masks = self._masks([True for _ in self.told])
        words = ", ".join(f"_m{word} & {mask}" for word, mask in masks.items())
        return self.connection.execute(
            f"SELECT count(*), min(_rid, {EXAMPLES}), {words} FROM verdict WHERE {self._any()} GROUP BY ALL"
        ).fetchall()

    def _is_broken(self, index: int) -> bool:
        """Whether any row breaks the statement in this place."""
        return any(row[2 + index // _BITS_A_WORD] & 1 << index % _BITS_A_WORD for row in self._alike)

    @cached_property
    def _broken_rows(self) -> dict[str, tuple[int, list[int]]]:
        """Per check how many rows break it, and the first few of them."""
        found: dict[str, tuple[int, list[int]]] = {}
        for check in dict.fromkeys(one.check for one in self.told):
            own = self._masks([one.check == check for one in self.told])
            breaks = [row for row in self._alike if any(row[2 + word] & mask for word, mask in own.items())]
            first = sorted(rid for row in breaks for rid in row[1])[:EXAMPLES]
            found[check] = sum(row[0] for row in breaks), first
        return found

    @property
    def looked_at_again(self) -> str:
        """SQL over `verdict`: the row does not reach the table, or is an example of what a check found."""
        examples = sorted({rid for _, some in self._broken_rows.values() for rid in some})
        shown = f"_rid IN ({', '.join(map(str, examples))})" if examples else "FALSE"
        return f"({self.taken_out} OR {shown})"

    def _rows_asked(self) -> dict[str, int]:
        """How many rows each `where` holds for."""
        if not self._asked:
            return {}
        places = range(len(self.told), len(self.told) + len(self._asked))
        counts = ", ".join(f"count(*) FILTER ({self._breaks(place)})" for place in places)
        found = one_row(self.connection, f"SELECT {counts} FROM verdict")
        return {where: int(rows) for where, rows in zip(self._asked, found, strict=True)}

    def broken_by(self, group: str, checks: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        """Per check the rows that break it, by the SQL expression `group` over `typed`: (group, rows), most first."""
        flags = ", ".join(f"({self.breaks_check(check)}) AS _c{index}" for index, check in enumerate(checks))
        counts = ", ".join(f"count(*) FILTER (_c{index})" for index, _ in enumerate(checks))
        found = self.connection.execute(
            f"SELECT {group} AS _group, {counts} FROM typed JOIN (SELECT _rid, {flags} FROM verdict WHERE {self._any()}) "
            "USING (_rid) GROUP BY ALL"
        ).fetchall()
        each = {check: [(row[0], int(row[1 + index])) for row in found] for index, check in enumerate(checks)}
        return {
            check: sorted((one for one in rows if one[1]), key=lambda one: (-one[1], one[0]))
            for check, rows in each.items()
        }

    def breaks_check(self, check: str) -> str:
        """SQL over `verdict`: the row breaks a statement of a check."""
        return " OR ".join(self._breaks(index) for index, one in enumerate(self.told) if one.check == check)

    def _rows(self, rids: set[int], shown: Sequence[str]) -> dict[int, Mapping[str, Any]]:
        """Where rows came from, and what of their text may be shown.

        `_position` is what the reader of the files can skip by; `_rid` would have every row read.
        """
        if not rids:
            return {}
        values = "".join(f", {quote(f'_raw_{name}')} AS {quote(name)}" for name in shown)
        listed = ", ".join(map(str, sorted(rids)))
        found = self.connection.execute(f"SELECT DISTINCT _position FROM verdict WHERE _rid IN ({listed})").fetchall()
        positions = ", ".join(str(row[0]) for row in found)
        result = self.connection.execute(
            f"SELECT _rid, _source_file AS file, _row_number AS row{values} FROM typed "
            f"WHERE _position IN ({positions}) AND _rid IN ({listed})"
        )
        names = [column[0] for column in result.description or []][1:]
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in result.fetchall()}


def _word(said: Sequence[str]) -> str:
    """SQL for the bits of some statements, in the narrowest type that holds them."""
    kind = next(kind for most, kind in _WORDS.items() if len(said) <= most)
    bits = [f"CASE WHEN {one} THEN {1 << place}::{kind} ELSE 0::{kind} END" for place, one in enumerate(said)]
    return f"({' + '.join(bits)})"
