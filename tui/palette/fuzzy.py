"""Finds what a person means by a few letters: those in a row count most, more where a word or all starts."""

from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Protocol, TypeVar

EDGES = frozenset("/_- ")
WHOLE, START, EDGE, SCATTERED = 1000, 600, 300, 400


class Named(Protocol):
    """Something to be found by its words, casefolded."""

    @property
    def words(self) -> str: ...


N = TypeVar("N", bound=Named)


def best(query: str, things: Sequence[N], most: int) -> list[N]:
    """The things that the query may mean, the likeliest first; in their own order while it is empty."""
    needles = query.casefold().split()
    if not needles:
        return list(things[:most])
    scored = ((score, -place) for place, score in _scores(needles, things))
    return [things[-place] for _, place in nlargest(most, scored)]


def _scores(needles: Sequence[str], things: Iterable[Named]) -> Iterable[tuple[int, int]]:
    for place, thing in enumerate(things):
        total = 0
        for needle in needles:
            found = score(needle, thing.words)
            if found is None:
                break
            total += found
        else:
            yield place, total


def score(needle: str, words: str) -> int | None:
    """How well these letters fit the words; None if they are not all there, in this order."""
    at = words.find(needle)
    if at >= 0:
        edge = START if at == 0 else EDGE if words[at - 1] in EDGES else 0
        return WHOLE + edge - at - len(words)
    first = last = words.find(needle[0])
    for letter in needle[1:]:
        if last < 0:
            return None
        last = words.find(letter, last + 1)
    return SCATTERED - 4 * (last - first) - len(words) if last >= 0 else None
