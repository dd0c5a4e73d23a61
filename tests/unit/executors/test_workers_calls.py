"""Python callables in this process: how they are called, what they return, what they cannot break."""

import asyncio
import contextlib
import functools
import os
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from scheduler.core.task import Call, Context, Outcome, Report
from scheduler.core.task import NotSetUp as Missing
from scheduler.errors import NotSetUp, TaskFailed
from scheduler.executors.executor import Executor
from tests.each import each
from tests.fakes import until
from tests.watching import Watching, call, cancelled, context, gone, task


@pytest.fixture
async def workers():
    workers = Executor()
    yield workers
    await workers.close()


async def coroutine(ctx: Context) -> str:
    return f"{ctx.citizen} {ctx.task}"


def plain(ctx):
    return f"{ctx.citizen} {ctx.task}"


def v2(citizen):
    return f"{citizen} chore"


async def v2_async(name):
    return f"{name} chore"


def annotated(who: str):
    return f"{who} chore"


def annotated_as_text(who: "str") -> str:
    return f"{who} chore"


def a_context_named_citizen(citizen: Context):
    return f"{citizen.citizen} chore"


def nothing():
    return "opus chore"


async def nothing_async():
    return "opus chore"


def anything(*args):
    return plain(*args)


def only_keywords(**options):
    return f"opus chore{options or ''}"


class Callable:
    __hash__ = None  # type: ignore[assignment] # as dataclasses are by default

    def method(self, ctx):
        return plain(ctx)

    async def async_method(self, citizen_name):
        return v2(citizen_name)

    def __call__(self, ctx):
        return plain(ctx)


class AsyncCallable:
    async def __call__(self, ctx):
        return plain(ctx)


def with_more(word, ctx, end=""):
    return plain(ctx) if word == "more" else "wrong"


SHAPES = [
    coroutine,
    plain,
    v2,
    v2_async,
    annotated,
    annotated_as_text,
    a_context_named_citizen,
    nothing,
    nothing_async,
    anything,
    only_keywords,
    Callable(),
    Callable().method,
    Callable().async_method,
    AsyncCallable(),
    functools.partial(with_more, "more"),
    functools.partial(coroutine),
    functools.partial(functools.partial(AsyncCallable())),
    lambda ctx: coroutine(ctx),
    lambda: nothing_async(),
]


@each("handler", SHAPES)
async def test_every_shape_is_called_as_it_wants(workers, home, handler):
    for _ in range(2):  # the second time from memory
        assert (await call(workers, handler, home)).text == "opus chore"


async def test_a_coroutine_runs_on_the_loop_and_a_function_on_a_thread_of_its_own(workers, home):
    async def here():
        return threading.current_thread().name

    def there():
        return f"{threading.current_thread().name} {threading.current_thread().daemon}"

    assert (await call(workers, here, home)).text == threading.current_thread().name
    assert (await call(workers, there, home)).text == "chore True"


@each(
    ("value", "outcome", "text", "urgent"),
    [
        (None, Outcome.OK, "", False),
        ("", Outcome.OK, "", False),
        ("fine", Outcome.OK, "fine", False),
        ("URGENT:2 from ct", Outcome.OK, "URGENT:2 from ct", True),
        ("not URGENT", Outcome.OK, "not URGENT", False),
        (Report("half", warning=True), Outcome.WARNING, "half", False),
        (Report("now", urgent=True), Outcome.OK, "now", True),
        (Report("URGENT: now"), Outcome.OK, "URGENT: now", True),
        ("a\udcffb", Outcome.OK, "a?b", False),
        ("x" * 10_000, Outcome.OK, "x" * 2000, False),
    ],
)
async def test_what_a_handler_returns_is_its_result(workers, home, value, outcome, text, urgent):
    async def handler():
        return value

    result = await call(workers, handler, home)
    assert (result.outcome, result.text, result.urgent, result.traceback) == (outcome, text, urgent, "")


@each(
    "value, words",
    [
        ({}, "returned a dict, not text"),
        (3, "returned an int, not text"),
        (b"ok", "returned a bytes, not text"),
        (False, "returned a bool, not text"),
        (Report(7), "returned a Report, not text"),  # type: ignore[arg-type] # as handlers do
        (object, "returned a type, not text"),
    ],
)
async def test_nonsense_is_a_failure_and_not_a_success(workers, home, value, words):
    with pytest.raises(TaskFailed, match=words):
        await call(workers, lambda: value, home)


async def test_generators_and_what_cannot_be_called_are_nonsense(workers, home):
    async def items():
        yield "text"

    def more():
        yield "text"

    for handler, words in [(items, "an async_generator"), (more, "a generator"), ("text", "not a function")]:
        with pytest.raises(TaskFailed, match=words):
            await call(workers, handler, home)


async def test_a_task_that_is_not_set_up_says_what_to_add(workers, home):
    for work, words in [(Missing("host", 'host = "..."'), 'host = "..."'), (Missing("host"), "needs host")]:
        with pytest.raises(NotSetUp, match=words):
            await workers.run(task(work), context(home), Watching())


@each("error", [ValueError, TaskFailed, SystemExit, KeyboardInterrupt, asyncio.TimeoutError])
async def test_what_a_handler_raises_comes_back_as_it_is(workers, home, error):
    mine = error("mine")

    def on_thread():
        raise mine

    async def on_loop():
        raise mine

    for handler in (on_thread, on_loop):
        with pytest.raises(error) as caught:
            await call(workers, handler, home)
        assert caught.value is mine


async def test_a_stray_stop_iteration_is_an_error_and_no_silence(workers, home):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await call(workers, lambda: next(iter(())), home)


async def test_a_thread_sees_the_context_variables_of_its_run(workers, home):
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("set")
    assert (await call(workers, lambda: variable.get(), home)).text == "set"


async def test_a_cancelled_coroutine_is_cancelled(workers, home):
    ended = asyncio.Event()

    async def handler():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    running = asyncio.create_task(call(workers, handler, home))
    await asyncio.sleep(0)
    await cancelled(running)
    assert ended.is_set()


async def test_a_thread_cannot_be_stopped_so_it_is_left_behind_and_watched(workers, home):
    release, began, watching = threading.Event(), threading.Event(), Watching()

    def stuck():
        began.set()
        release.wait(8)

    running = asyncio.create_task(call(workers, stuck, home, watching))
    await until(began.is_set, "the thread began")
    await cancelled(running)
    (what, alive) = watching.left[0]
    assert what == "thread" and alive()
    release.set()
    await until(lambda: not alive(), "the thread ended")


async def test_a_thread_that_ends_after_its_loop_disturbs_nothing(home):
    release, began = threading.Event(), threading.Event()

    def stuck():
        began.set()
        release.wait(8)

    def another_loop():
        async def main():
            running = asyncio.create_task(call(Executor(), stuck, home))
            await until(began.is_set, "began")
            await cancelled(running)

        asyncio.run(main())

    await asyncio.to_thread(another_loop)
    release.set()
    await until(lambda: not [t for t in threading.enumerate() if t.name == "chore"], "the thread ended")


async def test_a_handler_that_changes_the_folder_finds_it_changed_back(workers, home):
    before = Path.cwd()

    def wanders():
        os.chdir(home)

    async def wanders_async():
        os.chdir("/")

    def wanders_off():
        gone = home / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    for handler in (wanders, wanders_async, wanders_off):
        await call(workers, handler, home)
        await until(lambda: Path.cwd() == before, "it is put back")


def forks_and_returns(children):
    def handler():
        if pid := os.fork():
            children.append(pid)
        return "came back"

    return handler


def forks_and_raises(children):
    def handler():
        if not (pid := os.fork()):
            raise SystemExit(3)
        children.append(pid)
        return "came back"

    return handler


def forks_and_awaits(children):
    async def handler():
        if pid := os.fork():
            children.append(pid)
        await asyncio.sleep(0.01)
        return "came back"

    return handler


def forks_later(children):
    async def handler():
        await asyncio.sleep(0.01)
        return await forks_and_awaits(children)()

    return handler


def forks_when_it_is_cancelled(children):
    async def handler():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(30)
        return forks_and_returns(children)()

    return handler


FORKS = [forks_and_returns, forks_and_raises, forks_and_awaits, forks_later, forks_when_it_is_cancelled]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@each("hostile", FORKS)
async def test_the_child_of_a_handler_that_forks_never_gets_into_the_scheduler(workers, home, hostile):
    children: list[int] = []
    result = await call(workers, hostile(children), home)
    assert result.text == "came back"
    await until(lambda: gone(children[0]), "the child ended")
    assert os.waitpid(children[0], os.WNOHANG) == (children[0], 0)  # noqa: ASYNC222 # it does not wait


async def test_many_runs_of_one_handler_at_once_do_not_mix(workers, home):
    async def handler(ctx):
        await asyncio.sleep(0.001)
        return ctx.citizen

    names = [f"c{n}" for n in range(50)]
    runs = (workers.run(task(Call(handler)), Context(name, home, "chore"), Watching()) for name in names)
    assert [result.text for result in await asyncio.gather(*runs)] == names
