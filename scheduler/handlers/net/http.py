"""The one way to the network: every wait has an end, answers are bounded, no error holds a secret."""

import asyncio
import email.utils
import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from scheduler.errors import TaskFailed
from scheduler.handlers.net.inflate import BadAnswer, Inflater
from scheduler.handlers.net.urls import origin, shown
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    import httpx2

LIMIT = 10 << 20  # bytes of one answer, as it comes and after decompression
REDIRECTS = 5
TRIES = 3
CONNECT = 10.0  # seconds for a connection; the whole answer has `timeout`
LATER = 86400.0  # seconds: nobody is left alone for longer, whatever it asks for

_NO_SECRETS = ("accept", "if-none-match", "if-modified-since")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status but a redirect. `url` is where it came from in the end."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)
    url: str = field(repr=False)


class NoAnswer(TaskFailed):
    """Why there is no answer to work with; `later` are the seconds for which the server wants its peace."""

    def __init__(self, url: str, why: str, later: float = 0.0) -> None:
        super().__init__(f"{shown(url)}: {why}")
        self.why, self.later = why, later


class Web:
    """Connections for one run; closed at its end."""

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        self._client = await asyncio.to_thread(new_client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Answer:
        """The answer within `timeout` seconds, tries and redirects included; raises NoAnswer."""
        import httpx2

        seconds = self._timeout if timeout is None else timeout
        before: list[Exception] = []  # what went wrong, of which the time over is only the end
        try:
            async with asyncio.timeout(seconds):
                return await self._tried(url, dict(headers or {}), seconds, before)
        except (httpx2.TimeoutException, TimeoutError):
            reason = why(before[-1]) if before else f"no answer within {seconds:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            reason = why(error)
        raise NoAnswer(url, reason) from None  # what the library says may quote the address

    async def _tried(
        self, url: str, headers: dict[str, str], seconds: float, before: list[Exception]
    ) -> Answer:
        """Once more after a connection broke, or after the time that the server asked for."""
        import httpx2
        import stamina

        end = asyncio.get_running_loop().time() + seconds

        def again(error: Exception) -> bool | float:
            if isinstance(error, NoAnswer):
                left = end - asyncio.get_running_loop().time()
                return error.later if 0 < error.later < left else False
            passing = isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError)
            if passing := passing and not _in(error, ssl.SSLError):
                before.append(error)
            return passing

        waits = {"wait_initial": 0.2, "wait_max": 2.0, "wait_jitter": 0.2}
        async for attempt in stamina.retry_context(on=again, attempts=TRIES, timeout=seconds, **waits):
            with attempt:
                return _not_refused(url, await self._followed(url, headers))
        raise AssertionError  # the last attempt lets its error through

    async def _followed(self, url: str, headers: dict[str, str]) -> Answer:
        for _ in range(REDIRECTS + 1):
            answer = await self._once(url, headers)
            place = answer.headers.get("location")
            if not (300 <= answer.status < 400 and place and answer.status != 304):
                return answer
            url, headers = _next(url, place, headers)
        raise BadAnswer(f"redirects more than {REDIRECTS} times")

    async def _once(self, url: str, headers: dict[str, str]) -> Answer:
        async with self._client.stream("GET", url, headers=headers) as response:
            inflater = Inflater(response.headers.get("content-encoding", ""), LIMIT)
            async for chunk in response.aiter_raw():
                inflater.take(chunk)
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, found, inflater.whole(), url)


def refusal(answer: Answer) -> str:
    """Why this status is no success; nothing if it is one."""
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
    """Made in a thread: reading all certificates takes some 30 ms."""
    import httpx2

    # They log every address with all that is in it, or print over the screen.
    for chatty in ("httpx2", "httpcore2", "stamina"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    headers = {"user-agent": _agent(), "accept-encoding": "gzip, deflate", "accept": "*/*"}
    times = httpx2.Timeout(None, connect=CONNECT)  # the rest ends with the whole
    try:
        return httpx2.AsyncClient(headers=headers, timeout=times, verify=ssl.create_default_context())
    except (ValueError, OSError, httpx2.InvalidURL) as error:
        what = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE"
        raise TaskFailed(f"the environment does not let us connect; look at {what}") from error


def _agent() -> str:
    try:
        return f"experience-tui/{version('experience-tui')}"
    except PackageNotFoundError:  # run from a checkout
        return "experience-tui"


def _next(url: str, place: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Where a redirect leads, with what may be told there: strangers get none that may be secret."""
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


def _not_refused(url: str, answer: Answer) -> Answer:
    later = _later(answer) if answer.status in (429, 503) else 0.0
    if later:
        raise NoAnswer(url, f"{refusal(answer)}: come back in {later:.0f} s", later)
    return answer


def _later(answer: Answer) -> float:
    """The seconds in Retry-After, which may be a number or a date."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]) or 1.0, LATER)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - SystemClock.now()
        return min(max(seconds, 1.0), LATER)
    return 0.0


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _in(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(each, kind) for each in _chain(error))


def why(error: Exception) -> str:
    """The error in words that never quote an address or a header."""
    import socket

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
            case OSError() if each.errno:
                return os.strerror(each.errno).lower()
            case httpx2.ProxyError():
                return "the proxy refuses"
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | UnicodeError():
                return "that is no address on the web"
            case _:
                pass
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    broken = httpx2.RemoteProtocolError | httpx2.NetworkError
    return "the connection broke off" if isinstance(error, broken) else "cannot be asked"
