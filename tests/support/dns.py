"""A name server of the tests' own: one name, whose addresses may change while it answers (RFC 1035)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from threading import Thread

TTL_SECONDS = 0
A, IN = 1, 1
ANSWER, NO_SUCH_NAME = 0x8400, 0x8403


@dataclass
class Names:
    """What the server at `address` answers; a name that is not here does not exist."""

    address: str
    hosts: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, query: bytes) -> bytes:
        """The reply to a query of one question, as Docker's name server gives it: every address of the name."""
        end = query.index(b"\0", 12)
        labels, at = [], 12
        while at < end:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        found = self.hosts.get(".".join(labels))
        flags = NO_SUCH_NAME if found is None else ANSWER
        header = query[:2] + b"".join(n.to_bytes(2, "big") for n in (flags, 1, len(found or ()), 0, 0))
        records = (
            b"\xc0\x0c" + b"".join((A.to_bytes(2, "big"), IN.to_bytes(2, "big"), TTL_SECONDS.to_bytes(4, "big")))
            + b"\x00\x04" + IPv4Address(address).packed
            for address in found or ()
        )  # fmt: skip
        return header + query[12 : end + 5] + b"".join(records)


@contextmanager
def name_server(**hosts: list[str]) -> Iterator[Names]:
    """A server of these names on a free port of this machine, until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        names = Names(f"127.0.0.1:{listener.getsockname()[1]}", dict(hosts))

        def serve() -> None:
            while True:
                query, asker = listener.recvfrom(512)
                if not query:
                    return
                listener.sendto(names.answer(query), asker)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield names
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", listener.getsockname())
            thread.join()
