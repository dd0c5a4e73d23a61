"""Reads the output of an agent's program, by the name of the program."""

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


# They report the tokens of the whole session, even if it was resumed: openai/codex exec_events.rs, gemini-cli
# docs/cli/session-management.md. On Claude Code the sources disagree, so each of its runs counts in full.
RUNNING_TOTALS = frozenset(("codex", "gemini"))
SIGNAL = 128  # exit codes from here on mean that a signal ended the program


def read_report(
    program: str, output: str, exit_code: int, now: float, zone: tzinfo, more: Rules = ()
) -> AgentReport:
    """The program's report on its run, with any refusal of its service; `program` is a key of READERS.

    Words of a refusal count only if the run failed, since a good answer may talk about limits. `now` is the
    moment of the failure (Unix seconds), `zone` the time zone of texts that name none.
    """
    report = _ended(READERS[program](output), program, exit_code)
    if report.ending is Ending.ERROR or (report.ending is Ending.NO_RESULT and exit_code):
        why = _why(report, program, output, exit_code)
        return replace(report, refusal=find_refusal(why, now, zone, more))
    return report


def _ended(report: AgentReport, program: str, exit_code: int) -> AgentReport:
    """The report, with an ending taken from the exit code if the output has none."""
    if program == "aider" and exit_code and report.ending is Ending.OK:
        return replace(report, ending=Ending.ERROR)
    if (program, exit_code) == ("gemini", gemini.TURN_LIMIT_EXIT) and report.ending is Ending.NO_RESULT:
        return replace(report, ending=Ending.TURN_LIMIT)
    return report


def _why(report: AgentReport, program: str, output: str, exit_code: int) -> Failure:
    """Why the run failed, to look for a refusal: from the program's own format, else from other text."""
    known = report.failure
    if report.ending is Ending.ERROR and known.text:
        return known
    if exit_code >= SIGNAL:  # ended from outside: its messages about retries are not the reason
        known = Failure()
    status = 401 if (program, exit_code) == ("gemini", gemini.SIGN_IN_EXIT) else known.status
    return replace(known, text="\n".join(filter(None, (plain_text(output), known.text))), status=status)


def refusal_in(output: str, now: float, zone: tzinfo, more: Rules = ()) -> Refusal | None:
    """The refusal in the output of a failed run of any program, if a service refused.

    Only documents about an error count, since an answer may talk about limits.
    """
    text = printed(output)[-LAST:]
    answer = read_answer(text)
    if answer.status is not None:
        return find_refusal(answer, now, zone, more)
    errors = (json.dumps(each, default=str) for each in documents(text) if _is_error(each))
    words = "\n".join((plain_text(output), *errors))
    return find_refusal(Failure(words), now, zone, more)


def _is_error(document: Mapping[str, Any]) -> bool:
    """Whether it says so itself, or in the result that it holds."""
    if document.get("error") or document.get("errorMessage") or document.get("is_error") is True:
        return True
    keys = ("type", "event", "object", "status", "subtype", "level", "stopReason")
    named = (document.get(key) for key in keys)
    if any(isinstance(name, str) and name.lower().endswith(("error", "failed")) for name in named):
        return True
    inner = (document.get(key) for key in ("result", "data", "message"))
    return any(isinstance(each, dict) and _is_error(each) for each in inner)
