"""How every server of ours reads HTTP: uvicorn's protocol, with an end to what a client may cost.

`python -m app` and the embedded Qdrant serve with it; for uvicorn's command it is
`uvicorn --http app.server:HttpProtocol ...`, or UVICORN_HTTP in the environment.
"""

from asyncio import AbstractEventLoop, Transport
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakKeyDictionary

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.connections import (
    HEADERS_TOO_LARGE,
    TOO_SLOW,
    Connections,
    Limits,
    Rejection,
    counted_as,
    places,
)

if TYPE_CHECKING:
    from app.core.settings import Settings  # which the embedded Qdrant starts without

NO_TRAILERS = cast("list[tuple[bytes, bytes]]", deque(maxlen=0))
"""Where the fields after a body go. uvicorn would add them to the header, which has been judged by then."""
ENDLESS = float("inf")
PARSER_ERRORS = (httptools.HttpParserUpgrade, httptools.HttpParserError)

_servers: WeakKeyDictionary[ServerState, Connections] = WeakKeyDictionary()


class Stage(Enum):
    """What a connection waits for."""

    HEAD = auto()  # a header, or the rest of one
    BODY = auto()  # the rest of a body, which we read
    SERVED = auto()  # us
    IDLE = auto()  # the next request
    TAKING = auto()  # its client, to take what has been written
    LEAVING = auto()  # its client, to notice that its request is refused


class Exit:
    """A connection as an application's answer sees it: what it writes to, and may close.

    uvicorn closes as soon as an answer with `Connection: close` is written. With bytes unread that resets the
    connection, and a proxy that is still sending the body loses the answer, and tells its client of a bad gateway.
    """

    def __init__(self, protocol: "HttpProtocol", transport: Any) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = protocol.leave


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on headers, on time, on pace and on the number of connections.

    No request costs it more than a few comparisons: the sweep (`Connections`) looks once a second at what each
    connection waits for, and for how long. Upgrades are ignored, as RFC 9110 allows: no route speaks WebSocket.
    """

    limits: ClassVar[Limits] = Limits()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.ws_protocol_class = None
        self.address: str | None = None
        self.is_yielding = False
        settings: Settings | None = app_state.get("settings")
        self._proxies = (settings.trusted_proxies if settings else None) or ()
        self._connections = self._connections_of(server_state, settings)
        self._head_bytes = 0  # of a header that is not complete
        self._body_bytes = 0  # of bodies, while they come in pieces
        self._aside_bytes = 0  # that came instead of a body's: extensions of chunks, trailers
        self._dropped_bytes = 0
        self._is_deaf = False
        self._is_leaving = False
        self._refusal: Rejection | None = None
        self._stage_seen: Stage | None = None
        self._cycle_seen: RequestResponseCycle | None = None
        self._deadline = ENDLESS
        self._mark = 0

    def _connections_of(self, server: ServerState, settings: "Settings | None") -> Connections:
        if server not in _servers:
            per_address = settings.address_connections_max if settings else ENDLESS
            _servers[server] = Connections(
                self.loop, self.limits.sweep_seconds, per_address=per_address, places=places()
            )
        return _servers[server]

    # -- Overrides asyncio and uvicorn

    def connection_made(self, transport: Any) -> None:
        """Take it in, or answer at once that there are too many."""
        super().connection_made(transport)
        self._exit = Exit(self, transport)
        if self.client is not None:
            self.address = counted_as(self.client[0], self._proxies)
        refusal = self._connections.add(self)
        if refusal is not None:
            self._is_deaf = True
            transport.write(refusal.response(self.server_state.default_headers))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless it is too much."""
        cycle = self.cycle
        if self._is_deaf:
            self._drop(data)
        elif cycle is not None and cycle.more_body and cycle.scope is self.scope:
            self._take_body(cycle, data)
        elif self._head_bytes + len(data) > self.limits.header_bytes:
            self._take_long(data)
        else:
            try:
                self.parser.feed_data(data)
            except PARSER_ERRORS as error:
                self._on_parser_error(error)
            # When a header has been completed, how much of a next one there is can't be told, nor matters.
            self._head_bytes = self._head_bytes + len(data) if self.cycle is cycle else 0

    def on_headers_complete(self) -> None:
        """Serve the request, unless its header has too many lines or too many requests wait already."""
        if len(self.headers) > self.limits.header_lines:
            self._refusal = HEADERS_TOO_LARGE
            raise ValueError("too many lines")
        if len(self.pipeline) >= self.limits.pipeline:
            raise ValueError("too many requests at once")
        if self.is_yielding:
            self._connections.serve(self)
        HttpToolsProtocol.on_headers_complete(self)
        self.cycle.transport = cast(Transport, self._exit)
        self.headers = NO_TRAILERS

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it: the sweep's is the timer, not one for each response."""
        self.server_state.total_requests += 1
        if self._is_leaving or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def leave(self) -> None:
        """Close: at once, or where a body still comes, when its sender has had the time to read its answer.

        Until then nothing is read, so that who sends has to stop, and looks.
        """
        cycle = self.cycle
        is_sending = cycle is not None and cycle.response_complete and cycle.more_body
        if not is_sending or self._is_deaf or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._is_deaf = self._is_leaving = True
        self._connections.may_yield(self)
        self.flow.pause_reading()
        self.transport.write_eof()

    def resume_writing(self) -> None:
        """Its client has taken what was written: its time to do so begins anew."""
        self._stage_seen = None
        super().resume_writing()

    # -- Reading

    def _parse(self, data: bytes) -> bool:
        """Feed the parser; False when no more is read."""
        try:
            self.parser.feed_data(data)
        except PARSER_ERRORS as error:
            self._on_parser_error(error)
        return not self._is_deaf

    def _on_parser_error(self, error: Exception) -> None:
        if isinstance(error, httptools.HttpParserUpgrade):
            self._finish_and_close(self.cycle)  # the request is served, what follows is another protocol's
        else:
            self._refuse(self._refusal)

    def _take_long(self, data: bytes) -> None:
        """Take `data`, which is more than a header may have: its header must end within what is left of that."""
        cycle, room = self.cycle, self.limits.header_bytes - self._head_bytes
        if not self._parse(data[:room]):
            return
        if self.cycle is cycle:
            self._refuse(HEADERS_TOO_LARGE)
            return
        self._head_bytes = 0
        self.data_received(data[room:])

    def _take_body(self, cycle: RequestResponseCycle, data: bytes) -> None:
        """Take a further piece of a body, and count what of it is body."""
        before = len(cycle.body)
        if not self._parse(data):
            return
        taken = len(cycle.body) - before
        if cycle.response_complete and not _is_chunked(cycle):
            taken = len(data)  # nobody wants it any more, and it is not kept
        self._body_bytes += taken
        has_ended = not cycle.more_body or self.cycle is not cycle
        self._aside_bytes = 0 if taken or has_ended else self._aside_bytes + len(data)
        if self._aside_bytes > self.limits.header_bytes:
            self._refuse(HEADERS_TOO_LARGE)

    def _drop(self, data: bytes) -> None:
        self._dropped_bytes += len(data)
        if self._dropped_bytes > self.limits.linger_bytes:
            self.transport.abort()

    # -- Refusing

    def _refuse(self, refusal: Rejection | None) -> None:
        """Read no more. Answer with `refusal`, None for uvicorn's 400, where an answer can stand; and close."""
        self._is_deaf = True
        if self.transport.is_closing():
            return
        cycle = self.cycle
        is_in_body = cycle is not None and cycle.more_body and cycle.scope is self.scope
        if cycle is None or cycle.response_complete:
            if is_in_body:  # it has its answer
                self.transport.close()
            else:
                self._answer(refusal)
        elif is_in_body:
            self._abandon(cycle, refusal)
        else:
            self._finish_and_close(cycle)

    def _finish_and_close(self, cycle: RequestResponseCycle) -> None:
        """Answer the requests that have come, read no more, and close."""
        self._is_deaf = True
        cycle.keep_alive = False

    def _abandon(self, cycle: RequestResponseCycle, refusal: Rejection | None) -> None:
        """End the request whose body can't be read; for its application its client has left."""
        has_begun = cycle.response_started or bool(self.pipeline)
        cycle.disconnected = True
        cycle.message_event.set()
        if has_begun:
            self.transport.abort()
        else:
            self._answer(refusal)

    def _answer(self, refusal: Rejection | None) -> None:
        """The last that this connection writes. What still comes is dropped for a while, lest the answer be lost."""
        self._is_deaf = True
        self._connections.may_yield(self)
        if refusal is None:
            self.logger.warning("invalid_http_request")
            self.send_400_response("Invalid HTTP request received.")
            return
        self.transport.write(refusal.response(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # -- Time

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is being served, nor on its way to the client."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and not self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    def look(self, now: float) -> None:
        """End the connection if its client has taken too long for what it is awaited to do, at `now` (seconds)."""
        if self._is_served():
            self._stage_seen = None
            return
        stage, cycle = self._stage(), self.cycle
        allowed = self._seconds(stage)
        if stage is not self._stage_seen or cycle is not self._cycle_seen:
            self._stage_seen, self._cycle_seen = stage, cycle
            self._deadline = now + allowed
            self._mark = self._progress(stage)
            return
        mark = self._progress(stage)
        if mark > self._mark:
            self._deadline += (mark - self._mark) / self.limits.bytes_per_second
            self._deadline = min(self._deadline, now + allowed)
        self._mark = mark
        if now >= self._deadline:
            self._end(stage)

    def _is_served(self) -> bool:
        """Whether it plainly waits for us, as thousands of streams do: the quick half of `_stage`."""
        cycle = self.cycle
        return (
            cycle is not None
            and not cycle.response_complete
            and not cycle.more_body
            and not cycle.disconnected
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _stage(self) -> Stage:
        cycle = self.cycle
        if self.flow.write_paused or self.transport.is_closing():
            return Stage.TAKING
        is_served = cycle is not None and not cycle.response_complete and not cycle.disconnected
        if self._is_deaf:
            return Stage.SERVED if is_served else Stage.LEAVING
        if cycle is not None and cycle.scope is self.scope:
            if cycle.more_body and not self.flow.read_paused and not cycle.waiting_for_100_continue:
                return Stage.BODY
            if not is_served and not self._head_bytes:
                return Stage.IDLE
        return Stage.SERVED if is_served else Stage.HEAD

    def _seconds(self, stage: Stage) -> float:
        """How long a client may do nothing there."""
        limits = self.limits
        if stage is Stage.HEAD:
            return limits.header_seconds
        if stage is Stage.BODY:
            return limits.body_seconds
        if stage is Stage.TAKING:
            return limits.write_seconds
        if stage is Stage.LEAVING:
            return limits.linger_seconds
        return self.timeout_keep_alive if stage is Stage.IDLE else ENDLESS

    def _progress(self, stage: Stage) -> int:
        """A number that grows by the bytes that the client has sent, or taken; a header's deadline moves for none."""
        if stage is Stage.BODY:
            return self._body_bytes
        return -self.transport.get_write_buffer_size() if stage is Stage.TAKING else 0

    def _end(self, stage: Stage) -> None:
        if stage is Stage.IDLE or (stage is Stage.HEAD and not self._has_begun()):
            self.transport.close()
        elif stage in (Stage.HEAD, Stage.BODY):
            self._refuse(TOO_SLOW)
        else:
            self.transport.abort()

    def _has_begun(self) -> bool:
        """Whether something of a header has come."""
        return self._head_bytes > 0 or (
            self.scope is not None and (self.cycle is None or self.scope is not self.cycle.scope)
        )


def _is_chunked(cycle: RequestResponseCycle) -> bool:
    return any(name == b"transfer-encoding" for name, _ in cycle.scope["headers"])
