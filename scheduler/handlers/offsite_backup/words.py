"""The words that both kinds of backup use: sizes, counts, what is missing, and never a secret."""

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from scheduler.core.task import Report

NAMED = 3  # files of which a warning gives the name


@dataclass(slots=True)
class Missing:
    """What could not be backed up as it should: the first few by name, the others counted."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, name: str, why: str) -> None:
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(f"{name} ({why})")


def report(text: str, missing: Missing, *warnings: str) -> str | Report:
    """The text, as a warning if anything is missing."""
    parts = [text, *warnings]
    if missing.count:
        more = f" and {missing.count - len(missing.named)} more" if missing.count > len(missing.named) else ""
        parts.insert(1, f"not as it should be: {', '.join(missing.named)}{more}")
    return Report("; ".join(parts), warning=True) if len(parts) > 1 else text


def size(count: float) -> str:
    """Bytes in words: `18.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def files(count: int) -> str:
    """How many files, in words."""
    return f"{count:,} {'file' if count == 1 else 'files'}"


def scrubbed(text: str, secrets: Collection[str]) -> str:
    """`text` without any of the secrets, and without the passwords in addresses."""
    for value in _longest_first(secrets):
        text = text.replace(value, "***")
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def cannot(error: OSError, place: object) -> str:
    """Why there is no backup: what, where."""
    where = error.filename or place
    where = os.fsdecode(where) if isinstance(where, bytes) else where
    return f"no backup: {where}: {error.strerror or error}"


def _longest_first(secrets: Iterable[str]) -> list[str]:
    """Those worth hiding: without every "1" nothing could be read any more."""
    return sorted((each for each in secrets if len(each) > 3), key=len, reverse=True)
