"""How servers answer `GET /models`: one table. The model server has them at /as/NAME/v1/models."""

from dataclasses import dataclass

import orjson


@dataclass(frozen=True)
class ModelsManner:
    """One habit."""

    status: int = 200
    body: bytes = b""
    hangs: bool = False
    breaks_off: bool = False


def listing(*names: object, **more: object) -> bytes:
    """A list of models in OpenAI's form."""
    return orjson.dumps({"object": "list", "data": [{"id": name, "object": "model", **more} for name in names]})


def refusal(message: str) -> bytes:
    """OpenAI's form of an error."""
    return orjson.dumps({"error": {"message": message, "code": None}})


ESCAPE = "evil\x1b[2J\nlevel=info"
SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.model.read."

MODELS_MANNERS: dict[str, ModelsManner] = {
    # Sound
    "ours": ModelsManner(body=listing("other", "test", "embedder")),
    "latest": ModelsManner(body=listing("test:latest", "embedder:latest")),
    "gemini": ModelsManner(body=listing("models/test", "models/embedder")),
    "upper": ModelsManner(body=listing("Test", "EMBEDDER")),
    "bare_list": ModelsManner(body=orjson.dumps([{"id": "test"}, {"id": "embedder"}])),
    "bom": ModelsManner(body=b"\xef\xbb\xbf" + listing("test", "embedder")),
    "llamacpp": ModelsManner(body=listing("/models/x.gguf", owned_by="llamacpp")),
    # Not to be understood
    "empty": ModelsManner(body=listing()),
    "null": ModelsManner(body=b'{"data":null}'),
    "not_names": ModelsManner(body=listing(None, 7)),
    "names_elsewhere": ModelsManner(body=b'{"models":[{"name":"x"}]}'),
    "html": ModelsManner(body=b"<!doctype html><title>x</title>"),
    "nothing": ModelsManner(body=b""),
    "number": ModelsManner(body=b"7"),
    "error_in_200": ModelsManner(body=refusal("Unexpected endpoint")),
    "not_found": ModelsManner(404, refusal("no such page")),
    "no_method": ModelsManner(405),
    "broken": ModelsManner(500),
    "not_implemented": ModelsManner(501),
    "slow_down": ModelsManner(429),
    "moved": ModelsManner(302),
    "scopes": ModelsManner(403, refusal(SCOPES)),
    # Wrong
    "others": ModelsManner(body=listing("alpha", "beta")),
    "many_others": ModelsManner(body=listing(*(f"model-{at}" for at in range(400)))),
    "hostile_names": ModelsManner(body=listing(ESCAPE, "x" * 100_000)),
    "no_key": ModelsManner(401, refusal("Incorrect API key provided.")),
    "not_allowed": ModelsManner(403, b"<html>403 Forbidden</html>"),
    "gateway": ModelsManner(502, b"<html>Bad gateway</html>"),
    "busy": ModelsManner(503),
    "hang": ModelsManner(hangs=True),
    "breaks_off": ModelsManner(breaks_off=True),
}
