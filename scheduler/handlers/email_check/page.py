"""Reads a page of HTML as a person does: its words, lines and cells."""

import re
from html.parser import HTMLParser

_HIDDEN = {"script", "style", "title"}
_CELLS = {"td", "th"}
_BLOCKS = {
    *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4"),
    *("h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"),
}
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


class _Words(HTMLParser):
    """Collects the text of a page, without its tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.pictures: list[str] = []  # the words that stand for them
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        self._space(tag)
        if tag == "img":
            self.pictures.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        self._space(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)

    def _space(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.texts.append("\n")
        elif tag in _CELLS:
            self.texts.append(" ")


def without_tags(page: str) -> str:
    """The text of the page, each block on a line of its own; of a page of pictures, their descriptions."""
    words = _Words()
    words.feed(f"{page}\n")  # else a word with "&" at the very end is held back
    return _lines("".join(words.texts)) or _lines("\n".join(words.pictures))


def declared_charset(page: bytes) -> str:
    """The charset that the page itself declares; "" if it declares none."""
    found = _CHARSET.search(page[:4096])
    return found[1].decode().lower() if found else ""


def _lines(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
