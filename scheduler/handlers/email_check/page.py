"""Reads a page of HTML as a person does: its words, lines and cells."""

from html.parser import HTMLParser

_HIDDEN = {"script", "style", "title"}
_CELLS = {"td", "th"}
_BLOCKS = {
    *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4"),
    *("h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"),
}


class _Words(HTMLParser):
    """Collects the text of a page, without its tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in _HIDDEN
        self._space(tag)

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
    """The text of the page, each block on a line of its own."""
    words = _Words()
    words.feed(f"{page}\n")  # else a word with "&" at the very end is held back
    lines = (" ".join(line.split()) for line in "".join(words.texts).split("\n"))
    return "\n".join(line for line in lines if line)
