"""Whether a crontab has a column of users: told by its place, or by what stands in the sixth column."""

import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import PurePath

LOOKED_AT = 200  # jobs: a look for a program or a user takes a tenth of a millisecond
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?")
# Where the file is from another machine its users are not ours; these are on most.
_ELSEWHERE = "root www-data nobody operator www postgres mysql ubuntu debian pi munin news apache nginx"
_USUAL = frozenset(_ELSEWHERE.split())
_SHELL = """
    [ [[ . : if for while case test cd source exec export set echo printf command eval true false wait ulimit
    umask { ( ! until time trap
"""
_BUILT_IN = frozenset(_SHELL.split())


def by_place(path: PurePath) -> bool | None:
    """True for /etc/crontab and what is in a cron.d, None for a file that may be either."""
    if path == PurePath("/etc/crontab") or path.parent.name == "cron.d":
        return True
    return False if path.parent.name in ("crontabs", "tabs") else None


def by_sense(rests: Iterable[str]) -> bool:
    """Whether the commands of a crontab's jobs (of the first of them) seem to begin with a user."""
    words = [rest.split(None, 2) for rest in islice(rests, LOOKED_AT)]
    if not words:
        return False
    sure = sum(_is_user(each) for each in words)
    return sure * 2 >= len(words) or all(_may_be_user(each) for each in words)


def _is_user(words: list[str]) -> bool:
    """A user that is known, before something that is no option: `mail -s` is a program."""
    if len(words) < 2 or words[1].startswith("-") or not _NAME.fullmatch(words[0]):
        return False
    return words[0] in _USUAL or (_known(words[0]) and not _is_program(words[0]))


def _may_be_user(words: list[str]) -> bool:
    """A plain word that is no program, before one that is."""
    if _is_user(words):
        return True
    if len(words) < 2 or not _NAME.fullmatch(words[0]) or _is_program(words[0]):
        return False
    following = words[1]
    return following.startswith(("/", "(", "[", "~/", "./", "$")) or _is_program(following)


@lru_cache(maxsize=4096)
def _known(name: str) -> bool:
    try:
        from pwd import getpwnam  # not on Windows
    except ImportError:
        return False
    try:
        getpwnam(name)
    except KeyError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_program(word: str) -> bool:
    return word in _BUILT_IN or shutil.which(word) is not None
