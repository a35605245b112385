"""Formats of text that many tables have: each one SQL condition, with its check digits where it has some.

Belongs here: what a format is. Does not: the lists of standards (`codes`), patterns of a user's own (`values.Matches`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowforge_checks.rules import check_digits, codes, countries
from flowforge_checks.rules.base import ColumnRule
from flowforge_checks.rules.values import require_text
from flowforge_resources.duck import literal, quote
from flowforge_resources.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"({_LABEL}\.)+{_LABEL}"
_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}"
_H16 = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        rf"({_H16}:){{7}}{_H16}",
        *(rf"({_H16}:){{{before}}}(:{_H16}){{1,{7 - before}}}" for before in range(1, 7)),
        rf"({_H16}:){{1,7}}:",
        rf":((:{_H16}){{1,7}}|:)",
        rf"({_H16}:){{6}}{_IPV4}",
        rf"::(({_H16}:){{0,5}})?{_IPV4}",
    ]
)
# As HTML's e-mail field takes them, with a domain that has a dot.
_EMAIL = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_HOST}"
_URL = rf"(https?|ftps?)://([^\s/?#@]+@)?({_HOST}|localhost|{_IPV4}|\[[0-9A-Fa-f:.]+\])(:\d{{1,5}})?([/?#]\S*)?"
_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?"
_ZONE = r"(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
# Control characters, the replacement character, what UTF-8 looks like that was read as Latin-1 or Windows-1252 (Ã©, â€™),
# entities of HTML, and blanks at either end or side by side.
_UNCLEAN = (
    r"[\x{1}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{7F}-\x{9F}\x{FFFD}]|[ÂÃ][\x{A0}-\x{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|ï»¿|ï¿½"  # noqa: RUF001  # they are what it is about
    r"|&(#\d+|#[xX][0-9A-Fa-f]+|[A-Za-z]{2,8});|^[\s\p{Z}]|[\s\p{Z}]$|[\s\p{Z}]{2}"
)
_BASE64 = r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"


def _full(pattern: str) -> Callable[[str], str]:
    return lambda v: f"regexp_full_match({v}, {literal(pattern)})"


def _one_of(known: Iterable[str], *, lower: bool = False) -> Callable[[str], str]:
    """A query of the codes, which is hashed: DuckDB looks through a list one by one, at seven times the cost."""
    listed = ", ".join(literal(one.lower() if lower else one) for one in known)
    return lambda v: f"({f'lower({v})' if lower else v} IN (SELECT unnest([{listed}])))"


def _bic(v: str) -> str:
    known = _one_of([*(one[0] for one in countries.COUNTRIES), "XK"])(f"{v}[5:6]")
    return f"(regexp_full_match({v}, '[A-Z]{{6}}[A-Z0-9]{{2}}([A-Z0-9]{{3}})?') AND {known})"


def _country(v: str) -> str:
    names = [*(one for line in countries.COUNTRIES for one in line), *countries.OTHER_NAMES]
    return _one_of(names, lower=True)(v)


def _date(v: str) -> str:
    return f"(regexp_full_match({v}, {literal(_DATE)}) AND try_cast({v} AS DATE) IS NOT NULL)"


def _timestamp(v: str) -> str:
    return (
        f"(regexp_full_match({v}, {literal(f'{_DATE}[ T]{_TIME}{_ZONE}')}) AND try_cast({v}[:10] AS DATE) IS NOT NULL)"
    )


def _between(low: int, high: int) -> Callable[[str], str]:
    return lambda v: (
        f"(regexp_full_match({v}, '[+-]?[0-9]+(\\.[0-9]+)?') AND try_cast({v} AS DOUBLE) BETWEEN {low} AND {high})"
    )


def _phone(v: str) -> str:
    """7 to 15 digits as people write them: +49 (30) 1234-567, 030/1234567 ext. 8."""
    number = f"regexp_replace({v}, '\\s*(ext\\.?|x|Durchwahl)\\s*[0-9]{{1,6}}$', '', 'i')"
    shape = f"regexp_full_match({number}, '\\+?[0-9 ()./-]*[0-9)]')"
    return f"({shape} AND length(regexp_replace({number}, '[^0-9]', '', 'g')) BETWEEN 7 AND 15)"


FORMATS: Mapping[str, Callable[[str], str]] = {
    "email": lambda v: f"({_full(_EMAIL)(v)} AND strlen({v}) <= 254)",
    "url": _full(_URL),
    "hostname": lambda v: f"(regexp_full_match({v}, {literal(f'({_LABEL}[.])*{_LABEL}')}) AND strlen({v}) <= 253)",
    "ipv4": _full(_IPV4),
    "ipv6": _full(_IPV6),
    "uuid": _full("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json": lambda v: f"json_valid({v})",
    "base64": _full(_BASE64),
    "md5": _full("[0-9A-Fa-f]{32}"),
    "sha256": _full("[0-9A-Fa-f]{64}"),
    "hex_colour": _full("#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})"),
    "iban": check_digits.iban,
    "bic": _bic,
    "credit_card": check_digits.luhn,
    "ean": lambda v: check_digits.gtin(v, "([0-9]{8}|[0-9]{13})"),
    "gtin": lambda v: check_digits.gtin(v, "([0-9]{8}|[0-9]{12,14})"),
    "isbn": check_digits.isbn,
    "issn": check_digits.issn,
    "npi": check_digits.npi,
    "isin": check_digits.isin,
    "lei": check_digits.lei,
    "orcid": check_digits.orcid,
    "aba_routing": check_digits.aba_routing,
    "vat": check_digits.vat,
    "doi": _full(r"10\.\d{4,9}/[^\s\p{Z}]+"),
    "clean_text": lambda v: f"(NOT regexp_matches({v}, {literal(_UNCLEAN)}))",
    "phone": _phone,
    "phone_e164": _full(r"\+[1-9]\d{6,14}"),
    "country": _country,
    "country_alpha2": _one_of(one[0] for one in countries.COUNTRIES),
    "country_alpha3": _one_of(one[1] for one in countries.COUNTRIES),
    "country_name": _one_of([*(one[2] for one in countries.COUNTRIES), *countries.OTHER_NAMES], lower=True),
    "currency": _one_of(codes.CURRENCIES),
    "us_state": _one_of(codes.US_STATES),
    "language": lambda v: _one_of(codes.LANGUAGES)(f"regexp_replace({v}, '[-_][A-Z]{{2}}$', '')"),
    "date": _date,
    "time": _full(_TIME + _ZONE),
    "timestamp": _timestamp,
    "percent": _full(r"[+-]?\d+([.,]\d+)?\s?%"),
    "latitude": _between(-90, 90),
    "longitude": _between(-180, 180),
}
POSTAL_CODE = "postal_code"


def _postal_code(v: str, country: str) -> str:
    """SQL: a postal code is written as its row's country writes them, where that is known."""
    names = {one[0]: ", ".join(literal(name.lower()) for name in one) for one in countries.COUNTRIES}
    each = " ".join(
        f"WHEN lower(trim({country})) IN ({names[code]}) THEN {_full(pattern)(v)}"
        for code, pattern in codes.POSTAL_CODES.items()
    )
    return f"CASE {each} ELSE TRUE END"


class Format(ColumnRule):
    """The text is written in a known format. Check digits are computed, codes looked up."""

    later = ColumnRule.later | {"country_column"}

    rule: Literal["format"]
    is_a: str = Field(
        description=f"One of {', '.join([*FORMATS, POSTAL_CODE])}.", examples=["email", "iban", "country_alpha2"]
    )
    country: str | None = Field(default=None, description="Of a `postal_code`: its country, as ISO 3166-1 alpha-2.")
    country_column: str | None = Field(
        default=None,
        description="Of a `postal_code`, in place of `country`: the column that says each row's country, by ISO code or English name. A code of a country whose postal codes are not known passes.",
    )

    @field_validator("is_a")
    @classmethod
    def _check_format(cls, written: str) -> str:
        if written not in FORMATS and written != POSTAL_CODE:
            raise ValueError(f"`is_a: {written}` is no format.{did_you_mean(written, [*FORMATS, POSTAL_CODE])}")
        return written

    @model_validator(mode="after")
    def _check_country(self) -> Self:
        if self.is_a != POSTAL_CODE and (self.country or self.country_column):
            named = "country" if self.country else "country_column"
            raise ValueError(f"`{named}` goes with `is_a: postal_code`, not with `is_a: {self.is_a}`.")
        if self.country and self.country_column:
            raise ValueError("`is_a: postal_code` has `country` and `country_column`. Keep one of them.")
        if self.is_a == POSTAL_CODE and not self.country_column and self.country not in codes.POSTAL_CODES:
            raise ValueError(
                f"`is_a: postal_code` needs the `country` whose codes they are, one of {', '.join(codes.POSTAL_CODES)}; for another write `matches`. Or say by `country_column` where each row's country stands."
            )
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Its column, and that of the countries."""
        return (*super().columns_read, *([self.country_column] if self.country_column else []))

    @property
    def own_column(self) -> str | None:
        return self.column or None

    @property
    def default_name(self) -> str:
        return f"format_{self.column or '_'.join(self.for_each_column)}"

    @property
    def _named(self) -> str:
        of = self.country or (f"the country in {self.country_column}" if self.country_column else "")
        return f"{self.is_a} of {of}" if of else self.is_a

    @property
    def demand(self) -> str:
        return f"`{self.column}` is written as {self._named}"

    @property
    def message(self) -> str:
        return f"{self.column} is no valid {self._named}"

    def require_types(self, types: Mapping[str, str]) -> None:
        require_text(self, types)

    def valid(self, reads: Mapping[str, str]) -> str:
        del reads
        if self.country:
            return _full(codes.POSTAL_CODES[self.country])(self.value)
        if self.country_column:
            return _postal_code(self.value, quote(self.country_column))
        return f"CASE WHEN {self.value} IS NOT NULL THEN coalesce({FORMATS[self.is_a](self.value)}, FALSE) END"
