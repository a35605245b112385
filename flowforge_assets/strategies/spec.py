"""How batches enter silver, as declared: the strategy and its options. Holds no data logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

StrategyKind = Literal["upsert", "append", "full_refresh", "scd2"]
DeleteAbsent = Literal["ignore", "invalidate", "delete"]
Extract = Literal["file", "folder", "run"]
# Raised when `strategies` computes other content from the same rows: an affected table is then made anew.
SEMANTICS = 1
# The same for tables with deletes or truncates alone. 2: what they hold beside key and sequence need not cast.
OPERATIONS = 2


@dataclass(frozen=True)
class Strategy:
    """The strategy of one table. Column lists name declared columns; conditions are SQL over them.

    `allow_empty`: an extract without a row is one. `ignore_null`: columns of which a null says nothing. `tracked`: columns whose change opens a version; None for all
    but keys and `sequence_by`.
    """

    kind: StrategyKind = "upsert"
    delete_when: str = ""
    truncate_when: str = ""
    ignore_null: tuple[str, ...] = ()
    tracked: tuple[str, ...] | None = None
    delete_absent: DeleteAbsent = "ignore"
    within: str | None = None
    extract: Extract = "file"
    # Not in `repr`, which is in fingerprints: see `shape`.
    allow_empty: bool = field(default=False, repr=False)
    except_columns: tuple[str, ...] = ()
    valid_from: str = "valid_from"
    valid_to: str = "valid_to"
    is_current: str = "is_current"
    version_key: str = ""

    @property
    def keeps_history(self) -> bool:
        """Whether the table has a row a version, not a row a key."""
        return self.kind == "scd2"

    @property
    def takes_extracts(self) -> bool:
        """Whether a landing file (folder, run) is the whole truth of its moment."""
        return self.kind == "full_refresh" or self.delete_absent != "ignore"

    @property
    def marks_operations(self) -> bool:
        """Whether a row may say something else than what a key's values are."""
        return bool(self.delete_when or self.truncate_when)

    @property
    def replays_events(self) -> bool:
        """Whether more than the newest row of a key counts."""
        return self.keeps_history or (
            self.kind == "upsert" and (self.marks_operations or bool(self.ignore_null) or self.takes_extracts)
        )

    @property
    def interval(self) -> tuple[str, str, str]:
        """Names of the columns that say when a version held."""
        return self.valid_from, self.valid_to, self.is_current

    def shape(self) -> list[object]:
        """What silver depends on; empty for the default, so that tables which use nothing of this are not made anew."""
        added: list[object] = ["allow_empty"] if self.allow_empty else []
        added += [("operations", OPERATIONS)] if self.marks_operations else []
        return [] if self == Strategy() else [self, SEMANTICS, *added]
