"""A link that takes time: a process that relays bytes and holds each chunk back, both ways.

    python -m tests.support.slow_link --delay-ms 100 LISTEN_HOST:PORT=TO_HOST:PORT ...

`Host: LISTEN_HOST:PORT` becomes the other's, as behind a reverse proxy: the embedded Qdrant serves those alone who
call it by a name of its own machine. An opened connection waits for a round trip as well, as its handshake would.
With no delay it is a plain forwarder. It says "ready" when it listens.
"""

import argparse
import asyncio
import socket
import sys
from contextlib import suppress

CHUNK_BYTES = 65_536


async def relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay: float,
    said: tuple[bytes, bytes] = (b"\0", b"\0"),
) -> None:
    """Pass on what comes, each chunk `delay` seconds after it came; chunks that follow are not held up by it.

    Of what is `said` the first becomes the second.
    """
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()

    arriving = asyncio.create_task(arrive())
    chunk = b"-"
    while chunk:
        try:
            chunk = await reader.read(CHUNK_BYTES)
        except OSError:
            chunk = b""
        under_way.put_nowait((loop.time() + delay, chunk.replace(*said)))
    with suppress(OSError):
        await arriving


async def serve(pairs: list[tuple[str, str]], delay: float) -> None:
    """Relay from the first address of each pair to its second, until the process is ended."""
    for listen, to in pairs:
        host, _, port = to.rpartition(":")
        said = (f"Host: {listen}\r\n".encode(), f"Host: {to}\r\n".encode())

        async def join(
            near: asyncio.StreamReader,
            near_out: asyncio.StreamWriter,
            host: str = host,
            port: str = port,
            said: tuple[bytes, bytes] = said,
        ) -> None:
            await asyncio.sleep(2 * delay)
            try:
                far, far_out = await asyncio.open_connection(host, int(port))
            except OSError:
                near_out.close()
                return
            for writer in (near_out, far_out):
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(relay(near, far_out, delay, said), relay(far, near_out, delay))
            near_out.close()
            far_out.close()

        own_host, _, own_port = listen.rpartition(":")
        await asyncio.start_server(join, own_host, int(own_port), backlog=256)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Relay until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.slow_link", description="A link that takes time.")
    parser.add_argument("--delay-ms", type=float, default=0, help="in each direction (default 0)")
    parser.add_argument("pairs", nargs="+", metavar="LISTEN_HOST:PORT=TO_HOST:PORT")
    options = parser.parse_args()
    pairs = [(listen, to) for listen, _, to in (pair.partition("=") for pair in options.pairs)]
    asyncio.run(serve(pairs, options.delay_ms / 1000))


if __name__ == "__main__":
    main()
