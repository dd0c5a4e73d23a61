"""Reads what an agent's program printed, by the name of the program."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo

from scheduler.agents import claude, codex, gemini, goose, opencode
from scheduler.agents.documents import LAST, documents, plain_text, printed
from scheduler.agents.plain_text import read_aider, read_ollama
from scheduler.agents.refusals.http_answer import read_answer
from scheduler.agents.refusals.refusal import Failure, Refusal, Rules, find_refusal
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
    report = READERS[program](output)
    if report.ending is Ending.NO_RESULT and exit_code:
        report = _cut_short(report, program, output, exit_code)
    elif report.ending is Ending.ERROR and not report.failure.text:  # said beside its own format, maybe
        report = replace(report, failure=replace(report.failure, text=plain_text(output)))
    if report.ending is Ending.ERROR or (report.ending is Ending.NO_RESULT and exit_code):
        return replace(report, refusal=find_refusal(report.failure, now, zone, more))
    return report


def _cut_short(report: AgentReport, program: str, output: str, exit_code: int) -> AgentReport:
    """A failed program that did not say so in its own format: its exit code and its words count."""
    if (program, exit_code) == ("gemini", gemini.TURN_LIMIT_EXIT):
        return replace(report, ending=Ending.TURN_LIMIT)
    status = 401 if (program, exit_code) == ("gemini", gemini.SIGN_IN_EXIT) else None
    known = report.failure if exit_code < SIGNAL else Failure()
    text = "\n".join(filter(None, (plain_text(output), known.text)))
    return replace(report, failure=replace(known, text=text, status=known.status or status))


def refusal_in(output: str, now: float, zone: tzinfo, more: Rules = ()) -> Refusal | None:
    """Whether this output of a failed run, of whatever program, is a service that refused.

    Documents count only where they speak of an error: an answer may talk about limits.
    """
    text = printed(output)[-LAST:]
    answer = read_answer(text)
    if answer.status is not None:
        return find_refusal(answer, now, zone, more)
    errors = (json.dumps(each, default=str) for each in documents(text) if "error" in each)
    words = "\n".join((plain_text(output), *errors))
    return find_refusal(Failure(words), now, zone, more)
