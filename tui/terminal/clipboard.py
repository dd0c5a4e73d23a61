"""Screen contents for use elsewhere: text that a shell will not execute, pictures without web fonts."""

import re

from tui.common.text import clean

_OUTSIDE = re.compile(r"\s*@font-face\s*\{.*?\}|\s*<!--.*?-->", re.DOTALL)
LONGEST = 64 * 1024  # characters; many terminals take no more


def copyable(text: str) -> str:
    """The lines of `text`, each cleaned."""
    return "\n".join(clean(line.expandtabs()) for line in text[:LONGEST].splitlines())


def without_fonts(svg: str) -> str:
    """The picture without the fonts that it would load from another host: any monospaced font will do."""
    return _OUTSIDE.sub("", svg).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
