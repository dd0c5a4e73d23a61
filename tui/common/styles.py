"""The styles that lines are painted with, looked up by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rich.segment import Segment
from rich.style import Style

CURSOR, MARKED, FADED = 1, 2, 4
HERE, LOST = 8, 16  # the cursor is somewhere in this panel; its citizen has no owner
EDGE = FADED | HERE | LOST  # what the frame of a panel shows

NAMES = (
    *("ink", "faint", "frame", "here", "title", "track", "bar", "ok", "warning", "failed"),
    *("running", "cursor", "marked"),
)
# Outdated content loses its colour, except for what reports a problem.
_LIVELY = frozenset(NAMES) - {"failed", "frame", "track"}


class Styles:
    """Looks up a style by name and light; `light` is a sum of CURSOR, MARKED, FADED and HERE."""

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self._styles = styles
        self._mixed: dict[tuple[str, int], Style] = {}

    @classmethod
    def read(cls, component: Callable[[str], Style]) -> "Styles":
        """All styles, as `component` gives them for their names."""
        return cls({name: component(name) for name in NAMES})

    def style(self, name: str, light: int = 0) -> Style:
        key = name, light & ~(HERE | LOST)
        found = self._mixed.get(key)
        if found is None:
            found = self._mixed[key] = self._mix(*key)
        return found

    def _mix(self, name: str, light: int) -> Style:
        unseen = light & CURSOR and name == "track"  # its own colour is that of the cursor's row
        style = self._styles["faint" if unseen or (light & FADED and name in _LIVELY) else name]
        if light & MARKED:
            style += Style(bold=True)
        if light & CURSOR:
            over = self._styles["cursor"]
            style += Style(bgcolor=over.bgcolor, reverse=over.reverse, bold=over.bold)
        return style


def edge_style(styles: Styles, light: int) -> Style:
    """The style of a panel's frame."""
    if light & LOST:
        return styles.style("warning")
    return styles.style("here" if light & HERE else "frame", light & FADED)


def merged(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The same cells in fewer segments, since each segment costs time to send to the terminal."""
    before = Segment("")
    for each in segments:
        if each.style is before.style:
            before = Segment(before.text + each.text, each.style)
        else:
            if before.text:
                yield before
            before = each
    if before.text:
        yield before
