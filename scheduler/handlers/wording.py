"""Phrases that several built-in tasks put into their results."""

from collections.abc import Sequence

from scheduler.core.wording.text import first_few


def with_problems(line: str, problems: Sequence[str]) -> str:
    """`line; 2 with problems: the first; the second`."""
    return f"{line}; {len(problems)} with problems: {first_few(problems)}" if problems else line
