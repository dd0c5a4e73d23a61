"""Claude Code: `claude -p --output-format json`, or `stream-json`.

`subtype` and `is_error` can disagree, and a result may quote another one; code.claude.com/docs/en/headless.
"""

from collections.abc import Iterator
from typing import Any

from scheduler.agents.documents import at, documents, money, said, total, total_money, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage

_LIMITS = {"error_max_turns": Ending.TURN_LIMIT, "error_max_budget_usd": Ending.BUDGET_LIMIT}
_SENT_TO = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
_SENT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read(output: str) -> AgentReport:
    lines = documents(output)
    results = [line for line in lines if line.get("type") == "result"]
    session = next((found for line in reversed(lines) if (found := words(line.get("session_id")))), "")
    if not results:
        return AgentReport(session=session, failure=_last_failure(lines))
    # The cost of a session is a running total, so its last result counts; the costs of two sessions add up.
    last_ones = {words(result.get("session_id")): result for result in results}
    return AgentReport(
        _ending(results[-1]),
        total_money(money(result.get("total_cost_usd")) for result in last_ones.values()),
        total(whole(at(result, "usage", key)) for result in results for key in _SENT),
        total(whole(at(result, "usage", "output_tokens")) for result in results),
        total(whole(result.get("num_turns")) for result in results),
        session,
        words(results[-1].get("result")),
        used=tuple(used for result in last_ones.values() for used in _used(result)),
        failure=_failure(results[-1], lines),
    )


def _used(result: dict[str, Any]) -> Iterator[Usage]:
    models = result.get("modelUsage")
    for name, used in models.items() if isinstance(models, dict) else ():
        sent = total(whole(at(used, key)) for key in _SENT_TO)
        yield Usage(name, sent, whole(at(used, "outputTokens")))


def _ending(result: dict[str, Any]) -> Ending:
    subtype = words(result.get("subtype"))
    if subtype in _LIMITS:
        return _LIMITS[subtype]
    return Ending.ERROR if result.get("is_error") or subtype.startswith("error") else Ending.OK


def _failure(result: dict[str, Any], lines: list[dict[str, Any]]) -> Failure:
    errors = result.get("errors")
    listed = "; ".join(map(said, errors)) if isinstance(errors, list) else ""
    text = words(result.get("result")) or listed or said(result.get("error"))
    return Failure(
        text + _rejection(lines), whole(result.get("api_error_status")), resets_at=_resets_at(lines)
    )


def _last_failure(lines: list[dict[str, Any]]) -> Failure:
    """The failure of a run without a result: the error in the last answer, and when the limit is reset."""
    answers = [line for line in lines if line.get("type") == "assistant"]
    last = answers[-1] if answers and answers[-1].get("error") else {}
    content = at(last, "message", "content")
    texts = [words(at(part, "text")) for part in content] if isinstance(content, list) else []
    return Failure(" ".join(texts) + _rejection(lines), resets_at=_resets_at(lines))


def _rejection(lines: list[dict[str, Any]]) -> str:
    """Words for the last news of the plan's limits, if that is a rejection and no paid usage lifts it."""
    last = next(reversed(_limits(lines)), None)
    refused = at(last, "status") == "rejected" and at(last, "isUsingOverage") is not True
    return " usage limit reached" if refused else ""


def _resets_at(lines: list[dict[str, Any]]) -> int | None:
    rejected = (info for info in reversed(_limits(lines)) if at(info, "status") == "rejected")
    return whole(at(next(rejected, None), "resetsAt"))


def _limits(lines: list[dict[str, Any]]) -> list[Any]:
    return [line.get("rate_limit_info") for line in lines if line.get("type") == "rate_limit_event"]
