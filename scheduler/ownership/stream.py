"""What a conversation between an owner and a client needs of the stream that carries it."""

import asyncio
from typing import Any, Protocol


class Transport(Protocol):
    """What is used of asyncio's transport."""

    def abort(self) -> None: ...

    def set_write_buffer_limits(self, high: int) -> None: ...


class Writer(Protocol):
    """What is used of asyncio's StreamWriter."""

    @property
    def transport(self) -> Transport: ...

    def get_extra_info(self, name: str) -> Any:
        """The `socket`, if there is one; asyncio says Any, too."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class RemoteStream(Writer, Protocol):
    """Both ends of a connection to an owner of another machine."""

    machine: str
    reader: asyncio.StreamReader

    def abort(self) -> None: ...
