"""One rule asked of many cases in one test: the case that fails is named."""

import functools
import inspect
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.building import Factory, notes_in
from tests.fakes import FakeClock


def each(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Callable[..., Any]], Any]:
    """Like `pytest.mark.parametrize`, as one test: for cases that are quick and leave nothing behind.

    What they leave in `tmp_path`, `home` or `caplog` does no harm: each case begins without it. Its
    `build` is new, too, with its `clock`, `runs` and `noting`.
    """
    alone = isinstance(names, str) and "," not in names
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    known = [dict(zip(keys, (case,) if alone else case, strict=True)) for case in cases]
    assert known, "a rule without a case is not tested"

    def decorated(test: Callable[..., Any]) -> Any:
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def asked(**given: Any) -> None:
                for number, case in enumerate(known):
                    with _Named(case):
                        async with _own_scheduler(_afresh(given, number), number) as own:
                            await test(**own, **case)
        else:

            @functools.wraps(test)
            def asked(**given: Any) -> None:
                for number, case in enumerate(known):
                    with _Named(case):
                        test(**_afresh(given, number), **case)

        given = inspect.signature(test)
        left = [parameter for name, parameter in given.parameters.items() if name not in keys]
        asked.__signature__ = given.replace(parameters=left)  # pytest looks here for fixtures
        return asked

    return decorated


def _afresh(given: dict[str, Any], number: int) -> dict[str, Any]:
    fresh = {}
    if "tmp_path" in given:
        fresh["tmp_path"] = given["tmp_path"] / f"case{number}"
        fresh["tmp_path"].mkdir()
    if "home" in given:
        fresh["home"] = _copied(given["home"], number)
    if "caplog" in given:
        given["caplog"].clear()
    return {**given, **fresh}


def _copied(home: Path, number: int) -> Path:
    """A new home with what its fixture put there, under the same name."""
    return Path(shutil.copytree(home, home.parent / f"home{number}" / home.name))


@asynccontextmanager
async def _own_scheduler(given: dict[str, Any], number: int) -> AsyncIterator[dict[str, Any]]:
    if "build" not in given:
        yield given
        return
    clock, runs = FakeClock(), list[Any]()
    build = Factory(given.get("home") or _copied(given["build"].home, number), clock)
    own = {"build": build, "clock": clock, "runs": runs, "noting": notes_in(runs, clock)}
    try:
        yield given | {name: own[name] for name in own.keys() & given.keys()}
    finally:
        await build.close()


class _Named(AbstractContextManager[None]):
    """Adds the case to whatever goes wrong with it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._case = case

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(
                f"the case: {', '.join(f'{name}={value!r}' for name, value in self._case.items())}"
            )
