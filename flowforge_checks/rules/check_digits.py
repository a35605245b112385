"""Numbers with check digits: each one SQL condition over a text.

Belongs here: how a check digit is computed. Does not: which formats there are by name (`formats`).
"""

from __future__ import annotations

from flowforge_checks.rules import codes
from flowforge_resources.duck import literal


def grouped_digits(v: str) -> str:
    """The text without the blanks and hyphens that people group digits by."""
    return f"regexp_replace({v}, '[ -]', '', 'g')"


def weighted(v: str, weight: str) -> str:
    """The sum of the digits of a text from the right, each by SQL over its value `d` and its place `i` from 1."""
    value = weight.replace("{d}", "(ascii(c) - 48)")
    return f"list_sum(list_transform(string_split(reverse({v}), ''), lambda c, i: {value}))"


def iban(v: str) -> str:
    """ISO 13616: the country's length, and 1 modulo 97 with the first four characters last and letters as 10 to 35."""
    text = f"upper(regexp_replace({v}, ' ', '', 'g'))"
    lengths = " ".join(f"WHEN {literal(country)} THEN {length}" for country, length in codes.IBAN_LENGTHS.items())
    rest = _mod_97(f"{text}[5:] || {text}[:4]")
    return f"(regexp_full_match({text}, '[A-Z]{{2}}[0-9]{{2}}[A-Z0-9]{{11,30}}') AND length({text}) = CASE {text}[:2] {lengths} ELSE 0 END AND {rest} = 1)"


def _mod_97(text: str) -> str:
    """ISO 7064, MOD 97-10: what is left of the number that digits and letters (as 10 to 35) are."""
    values = f"list_transform(string_split({text}, ''), lambda c: CASE WHEN c <= '9' THEN ascii(c) - 48 ELSE ascii(c) - 55 END)"
    return f"list_reduce(list_prepend(0, {values}), lambda r, d: (r * CASE WHEN d > 9 THEN 100 ELSE 10 END + d) % 97)"


def luhn(v: str) -> str:
    """ISO/IEC 7812: 12 to 19 digits, of which every second from the right counts double."""
    text = grouped_digits(v)
    return f"(regexp_full_match({text}, '[0-9]{{12,19}}') AND {_luhn_holds(text)})"


def _luhn_holds(digits: str) -> str:
    total = weighted(digits, "CASE WHEN i % 2 = 1 THEN {d} WHEN {d} > 4 THEN 2 * {d} - 9 ELSE 2 * {d} END")
    return f"{total} % 10 = 0"


def gtin(v: str, lengths: str) -> str:
    """GS1: every second digit from the right, the check digit left out, counts three times."""
    total = weighted(v, "{d} * CASE WHEN i % 2 = 0 THEN 3 ELSE 1 END")
    return f"(regexp_full_match({v}, '{lengths}') AND {total} % 10 = 0)"


def isbn(v: str) -> str:
    """ISBN-10 (modulo 11, X is 10) or ISBN-13 (a GTIN that begins with 978 or 979), hyphens aside."""
    text = grouped_digits(v)
    ten = weighted(text, "i * CASE WHEN c = 'X' THEN 10 ELSE {d} END")
    return f"((regexp_full_match({text}, '[0-9]{{9}}[0-9X]') AND {ten} % 11 = 0) OR {gtin(text, '97[89][0-9]{10}')})"


def issn(v: str) -> str:
    """ISO 3297: seven digits and a check digit, modulo 11."""
    total = weighted(f"replace({v}, '-', '')", "i * CASE WHEN c = 'X' THEN 10 ELSE {d} END")
    return f"(regexp_full_match({v}, '[0-9]{{4}}-[0-9]{{3}}[0-9X]') AND {total} % 11 = 0)"


def npi(v: str) -> str:
    """A provider of health care in the US: ten digits, with Luhn's check digit after the prefix 80840."""
    holds = _luhn_holds(f"('80840' || {v})")
    return f"(regexp_full_match({v}, '[12][0-9]{{9}}') AND {holds})"


def isin(v: str) -> str:
    """ISO 6166: a country, nine characters, and Luhn's check digit of it all with letters as 10 to 35."""
    text = f"array_to_string(list_transform(string_split({v}, ''), lambda c: CASE WHEN c <= '9' THEN c ELSE (ascii(c) - 55)::VARCHAR END), '')"
    return f"(regexp_full_match({v}, '[A-Z]{{2}}[A-Z0-9]{{9}}[0-9]') AND {_luhn_holds(text)})"


def lei(v: str) -> str:
    """ISO 17442: 18 characters and two check digits."""
    return f"(regexp_full_match({v}, '[A-Z0-9]{{18}}[0-9]{{2}}') AND {_mod_97(v)} = 1)"


def orcid(v: str) -> str:
    """ISO 7064, MOD 11-2: four groups of four, the last digit may be X."""
    text = f"replace({v}, '-', '')"
    rest = f"list_reduce(list_prepend(0, {_values(f'{text}[:15]')}), lambda r, d: (r + d) * 2 % 11)"
    last = f"CASE WHEN {text}[16:] = 'X' THEN 10 ELSE try_cast({text}[16:] AS INTEGER) END"
    return f"(regexp_full_match({v}, '([0-9]{{4}}-){{3}}[0-9]{{3}}[0-9X]') AND (12 - {rest}) % 11 = {last})"


def aba_routing(v: str) -> str:
    """A bank in the US: nine digits, which count 3, 7 and 1 times."""
    total = weighted(v, "{d} * CASE i % 3 WHEN 1 THEN 1 WHEN 2 THEN 7 ELSE 3 END")
    return f"(regexp_full_match({v}, '[0-9]{{9}}') AND {total} % 10 = 0)"


def vat(v: str) -> str:
    """A VAT number of the EU or Northern Ireland, blanks, dots and hyphens aside; check digits of BE, DE, FR, IT and PL."""
    text = f"upper(regexp_replace({v}, '[ .-]', '', 'g'))"
    shapes = "|".join(f"{country}{shape}" for country, shape in codes.VAT_NUMBERS.items())
    number = f"{text}[3:]"
    de = f"list_reduce(list_prepend(10, {_values(f'{number}[:8]')}), lambda p, d: 2 * CASE WHEN (p + d) % 10 = 0 THEN 10 ELSE (p + d) % 10 END % 11)"
    holds = {
        "BE": f"97 - try_cast({number}[:8] AS INTEGER) % 97 = try_cast({number}[9:] AS INTEGER)",
        "DE": f"(11 - {de}) % 10 = try_cast({number}[9:] AS INTEGER)",
        # Keys with a letter follow another rule.
        "FR": f"coalesce((12 + 3 * (try_cast({number}[3:] AS INTEGER) % 97)) % 97 = try_cast({number}[:2] AS INTEGER), TRUE)",
        "IT": _luhn_holds(number),
        "PL": f"{weighted(number, '{d} * CASE WHEN i = 1 THEN -1 WHEN i < 8 THEN 9 - i WHEN i = 8 THEN 7 WHEN i = 9 THEN 5 ELSE 6 END')} % 11 = 0",
    }
    checks = " ".join(f"WHEN {literal(country)} THEN {one}" for country, one in holds.items())
    return f"(regexp_full_match({text}, {literal(shapes)}) AND CASE {text}[:2] {checks} ELSE TRUE END)"


def _values(digits: str) -> str:
    return f"list_transform(string_split({digits}, ''), lambda c: ascii(c) - 48)"
