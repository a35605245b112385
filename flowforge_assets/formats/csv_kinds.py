"""What a cell's text looks like, and what the cells of a column have in common.

Used as evidence only (is this line a header, which delimiter, where does an extra piece belong): no cell is ever cast.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LACKS_COMMA = 0.3
TEXT, WORD, EMPTY, MISSING = "text", "word", "empty", "missing"
TYPED = frozenset({"number", "temporal", "bool", "email", "url", "uuid", "ip", "code"})
# What no name of a column looks like (q1 and iso-2 may be names), and what no plain word does (no and y are words).
NEVER_NAMES = TYPED - {"code"}
NEVER_WORDS = NEVER_NAMES - {"bool"}

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    rf"|\d{{1,2}}[- ]{_MONTH}[- ]\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}}"
)
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?: ?(?:z|utc|gmt|[+-]\d{2}:?\d{2}))?"
_NUMBER = r"[-+]?(?:\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)(?:e[-+]?\d+)?"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_KIND = re.compile(
    "|".join(
        (
            r"(?P<missing>n/?a|nan|null|none|nil|-+|\?|\\n|#n/a|unknown|missing|\.)",
            rf"(?P<ip>{_OCTET}(?:\.{_OCTET}){{3}})",
            rf"(?P<number>[$€£¥]?\s?{_NUMBER}\s?(?:%|[$€£¥]|(?:eur|usd|gbp|chf|kg|km|cm|mm|m|g)\b)?|\({_NUMBER}\))",
            rf"(?P<temporal>(?:{_DATE})(?:[T ]{_TIME})?|{_TIME})",
            r"(?P<bool>true|false|yes|no|y|n)",
            r"(?P<email>[^@\s,;|]+@[^@\s,;|]+\.[a-z]{2,})",
            r"(?P<url>(?:https?|ftp|s3|file)://[^\s,;|\"]+|www\.[^\s,;|\"]+)",
            r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
            r"(?P<code>(?=[a-z]*\d)[a-z0-9]+(?:[-_./][a-z0-9]+)*)",
            r"(?P<word>[^\W\d_]+)",
        )
    ),
    re.IGNORECASE,
)


@lru_cache(maxsize=65536)
def kind_of(cell: str) -> str:
    """Return the kind of a cell's text, one of the names above."""
    text = cell.strip()
    if not text:
        return EMPTY
    if len(text) > 200:  # noqa: PLR2004 -- long text is text; the pattern would only cost time
        return TEXT
    found = _KIND.fullmatch(text)
    return (found.lastgroup or TEXT) if found else TEXT


def may_be_names(cells: Sequence[str]) -> bool:
    """Tell whether no cell looks like what no name of a column looks like."""
    return not any(kind_of(cell) in NEVER_NAMES for cell in cells)


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the sampled cells of one column have in common; `comma`: each is a number with one in it."""

    kind: str
    strict: bool
    ever_empty: bool
    values: frozenset[str] | None
    comma: bool = False

    def misfit(self, cell: str) -> float:
        """Return how badly a cell fits the column: 0 (well) to about 1."""
        kind = kind_of(cell)
        if kind == EMPTY:
            return 0.05 if self.ever_empty else 0.6
        if self.values is not None and cell in self.values:
            return 0.0
        if kind == MISSING:
            return 0.2
        if self.strict:
            lacks = LACKS_COMMA if self.comma and "," not in cell else 0.0
            return lacks if kind == self.kind else 1.0
        return (0.5 if kind in TYPED and self.kind not in TYPED else 0.0) + (0.3 if self.values is not None else 0.0)


UNKNOWN = ColumnProfile(kind=TEXT, strict=False, ever_empty=True, values=None)


def profile(cells: Sequence[str]) -> ColumnProfile:
    """Describe a column by its sampled cells."""
    kinds = Counter(map(kind_of, cells))
    empty = kinds.pop(EMPTY, 0)
    kinds.pop(MISSING, 0)
    filled = sum(kinds.values())
    if not filled:
        return UNKNOWN
    kind, count = kinds.most_common(1)[0]
    typed = sum(n for k, n in kinds.items() if k in TYPED)
    if kind not in TYPED or count < min(0.85 * filled, max(filled - 1, 3)):
        kind, strict = (TEXT if typed < 0.05 * filled else "mixed"), False
    else:
        strict = True
    comma = strict and kind == "number" and all("," in cell for cell in cells if cell.strip())
    return ColumnProfile(kind, strict, empty > 0.02 * len(cells), _categories(cells), comma)


def _categories(cells: Sequence[str]) -> frozenset[str] | None:
    """Return the column's values where they are few and come again and again."""
    distinct = {cell for cell in cells if cell}
    few = len(cells) >= 20 and len(distinct) <= min(30, len(cells) // 4)  # noqa: PLR2004
    return frozenset(distinct) if few and distinct else None


def profiles(rows: Sequence[Sequence[str]], width: int) -> tuple[ColumnProfile, ...]:
    """Describe each of `width` columns by rows of exactly that width (or by all, padded, if none is)."""
    full = [row for row in rows if len(row) == width] or [[*row[:width], *[""] * (width - len(row))] for row in rows]
    if not full:
        return (UNKNOWN,) * width
    return tuple(profile(column) for column in zip(*full, strict=True))
