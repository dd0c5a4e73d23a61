"""A feed or a price on the internet does not lead into this machine or its network."""

import asyncio
import socket

import pytest

from scheduler.handlers.net.http import NoAnswer, leads_inward, open_web
from tests.each import each
from tests.handlers.net.web_servers import Reply, site

PUBLIC = {"feeds.example": "93.184.215.14", "six.example": "2606:2800:21f::1"}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that resolve without asking anybody."""
    known = {**PUBLIC, "inside.example": "10.1.2.3", "both.example": "192.168.0.9"}

    async def getaddrinfo(self, host, port, **more):
        if host == "nowhere.example":
            raise socket.gaierror
        address = known.get(host, host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@each(
    ("target", "inward"),
    [
        ("http://127.0.0.1:8023/metrics", True),
        ("http://[::1]/", True),
        ("http://[::ffff:127.0.0.1]/", True),
        ("http://169.254.169.254/latest/meta-data/", True),
        ("https://inside.example/", True),
        ("https://both.example/", True),
        ("http://0.0.0.0/", True),
        ("https://six.example/", False),
        ("https://nowhere.example/", False),
    ],
)
@each("source", ["https://feeds.example/rss", "https://six.example/rss"])
async def test_where_a_public_address_may_lead(source, target, inward):
    assert await leads_inward(source, target) is inward


async def test_what_is_inside_may_lead_anywhere():
    assert not await leads_inward("http://inside.example/rss", "http://127.0.0.1:1/")


async def test_a_redirect_inward_is_a_sentence(monkeypatch):
    from scheduler.handlers.net import http

    async def inward(url: str, target: str) -> bool:
        return True

    monkeypatch.undo()
    monkeypatch.setattr(http, "leads_inward", inward)
    async with site() as there, site() as stranger, open_web() as web:
        goal = stranger.at("/b", Reply(b"b"))
        url = there.at("/a", Reply(status=302, headers={"Location": goal}))
        with pytest.raises(NoAnswer, match="redirects into this machine or its network"):
            await web.get(url)
        assert not stranger.asked
