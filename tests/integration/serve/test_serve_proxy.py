"""The example of docs/browser.md, for real: nginx with TLS in front of `experience-tui serve`."""

import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.fakes import until
from tests.handlers.net.web_servers import running_nginx
from tests.integration.serve.serving import ROOT, client, owner, place, serving

pytestmark = [pytest.mark.timeout(60), pytest.mark.needs("nginx", "openssl")]

NAME = "opus.example.org"
AROUND = """
daemon off; pid {folder}/pid; error_log {folder}/errors; events {{ }}
http {{
    access_log {folder}/access;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    {server}
}}
"""


@dataclass
class Proxy:
    url: str
    access: Path


def example(port: int, folder: Path, behind: int) -> str:
    """The server block of the documentation, on other ports."""
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "browser.md").read_text(), re.DOTALL)
    assert block
    changed = (
        block[1].replace("443 ssl", f"127.0.0.1:{port} ssl").replace("127.0.0.1:8023", f"127.0.0.1:{behind}")
    )
    return changed.replace("/etc/ssl/", f"{folder}/")


@contextmanager
def proxy(behind: int) -> Iterator[Proxy]:
    folder = Path(tempfile.mkdtemp(prefix="experience-proxy-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", "opus.key", "-out", "opus.pem", "-subj", f"/CN={NAME}", "-days", "2"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    (folder / "conf").write_text(AROUND.format(folder=folder, server=example(port, folder, behind)))
    with running_nginx(folder, port):
        yield Proxy(f"https://127.0.0.1:{port}", folder / "access")


async def test_behind_a_proxy_with_tls_the_cookie_is_bound_to_it(tmp_path):
    here, public = place(tmp_path), f"https://{NAME}"
    with owner(here), serving(here, f"--public-url={public}") as served:
        assert served.url == public
        port = next(each.laddr.port for each in _listening(served.process.pid))
        with proxy(port) as front:
            async with client() as session:
                link = f"{front.url}/?token={served.token}"
                host = {"Host": NAME}
                async with session.get(link, headers=host, ssl=False, allow_redirects=False) as answer:
                    assert answer.status == 303
                    given = answer.headers["Set-Cookie"]
                assert (
                    given.startswith("__Host-experience-") and "; Secure" in given and "Domain" not in given
                )
                known = {**host, "Cookie": given.partition(";")[0]}
                async with session.get(front.url, headers=known, ssl=False) as page:
                    assert page.status == 200
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    evil = known | {"Origin": f"http://{NAME}"}
                    await session.ws_connect(f"{front.url}/ws", headers=evil, ssl=False)
                headers = known | {"Origin": public}
                async with session.ws_connect(f"{front.url}/ws", headers=headers, ssl=False) as screen:
                    painted = b""
                    while b"note" not in painted:
                        painted += await screen.receive_bytes(timeout=30)
            await until(lambda: "/ws" in front.access.read_text(), "the proxy has logged it")
            assert served.token not in front.access.read_text()


def _listening(pid: int) -> Iterator[object]:
    import psutil

    return (each for each in psutil.Process(pid).net_connections("tcp") if each.status == "LISTEN")
