"""The characters the screen draws with: a Unicode set and an ASCII set."""

from collections.abc import Mapping

from scheduler.core.values import value
from scheduler.core.views import TaskStatus
from scheduler.core.wording.text import ASCII_GLYPHS, GLYPHS


@value
class Glyphs:
    """One cell each, except `dot`, the separator."""

    plain: bool
    kind: Mapping[TaskStatus, str]
    cursor: str
    marked: str
    hit: str  # of a search
    full: str
    half: str
    track: str
    corners: str  # top left, top right, bottom left, bottom right
    across: str
    down: str
    dot: str
    ellipsis: str
    times: str
    nothing: str  # no time: nothing will happen
    recent: Mapping[str, str]  # the outcomes of last runs: the height says how bad
    sorted: str  # smallest first, largest first
    joints: str  # the ends of a line between two panels
    slot: str = "●"
    slots: str = "•"
    guide: str = "·"
    levels: str = "▁▂▃▄▅▆▇█"  # from one to many
    enter: str = "⏎"  # the key; as many cells as it takes

    def bar(self, halves: int) -> str:
        """So many half cells of a bar."""
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
    """Whether a terminal with this encoding has the signs of the Unicode set."""
    try:
        "".join([*GLYPHS.values(), UNICODE.corners, UNICODE.full, UNICODE.levels]).encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
