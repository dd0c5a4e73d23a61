"""Asks a language model: Ollama, or any server that is compatible with OpenAI's."""

import re
from asyncio import sleep, to_thread
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scheduler.core.schedule import in_words
from scheduler.core.task import Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import new_client, why
from scheduler.handlers.net.llm_answer import Answering, NotAnswered, error_of
from scheduler.handlers.net.urls import shown
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    import httpx2

CONNECT = 10.0  # seconds until a server that is there has taken the call
TRIES = 3  # of a question that was turned away because the server is busy
PATIENCE = 120.0  # seconds at most between two of them
ERROR_SIZE = 64 << 10  # bytes read of an error page
WIDTH = 300  # characters told of one

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and how long that took in seconds; `cut` if it was stopped before its end."""

    text: str
    model: str
    duration: float
    cut: bool = False


class Busy(Exception):
    """The server turned the question away for now; `wait` is what it asked for, in seconds."""

    def __init__(self, words: str, wait: float | None) -> None:
        super().__init__(words)
        self.wait = wait


async def ask(llm: Llm, prompt: str, progress: Progress) -> Answer:
    """The model's answer; raises TaskFailed with what went wrong in one line, never with the key."""
    began = SystemClock.elapsed()
    try:
        async with await to_thread(new_client) as client:
            answering = await _patiently(client, llm, prompt, progress)
        text = answering.end()
    except NotAnswered as error:
        raise TaskFailed(_one_line(llm, f"{place(llm)} {error}")) from None
    return Answer(text, llm.model, round(SystemClock.elapsed() - began, 1), answering.cut)


def place(llm: Llm) -> str:
    """The model and its server; of an address from .env only the host."""
    return f"{llm.model} at {shown(llm.url)}"


def endpoint(llm: Llm) -> str:
    """Where to ask: `url` itself if it is an endpoint already."""
    if llm.url.endswith(("/api/chat", "/api/generate", "/chat/completions")):
        return llm.url
    if llm.api == "ollama":
        return f"{llm.url.removesuffix('/api')}/api/chat"
    base = llm.url if re.search(r"/v\d\w*$", llm.url) else f"{llm.url}/v1"
    return f"{base}/chat/completions"


async def _patiently(client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress) -> Answering:
    """Ask again, when the server says it, if it is busy."""
    for attempt in range(1, TRIES + 1):
        try:
            return await _once(client, llm, prompt, progress)
        except Busy as busy:
            wait = 2.0**attempt if busy.wait is None else busy.wait
            if attempt == TRIES or wait > PATIENCE:
                again = f"; it asks to be left alone for {in_words(wait)}" if busy.wait and wait > 1 else ""
                raise NotAnswered(f"is busy, asked {_times(attempt)}: {busy}{again}") from None
            progress(0, 0, f"busy, asks again in {in_words(max(1, round(wait)))}")
            await sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


async def _once(client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress) -> Answering:
    import httpx2

    answering = Answering()
    progress(0, 0, f"waits for {llm.model}")
    try:
        async with _call(client, llm, prompt) as response:
            await _check(response)
            async for chunk in response.aiter_raw():
                answering.feed(chunk)
                progress(answering.length, 0, _so_far(answering))
                if answering.complete:
                    break
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotAnswered(_fault(error, answering, llm.timeout)) from None
    return answering


def _call(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str
) -> "AbstractAsyncContextManager[httpx2.Response]":
    import httpx2

    headers = {"accept-encoding": "identity"}  # nothing that grows when unpacked
    if llm.key:
        headers["authorization"] = f"Bearer {llm.key}"
    times = httpx2.Timeout(llm.timeout, connect=min(CONNECT, llm.timeout))
    # The question goes where the settings say, or nowhere: no redirect may carry it elsewhere.
    return client.stream(
        "POST",
        endpoint(llm),
        json=_question(llm, prompt),
        headers=headers,
        timeout=times,
        follow_redirects=False,
    )


def _question(llm: Llm, prompt: str) -> dict[str, Any]:
    prompt = prompt.encode(errors="replace").decode()  # half a character cannot be sent
    if endpoint(llm).endswith("/api/generate"):
        return {"model": llm.model, "prompt": prompt, "stream": True}
    return {"model": llm.model, "messages": [{"role": "user", "content": prompt}], "stream": True}


def _so_far(answering: Answering) -> str:
    return f"{answering.length:,} characters" if answering.length else "thinking"


# ------------------------------------------------------------------ what goes wrong


async def _check(response: "httpx2.Response") -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    if response.is_redirect:
        raise NotAnswered(f"has moved (HTTP {status}); correct url in [llm]")
    words = f"HTTP {status}: {await _error_words(response)}"
    if status in (429, 503):
        raise Busy(words, _retry_after(response.headers.get("Retry-After", "")))
    mend = {
        401: "; correct key in [llm]",
        403: "; correct key in [llm]",
        404: "; correct model or url in [llm]",
    }
    raise NotAnswered(f"answered {words}{mend.get(status, '')}")


async def _error_words(response: "httpx2.Response") -> str:
    """What an error page says, in one line."""
    import json

    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ERROR_SIZE:
            break
    try:
        found = json.loads(content[:ERROR_SIZE])
    except (ValueError, RecursionError):
        found = None
    words = error_of(found) if isinstance(found, dict) else ""
    if not words and b"<" not in content[:200]:
        words = content[:ERROR_SIZE].decode(errors="replace")
    return words.strip() or response.reason_phrase or "no reason given"


def _retry_after(value: str) -> float | None:
    """Seconds, from a number or a date; None if neither was given."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - SystemClock.now())


def _fault(error: Exception, answering: Answering, timeout: float) -> str:
    import httpx2

    begun = answering.length or answering.thoughts
    if isinstance(error, httpx2.ConnectTimeout):
        return f"did not take the call within {in_words(min(CONNECT, timeout))}"
    if isinstance(error, httpx2.ReadTimeout):
        said = f"fell silent for {in_words(timeout)}" if begun else f"said nothing for {in_words(timeout)}"
        return f"{said}, {answering.so_far()}" if begun else said
    if isinstance(error, httpx2.ConnectError):
        return f"cannot be reached: {why(error)}"
    if begun:
        return f"was cut off in the middle of its answer, {answering.so_far()}"
    return f"hung up without an answer: {why(error)}"


def _one_line(llm: Llm, text: str) -> str:
    """`text` in one line of bearable length, without the key: some servers quote it."""
    if llm.key:
        text = text.replace(llm.key, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
