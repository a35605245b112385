"""Rules about a table as it would be published: what each asks of it, and what the answer means."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from flowforge_checks.rules.base import Judges, Rule
from flowforge_resources.duck import one_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb


@dataclass(frozen=True)
class Judged:
    """A table that is judged as a whole.

    Args:
        table: SQL of its rows.
        at: when the run began.
        reads: SQL of each other table.
        previous: SQL of the rows of the version published before; None where there is none.
        earlier: SQL of the rows of versions before that, newest first; as many as a rule asks for and are kept.
    """

    table: str
    at: datetime
    reads: Mapping[str, str] = field(default_factory=dict)
    previous: str | None = None
    earlier: tuple[str, ...] = ()

    def before(self, most: int) -> tuple[str, ...]:
        """SQL of the rows of at most so many versions before, newest first."""
        return (self.previous, *self.earlier)[:most] if self.previous else ()


@dataclass(frozen=True)
class Finding:
    """What a table rule found: rows or, of a measure, 1 where it is not as it should be.

    `said`: in a sentence, where the rule is broken. `shown`: what was measured, for the check's metadata.
    """

    broken: int
    said: str = ""
    shown: Mapping[str, Any] = field(default_factory=dict)


class TableRule(Rule):
    """A statement about the whole table."""

    judges_by_kind: ClassVar[Judges] = "table"

    @abstractmethod
    def query(self, judged: Judged) -> str:
        """SQL that returns one row: what has to be known of the table."""

    @abstractmethod
    def finding(self, values: tuple[Any, ...], judged: Judged) -> Finding:
        """What that row means."""

    def judge(self, connection: duckdb.DuckDBPyConnection, judged: Judged) -> Finding:
        """Ask the table."""
        return self.finding(one_row(connection, self.query(judged)), judged)

    def questions(self, table: str, reads: Mapping[str, str]) -> list[str]:
        """Its query, of a table that was published before."""
        return [self.query(Judged(table, datetime(2000, 1, 1, tzinfo=UTC), reads, table))]

    def rows_breaking(self, judged: Judged) -> str:
        """SQL of the rows that break it, for examples; empty where no single row does."""
        del judged
        return ""

    @property
    def rows_asked(self) -> str:
        """SQL behind the table's name: only the rows the rule is asked of."""
        return f" WHERE {self.asked}" if self.where else ""
