"""Time-outs of plain sockets that the kernel keeps, instead of Python.

For a socket with a time-out of its own, Python asks by a system call before each read and each write whether it would
have to wait, and gives the interpreter's lock away for that. Where hundreds of threads want the lock, each time costs
more than the call: of a worker's CPU these were a tenth and more.
"""

import socket
import struct

MICROSECONDS = 1_000_000


def limit_waits(plain: socket.socket, seconds: float) -> None:
    """Let each read and write take so many seconds at most; then it raises `BlockingIOError`. Not for TLS.

    `settimeout` makes it an ordinary socket again.
    """
    whole, rest = divmod(max(1, round(seconds * MICROSECONDS)), MICROSECONDS)
    plain.settimeout(None)
    for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        plain.setsockopt(socket.SOL_SOCKET, direction, struct.pack("@ll", whole, rest))
