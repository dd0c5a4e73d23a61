"""Whether a redirect leads from the internet into this machine or its network."""

import asyncio
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit


async def leads_inward(url: str, target: str) -> bool:
    """Whether a public address redirects to one that only this machine or its network can reach."""
    return not await _is_inside(url) and await _is_inside(target)


async def _is_inside(url: str) -> bool:
    """Whether any address of the host is private, of this machine or link-local; False if it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            urlsplit(url).hostname, None, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # behind a proxy, names may have no address here
        return False
    return any(not ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found)
