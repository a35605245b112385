"""One page after the other of an HTTP API: patient with one that is busy, clear about one that refuses.

Credentials and declared headers go to the host that was declared, and to no other, wherever it redirects to. No message
holds a query, a header or anything of a body.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from flowforge_resources.errors import SourceError, SourceUnreachableError
from flowforge_resources.web.auth import Credentials, HttpAuth, Identity
from flowforge_resources.web.unpacking import UnpackError, is_known, unpacked
from flowforge_resources.web.waiting import Clock, Deadline, Pace, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import httpx2
    from tenacity import RetryCallState

Params = dict[str, str]
# One way to pack, which `unpacked` unpacks piece by piece.
_ACCEPTED = {"Accept": "application/json", "Accept-Encoding": "gzip"}
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_LONGEST_WAIT_S = 60
_TOKEN_BYTES = 1 << 20
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _NO_CONTENT, _ERROR = 401, 403, 404, 204, 400


@dataclass(frozen=True)
class Patience:
    """How long is waited, how often is tried, how much is taken."""

    timeout_s: float = 30
    deadline_s: float = 3600
    retries: int = 5
    per_s: float | None = None
    max_page_bytes: int = 32_000_000


@dataclass(frozen=True)
class Answer:
    """A page as it came. `next_link`: the URL of the header `Link: …; rel="next"`, if there is one."""

    url: str
    content: bytes
    charset: str | None = None
    next_link: str | None = None


class _BusyError(Exception):
    """A request that may succeed a little later."""

    def __init__(self, problem: str, wait_s: float | None = None) -> None:
        self.problem, self.wait_s = problem, wait_s
        super().__init__(problem)


@dataclass
class HttpClient:
    """Asks an API. `owner`: the table, for errors. `url`: what was declared; its host is the one that is trusted."""

    owner: str
    url: str
    auth: HttpAuth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    clock: Clock = field(default_factory=Clock)

    def __enter__(self) -> Self:
        import httpx2

        for name in ("httpx2", "httpcore2"):  # they log URLs with their queries, which may hold a key
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx2.Client(timeout=self.patience.timeout_s, follow_redirects=False)
        self._pace = Pace(self.patience.per_s, self.clock)
        self._deadline = Deadline(self.patience.deadline_s, self.clock)
        self._identity = Identity(self.owner, self.auth, self._token)
        self._renewed = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, url: str, params: Params | None = None) -> Answer:
        """A page.

        Raises:
            SourceError: the API refuses, or answers with something else than data.
            SourceUnreachableError: it does not answer, or is too busy for too long.
            SecretError: there is nothing where a reference points.
        """
        return self._patiently(lambda: self._page(url, params or {}))

    def post(self, content: bytes, headers: Mapping[str, str], *, method: str = "POST") -> Answer:
        """Send a body to the declared URL; tried again like a page, and never sent on to where that URL redirects.

        Raises:
            SourceError, SourceUnreachableError, SecretError: as `get`.
        """
        return self._patiently(lambda: self._sent(method, content, headers))

    def is_trusted(self, url: str) -> bool:
        """Whether a URL is of the host that was declared."""
        import httpx2

        return _origin(httpx2.URL(url)) == _origin(httpx2.URL(self.url))

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        from tenacity import Retrying, retry_if_exception_type

        busy = retry_if_exception_type(_BusyError)
        tries = Retrying(retry=busy, stop=self._is_over, wait=_wait, sleep=self.clock.sleep, reraise=True)
        try:
            return tries(ask)
        except _BusyError as error:
            tried = tries.statistics["attempt_number"]
            long = f" It asked to wait for {error.wait_s:.0f} seconds." if error.wait_s else ""
            raise SourceUnreachableError(
                self.owner,
                f"{error.problem}{long} Given up after {tried} attempt{'' if tried == 1 else 's'}.",
                "The run can be repeated; `retries`, `deadline_s` and `rate_limit` say how patient it is.",
            ) from None

    def _is_over(self, state: RetryCallState) -> bool:
        """Whether there were attempts enough, or the next would come after the deadline."""
        return state.attempt_number > self.patience.retries or state.upcoming_sleep > self._deadline.left_s

    def _page(self, url: str, params: Params) -> Answer:
        import httpx2

        target = httpx2.URL(url).copy_merge_params(params)
        for _ in range(_MOST_REDIRECTS + 1):
            trusted = self.is_trusted(str(target))
            credentials = self._identity.credentials() if trusted else Credentials()
            headers = _ACCEPTED | ({**self.headers, **credentials.headers} if trusted else {})
            request = self._client.build_request("GET", target.copy_merge_params(credentials.params), headers=headers)
            answer = self._answered(request)
            if isinstance(answer, Answer):
                return answer
            target = self._redirected(target, answer)
        raise self._refused(f"{_shown(target)} redirects more than {_MOST_REDIRECTS} times.", "Correct `url`.")

    def _sent(self, method: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        import httpx2

        credentials = self._identity.credentials()
        target = httpx2.URL(self.url).copy_merge_params(credentials.params)
        said = {**_ACCEPTED, **self.headers, **headers, **credentials.headers}
        answer = self._answered(self._client.build_request(method, target, headers=said, content=content))
        if isinstance(answer, str):
            raise self._refused(f"{_shown(target)} redirects, and rows are not sent on.", "Correct `url`.")
        return answer

    def _redirected(self, at: httpx2.URL, location: str) -> httpx2.URL:
        to = at.join(location)
        if at.scheme == "https" and to.scheme != "https":
            raise self._refused(f"{_shown(at)} redirects to {_shown(to)}, which is not encrypted.", "Correct `url`.")
        return to

    def _answered(self, request: httpx2.Request) -> Answer | str:
        """The page, or where it is instead."""
        import httpx2

        if self._deadline.left_s <= 0:
            raise self._too_late()
        self._pace.wait()
        shown = _shown(request.url)
        try:
            response = self._client.send(request, stream=True)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                self._require_success(shown, response)
                content = self._content(shown, response)
                next_link = response.links.get("next", {}).get("url")
                url = str(response.url)
                return Answer(
                    url, content, response.charset_encoding, str(response.url.join(next_link)) if next_link else None
                )
            finally:
                response.close()
        except httpx2.TimeoutException:
            raise _BusyError(f"{shown} did not answer within {self.patience.timeout_s:g} seconds.") from None
        except (httpx2.TransportError, UnpackError) as error:
            raise _BusyError(f"{shown} cannot be reached, or ended the answer: {type(error).__name__}.") from None

    def _require_success(self, shown: str, response: httpx2.Response) -> None:
        status = response.status_code
        if status in _BUSY:
            wait_s = retry_after_s(response.headers.get("retry-after"), self.clock.utc())
            raise _BusyError(f"{shown} answered {status}.", wait_s)
        if status == _UNAUTHORIZED and self._identity.can_renew and not self._renewed:
            self._renewed = True
            self._identity.forget()
            raise _BusyError(f"{shown} answered 401 to a token.", 0)
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            said = "has no `auth`" if self.auth is None else f"logs in with `auth: {{type: {self.auth.type}}}`"
            raise self._refused(
                f"{shown} answered {status}, and the source {said}.", "Check the secret and its rights."
            )
        if status >= _ERROR or status in _REDIRECTS:
            fix = "Correct `url`." if status == _NOT_FOUND else "Check `url`, `params` and `headers`."
            raise self._refused(f"{shown} answered {status}.", fix)
        if "html" in response.headers.get("content-type", "").lower():
            raise self._refused(
                f"{shown} answered with an HTML page (status {status}), not with JSON.",
                "Check `url` and `auth`: a login page looks like this.",
            )

    def _content(self, shown: str, response: httpx2.Response) -> bytes:
        if response.status_code == _NO_CONTENT:
            return b""
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if not is_known(encoding):
            raise self._refused(
                f"{shown} packs its answer in a way that was not asked for.", "It must be gzip or none."
            )
        pieces, size_bytes = [], 0
        for piece in unpacked(encoding, response.iter_raw()):
            size_bytes += len(piece)
            if size_bytes > self.patience.max_page_bytes:
                raise self._refused(
                    f"{shown} answered with a page of more than {self.patience.max_page_bytes:,} bytes.",
                    "Ask for smaller pages (`pagination: {size_param: …, size: …}`), or raise `max_page_bytes`.",
                )
            if self._deadline.left_s <= 0:
                raise self._too_late()
            pieces.append(piece)
        return b"".join(pieces)

    def _too_late(self) -> SourceUnreachableError:
        return SourceUnreachableError(
            self.owner,
            f"its source was not read to the end within {self.patience.deadline_s:g} seconds.",
            "Raise `deadline_s`, or read less at once: with `cursor`, or larger pages.",
        )

    def _token(self, url: str, form: Params, client: tuple[str, str]) -> str:
        import httpx2

        request = self._client.build_request("POST", url, data=form)
        for prepared in httpx2.BasicAuth(*client).auth_flow(request):
            answer = self._answered(prepared)
            break
        content = answer.content if isinstance(answer, Answer) and len(answer.content) < _TOKEN_BYTES else b""
        try:
            return str(json.loads(content)["access_token"])
        except (ValueError, KeyError, TypeError):
            raise self._refused(f"{_shown(request.url)} gave no token.", "Check `token_url`.") from None

    def _refused(self, problem: str, fix: str) -> SourceError:
        return SourceError(self.owner, problem, fix)


def _wait(state: RetryCallState) -> float:
    """What the API asked for and a little more; else 1, 2, 4 … seconds, up to a minute, at random below that."""
    from tenacity import wait_random, wait_random_exponential

    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _BusyError) else None
    if asked is not None:
        return asked + (wait_random(0, 0.5)(state) if asked else 0)
    return wait_random_exponential(multiplier=1, max=_LONGEST_WAIT_S)(state)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _shown(url: httpx2.URL) -> str:
    """A URL without its query and whatever stands before the host: both may hold a key."""
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}{url.path}"
