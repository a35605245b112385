"""What every type of a silver column is, and the types that are words: text, booleans, JSON.

A cast never rounds, guesses or turns a bad value into null unseen: the SQL yields NULL for text that is not such a
value, and the caller compares with the text. Semantics of the underlying casts: DuckDB 2.0, measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from flowforge_resources.duck import literal

TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")


class ColumnType(ABC):
    """One type. Its dataclass fields that are options carry the names they have in YAML.

    `sql_type` is what DuckDB and Parquet store.
    """

    sql_type: str

    @abstractmethod
    def cast(self, text: str) -> str:
        """SQL that turns the SQL expression `text` (VARCHAR, may be null) into `sql_type`, or NULL."""

    def settled(self, text: str, *, ascii_blanks: bool = False) -> str:  # noqa: ARG002  # for the types that can tell
        """The same, of text that is known to be a value, or blank: cheaper where the proof is what costs.

        Args:
            text: as in `cast`.
            ascii_blanks: no blank stands in the text but ASCII's, which DuckDB's own cast passes over.
        """
        return self.cast(text)


def by_the_engine(kind: ColumnType, text: str, *, ascii_blanks: bool) -> str:
    """SQL: DuckDB's cast of text that is a value of the type, or blank; it does not know other blanks than ASCII's."""
    cast = f"TRY_CAST({text} AS {kind.sql_type})"
    return cast if ascii_blanks else f"coalesce({cast}, {kind.cast(text)})"


@dataclass(frozen=True)
class Text(ColumnType):
    """The text as it stood in the file; an empty cell is null."""

    sql_type = "VARCHAR"

    def cast(self, text: str) -> str:
        return f"nullif({text}, '')"


@dataclass(frozen=True, kw_only=True)
class Boolean(ColumnType):
    """True or false by declared words, case-insensitive. Words that are declared take the place of the usual ones."""

    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    sql_type = "BOOLEAN"

    def __post_init__(self) -> None:
        yes, no = self._words
        if not all((*yes, *no)):
            raise ValueError("`true_words` and `false_words` are words; an empty cell is always null. Take the '' out.")
        if both := sorted({*yes} & {*no}):
            usual = (
                "" if self.true_words and self.false_words else " Declare both lists, so that no usual word is left."
            )
            raise ValueError(f"'{both[0]}' is among the words for true and for false. Take it out of one.{usual}")

    @property
    def _words(self) -> tuple[list[str], list[str]]:
        chosen = self.true_words or TRUE_WORDS, self.false_words or FALSE_WORDS
        yes, no = ([word.strip().lower() for word in words] for words in chosen)
        return yes, no

    def cast(self, text: str) -> str:
        yes, no = (", ".join(map(literal, words)) for words in self._words)
        return f"CASE WHEN lower(trim({text})) IN ({yes}) THEN TRUE WHEN lower(trim({text})) IN ({no}) THEN FALSE END"


@dataclass(frozen=True)
class Json(ColumnType):
    """A JSON value by RFC 8259, kept as the text that stood there, without the blanks around it.

    DuckDB's parser also takes `NaN`, `Infinity` and a comma before a closing bracket: what is left of the text without
    its strings is looked through for them.
    """

    sql_type = "VARCHAR"

    def cast(self, text: str) -> str:
        text = f"trim({text})"
        outside = f"""regexp_replace({text}, '"(?:[^"\\\\]|\\\\.)*"', '""', 'g')"""
        lax = f"regexp_matches({outside}, '(?i)nan|inf|,\\s*[\\]}}]')"
        return f"CASE WHEN json_valid({text}) AND NOT {lax} THEN {text} END"
