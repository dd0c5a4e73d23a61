"""Sends alerts to commands, webhooks and Apprise, and pings to their URLs, each with a time limit."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.core.task import Alerts
from scheduler.errors import TaskFailed
from scheduler.process.startup import as_utf8, give_back_limits, starters_environment

if TYPE_CHECKING:
    import httpx2

LIMIT = 10.0  # seconds per target
PING_REDIRECTS = 5
# In its own process, so that it can be killed: Apprise has a hundred plugins that block.
NOTIFY = """\
import json, sys, apprise
message = json.load(sys.stdin)
sender = apprise.Apprise()
added = [sender.add(url) for url in message["urls"]]
sent = sender.notify(title=message["title"], body=message["body"])
sys.exit(0 if sent and all(added) else 3)
"""


class Refused(Exception):
    """A target did not accept a message; the text is the reason and contains no address."""


class Targets:
    """Sends alerts and pings over shared connections, on the worker's loop."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def alert(self, alerts: Alerts, message: Mapping[str, Any], home: Path) -> dict[str, str]:
        """Send to all targets at once; returns for each "", or why it failed."""
        requests: dict[str, Coroutine[Any, Any, None]] = {}
        if alerts.command:
            requests["command"] = _command(alerts.command, message, home)
        if alerts.webhook:
            requests["webhook"] = self._request("POST", alerts.webhook, json=message)
        if alerts.apprise:
            requests["apprise"] = _apprise(alerts.apprise, message)
        answers = await asyncio.gather(*map(_limited, requests.values()))
        return dict(zip(requests, answers, strict=True))

    async def ping(self, url: str) -> str:
        """Request the URL; returns "", or why that failed."""
        return await _limited(self._request("GET", url, redirects=PING_REDIRECTS))

    async def _request(self, method: str, url: str, *, json: Any = None, redirects: int = 0) -> None:
        import httpx2

        from scheduler.handlers.net.http import new_client, redirected, why

        try:
            self._client = self._client or new_client()
            while True:
                request = self._client.build_request(method, url, json=json)
                answer = await self._client.send(request, stream=True, follow_redirects=False)
                await answer.aclose()  # its body is not read
                if not (redirects and answer.has_redirect_location):
                    break
                redirects -= 1
                url, _ = await redirected(url, answer.headers["location"], {})
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise Refused(why(error)) from None
        except TaskFailed as error:
            raise Refused(str(error)) from None
        if not answer.is_success:
            raise Refused(f"it answered {answer.status_code}")


async def _limited(sending: Coroutine[Any, Any, None]) -> str:
    try:
        async with asyncio.timeout(LIMIT):
            await sending
    except TimeoutError:
        return f"no answer within {LIMIT:g} s"
    except Refused as error:
        return str(error)
    return ""


async def _command(argv: tuple[str, ...], message: Mapping[str, Any], home: Path) -> None:
    described = {"CITIZEN": str(message["citizen"]), "EXPERIENCE_ALERT": str(message["kind"])}
    around = {**starters_environment(), **described}
    await _run(tuple(map(as_utf8, argv)), json.dumps(message).encode(), cwd=home, env=around)


async def _apprise(urls: tuple[str, ...], message: Mapping[str, Any]) -> None:
    title = f"{message['citizen']}/{message['task']} {message['kind']}".replace("/ ", " ")
    content = {"urls": urls, "title": title, "body": message["text"]}
    await _run((sys.executable, "-P", "-c", NOTIFY), json.dumps(content).encode())


async def _run(argv: tuple[str, ...], text: bytes, **more: Any) -> None:
    """Run a program with this standard input; on cancellation kill it and its children."""
    quiet = asyncio.subprocess.DEVNULL  # its output may hold secrets
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True, **more
        )
    except OSError as error:
        raise Refused(f"cannot be started: {error.strerror}") from None
    give_back_limits(process.pid)
    try:
        await process.communicate(text)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise Refused(f"exit code {process.returncode}")
