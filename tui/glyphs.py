"""The characters the screen draws with: a Unicode set and an ASCII set."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.core.text import GLYPHS
from scheduler.core.views import TaskStatus


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One cell each, except `dot`, the separator."""

    plain: bool
    kind: Mapping[TaskStatus, str]
    cursor: str
    marked: str
    full: str
    half: str
    track: str
    corners: str  # top left, top right, bottom left, bottom right
    across: str
    down: str
    dot: str
    ellipsis: str
    times: str
    slot: str = "●"
    slots: str = "•"
    guide: str = "·"
    levels: str = "▁▂▃▄▅▆▇█"  # from one to many


UNICODE = Glyphs(
    plain=False,
    kind=GLYPHS,
    cursor="❯",
    marked="◆",
    full="━",
    half="╸",
    track="─",
    corners="╭╮╰╯",
    across="─",
    down="│",
    dot=" · ",
    ellipsis="…",
    times="×",
)

ASCII = Glyphs(
    plain=True,
    kind={
        TaskStatus.OK: "+",
        TaskStatus.WARNING: "!",
        TaskStatus.FAILED: "x",
        TaskStatus.NEVER: "o",
        TaskStatus.NOT_SET_UP: "?",
        TaskStatus.RUNNING: ">",
        TaskStatus.PAUSED: "=",
    },
    cursor=">",
    marked="*",
    full="#",
    half="#",
    track=".",
    corners="++++",
    across="-",
    down="|",
    dot=" - ",
    ellipsis="~",
    times="x",
    slot="*",
    slots="-",
    guide=".",
    levels="123456789",
)
