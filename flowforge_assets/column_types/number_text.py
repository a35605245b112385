"""How people write numbers: separators, currency signs, percent signs, negative forms. From text to plain `-1234.50`.

Belongs here: the regular expressions (RE2) for what is accepted, and the SQL that makes of accepted text what DuckDB
casts. Does not: which values a type can hold (`numbers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flowforge_resources.duck import literal

ThousandsSeparator = Literal[".", ",", " ", "'"]
NegativeForm = Literal["(5)", "5-"]
# No-break, narrow no-break and thin space: what spreadsheets and locales put where people see a blank.
_BLANKS = " \u00a0\u202f\u2009"
_MINUS = "-\u2212"
# A separator as declared, and the characters that stand for it in files.
_SEPARATORS = {"": "", ".": ".", ",": ",", " ": _BLANKS, "'": "'\u2019"}


@dataclass(frozen=True)
class NumberForm:
    """The way the numbers of one column are written.

    Args:
        decimal_separator: `.` or `,`.
        thousands_separator: between groups of three digits; '' for none.
        currency: signs or codes that may stand before or after a number, once.
        negatives: forms of a negative number beside `-5`.
        percent: every number has a percent sign and means its hundredth.

    Raises:
        ValueError: the parts contradict each other; the message says what to write.
    """

    decimal_separator: str = "."
    thousands_separator: str = ""
    currency: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    percent: bool = False

    def __post_init__(self) -> None:
        if self.decimal_separator == self.thousands_separator:
            other = "," if self.decimal_separator == "." else "."
            raise ValueError(
                f"'{self.decimal_separator}' cannot be both `thousands_separator` and `decimal_separator` (which is '.' unless declared). "
                f'Write e.g. `decimal_separator: "{other}"`.'
            )
        if self.percent and self.currency:
            raise ValueError("a column is of amounts or of percentages, not both. Remove `currency` or `percent`.")
        for sign in self.currency:
            if not sign or any(char.isspace() or char.isdigit() or char in f"()%+{_MINUS}" for char in sign):
                raise ValueError(
                    f"'{sign}' cannot be a currency: write a sign or code such as '€', '$', 'EUR', without digits, blanks, brackets and signs of a number."
                )

    @property
    def is_plain(self) -> bool:
        """Whether nothing is declared, so that a number is written as SQL writes it."""
        return self == NumberForm()

    @property
    def whole(self) -> str:
        """Pattern of the digits before the decimal separator. Groups are whole groups: `1,23` and `0,123` are none."""
        separators = _SEPARATORS[self.thousands_separator]
        return f"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:[{_escaped(separators)}][0-9]{{3}})+)" if separators else "[0-9]+"

    @property
    def point(self) -> str:
        """Pattern of the decimal separator."""
        return _escaped(self.decimal_separator)

    def bare(self, text: str) -> str:
        """SQL for the text without blanks around it and without its currency."""
        return _without_currency(f"trim({text})", self.currency) if self.currency else f"trim({text})"

    def accepts(self, bare: str, number: str) -> str:
        """SQL: the bare text is a number of the pattern `number`, with a sign in one of the accepted forms."""
        signed = number + (f"[{_escaped(_BLANKS)}]?%" if self.percent else "")
        forms = [f"[+{_escaped(_MINUS)}]?{signed}"]
        if "(5)" in self.negatives:
            forms.append(f"\\({signed}\\)")
        if "5-" in self.negatives:
            forms.append(f"{signed}[{_escaped(_BLANKS)}]?[{_escaped(_MINUS)}]")
        return f"regexp_full_match({bare}, {literal('|'.join(forms))})"

    def canonical(self, bare: str) -> str:
        """SQL for accepted text as DuckDB casts it: a leading minus, a point, no grouping; a percentage as hundredths."""
        if "5-" in self.negatives:
            moved = f"^(.*?)[{_escaped(_BLANKS)}]?[{_escaped(_MINUS)}]$"
            bare = f"regexp_replace({bare}, {literal(moved)}, '-\\1')"
        taken = f"{self.decimal_separator}\u2212("
        dropped = f")%{_BLANKS}{_SEPARATORS[self.thousands_separator]}"
        plain = f"translate({bare}, {literal(taken + dropped)}, '.--')"
        return _hundredth(plain) if self.percent else plain


def _without_currency(text: str, currency: tuple[str, ...]) -> str:
    """SQL for text without the currency before or after its number; a second one stays, and breaks the number.

    A code that ends in a letter must have a number after it, so that `Fr.5` is not taken for `Fr` and `.5`.
    """
    longest_first = sorted(currency, key=len, reverse=True)
    words = "|".join(_escaped(one) for one in longest_first if one[-1].isalpha())
    signs = "|".join(_escaped(one) for one in longest_first if not one[-1].isalpha())
    blank, minus = f"[{_escaped(_BLANKS)}]?", _escaped(_MINUS)
    before = f"^([+({minus}]?){blank}"
    after = f"{blank}(?:{'|'.join(map(_escaped, longest_first))})((?:{blank}[){minus}])?)$"
    ways = [after]
    ways += [f"{before}(?:{signs}){blank}"] if signs else []
    ways += [f"{before}(?:{words}){blank}([+(0-9{minus}])"] if words else []
    # Groups of the ways that did not match are empty, so what is kept is all of them in a row.
    kept = "".join(f"\\{group + 1}" for group in range(1 + bool(signs) + 2 * bool(words)))
    return f"regexp_replace({text}, {literal('|'.join(ways))}, {literal(kept)})"


def _hundredth(number: str) -> str:
    """SQL that moves the point of a plain number by two digits, as text: exact, however many digits there are."""
    padded = f"regexp_replace({number}, '^([+-]?)', '\\100')"
    return f"regexp_replace({padded}, '^([+-]?[0-9]*)([0-9]{{2}})(?:\\.([0-9]*))?$', '\\1.\\2\\3')"


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char.isascii() and not char.isalnum() else char for char in text)
