"""Why a gate let a wake begin: the sentences, and the one word of them for a column."""

import re

from scheduler.core.schedules.schedule import in_words

NEWS = "news: "
NOTHING_NEW = "nothing new"  # since the wake before
_ANYWAY = re.compile(r"the last wake was (\S{1,9}) ago")


def anyway(seconds: float) -> str:
    """It woke without news: the last wake was so long ago."""
    return f"the last wake was {in_words(seconds)} ago"


def opened_by(why: str) -> str:
    """`news`, or `6h` where it woke anyway; empty for any other reason."""
    if why.startswith(NEWS):
        return "news"
    found = _ANYWAY.fullmatch(why)
    return found[1] if found else ""
