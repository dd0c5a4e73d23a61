"""The marks the screen draws with: one set for today's terminals, one of plain ASCII."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.core.views import Kind


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One cell each, except `dot` and `ellipsis`, which are words of their own."""

    plain: bool
    kind: Mapping[Kind, str]
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
    kind={
        Kind.OK: "✓",
        Kind.WARNING: "⚠",
        Kind.FAILED: "✗",
        Kind.NEVER: "○",
        Kind.NOT_SET_UP: "◌",
        Kind.RUNNING: "▶",
        Kind.PAUSED: "⏸",
    },
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
        Kind.OK: "+",
        Kind.WARNING: "!",
        Kind.FAILED: "x",
        Kind.NEVER: "o",
        Kind.NOT_SET_UP: "?",
        Kind.RUNNING: ">",
        Kind.PAUSED: "=",
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
