"""How a run on a worker ended, as JSON: its result, and what its owner has not seen of its output."""

from collections.abc import Iterable
from typing import Any

from scheduler.core.costs import Usage
from scheduler.core.task import Outcome
from scheduler.core.views import OutputChunk
from scheduler.executors import OutputBuffer, Result
from scheduler.schema.json_codec import InvalidJson, from_json, to_json


def ending(result: Result, printed: Iterable[OutputChunk], used: Iterable[Usage]) -> dict[str, Any]:
    """The ending of a run whose owner lacks these pieces of its output."""
    return {
        "outcome": result.outcome.value,
        "text": result.text,
        "urgent": result.urgent,
        "traceback": result.traceback,
        "code": result.code,
        "printed": [[each.skipped, each.text] for each in printed],
        "used": [to_json(each) for each in used],
    }


def result_of(raw: dict[str, Any]) -> Result:
    """The result; a failure that says so if a worker wrote something else."""
    try:
        return Result(
            Outcome(raw["outcome"]),
            str(raw["text"]),
            raw["urgent"] is True,
            str(raw["traceback"]),
            raw["code"] if isinstance(raw["code"], int) else None,
        )
    except (KeyError, ValueError) as error:
        return Result(Outcome.FAILED, f"its worker wrote an ending that cannot be read: {error!r}")


def print_rest(raw: dict[str, Any], output: OutputBuffer) -> None:
    """Add to the output what came with the ending."""
    for each in raw.get("printed") or ():
        print_piece(each, output)


def print_piece(raw: Any, output: OutputBuffer) -> None:
    """Add a piece, and count the bytes that were left out before it."""
    skipped, text = raw
    if skipped:
        output.skip(int(skipped))
    output.write(str(text).encode("utf-8", "replace"))


def usage_of(raw: dict[str, Any]) -> list[Usage]:
    """What the run used of models."""
    try:
        return [from_json(Usage, each) for each in raw.get("used") or ()]
    except InvalidJson:
        return []
