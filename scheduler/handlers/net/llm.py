"""Asks a language model, in Ollama's or OpenAI's protocol."""

import re
from asyncio import get_running_loop, sleep, timeout, to_thread
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.core.schedules.schedule import short_duration
from scheduler.core.task import Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import NOT_HTTP, new_client, retry_after, why
from scheduler.handlers.net.llm_answer import AnswerReader, NotAnswered, error_in, json_of
from scheduler.handlers.net.urls import redacted
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    import httpx2

CONNECT = 10.0  # seconds to connect
TRIES = 3  # requests, while the server is busy
PATIENCE = 120.0  # seconds at most between two requests
ERROR_SIZE = 64 << 10  # bytes read of an error page
COUNTING = 2.0  # seconds to wait for the token count after the last word
WIDTH = 300  # characters of an error message

_FIXES = {
    401: "; correct key in [llm]",
    403: "; correct key in [llm]",
    404: "; correct model or url in [llm]",
}

Progress = Callable[[float, float, str], None]
Used = Callable[[str, int | None, int | None], None]


def not_counted(model: str, tokens_in: int | None, tokens_out: int | None) -> None:
    """Ignore the count of tokens."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's text and the seconds it took; `cut` if the model was stopped before its end."""

    text: str
    model: str
    duration: float
    cut: bool = False


class Uncounted(Exception):
    """The server refused the request, perhaps because it cannot count tokens."""


class Busy(Exception):
    """The server is busy; `wait` are the seconds it asks for."""

    def __init__(self, text: str, wait: float | None) -> None:
        super().__init__(text)
        self.wait = wait


async def ask(llm: Llm, prompt: str, progress: Progress, used: Used) -> Answer:
    """The model's answer; raises TaskFailed with one line, which never contains the key.

    `used` gets the tokens of each answer that began, even if it broke off.
    """
    began = SystemClock.elapsed()
    try:
        async with await to_thread(new_client) as client:
            text, cut = await _ask_with_retries(client, llm, prompt, progress, used)
    except NotAnswered as error:
        raise TaskFailed(_one_line(llm, f"{describe_model(llm)} {error}")) from None
    return Answer(text, llm.model, round(SystemClock.elapsed() - began, 1), cut)


def describe_model(llm: Llm) -> str:
    """The model and its server; only the host of an address from .env."""
    return f"{llm.model} at {redacted(llm.url)}"


def endpoint(llm: Llm) -> str:
    """The address for requests: `url` itself if it names an endpoint."""
    if llm.url.endswith(("/api/chat", "/api/generate", "/chat/completions")):
        return llm.url
    if llm.api == "ollama":
        return f"{llm.url.removesuffix('/api')}/api/chat"
    base = llm.url if re.search(r"/v\d\w*$", llm.url) else f"{llm.url}/v1"
    return f"{base}/chat/completions"


# ------------------------------------------------------------------ the request


async def _ask_with_retries(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress, used: Used
) -> tuple[str, bool]:
    for attempt in range(1, TRIES + 1):
        try:
            return await _ask_and_count(client, llm, prompt, progress, used)
        except Busy as busy:
            wait = float(2**attempt) if busy.wait is None else busy.wait
            if attempt == TRIES or wait > PATIENCE:
                times = "once" if attempt == 1 else f"{attempt} times"
                limited = f"; rate limited for {short_duration(wait)}" if busy.wait and wait > 1 else ""
                raise NotAnswered(f"is busy, asked {times}: {busy}{limited}") from None
            progress(0, 0, f"busy, asks again in {short_duration(max(1, round(wait)))}")
            await sleep(wait)
    raise AssertionError("the last attempt returns or raises")


async def _ask_and_count(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress, used: Used
) -> tuple[str, bool]:
    """Ask once, without a request for the token count if the server refuses that."""
    reader = AnswerReader()
    try:
        try:
            await _ask_once(client, llm, prompt, progress, reader, count=llm.api == "openai")
        except Uncounted:
            await _ask_once(client, llm, prompt, progress, reader, count=False)
        return reader.end(), reader.cut
    finally:
        if reader.begun:
            used(llm.model, reader.tokens_in, reader.tokens_out)


async def _ask_once(
    client: "httpx2.AsyncClient",
    llm: Llm,
    prompt: str,
    progress: Progress,
    reader: AnswerReader,
    *,
    count: bool,
) -> None:
    import httpx2

    progress(0, 0, f"waits for {llm.model}")
    try:
        async with _post(client, llm, prompt, count) as response:
            if not response.is_success:
                if count and response.status_code in (400, 422):
                    raise Uncounted
                await _refused(response)
            await _read(response, reader, progress, count)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotAnswered(_broken(error, reader, llm.timeout)) from None


async def _read(response: "httpx2.Response", reader: AnswerReader, progress: Progress, count: bool) -> None:
    """Read to the end of the answer, then wait briefly for the count if it was requested."""
    import httpx2

    reader.begun = True
    try:
        async with timeout(None) as limit:
            async for chunk in response.aiter_raw():
                reader.feed(chunk)
                progress(reader.length, 0, f"{reader.length:,} characters" if reader.length else "thinking")
                if reader.complete and (reader.counted or not count):
                    break
                if reader.complete and limit.when() is None:
                    limit.reschedule(get_running_loop().time() + COUNTING)
    except (TimeoutError, httpx2.HTTPError):
        if not reader.complete:  # failures after the answer do not matter
            raise


def _post(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str, count: bool
) -> "AbstractAsyncContextManager[httpx2.Response]":
    import httpx2

    url = endpoint(llm)
    prompt = prompt.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
    chat = {"messages": [{"role": "user", "content": prompt}]}
    question = {"prompt": prompt} if url.endswith("/api/generate") else chat
    headers = {"accept-encoding": "identity"}  # no decompression bombs
    if llm.key:
        headers["authorization"] = f"Bearer {llm.key}"
    times = httpx2.Timeout(llm.timeout, connect=min(CONNECT, llm.timeout))
    counting = {"stream_options": {"include_usage": True}} if count else {}
    body = {"model": llm.model, **question, "stream": True, **counting}
    # A redirect must not carry the prompt to an address other than the one in the settings.
    return client.stream("POST", url, json=body, headers=headers, timeout=times, follow_redirects=False)


async def _refused(response: "httpx2.Response") -> None:
    status = response.status_code
    if response.is_redirect:
        raise NotAnswered(f"has moved (HTTP {status}); correct url in [llm]")
    text = f"HTTP {status}: {await _error_page(response)}{_FIXES.get(status, '')}"
    wait = retry_after(response.headers.get("Retry-After", ""))
    if wait or status in (429, 503, 529):
        raise Busy(text, wait)
    raise NotAnswered(f"answered {text}")


async def _error_page(response: "httpx2.Response") -> str:
    """The message of an error page, from its JSON or its plain text."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ERROR_SIZE:
            break
    text = error_in(json_of(content[:ERROR_SIZE]))
    if not text and b"<" not in content[:200]:
        text = content[:ERROR_SIZE].decode(errors="replace")
    return text.strip() or response.reason_phrase or "no reason given"


def _broken(error: Exception, reader: AnswerReader, timeout: float) -> str:
    import httpx2

    begun = reader.length or reader.thoughts
    match error:
        case httpx2.ConnectTimeout():
            return f"did not accept a connection within {short_duration(min(CONNECT, timeout))}"
        case httpx2.ReadTimeout() if begun:
            return f"fell silent for {short_duration(timeout)}, {reader.so_far()}"
        case httpx2.ReadTimeout():
            return f"sent nothing for {short_duration(timeout)}"
        case httpx2.ConnectError():
            return f"cannot be reached: {why(error)}"
    if begun:
        return f"was cut off in the middle of its answer, {reader.so_far()}"
    reason = why(error)
    return f"{'does not answer' if reason == NOT_HTTP else 'hung up without an answer'}: {reason}"


def _one_line(llm: Llm, text: str) -> str:
    """`text` as one line of at most WIDTH characters, without the key: some servers quote it."""
    if llm.key:
        text = text.replace(llm.key, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
