"""Programs that print their usage as text or as plain JSON: Aider, Ollama."""

import re
from decimal import Decimal, InvalidOperation

from scheduler.agents.documents import documents, total, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage

# Aider-AI/aider aider/coders/base_coder.py; the session's cost is a running total, rounded to cents.
_USAGE = re.compile(r"Tokens: ([\d.,]+[kM]?) sent,.*?([\d.,]+[kM]?) received\.?(.*)")
_COST = re.compile(r"Cost: \$[\d.,]+ \w+, \$([\d.,]*\d) session")
_TIMES = {"k": 1000, "M": 1_000_000}


def read_aider(output: str) -> AgentReport:
    found = _USAGE.findall(output)
    costs = _COST.findall(output)
    return AgentReport(
        Ending.OK if found else Ending.NO_RESULT,
        Decimal(costs[-1].replace(",", "")) if costs else None,
        total(_count(sent) for sent, _, _ in found),
        total(_count(received) for _, received, _ in found),
        len(found) or None,
    )


def _count(text: str) -> int | None:
    number = text.rstrip("kM").replace(",", "")
    try:
        return int(Decimal(number) * _TIMES.get(text[-1], 1))
    except InvalidOperation:
        return None


def read_ollama(output: str) -> AgentReport:
    """The last chunk holds the counts; ollama/ollama docs/api/usage.mdx."""
    lines = documents(output)
    error = next((words(line.get("error")) for line in reversed(lines) if "error" in line), None)
    last = next((line for line in reversed(lines) if line.get("done") is True), None)
    ending = Ending.ERROR if error is not None else Ending.OK if last else Ending.NO_RESULT
    last = last or {}
    sent, made = whole(last.get("prompt_eval_count")), whole(last.get("eval_count"))
    return AgentReport(
        ending,
        tokens_in=sent,
        tokens_out=made,
        used=(Usage(words(last.get("model")), sent, made),),
        failure=Failure(error or ""),
    )
