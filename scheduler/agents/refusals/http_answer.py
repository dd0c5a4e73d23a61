"""Reads a whole HTTP answer as text, as a program prints it (`curl -i`) or this program's requests get it."""

import re
from email.parser import HeaderParser

from scheduler.agents.refusals.find_refusal import Failure

KIND = "x-amzn-errortype"  # Amazon names the error here, and perhaps not in the body
_STATUS_LINE = re.compile(r"^[<\s]*HTTP/[\d.]+ (\d{3})[^\n]*(?:\n|\Z)", re.MULTILINE)


def read_answer(text: str) -> Failure:
    """The status, headers and body of the answer as a failure; without a status line all of it is text.

    Of several answers (a proxy's, `100 Continue`, redirects) the last one counts.
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n")
    found = _STATUS_LINE.search(text)
    if not found:
        return Failure(text)
    head, _, body = f"\n{text[found.end() :]}".partition("\n\n")
    if _STATUS_LINE.match(body):
        return read_answer(body)
    headers = {name.lower(): value for name, value in HeaderParser().parsestr(head.lstrip()).items()}
    text = f"{headers[KIND]} {body}" if KIND in headers else body
    return Failure(text, int(found[1]), headers)
