"""Turns the keys command and handler into what a task or a wake runs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scheduler.core.secrets import Sensitive, SensitiveBytes
from scheduler.core.task import Call, Command, Handler, Isolated, Work
from scheduler.schema.table import At, Problems, key
from scheduler.schema.values import InvalidValue, flag, pairs, path, reason, text, words


@dataclass(frozen=True, slots=True)
class WorkTable:
    """The keys that say what runs."""

    command: tuple[str, ...] | None = key(words)
    handler: str | None = key(text)
    isolated: bool = key(flag, False)
    environment: Mapping[str, str] | None = key(pairs)
    inherit_environment: bool | None = key(flag)
    working_folder: Path | None = key(path)  # noqa: RUF009  # a field, not a shared value


def configured(table: WorkTable, home: str, at: At, problems: Problems) -> Work | None:
    """What `command` or `handler` asks for, None if neither is there or it cannot be used."""
    if table.command and table.handler:
        problems.add(at, "has both command and handler; keep one of them")
    elif table.command:
        if table.isolated:
            problems.add((*at, "isolated"), "goes with handler; a command is a process of its own already")
        return command(table, table.command)
    elif table.handler:
        only_commands(table, at, problems)
        try:
            return _handler(table.handler, table.isolated, home)
        except InvalidValue as error:
            problems.add((*at, "handler"), reason(table.handler, error))
    return None


def command(table: WorkTable, argv: tuple[str, ...]) -> Command:
    given = getattr(table, "input", None) or ""  # a task's only: the wake gets its own
    content = given.encode("utf-8", "surrogateescape")
    hidden = isinstance(given, Sensitive)
    return Command(
        argv,
        table.environment or {},
        SensitiveBytes(content) if hidden else content,
        table.working_folder,
        table.inherit_environment is not False,
    )


def only_commands(table: WorkTable, at: At, problems: Problems) -> None:
    """Note the keys that a Python handler has no use for."""
    for name in ("environment", "inherit_environment", "working_folder", "input"):
        if getattr(table, name, None) is not None:
            problems.add(
                (*at, name), "goes with command; a handler gets its options and secrets in its Context"
            )


def script(table: WorkTable, file: str) -> Command:
    """Python runs this file."""
    return command(table, (_python(), file))


@lru_cache(maxsize=1)
def _python() -> str:
    from shutil import which

    return "python3" if which("python3") else sys.executable


def _handler(target: str, isolated: bool, home: str) -> Work:
    source, colon, function = target.rpartition(":")
    if not (colon and source and function.isidentifier()):
        raise InvalidValue(
            f'{target!r} names no function; write "module:function" or "path/file.py:function"'
        )
    if source.endswith(".py"):
        return _file(source, function, home)
    if not all(part.isidentifier() for part in source.split(".")):
        raise InvalidValue(f"{source!r} is no module; write a file with its .py, a module with dots")
    return _isolated(source, function) if isolated else Call(_function(source, function))


def _file(source: str, function: str, home: str) -> Isolated:
    file = Path(home, source)
    if not file.is_file():
        raise InvalidValue(f"there is no file {file}; correct the path, which starts at the citizen's home")
    return Isolated(str(file), function)


def _isolated(source: str, function: str) -> Isolated:
    if find_spec(source.partition(".")[0]) is None:
        raise InvalidValue(
            f"there is no module {source!r}; install it, or name a file: path/file.py:{function}"
        )
    return Isolated(source, function)


def _function(source: str, function: str) -> Handler:
    module, error = _imported(source)
    if error is not None:
        what = f"{type(error).__name__}: {_line(error)}"
        raise InvalidValue(f"{source} cannot be imported: {what}; mend it, or its path") from error
    found: Any = getattr(module, function, None)
    if not callable(found):
        raise InvalidValue(f"{source} has no function {function!r}; correct the name")
    return found  # type: ignore[no-any-return]  # callable is all that can be known


def _imported(source: str) -> tuple[Any, BaseException | None]:
    """The module, or what its import ended with: somebody else's code, so that can be anything."""
    from concurrent.futures import ThreadPoolExecutor  # 15 ms that only module handlers pay

    with ThreadPoolExecutor(1) as aside:
        future = aside.submit(import_module, source)
        error = future.exception()
    return (None, error) if error else (future.result(), None)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
