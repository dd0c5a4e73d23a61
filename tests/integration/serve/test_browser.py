"""The monitor in a real Chromium: what a person sees, does and loses."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import until
from tests.integration.serve.serving import Place, Served, owner, place, serving
from tests.loopback import loopback
from tests.needs import PLAYWRIGHT

pytestmark = [pytest.mark.timeout(90), pytest.mark.needs("chromium", "node", PLAYWRIGHT.name)]

DRIVER = Path(__file__).with_name("browser.mjs")


class Browser:
    """A Chromium with a profile of its own; takes the orders of browser.mjs."""

    def __init__(self, profile: Path) -> None:
        node, chromium = shutil.which("node"), shutil.which("chromium")
        assert node and chromium
        self._process = subprocess.Popen(
            [node, DRIVER, PLAYWRIGHT.parent, chromium, profile],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, order: str, **more: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"order": order, **more}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser has died"}')
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def close(self) -> None:
        self._process.communicate(timeout=20)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, name: str, url: str) -> None:
        self._browser, self._name = browser, name
        self.opening = browser("open", name=name, url=url)

    def __call__(self, order: str, **more: Any) -> Any:
        return self._browser(order, name=self._name, **more)

    def shows(self, words: str) -> bool:
        """Whether the terminal was sent these words since it was last asked to forget."""
        return words.encode() in self("state")["screen"].encode("latin1")

    def notice(self, words: str) -> bool:
        return words in self("state")["notice"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    here = place(tmp_path_factory.mktemp("serve"))
    with owner(here):
        yield here


@pytest.fixture(scope="module")
def served(here: Place) -> Iterator[Served]:
    with serving(here) as server:
        yield server


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[[str], Page]]:
    pages: list[Page] = []

    def opened(url: str) -> Page:
        pages.append(Page(browser, str(len(pages)), url))
        return pages[-1]

    yield opened
    for page in pages:
        page("shut")


async def test_the_link_opens_the_live_fleet_and_a_key_forces_a_task(served, here, tab):
    page = tab(served.link)
    assert page.opening["url"] == f"{served.url}/"  # the token has left the address bar
    await until(lambda: page.shows("note") and page.shows("opus"), "the fleet is there")
    page("forget")
    before = here.ran()
    page("press", key="g")  # without a click before it
    page("press", key="j")  # past the wake
    page("press", key="f")
    await until(lambda: here.ran() == before + 1, "the owner ran it")
    await until(lambda: page.shows("note"), "its row is painted again")
    state = page("state")
    assert state["refused"] == []  # nothing on the page is against its own policy
    assert all(url.startswith(served.url) for url in state["outside"])  # nor from anywhere else
    assert page("evaluate", script="document.fonts.check('15px \"Roboto Mono\"')")
    assert page("evaluate", script="document.cookie") == ""  # scripts do not see it


def unfilled(page) -> list[float]:
    """Return how many pixels of the window, across and down, the screen leaves empty."""
    return page(
        "evaluate",
        script="""(() => {
            const screen = document.querySelector(".xterm-screen").getBoundingClientRect();
            return [innerWidth - screen.width, innerHeight - screen.height];
        })()""",
    )


async def test_the_screen_fills_its_window_and_changes_with_it(served, tab):
    page = tab(served.link)
    await until(lambda: page.shows("note"), "the fleet is there")
    for width, height in ((700, 500), (1600, 1000)):
        page("forget")
        page("resize", width=width, height=height)
        await until(lambda: page.shows("opus"), "it is painted again")
        await until(lambda: all(0 <= pixels < 30 for pixels in unfilled(page)), f"it fills {width}x{height}")


async def test_a_page_finds_the_server_again_after_a_restart(here, tab):
    with serving(here) as server:
        page = tab(server.link)
        await until(lambda: page.shows("note"), "the fleet is there")
        port = int(server.host.rpartition(":")[2])
    await until(lambda: page.notice("The server has ended"), "it says so")
    with serving(here, port=port):
        page("forget")
        await until(lambda: page.shows("note"), "the fleet is back, without the link")
        assert page("state")["notice"] == ""


async def test_a_screen_that_was_quit_comes_back_with_a_key(served, tab):
    page = tab(served.link)
    await until(lambda: page.shows("note"), "the fleet is there")
    page("press", key="q")
    await until(lambda: page.notice("This screen is closed"), "it says so")
    page("forget")
    page("press", key="Enter")
    await until(lambda: page.shows("note"), "it is there again")


async def test_a_stranger_sees_how_to_get_in_and_nothing_else(served, tab):
    browser_without = served.url.replace("127.0.0.1", "localhost")  # a cookie is for one name
    for url in (f"{browser_without}/", f"{browser_without}/?token=wrong"):
        page = tab(url)
        assert page.opening["status"] == 401
        assert "experience-tui serve --link" in page("state")["text"]


async def test_a_page_of_another_site_cannot_open_a_screen(served, tab):
    tab(served.link)  # the browser has the cookie, and sends it to every port of this machine
    script = f"""new Promise((answer) => {{
        const socket = new WebSocket("ws://{served.host}/ws?width=80&height=24");
        socket.onopen = () => answer("open");
        socket.onerror = () => answer("refused");
    }})"""
    with loopback() as other:
        assert tab(other.url)("evaluate", script=script) == "refused"
    await until(
        lambda: f"{other.url}' is not this server's page" in served.log.read_text(), "it is in the log"
    )
