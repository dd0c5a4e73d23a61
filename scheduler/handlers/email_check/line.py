"""A connection that another thread can cut."""

import contextlib
import socket


class Line:
    """The connection under way, for whoever has to cut it: a run that is over waits for no server."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._over = False

    def hold(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._over:
            self.cut()

    def cut(self) -> None:
        """Whatever waits for the server fails now; may be called from any thread."""
        self._over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own shutdown: it takes the TLS state away from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
