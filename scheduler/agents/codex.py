"""Codex CLI: `codex exec --json`.

The tokens of a turn are the thread's total, and an `error` line may be followed by success: the last turn
decides; openai/codex codex-rs/exec/src/exec_events.rs.
"""

from scheduler.agents.documents import at, documents, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending

_ENDINGS = {"turn.completed": Ending.OK, "turn.failed": Ending.ERROR, "error": Ending.NO_RESULT}


def read(output: str) -> AgentReport:
    lines = documents(output)
    sessions = [words(line.get("thread_id")) for line in lines if line.get("type") == "thread.started"]
    turns = [line for line in lines if line.get("type") in ("turn.completed", "turn.failed")]
    usage = next((at(turn, "usage") for turn in reversed(turns) if turn["type"] == "turn.completed"), None)
    errors = [line for line in lines if line.get("type") in ("error", "turn.failed")]
    why = (words(at(line, "error", "message")) or words(line.get("message")) for line in reversed(errors))
    last = turns[-1]["type"] if turns else "error"
    return AgentReport(
        Ending.ERROR if not turns and errors else _ENDINGS[last],
        tokens_in=whole(at(usage, "input_tokens")),
        tokens_out=whole(at(usage, "output_tokens")),
        turns=len(turns) or None,
        session=sessions[-1] if sessions else "",
        failure=Failure(next(why, "")),
    )
