"""From a batch of bronze to the rows that the gate judges, with or without transforms between; and the way back.

Belongs here: what the silver asset asks about its transforms. Does not: a transform, or the order of them (`pipeline`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowforge_assets.transforms.cast import content_id, create_cast, create_landed
from flowforge_assets.transforms.laid_over import LaidOver, lay_over
from flowforge_assets.transforms.pipeline import LANDED_OF, MisplacedError, Pipeline, multiplies
from flowforge_assets.transforms.place import FAILED
from flowforge_assets.transforms.tally import Tally
from flowforge_checks.decided import PART
from flowforge_checks.statements import Statement
from flowforge_resources.duck import literal, quote
from flowforge_resources.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.books import Books
    from flowforge_checks.decided import Ruling
    from flowforge_resources.scratch import Scratch

TRANSFORMS = "transforms"


@dataclass(frozen=True)
class Decided:
    """What was decided of quarantined rows, as a batch has to know it.

    `rulings`: those that count, by the row's id. `since`: version of the decisions that the published version holds.
    `known_upto`: `_rid` below which rows were read before.
    """

    rulings: Mapping[str, Ruling]
    since: int
    known_upto: int


@dataclass(frozen=True)
class Prepared:
    """The rows to be judged are in the view `typed`.

    Args:
        headers: the columns that landed.
        row_id: SQL over `landed` (and `_part`, the number of a row's part, where rows were multiplied) for the id of a
            held row.
        landed_of: SQL that turns `_rid` of a row into that of the landed row; empty where they are the same.
        statements: what a row may break besides rules.
    """

    headers: list[str]
    row_id: str
    landed_of: str = ""
    statements: Sequence[Statement] = ()
    tally: Tally = field(default_factory=Tally)
    laid_over: LaidOver = field(default_factory=LaidOver)

    def narrowed(self) -> Prepared:
        """The same where rows of chosen partitions alone are judged: what transforms took away is in none of them.

        Of a table in partitions no transform makes several rows of one.
        """
        return replace(self, tally=Tally())

    def account(self, connection: duckdb.DuckDBPyConnection, books: Books, discarded: int = 0) -> Books:
        """The account of the rows judged, made one of the rows read and released; `discarded`: of those the gate held."""
        told = self.tally.account(connection, books)
        released = self.laid_over.released
        return replace(
            told,
            read=told.read - released,
            released=released,
            quarantined=told.quarantined - discarded,
            discarded=discarded,
        )


def prepare(
    connection: duckdb.DuckDBPyConnection,
    spec: TableSpec,
    bronze: Sequence[Path],
    counting: str,
    *,
    reads: Mapping[str, str],
    scratch: Scratch,
    decided: Decided | None = None,
) -> Prepared:
    """Create `landed` and `typed` over bronze files given in order of arrival.

    Args:
        connection: where the views are made.
        spec: the table.
        bronze: local files.
        counting: SQL, if any, that a row of the files counts (see `rows_that_count`).
        reads: local files of the other tables' silver.
        scratch: for rows on their way through Python.
        decided: what was decided of quarantined rows.

    Raises:
        TransformError: a transform cannot be run; nothing changed.
    """
    headers = create_landed(connection, spec.root.landed_headers, bronze, counting)
    laid_over = LaidOver()
    if decided is not None:
        laid_over = lay_over(
            connection,
            headers,
            decided.rulings,
            since=decided.since,
            known_upto=decided.known_upto,
            multiplied=multiplies(spec),
        )
    if not spec.transformed:
        create_cast(connection, spec)
        return Prepared(headers, content_id(headers), laid_over=laid_over)
    for lookup, _ in spec.lookups_on_the_way:
        view = f"CREATE OR REPLACE VIEW {quote(lookup.relation)} AS FROM read_parquet({literal(reads[lookup.table])})"
        connection.execute(view)
    try:
        tally = Pipeline(connection, scratch).build(spec)
    except MisplacedError as error:
        raise TransformError(str(error.spec.id), error.number, error.problem, error.fix) from error.__cause__
    row_id, landed_of = content_id(headers), ""
    if multiplies(spec):
        landed_of = LANDED_OF
        row_id = f"{row_id} || {literal(PART)} || _part"
    return Prepared(headers, row_id, landed_of, failures(spec), tally, laid_over)


def failures(spec: TableSpec) -> list[Statement]:
    """The statement of each transform that may fail for a row."""
    return [
        Statement(
            TRANSFORMS,
            (step.makes or (None,))[0],
            f"{FAILED} = {number}",
            "quarantine",
            "error",
            f"transform {number} ({step.transform}) cannot be computed",
            "a row it can be computed for",
        )
        for number, step in enumerate(spec.transforms, start=1)
        if step.may_fail
    ]
