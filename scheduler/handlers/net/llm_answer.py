"""Reads the answer of a language model as it streams in, and tells a whole one from half of one."""

import json
import re
from collections.abc import Mapping
from typing import Any

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


class NotAnswered(Exception):
    """Why there is no answer."""


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
            self._message(json_of(self._document))
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
        elif isinstance(found := json_of(line), dict) and not self._document:
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
        if error := error_in(message):
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


def error_in(message: Mapping[str, Any]) -> str:
    error = message.get("error")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or json.dumps(error, default=str)
    return str(error) if error else ""


def json_of(data: bytes | bytearray) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
