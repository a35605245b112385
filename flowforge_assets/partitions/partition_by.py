"""How a table is cut into partitions: by time, by the values of a column, or by where its files landed.

Belongs here: what YAML says, and the SQL that says of a row which partition it is in. Does not: Dagster's view of it
(`definitions`), objects on the lake (`flowforge_resources.partitioned`), which partitions a batch touches
(`silver.partitions`).

A partition has a key, which people and Dagster use. Every row has exactly one, so nothing is lost by cutting: a row
without a value is in `__null__`, and a value that is not among the declared ones is in `__other__` or in quarantine.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowforge_resources.duck import literal, quote
from flowforge_resources.layout import EMPTY_PARTITION, NULL_PARTITION, OTHER_PARTITION

if TYPE_CHECKING:
    from collections.abc import Mapping

Every = Literal["hour", "day", "week", "month"]
# Keys of time partitions: the local beginning of each, in a form that sorts and is a plain folder name.
KEY_FORMATS: Mapping[Every, str] = {"hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m-%d"}
_PATH_FORMATS: Mapping[Every, str] = {"hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
_PLACE = re.compile(r"\{[a-z_]+\}")
_PARTS_OF_A_KEY = 1
_SOURCE = "_source_file"


class PartitionBy(BaseModel):
    """What the rows of a partition have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(default=None, description="Column whose value says in which partition a row is.")
    path: str | None = Field(
        default=None,
        description="Instead of a column: pattern of the landing path below the table's folder, with the partition in braces; `*` stands for anything within a folder.",
        examples=["{date}/*", "country={country}/*", "sales_{date}.csv"],
    )
    every: Every | None = Field(
        default=None,
        description="Cut by time: by the hour, day, week (from Monday) or month of a date, a timestamp, or the date in the path.",
    )
    start: str | None = Field(
        default=None,
        description="With `every`: where Dagster's partitions begin, e.g. `2026-01-01`. Earlier rows are kept in partitions that Dagster does not list.",
    )
    timezone: str = Field(
        default="UTC",
        description="With `every`: where the day begins. A timestamp is taken as UTC and cut by the local time there.",
    )
    end_offset: int = Field(
        default=0,
        description="With `every`: partitions Dagster lists beyond the last one that has ended; 1 adds the running day.",
    )
    format: str | None = Field(
        default=None,
        description="With `path` and `every`: how the date is written (strptime codes). Default: `2026-01-31`, for months `2026-01`, for hours `2026-01-31-23`.",
    )
    values: tuple[str, ...] | None = Field(
        default=None, description="The values there are, a partition each. Default: a partition for every value found."
    )
    other: bool = Field(
        default=False,
        description="With `values`: rows of any other value, or none, are in the partition `__other__`. Default: they go to quarantine.",
    )
    backfill: Literal["single_run", "multi_run"] = Field(
        default="single_run",
        description="How Dagster backfills several partitions: all in one run, or in runs of `max_partitions_per_run`.",
    )
    max_partitions_per_run: int = Field(default=1, ge=1, description="With `backfill: multi_run`.")

    @model_validator(mode="after")
    def _make_sense(self) -> PartitionBy:
        if (self.column is None) == (self.path is None):
            raise ValueError("`partition_by` takes either `column` or `path`.")
        if self.every and self.values is not None:
            raise ValueError("`partition_by` takes either `every` or `values`.")
        if self.every and self.start is None:
            raise ValueError("`partition_by` with `every` needs `start`: the first partition Dagster lists.")
        set_without = [name for name in ("start", "format") if getattr(self, name) and not self.every]
        if set_without:
            raise ValueError(
                f"`partition_by.{set_without[0]}` counts with `every` only. Say `every: day`, or remove it."
            )
        if self.other and self.values is None:
            raise ValueError("`partition_by.other` counts with `values` only. List the values, or remove it.")
        if self.values is not None:
            _require_different(self.values)
        if self.path is not None and len(_PLACE.findall(self.path)) != _PARTS_OF_A_KEY:
            raise ValueError(
                f"`partition_by.path` is '{self.path}'; it must have one part in braces, e.g. '{{date}}/*' or 'country={{country}}/*'."
            )
        if self.every:
            _require_zone(self.timezone)
            _require_date(self.start or "")
        return self

    @property
    def begins(self) -> datetime:
        """`start` as a moment of the local time."""
        return datetime.fromisoformat(self.start or "")

    @property
    def shape(self) -> dict[str, object]:
        """What changes in which partition a row is: all but how Dagster lists and backfills them."""
        return self.model_dump(exclude={"start", "end_offset", "backfill", "max_partitions_per_run"}, exclude_none=True)

    def problem(self, types: Mapping[str, str]) -> tuple[str, str] | None:
        """What is wrong with it for a table of these columns (name to type), and the fix."""
        if self.column is None:
            return None
        if self.column not in types:
            known = ", ".join(types)
            return f"names the column '{self.column}', which is not declared.", f"Declare it, or use one of {known}."
        kind = types[self.column].split("(")[0]
        if self.every and kind not in ("date", "timestamp"):
            fix = "Cut by its values (no `every`), or declare the column as `date` or `timestamp`."
            return f"cuts by {self.every}, and '{self.column}' is {kind}, not a date or timestamp.", fix
        if self.every == "hour" and kind == "date":
            return f"cuts by hour, and '{self.column}' is a date.", "Use `every: day`, or a timestamp."
        return None

    def key(self, landing: str, types: Mapping[str, str]) -> str:
        """SQL over a table's rows for the partition a row is in; VARCHAR, never null.

        Args:
            landing: prefix of the table's landing files.
            types: YAML type of every column.
        """
        if self.every:
            return f"coalesce({self._time_key(landing, types)}, {literal(NULL_PARTITION)})"
        value = self._text(landing)
        if self.values is None:
            return f"coalesce({value}, {literal(NULL_PARTITION)})"
        listed = ", ".join(literal(one) for one in self.values)
        return f"CASE WHEN {value} IN ({listed}) THEN {value} ELSE {literal(OTHER_PARTITION)} END"

    def unlisted(self, landing: str) -> str | None:
        """SQL: the row's value is not among the declared ones, which there is no partition for."""
        if self.values is None or self.other:
            return None
        listed = ", ".join(literal(one) for one in self.values)
        return f"NOT coalesce({self._text(landing)} IN ({listed}), FALSE)"

    def moved(self, landing: str, types: Mapping[str, str], old: str, new: str) -> str | None:
        """SQL: two rows of a key that are the same in every column are in different partitions, as only paths can say."""
        if self.path is None:
            return None
        key = self.key(landing, types)
        sides = (key.replace(_SOURCE, f"{side}.{_SOURCE}") for side in (new, old))
        return " IS DISTINCT FROM ".join(f"({side})" for side in sides)

    def _text(self, landing: str) -> str:
        if self.column is not None:
            return f"{quote(self.column)}::VARCHAR"
        return f"nullif(regexp_extract({_SOURCE}, {literal(self._pattern(landing))}, 1), '')"

    def _pattern(self, landing: str) -> str:
        """The path as a regular expression: the braces take what is up to the next folder or literal text."""
        before, after = _PLACE.split(self.path or "")
        ends_part = not after or after.startswith("/")
        return f"^{_plain(landing + before)}({'[^/]+' if ends_part else '[^/]+?'}){_plain(after)}{'' if after.endswith('/') else '$'}"

    def _time_key(self, landing: str, types: Mapping[str, str]) -> str:
        every, wanted = self.every or "day", literal(KEY_FORMATS[self.every or "day"])
        if self.column is None:
            written = literal(self.format or _PATH_FORMATS[every])
            return f"strftime(date_trunc('{every}', try_strptime({self._text(landing)}, {written})), {wanted})"
        column = quote(self.column)
        if types[self.column].startswith("date") or self.timezone == "UTC":
            return f"strftime(date_trunc('{every}', {column}), {wanted})"
        here = self._local(column)
        key = f"strftime(date_trunc('{every}', {here}), {wanted})"
        if every != "hour":
            return key
        # The hour that a clock put back shows twice: Dagster gives the second one its offset from UTC.
        minutes = f"date_diff('minute', {column}, {here})"
        offset = f"printf('%+03d%02d', {minutes} // 60, abs({minutes}) % 60)"
        again = f"{here} = {self._local(f'({column} - INTERVAL 1 HOUR)')}"
        return f"CASE WHEN {again} THEN {key} || {offset} ELSE {key} END"

    def _local(self, moment: str) -> str:
        return f"timezone({literal(self.timezone)}, timezone('UTC', {moment}))"


def _plain(text: str) -> str:
    """A pattern's literal text for RE2; `*` is anything within a folder."""
    return "[^/]*".join(re.escape(part) for part in text.split("*"))


def _require_different(values: tuple[str, ...]) -> None:
    if not values:
        raise ValueError("`partition_by.values` is empty. List the values, or remove it for a partition a value.")
    double = next((one for one in values if values.count(one) > 1), None)
    if double is not None:
        raise ValueError(f"`partition_by.values` lists '{double}' twice.")
    if reserved := next((one for one in values if one in (NULL_PARTITION, OTHER_PARTITION, EMPTY_PARTITION)), None):
        raise ValueError(f"`partition_by.values` lists '{reserved}', a name of FlowForge's own.")


def _require_zone(timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"`partition_by.timezone` is '{timezone}', which is no time zone. Write e.g. Europe/Berlin."
        ) from None


def _require_date(start: str) -> None:
    try:
        date.fromisoformat(start[:10])
        datetime.fromisoformat(start)
    except ValueError:
        raise ValueError(f"`partition_by.start` is '{start}', which is no date. Write e.g. 2026-01-31.") from None
