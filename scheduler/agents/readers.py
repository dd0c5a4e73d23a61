"""Reads what an agent's program printed, by the name of the program."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from scheduler.agents import claude, codex, gemini, goose, opencode
from scheduler.agents.documents import LAST, documents, plain_text, printed
from scheduler.agents.plain_text import read_aider, read_ollama
from scheduler.agents.refusals.find_refusal import Failure, Refusal, find_refusal
from scheduler.agents.refusals.http_answer import read_answer
from scheduler.agents.refusals.refusal_rule import Rules
from scheduler.agents.report import AgentReport, Ending

READERS: Mapping[str, Callable[[str], AgentReport]] = {
    "claude": claude.read,
    "codex": codex.read,
    "gemini": gemini.read,
    "opencode": opencode.read,
    "goose": goose.read,
    "aider": read_aider,
    "ollama": read_ollama,
}


# Their tokens are those of the whole session, also of a resumed one: openai/codex exec_events.rs, gemini-cli
# docs/cli/session-management.md. Of Claude Code the sources disagree: each of its runs counts whole.
RUNNING_TOTALS = frozenset(("codex", "gemini"))
SIGNAL = 128  # exit codes from here on: a signal ended the program


def read_report(
    program: str, output: str, exit_code: int, now: float, zone: tzinfo, more: Rules = ()
) -> AgentReport:
    """What the program says of its run, and whether its service refused; `program` is a key of READERS.

    Words that stand for a refusal count only when the run failed: a good answer may talk about limits.
    `now` is the moment of the failure (Unix seconds), `zone` the one for texts that name none.
    """
    report = _ended(READERS[program](output), program, exit_code)
    if report.ending is Ending.ERROR or (report.ending is Ending.NO_RESULT and exit_code):
        why = _why(report, program, output, exit_code)
        return replace(report, refusal=find_refusal(why, now, zone, more))
    return report


def _ended(report: AgentReport, program: str, exit_code: int) -> AgentReport:
    """Where the output does not say how it ended, the exit code may."""
    if program == "aider" and exit_code and report.ending is Ending.OK:
        return replace(report, ending=Ending.ERROR)
    if (program, exit_code) == ("gemini", gemini.TURN_LIMIT_EXIT) and report.ending is Ending.NO_RESULT:
        return replace(report, ending=Ending.TURN_LIMIT)
    return report


def _why(report: AgentReport, program: str, output: str, exit_code: int) -> Failure:
    """Why it failed, for its refusal: in its own format, else in the words beside that."""
    known = report.failure
    if report.ending is Ending.ERROR and known.text:
        return known
    if exit_code >= SIGNAL:  # it was ended by others: what it said of retries is no answer
        known = Failure()
    status = 401 if (program, exit_code) == ("gemini", gemini.SIGN_IN_EXIT) else known.status
    return replace(known, text="\n".join(filter(None, (plain_text(output), known.text))), status=status)


def refusal_in(output: str, now: float, zone: tzinfo, more: Rules = ()) -> Refusal | None:
    """Whether this output of a failed run, of whatever program, is a service that refused.

    Documents count only where they speak of an error: an answer may talk about limits.
    """
    text = printed(output)[-LAST:]
    answer = read_answer(text)
    if answer.status is not None:
        return find_refusal(answer, now, zone, more)
    errors = (json.dumps(each, default=str) for each in documents(text) if _is_error(each))
    words = "\n".join((plain_text(output), *errors))
    return find_refusal(Failure(words), now, zone, more)


def _is_error(document: Mapping[str, Any]) -> bool:
    return "error" in document or document.get("object") == "error"
