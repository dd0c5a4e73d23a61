"""Reads what a language model answers: Ollama's lines, OpenAI's events, or one whole document."""

import json
import re
from collections.abc import Mapping
from typing import Any

LIMIT = 10 << 20  # bytes of an answer with all that is around it
WORDS = 64 << 10  # characters that are kept: a model that talks in circles never ends
_STRANGER = "answers, but not as a language model does; correct url or api in [llm]"
_NO_WORDS = {
    "tool_calls": "asked for a tool instead of answering",
    "content_filter": "had its answer withheld by a content filter",
    "load": "was only loaded, and said nothing",
    "unload": "was unloaded, and said nothing",
    "length": "had no room left for an answer",
}


class NotAnswered(Exception):
    """Why this is no answer, in words."""


class Broken(NotAnswered):
    """This is no JSON; of the last line that may only mean that the rest of it is missing."""


class Answering:
    """An answer as it comes in: feed it bytes, then end it."""

    def __init__(self) -> None:
        self.complete = False  # its last line was seen, or as much of it as is kept
        self.thoughts = 0  # characters of thinking aloud
        self.length = 0  # characters of the answer
        self._words: list[str] = []
        self._rest = bytearray()
        self._size = 0
        self._unread = bytearray()  # what is no JSON line by line, and may be JSON as a whole
        self._messages = 0
        self._why = ""
        self._wants_tool = False

    @property
    def cut(self) -> bool:
        """Whether the model was stopped before it had said all."""
        return self._why == "length"

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes; raises NotAnswered."""
        self._size += len(chunk)
        if self._size > LIMIT:
            raise NotAnswered(f"went on for more than {LIMIT >> 20} MiB")
        self._rest += chunk
        if b"\n" in chunk or b"\r" in chunk:  # else a long line would be split again with every chunk
            *lines, self._rest = self._rest.replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                if not self.complete:
                    self._line(bytes(line))

    def end(self) -> str:
        """The whole text, once nothing more comes; raises NotAnswered if that was not all."""
        if not self.complete and self._rest:
            self._last_line()
        if not self._messages and self._unread.strip():
            self._take(_json(bytes(self._unread)))
        if not self.complete:
            self._blame()
        return self._text()

    def _blame(self) -> None:
        if self.length or self.thoughts:
            raise NotAnswered(f"broke off in the middle of its answer, {self.so_far()}")
        raise NotAnswered("ended without an answer" if self._messages else _STRANGER)

    def so_far(self) -> str:
        """How much there is already."""
        return f"after {self.length:,} characters" if self.length else f"after {self.thoughts:,} of thinking"

    def _line(self, line: bytes) -> None:
        line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if line.startswith(b"data:"):
            self._data(line[5:].strip())
        elif line and not re.match(rb":|(event|id|retry):", line):
            self._json_line(line)

    def _data(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._messages += 1
            self.complete = self.complete or bool(self.length)
        elif data:
            self._take(_json(data))

    def _json_line(self, line: bytes) -> None:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and not self._unread:
            self._take(found)
        elif self._messages:
            raise Broken(f"sent something that is no JSON, {self.so_far()}")
        else:
            self._unread += line + b"\n"

    def _last_line(self) -> None:
        """Without a line end it may be half a line: then the answer is incomplete, not nonsense."""
        try:
            self._line(bytes(self._rest))
        except Broken:
            if not self._messages:
                raise

    def _take(self, message: Mapping[str, Any]) -> None:
        if error := error_of(message):
            place = f", {self.so_far()}" if self._messages and (self.length or self.thoughts) else ""
            raise NotAnswered(f"reported an error{place}: {error}")
        part, ended = _part(message)
        if part is None:
            return  # a ping, or a count of tokens
        self._messages += 1
        self._hear(part)
        if ended:
            self.complete, self._why = True, self._why or ended  # it may be full already

    def _hear(self, part: Mapping[str, Any]) -> None:
        for name in ("thinking", "reasoning_content", "reasoning"):
            if isinstance(thought := part.get(name), str):
                self.thoughts += len(thought)
        self._wants_tool = self._wants_tool or bool(part.get("tool_calls"))
        words = _words(part)
        self._words.append(words[: WORDS - self.length])
        self.length += len(self._words[-1])
        if self.length >= WORDS:
            self.complete, self._why = True, "length"
        if isinstance(refusal := part.get("refusal"), str) and refusal:
            raise NotAnswered(f"refused: {refusal}")

    def _text(self) -> str:
        # Halves of a character outside the first plane may come in two messages, or alone.
        whole = "".join(self._words).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        said = re.sub(r"<think(?:ing)?>.*?(</think(?:ing)?>|\Z)", "", whole, flags=re.DOTALL).strip()
        if not said:
            thought = "said nothing beside its thoughts" if self.thoughts or whole.strip() else "said nothing"
            raise NotAnswered(_NO_WORDS.get("tool_calls" if self._wants_tool else self._why, thought))
        return said


def error_of(message: Mapping[str, Any]) -> str:
    """The error that a message is, in words; "" if it is none."""
    error = message.get("error")
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("code") or json.dumps(error, default=str)
    return str(error) if error else ""


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Broken("sent something that is no JSON; correct url or api in [llm]") from error
    if not isinstance(found, dict):
        raise NotAnswered(_STRANGER)
    return found


def _part(message: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """What is said in this message, None if it is about something else; and why it is the last one."""
    if isinstance(choices := message.get("choices"), list):
        return _choice(choices[0]) if choices and isinstance(choices[0], dict) else (None, "")
    if "done" not in message:
        return None, ""
    said = message.get("message", {"content": message.get("response"), "thinking": message.get("thinking")})
    ended = str(message.get("done_reason") or "stop") if message["done"] is True else ""
    return (said if isinstance(said, dict) else {}), ended


def _choice(choice: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    said = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
    return (said if isinstance(said, dict) else {}), str(choice.get("finish_reason") or "")


def _words(part: Mapping[str, Any]) -> str:
    content = part.get("content")
    if isinstance(content, list):  # parts, each with a text
        content = "".join(str(each.get("text") or "") for each in content if isinstance(each, dict))
    return content if isinstance(content, str) else ""
