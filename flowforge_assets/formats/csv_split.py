"""One record's text into cells, by the dialect's rules and tolerantly.

`LineSplitter.strict` splits text that obeys the rules; what does not is the business of `csv_align`, which knows the
table's columns. Nothing here reads a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

OTHER_DELIMITERS = (";", ",", "\t", "|", ":", " ")


class Damage(Enum):
    """Why a text could not be split by the rules."""

    OPEN = "a quote is still open at the end"
    ODD = "a quote stands where none may stand"


@dataclass
class LineSplitter:
    """Splits text by delimiter, quote and escape."""

    delimiter: str
    quote: str
    escape: str

    def __post_init__(self) -> None:
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        pad = "" if self.delimiter == " " else " *"
        # Plain runs of text first: one alternative a character takes nearly twice as long.
        plain, other = (rf"[^{q}\\]", rf"(?:\\.|{q}{q})") if self.escape == "backslash" else (f"[^{q}]", q + q)
        inner = f"{plain}*+(?:{other}{plain}*+)*+"
        if not self.quote:
            q, inner = r"(?!)", ""
        self._quoted = re.compile(rf"{pad}{q}({inner}){q}{pad}(?={d}|\Z)", re.DOTALL)
        self._opening = re.compile(rf"{pad}{q}")
        self._unclosed = re.compile(rf"{pad}{q}{inner}\\?\Z", re.DOTALL)
        self._escaped = re.compile(rf"\\({q}|\\|{d})")

    def strict(self, text: str) -> list[str] | Damage:
        """Return the cells of a record that obeys the rules, or how it does not."""
        if not self.quote or self.quote not in text:
            cells = text.split(self.delimiter)
            return self._rejoin_escaped(cells) if self.escape == "backslash" and "\\" in text else cells
        cells, position, end, step = [], 0, len(text), len(self.delimiter)
        while True:
            found = self._quoted.match(text, position)
            if found:
                cells.append(self.unescape(found[1]))
                position = found.end()
            elif self._opening.match(text, position):
                return Damage.OPEN if self._unclosed.match(text, position) else Damage.ODD
            else:
                stop = text.find(self.delimiter, position)
                stop = end if stop < 0 else stop
                cells.append(text[position:stop])
                position = stop
            if position >= end:
                return cells
            position += step

    def tokens(self, text: str) -> list[str]:
        """Split damaged text at delimiters, except inside cells whose quotes obey the rules; nothing is unquoted."""
        if not self.quote or self.quote not in text:
            return text.split(self.delimiter)
        tokens, position, end, step = [], 0, len(text), len(self.delimiter)
        while True:
            found = self._quoted.match(text, position)
            stop = found.end() if found else text.find(self.delimiter, position)
            stop = end if stop < 0 else stop
            tokens.append(text[position:stop])
            if stop >= end:
                return tokens
            position = stop + step

    def unescape(self, inner: str) -> str:
        """Return the text that stood between two quotes as it was meant."""
        if self.escape == "backslash" and "\\" in inner:
            inner = self._escaped.sub(r"\1", inner)
        doubled = self.quote * 2
        return inner.replace(doubled, self.quote) if doubled in inner else inner

    def unquote(self, piece: str) -> tuple[str, bool]:
        """Return a cell's text without its outer quotes, and whether its quotes obey the rules."""
        text = piece.strip(" ") if self.delimiter != " " else piece
        if not self.quote or self.quote not in text:
            return piece, True
        if not (len(text) > 1 and text[0] == text[-1] == self.quote):
            return piece, not (text.startswith(self.quote) or text.endswith(self.quote))
        if self._quoted.fullmatch(text):
            return self.unescape(text[1:-1]), True
        return self._tolerant(text[1:-1]), False

    def _tolerant(self, inner: str) -> str:
        """Unescape text with quotes that are partly escaped: by backslashes if every lone quote has one."""
        lone = inner.replace(self.quote * 2, "").count(self.quote)
        if lone and inner.count("\\" + self.quote) >= lone:
            inner = inner.replace("\\" + self.quote, self.quote)
        return inner.replace(self.quote * 2, self.quote)

    def _rejoin_escaped(self, cells: list[str]) -> list[str]:
        """Join cells that were split at a delimiter with a backslash before it."""
        joined: list[str] = []
        for cell in cells:
            if joined and joined[-1].endswith("\\") and not joined[-1].endswith("\\\\"):
                joined[-1] = joined[-1][:-1] + self.delimiter + cell
            else:
                joined.append(cell)
        return joined
