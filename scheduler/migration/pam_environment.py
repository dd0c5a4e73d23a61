"""The variables that PAM gives to cron jobs, as pam_env reads them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scheduler.system.files import read_file

CONFIGURED, ENVIRONMENT = "etc/security/pam_env.conf", "etc/environment"
# The lines of Debian's /etc/pam.d/cron, for machines without that file.
DEBIAN = ("session required pam_env.so", "session required pam_env.so envfile=/etc/default/locale")
DEEPEST = 4  # levels of included files
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_INCLUDES = re.compile(r"(?:@include|-?\w+\s+(?:include|substack))\s+([\w.-]+)\s*", re.ASCII)
_ASSIGNED = re.compile(r"(?:export\s+)?([^\s=#]+)\s*=(.*)")
_CONFIGURED = re.compile(r'([^\s=#]+)((?:\s+(?:DEFAULT|OVERRIDE)=(?:"[^"]*"|\S*))*)')
_VALUE = re.compile(r'(DEFAULT|OVERRIDE)=(?:"([^"]*)"|(\S*))')
_REFERENCE = re.compile(r"([$@])\{(\w+)\}")


def pam_environment(root: Path, service: Path | None, user: str, home: str) -> dict[str, str]:
    """The variables of a session under this service file; without one, as on Debian."""
    found: dict[str, str] = {}
    items = {"PAM_USER": user, "HOME": home, "SHELL": "/bin/sh"}
    for line in DEBIAN if service is None else _lines_of(service, DEEPEST):
        words = line.split()
        if any(word.rpartition("/")[2] == "pam_env.so" for word in words):
            _read_environment(root, dict(word.partition("=")[::2] for word in words), found, items)
    return {name: value for name, value in found.items() if _NAME.fullmatch(name)}


def _lines_of(service: Path, depth: int) -> Iterator[str]:
    """The lines of a service file, including those of the files that it includes."""
    for line in _lines(service):
        if included := _INCLUDES.fullmatch(line):
            if depth:
                yield from _lines_of(service.with_name(included[1]), depth - 1)
        else:
            yield line


def _read_environment(
    root: Path, options: Mapping[str, str], found: dict[str, str], items: Mapping[str, str]
) -> None:
    """Add the variables of one pam_env.so line: first its configuration, then its file of variables."""
    for line in _lines(root / options.get("conffile", CONFIGURED).lstrip("/")):
        if configured := _CONFIGURED.fullmatch(line):
            _configure(configured[1], configured[2], found, items)
    if options.get("readenv", "1") == "1":
        for line in _lines(root / options.get("envfile", ENVIRONMENT).lstrip("/")):
            if assigned := _ASSIGNED.fullmatch(line):
                found[assigned[1]] = _unquoted(assigned[2].strip())


def _configure(name: str, values: str, found: dict[str, str], items: Mapping[str, str]) -> None:
    """Add the variable of `NAME DEFAULT=value OVERRIDE=value`; the override counts unless it is empty."""
    given = {kind: quoted or plain for kind, quoted, plain in _VALUE.findall(values)}

    def meant(reference: re.Match[str]) -> str:
        return (found if reference[1] == "$" else items).get(reference[2], "")

    expanded = {kind: _REFERENCE.sub(meant, text) for kind, text in given.items()}
    if value := expanded.get("OVERRIDE") or expanded.get("DEFAULT"):
        found[name] = value


def _unquoted(value: str) -> str:
    same = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if same else value


def _lines(file: Path) -> Iterator[str]:
    """The lines without comments and surrounding blanks; none if the file cannot be read."""
    try:
        text = read_file(file).decode("utf-8", "surrogateescape")
    except OSError:
        return
    for line in text.replace("\\\n", " ").splitlines():
        if bare := line.partition("#")[0].strip():
            yield bare
