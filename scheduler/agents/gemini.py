"""Gemini CLI: `gemini --output-format json`, or `stream-json`.

Several models may share a run: their tokens add up, and `prompt` holds the cached part;
google-gemini/gemini-cli docs/cli/headless.md.
"""

import re
from dataclasses import replace
from typing import Any

from scheduler.agents.documents import at, documents, plain_text, said, total, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage

SIGN_IN_EXIT, TURN_LIMIT_EXIT = 41, 53  # packages/core/src/utils/errors.ts

_SAYS_NOTHING = "An unknown error occurred"
_TURN_LIMIT = re.compile(r"TurnLimit|session ?turns", re.IGNORECASE)


def read(output: str) -> AgentReport:
    lines = documents(output)
    session = next((found for line in reversed(lines) if (found := words(line.get("session_id")))), "")
    ended = next((line for line in reversed(lines) if _is_end(line)), None) or _last_error(lines)
    if ended is None:
        return AgentReport(session=session)
    failed = ended.get("error") is not None or ended.get("status") == "error"
    used = _used(ended)
    failure = _failure(ended.get("error"))
    if _SAYS_NOTHING in failure.text:  # the reason stands before it, as text
        failure = replace(failure, text=f"{plain_text(output)}\n{failure.text}")
    limit = bool(_TURN_LIMIT.search(failure.text)) or failure.status == TURN_LIMIT_EXIT
    return AgentReport(
        Ending.TURN_LIMIT if limit else Ending.ERROR if failed else Ending.OK,
        tokens_in=total(each.tokens_in for each in used),
        tokens_out=total(each.tokens_out for each in used),
        session=session,
        summary=words(ended.get("response")) or _streamed(lines),
        used=used,
        failure=failure,
    )


def _is_end(line: dict[str, Any]) -> bool:
    """Whether this is a whole document, or the last line of a stream."""
    return line.get("type") == "result" or ("type" not in line and bool({"response", "stats"} & line.keys()))


def _streamed(lines: list[dict[str, Any]]) -> str:
    """The model's last answer, which a stream sends in pieces."""
    pieces: list[str] = []
    for line in lines:
        if line.get("type") == "message" and line.get("role") == "assistant":
            pieces.append(words(line.get("content")))
        elif line.get("type") == "tool_use":
            pieces.clear()
    return "".join(pieces)


def _last_error(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((line for line in reversed(lines) if "type" not in line and "error" in line), None)


def _used(ended: dict[str, Any]) -> tuple[Usage, ...]:
    models = at(ended, "stats", "models")
    if not isinstance(models, dict):
        sent, made = (whole(at(ended, "stats", key)) for key in ("input_tokens", "output_tokens"))
        return (Usage("", sent, made),)
    return tuple(_of_model(name, model) for name, model in models.items())


def _of_model(name: str, model: Any) -> Usage:
    """The usage of one model: in a document below `tokens`, in a stream by the names of the totals."""
    tokens = at(model, "tokens")
    if tokens is None:
        return Usage(name, *(whole(at(model, key)) for key in ("input_tokens", "output_tokens")))
    made = total(whole(at(tokens, key)) for key in ("candidates", "thoughts"))
    return Usage(name, whole(at(tokens, "prompt")), made)


def _failure(error: Any) -> Failure:
    code = at(error, "code")
    number = int(code) if isinstance(code, str) and code.isdecimal() and len(code) < 5 else whole(code)
    text = " ".join(filter(None, (words(at(error, "type")), words(code), said(error))))
    return Failure(text, 401 if number == SIGN_IN_EXIT else number)
