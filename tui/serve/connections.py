"""The connections of the web server: how many are allowed, and how long a request may take to arrive."""

import asyncio
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from scheduler.system.log_once import CountedWarning

log = logging.getLogger("experience.serve")

MOST = 256  # connections; a screen has one, a browser some more
OF_AN_ADDRESS = 128  # of them without a token or cookie; behind a proxy, all have the same address
HEAD_WITHIN = 10.0  # seconds for all of a request's head
KEPT_ALIVE = 75.0  # seconds between two requests; longer than a proxy keeps a connection
BACKLOG = 16  # asyncio accepts that many in one turn of the loop


class Connections:
    """Makes the protocol of each connection. When there are too many, the oldest unknown client goes."""

    def __init__(self, server: web.Server, headers: Mapping[str, str]) -> None:
        self._server, self.headers = server, headers
        self.warn = CountedWarning(log)
        self._open: dict[Connection, None] = {}  # in the order of arrival

    def __call__(self) -> "Connection":
        return Connection(self, self._server)

    def __len__(self) -> int:
        return len(self._open)

    def take(self, connection: "Connection") -> bool:
        """Whether there is room for the connection; one that was never admitted is closed to make room."""
        unknown = [each for each in self._open if not each.admitted]
        same = [each for each in unknown if each.address == connection.address]
        if len(self._open) >= MOST or len(same) >= OF_AN_ADDRESS:
            self.warn(f"too many connections of {connection.address}" if same else "too many connections")
            if not (crowd := same or unknown):
                return False
            crowd[0].abort()
        self._open[connection] = None
        return True

    def leave(self, connection: "Connection") -> None:
        self._open.pop(connection, None)


class Connection(web.RequestHandler):
    """aiohttp's connection, within limits; what a client sent appears in no log and in no answer."""

    __slots__ = ("_all", "_deadline", "_taken", "address", "admitted")

    def __init__(self, connections: Connections, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, logger=log, access_log=None, keepalive_timeout=KEPT_ALIVE)  # type: ignore[arg-type]  # None means none
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._taken = self.admitted = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address = str((transport.get_extra_info("peername") or [""])[0])
        super().connection_made(transport)
        self._taken = self._all.take(self)
        if self._taken:
            self._expect_head()
        else:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._all.leave(self)
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._head_arrived()
        elif self._deadline is None and self._current_request is None:
            self._expect_head()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer without quoting the request; aiohttp would log and send some of its bytes, even cookies."""
        if status == HTTPStatus.BAD_REQUEST:
            self._all.warn(f"a malformed request from {self.address}")
        else:
            self._all.warn(f"a request broke: {type(exc).__name__}", where(exc))
        if request.writer.output_size:
            raise ConnectionError("the answer is under way")
        known = HTTPStatus(status)
        answer = web.Response(status=status, text=f"{status} {known.phrase}", headers=self._all.headers)
        answer.force_close()
        return answer

    def abort(self) -> None:
        """Hang up at once."""
        self._all.leave(self)
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_WITHIN, self.abort)

    def _head_arrived(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


def where(error: BaseException | None) -> str:
    """The lines of code that an error came through, without its text, which may quote a request."""
    return "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip() if error else ""


def count_loop_errors(warn: CountedWarning) -> None:
    """Log errors of the loop once and count them: asyncio reports 1,600 a second while no socket is free."""

    def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        known = isinstance(error, OSError) and error.strerror
        warn(f"{context['message']}: {known or type(error).__name__}", "" if known else where(error))

    asyncio.get_running_loop().set_exception_handler(on_error)
