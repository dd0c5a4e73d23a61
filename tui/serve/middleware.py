"""Checks every request before it reaches a page, and adds security headers to every response."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from math import ceil
from pathlib import Path

from aiohttp import hdrs, web

from scheduler.core.wording.text import clean
from scheduler.system.clock import Clock
from scheduler.system.log_once import CountedWarning
from tui.serve.access import AccessPolicy, AccessRequest, Decision
from tui.serve.connections import Connection
from tui.serve.credentials import COOKIE_LASTS

log = logging.getLogger("experience.serve")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# xterm.js writes <style> elements; everything else on the page must come from this server.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "experience",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
REFUSALS = {
    Decision.BAD_HOST: (HTTPStatus.FORBIDDEN, "This server has another name."),
    Decision.BAD_ORIGIN: (HTTPStatus.FORBIDDEN, "Pages of other sites have no access."),
    Decision.WRONG_TOKEN: (HTTPStatus.UNAUTHORIZED, "This token is wrong, or no longer valid."),
    Decision.NO_TOKEN: (HTTPStatus.UNAUTHORIZED, "This page opens with the link of the server."),
    Decision.TOO_MANY: (HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens: try again later."),
}


class Guard:
    """The middleware: decides about each request, and exchanges the link's token for a cookie."""

    def __init__(self, policy: AccessPolicy, clock: Clock) -> None:
        self._policy, self._clock = policy, clock
        self._warn = CountedWarning(log)
        self._page = (Path(__file__).parent / "page" / "refused.html").read_text("utf-8")

    def install(self, app: web.Application) -> None:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._check(request, handler)

        app.middlewares.append(check)
        app.on_response_prepare.append(_add_headers)

    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        access = self._access_request(request)
        decision = self._policy.decide(access, self._clock.now(), self._clock.elapsed())
        if decision in (Decision.ADMITTED, Decision.EXCHANGE) and isinstance(request.protocol, Connection):
            request.protocol.admitted = True  # from now on, others do not displace it
        if decision is Decision.ADMITTED:
            return await handler(request)
        if decision is Decision.EXCHANGE:
            return self._exchange(access.host)
        if decision is not Decision.NO_TOKEN:  # normal for a tab with an old cookie
            self._warn(f"refused a request from {access.peer}: {_reason(decision, access)}")
        return self._refuse(decision, access)

    def _access_request(self, request: web.Request) -> AccessRequest:
        host = request.headers.get(hdrs.HOST, "").lower()
        secure = self._policy.address.is_public(host)
        kind, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return AccessRequest(
            peer=request.remote or "",
            host=host,
            origin=request.headers.get(hdrs.ORIGIN),
            socket=hdrs.UPGRADE in request.headers,
            link=request.query.get("token") if request.path == "/" else None,
            bearer=bearer.strip() if kind.lower() == "bearer" else None,
            cookie=request.cookies.get(self._policy.credentials.cookie_name(secure)),
        )

    def _exchange(self, host: str) -> web.Response:
        secure, credentials = self._policy.address.is_public(host), self._policy.credentials
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: "/"})
        response.set_cookie(
            credentials.cookie_name(secure),
            credentials.cookie(self._clock.now()),
            max_age=COOKIE_LASTS,
            secure=secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    def _refuse(self, decision: Decision, access: AccessRequest) -> web.Response:
        status, why = REFUSALS[decision]
        headers = {hdrs.WWW_AUTHENTICATE: "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
        if decision is Decision.TOO_MANY:
            headers[hdrs.RETRY_AFTER] = str(
                ceil(self._policy.failures.retry_after(access.peer, self._clock.elapsed()))
            )
        return web.Response(
            status=status, text=self._page.replace("{why}", why), content_type="text/html", headers=headers
        )


def _reason(decision: Decision, request: AccessRequest) -> str:
    """The reason for the log: without tokens, and with the client's text cut short."""
    if decision is Decision.BAD_HOST:
        return f"host {clean(request.host[:80])!r} is not a name of this server"
    if decision is Decision.BAD_ORIGIN:
        return f"origin {clean(str(request.origin)[:80])!r} is not this server's page"
    return "a wrong token" if decision is Decision.WRONG_TOKEN else "too many wrong tokens before"


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    if request.path.startswith(("/static/", "/page/")):
        response.headers["Cache-Control"] = "no-cache"  # public files; the browser checks them each time
