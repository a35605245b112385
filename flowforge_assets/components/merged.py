"""The part of a table's YAML that says how its rows enter silver. Words and meaning are Databricks' AUTO CDC's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from flowforge_assets.components.landed import LandedPart
from flowforge_assets.components.part import AsWritten, as_written
from flowforge_assets.model_sql.rule_questions import ITSELF, first_refused
from flowforge_assets.strategies.spec import DeleteAbsent, Extract, Strategy, StrategyKind
from flowforge_assets.transforms.sql_expression import UNSTABLE
from flowforge_resources.duck import quote
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlglot import expressions as exp

    from flowforge_assets.table_spec import Column

_MOMENTS = ("date", "timestamp", "integer")


class Scd2Columns(BaseModel):
    """Names of the columns that say when a version held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: str = Field(default="valid_from", description="Since when, included.")
    valid_to: str = Field(default="valid_to", description="Until when, not included; null while it holds.")
    is_current: str = Field(default="is_current", description="Whether it is the one that holds.")


class MergedPart(LandedPart):
    """A table whose rows enter silver by a strategy."""

    keys: list[str] = Field(
        default=[],
        description="Columns that identify a row together. Needed by `upsert` and `scd2`; without them `append` and `full_refresh` tables have no surrogate key.",
    )
    sequence_by: list[str] = Field(
        default=[],
        description="Columns that say which of two rows of a key is newer. Default: the row that arrived later.",
    )
    strategy: StrategyKind = Field(
        default="upsert",
        description="How a batch enters silver: `upsert` keeps the newest row of a key (SCD type 1), `scd2` a row a version, `append` adds every row (with `keys`: the first of a key), `full_refresh` replaces the table by the newest full extract.",
    )
    apply_as_delete_when: str | None = Field(
        default=None,
        description="SQL condition over the columns that marks a row as the delete of its key.",
        examples=["operation = 'DELETE'"],
    )
    apply_as_truncate_when: str | None = Field(
        default=None,
        description="SQL condition that marks a row as the clearing of the whole table; `upsert` only.",
        examples=["operation = 'TRUNCATE'"],
    )
    ignore_null_updates: Annotated[AsWritten[bool | list[str]], as_written(bool | list[str])] = Field(
        default=False,
        description="Whether a null says nothing, so that the column keeps its value: of all columns, or of those listed.",
    )
    except_columns: list[str] = Field(
        default=[],
        description="Columns that rules and conditions may use and silver does not store, such as the operation of a change.",
    )
    track_history_on: list[str] = Field(
        default=[],
        description="`scd2`: columns whose change opens a version; others are updated in place. Default: all but keys and `sequence_by`.",
    )
    track_history_except: list[str] = Field(
        default=[],
        description="`scd2`: columns whose change opens no version; all others but keys and `sequence_by` do.",
    )
    scd2_columns: Annotated[AsWritten[Scd2Columns] | None, as_written(Scd2Columns | None)] = Field(
        default=None, description="`scd2`: other names for `valid_from`, `valid_to` and `is_current`."
    )
    version_key: str = Field(
        default="", description="`scd2`: name of the version's surrogate key. Default: `<table>_version_key`."
    )
    delete_absent: DeleteAbsent = Field(
        default="ignore",
        description="What becomes of keys that a full extract does not have: nothing (`ignore`), their version ends (`invalidate`, `scd2` only), or their rows go (`delete`).",
    )
    delete_absent_within: str | None = Field(
        default=None,
        description="`delete_absent` only for rows whose value in this column the extract has, e.g. the region it is of.",
    )
    extract: Extract = Field(
        default="file",
        description="What one full extract is, for `full_refresh` and `delete_absent`: a `file`, the files of a `folder`, or all files of a `run`.",
    )

    allow_empty_extract: bool = Field(
        default=False,
        description="For `full_refresh` and `delete_absent`: whether an extract without a row empties the table. Default: the blocking check `extract` fails, and nothing is published until an extract with rows comes.",
    )

    def strategy_spec(self, columns: Sequence[Column]) -> Strategy:
        """As factories and transforms take it."""
        names = self.scd2_columns or Scd2Columns()
        values = [one.name for one in columns if one.name not in self.keys]
        ignored = self.ignore_null_updates
        scd2 = self.strategy == "scd2"
        return Strategy(
            kind=self.strategy,
            delete_when=self.apply_as_delete_when or "",
            truncate_when=self.apply_as_truncate_when or "",
            ignore_null=tuple(values if ignored is True else ignored or ()),
            tracked=self._tracked(values),
            delete_absent=self.delete_absent,
            within=self.delete_absent_within,
            extract=self.extract,
            allow_empty=self.allow_empty_extract,
            except_columns=tuple(self.except_columns),
            valid_from=names.valid_from,
            valid_to=names.valid_to,
            is_current=names.is_current,
            version_key=(self.version_key or f"{self.name}_version_key") if scd2 else "",
        )

    def _tracked(self, values: Sequence[str]) -> tuple[str, ...] | None:
        if self.track_history_on:
            return tuple(self.track_history_on)
        if self.track_history_except:
            untracked = {*self.track_history_except, *self.sequence_by, *self.except_columns}
            return tuple(name for name in values if name not in untracked)
        return None

    def validate_strategy(self, columns: Sequence[Column]) -> None:
        """Check what the strategy's fields ask of each other and of the columns.

        Raises:
            DefinitionError: a field that the strategy has no use for, an unknown column, a name that occurs twice.
        """
        names = [one.name for one in columns]
        for field in ("except_columns", "track_history_on", "track_history_except"):
            self._require_columns(field, getattr(self, field), names)
        if isinstance(self.ignore_null_updates, list):
            self._require_columns("ignore_null_updates", self.ignore_null_updates, names)
        if self.delete_absent_within:
            self._require_columns("delete_absent_within", [self.delete_absent_within], names)
        for field in ("apply_as_delete_when", "apply_as_truncate_when"):
            if (condition := getattr(self, field)) is not None:
                self._validate_condition(field, condition, names)
        self._refuse_what_does_not_fit()
        self._refuse_hidden_columns()
        if self.strategy == "scd2":
            self._validate_history(columns)

    def _validate_condition(self, field: str, condition: str, names: list[str]) -> None:
        import sqlglot
        from sqlglot import expressions

        if not condition.strip():
            raise self.wrong(f"`{field}` of table '{self.name}' is empty.", "Write a condition, or remove it.")
        try:
            tree = sqlglot.parse_one(f"SELECT ({condition})", read="duckdb")
        except sqlglot.errors.SqlglotError as error:
            raise self.wrong(
                f"`{field}: {condition}` of table '{self.name}' is no SQL condition: {str(error).splitlines()[0]}",
                "Write it as in a WHERE clause of DuckDB, e.g. operation = 'DELETE'.",
            ) from None
        if wrong := _of_more_than_the_row(tree):
            raise self.wrong(
                f"`{field}: {condition}` of table '{self.name}' {wrong}",
                "Ask about the columns of the row alone.",
            )
        if tree.find(expressions.Lambda):
            return  # its parameters look like columns
        known = {name.lower() for name in names}
        for one in tree.find_all(expressions.Column):
            if one.name.lower() not in known:
                quoted = one.this.args.get("quoted")
                text = f" Is it a text? SQL writes texts in single quotes: '{one.name}'." if quoted else ""
                self._require_columns(field, [one.name], names, hint=text)

    def validate_conditions(self, types: Mapping[str, str]) -> None:
        """Ask DuckDB whether the conditions are such over columns of these types.

        Raises:
            DefinitionError: naming the field, and what is wrong with it.
        """
        written = {
            field: str(condition)
            for field in ("apply_as_delete_when", "apply_as_truncate_when")
            if (condition := getattr(self, field))
        }
        # `bool_or` takes a truth value and nothing else.
        asked = [f"SELECT {how}({one}\n) FROM {quote(ITSELF)}" for one in written.values() for how in ("", "bool_or")]
        refused = first_refused([[one] for one in asked], types, {}) if asked else None
        if refused:
            field = list(written)[refused[0] // 2]
            why = refused[1] if refused[0] % 2 == 0 else "it is neither true nor false for a row."
            raise self.wrong(
                f"`{field}: {written[field]}` of table '{self.name}' cannot be asked: {why}",
                "Write it as in a WHERE clause of DuckDB, e.g. operation = 'DELETE'.",
            )

    def _refuse_what_does_not_fit(self) -> None:
        fits = {
            "apply_as_delete_when": ("upsert", "scd2"),
            "apply_as_truncate_when": ("upsert",),
            "ignore_null_updates": ("upsert", "scd2"),
            "track_history_on": ("scd2",),
            "track_history_except": ("scd2",),
            "scd2_columns": ("scd2",),
            "version_key": ("scd2",),
            "delete_absent": ("upsert", "scd2"),
        }
        for field, strategies in fits.items():
            if getattr(self, field) not in (None, False, "", [], "ignore") and self.strategy not in strategies:
                known = " and ".join(f"`strategy: {one}`" for one in strategies)
                raise self.wrong(
                    f"table '{self.name}' has `{field}`, which `strategy: {self.strategy}` has no use for.",
                    f"Remove it; it belongs to {known}.",
                )
        if not self.keys and self.strategy in ("upsert", "scd2"):
            raise self.wrong(
                f"table '{self.name}' has no `keys`, and `strategy: {self.strategy}` cannot tell which rows are of one thing.",
                "Name the columns that identify a row under `keys`, or write `strategy: append` or `full_refresh`.",
            )
        if self.track_history_on and self.track_history_except:
            raise self.wrong(
                f"table '{self.name}' has both `track_history_on` and `track_history_except`.", "Keep one of them."
            )
        if self.delete_absent == "invalidate" and self.strategy != "scd2":
            raise self.wrong(
                f"table '{self.name}' has `delete_absent: invalidate`, but a row of `strategy: upsert` has no end to set.",
                "Write `delete_absent: delete`, or `strategy: scd2` to keep what was.",
            )
        if self.allow_empty_extract and self.strategy != "full_refresh" and self.delete_absent == "ignore":
            raise self.wrong(
                f"table '{self.name}' has `allow_empty_extract`, and nothing goes when a file of it has no row.",
                "Remove it; it belongs to `strategy: full_refresh` and to `delete_absent`.",
            )
        if self.extract != "file" and self.strategy != "full_refresh" and self.delete_absent == "ignore":
            raise self.wrong(
                f"table '{self.name}' has `extract: {self.extract}`, and no file of it counts as a full extract.",
                "Remove it; it belongs to `strategy: full_refresh` and to `delete_absent`.",
            )
        if self.delete_absent_within and self.delete_absent == "ignore":
            raise self.wrong(
                f"table '{self.name}' has `delete_absent_within` without `delete_absent`.",
                "Say what becomes of absent keys with `delete_absent`, or remove it.",
            )

    def _refuse_hidden_columns(self) -> None:
        used = {"keys": self.keys, "track_history_on": self.track_history_on}
        used["delete_absent_within"] = [self.delete_absent_within or ""]
        for field, names in used.items():
            for name in names:
                if name in self.except_columns:
                    raise self.wrong(
                        f"table '{self.name}' names the column '{name}' under `{field}` and under `except_columns`.",
                        "Silver needs that column; take it out of `except_columns`.",
                    )

    def _validate_history(self, columns: Sequence[Column]) -> None:
        if self.delete_absent == "invalidate" and self.sequence_by:
            first = next(one for one in columns if one.name == self.sequence_by[0])
            if first.type.strip().lower() not in _MOMENTS:
                raise self.wrong(
                    f"table '{self.name}' has `delete_absent: invalidate`, and '{first.name}', the first column of `sequence_by`, is {first.type}: there is no next moment at which an absent key could end.",
                    "Sequence by a date, a timestamp or an integer, or leave `sequence_by` out: then the arrival counts.",
                )

    def _require_columns(self, part: str, wanted: Iterable[str], names: list[str], *, hint: str = "") -> None:
        for name in wanted:
            if name not in names:
                raise self.wrong(
                    f"{part} of table '{self.name}' names the column '{name}', which is not declared.{did_you_mean(name, names)}{hint}",
                    "Declare it under `columns`, or correct the name.",
                )


def _of_more_than_the_row(condition: exp.Expr) -> str:
    """Why a condition, as `SELECT (condition)`, may be answered otherwise for the same row another time; '' if it is not."""
    from sqlglot import expressions

    if len(list(condition.find_all(expressions.Query))) > 1:
        return "holds a query."
    functions = list(condition.find_all(expressions.Func))
    named = {str(name).lower() for one in functions for name in (*one.sql_names(), one.name)}
    unstable = sorted(UNSTABLE & named)
    return f"asks `{unstable[0]}`, which gives another result in every run." if unstable else ""
