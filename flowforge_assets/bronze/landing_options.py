"""Which landing files of a table are taken, how many at once, and what becomes of those that fail, change or are done."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

OnChange = Literal["append", "supersede", "skip", "fail"]
CleanSource = Literal["keep", "move", "delete"]
# Spark, Hadoop and most tools write `_SUCCESS`, `_temporary/…` and `.part` files beside data.
IGNORED = ("*.tmp", "_*", ".*")


@dataclass(frozen=True)
class LandingOptions:
    """How a table takes its files. The fields are described where YAML declares them (`components.landed`)."""

    ignore: tuple[str, ...] = IGNORED
    min_age_s: float | None = None
    max_files_per_run: int = 10_000
    max_bytes_per_run: int | None = None
    max_file_attempts: int = 3
    on_change: OnChange = "append"
    clean_source: CleanSource = "keep"
    clean_source_after_days: float = 0.0

    def ignores(self, name: str) -> bool:
        """Whether a name relative to the landing folder, or a folder in it, matches a pattern to ignore."""
        return self.ignored_by(name) is not None

    def ignored_by(self, name: str) -> str | None:
        """The pattern by which such a name is ignored; None if it is taken."""
        found = (pattern for part in name.split("/") for pattern in self.ignore if fnmatchcase(part, pattern))
        return next(found, None)
