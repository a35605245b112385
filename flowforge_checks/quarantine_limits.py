"""How many rows may wait in quarantine, how long, and when they are given up; and the check that says so.

Belongs here: the limits as declared, and the outcome for a number of rows. Does not: reading what waits.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flowforge_checks.results import Outcome

if TYPE_CHECKING:
    from datetime import datetime

WAITING = "quarantine_waiting"
_UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_SPAN = re.compile(r"([1-9]\d*) (hour|day|week)s?")


class QuarantineLimits(BaseModel):
    """What is too much, and how long rows are kept waiting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_rows: int | None = Field(default=None, ge=0, description="More rows than this, and the check fails.")
    max_age: str | None = Field(
        default=None,
        description="A row that waits longer, and the check fails: `12 hours`, `7 days`, `8 weeks`.",
        examples=["7 days"],
    )
    severity: Literal["warn", "error"] = Field(default="warn", description="How the failed check is shown.")
    alert_url_env: str | None = Field(
        default=None,
        description='Environment variable with the address of a webhook (Slack, Teams, Mattermost: `{"text": …}`) that is told when the check begins to fail.',
    )
    keep_for: str | None = Field(
        default=None,
        description="The maintenance job discards rows that waited longer, by `retention`: `90 days`. Default: they wait for ever.",
        examples=["90 days"],
    )

    @field_validator("max_age", "keep_for")
    @classmethod
    def _check_span(cls, given: str | None) -> str | None:
        if given is not None and not _SPAN.fullmatch(given):
            raise ValueError(f"`{given}` is no span of time. Write e.g. '12 hours', '7 days' or '8 weeks'.")
        return given

    @model_validator(mode="after")
    def _check_alert(self) -> QuarantineLimits:
        if self.alert_url_env and not self.is_checked:
            raise ValueError("`alert_url_env` needs `max_rows` or `max_age`: without them no check can fail.")
        return self

    @property
    def is_checked(self) -> bool:
        """Whether there is anything to check."""
        return self.max_rows is not None or self.max_age is not None

    @property
    def about(self) -> str:
        """The check in the UI."""
        asked = [f"at most {self.max_rows:,} rows wait"] if self.max_rows is not None else []
        asked += [f"none of them longer than {self.max_age}"] if self.max_age else []
        return f"In quarantine {', '.join(asked)}."

    @property
    def kept(self) -> timedelta | None:
        """How long rows are kept waiting; None for ever."""
        return span(self.keep_for) if self.keep_for else None

    def outcome(self, rows: int, oldest: datetime | None, now: datetime) -> Outcome:
        """What the check says of the rows that wait; `oldest`: when the first of them landed."""
        age = now - oldest if oldest is not None else timedelta()
        wrong = [f"{rows:,} rows wait, more than {self.max_rows:,}"] if rows > (self.max_rows or rows) else []
        if self.max_rows == 0 and rows:
            wrong = [f"{rows:,} rows wait, and none should"]
        if self.max_age and age > span(self.max_age):
            wrong.append(
                f"the oldest waits for {age.days} days and {age.seconds // 3600} hours, longer than {self.max_age}"
            )
        return Outcome(
            WAITING,
            passed=not wrong,
            warns=self.severity == "warn",
            rows_broken=rows if wrong else 0,
            description=f"{'; '.join(wrong)}. See `flowforge quarantine list`." if wrong else None,
            metadata={"rows_waiting": rows, "oldest_hours": round(age.total_seconds() / 3600, 2)},
        )


def span(written: str) -> timedelta:
    """A span of time that was validated."""
    found = _SPAN.fullmatch(written)
    if found is None:
        raise AssertionError(f"'{written}' was not validated")
    return int(found[1]) * _UNITS[found[2]]
