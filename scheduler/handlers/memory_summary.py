"""memory_summary: a summary of every finished day that has none, or has changed since."""

from dataclasses import dataclass

from ..model import Context, Report


@dataclass(frozen=True, slots=True)
class Options:
    """memory_summary has no keys of its own yet."""


async def memory_summary(ctx: Context) -> str | Report:
    return ""
