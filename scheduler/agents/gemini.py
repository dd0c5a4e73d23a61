"""Gemini CLI: `gemini --output-format json`, or `stream-json`.

Several models may share a run: their tokens add up, and `prompt` holds the cached part;
google-gemini/gemini-cli docs/cli/headless.md.
"""

from typing import Any

from scheduler.agents.documents import at, documents, total, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending


def read(output: str) -> AgentReport:
    lines = documents(output)
    session = next((found for line in reversed(lines) if (found := words(line.get("session_id")))), "")
    ended = next((line for line in reversed(lines) if _is_end(line)), None)
    if ended is None:
        return AgentReport(session=session)
    failed = ended.get("error") is not None or ended.get("status") == "error"
    sent, made = _tokens(ended)
    limit = "TurnLimit" in words(at(ended, "error", "type"))
    return AgentReport(
        Ending.TURN_LIMIT if limit else Ending.ERROR if failed else Ending.OK,
        tokens_in=sent,
        tokens_out=made,
        session=session,
        failure=_failure(ended.get("error")),
    )


def _is_end(line: dict[str, Any]) -> bool:
    """A whole document, or the last line of a stream."""
    return line.get("type") == "result" or (
        "type" not in line and bool({"response", "stats", "error"} & line.keys())
    )


def _tokens(ended: dict[str, Any]) -> tuple[int | None, int | None]:
    models = at(ended, "stats", "models")
    if not isinstance(models, dict):
        return whole(at(ended, "stats", "input_tokens")), whole(at(ended, "stats", "output_tokens"))
    used = [at(model, "tokens") for model in models.values()]
    sent = total(whole(at(tokens, "prompt")) for tokens in used)
    return sent, total(whole(at(tokens, key)) for tokens in used for key in ("candidates", "thoughts"))


def _failure(error: Any) -> Failure:
    code = at(error, "code")
    text = " ".join(filter(None, (words(at(error, "type")), words(code), words(at(error, "message")))))
    return Failure(text, whole(code))
