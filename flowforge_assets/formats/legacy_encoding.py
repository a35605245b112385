"""Which encoding of before Unicode a text is in, by what its bytes above 127 would be as letters.

Asked only of bytes that are no UTF-8. Every encoding a program still writes is supposed in turn: a wrong one makes
symbols, capitals or letters of two scripts stand within a word, or characters nobody uses. Windows-1252 is the normal
case, which another has to beat clearly: a few accents among ASCII say little.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from typing import NamedTuple

USUAL = "cp1252"
# A look at so many bytes of lines that have any above 127.
LOOKED_AT_BYTES = 4 << 10
CLEARLY, PLAUSIBLE, MOST_BROKEN = 0.08, 0.6, 0.01
FIT, USED, STRANGE, WRONG = 1.0, 0.85, 0.3, 0.0
# Letters tell an unusual encoding; marks alone may be pieces of something else.
A_MARK = 0.5
ASCII_END, MOST_MORE = 128, 2

_UNIT = re.compile(r"\b[cdkm]?m[²³]")
_WORD = re.compile(r"[^\W\d_]+")
_ODD = re.compile(r"[^\x00-\x7f]")
_MARKS = frozenset("\u00a0«»„“”‚‘’–—…•·°§©®™¿¡€£¥¢±²³µ¼½¾×÷№")  # noqa: RUF001


class Letters(NamedTuple):
    """Letters above 127 of languages: most used, used, met but seldom. A script of its own has no Latin in a word."""

    most: str
    used: str = ""
    seldom: str = ""
    script: bool = False

    def fit(self, letter: str) -> float:
        """Return how usual a letter is."""
        low = letter.lower()
        return FIT if low in self.most else USED if low in self.used else STRANGE if low in self.seldom else WRONG


# German and French (both are written in one country), Spanish and Catalan, Portuguese, Italian, Nordic, Estonian, Icelandic.
_WESTERN = (
    Letters("äöüßàâçéèêëîïôùûœæ", "", "ªº"),
    Letters("áéíóúñüàèïòç", "ªº"),
    Letters("ãáàâçéêíóôõú", "ªº"),
    Letters("àèéìíòóù", "ªº"),
    Letters("åäöæøéüáôà"),
    Letters("äöõüåšž"),
    Letters("áéíóúöæð", "", "þý"),
)
# A list of names of many countries has letters of all.
_MIXED = Letters("".join(language.most for language in _WESTERN[:-2]), "", "ðþýšžÿªº")
MIXED = 0.9
_CENTRAL = (
    Letters("ąćęłńóśźż"),
    Letters("áčďéěíňóřšťúůýž"),
    Letters("áäčďéíĺľňóôŕšťúýž"),
    Letters("áéíóöőúüű"),
    Letters("čćđšž"),
    Letters("ăâîşţșț"),
)
_BALTIC = (Letters("ąčęėįšųūž"), Letters("āčēģīķļņšūž"))
_CYRILLIC = (Letters("оеаинтсрвлкм", "дпуяыьгзбчйіїє", "хжшюцщэфъёґўјљњћђџ", script=True),)
_GREEK = (Letters("αοιετσνηυρπκμλς", "ίόάέήύώωγδθ", "φχβξζψϊϋΐΰ", script=True),)
_HEBREW = (Letters("יוהלארתבשמ", "נדחפקםעןכ", "גזטסצץךף", script=True),)
_ARABIC = (Letters("اليمونرتبهدسع", "فقحكةشجءئأإ", "خصذضظطثغؤىپچگژ", script=True),)
_THAI = (Letters("านรอกเงมยลวดทสต่้ิีัา", "ะปบคหแจพชขใไโผถศึืุู็์ำ", "ญธภฐฒณฑฎฏซฟฝฮฬษฉฆฤๆ", script=True),)
_SINGLE = {
    "cp850": _WESTERN, "cp437": _WESTERN, "mac-roman": _WESTERN,
    "cp1250": _CENTRAL, "iso8859-2": _CENTRAL, "cp852": _CENTRAL, "cp1254": (Letters("çğıöşüi̇âî"),), "cp1257": _BALTIC,  # noqa: RUF001
    "cp1251": _CYRILLIC, "koi8-r": _CYRILLIC, "cp866": _CYRILLIC, "iso8859-5": _CYRILLIC,
    "cp1253": _GREEK, "iso8859-7": _GREEK, "cp1255": _HEBREW, "cp1256": _ARABIC, "iso8859-6": _ARABIC, "cp874": _THAI,
}  # fmt: skip
# Of ideographs those that come first in a standard are the common ones: its name here, and their lead bytes.
_DOUBLE = {
    "gb18030": ("gb2312", 0xB0, 0xD7, r"(?!)"),
    "big5": ("big5", 0xA4, 0xC6, r"(?!)"),
    "cp932": ("euc_jp", 0xB0, 0xCF, r"[\u3040-\u30ff]"),
    "euc_jp": ("euc_jp", 0xB0, 0xCF, r"[\u3040-\u30ff]"),
    "cp949": ("euc_kr", 0xB0, 0xC8, r"[\uac00-\ud7a3]"),
}
# An ideograph or a syllable right beside a small Latin letter.
_BESIDE_LATIN = re.compile(r"(?<=[a-z])[^\W\x00-\u2fff]|[^\W\x00-\u2fff](?=[a-z])")
_CONTROL = re.compile(r"[\x80-\x9f]")
_EAST_MARKS = re.compile(r"[\u3000-\u3020\uff01-\uff5e·～]")  # noqa: RUF001
_COMMON, _EAST_MARK, _OTHER_SCRIPT = 0.95, 0.9, 0.2


def legacy_encoding(data: bytes) -> str:
    """Return Python's name of the encoding that makes most sense of bytes that are no UTF-8."""
    return _most_sensible(_sample(data))


@lru_cache(maxsize=8)
def _most_sensible(sample: bytes) -> str:
    usual = _sense(sample, USUAL, _WESTERN)
    if usual + CLEARLY > 1:
        return USUAL
    scores = {name: _sense(sample, name, languages) for name, languages in _SINGLE.items()}
    scores |= {name: _eastern_sense(sample, name) for name in _DOUBLE}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= max(PLAUSIBLE, usual + CLEARLY) else USUAL


def _sample(data: bytes) -> bytes:
    """Take the first lines that have a byte above 127: no encoding supposed here has a line end within a character."""
    lines: list[bytes] = []
    size = 0
    for line in re.split(rb"[\r\n]+", data):
        if not line.isascii():
            lines.append(line)
            size += len(line)
        if size > LOOKED_AT_BYTES:
            break
    return b"\n".join(lines)[: 2 * LOOKED_AT_BYTES]


def _decoded(sample: bytes, encoding: str) -> str:
    """Decode, or return nothing where more than a stray byte cannot be."""
    text = sample.decode(encoding, errors="replace")
    odd = len(_ODD.findall(text))
    return text if text.count("\ufffd") <= MOST_BROKEN * odd else ""


def _sense(sample: bytes, encoding: str, languages: tuple[Letters, ...]) -> float:
    """Return the mean fit of the characters above 127, 0 to 1, in the language that fits best."""
    text = _UNIT.sub(" ", _decoded(sample, encoding))
    count = len(_ODD.findall(text))
    if not count:
        return 0.0
    words = Counter(word for word in _WORD.findall(text) if not (word.isascii() or _MARKS.issuperset(word)))
    within = Counter("".join(words.elements()))
    marks = sum(n - within[mark] for mark, n in Counter(text).items() if mark in _MARKS)
    right = marks * (FIT if encoding == USUAL else A_MARK)
    wrong = _glued(text) + len(_CONTROL.findall(text))
    fits = [sum(_word_sense(word, language) * times for word, times in words.items()) for language in languages]
    if languages is _WESTERN:
        fits.append(MIXED * sum(_word_sense(word, _MIXED) * times for word, times in words.items()))
    return (max(fits) + right - wrong) / count


def _glued(text: str) -> int:
    """Count symbols between two letters: there a letter should stand. Typographic apostrophes and dashes may."""
    return len(re.findall(r"(?<=[^\W\d_])[^\x00-\x7f\w’–—·](?=[^\W\d_])", text))  # noqa: RUF001


def _word_sense(word: str, letters: Letters) -> float:
    """Return how well a word's letters above 127 fit, as a sum."""
    odd = [char for char in word if ord(char) >= ASCII_END]
    others = len(word) - len(odd)
    mixed = others > 0 if letters.script else len(odd) > others + MOST_MORE
    cased = word.upper() == word.lower() or word.islower() or word.isupper() or word[1:].islower()
    return sum(map(letters.fit, odd)) * (STRANGE if mixed or not cased else FIT)


def _eastern_sense(sample: bytes, encoding: str) -> float:
    """Return the mean fit of the characters above 127 in an encoding of two bytes each."""
    text = _decoded(sample, encoding)
    odd = _ODD.findall(text)
    strange = len(_BESIDE_LATIN.findall(text))
    return (sum(_eastern_fit(char, encoding) for char in odd) - strange) / len(odd) if odd else 0.0


@cache
def _eastern_fit(char: str, encoding: str) -> float:
    """Return how usual a character is in the language the encoding is made for."""
    standard, first, last, own = _DOUBLE[encoding]
    if _EAST_MARKS.match(char):
        return _EAST_MARK
    try:
        common = first <= char.encode(standard)[0] <= last
    except UnicodeEncodeError:
        return WRONG
    if encoding == "cp949":
        return FIT if common and re.match(own, char) else _OTHER_SCRIPT
    return FIT if re.match(own, char) else _COMMON if common else _OTHER_SCRIPT
