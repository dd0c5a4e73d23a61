"""The rules that recognise a refusal, to which settings may add; kept apart from code that reads texts."""

import re
from functools import lru_cache

from scheduler.core.values import value


@value
class RefusalRule:
    """The words of a refusal; `wait`: yes, named (only if the text names a time), or no."""

    kind: str
    wait: str
    patterns: tuple[str, ...]
    spans: bool = True  # a time span in the text says when the refusal ends
    zone: str = ""  # of a time in the text that names none; "": the machine's

    def fits(self, text: str) -> bool:
        return any(all(part.search(text) for part in _parts(pattern)) for pattern in self.patterns)


Rules = tuple[RefusalRule, ...]


@lru_cache(maxsize=1000)
def _parts(pattern: str) -> tuple[re.Pattern[str], ...]:
    parts = (re.escape(part).replace(r"\#", r"\d") for part in pattern.split(" ... "))
    return tuple(re.compile(part, re.IGNORECASE) for part in parts)
