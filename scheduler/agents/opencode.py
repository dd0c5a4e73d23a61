"""OpenCode: `opencode run --format json`.

Each step has its own cost and tokens, which stand beside each other and are all charged. An error may be
followed by success, and the exit code of many versions is 0 in spite of one: the last line decides;
anomalyco/opencode packages/opencode/src/cli/cmd/run.ts.
"""

from typing import Any

from scheduler.agents.documents import at, documents, money, total, total_money, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending

_SENT = (("input",), ("cache", "read"), ("cache", "write"))
_MADE = (("output",), ("reasoning",))


def read(output: str) -> AgentReport:
    lines = documents(output)
    steps = [at(line, "part") for line in lines if line.get("type") == "step_finish"]
    ends = [line for line in lines if line.get("type") in ("step_finish", "error")]
    last = ends[-1] if ends else {}
    return AgentReport(
        {"step_finish": Ending.OK, "error": Ending.ERROR}.get(words(last.get("type")), Ending.NO_RESULT),
        total_money(money(at(step, "cost")) for step in steps),
        total(whole(at(step, "tokens", *path)) for step in steps for path in _SENT),
        total(whole(at(step, "tokens", *path)) for step in steps for path in _MADE),
        len(steps) or None,
        next((found for line in reversed(lines) if (found := words(line.get("sessionID")))), ""),
        failure=_failure(last.get("error")),
    )


def _failure(error: Any) -> Failure:
    data = at(error, "data")
    retryable = "isRetryable true" if at(data, "isRetryable") is True else ""
    text = " ".join(filter(None, (words(at(error, "name")), words(at(data, "message")), retryable)))
    headers = at(data, "responseHeaders")
    known = {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    return Failure(text, whole(at(data, "statusCode")), known)
