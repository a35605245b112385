"""What a table's `source` says of an HTTP API: where it is, how its pages follow each other, how far the last run got."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowforge_assets.http_options import HttpOptions, written_out
from flowforge_resources.databases.references import HiddenText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowforge_resources.web.client import Patience

PagingKind = Literal["none", "page", "offset", "cursor", "link_header", "next_url"]
_DEFAULT_PARAM = {"page": "page", "offset": "offset", "cursor": "cursor"}


class Pagination(BaseModel):
    """How the pages of an API follow each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: PagingKind = Field(
        description='`page` (a number), `offset` (of the first row), `cursor` (given by the page before), `link_header` (`Link: …; rel="next"`), `next_url` (in the body), or `none`.'
    )
    param: str | None = Field(
        default=None, description="Parameter of number, offset or cursor. Default: `page`, `offset`, `cursor`."
    )
    next: str | None = Field(
        default=None,
        description="Where in a page the next cursor or URL is, as keys joined by dots: `meta.next_cursor`.",
    )
    last_field: str | None = Field(
        default=None, description="With `cursor`, instead of `next`: field of a page's last record that is the cursor."
    )
    start: int | None = Field(default=None, ge=0, description="First number or offset. Default: page 1, offset 0.")
    size_param: str | None = Field(default=None, description="Parameter of the size of a page.")
    size: int | None = Field(default=None, ge=1, description="Records to ask for in a page.")

    @property
    def its_param(self) -> str:
        """The parameter that changes from page to page."""
        return self.param or _DEFAULT_PARAM.get(self.type, "")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: the problem, the fix."""
        if self.type == "cursor" and (self.next is None) == (self.last_field is None):
            yield (
                "`pagination` of type cursor takes either `next` or `last_field`.",
                "Say where the next cursor is: `next: meta.next_cursor`, or `last_field: id`.",
            )
        if self.type == "next_url" and self.next is None:
            yield "`pagination` of type next_url has no `next`.", "Say where the URL is, e.g. `next: links.next`."
        of = {
            "param": ("page", "offset", "cursor"),
            "start": ("page", "offset"),
            "next": ("cursor", "next_url"),
            "last_field": ("cursor",),
        }
        for name, kinds in of.items():
            if getattr(self, name) is not None and self.type not in kinds:
                yield f"`pagination` of type {self.type} has `{name}`.", f"`{name}` goes with {' and '.join(kinds)}."
        if (self.size is None) != (self.size_param is None):
            yield "`size` and `size_param` go together.", "Declare both: `size_param: limit, size: 500`."


class HttpSource(HttpOptions):
    """An HTTP API that a table's rows come from, instead of landing files."""

    url: HiddenText = Field(
        description="Where the records are; a text or a reference.", examples=["https://api.example.com/v1/orders"]
    )
    records: str | None = Field(
        default=None,
        description="Where in a page the array of records is, as keys joined by dots: `data.items`. Default: the page is that array, or an object with one array.",
    )
    params: dict[str, HiddenText] = Field(default={}, description="Parameters of every request.")
    pagination: Pagination | Literal["none", "page", "offset", "link_header"] = Field(
        default="none", description="How pages follow each other; a word where its defaults will do."
    )
    cursor: str | None = Field(
        default=None,
        description="Field of a record that grows with every change (a moment or a number): a run asks for what changed since the highest value that bronze holds. Default: every run takes everything.",
    )
    cursor_param: str | None = Field(
        default=None, description="Parameter by which the API is asked for it, e.g. `updated_since`."
    )
    lag: str | None = Field(
        default=None,
        description="How far behind the highest value a run asks again: a length of time (`10m`) or, of numbers, a number. What bronze has already is left out, by key and cursor.",
    )
    start: str | None = Field(
        default=None,
        alias="from",
        description="First value of `cursor_param`. Default: it is left out of the first run.",
    )
    total: str | None = Field(
        default=None,
        description="Where in a page the count of all records is, as keys joined by dots: a run that gets fewer publishes nothing and is repeated.",
    )
    max_pages: int = Field(default=10_000, ge=1, description="Pages of one run; more is taken for an error.")
    max_page_bytes: int = Field(default=32_000_000, ge=1, description="Bytes of one page, unpacked; more is an error.")

    @model_validator(mode="after")
    def _fits(self) -> HttpSource:
        if (self.cursor is None) != (self.cursor_param is None):
            raise ValueError("`cursor` and `cursor_param` go together: the field, and the parameter that asks for it.")
        for name in ("lag", "start"):
            if getattr(self, name) is not None and self.cursor is None:
                raise ValueError(f"`{'from' if name == 'start' else name}` goes with `cursor`.")
        return self

    @property
    def paging(self) -> Pagination:
        """How pages follow each other."""
        return Pagination(type=self.pagination) if isinstance(self.pagination, str) else self.pagination

    @property
    def reconcile(self) -> tuple[str, ...]:
        """An API has nothing to reconcile with but `total`."""
        return ()

    @property
    def name(self) -> str:
        """What the ledger remembers the source by: another URL, or other parameters, are another source."""
        where = self.url.partition("?")[0]
        rest = {"query": self.url.partition("?")[2], "params": self.params, "records": self.records}
        told = json.dumps(rest, sort_keys=True, default=str)
        return f"{where}#{sha256(told.encode()).hexdigest()[:8]}"

    @property
    def patience(self) -> Patience:
        """As of any address, and the bytes of a page."""
        return replace(super().patience, max_page_bytes=self.max_page_bytes)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: the problem, the fix. No message holds a value that may be secret."""
        yield from super().problems()
        yield from self.paging.problems()
        yield from written_out("params", self.params)
