"""Films the demo in a real terminal (tmux) as one animated SVG: what it shows happened, so it cannot lie."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).resolve().parents[3]
COLUMNS, ROWS = 104, 28
WIDTH, HEIGHT, FONT = 8.43, 16, 14  # of a cell, in pixels; and of DejaVu Sans Mono
FRAME, TALL = round(COLUMNS * WIDTH), ROWS * HEIGHT
EVERY = 0.4  # seconds between two looks
FOREGROUND, BACKGROUND = "#e0e0e0", "#121212"
# What is typed, and for how many seconds the camera looks on afterwards.
SCRIPT: Sequence[tuple[Sequence[str], float]] = (
    ((), 3.0),
    (("n",), 1.5),
    (("Enter",), 3.0),
    (("f",), 4.0),
    (("Escape",), 1.5),
    (("t",), 2.5),
    (("Escape",), 1.0),
    (("v",), 2.5),
    (("Escape",), 1.5),
)


@dataclass
class Film:
    """Frames of a terminal, each with the moment that it was first seen."""

    frames: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, when: float, lines: tuple[str, ...]) -> None:
        if not self.frames or self.frames[-1][1] != lines:
            self.frames.append((when, lines))
        self.seconds = when + EVERY


def film() -> Film:
    """A run of the demo, about twenty seconds."""
    with TemporaryDirectory() as folder:
        tmux = ["tmux", "-f", "/dev/null", "-S", f"{folder}/tmux"]
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        around = (
            "-e",
            "TZ=UTC",
            "-e",
            "COLORTERM=truecolor",
            "-e",
            "TERM=xterm-256color",
            "-e",
            "LANG=C.UTF-8",
        )
        program = ("-c", str(ROOT), f"exec '{sys.executable}' -m tui --demo")
        subprocess.run([*tmux, "new-session", "-d", "-s", "film", *size, *around, *program], check=True)
        try:
            return _watch(tmux)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def _watch(tmux: Sequence[str]) -> Film:
    while "heartbeat" not in "".join(_screen(tmux)):
        time.sleep(EVERY)
    done, begun = Film(), time.monotonic()
    for keys, seconds in SCRIPT:
        for key in keys:
            subprocess.run([*tmux, "send-keys", "-t", "film", key], check=True)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(EVERY)
            done.add(time.monotonic() - begun, _screen(tmux))
    return done


def _screen(tmux: Sequence[str]) -> tuple[str, ...]:
    words = [*tmux, "capture-pane", "-e", "-p", "-t", "film"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return tuple((text.split("\n") + [""] * ROWS)[:ROWS])


# ------------------------------------------------------------------ drawing


def drawn(film: Film) -> str:
    """The film as an SVG; equal lines are in it once, and the frames are a strip that moves."""
    known: dict[str, str] = {}
    strip = []
    for number, (_, lines) in enumerate(film.frames):
        for row, line in enumerate(lines):
            if line:
                name = known.setdefault(line, f"l{len(known)}")
                strip.append(f'<use href="#{name}" x="{number * FRAME}" y="{row * HEIGHT}"/>')
    rows = "".join(f'<g id="{name}">{_row(line)}</g>\n' for line, name in known.items())
    size = f'xml:space="preserve" viewBox="0 0 {FRAME} {TALL}" width="{FRAME}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_style(film)}</style>\n'
        f'<defs>\n{rows}</defs>\n<rect width="100%" height="100%" fill="{BACKGROUND}"/>\n'
        f'<g class="film">{"".join(strip)}</g>\n</svg>\n'
    )


def _style(film: Film) -> str:
    steps = "".join(
        f"{100 * max(0.0, when - film.frames[0][0]) / film.seconds:.2f}%"
        f"{{transform:translateX({-number * FRAME}px)}}"
        for number, (when, _) in enumerate(film.frames)
    )
    return (
        f'text{{font:{FONT}px "DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre}}'
        f".film{{animation:film {film.seconds:.1f}s step-end infinite}}@keyframes film{{{steps}}}"
    )


def _row(line: str) -> str:
    backgrounds, words = [], []
    for column, text, style in _runs(line):
        ink, paper = _colors(style)
        place = f'x="{column * WIDTH:.1f}" '
        cells = cell_len(text) * WIDTH
        if paper != BACKGROUND:
            backgrounds.append(f'<rect {place}width="{cells + 0.2:.1f}" height="{HEIGHT}" fill="{paper}"/>')
        if text.strip():
            bold = ' font-weight="bold"' if style.bold else ""
            size = f'y="{HEIGHT - 4}" textLength="{cells:.1f}" fill="{ink}"{bold}'
            words.append(f"<text {place}{size}>{escape(text)}</text>")
    return "".join(backgrounds + words)


def _runs(line: str) -> Iterator[tuple[int, str, Style]]:
    """The stretches of one style of a line, each with its first column."""
    text = Text.from_ansi(line)
    ends = sorted({0, len(text), *(edge for span in text.spans for edge in (span.start, span.end))})
    column = 0
    for start, end in pairwise(ends):
        spans = [span.style for span in text.spans if span.start <= start < span.end]
        style = Style.combine([Style.null(), *(each for each in spans if isinstance(each, Style))])
        yield column, text.plain[start:end], style
        column += cell_len(text.plain[start:end])


def _colors(style: Style) -> tuple[str, str]:
    ink, paper = _hex(style.color, FOREGROUND), _hex(style.bgcolor, BACKGROUND)
    return (paper, ink) if style.reverse else (ink, paper)


def _hex(color: Color | None, default: str) -> str:
    return default if color is None or color.is_default else color.get_truecolor().hex


def main(file: Path) -> None:
    """Film, and write it."""
    file.write_text(drawn(film()))
