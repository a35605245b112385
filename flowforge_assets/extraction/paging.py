"""Which page comes after which, until there is none; and whether an API goes in a circle."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from flowforge_assets.extraction.json_page import BadPageError

if TYPE_CHECKING:
    from typing import Any

    from flowforge_assets.extraction.http_source import Pagination
    from flowforge_assets.extraction.json_page import JsonPage
    from flowforge_resources.web.client import Answer, Params


@dataclass(frozen=True)
class Asked:
    """One request."""

    url: str
    params: tuple[tuple[str, str], ...] = ()


@dataclass
class Taken:
    """What was taken of a page: how many records, the last of them, what identifies them."""

    records: int = 0
    last: Any = None
    digest: Any = field(default_factory=lambda: blake2b(digest_size=16))

    def add(self, value: Any, text: str) -> None:
        """Take a record."""
        self.records += 1
        self.last = value
        self.digest.update(text.encode())
        self.digest.update(b"\n")


class Pager:
    """Goes from page to page.

    Args:
        paging: as declared.
        url: of the first page.
        params: of every request; a page that names its follower's whole URL also names its parameters.
    """

    def __init__(self, paging: Pagination, url: str, params: Params) -> None:
        self._paging, self._url = paging, url
        size = {paging.size_param: str(paging.size)} if paging.size_param else {}
        self._params = {**params, **size}
        self._place = paging.start if paging.start is not None else (1 if paging.type == "page" else 0)
        self._seen_requests: set[Asked] = set()
        self._seen_pages: set[bytes] = set()

    def first(self) -> Asked:
        """The first request."""
        numbered = self._paging.type in ("page", "offset")
        return self._new(self._with(str(self._place)) if numbered else Asked(self._url, tuple(self._params.items())))

    def after(self, answer: Answer, page: JsonPage, taken: Taken) -> Asked | None:
        """The request after a page; None behind the last.

        Raises:
            BadPageError: pages repeat.
        """
        self._require_progress(taken)
        kind = self._paging.type
        if kind == "link_header":
            return self._new(Asked(answer.next_link)) if answer.next_link else None
        if kind == "next_url":
            found = page.value(self._paging.next or "")
            return self._new(Asked(_joined(answer.url, _text(found)))) if found else None
        if kind == "cursor":
            cursor = self._cursor(page, taken)
            return self._new(self._with(cursor)) if cursor else None
        if kind == "none" or not taken.records:
            return None
        # By what came, not by what was asked for: an API may give smaller pages than it is asked for.
        self._place += 1 if kind == "page" else taken.records
        return self._new(self._with(str(self._place)))

    def _cursor(self, page: JsonPage, taken: Taken) -> str:
        if self._paging.next is not None:
            return _text(page.value(self._paging.next))
        name = self._paging.last_field or ""
        if not taken.records:
            return ""
        if not isinstance(taken.last, dict) or not _text(taken.last.get(name)):
            raise BadPageError(f"ends with a record without a `{name}`.", "Correct `last_field`.")
        return _text(taken.last[name])

    def _with(self, place: str) -> Asked:
        return Asked(self._url, tuple({**self._params, self._paging.its_param: place}.items()))

    def _new(self, asked: Asked) -> Asked:
        if asked in self._seen_requests:
            raise BadPageError("names a page that was read already: the pages go in a circle.", "Check `pagination`.")
        self._seen_requests.add(asked)
        return asked

    def _require_progress(self, taken: Taken) -> None:
        """A page with the very records of an earlier one means that what we ask for is not heeded."""
        digest = taken.digest.digest()
        if taken.records and digest in self._seen_pages:
            param = f": does the API heed `{self._paging.its_param}`?" if self._paging.its_param else "."
            raise BadPageError("holds the very records of a page before it.", f"Check `pagination`{param}")
        self._seen_pages.add(digest)


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool | dict | list) else str(value)


def _joined(url: str, to: str) -> str:
    from urllib.parse import urljoin

    return urljoin(url, to)
