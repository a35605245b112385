"""Which format a file without compression has, by its first bytes; files that hold no table are refused by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge_assets.formats.compression import ZIP, workbook
from flowforge_assets.formats.csv_detect import detect
from flowforge_assets.formats.csv_source import Source, decode, sniff_encoding
from flowforge_assets.formats.fixed_width import looks_fixed, usual_line
from flowforge_assets.formats.json_cells import NotJsonError, scan
from flowforge_assets.formats.json_wrapper import wrapper_key
from flowforge_resources.errors import BadFileError

if TYPE_CHECKING:
    from pathlib import Path

    from flowforge_assets.formats.csv_options import CsvDialect, CsvOptions
    from flowforge_assets.formats.file_options import Format

HEAD_BYTES = 256 << 10
PARQUET, OLE = b"PAR1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NO_TABLE = {
    b"PARE": "an encrypted Parquet file",
    b"%PDF": "a PDF document",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"SQLite format 3\x00": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "an RTF document",
}
_WEB_PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(r"\s*<\?xml\b")
# Control characters that no text holds; some systems write a few between cells (Hive has eight), none has ten.
_NO_TEXT = frozenset((*range(0x01, 0x09), *range(0x0E, 0x1A)))
_MOST_CONTROLS, _LOOKED_AT_BYTES = 10, 4096


def binary_kind(path: Path, name: str) -> Format | None:
    """Return the format if it is a binary one.

    Raises:
        BadFileError: it holds no table that is read here.
    """
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT_BYTES)
    refused = next((kind for magic, kind in _NO_TABLE.items() if head.startswith(magic)), None)
    if refused:
        raise _no_table(name, refused)
    if head.startswith(PARQUET):
        return "parquet"
    if head.startswith(OLE) or (head.startswith(ZIP) and workbook(path)):
        return "excel"
    if _is_no_text(head):
        raise _no_table(name, "a file of bytes that are not text")
    return None


def _is_no_text(head: bytes) -> bool:
    controls = _NO_TEXT.intersection(head)
    return len(controls) >= _MOST_CONTROLS and not sniff_encoding(head, whole=False)[0].startswith(("utf-16", "utf-32"))


def text_kind(path: Path, pinned: CsvOptions, name: str) -> tuple[Format, CsvDialect | None]:
    """Return the format of a text file, and the dialect where it is delimited.

    Raises:
        BadFileError: a web page or XML.
    """
    found = _json_kind(_head(path, name))
    if found:
        return found, None
    dialect = detect(path, pinned=pinned)
    undecided = pinned.delimiter is None and (
        dialect.width <= 1 or not dialect.delimiter.strip(" :") or dialect.delimiter not in usual_line(path)
    )
    return ("fixed_width", None) if undecided and looks_fixed(path) else ("csv", dialect)


def _head(path: Path, name: str) -> str:
    source = Source(path)
    head = source.range(0, HEAD_BYTES)
    encoding, bom = sniff_encoding(head, whole=len(head) == source.size)
    text = decode(head[bom:], encoding)
    if _WEB_PAGE.match(text):
        raise _no_table(name, "a web page (HTML), often an error page that was saved as data")
    if _XML.match(text):
        raise _no_table(name, "an XML document")
    return text


def _json_kind(head: str) -> Format | None:
    """Tell JSON by its beginning: an object on its first line is NDJSON, unless it wraps the table's array."""
    text = head.lstrip(" \t\r\n")
    first = text.split("\n", 1)[0].rstrip()
    if text.startswith("["):
        return "json" if _begins_objects(text[1:]) else None
    if not text.startswith("{"):
        return None
    whole = _ends_at(first)
    if whole is None:
        document = re.match(r'\{\s*["}]', text) and _open_object(text)
        return "json" if document else "ndjson" if _later_line(text) else None
    alone = not text[len(first) :].strip()
    return "json" if whole and alone and wrapper_key(text) else "ndjson"


def _begins_objects(inside: str) -> bool:
    """Tell whether an array's first element is an object, or it has none."""
    return bool(re.match(r'\s*(?:\{\s*["}]|\]\s*$)', inside))


def _ends_at(line: str) -> bool | None:
    """Tell whether a line is one object (True) or begins with one (False); None if it is not even that."""
    try:
        return scan(line, 0)[1] == len(line)
    except NotJsonError:
        return None


def _open_object(text: str) -> bool:
    """Tell whether an object begins here that is written over several lines, or is longer than the sample."""
    try:
        scan(text, 0)
    except NotJsonError as error:
        return error.open_ended
    return True


def _later_line(text: str) -> bool:
    """Tell whether one of the next lines is an object: the first one is broken then."""
    return any(_ends_at(line.strip()) for line in text.split("\n")[1:20] if line.startswith("{"))


def _no_table(name: str, kind: str) -> BadFileError:
    return BadFileError(
        name, f"it is {kind}, which is not read.", "Upload CSV, JSON, Parquet, Excel or fixed-width text."
    )
