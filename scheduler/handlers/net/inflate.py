"""Decompresses an answer as it comes in, and stops at a limit: a bomb of 10 KB is not let grow to 10 MB."""

import zlib

_EITHER = 32 + zlib.MAX_WBITS  # gzip or zlib, by its first bytes


class BadAnswer(ValueError):
    """The answer cannot be used; the text says why and holds nothing of it."""


class Inflater:
    """Takes the body of an answer in pieces; raises BadAnswer when it is too long or broken."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._plain = encoding.strip().lower() in ("", "identity")
        if not self._plain and encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise BadAnswer("is compressed in a way that was not asked for")
        self._limit, self._came, self._body = limit, 0, bytearray()
        self._zlib = zlib.decompressobj(_EITHER)

    def take(self, data: bytes) -> None:
        first, self._came = not self._came, self._came + len(data)
        if self._plain:
            self._body += data
        else:
            self._inflate(data, first)
        if max(self._came, len(self._body)) > self._limit:
            raise BadAnswer(f"is longer than {self._limit >> 20} MiB")

    def whole(self) -> bytes:
        """The body; raises BadAnswer if its end is missing."""
        if self._came and not self._plain and not self._zlib.eof:
            raise BadAnswer("the connection broke off")
        return bytes(self._body)

    def _inflate(self, data: bytes, first: bool) -> None:
        if first and data[:1] not in (b"\x1f", b"\x78"):  # some send deflate without the head of zlib
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        while data and len(self._body) <= self._limit:
            if self._zlib.eof:
                if data[:1] != b"\x1f":  # padding after the end
                    return
                self._zlib = zlib.decompressobj(_EITHER)  # one more part
            try:
                self._body += self._zlib.decompress(data, self._limit + 1 - len(self._body))
            except zlib.error as error:
                raise BadAnswer("its compression is broken") from error
            data = self._zlib.unused_data
