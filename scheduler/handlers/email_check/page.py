"""Reads a page of HTML as a person does."""

from html.parser import HTMLParser


class _Words(HTMLParser):
    """Collects the text of a page, without its tags, scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("script", "style")
        if tag in ("br", "p", "div", "tr", "li", "h1", "h2", "h3"):
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)


def without_tags(page: str) -> str:
    words = _Words()
    words.feed(page)
    lines = (" ".join(line.split()) for line in "".join(words.texts).split("\n"))
    return "\n".join(line for line in lines if line)
