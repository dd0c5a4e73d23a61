"""Asks a language model (Ollama or OpenAI's protocol) and reads its answer as it streams in."""

import json
import re
from asyncio import sleep, to_thread
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scheduler.core.schedule import in_words
from scheduler.core.task import Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import new_client, retry_after, why
from scheduler.handlers.net.urls import redacted
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    import httpx2

CONNECT = 10.0  # seconds to connect
TRIES = 3  # requests, while the server is busy
PATIENCE = 120.0  # seconds at most between two of them
ERROR_SIZE = 64 << 10  # bytes read of an error page
WIDTH = 300  # characters of an error message
LIMIT = 10 << 20  # bytes of a whole response
WORDS = 64 << 10  # characters kept of an answer: a model that repeats itself never ends

_NOT_A_MODEL = "answers, but not as a language model does; correct url or api in [llm]"
_THINKING = re.compile(r"<think(?:ing)?>.*?(</think(?:ing)?>|\Z)", re.DOTALL)
_NO_TEXT = {
    "tool_calls": "asked for a tool instead of answering",
    "content_filter": "had its answer withheld by a content filter",
    "load": "was only loaded, and sent no text",
    "unload": "was unloaded, and sent no text",
    "length": "had no room left for an answer",
}
_FIXES = {
    401: "; correct key in [llm]",
    403: "; correct key in [llm]",
    404: "; correct model or url in [llm]",
}

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's text and the seconds it took; `cut` if the model was stopped before its end."""

    text: str
    model: str
    duration: float
    cut: bool = False


class NotAnswered(Exception):
    """Why there is no answer."""


class Busy(Exception):
    """The server is busy; `wait` are the seconds it asks for."""

    def __init__(self, text: str, wait: float | None) -> None:
        super().__init__(text)
        self.wait = wait


async def ask(llm: Llm, prompt: str, progress: Progress) -> Answer:
    """The model's answer; raises TaskFailed with one line, which never holds the key."""
    began = SystemClock.elapsed()
    try:
        async with await to_thread(new_client) as client:
            reader = await _ask_with_retries(client, llm, prompt, progress)
        text = reader.end()
    except NotAnswered as error:
        raise TaskFailed(_one_line(llm, f"{describe_model(llm)} {error}")) from None
    return Answer(text, llm.model, round(SystemClock.elapsed() - began, 1), reader.cut)


def describe_model(llm: Llm) -> str:
    """The model and its server; of an address from .env only the host."""
    return f"{llm.model} at {redacted(llm.url)}"


def endpoint(llm: Llm) -> str:
    """The address to ask: `url` itself if it names an endpoint."""
    if llm.url.endswith(("/api/chat", "/api/generate", "/chat/completions")):
        return llm.url
    if llm.api == "ollama":
        return f"{llm.url.removesuffix('/api')}/api/chat"
    base = llm.url if re.search(r"/v\d\w*$", llm.url) else f"{llm.url}/v1"
    return f"{base}/chat/completions"


# ------------------------------------------------------------------ the request


async def _ask_with_retries(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress
) -> "AnswerReader":
    for attempt in range(1, TRIES + 1):
        try:
            return await _ask_once(client, llm, prompt, progress)
        except Busy as busy:
            wait = float(2**attempt) if busy.wait is None else busy.wait
            if attempt == TRIES or wait > PATIENCE:
                times = "once" if attempt == 1 else f"{attempt} times"
                limited = f"; rate limited for {in_words(wait)}" if busy.wait and wait > 1 else ""
                raise NotAnswered(f"is busy, asked {times}: {busy}{limited}") from None
            progress(0, 0, f"busy, asks again in {in_words(max(1, round(wait)))}")
            await sleep(wait)
    raise AssertionError("the last attempt returns or raises")


async def _ask_once(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str, progress: Progress
) -> "AnswerReader":
    import httpx2

    reader = AnswerReader()
    progress(0, 0, f"waits for {llm.model}")
    try:
        async with _post(client, llm, prompt) as response:
            if not response.is_success:
                await _refused(response)
            async for chunk in response.aiter_raw():
                reader.feed(chunk)
                progress(reader.length, 0, f"{reader.length:,} characters" if reader.length else "thinking")
                if reader.complete:
                    break
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotAnswered(_broken(error, reader, llm.timeout)) from None
    return reader


def _post(
    client: "httpx2.AsyncClient", llm: Llm, prompt: str
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
    body = {"model": llm.model, **question, "stream": True}
    # A redirect must not carry the prompt to another address than the settings name.
    return client.stream("POST", url, json=body, headers=headers, timeout=times, follow_redirects=False)


async def _refused(response: "httpx2.Response") -> None:
    status = response.status_code
    if response.is_redirect:
        raise NotAnswered(f"has moved (HTTP {status}); correct url in [llm]")
    text = f"HTTP {status}: {await _error_page(response)}"
    if status in (429, 503):
        raise Busy(text, retry_after(response.headers.get("Retry-After", "")))
    raise NotAnswered(f"answered {text}{_FIXES.get(status, '')}")


async def _error_page(response: "httpx2.Response") -> str:
    """The message of an error page, from its JSON or its plain text."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ERROR_SIZE:
            break
    found = _json(content[:ERROR_SIZE])
    text = _error_in(found) if isinstance(found, dict) else ""
    if not text and b"<" not in content[:200]:
        text = content[:ERROR_SIZE].decode(errors="replace")
    return text.strip() or response.reason_phrase or "no reason given"


def _broken(error: Exception, reader: "AnswerReader", timeout: float) -> str:
    import httpx2

    begun = reader.length or reader.thoughts
    match error:
        case httpx2.ConnectTimeout():
            return f"did not accept a connection within {in_words(min(CONNECT, timeout))}"
        case httpx2.ReadTimeout() if begun:
            return f"fell silent for {in_words(timeout)}, {reader.so_far()}"
        case httpx2.ReadTimeout():
            return f"sent nothing for {in_words(timeout)}"
        case httpx2.ConnectError():
            return f"cannot be reached: {why(error)}"
    if begun:
        return f"was cut off in the middle of its answer, {reader.so_far()}"
    return f"hung up without an answer: {why(error)}"


def _one_line(llm: Llm, text: str) -> str:
    """`text` as one line of at most WIDTH characters, without the key: some servers quote it."""
    if llm.key:
        text = text.replace(llm.key, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


# ------------------------------------------------------------------ the answer


class AnswerReader:
    """Reads Ollama's lines, OpenAI's events, or one whole document: `feed` it bytes, then `end` it."""

    def __init__(self) -> None:
        self.complete = False  # the last message has come, or WORDS characters
        self.thoughts = self.length = 0  # characters of thinking, and of the answer
        self._text: list[str] = []
        self._rest = bytearray()  # a line without its end
        self._document = bytearray()  # lines that are not JSON, but may be together
        self._size = self._messages = 0
        self._reason = ""  # why the answer ended

    @property
    def cut(self) -> bool:
        """Whether the model was stopped before its end."""
        return self._reason == "length"

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes; raises NotAnswered."""
        self._size += len(chunk)
        if self._size > LIMIT:
            raise NotAnswered(f"sent more than {LIMIT >> 20} MiB")
        self._rest += chunk
        if b"\n" in chunk or b"\r" in chunk:  # else a long line would be split again with every chunk
            *lines, self._rest = self._rest.replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                self._line(bytes(line))

    def end(self) -> str:
        """The whole text; raises NotAnswered if some of it is missing."""
        self._line(bytes(self._rest), last=True)
        if not self._messages and self._document:
            self._message(_json(self._document))
        if self.complete:
            return self._answer()
        if self.length or self.thoughts:
            raise NotAnswered(f"broke off in the middle of its answer, {self.so_far()}")
        raise NotAnswered("ended without an answer" if self._messages else _NOT_A_MODEL)

    def so_far(self) -> str:
        """How much has come."""
        return f"after {self.length:,} characters" if self.length else f"after {self.thoughts:,} of thinking"

    def _line(self, line: bytes, last: bool = False) -> None:
        line = line.removeprefix(b"\xef\xbb\xbf").strip().removeprefix(b"data:").strip()
        if self.complete or not line or re.match(rb":|(event|id|retry):", line):
            return
        if line == b"[DONE]":
            self._messages += 1
            self.complete = bool(self.length)
        elif isinstance(found := _json(line), dict) and not self._document:
            self._message(found)
        elif not self._messages:
            self._document += line + b"\n"
        elif not last:  # the last line may be half of one: then the answer is incomplete
            raise NotAnswered(f"sent invalid JSON, {self.so_far()}")

    def _message(self, message: Any) -> None:
        if message is None:
            raise NotAnswered("sent invalid JSON; correct url or api in [llm]")
        if not isinstance(message, dict):
            raise NotAnswered(_NOT_A_MODEL)
        if error := _error_in(message):
            so_far = f", {self.so_far()}" if self.length or self.thoughts else ""
            raise NotAnswered(f"reported an error{so_far}: {error}")
        part, ended = _part(message)
        if part is None:
            return  # a ping, or a count of tokens
        self._messages += 1
        self._add(part)
        if ended:
            self.complete, self._reason = True, self._reason or ended

    def _add(self, part: Mapping[str, Any]) -> None:
        for name in ("thinking", "reasoning_content", "reasoning"):
            self.thoughts += len(_string(part.get(name)))
        if part.get("tool_calls"):
            self._reason = "tool_calls"
        if refusal := _string(part.get("refusal")):
            raise NotAnswered(f"refused: {refusal}")
        text = _string(part.get("content"))[: WORDS - self.length]
        self._text.append(text)
        self.length += len(text)
        if self.length >= WORDS:
            self.complete, self._reason = True, "length"

    def _answer(self) -> str:
        # The halves of a surrogate pair may come in two messages, or alone.
        whole = "".join(self._text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if answer := _THINKING.sub("", whole).strip():
            return answer
        thought = "sent only its thoughts" if self.thoughts or whole.strip() else "sent no text"
        raise NotAnswered(_NO_TEXT.get(self._reason, thought))


def _part(message: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The text in this message, None if it holds something else; and why it is the last one."""
    match message:
        case {"choices": [dict() as choice, *_]}:
            part = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            ended = choice.get("finish_reason")
        case {"done": done}:
            part = message.get("message", {**message, "content": message.get("response")})
            ended = done is True and (message.get("done_reason") or "stop")
        case _:
            return None, ""
    return (part if isinstance(part, dict) else {}), str(ended or "")


def _string(content: Any) -> str:
    if isinstance(content, list):  # parts, each with a text
        content = "".join(str(each.get("text") or "") for each in content if isinstance(each, dict))
    return content if isinstance(content, str) else ""


def _error_in(message: Mapping[str, Any]) -> str:
    error = message.get("error")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or json.dumps(error, default=str)
    return str(error) if error else ""


def _json(data: bytes | bytearray) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
