"""OpenCode: `opencode run --format json`.

Each step has its own cost and tokens, and all of them are charged. Success may follow an error, and many
versions exit with 0 after an error, so the last line decides. A step that has not finished, or that ends with
tool calls, is not the last one; anomalyco/opencode packages/opencode/src/cli/cmd/run.ts.
"""

from dataclasses import replace
from typing import Any

from scheduler.agents.documents import at, documents, money, said, total, total_money, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.executors.output import LEFT_OUT

_SENT = (("input",), ("cache", "read"), ("cache", "write"))
_MADE = (("output",), ("reasoning",))
_STEPS = ("step_start", "step_finish", "error")


def read(output: str) -> AgentReport:
    """Read the report; if the middle of the output was left out, the cost of its steps is unknown."""
    report = _read(documents(output))
    if LEFT_OUT.search(output):
        return replace(report, cost=None, tokens_in=None, tokens_out=None, turns=None)
    return report


def _read(lines: list[dict[str, Any]]) -> AgentReport:
    steps = [at(line, "part") for line in lines if line.get("type") == "step_finish"]
    last: dict[str, Any] = next((line for line in reversed(lines) if line.get("type") in _STEPS), {})
    return AgentReport(
        _ending(last, done=any(line.get("type") == "done" for line in lines)),
        total_money(money(at(step, "cost")) for step in steps),
        total(whole(at(step, "tokens", *path)) for step in steps for path in _SENT),
        total(whole(at(step, "tokens", *path)) for step in steps for path in _MADE),
        len(steps) or None,
        next((found for line in reversed(lines) if (found := words(line.get("sessionID")))), ""),
        next((text for line in reversed(lines) if (text := words(at(line, "part", "text")))), ""),
        failure=_failure(last.get("error")),
    )


def _ending(last: dict[str, Any], *, done: bool) -> Ending:
    if last.get("type") == "error":
        return Ending.ERROR
    over = last.get("type") == "step_finish" and at(last, "part", "reason") != "tool-calls"
    return Ending.OK if over or done else Ending.NO_RESULT


def _failure(error: Any) -> Failure:
    data = at(error, "data")
    retryable = "isRetryable true" if at(data, "isRetryable") is True else ""
    said_so = (
        words(at(error, "name")),
        said(data) or said(error),
        words(at(data, "responseBody")),
        retryable,
    )
    text = " ".join(filter(None, said_so))
    headers = at(data, "responseHeaders")
    known = {str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
    return Failure(text, whole(at(data, "statusCode")), known)
