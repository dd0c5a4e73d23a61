"""Pictures of the screen that need nothing from elsewhere."""

import re

_OUTSIDE = re.compile(r"\s*@font-face\s*\{.*?\}|\s*<!--.*?-->", re.DOTALL)


def without_fonts(svg: str) -> str:
    """The picture without the fonts that it would load from an outside host: any monospaced one serves."""
    return _OUTSIDE.sub("", svg).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
