"""No queue at all: THREADS threads that call the model for ever. `python -m benchmarks.peers.client_alone THREADS`.

What is left of a worker's CPU when this is subtracted is the worker's own.
"""

import sys
import threading

from benchmarks.peers.model_call import ask


def call_on() -> None:
    """Call again and again."""
    while True:
        ask()


if __name__ == "__main__":
    threads = [threading.Thread(target=call_on) for _ in range(int(sys.argv[1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
