"""A profile for people: rows of a table, a sparkline of blocks, and a page of HTML with plots that needs no network."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowforge_checks.profile.columns import ColumnProfile, Profile

_BLOCKS = "▁▂▃▄▅▆▇█"
_HEIGHT, _BAR = 40, 8
_IN_FULL = 1e6
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ddd;padding:.4em .8em;text-align:left;vertical-align:top}svg rect{fill:#4a7bd0}"
)


def sparkline(counts: tuple[int, ...]) -> str:
    """Counts as blocks, the tallest full; a bucket with a single row is not empty."""
    most = max(counts, default=0)
    return "".join(" " if not one else _BLOCKS[min(7, one * 8 // (most + 1))] for one in counts) if most else ""


def row_of(column: ColumnProfile) -> dict[str, Any]:
    """A column as a row of a table."""
    return {
        "column": column.name,
        "type": column.type,
        "nulls": f"{column.null_rate:.2%}",
        "distinct": f"~{column.distinct:,}",
        "min": _value(column, column.min),
        "max": _value(column, column.max),
        "quartiles": quartiles(column),
        "top values": ", ".join(f"{value} ({count:,})" for value, count in column.top[:3]),
        "patterns": ", ".join(pattern for pattern, _ in column.patterns[:3]),
        "plot": sparkline(column.histogram),
    }


def quartiles(column: ColumnProfile) -> str:
    """The three, as values of the column: moments as such, large numbers in full."""
    return " · ".join(_of_kind(column.type, one) for one in column.quantiles[1:4])


def _of_kind(kind: str, value: float) -> str:
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        moment = datetime(1970, 1, 1) + timedelta(seconds=value)  # noqa: DTZ001  # as the column shows it
        return f"{moment:%Y-%m-%d}" if kind == "DATE" else f"{moment:%Y-%m-%d %H:%M:%S}"
    if kind.startswith("TIME"):
        return str(timedelta(seconds=round(value)))
    return f"{value:,.0f}" if abs(value) >= _IN_FULL else f"{value:,.6g}"


def headline(profile: Profile) -> str:
    """What was looked at, and what it cost."""
    part = f", {profile.looked_at:,} of them looked at" if profile.sampled else ""
    return f"{profile.table}: {profile.rows:,} rows{part}, in {profile.seconds:.2f} s"


def as_html(profile: Profile) -> str:
    """A page of its own."""
    head = "".join(f"<th>{name}</th>" for name in row_of_names())
    body = "".join(_html_row(column) for column in profile.columns)
    title = escape(headline(profile))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><table><tr>{head}</tr>{body}</table></html>"
    )


def row_of_names() -> list[str]:
    """The columns of the table."""
    return ["column", "type", "nulls", "distinct", "min", "max", "quartiles", "top values", "patterns", "plot"]


def _html_row(column: ColumnProfile) -> str:
    told = row_of(column)
    told["top values"] = ", ".join(f"{value} ({count:,})" for value, count in column.top)
    cells = [f"<td>{escape(str(told[name]))}</td>" for name in row_of_names()[:-1]]
    return f"<tr>{''.join(cells)}<td>{_svg(column.histogram)}</td></tr>"


def _svg(counts: tuple[int, ...]) -> str:
    most = max(counts, default=0)
    if not most:
        return ""
    bars = "".join(
        f'<rect x="{place * _BAR}" y="{_HEIGHT - round(_HEIGHT * one / most)}" width="{_BAR - 1}" height="{round(_HEIGHT * one / most)}"/>'
        for place, one in enumerate(counts)
    )
    return f'<svg width="{_BAR * len(counts)}" height="{_HEIGHT}" role="img">{bars}</svg>'


def _value(column: ColumnProfile, value: str | None) -> str:
    return "(personal data)" if column.personal else value or ""
