"""Where an xlsx sheet holds error values, and their text: the one thing python-calamine does not tell.

A scan of the sheet's XML in pieces; nothing else is parsed. Other kinds of workbooks give no errors.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import unescape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE_BYTES, OVERLAP_BYTES = 1 << 20, 64 << 10
_SHEET = re.compile(r"<(?:\w+:)?sheet\b[^>]*>")
_RELATION = re.compile(r"<(?:\w+:)?Relationship\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_ERROR = re.compile(
    rb'<(?:\w+:)?c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]*)<',
    re.DOTALL,
)


def error_cells(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    """Return the errors of a sheet by (row, column), from 0."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, sheet)
        if member is None:
            return {}
        return {found: text for piece in _pieces(archive, member) for found, text in _errors(piece)}


def _member(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the name of the sheet's XML in the archive."""
    try:
        book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
        relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    except KeyError:
        return None
    entities = {"&quot;": '"', "&apos;": "'"}
    sheets = [dict(_ATTRIBUTE.findall(tag)) for tag in _SHEET.findall(book)]
    wanted = next((s.get("r:id") for s in sheets if unescape(s.get("name", ""), entities) == sheet), None)
    targets = (dict(_ATTRIBUTE.findall(tag)) for tag in _RELATION.findall(relations))
    target = next((t.get("Target", "") for t in targets if t.get("Id") == wanted), "")
    member = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return member if member in archive.namelist() and member.endswith(".xml") else None


def _pieces(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield the XML in pieces that overlap, so that no cell is cut in all of them; only those with an error."""
    carry = b""
    with archive.open(member) as file:
        while piece := file.read(PIECE_BYTES):
            text = carry + piece
            if b't="e"' in text:
                yield text
            carry = text[-OVERLAP_BYTES:]


def _errors(piece: bytes) -> Iterator[tuple[tuple[int, int], str]]:
    for letters, row, text in _ERROR.findall(piece):
        column = 0
        for letter in letters:
            column = column * 26 + letter - ord("A") + 1
        yield (int(row) - 1, column - 1), text.decode()
