"""The web server: its pages, the screens, health and metrics."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import textual_serve
from aiohttp import web

from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.process.startup import wanted_signals
from scheduler.system.clock import Clock
from tui.serve import metrics
from tui.serve.access import AccessPolicy
from tui.serve.address import Address
from tui.serve.connections import BACKLOG, Connections, count_loop_errors
from tui.serve.credentials import Credentials
from tui.serve.health import OwnerState, health
from tui.serve.metrics import EventCounts
from tui.serve.middleware import HEADERS, Guard
from tui.serve.session import Limits, Screens
from tui.serve.watcher import CitizenWatcher

log = logging.getLogger("experience.serve")

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
PATIENCE = 5.0  # seconds that requests under way get when the server ends
PAGE = Path(__file__).parent / "page"
TERMINAL = Path(textual_serve.__file__).parent / "static"  # the terminal in the page


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one server; `monitor` are the arguments of each tab's monitor."""

    address: Address
    token: str = field(repr=False)
    monitor: tuple[str, ...]
    limits: Limits
    fleet: FleetOptions


async def serve(plan: Plan, opened: Callable[[Address], None]) -> None:
    """Serve until a signal comes; calls `opened` with the address. Raises SchedulerError."""
    fleet = Fleet(plan.fleet)
    watcher = CitizenWatcher(fleet, EventCounts(fleet.clock.now()))
    screens = Screens(plan.monitor, plan.limits)
    try:
        with _end_signal(screens) as ended:
            await watcher.start()
            app = application(plan, fleet.clock, watcher, screens)
            runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=PATIENCE)
            await runner.setup()
            try:
                async with listening(runner, plan.address) as where:
                    opened(where)
                    screens.pool.preload()
                    await _warn(watcher)
                    await ended.wait()
                    log.info("shutting down")
            finally:
                await runner.cleanup()
    finally:
        screens.kill()
        await watcher.stop()


async def _warn(watcher: CitizenWatcher) -> None:
    """Log which citizens no process runs: their screens show no changes."""
    idle = [each.citizen for each in await watcher.statuses() if each.owner_state is not OwnerState.ALIVE]
    if idle:
        log.warning(f"no process runs {', '.join(idle)} now: {PROGRAM} up runs them in the background")


def application(plan: Plan, clock: Clock, watcher: CitizenWatcher, screens: Screens) -> web.Application:
    """The routes, behind the guard."""
    app = web.Application(client_max_size=1024)
    Guard(AccessPolicy(plan.address, Credentials(plan.token)), clock).install(app)
    views = _Views(clock, watcher, screens)
    app.router.add_get("/", views.page)
    app.router.add_get("/ws", screens.connect, allow_head=False)
    app.router.add_get("/download/{key}", views.download, allow_head=False)
    app.router.add_get("/healthz", views.healthz)
    app.router.add_get("/metrics", views.metrics)
    app.router.add_static("/page", PAGE)
    app.router.add_static("/static", TERMINAL)
    app.on_shutdown.append(views.stop_screens)
    return app


class _Views:
    def __init__(self, clock: Clock, watcher: CitizenWatcher, screens: Screens) -> None:
        self._clock, self._watcher, self._screens = clock, watcher, screens

    async def page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "page.html")

    async def stop_screens(self, app: web.Application) -> None:
        await self._screens.stop()

    async def healthz(self, request: web.Request) -> web.Response:
        healthy, report = health(await self._watcher.statuses())
        return web.json_response(report, status=HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: web.Request) -> web.Response:
        statuses, counts = await self._watcher.statuses(), deepcopy(self._watcher.counts)
        accept, now, screens = request.headers.get("Accept", ""), self._clock.now(), len(self._screens)
        # With a thousand citizens the page has megabytes: a thread renders it while the screens go on.
        page, kind = await asyncio.to_thread(metrics.page, statuses, counts, now, screens, accept)
        return web.Response(body=page, headers={"Content-Type": kind})

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A file that a monitor delivers: the picture of its screen."""
        key, downloads = request.match_info["key"], self._screens.downloads
        try:
            metadata = await downloads.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound from None
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        name = re.sub(r"[^\w.-]", "_", metadata.file_name, flags=re.ASCII)
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        await response.prepare(request)
        async for chunk in downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response


@asynccontextmanager
async def listening(runner: web.AppRunner, address: Address) -> AsyncIterator[Address]:
    """Accept connections, within limits, until the block ends; gives the address with its port."""
    assert runner.server is not None
    connections = Connections(runner.server, HEADERS)
    count_loop_errors(connections.warn)
    loop, host = asyncio.get_running_loop(), address.host
    try:
        server = await loop.create_server(connections, host, address.port, backlog=BACKLOG)
    except OSError as error:
        raise SchedulerError(
            f"{host} port {address.port}: {error.strerror or error}; choose another with --port"
        ) from error
    try:
        yield Address(host, server.sockets[0].getsockname()[1], address.public)
    finally:
        server.close()


@contextmanager
def _end_signal(screens: Screens) -> Iterator[asyncio.Event]:
    """Set by the first signal; a second one kills the monitors at once."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if ended.is_set():
            screens.kill()
        ended.set()

    numbers = wanted_signals(*SIGNALS)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield ended
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
