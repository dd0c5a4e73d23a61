"""The HTTP client of the built-in tasks: it limits waits and answers, and its errors contain no secrets."""

import asyncio
import email.utils
import logging
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from scheduler.errors import TaskFailed
from scheduler.handlers.net.urls import origin, redacted
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    import httpx2

LIMIT = 10 << 20  # bytes of one answer, decompressed
ASKED_FOR = frozenset({"gzip", "deflate"})
# Anything else in Content-Encoding is a server's mistake (UTF-8, none, binary); browsers ignore it, too.
COMPRESSIONS = ASKED_FOR | {"br", "zstd", "compress", "x-compress", "x-gzip", "dcb", "dcz"}
REDIRECTS = 5
TRIES = 3
CONNECT = 10.0  # seconds for a connection; the whole answer has `timeout`
LATER = 86400.0  # seconds: the longest wait that a server can ask for

_SECONDS = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(?:s|sec|seconds)?\s*(?:[,;].*)?", re.ASCII)

NOT_HTTP = "its header is not HTTP"

_NO_SECRETS = ("accept", "if-none-match", "if-modified-since")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with any status but a redirect; `url` is the address after redirects."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)
    url: str = field(repr=False)


class NoAnswer(TaskFailed):
    """There is no answer; `later` is the number of seconds until the server takes requests again."""

    def __init__(self, url: str, why: str, later: float = 0.0) -> None:
        super().__init__(f"{redacted(url)}: {why}")
        self.why, self.later = why, later


class BadAnswer(ValueError):
    """The answer cannot be used; the text says why without quoting it."""


@asynccontextmanager
async def open_web(timeout: float = 30.0) -> "AsyncIterator[Web]":
    """Connections for one run."""
    async with await asyncio.to_thread(new_client) as client:
        yield Web(client, timeout)


class Web:
    """Gets whole answers, with retries and redirects, over connections kept open."""

    def __init__(self, client: "httpx2.AsyncClient", timeout: float) -> None:
        self._client, self._timeout = client, timeout

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer within `timeout` seconds, including retries and redirects; raises NoAnswer."""
        import httpx2

        broken: list[Exception] = []  # the errors that were retried before time ran out
        try:
            async with asyncio.timeout(self._timeout):
                return await self._get_with_retries(url, dict(headers or {}), broken)
        except (httpx2.TimeoutException, TimeoutError):
            reason = why(broken[-1]) if broken else f"no answer within {self._timeout:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            reason = why(error)
        raise NoAnswer(url, reason) from None  # the library's text may quote the address

    async def _get_with_retries(self, url: str, headers: dict[str, str], broken: list[Exception]) -> Answer:
        """Retry after a broken connection, or after the wait that the server asked for."""
        import httpx2
        import stamina

        end = asyncio.get_running_loop().time() + self._timeout

        def again(error: Exception) -> bool | float:
            if isinstance(error, NoAnswer):
                left = end - asyncio.get_running_loop().time()
                return error.later if 0 < error.later < left else False
            passing = isinstance(error, httpx2.NetworkError) or broke_off(error)
            if passing := passing and not any(isinstance(each, ssl.SSLError) for each in _chain(error)):
                broken.append(error)
            return passing

        waits = {"wait_initial": 0.2, "wait_max": 2.0, "wait_jitter": 0.2}
        async for attempt in stamina.retry_context(on=again, attempts=TRIES, timeout=self._timeout, **waits):
            with attempt:
                return _raise_if_rate_limited(url, await self._get_following_redirects(url, headers))
        raise AssertionError  # the last attempt raises its error

    async def _get_following_redirects(self, url: str, headers: dict[str, str]) -> Answer:
        for _ in range(REDIRECTS + 1):
            answer = await self._get_once(url, headers)
            place = answer.headers.get("location")
            if not (300 <= answer.status < 400 and place and answer.status != 304):
                return answer
            url, headers = await redirected(url, place, headers)
        raise BadAnswer(f"redirects more than {REDIRECTS} times")

    async def _get_once(self, url: str, headers: dict[str, str]) -> Answer:
        async with self._client.stream("GET", url, headers=headers) as response:
            _check_compression(response.headers.get("content-encoding", ""))
            body = bytearray()
            async for part in response.aiter_bytes():  # decompressed, in parts of at most 1 MiB
                body += part
                if len(body) > LIMIT:
                    raise BadAnswer(f"is longer than {LIMIT >> 20} MiB")
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, found, bytes(body), url)


def _check_compression(header: str) -> None:
    """Raise BadAnswer unless there is one layer of compression at most, of a kind inflated within limits."""
    found = [each for each in re.split(r"[,\s]+", header.lower()) if each in COMPRESSIONS]
    if found[1:] or not ASKED_FOR.issuperset(found):
        raise BadAnswer("is compressed in a way that was not asked for")


def status_problem(answer: Answer) -> str:
    """Why this status is not a success; "" if it is one."""
    if 200 <= answer.status < 300:
        return ""
    known = {
        401: "refuses the credentials (HTTP 401)",
        403: "refuses access (HTTP 403)",
        404: "is not there (HTTP 404)",
        410: "is gone for good (HTTP 410)",
        429: "asks for fewer requests (HTTP 429)",
    }
    return known.get(answer.status, f"answers HTTP {answer.status}")


def new_client() -> "httpx2.AsyncClient":
    """A new client; call this on a thread, since reading all certificates takes some 30 ms."""
    import httpx2

    # These loggers write whole URLs or print over the screen.
    for chatty in ("httpx2", "httpcore2", "stamina"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    headers = {"user-agent": _agent(), "accept-encoding": "gzip, deflate", "accept": "*/*"}
    times = httpx2.Timeout(None, connect=CONNECT)  # Web.get limits the rest
    try:
        return httpx2.AsyncClient(headers=headers, timeout=times, verify=ssl.create_default_context())
    except (ValueError, OSError, httpx2.InvalidURL) as error:
        what = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE"
        raise TaskFailed(f"the environment allows no connection; check {what}") from error


def _agent() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"experience-tui/{version('experience-tui')}"
    except PackageNotFoundError:  # run from a checkout
        return "experience-tui"


async def redirected(url: str, place: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The target of a redirect and the headers to send there; BadAnswer if it must not be followed."""
    target, headers = _next(url, place, headers)
    if origin(target) != origin(url) and await leads_inward(url, target):
        raise BadAnswer("redirects into this machine or its network; that is not followed")
    return target, headers


def _next(url: str, place: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The target of a redirect and the headers for it; another origin gets no secret ones."""
    target = urljoin(url, place)
    if urlsplit(target).scheme not in ("http", "https"):
        raise BadAnswer("redirects to an address that is not on the web")
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise BadAnswer("redirects from https to http; that is not followed")
    if origin(target) != origin(url):
        return target, {name: value for name, value in headers.items() if name in _NO_SECRETS}
    there, user = urlsplit(target), urlsplit(url).netloc.rpartition("@")[0]
    if user and "@" not in there.netloc:
        target = there._replace(netloc=f"{user}@{there.netloc}").geturl()
    return target, headers


async def leads_inward(url: str, target: str) -> bool:
    """Whether a redirect leads from a public address to one of this machine or its network."""
    return not await _is_inside(url) and await _is_inside(target)


async def _is_inside(url: str) -> bool:
    """Whether any address of the host is private, local or link-local; False if it has no address."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            urlsplit(url).hostname, None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # behind a proxy, names may have no address here
        return False
    return any(not ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)


def _raise_if_rate_limited(url: str, answer: Answer) -> Answer:
    wait = retry_after(answer.headers.get("retry-after", ""))
    if wait is None or answer.status < 400:  # servers ban with many numbers: 429, 503, 403, 418, 420
        return answer
    later = max(1.0, wait)
    raise NoAnswer(url, f"{status_problem(answer)}: come back in {later:.0f} s", later)


def retry_after(value: str) -> float | None:
    """The seconds in a Retry-After header, a number or a date; None without a valid one.

    Two such headers come as one value with a comma, and some servers add a comment.
    """
    if found := _SECONDS.fullmatch(value):
        return min(float(found[1]), LATER)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        seconds = _date(value).timestamp() - SystemClock.now()
        return min(max(seconds, 0.0), LATER)
    return None


def _date(value: str) -> datetime:
    """An HTTP or ISO date, in UTC if it names no zone; raises ValueError."""
    try:
        found = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        found = datetime.fromisoformat(value.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def broke_off(error: Exception) -> bool:
    """Whether the connection ended too early, rather than the library refusing an answer."""
    import httpx2

    ends = ("peer ", "Server disconnected", "can't handle event type ConnectionClosed")
    return isinstance(error, httpx2.RemoteProtocolError) and str(error).startswith(ends)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def why(error: Exception) -> str:
    """The error in words that never quote an address or a header."""
    import httpx2

    for each in _chain(error):
        match each:
            case BadAnswer():
                return str(each)
            case ssl.SSLCertVerificationError():
                return f"its certificate is not accepted: {each.verify_message}"
            case ssl.SSLError():
                return "no TLS connection: " + (each.reason or "refused").replace("_", " ").lower()
            case socket.gaierror():
                return "the name of the server is not known"
            case httpx2.DecodingError():
                return "its compression is broken"
            case OSError() if each.errno:
                return os.strerror(each.errno).lower()
            case httpx2.ProxyError():
                return "the proxy refuses"
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | UnicodeError():
                return "the URL is invalid"
            case _:
                pass
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    if broke_off(error) or isinstance(error, httpx2.NetworkError):
        return "the connection broke off"
    return NOT_HTTP if isinstance(error, httpx2.RemoteProtocolError) else "cannot be asked"
