"""Reads what an agent's program printed, by the name of the program."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo

from scheduler.agents import claude, codex, gemini, goose, opencode
from scheduler.agents.documents import LAST, plain_text
from scheduler.agents.http_answer import read_answer
from scheduler.agents.plain_text import read_aider, read_ollama
from scheduler.agents.refusal import Failure, Refusal, Rules, find_refusal
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


def read_report(
    program: str, output: str, exit_code: int, now: float, zone: tzinfo, more: Rules = ()
) -> AgentReport:
    """What the program says of its run, and whether its service refused; `program` is a key of READERS.

    Words that stand for a refusal count only when the run failed: a good answer may talk about limits.
    `now` is the moment of the failure (Unix seconds), `zone` the one for texts that name none.
    """
    report = READERS[program](output)
    if report.ending is Ending.NO_RESULT and exit_code:
        report = replace(report, failure=Failure(plain_text(output)))
    if report.ending is Ending.ERROR or (report.ending is Ending.NO_RESULT and exit_code):
        return replace(report, refusal=find_refusal(report.failure, now, zone, more))
    return report


def refusal_in(output: str, now: float, zone: tzinfo, more: Rules = ()) -> Refusal | None:
    """Whether this output of a failed run, of whatever program, is a service that refused."""
    text = plain_text(output) or output[-LAST:]
    return find_refusal(read_answer(text), now, zone, more)
