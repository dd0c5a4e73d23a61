"""The rules by which a refusal is known: what the settings may add to, without all that reads texts."""

import re
from functools import lru_cache

from scheduler.core.values import value


@value
class RefusalRule:
    """In which words a service refuses; `wait`: yes, named (only if the text names a time), or no."""

    kind: str
    wait: str
    patterns: tuple[str, ...]
    spans: bool = True  # a span in the text is when it ends

    def fits(self, text: str) -> bool:
        return any(all(part.search(text) for part in _parts(pattern)) for pattern in self.patterns)


Rules = tuple[RefusalRule, ...]


@lru_cache(maxsize=1000)
def _parts(pattern: str) -> tuple[re.Pattern[str], ...]:
    parts = (re.escape(part).replace(r"\#", r"\d") for part in pattern.split(" ... "))
    return tuple(re.compile(part, re.IGNORECASE) for part in parts)
