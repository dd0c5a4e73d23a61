"""Codex CLI: `codex exec --json`.

The tokens of a turn are the thread's total, and success may follow an `error` line, so the last turn decides;
openai/codex codex-rs/exec/src/exec_events.rs.
"""

from typing import Any

from scheduler.agents.documents import at, documents, said, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending

_ENDINGS = {"turn.completed": Ending.OK, "turn.failed": Ending.ERROR, "turn.started": Ending.NO_RESULT}
_RETRIED = "reconnecting"  # an error after which it goes on


def read(output: str) -> AgentReport:
    lines = documents(output)
    sessions = [words(line.get("thread_id")) for line in lines if line.get("type") == "thread.started"]
    turns = [line for line in lines if line.get("type") in ("turn.completed", "turn.failed")]
    used = [usage for turn in turns if isinstance(usage := turn.get("usage"), dict)]
    usage = used[-1] if used else None
    errors = [why for line in lines if (why := _error(line)) and not why.lower().startswith(_RETRIED)]
    return AgentReport(
        _ending(lines, errors),
        tokens_in=whole(at(usage, "input_tokens")),
        tokens_out=whole(at(usage, "output_tokens")),
        turns=len(turns) or None,
        session=next(filter(None, reversed(sessions)), ""),
        summary=next((text for line in reversed(lines) if (text := _answer(line))), ""),
        failure=Failure(errors[-1] if errors else ""),
    )


def _answer(line: dict[str, Any]) -> str:
    is_answer = at(line, "item", "type") == "agent_message"
    return words(at(line, "item", "text")) if is_answer else ""


def _error(line: dict[str, Any]) -> str:
    if line.get("type") not in ("error", "turn.failed"):
        return ""
    return said(line.get("error")) or words(line.get("message"))


def _ending(lines: list[dict[str, Any]], errors: list[str]) -> Ending:
    """The ending of the last turn; an interrupted one has none, but perhaps a final error."""
    last = next((kind for line in reversed(lines) if (kind := words(line.get("type"))) in _ENDINGS), "")
    ending = _ENDINGS.get(last, Ending.NO_RESULT)
    return Ending.ERROR if ending is Ending.NO_RESULT and errors else ending
