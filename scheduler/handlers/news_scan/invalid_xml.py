"""Repairs the invalid XML that is common in feeds."""

import html
import re
from xml.sax.saxutils import escape

PROLOGUE = 65_536  # characters that are searched for the first tag of a feed, or its entities

_ENTITY = re.compile(r"<!ENTITY\s+([\w.-]{1,60})", re.IGNORECASE)
_NUMERIC = re.compile(r"&#(?:55[2-9]\d\d|5[67]\d{3}|x0*d[89a-f][0-9a-f]{2});", re.IGNORECASE)
# CDATA and comments stay as they are; no XML parser accepts the rest.
_MENDED = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<(?![\w:/!?])"
    r"|&(?!(?:amp|lt|gt|quot|apos);)(?:#(?:\d{1,10}|x[0-9a-f]{1,8});|[a-z][\w.-]{0,60};)?",
    re.IGNORECASE | re.DOTALL,
)
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def repaired(text: str) -> str:
    """The document without invalid XML common in feeds: bare `&` and `<`, HTML's entities, odd numbers.

    Otherwise the strict parser gives up and the lenient one garbles the text of all items.
    """
    own = {name for name in _ENTITY.findall(text, 0, PROLOGUE)}
    text = _NO_XML.sub(" ", pairs_joined(text))
    return _MENDED.sub(lambda found: _mended(found[0], own), text)


def _mended(found: str, own: set[str]) -> str:
    if found.startswith(("<!", "&#")):
        return _number(found) if found[0] == "&" else found
    if found in ("<", "&"):
        return escape(found)
    name = found[1:-1]
    return found if name in own else escape(html.unescape(found))


def _number(reference: str) -> str:
    """The character of a numeric reference; U+FFFD if there is no such character."""
    char = html.unescape(reference) or "\ufffd"  # as in browsers: 150 is the dash of Windows
    return reference if char in "&<>\"'" else _NO_XML.sub("\ufffd", char)


def pairs_joined(text: str) -> str:
    """The text with references to surrogate pairs, as JavaScript writes them, joined into characters."""
    if "&#" not in text:
        return text
    halves = _NUMERIC.sub(lambda found: _half(found[0][2:-1]), text)
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _half(number: str) -> str:
    return chr(int(number[1:], 16) if number[0] in "xX" else int(number))
