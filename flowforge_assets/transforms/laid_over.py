"""What was decided of quarantined rows, laid over a batch of bronze: fixed text, waived rules, discarded rows.

Belongs here: the DuckDB tables of one batch's rulings, and how they change the view `landed` and the gate's statements.
Does not: what was decided (`flowforge_checks.decided`).

A ruling is found by the content of the landed row, so that the same row counts as decided wherever and whenever it
lands, and a table made anew from bronze is the table that grew batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowforge_assets.transforms.cast import content_id
from flowforge_assets.transforms.place import LANDED_BITS
from flowforge_checks.quarantine import AUDIT, DISCARDED
from flowforge_checks.statements import Statement
from flowforge_resources.duck import literal, one_row, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from flowforge_checks.decided import Ruling
    from flowforge_checks.gate import Gate

RAW = "landed_raw"


@dataclass(frozen=True)
class LaidOver:
    """The rulings on rows of a batch.

    `raw`: the relation of rows as they landed. `released`: landed rows that were released since the published version.
    `discards`, `waived`: whether any row is discarded, and the rules that some row may break.
    """

    raw: str = "landed"
    released: int = 0
    discards: bool = False
    waived: tuple[tuple[str, str], ...] = field(default=())

    def statements(self, told: Sequence[Statement]) -> list[Statement]:
        """The gate's statements as they apply to each row: a waived rule is not asked, a discarded row stays out."""
        exempt = [self._exempt(one) for one in told]
        if not self.discards:
            return exempt
        out = "_rid IN (SELECT _rid FROM discarded_row)"
        return [
            *(replace(one, broken=f"NOT ({out}) AND ({one.broken})") for one in exempt),
            Statement(DISCARDED, None, out, "quarantine", "error", "the row was discarded", "not discarded"),
        ]

    def released_from(self, connection: duckdb.DuckDBPyConnection, gate: Gate) -> dict[str, int]:
        """How many released rows pass the gate, by the run that had held them."""
        if not self.released:
            return {}
        found = connection.execute(
            "SELECT l.run, count(*) FROM released_row r JOIN ruled_landing l ON r.id = l.id AND r._source_file = l.source_file "
            "AND r._row_number = l.row_number AND r._ingested_at = l.ingested_at::TIMESTAMP "
            f"WHERE r._judged NOT IN (SELECT _rid FROM verdict WHERE {gate.held}) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return {str(run): int(rows) for run, rows in found}

    def _exempt(self, one: Statement) -> Statement:
        if (one.check, one.fingerprint) not in self.waived:
            return one
        rids = f"SELECT _rid FROM waived_row WHERE rule = {literal(one.check)} AND fingerprint = {literal(one.fingerprint)}"
        waived = f"_rid IN ({rids})"
        return replace(one, broken=f"({one.broken}) AND NOT ({waived})", waived=waived)


def lay_over(
    connection: duckdb.DuckDBPyConnection,
    headers: Sequence[str],
    rulings: Mapping[str, Ruling],
    *,
    since: int,
    known_upto: int,
    multiplied: bool,
) -> LaidOver:
    """Change `landed` by the rulings, and create `decided_row`, `waived_row`, `discarded_row`.

    Args:
        connection: holds the view `landed`.
        headers: the columns that landed.
        rulings: by id; only those that count.
        since: version of the decisions that the published version holds.
        known_upto: `_rid` below which rows were read before, and can have been released.
        multiplied: whether transforms may make several rows of one.
    """
    if not rulings:
        return LaidOver()
    fixed = sorted({name for one in rulings.values() for name in one.fixes if name in headers})
    _register(connection, rulings, fixed)
    judged = f"_rid::HUGEINT * {1 << LANDED_BITS}::HUGEINT + part::HUGEINT" if multiplied else "_rid"
    connection.execute(
        f"CREATE TABLE decided_row AS SELECT l.*, ruling.* EXCLUDE (content), {judged} AS _judged FROM "
        f"(SELECT _rid, {', '.join(AUDIT)}, {content_id(headers)} AS content FROM landed) l JOIN ruling USING (content) "
        "WHERE ruling.until IS NULL OR _ingested_at <= ruling.until"
    )
    if not one_row(connection, "SELECT count(*) FROM decided_row")[0]:
        return LaidOver()
    connection.execute("CREATE TABLE discarded_row AS SELECT _judged AS _rid FROM decided_row WHERE discarded > 0")
    connection.execute(
        "CREATE TABLE waived_row AS SELECT _judged AS _rid, w.rule, w.fingerprint FROM decided_row JOIN waiver w USING (id) "
        "WHERE w.until IS NULL OR _ingested_at <= w.until"
    )
    waived = connection.execute("SELECT DISTINCT rule, fingerprint FROM waived_row ORDER BY ALL").fetchall()
    connection.execute(f"CREATE VIEW released_row AS FROM decided_row WHERE released > {since} AND _rid < {known_upto}")
    new = "SELECT count(DISTINCT _rid) FROM released_row"
    return LaidOver(
        _overlaid(connection, fixed),
        int(one_row(connection, new)[0]),
        bool(one_row(connection, "SELECT count(*) FROM discarded_row")[0]),
        tuple((str(rule), str(fingerprint)) for rule, fingerprint in waived),
    )


def _register(connection: duckdb.DuckDBPyConnection, rulings: Mapping[str, Ruling], fixed: Sequence[str]) -> None:
    """Create `ruling`, `waiver` and `ruled_landing` from Python's rulings."""
    import polars as pl

    ruled: list[dict[str, Any]] = []
    for one in rulings.values():
        texts = {f"_to_{name}": one.fixes.get(name) for name in fixed}
        sets = {f"_set_{name}": name in one.fixes for name in fixed}
        said = {"id": one.id, "content": one.content, "part": one.part or "0", "released": one.released}
        ruled.append({**said, "discarded": one.discarded, "until": _naive(one.until), **texts, **sets})
    waivers = [
        {"id": one.id, "rule": rule, "fingerprint": waived.fingerprint, "until": _naive(waived.until)}
        for one in rulings.values()
        for rule, waived in one.waives.items()
    ]
    landings = [{"id": one.id, **vars(landing)} for one in rulings.values() for landing in one.landings]
    place_of = {"id": pl.String, "source_file": pl.String, "row_number": pl.Int64, "ingested_at": pl.String}
    moment = pl.Datetime("us")
    texts_of = {"id": pl.String, "content": pl.String, "part": pl.String, "released": pl.Int64, "discarded": pl.Int64}
    fixes_of = {f"_to_{name}": pl.String for name in fixed} | {f"_set_{name}": pl.Boolean for name in fixed}
    frames = {
        "ruling": pl.DataFrame(ruled, schema={**texts_of, "until": moment, **fixes_of}),
        "ruled_landing": pl.DataFrame(landings, schema={**place_of, "run": pl.String}),
        "waiver": pl.DataFrame(
            waivers, schema={"id": pl.String, "rule": pl.String, "fingerprint": pl.String, "until": moment}
        ),
    }
    for name, frame in frames.items():
        connection.register(f"_{name}", frame)
        connection.execute(f"CREATE TABLE {name} AS FROM _{name}")
        connection.unregister(f"_{name}")


def _naive(moment: Any) -> Any:
    """Bronze's moments are UTC without saying so."""
    return moment.replace(tzinfo=None) if moment is not None else None


def _overlaid(connection: duckdb.DuckDBPyConnection, fixed: Sequence[str]) -> str:
    """Let `landed` show the fixed text; return the relation of rows as they landed.

    A landed row of which several parts were fixed has what was said last.
    """
    if not fixed:
        return "landed"
    texts = ", ".join(
        f"bool_or({quote(f'_set_{name}')}) AS {quote(f'_set_{name}')}, "
        f"arg_max({{'v': {quote(f'_to_{name}')}}}, released) FILTER ({quote(f'_set_{name}')}) AS {quote(f'_to_{name}')}"
        for name in fixed
    )
    connection.execute(
        f"CREATE TABLE fixed_row AS SELECT _rid, {texts} FROM decided_row WHERE released > 0 GROUP BY _rid"
    )
    shown = ", ".join(
        f"CASE WHEN f.{quote(f'_set_{name}')} THEN f.{quote(f'_to_{name}')}.v ELSE r.{quote(name)} END AS {quote(name)}"
        for name in fixed
    )
    connection.execute(f"ALTER VIEW landed RENAME TO {RAW}")
    connection.execute(
        f"CREATE VIEW landed AS SELECT r.* REPLACE ({shown}) FROM {RAW} r LEFT JOIN fixed_row f ON r._rid = f._rid"
    )
    return RAW
