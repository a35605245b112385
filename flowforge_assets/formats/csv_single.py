"""Whether a table has a single column, and what seemed its delimiter is but a mark within the cells.

Blanks in sentences and names, a colon in times, a slash in paths, a decimal comma. The column's name, the first line,
mostly does not have the mark.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from flowforge_assets.formats.csv_kinds import NEVER_WORDS, TYPED, kind_of
from flowforge_assets.formats.csv_sample import sample_records
from flowforge_assets.formats.csv_score import prior_of
from flowforge_assets.formats.csv_split import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_options import Role
    from flowforge_assets.formats.csv_score import Scored

WEAK, WEAKEST, FEW, ALIKE, ENOUGH_WORDY = 0.8, 0.5, 3, 0.9, 0.6
# Words of prose, of which few are numbers, come in lines of many lengths and with one blank between them.
VARIED, MOST_TYPED, MOST_WIDE_BLANKS = 0.5, 0.2, 0.05
_DECIMAL = re.compile(r"[-+]?\d{1,3}(?:[. ]?\d{3})*,(\d{1,4})(?: ?(?:€|%|[A-Z]{3}))?")


def one_column(lines: Sequence[str], supposed: Scored, leading: Sequence[Role]) -> bool:
    """Tell whether a delimiter is but a mark within the cells; `leading` says what then seems to stand above the rows."""
    filled = [line.strip() for line in lines if line.strip()][1:300]
    weak = prior_of(supposed.delimiter) <= WEAK
    if not filled or not lines[0].strip():
        return False
    if supposed.delimiter == " " and (_is_prose(filled, supposed) or _are_names([lines[0].strip(), *filled])):
        return True
    if tuple(leading) != ("preamble",) and not (
        tuple(leading) == ("preamble", "header") and (weak or supposed.delimiter[-1] == " ")
    ):
        return False
    if supposed.delimiter.endswith(" ") and supposed.delimiter.strip() and supposed.delimiter not in lines[0]:
        return len(filled) >= FEW and _are_sentences(filled, supposed.delimiter)
    if supposed.delimiter == ",":
        return _are_decimals(lines[0].strip(), filled)
    return weak and supposed.delimiter not in lines[0] and _are_wholes(lines, filled, supposed)


def _are_wholes(lines: Sequence[str], filled: Sequence[str], supposed: Scored) -> bool:
    """Tell whether the lines as wholes are times, dates, addresses or codes, or phrases of words."""
    kind, count = Counter(map(kind_of, filled)).most_common(1)[0]
    typed = kind in TYPED and count >= ALIKE * len(filled)
    if len(filled) < FEW:
        return typed and kind != "code"
    if any(record.width > 1 for record in sample_records(lines[:300], LineSplitter(",", supposed.quote, "double"))):
        return typed and kind == "url"
    cut = [line.split() for line in filled]
    alike = len({words[0] for words in cut}) == 1
    words = supposed.delimiter == " " and (alike or not any(kind_of(word) in TYPED for line in cut for word in line))
    return typed or words or prior_of(supposed.delimiter) <= WEAKEST


def _is_prose(lines: Sequence[str], supposed: Scored) -> bool:
    """Tell whether lines are sentences: of many lengths, one blank between the words, hardly a number among them."""
    words = [record.cells for record in sample_records(lines, supposed.splitter())]
    lengths = Counter(map(len, words))
    count = sum(map(len, words))
    typed = sum(1 for line in words for word in line if kind_of(word) in NEVER_WORDS)
    wide = sum(1 for line in lines if "  " in line)
    usual, times = lengths.most_common(1)[0]
    # Names of cities are more often one word than two; sentences of any count.
    varied = usual == 1 or (times < VARIED * len(words) and count >= 2 * len(words))
    return varied and len(words) >= FEW and typed < MOST_TYPED * count and wide <= MOST_WIDE_BLANKS * len(lines)


def _are_names(lines: Sequence[str]) -> bool:
    """Tell whether all lines are two words, such as a name and a surname."""
    return len(lines) > FEW and all(
        len(words := line.split(" ")) == 2 and not any(kind_of(word) in TYPED or word[:1] in "\"'" for word in words)  # noqa: PLR2004
        for line in lines
    )


def _are_decimals(name: str, lines: Sequence[str]) -> bool:
    """Tell whether lines under a word are numbers with a decimal comma, and as many digits behind each."""
    found = [_DECIMAL.fullmatch(line) for line in lines]
    behind = {len(match[1]) for match in found if match}
    grouped = behind == {3}
    return all(found) and len(behind) == 1 and not grouped and "," not in name and kind_of(name) not in TYPED


def _are_sentences(lines: Sequence[str], delimiter: str) -> bool:
    """Tell whether most lines have several words on a side of a comma, and none has many commas."""
    wordy = sum(1 for line in lines if any(len(part.split()) >= FEW for part in line.split(delimiter)))
    return wordy >= ENOUGH_WORDY * len(lines) and all(line.count(delimiter) < FEW - 1 for line in lines)
