"""Gemini CLI: `gemini --output-format json`, or `stream-json`.

Several models may share a run: their tokens add up, and `prompt` holds the cached part;
google-gemini/gemini-cli docs/cli/headless.md.
"""

from typing import Any

from scheduler.agents.documents import at, documents, total, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage


def read(output: str) -> AgentReport:
    lines = documents(output)
    session = next((found for line in reversed(lines) if (found := words(line.get("session_id")))), "")
    ended = next((line for line in reversed(lines) if _is_end(line)), None)
    if ended is None:
        return AgentReport(session=session)
    failed = ended.get("error") is not None or ended.get("status") == "error"
    used = _used(ended)
    limit = "TurnLimit" in words(at(ended, "error", "type"))
    return AgentReport(
        Ending.TURN_LIMIT if limit else Ending.ERROR if failed else Ending.OK,
        tokens_in=total(each.tokens_in for each in used),
        tokens_out=total(each.tokens_out for each in used),
        session=session,
        used=used,
        failure=_failure(ended.get("error")),
    )


def _is_end(line: dict[str, Any]) -> bool:
    """A whole document, or the last line of a stream."""
    return line.get("type") == "result" or (
        "type" not in line and bool({"response", "stats", "error"} & line.keys())
    )


def _used(ended: dict[str, Any]) -> tuple[Usage, ...]:
    models = at(ended, "stats", "models")
    if not isinstance(models, dict):
        sent, made = (whole(at(ended, "stats", key)) for key in ("input_tokens", "output_tokens"))
        return (Usage("", sent, made),)
    return tuple(_of_model(name, at(model, "tokens")) for name, model in models.items())


def _of_model(name: str, tokens: Any) -> Usage:
    made = total(whole(at(tokens, key)) for key in ("candidates", "thoughts"))
    return Usage(name, whole(at(tokens, "prompt")), made)


def _failure(error: Any) -> Failure:
    code = at(error, "code")
    text = " ".join(filter(None, (words(at(error, "type")), words(code), words(at(error, "message")))))
    return Failure(text, whole(code))
