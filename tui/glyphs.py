"""The characters the screen draws with: a Unicode set and an ASCII set."""

from collections.abc import Mapping

from scheduler.core.values import value
from scheduler.core.views import TaskStatus
from scheduler.core.wording.text import ASCII_GLYPHS, GLYPHS


@value
class Glyphs:
    """Signs of one cell each, except `dot`, the separator."""

    plain: bool
    kind: Mapping[TaskStatus, str]
    cursor: str
    marked: str
    hit: str  # a match of a search
    full: str
    half: str
    track: str
    corners: str  # top left, top right, bottom left, bottom right
    across: str
    down: str
    dot: str
    ellipsis: str
    times: str
    nothing: str  # in place of a time: nothing will run
    recent: Mapping[str, str]  # the outcomes of last runs; the higher, the worse
    sorted: str  # arrows for ascending and descending order
    joints: str  # the ends of a line between two panels
    slot: str = "●"
    slots: str = "•"
    guide: str = "·"
    levels: str = "▁▂▃▄▅▆▇█"  # from few to many
    enter: str = "⏎"  # the enter key; may take several cells

    def bar(self, halves: int) -> str:
        """A bar of so many half cells."""
        return self.full * (halves // 2) + self.half * (halves % 2)


UNICODE = Glyphs(
    plain=False,
    kind=GLYPHS,
    cursor="❯",
    marked="◆",
    hit="▌",
    full="━",
    half="╸",
    track="─",
    corners="╭╮╰╯",
    across="─",
    down="│",
    dot=" · ",
    ellipsis="…",
    times="×",
    nothing="–",
    recent={"o": "▁", "w": "▄", "x": "█", "s": "·", "r": "·"},
    sorted="↑↓",
    joints="├┤",
)

ASCII = Glyphs(
    plain=True,
    kind=ASCII_GLYPHS,
    cursor=">",
    marked="*",
    hit="*",
    full="#",
    half="#",
    track=".",
    corners="++++",
    across="-",
    down="|",
    dot=" - ",
    ellipsis="~",
    times="x",
    nothing="-",
    recent={"o": ".", "w": "!", "x": "x", "s": "-", "r": "-"},
    sorted="^v",
    joints="++",
    slot="*",
    slots="-",
    guide=".",
    levels="123456789",
    enter="enter",
)


def can_draw(encoding: str) -> bool:
    """Whether this encoding has all signs of the Unicode set."""
    try:
        "".join([*GLYPHS.values(), UNICODE.corners, UNICODE.full, UNICODE.levels]).encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
