"""A query where it stands, with the tables it may read: what the other modules of this package ask about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Query:
    """`where`: its file, for errors. `tables`: columns and types of what it reads, by the name it is read under."""

    sql: str
    where: str
    workflow: str
    tables: Mapping[str, Mapping[str, str]]

    @property
    def statement(self) -> str:
        """The query without its semicolon."""
        return self.sql.rstrip().rstrip(";")
