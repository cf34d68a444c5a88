"""A line to a server that can be held: what the server says arrives when the test lets it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class SlowLine:
    """A TCP proxy on this machine; `address` leads to the server."""

    address: str
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _held: int = 0

    @property
    def held(self) -> int:
        """How many bytes of the server have been held back."""
        return self._held

    def hold(self) -> None:
        """Hold back what the server says from now on."""
        self._held = 0
        self._open.clear()

    def release(self) -> None:
        """Let all of it arrive."""
        self._open.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                if not self._open.is_set():
                    self._held += len(chunk)
                    await self._open.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def slow_line(server: str) -> AsyncIterator[SlowLine]:
    """A line to the server at `host:port`; it is quick until it is held."""
    host, _, port = server.rpartition(":")
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        both = (line._forward(reader, back), line._answer(there, writer))
        running.update(asyncio.create_task(one) for one in both)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    line = SlowLine(address=f"127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    line.release()
    async with listening:
        yield line
        for task in running:
            task.cancel()
