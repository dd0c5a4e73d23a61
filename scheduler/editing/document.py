"""Makes one change in the text of a TOML file; everything else stays the same, to the byte."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.errors import SchedulerError
from scheduler.schema.table import dotted

Path = tuple[str, ...]  # the keys leading to a table or a value

_HEADER = re.compile(r"\s*\[.*\]\s*(#.*)?")
_REST = re.compile(r"\s*(#.*)?")  # a blank line or a comment


class CannotEdit(SchedulerError):
    """The file is written in a way that cannot be changed without touching the rest."""


def with_table(text: str, at: Path, keys: Mapping[str, Any]) -> str:
    """The text with a new table at its end; there must be no such table yet."""
    import tomlkit  # 40 ms that a mere look does not need

    wanted = _changed(text, at, keys)
    block = f"[{dotted(at)}]\n{tomlkit.dumps(keys)}"
    appended = _appended(text, block)
    return appended if _reads_as(appended, wanted) else _inside(text, at, dict(keys), wanted)


def without_table(text: str, at: Path) -> str:
    """The text without this table and its subtables; comments set apart from it stay."""
    wanted = _changed(text, at, None)
    lines = _lines(text)
    for start, end, name in reversed(list(_tables(text))):
        if name[: len(at)] == at:
            _remove(lines, start, end)
    shorter = "".join(lines)
    return shorter if _reads_as(shorter, wanted) else _inside(text, at, None, wanted)


def with_value(text: str, at: Path, value: bool | str | int | float) -> str:
    """The text with this value in its table, which is made if necessary."""
    *above, name = at
    table = value_at(text, tuple(above))
    if table is None:
        return with_table(text, tuple(above), {name: value})
    wanted = _changed(text, at, value)
    if name not in table and (line := line_of(text, tuple(above))) is not None:
        import tomlkit

        lines = _lines(text)
        lines.insert(line, _in_ends_of(text, f"{name} = {tomlkit.item(value).as_string()}\n"))
        longer = "".join(lines)
        if _reads_as(longer, wanted):
            return longer
    return _inside(text, at, value, wanted)


def value_at(text: str, at: Path) -> Any:
    """The value that the text sets at this path; None if there is none."""
    found: Any = tomllib.loads(_unmarked(text))
    for name in at:
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


def line_of(text: str, at: Path) -> int | None:
    """The line number of this table's header; None if it has none."""
    return next((start + 1 for start, _, name in _tables(text) if name == at), None)


def _tables(text: str) -> Iterator[tuple[int, int, Path]]:
    """Each table with a header: its first line, the line after its last, and its path."""
    lines = _lines(_unmarked(text))
    start = None
    for number, line in enumerate(lines):
        if not _HEADER.fullmatch(line.rstrip("\r\n")) or not _is_whole("".join(lines[start or 0 : number])):
            continue  # such a line can also be part of a multi-line text or list
        if start is not None:
            yield start, number, _name(lines[start])
        start = number
    if start is not None:
        yield start, len(lines), _name(lines[start])


def _lines(text: str) -> list[str]:
    """The lines with their ends; str.splitlines knows more line ends than TOML."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _is_whole(part: str) -> bool:
    try:
        tomllib.loads(part)
    except ValueError:
        return False
    return True


def _name(header: str) -> Path:
    name: list[str] = []
    found: Any = tomllib.loads(header)
    while isinstance(found, dict) and found:
        ((key, found),) = found.items()
        name.append(key)
    return tuple(name)


def _remove(lines: list[str], start: int, end: int) -> None:
    """Remove a table and one gap; comments after a blank line stay, since they belong to what follows."""
    last = end
    while last > start + 1 and _REST.fullmatch(lines[last - 1].rstrip("\r\n")):
        last -= 1
    while last < end and lines[last].strip():  # comments right below the table's keys
        last += 1
    while last < len(lines) and not lines[last].strip() and (start == 0 or not lines[start - 1].strip()):
        last += 1
    while last == len(lines) and start and not lines[start - 1].strip():
        start -= 1
    del lines[start:last]


def _appended(text: str, block: str) -> str:
    gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
    return text + _in_ends_of(text, gap + block)


def _in_ends_of(text: str, added: str) -> str:
    return added.replace("\n", "\r\n") if "\r\n" in text else added


def _inside(text: str, at: Path, value: Any, wanted: dict[str, Any]) -> str:
    """The text with the change inside an inline or dotted table; raises CannotEdit."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(_unmarked(text))
        table = document
        for name in at[:-1]:
            table = table[name]
        if value is None:
            del table[at[-1]]
        else:
            table[at[-1]] = value
        changed = f"{text[: len(text) - len(_unmarked(text))]}{document.as_string()}"
    except (TOMLKitError, KeyError, TypeError, AttributeError, ValueError):
        changed = ""
    if not changed or not _reads_as(changed, wanted):
        raise CannotEdit(f"{dotted(at)} is written in a way that only a person can change; edit the file")
    return changed


def _changed(text: str, at: Path, value: Any) -> dict[str, Any]:
    """What the file sets after the change, with everything else as before."""
    whole = tomllib.loads(_unmarked(text))
    table = whole
    for name in at[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise CannotEdit(f"{dotted(at)}: {name} is not a table; correct it first")
    table.pop(at[-1], None)
    if value is not None:
        table[at[-1]] = dict(value) if isinstance(value, Mapping) else value
    return whole


def _reads_as(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return _full(tomllib.loads(_unmarked(text))) == _full(wanted)
    except ValueError:
        return False


def _full(table: dict[str, Any]) -> dict[str, Any]:
    """The table without empty subtables, which may come and go with the last key in them."""
    kept = {name: _full(each) if isinstance(each, dict) else each for name, each in table.items()}
    return {name: each for name, each in kept.items() if each != {}}


def _unmarked(text: str) -> str:
    return text.removeprefix("\ufeff")
