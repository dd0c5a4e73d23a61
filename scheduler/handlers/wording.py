"""Phrases that several built-in tasks put into their results."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """`1 feed`, `2 feeds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_few(texts: Sequence[str], most: int = 3, joint: str = "; ") -> str:
    """The first texts, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more


def with_problems(line: str, problems: Sequence[str]) -> str:
    """`line; 2 with problems: the first; the second`."""
    return f"{line}; {len(problems)} with problems: {first_few(problems)}" if problems else line
