"""Messages between an isolated run and its scheduler, as lines of JSON."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from scheduler.core.costs import Usage
from scheduler.core.task import Context, Isolated, Llm, Outcome, Progress, Trigger
from scheduler.executors.result import Result

LONGEST = 1024 * 1024  # bytes of one line from the child; a valid one has 30 kB at most


def encode_call(work: Isolated, context: Context, python_path: str | None) -> bytes:
    """Everything that the child needs, secrets included: all users can read a process's arguments."""
    call = {
        "source": work.source,
        "function": work.function,
        "python_path": python_path,
        "context": {
            "citizen": context.citizen,
            "home": str(context.home),
            "task": context.task,
            "options": context.options,
            "secrets": dict(context.secrets),
            "last_success": context.last_success,
            "trigger": context.trigger,
            "llm": context.llm,
        },
    }
    return json.dumps(call, default=_plain).encode()


def context_of(fields: dict[str, Any], report: Any, usage: Any) -> Context:
    """The Context on the child's side; options that were an object are a plain dict here."""
    given = {**fields, "home": Path(fields["home"]), "trigger": Trigger(fields["trigger"])}
    given["llm"] = Llm(**fields["llm"]) if fields["llm"] else None
    return Context(**given, report=report, usage=usage)


def answer_line(result: Result) -> bytes:
    return (
        json.dumps(["answer", result.outcome, result.text, result.urgent, result.traceback]).encode() + b"\n"
    )


def progress_line(progress: Progress) -> bytes:
    line = ["progress", float(progress.done), float(progress.total), str(progress.text)[:500]]
    return json.dumps(line).encode() + b"\n"


def usage_line(usage: Usage) -> bytes:
    return json.dumps(["used", usage.model[:500], usage.tokens_in, usage.tokens_out]).encode() + b"\n"


def read_line(line: bytes) -> Result | Progress | Usage | None:
    """The message in this line; None if it is not one, since the function may write to any descriptor."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match found:
        case ["progress", float(done), float(total), str(text)]:
            return Progress(done, total, text)
        case ["used", str(model), int() | None as sent, int() | None as made]:
            return Usage(model, sent, made)
        case ["answer", str(outcome), str(text), bool(urgent), str(trace)] if outcome in set(Outcome):
            return Result(Outcome(outcome), text, urgent, trace)
    return None


def _plain(value: Any) -> Any:
    """Options as plain values: dataclasses, pydantic's models and secrets, and anything else as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    for method in ("model_dump", "get_secret_value"):
        if hasattr(value, method):
            return getattr(value, method)()
    return list(value) if isinstance(value, set | frozenset) else str(value)
