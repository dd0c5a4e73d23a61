"""Why a gate let a wake begin: as sentences, and as one word for a column."""

import re

from scheduler.core.schedules.schedule import short_duration

NEWS = "news: "
NOTHING_NEW = "nothing new"  # since the last wake
_ANYWAY = re.compile(r"the last wake was (\S{1,9}) ago")


def anyway(seconds: float) -> str:
    """The reason of a wake without news: the last wake was too long ago."""
    return f"the last wake was {short_duration(seconds)} ago"


def opened_by(why: str) -> str:
    """`news`, or the time since the last wake (`6h`) for a wake without news; empty for any other reason."""
    if why.startswith(NEWS):
        return "news"
    found = _ANYWAY.fullmatch(why)
    return found[1] if found else ""
