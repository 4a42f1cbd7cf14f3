"""QDRANT_URL may name several nodes of one cluster, with commas between them: whichever answers will do."""

NEXT_NODE = (502, 503, 504)
"""What a node, or the proxy before it, answers when another may do better."""


def addresses(url: str) -> tuple[str, ...]:
    """The address of each node, in the order in which they are tried."""
    return tuple(part.strip().rstrip("/") for part in url.split(","))
