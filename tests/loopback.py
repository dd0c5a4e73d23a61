"""A web server on this machine alone: remembers requests, and gives set answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Loopback:
    """`asked` holds method, path and body of each request; `status` 0 means that it never answers."""

    url: str = ""
    status: int = 200
    places: dict[str, str] = field(default_factory=dict)  # by path: where it redirects to
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A server for the time of a test."""
    state = Loopback()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.asked.append((self.command, self.path, body))
            if state.status == 0:
                state.over.wait()
                return
            place = state.places.get(self.path)
            self.send_response(302 if place else state.status)
            if place:
                self.send_header("location", place)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
