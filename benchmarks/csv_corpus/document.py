"""A table and how it is written: what pollutions change, and what is rendered to bytes.

`header` and `rows` are what stands in the file (`drawn`: the lines they stand in, where it is no CSV); `true_header` and `true_rows` what a careful person reads from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Document:
    """A file to be."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    quote: str = '"'
    quoting: str = "minimal"
    escape: str = "double"
    newline: str = "\n"
    encoding: str = "utf-8"
    bom: bytes = b""
    final_newline: bool = True
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    show_header: bool = True
    header_lines: list[list[str]] = field(default_factory=list)
    row_delimiter: dict[int, str] = field(default_factory=dict)
    row_quote: dict[int, str] = field(default_factory=dict)
    row_newline: dict[int, str] = field(default_factory=dict)
    raw_rows: dict[int, str] = field(default_factory=dict)
    before_row: dict[int, str] = field(default_factory=dict)
    suffix: str = ""
    pad: tuple[str, str] = ("", "")
    drawn: list[str] | None = None
    true_header: list[str] | None = None
    true_rows: dict[int, list[str]] = field(default_factory=dict)

    def truth(self) -> tuple[list[str], list[list[str]]]:
        """Return the header (empty if the file has none) and rows a careful person reads."""
        header = self.true_header if self.true_header is not None else (self.header if self.show_header else [])
        return header, [self.true_rows.get(i, row) for i, row in enumerate(self.rows)]

    def cell(self, text: str, delimiter: str, quote: str) -> str:
        """Write one cell."""
        special = any(mark in text for mark in (delimiter.strip() or delimiter, quote, "\n", "\r")) if quote else False
        special = special or (delimiter == " " and (" " in text or not text)) or text != text.strip()
        if not quote or (self.quoting == "minimal" and not special):
            return f"{self.pad[0]}{text}{self.pad[1]}"
        if self.quoting == "nonnumeric" and not special and text.replace(".", "", 1).isdigit():
            return f"{self.pad[0]}{text}{self.pad[1]}"
        if self.escape == "backslash":
            text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
        elif self.escape == "double":
            text = text.replace(quote, quote * 2)
        return f"{self.pad[0]}{quote}{text}{quote}{self.pad[1]}"

    def line(self, cells: list[str], delimiter: str | None = None, quote: str | None = None) -> str:
        """Write one record."""
        delimiter = self.delimiter if delimiter is None else delimiter
        quote = self.quote if quote is None else quote
        return delimiter.join(self.cell(cell, delimiter, quote) for cell in cells) + self.suffix

    def render(self) -> bytes:
        """Write the file."""
        if self.drawn is not None:
            lines = [*self.above, *self.drawn, *self.below]
            return self.bom + "".join(line + self.newline for line in lines).encode(self.encoding, errors="replace")
        parts = [line + self.newline for line in self.above]
        heads = self.header_lines or ([self.header] if self.show_header else [])
        parts += [self.line(head) + self.newline for head in heads]
        for i, row in enumerate(self.rows):
            parts.append(self.before_row.get(i, ""))
            text = self.raw_rows.get(i)
            text = self.line(row, self.row_delimiter.get(i), self.row_quote.get(i)) if text is None else text
            parts.append(text + self.row_newline.get(i, self.newline))
        parts += [line + self.newline for line in self.below]
        text = "".join(parts)
        if not self.final_newline:
            text = text.removesuffix(self.newline)
        return self.bom + text.encode(self.encoding, errors="replace")
