"""What a connection between an owner and a client needs of its stream."""

import asyncio
from typing import Any, Protocol


class Transport(Protocol):
    """The part of asyncio's transport that is used."""

    def abort(self) -> None: ...

    def set_write_buffer_limits(self, high: int) -> None: ...


class Writer(Protocol):
    """The part of asyncio's StreamWriter that is used."""

    @property
    def transport(self) -> Transport: ...

    def get_extra_info(self, name: str) -> Any:
        """Return the `socket`, if there is one; asyncio also types it as Any."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class RemoteStream(Writer, Protocol):
    """Both ends of a connection to an owner of another machine."""

    machine: str
    reader: asyncio.StreamReader

    def abort(self) -> None: ...
