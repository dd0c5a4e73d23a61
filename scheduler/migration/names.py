"""Which script a shell command is about, and a task name made of it."""

import re
from collections.abc import Iterator
from functools import lru_cache

_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'[^']*'|\\."
_PIECES = re.compile(rf"(?:{_QUOTED}|\$\([^()]*\)|`[^`]*`|[^;&|()\s])+|&&|\|\||[;&|()]|>&|&>")
_ALONE = re.compile(r"(?<![&<>])&(?![&>])")
_LOOKS_FOR_IT = re.compile(r"\b(pgrep|pidof)\b|\bps\b.*\|\s*grep\b")
_REDIRECTED, _REDIRECTS = re.compile(r"[0-9]*[<>]"), frozenset("0123456789<>")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset(("&&", "||", ";", "&", "|", "(", ")"))
# What goes before the work: a folder, an environment, a look at whether there is anything to do.
_LOOKS = """
    cd . source test [ [[ export set unset umask ulimit sleep true : if then do while until for case pgrep
    pidof ps grep fgrep egrep pkill kill echo printf mkdir touch rm date which type exit wait
"""
_BEFORE = frozenset(_LOOKS.split())
# What takes another command as its arguments, with those of its own options that have a value.
_TAKERS = """
    nice=n ionice=cnp chrt= time=f timeout=ks nohup= setsid= exec=a sudo=ugD env=u command= chronic=
    stdbuf=ioe flock=wE su=sc xargs=In python=W python2=W python3=W sh= bash= dash= zsh= ksh= perl= ruby=
    node= php= Rscript= lua= then= do= else= run-parts=a
"""
_AROUND = {name: options for name, _, options in (each.partition("=") for each in _TAKERS.split())}
_OPERANDS = {"timeout": 1, "flock": 1, "chrt": 1, "su": 1}  # words that go before the command inside
_EXTENSION = re.compile(r"\.(py|sh|bash|pl|rb|js|php|R|jar|ts|lua|zsh|ksh)$")


@lru_cache(maxsize=4096)
def script_of(command: str) -> str:
    """What the command runs, without its folders: `news_scanner_local.py`; empty if it runs nothing."""
    looks = ""
    for words in _commands(command):
        program = _program(words)
        if program and program not in _BEFORE:
            return program.rpartition("/")[2]
        looks = looks or program or _bare(" ".join(words[:1]))
    return looks.rpartition("/")[2]


def name_of(command: str) -> str:
    """A valid task name that says what the command is about."""
    name = _EXTENSION.sub("", script_of(command)).lower()
    name = re.sub(r"[^a-z0-9_-]+", "_", name).strip("_-")
    if not re.match(r"[a-z]", name):
        name = f"job_{name}" if name else "job"
    return name[:32].rstrip("_-")


def numbered(name: str, number: int) -> str:
    """The same name for another command: `backup_2`."""
    end = f"_{number}"
    return name[: 32 - len(end)].rstrip("_-") + end


def folders_in(command: str) -> list[str]:
    """The folders of the absolute paths that the command names, in their order."""
    paths = re.findall(r"(?<![\w.])/[\w./-]+", command)
    return [part for path in paths for part in path.split("/")[:-1] if part]


def keeps_alive(command: str) -> bool:
    """Whether all it does is to start something in the background that is not running yet."""
    return in_background(command) and bool(_LOOKS_FOR_IT.search(command))


def in_background(command: str) -> bool:
    """Whether a command in it is left running in the background."""
    if not _ALONE.search(command):
        return False
    return "&" in _PIECES.findall(re.sub(r"[<>]&|&>", "", command))


def _commands(command: str) -> Iterator[list[str]]:
    words: list[str] = []
    for piece in _PIECES.findall(command):
        if piece in _OPERATORS:
            yield words
            words = []
        else:
            words.append(piece)
    yield words


def _program(words: list[str]) -> str:
    """The program that does the work, of one simple command."""
    words = [_bare(word) for word in words if word[:1] not in _REDIRECTS or not _REDIRECTED.match(word)]
    while words and (_ASSIGNED.match(words[0]) or words[0] in ("{", "}", "!")):
        words = words[1:]
    if not words:
        return ""
    program = words[0]
    around = program.rpartition("/")[2]
    return _inside(around, words[1:]) if around in _AROUND else program


def _inside(around: str, words: list[str]) -> str:
    operands = _OPERANDS.get(around, 0)
    while words:
        word, words = words[0], words[1:]
        if word in ("-c", "--command") and words:  # a whole command in quotes
            return script_of(words[0])
        if word in ("-e", "-r"):  # code in the line itself
            return ""
        if word == "-m" and around.startswith("python") and words:
            return words[0].replace(".", "_")
        if word.startswith("-"):
            takes = word[1:] in _AROUND[around] if len(word) == 2 else words[:1] and words[0].isdecimal()
            words = words[1:] if takes else words
        elif operands:
            operands -= 1
        else:
            return _program([word, *words])
    return ""


def _bare(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word
