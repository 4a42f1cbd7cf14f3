"""A model's server of any protocol, whose answers a function makes of the requests, in pieces as they come."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Body = dict[str, Any]


class Reply(NamedTuple):
    """A response. Its pieces are sent one by one, as chunks; an exception among them cuts the connection."""

    status: int = 200
    pieces: Iterable[bytes] = ()
    headers: Mapping[str, str] = {}


class ScriptedServer:
    """Serves until it is closed. `paths`, `bodies` and `headers` are what was asked."""

    def __init__(self, reply: Callable[[Body], Reply]) -> None:
        self.paths: list[str] = []
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.was_left = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.paths.append(self.path)
                outer.bodies.append(body)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, pieces, headers = reply(body)
                self.send_response(status)
                for name, value in {"transfer-encoding": "chunked", "connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in pieces:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                except ConnectionError:  # the client has left, or the script has it so
                    outer.was_left.set()
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True  # one that hangs by its script does not hold up the test
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def anthropic_events(*texts: str, stop_reason: str = "end_turn") -> list[bytes]:
    """An answer as Anthropic streams it: server-sent events, the tokens counted in full at the end."""
    message: Body = {
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-test-1", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1},
    }  # fmt: skip
    deltas = [{"index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts]
    ending = {
        "delta": {"stop_reason": stop_reason, "stop_sequence": None},
        "usage": {"input_tokens": 7, "output_tokens": len(texts)},
    }
    events: list[tuple[str, Body]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("ping", {}),
        *(("content_block_delta", delta) for delta in deltas),
        ("content_block_stop", {"index": 0}),
        ("message_delta", ending),
        ("message_stop", {}),
    ]
    return [f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode() for name, data in events]


def ollama_lines(*texts: str) -> list[bytes]:
    """An answer as Ollama streams it: a JSON object a line, the last with the counts."""
    said = [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    ending = {
        "model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
        "prompt_eval_count": 7, "eval_count": len(texts),
    }  # fmt: skip
    return [json.dumps(line).encode() + b"\n" for line in (*said, ending)]
