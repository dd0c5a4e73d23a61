"""Programs that print their usage as text or as plain JSON: Aider, Ollama."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from scheduler.agents.documents import documents, printed, said, total, whole, words
from scheduler.agents.refusals.find_refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage

# Aider-AI/aider aider/coders/base_coder.py; the session's cost is a running total, rounded to cents.
# A terminal may wrap the line anywhere.
_USAGE = re.compile(r"Tokens:\s+([\d.,]+[kM]?)\s+sent,[^$]*?([\d.,]+[kM]?)\s+received")
_COST = re.compile(r"Cost:\s+\$[\d.,]+\s+\w+,\s+\$([\d.,]*\d)\s+session")
# Its own errors, not those of the code that it works on.
_OWN = r"litellm\.\w+|RateLimitError|AuthenticationError|ContextWindowExceededError"
_FULL = r"Model \S+ has hit a token limit!"
_ERROR = re.compile(rf"^(?:(?:Unexpected error: )?(?:{_OWN}): |{_FULL}).*(?:\n.*){{0,3}}", re.MULTILINE)
_VERBOSE = re.compile(r"^(prompt eval count|eval count): +(\d{1,12}) token", re.MULTILINE)
_TIMES = {"k": 1000, "M": 1_000_000}


def read_aider(output: str) -> AgentReport:
    """Read the report of Aider, which retries after an error: one before its last answer is not final."""
    text = printed(output)
    found, costs, errors = list(_USAGE.finditer(text)), _COST.findall(text), list(_ERROR.finditer(text))
    failed = bool(errors) and (not found or errors[-1].start() > found[-1].start())
    return AgentReport(
        Ending.ERROR if failed else Ending.OK if found else Ending.NO_RESULT,
        Decimal(costs[-1].replace(",", "")) if costs else None,
        total(_count(each[1]) for each in found),
        total(_count(each[2]) for each in found),
        len(found) or None,
        failure=Failure(errors[-1][0] if failed else ""),
    )


def _count(text: str) -> int | None:
    number = text.rstrip("kM").replace(",", "")
    try:
        return int(Decimal(number) * _TIMES.get(text[-1], 1))
    except InvalidOperation:
        return None


def read_ollama(output: str) -> AgentReport:
    """Read the report of Ollama: the last chunk of an answer holds the counts (docs/api/usage.mdx).

    `ollama run --verbose` prints the counts as text.
    """
    lines = documents(output)
    counts = {name.lower().replace(" ", "_"): int(count) for name, count in _VERBOSE.findall(printed(output))}
    if counts and not lines:
        lines = [{"done": True, **counts}]
    answers = [line for line in lines if line.get("done") is True]
    last: dict[str, Any] = next(
        (line for line in reversed(lines) if "error" in line or line.get("done") is True), {}
    )
    used = tuple(_of_answer(each) for each in answers)
    return AgentReport(
        Ending.ERROR if "error" in last else Ending.OK if answers else Ending.NO_RESULT,
        tokens_in=total(each.tokens_in for each in used),
        tokens_out=total(each.tokens_out for each in used),
        used=used,
        failure=Failure(said(last.get("error"))),
    )


def _of_answer(answer: dict[str, Any]) -> Usage:
    return Usage(
        words(answer.get("model")), whole(answer.get("prompt_eval_count")), whole(answer.get("eval_count"))
    )
