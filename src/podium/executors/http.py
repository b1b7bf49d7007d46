"""Sends HTTP requests."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from podium.events import Failure
from podium.executors.results import Tasks, raised, returned
from podium.protocols import Attempt, Finished, ReportTo
from podium.storable import encodable

if TYPE_CHECKING:
    import httpx

LARGEST_BODY = 1 << 24
"""Largest body that is taken as output [byte]."""

QUOTED = 2048
"""How much of the body of an unexpected answer is kept [byte]."""

Scalar = str | int | float | bool | None


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Payload of a step of kind `http`.

    Attributes:
        url: Where it goes.
        method: `GET`, `POST`, …
        headers: Name to value.
        json: JSON value sent as body.
        body: Text sent as body.
        query: Added to the query of the URL.
        expect: Status codes that pass; none: 200 to 299.
        output: How the body of the answer is read: `auto` as JSON if its content type says so, else as text.
        follow_redirects: Whether an answer that points elsewhere is followed.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    json: Any = msgspec.UNSET
    body: str | None = None
    query: dict[str, Scalar | list[Scalar]] = {}
    expect: tuple[int, ...] = ()
    output: Literal["auto", "json", "text", "none"] = "auto"
    follow_redirects: bool = False

    def __post_init__(self) -> None:
        """Refuse two bodies.

        Raises:
            ValueError: There are.
        """
        if self.json is not msgspec.UNSET and self.body is not None:
            raise ValueError("a request has `json` or `body`, not both")

    @property
    def name(self) -> str:
        """The request in words, without the password in its URL and without its query."""
        return f"{self.method.upper()} {_without_secrets(self.url)}"

    def expects(self, status: int) -> bool:
        """Return whether an answer with this status passes."""
        if self.expect:
            return status in self.expect
        return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


class HttpExecutor:
    """Sends each request from a task of its own, all through one client; cookies are not kept.

    There is no limit of time here: the engine enforces the step's. Proxies are taken from the environment.
    """

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._client: httpx.AsyncClient | None = None

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin to send the request."""
        self._tasks.start(attempt, report, self._carry_out(attempt))

    def stop(self, token: int, *, force: bool) -> None:
        """Drop the connection; whether the other side has acted on the request is not known."""
        del force  # a task is cancelled either way
        self._tasks.stop(token)

    async def close(self) -> None:
        """Drop all connections."""
        await self._tasks.close()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(self, request: Request, idempotency_key: str) -> Finished:
        """Send a request and return what the answer comes to.

        Args:
            request: What to send.
            idempotency_key: Sent as `Idempotency-Key`, unless the request has this header.
        """
        import httpx  # noqa: PLC0415 (takes a tenth of a second to import)

        try:
            async with self._opened().stream(
                request.method.upper(),
                _url(request),
                headers=_headers(request, idempotency_key),
                content=_content(request),
                follow_redirects=request.follow_redirects,
            ) as response:
                if not request.expects(response.status_code):
                    return await _unexpected(request, response)
                return await _expected(request, response)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            message = f"{request.name}: {str(error) or type(error).__name__}"
            return Finished("errored", failure=Failure(type(error).__name__, encodable(message)))

    async def _carry_out(self, attempt: Attempt) -> Finished:
        try:
            return await self.send(msgspec.convert(attempt.work.payload, Request), attempt.idempotency_key)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong is the result)
            return raised(error)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 (needed as late as httpx)

            import httpx  # noqa: PLC0415 (as above)

            self._client = httpx.AsyncClient(
                timeout=None,  # noqa: S113 (the engine enforces limits)
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client


def _url(request: Request) -> httpx.URL:
    import httpx  # noqa: PLC0415 (as above)

    url = httpx.URL(request.url)
    return url.copy_merge_params(request.query) if request.query else url


def _headers(request: Request, idempotency_key: str) -> httpx.Headers:
    import httpx  # noqa: PLC0415 (as above)

    headers = httpx.Headers(request.headers, encoding="utf-8")
    if "Idempotency-Key" not in headers:
        plain = idempotency_key.isascii() and idempotency_key.isprintable()
        headers["Idempotency-Key"] = idempotency_key if plain else quote(idempotency_key)
    if request.json is not msgspec.UNSET and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json"
    return headers


def _content(request: Request) -> bytes | None:
    if request.json is not msgspec.UNSET:
        return msgspec.json.encode(request.json)
    return None if request.body is None else request.body.encode()


async def _expected(request: Request, response: httpx.Response) -> Finished:
    body = await _read(response, LARGEST_BODY, keep=request.output != "none")
    if len(body) > LARGEST_BODY:
        message = f"{request.name} answered with more than {LARGEST_BODY >> 20} MiB"
        return Finished("errored", failure=Failure("OutputTooLarge", message))
    try:
        value = _value(request, response, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"{request.name} answered with what is no JSON: {error}"
        return Finished("errored", failure=Failure("NoJson", message, _quote(response, body)))
    return returned({"status": response.status_code, "headers": dict(response.headers), "body": value})


async def _unexpected(request: Request, response: httpx.Response) -> Finished:
    body = await _read(response, QUOTED)
    status, location = response.status_code, response.headers.get("Location")
    elsewhere = f" ({location})" if location else ""
    errored = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    failure = Failure(
        type="HttpStatus",
        message=f"{request.name} answered {status} {response.reason_phrase}".rstrip() + elsewhere,
        details=_quote(response, body),
        retry_after=_retry_after(response.headers),
    )
    return Finished("errored" if errored else "failed", failure=failure)


async def _read(response: httpx.Response, limit: int, *, keep: bool = True) -> bytes:
    """Return the body, or a bit more than `limit` bytes of it; empty if it is not kept."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        if keep:
            body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def _value(request: Request, response: httpx.Response, body: bytes) -> Any:
    if request.output == "none":
        return None
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    says_json = kind == "application/json" or kind.endswith("+json")
    if request.output == "auto" and says_json and not body.strip():
        return None
    if request.output == "json" or (request.output == "auto" and says_json):
        return msgspec.json.decode(body)
    return _text(response, body)


def _text(response: httpx.Response, body: bytes) -> str:
    try:
        return body.decode(response.encoding or "utf-8", "replace")
    except LookupError:  # an encoding, but not of text
        return body.decode("utf-8", "replace")


def _quote(response: httpx.Response, body: bytes) -> str:
    return encodable(_text(response, body[:QUOTED]))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how long the other side asks to wait [s]: it says so in seconds, or names a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
