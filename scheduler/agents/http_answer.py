"""A whole HTTP answer as text, as a program prints it (`curl -i`), or as our own requests get it."""

import re
from email.parser import HeaderParser

from scheduler.agents.refusal import Failure

_STATUS_LINE = re.compile(r"HTTP/[\d.]+ (\d{3})[^\n]*\n")


def read_answer(text: str) -> Failure:
    """The status, headers and body of the answer as a failure; without a status line all is text."""
    text = text.replace("\r\n", "\n")
    first = _STATUS_LINE.match(text)
    if not first:
        return Failure(text)
    head, _, body = text[first.end() :].partition("\n\n")
    headers = {name.lower(): value for name, value in HeaderParser().parsestr(head).items()}
    return Failure(body, int(first[1]), headers)
