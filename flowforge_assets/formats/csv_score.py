"""Which delimiter, quote and escape explain a text best.

The idea is that of CleverCSV (van den Burg, Nazábal, Sutton 2019): a dialect is good where rows have the same shape
(pattern score) and cells look like something (type score). The weights are our own.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import EMPTY, MISSING, TYPED, WORD, kind_of
from flowforge_assets.formats.csv_sample import (
    SampleRecord,
    below_preamble,
    evened,
    names_widest,
    sample_records,
    usual_width,
)
from flowforge_assets.formats.csv_split import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_assets.formats.csv_options import CsvOptions, Escape

PRIORS = {
    ",": 1.0, ";": 1.0, "\t": 1.0, "|": 1.0, "^": 0.97, "~": 0.97, "\x1f": 1.0, "\x1e": 1.0, "\x01": 1.0, "\x02": 1.0,
    **dict.fromkeys("\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1b\x1c\x1d", 1.0),
    "¦": 0.97, "§": 0.97, "¬": 0.97, "¤": 0.97, "þ": 0.8, ":": 0.8, " ": 0.72, "#": 0.8, "*": 0.8, "!": 0.8, "$": 0.7, "%": 0.7, "&": 0.8, "=": 0.7,
    "@": 0.5, "/": 0.45, "\\": 0.5, "-": 0.35, "_": 0.35, "+": 0.35, " - ": 0.85, " / ": 0.85, " : ": 0.85, " = ": 0.85,
}  # fmt: skip
WHOLE = (
    "||",
    "|~|",
    "~|~",
    "|#|",
    "<|>",
    "^|^",
    "<>",
    "::",
    "\\t",
    "@@",
    "$$",
    "##",
    "&&",
    "~~",
    "%%",
    "|;|",
    ";|;",
    "→",
)
QUOTES = ('"', "'", "`")
# Marks between blanks stand between words, too: they part cells where most lines have two.
BETWEEN_BLANKS = (" - ", " / ", " : ", " = ")
ANY_SYMBOL = 0.8
_SYMBOL = re.compile(
    r"[^\x00-\xbf\w\s\u2010-\u2021\u2024-\u2027\u2030-\u2039\u203a\u3000-\u301f\ufe00-\ufeff\uff00-\uff65]|[·¶]"
)
_ENCLOSED = ("[]", "{}", "<>", "()", "__", "++", "==", "**", "##")
# Delimiters nobody thought of: marks next to each other, one of them such as text seldom has.
_RUN = re.compile(r"[^\w\s\"'`.,()/\\\[\]]{2,6}")
_RARE_MARK = re.compile(r"[|~^<>@#$%&*+{}]")
_LONGEST_FOUND, _MOST_FOUND = 4, 3
_ARROWS = frozenset({"->", "=>", "<-", "<=", ">=", "-->", "==>", "!=", "<>"})
SCORED_LINES, SCORED_CHARS, SCORED_CELLS = 150, 120_000, 4_000
MIN_SHARE_OF_LINES = 0.4
MOST_REMARKS, SHARE_OF_FOUND = 0.15, 0.6
ALIKE, IN_TIMES = 0.9, 0.5
IN_MOMENTS = {
    ":": re.compile(r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2})?(?![\d:])"),
    " ": re.compile(r"\d[-/.]\d{1,4} \d{1,2}:\d{2}"),
}
# A mark between two cells has no space after it; in a sentence it has. Digits around it may be a number or a time.
FOREIGN = {
    mark: re.compile("[" + re.escape(",;\t|:^~".replace(mark, "")) + r"](?=[^\s])") for mark in (*PRIORS, *WHOLE)
}


@dataclass(frozen=True, slots=True)
class Scored:
    """A supposed way to split, and how well it explains the text."""

    delimiter: str
    quote: str
    escape: Escape
    score: float

    def splitter(self) -> LineSplitter:
        """Return what splits so."""
        return LineSplitter(self.delimiter, self.quote, self.escape)


def best_dialect(lines: Sequence[str], pinned: CsvOptions) -> Scored:
    """Return the best-scored delimiter, quote and escape; what is pinned is not questioned."""
    sample = _scored_part(lines)
    text = "\n".join(sample)
    found = [] if pinned.delimiter else _found(sample, text)
    delimiters = [pinned.delimiter] if pinned.delimiter else [*_delimiters(sample, text), *found]
    quotes = [pinned.quote] if pinned.quote is not None else ['"', *(q for q in QUOTES[1:] if q in text)]
    best = Scored(",", quotes[0], pinned.escape or "double", 0.0)
    for delimiter in delimiters:
        for quote in quotes:
            if quote == delimiter or not (quote == quotes[0] or _evident(text, delimiter, quote)):
                continue
            for escape in _escapes(text, quote, pinned):
                scored = _score(sample, Scored(delimiter, quote, escape, 0.0))
                best = scored if scored.score > best.score + 1e-9 else best
    best = best if pinned.delimiter else _lengthened(best, sample, found)
    return best if pinned.escape else _with_escape(best, sample, text)


def _escapes(text: str, quote: str, pinned: CsvOptions) -> tuple[Escape, ...]:
    """The ways to escape a quote that are worth a look while the delimiter is sought."""
    if pinned.escape:
        return (pinned.escape,)
    often = quote and text.count("\\" + quote) > text.count(quote * 2)
    return ("double", "backslash") if often else ("double",)


def _evident(text: str, delimiter: str, quote: str) -> bool:
    """Tell whether at least one cell stands whole in such quotes: an apostrophe within a word is none."""
    d, q = re.escape(delimiter), re.escape(quote)
    return re.search(rf"(?:^|{d}) *{q}[^{q}]{{0,2000}}{q} *(?={d}|$)", text, re.MULTILINE) is not None


def _scored_part(lines: Sequence[str]) -> list[str]:
    """Take lines that hold something, until there are enough; those within a quoted cell are only a part of one."""
    part: list[str] = []
    size = count = 0
    inside = False
    for line in lines:
        if line.strip():
            part.append(line)
            size += len(line)
            inside ^= line.count(QUOTES[0]) % 2 == 1
            count += not inside
        if count >= SCORED_LINES or size > SCORED_CHARS:
            break
    return part


def _delimiters(lines: Sequence[str], text: str) -> Iterator[str]:
    """Yield the delimiters that stand in enough lines; a comma always, so that there is one."""
    least = max(1, MIN_SHARE_OF_LINES * len(lines))
    yield ","
    known = dict.fromkeys((*WHOLE, *PRIORS, *(mark for mark in sorted(set(text)) if _SYMBOL.match(mark))))
    for delimiter in known:
        times = 2 if delimiter in BETWEEN_BLANKS else 1
        if (
            delimiter != ","
            and delimiter in text
            and sum(1 for line in lines if line.count(delimiter) >= times) >= least
        ):
            yield delimiter


def _found(lines: Sequence[str], text: str) -> list[str]:
    """Find marks that stand together in most lines, such as `|+|` or `<->`: of one within another the longer."""
    runs = {run for line in lines for run in _RUN.findall(line) if _RARE_MARK.search(run)}
    parts = {
        run[a:b] for run in runs for a in range(len(run)) for b in range(a + 2, min(a + _LONGEST_FOUND, len(run)) + 1)
    }
    least = max(1, SHARE_OF_FOUND * len(lines))
    counts = {
        part: text.count(part)
        for part in parts - _ARROWS
        if len(set(part)) > 1 and _RARE_MARK.search(part) and sum(1 for line in lines if part in line) >= least
    }
    whole = [p for p, n in counts.items() if not any(p in q and p != q and m >= ALIKE * n for q, m in counts.items())]
    return sorted(whole, key=lambda part: (-counts[part], part))[:_MOST_FOUND]


def _score(lines: Sequence[str], supposed: Scored) -> Scored:
    sampled, _ = evened(sample_records(lines, supposed.splitter(), max_cells=SCORED_CELLS * 4))
    records = below_preamble(sampled)
    if not records:
        return supposed
    width = usual_width(records)
    body = [record for record in records if record.width == width]
    share = len(body) / len(records)
    near = sum(1 for record in records if abs(record.width - width) == 1 and width > 2) / len(records)  # noqa: PLR2004
    damaged = sum(1 for record in records if record.damaged) / len(records)
    if names_widest(records):
        near = max(near, 2 * (1 - share))
    shape = (share + 0.3 * near) ** 1.3 * (1 - 0.4 * damaged) * (0.12 if width == 1 else (1 - 1 / (width + 0.5)) ** 0.5)
    prior = prior_of(supposed.delimiter) * (IN_TIMES if _stands_in_times(lines, supposed.delimiter) else 1.0)
    score = shape * prior * (0.25 + 0.75 * _sense(body, supposed))
    return Scored(supposed.delimiter, supposed.quote, supposed.escape, score * (1 - 0.5 * _half_quoted(body)))


def prior_of(delimiter: str) -> float:
    """Return how usual a delimiter is; of several marks together any is."""
    return PRIORS.get(delimiter, ANY_SYMBOL if len(delimiter) == 1 else 1.0)


def _stands_in_times(lines: Sequence[str], delimiter: str) -> bool:
    """Tell whether a colon or a space is but a mark within times of day, or between a date and its time."""
    if delimiter not in IN_MOMENTS:
        return False
    text = "\n".join(lines)
    within = sum(found.group().count(delimiter) for found in IN_MOMENTS[delimiter].finditer(text))
    return within >= ALIKE * text.count(delimiter)


def _sense(body: Sequence[SampleRecord], supposed: Scored) -> float:
    """Return how much the cells look like something, 0 to 1: single cells, and each column for itself."""
    rows = [record.cells[:200] for record in body[: max(3, SCORED_CELLS // max(1, body[0].width))]]
    worth = [_worth(cell, supposed) for row in rows for cell in row]
    columns = list(zip(*(rows[1:] if len(rows) > 2 else rows), strict=False))  # noqa: PLR2004 -- without a header
    alike = [Counter(map(kind_of, column)).most_common(1)[0][1] / len(column) for column in columns]
    empty = sum(1 for column in columns if not any(column)) / max(1, len(columns))
    return (0.75 * sum(worth) / len(worth) + 0.25 * sum(alike) / max(1, len(alike))) * (1 - 0.5 * empty)


def _half_quoted(body: Sequence[SampleRecord]) -> float:
    """Return the share of records with a cell that has a quote at one end only: it was cut apart (`="007"` was not)."""
    return sum(1 for record in body if any(map(_is_half, record.cells[:200]))) / len(body)


def _is_half(cell: str) -> bool:
    return '"' in cell and (cell[:1] == '"') != (cell[-1:] == '"') and cell[:2] != '="'


def _worth(cell: str, supposed: Scored) -> float:
    text = cell.strip()
    kind = kind_of(text)
    if kind in TYPED or kind in {WORD, MISSING}:
        return 1.0
    if kind == EMPTY:
        return 0.6
    ends = (text[0] in QUOTES) + (text[-1] in QUOTES)
    if ends and supposed.delimiter != text[0]:
        return 0.1 if ends == 2 else 0.35  # noqa: PLR2004
    if '"' in text:
        return 0.1 if text.count('"') % 2 else 0.5
    tight = len(FOREIGN[supposed.delimiter].findall(text)) if supposed.delimiter in FOREIGN else 0
    return 0.75 if not tight else 0.55 if tight == 1 else 0.25


def _lengthened(best: Scored, lines: Sequence[str], found: Sequence[str]) -> Scored:
    """Take a longer delimiter where the short one never stands alone: `||`, `, `, ` | `."""
    short = best.delimiter
    if short == " ":
        return best
    text = "\n".join(lines)
    paired = bool(best.quote) and text.count(best.quote) % 2 == 0
    bare = _unquoted(text, best.quote).split("\n") if paired else [_unquoted(line, best.quote) for line in lines]
    more = (short[0] * n for n in (4, 3, 2) if n > len(short)) if len(set(short)) == 1 else ()
    enclosed = [pair[0] + short + pair[1] for pair in _ENCLOSED if lines and not lines[0].startswith(pair[0])]
    arrow = ["=>"] if short == "=" else []
    longest = {whole for whole in (*WHOLE, *found, *more, *enclosed, *arrow) if short in whole and whole != short}
    for longer in (*sorted(longest, key=lambda whole: (-len(whole), whole)), f" {short} ", f"{short} "):
        used = sum(line.count(longer) for line in bare)
        # A line that has but the short one may be a remark; not where the longer is the short one twice: `a,,` has empty cells.
        lines_alone = [line for line in bare if longer not in line and short in line]
        counted = bare if set(longer) == set(short) else [line for line in bare if longer in line]
        alone = sum(line.rstrip(short).replace(longer, "").count(short) for line in counted)
        if used > 0.5 * len(bare) and alone <= 0.02 * used and len(lines_alone) <= MOST_REMARKS * len(bare):
            return Scored(longer, best.quote, best.escape, best.score)
    return best


def _unquoted(line: str, quote: str) -> str:
    """Return a line without what stands between its quotes."""
    return "x".join(line.split(quote)[::2]) if quote and quote in line else line


def _with_escape(best: Scored, lines: Sequence[str], text: str) -> Scored:
    """Suppose backslashes where the text has some before quotes or delimiters and it then fits better."""
    before_quote = text.count("\\" + best.quote) if best.quote else 0
    if not before_quote and "\\" + best.delimiter not in text:
        return best
    doubled = text.count(best.quote * 2) if best.quote else 0
    other = _score(lines, Scored(best.delimiter, best.quote, "backslash", 0.0))
    same = _score(lines, Scored(best.delimiter, best.quote, "double", 0.0))
    return other if other.score > same.score and before_quote * 2 >= doubled else best
