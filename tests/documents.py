"""The documents as data: their fenced blocks, and the command lines of ours that they show."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("README.md", "SKILL.md"))])
OTHERS = sorted(page for page in ROOT.glob("*.md") if page not in PAGES)

SHELL = {"sh", "bash"}
_OURS = re.compile(r"^(?:experience-tui|\./run\.sh|\./core\.py|experience-core)(?= |$)")
_OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "2>"}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the language after the fence, and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, also an indented one."""
    lines: list[str] | None = None
    begun, language = 0, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = line.strip()
        if not fence.startswith("```"):
            if lines is not None:
                lines.append(line)
        elif lines is None:
            begun, language, lines = number, fence.removeprefix("```"), []
        else:
            yield Block(page.name, begun, language, "\n".join(lines) + "\n")
            lines = None
    assert lines is None, f"{page.name}:{begun}: the block does not end"


def shell_lines(block: Block) -> Iterator[str]:
    """The lines that a reader would type: all of a shell's, those after `$ ` elsewhere."""
    if block.text.startswith("#!"):
        return  # a program
    if block.language in SHELL:
        yield from (line.strip() for line in block.text.splitlines() if line.strip())
    elif not block.language:
        yield from (line[2:] for line in block.text.splitlines() if line.startswith("$ "))


def inline(page: Path) -> Iterator[str]:
    """What stands between single backticks in the sentences of a page."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text())
    yield from re.findall(r"`([^`\n]+)`", text)


def ours(line: str) -> list[str] | None:
    """The words of a command line of ours, the program first; None for any other line."""
    line = line.removeprefix("sudo ")
    if inner := re.match(r'eval "\$\((.*?)\)"', line):
        line = inner[1]
    if not _OURS.match(line):
        return None
    words = shlex.split(line.replace(r"\|", "|"), comments=True)
    return list(takewhile(lambda word: word not in _OPERATORS, words))


def calls(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours in a page, with its place."""
    for block in blocks(page):
        for line in shell_lines(block):
            if words := ours(line):
                yield block.place, words
    for line in inline(page):
        if words := ours(line):
            yield page.name, words
