"""Goose: `goose run --output-format json`, or `stream-json`.

Older versions report a wrong status and exit code when the provider fails, so an `error` line outranks both;
aaif-goose/goose crates/goose-cli/src/session/mod.rs.
"""

from typing import Any

from scheduler.agents.documents import at, documents, money, said, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending

_FINE = ("", "completed", "success")
_APOLOGY = (
    "Ran into this error",
    "retry if you think this is a transient",
)  # an answer of Goose, not of a model


def read(output: str) -> AgentReport:
    lines = documents(output)
    errors = [line.get("error") for line in lines if line.get("type") == "error"]
    ended = _end(lines)
    status = words(at(ended, "status"))
    answer = _answer(lines)
    spoken = answer if all(part in answer for part in _APOLOGY) else ""
    failed = bool(errors or spoken) or status not in _FINE
    ending = Ending.ERROR if failed else Ending.OK if ended is not None else Ending.NO_RESULT
    return AgentReport(
        ending,
        money(at(ended, "cost_usd")),
        whole(at(ended, "input_tokens")),
        whole(at(ended, "output_tokens")),
        summary=answer,
        failure=Failure(said(errors[-1]) if errors else spoken or said(at(ended, "error")) or status),
    )


def _answer(lines: list[dict[str, Any]]) -> str:
    """Its last message: one of a whole document, or the pieces of one id on many lines."""
    messages = [at(line, "message") for line in lines if line.get("type") == "message"]
    for line in lines:
        messages += line["messages"] if isinstance(line.get("messages"), list) else []
    spoken = [message for message in messages if at(message, "role") == "assistant"]
    same = at(spoken[-1], "id") if spoken else None
    last = [message for message in spoken if at(message, "id") == same] if same else spoken[-1:]
    answer, new = "", True
    contents = (content for message in last if isinstance(content := at(message, "content"), list))
    for part in (part for content in contents for part in content):
        text = words(at(part, "text"))
        answer, new = (text if new and text else answer + text), not text
    return answer


def _end(lines: list[dict[str, Any]]) -> Any:
    """The object about the run, from a whole document or the last line of a stream."""
    for line in reversed(lines):
        if "type" not in line and "metadata" in line:
            return line["metadata"]
        if line.get("type") == "complete":
            return line.get("metadata") or line
    return None
