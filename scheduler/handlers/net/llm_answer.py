"""Reads the answer of a language model as it streams in, and tells a whole one from a broken one."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.handlers.net.llm_thoughts import without_thoughts

LIMIT = 10 << 20  # bytes of a whole response
WORDS = 64 << 10  # characters kept of an answer, since a model that repeats itself never ends

_NOT_A_MODEL = "answers, but not as a language model does; correct url or api in [llm]"
# Servers' names for the end of a whole answer, and of one that was stopped. Any other reason is a failure:
# abort, error, safety, insufficient_system_resource, and those still to be invented.
_WHOLE = {"", "stop", "stop_sequence", "eos", "eos_token", "end_turn", "end_of_turn", "complete", "completed"}
_CUT = {"length", "max_tokens", "max_output_tokens", "model_length"}
_NO_ANSWER = {
    "tool_calls": "asked for a tool instead of answering",
    "function_call": "asked for a tool instead of answering",
    "content_filter": "had its answer withheld by a content filter",
    "load": "was only loaded, and sent no text",
    "unload": "was unloaded, and sent no text",
}
_ERRORS = ("error", "errors", "detail", "error_message", "error_msg", "exception", "fault")
_ERROR_WORDS = ("message", "msg", "status_msg", "detail", "reason", "error", "code", "type")


class NotAnswered(Exception):
    """There is no answer; the text is the reason."""


class AnswerReader:
    """Reads Ollama's lines, OpenAI's events, or one whole document: `feed` it bytes, then `end` it."""

    def __init__(self) -> None:
        self.begun = False  # an answer is on its way
        self.complete = False  # the last message has come, or the limit of WORDS is reached
        self.thoughts = self.length = 0  # characters of thinking, and of the answer
        self._text: list[str] = []
        self._rest = bytearray()  # a line without its end
        self._document = bytearray()  # lines that are not JSON singly, but may be together
        self._size = self._messages = 0
        self._reason = ""  # why the answer ended
        self._odd = ""  # a message of an unknown kind
        self._failing = False  # whether the current event is an error
        self.tokens_in: int | None = None  # as the server counts them
        self.tokens_out: int | None = None

    @property
    def counted(self) -> bool:
        """Whether the server has sent its count of tokens."""
        return self.tokens_in is not None and self.tokens_out is not None

    @property
    def cut(self) -> bool:
        """Whether the model was stopped before its end."""
        return self._reason in _CUT

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes; raises NotAnswered."""
        self._size += len(chunk)
        if self._size > LIMIT and not self.complete:
            raise NotAnswered(f"sent more than {LIMIT >> 20} MiB")
        self._rest += chunk
        if b"\n" in chunk or b"\r" in chunk:  # else a long line would be split again at every chunk
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
        if self._odd and self._messages:
            raise self._reported(self._odd)
        if self.length or self.thoughts:
            raise NotAnswered(f"broke off in the middle of its answer, {self.so_far()}")
        raise NotAnswered("ended without an answer" if self._messages else _NOT_A_MODEL)

    def so_far(self) -> str:
        """A text on how much has come."""
        return f"after {self.length:,} characters" if self.length else f"after {self.thoughts:,} of thinking"

    def _reported(self, error: str) -> NotAnswered:
        so_far = f", {self.so_far()}" if self.length or self.thoughts else ""
        return NotAnswered(f"reported an error{so_far}: {error}")

    def _line(self, line: bytes, last: bool = False) -> None:
        line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if self.complete:  # some servers send the count after the last word
            self._count(json_of(line.removeprefix(b"data:").strip()))
            return
        if not line or re.match(rb":|(id|retry):", line):
            return
        if event := re.match(rb"event:\s*(error)?", line):
            self._failing = bool(event[1])
        elif self._failing or line.startswith(b"error:"):  # llama.cpp has a special field for errors
            raise self._reported(_error_line(line.partition(b":")[2].strip()))
        else:
            self._data(line.removeprefix(b"data:").strip(), last)

    def _data(self, line: bytes, last: bool) -> None:
        if line == b"[DONE]":
            self._messages += 1
            self.complete = bool(self.length) and not self._odd
        elif isinstance(found := json_of(line), dict) and not self._document:
            self._message(found)
        elif not self._messages:
            self._document += line + b"\n"
        elif not last:  # the last line may be cut off: the answer is then incomplete
            raise NotAnswered(f"sent invalid JSON, {self.so_far()}")

    def _message(self, message: Any) -> None:
        if message is None:
            raise NotAnswered("sent invalid JSON; correct url or api in [llm]")
        if error := error_in(message):
            raise self._reported(error)
        if not isinstance(message, dict):
            raise NotAnswered(_NOT_A_MODEL)
        self._count(message)
        part, ended = _part(message)
        if part is None:
            self._odd = self._odd or ("" if _is_harmless(message) else json.dumps(message))
            return
        self._messages += 1
        self._add(part)
        if ended:
            self.complete, self._reason = True, self._reason or ended

    def _count(self, message: Any) -> None:
        """Take the token counts in the message, if any: Ollama's are in the last one, others' in `usage`."""
        if not isinstance(message, dict):
            return
        usage = message.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        sent = _whole(message.get("prompt_eval_count"), usage.get("prompt_tokens"))
        made = _whole(message.get("eval_count"), usage.get("completion_tokens"))
        self.tokens_in = self.tokens_in if sent is None else sent
        self.tokens_out = self.tokens_out if made is None else made

    def _add(self, part: Mapping[str, Any]) -> None:
        for name in ("thinking", "reasoning_content", "reasoning"):
            self.thoughts += len(_string(part.get(name)))
        if part.get("tool_calls"):
            self._reason = "tool_calls"
        text, refusal, thoughts = _content(part.get("content"))
        if refusal := _string(part.get("refusal")) or refusal:
            raise NotAnswered(f"refused: {refusal}")
        text = text[: WORDS - self.length]
        self._text.append(text)
        self.length, self.thoughts = self.length + len(text), self.thoughts + thoughts
        if self.length >= WORDS:
            self.complete, self._reason = True, "length"

    def _answer(self) -> str:
        kind = self._reason.partition(":")[0]  # Gemini's is content_filter: safety
        if kind in _NO_ANSWER:
            raise NotAnswered(_NO_ANSWER[kind])
        if self._reason not in _WHOLE | _CUT:
            raise self._reported(f"finish reason {self._reason}")
        # The halves of a surrogate pair may come in two messages, or one alone.
        whole = "".join(self._text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if answer := without_thoughts(whole):
            return answer
        if self.cut:
            raise NotAnswered("had no room left for an answer")
        raise NotAnswered("sent only its thoughts" if self.thoughts or whole.strip() else "sent no text")


def _part(message: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The part with the text in this message, None if it has none; and why it is the last, "" if not."""
    match message:
        case {"choices": [*choices]}:
            choice = _first_choice(choices)
            if choice is None:
                return None, ""
            part = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            ended = choice.get("finish_reason")
        case {"done": done}:
            part = message.get("message", {**message, "content": message.get("response")})
            ended = done is True and (message.get("done_reason") or "stop")
        case _:
            return None, ""
    ended = ended.get("type") if isinstance(ended, dict) else ended
    reason = str(ended or "").lower().removeprefix("finish_reason_")
    return (part if isinstance(part, dict) else {}), "" if reason in ("null", "none") else reason


def _first_choice(choices: Sequence[Any]) -> Mapping[str, Any] | None:
    """The piece of the first answer, if any; pieces of several answers come in any order."""
    return next((each for each in choices if isinstance(each, dict) and each.get("index") in (0, None)), None)


def _is_harmless(message: Mapping[str, Any]) -> bool:
    """Whether the message without text is just a ping or a count of tokens."""
    return bool({"choices", "usage", "timings", "object"} & message.keys()) or message.get("type") == "ping"


def _content(content: Any) -> tuple[str, str, int]:
    """The text, refusal and size of the thoughts in a content, which may be a list of parts."""
    parts = content if isinstance(content, list) else [content]
    text, refusal, thoughts = "", "", 0
    for part in parts:
        if not isinstance(part, dict):
            text += _string(part)
        elif part.get("type", "text") in ("text", "output_text"):
            text += _string(part.get("text"))
        else:
            refusal += _string(part.get("refusal"))
            thoughts += len(str(part))
    return text, refusal, thoughts


def _whole(*values: Any) -> int | None:
    """The first of these values that is a count."""
    counts = (each for each in values if isinstance(each, int) and not isinstance(each, bool) and each >= 0)
    return next(counts, None)


def _string(value: Any) -> str:
    value = value.get("value") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


# ------------------------------------------------------------------ errors


def error_in(message: Any) -> str:
    """The server's own words if this message is an error, under any key; else ""."""
    if isinstance(message, list):  # Gemini's errors
        return error_in(message[0]) if message and isinstance(message[0], dict) else ""
    if not isinstance(message, dict):
        return ""
    choices = message.get("choices")
    first = _first_choice(choices) if isinstance(choices, list) else None
    groq = message.get("x_groq")  # Groq's place for an error inside a stream
    inner = [each.get("error") for each in (first, groq) if isinstance(each, dict)]
    for found in (*(message.get(key) for key in _ERRORS), *inner):
        if found:
            return _words(message if found is True else found)
    called = "error" in [message.get(key) for key in ("object", "type", "status")]
    bare = not {"choices", "done"} & message.keys() and isinstance(message.get("message"), str)
    return _words(message) if called or bare else ""


def _error_line(line: bytes) -> str:
    found = json_of(line)
    return _words(found) if found else line.decode(errors="replace")


def _words(found: Any) -> str:
    if isinstance(found, list) and found:
        return _words(found[0])
    if isinstance(found, dict):
        named = (found.get(key) for key in _ERROR_WORDS)
        inner = next((each for each in named if each and each is not True), None)
        return _words(inner) if inner else json.dumps(found)
    return str(found)


def json_of(data: bytes | bytearray) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
