"""The child process of an isolated run (`python -m`): loads one function, calls it, sends its answer."""

import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from scheduler.core.costs import Usage
from scheduler.core.task import Context, Outcome, Progress
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors.in_process import exit_if_forked, guarded, shape
from scheduler.executors.isolated_protocol import answer_line, context_of, progress_line, usage_line
from scheduler.executors.result import Result, handler_result, storable_text

TRACEBACK = 20_000  # characters: enough for the innermost calls of an endless recursion


def main() -> None:
    """Run the one function that standard input names; the argument is the descriptor for the answer."""
    sender = _Sender(int(sys.argv[1]))
    call = json.loads(sys.stdin.buffer.read())
    _restore_python_path(call["python_path"])
    sys.excepthook = sender.failed  # called for everything but SystemExit, which sets the exit code
    context = context_of(call["context"], sender.progress, sender.used)
    sys.argv[:] = [call["source"]]
    sender.send(answer_line(_called(load(call["source"], call["function"], context.home), context)))


def load(source: str, function: str, home: Path) -> Callable[..., Any]:
    """The function from a file (a path relative to the home) or a module; it may import files next to it."""
    sys.path.insert(0, str(home))
    module = _from_file(home / source) if source.endswith(".py") else importlib.import_module(source)
    found = getattr(module, function, None)
    if not callable(found):
        raise TaskFailed(f"{source} has no function {function!r}; correct the name in handler")
    return found  # type: ignore[no-any-return] # it is callable; more cannot be known


def _from_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise TaskFailed(f"there is no file {file}; correct the path in handler")
    sys.path.insert(0, str(file.parent))
    name = file.stem if file.stem not in sys.modules else f"handler_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _called(function: Callable[..., Any], context: Context) -> Result:
    try:
        value = shape(function).call(function, context)
        if inspect.isawaitable(value):
            value = _awaited(value)
    finally:
        exit_if_forked()
    return handler_result(value)


def _awaited(awaitable: Awaitable[Any]) -> Any:
    import asyncio  # 20 ms that a plain function need not pay

    async def result() -> Any:
        return await awaitable

    async def alone() -> Any:
        return await guarded(result())

    return asyncio.run(alone())


def _restore_python_path(before: str | None) -> None:
    """Restore the citizen's value, only now: earlier, its files could shadow modules of this package."""
    os.environ.pop("PYTHONPATH", None)
    if before is not None:
        os.environ["PYTHONPATH"] = before
        sys.path[1:1] = before.split(os.pathsep)


class _Sender:
    """Sends messages over the pipe to the scheduler."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._fd = fd

    def send(self, line: bytes) -> None:
        os.write(self._fd, line)

    def progress(self, progress: Progress) -> None:
        self.send(progress_line(progress))

    def used(self, usage: Usage) -> None:
        self.send(usage_line(usage))

    def failed(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        expected = isinstance(error, TaskFailed | SchedulerError)
        text = str(error) if expected else f"{kind.__name__}: {error}".rstrip(": ")
        story = "" if expected else "".join(traceback.format_exception(kind, error, trace))[-TRACEBACK:]
        self.send(answer_line(Result(Outcome.FAILED, storable_text(text), traceback=story)))


if __name__ == "__main__":
    main()
