"""Joins the lines of format=flowed text (RFC 3676), which the sender broke for narrow screens."""

import re

_QUOTE = re.compile(r"(>*) ?(.*)", re.DOTALL)
_SIGNATURE = "-- "


def unflowed(text: str, delete_space: bool) -> str:
    """The text with each paragraph on one line; `delete_space` if the breaks do not stand for spaces."""
    lines: list[str] = []
    flowing = ""  # the quote marks of the line that the next one continues
    open_line = False
    for line in text.split("\n"):
        found = _QUOTE.fullmatch(line)
        marks, words = (found[1], found[2]) if found else ("", line)
        if open_line and marks == flowing and words != _SIGNATURE:
            lines[-1] += words
        else:
            lines.append(f"{marks} {words}" if marks else words)
        flowing, open_line = marks, words.endswith(" ") and words != _SIGNATURE
        if open_line and delete_space:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)
