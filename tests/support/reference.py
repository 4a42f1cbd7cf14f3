"""docs/reference, made from the code: `python -m tests.support.reference` writes it, a test compares."""

import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from app.core.settings import Settings
from app.main import create_app
from tests.support import ROOT

FOLDER = ROOT / "docs" / "reference"
HEAD = "Made from the code by `make reference`.\n"
METHODS = ("get", "put", "post", "patch", "delete")
"""In this order; `head` is where `get` is, and says the same."""
BOUNDS = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}

Schema = Mapping[str, Any]


def settings_page() -> str:
    """Every setting: its variable, its default, what it may be, what it does."""
    schema = Settings.model_json_schema()
    properties = schema["properties"]
    lines = [
        "# Settings",
        "",
        HEAD + "Each is a variable of the environment or a line of `.env`; `.env.example` has them by topic.",
        "",
        "| variable | default | may be | what it does |",
        "|---|---|---|---|",
    ]
    for name, field in sorted(Settings.model_fields.items()):
        may_be, meaning = _kind(properties[name], schema["$defs"]), _cell(field.description or "")
        lines.append(f"| `{name.upper()}` | {_default(field.default)} | {may_be} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, SecretStr):
        return "hidden"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (tuple, list, frozenset)):
        return f"`{','.join(map(str, value))}`" if value else ""
    return f"`{value.as_posix() if isinstance(value, PurePath) else value}`"


def _kind(schema: Schema, named: Schema) -> str:
    """What a value may be, in words; `named` has the schemas that are told by their names."""
    found = [_one(each, named) for each in _choices(schema)]
    return " or ".join(dict.fromkeys(word for word in found if word))


def _choices(schema: Schema) -> Iterator[Schema]:
    for part in schema.get("anyOf", [schema]):
        if part.get("type") != "null":
            yield part


def _one(schema: Schema, named: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _one(named[name], named) if "enum" in named[name] else f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    word = {"boolean": "`true`, `false`", "integer": "a whole number", "number": "a number", "array": "a list"}.get(
        schema.get("type", ""), {"password": "a secret", "path": "a path"}.get(schema.get("format", ""), "text")
    )
    bounds = " ".join(text.format(_number(schema[name])) for name, text in BOUNDS.items() if name in schema)
    return f"{word} {bounds}".strip()


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def api_page() -> str:
    """Every route: what it takes, what it answers."""
    document = create_app(Settings(_env_file=None, redis_url=SecretStr("redis://nowhere"))).openapi()
    lines = [
        "# The HTTP API",
        "",
        HEAD + "The running service shows the same at `/docs`, with examples, and as OpenAPI at `/openapi.json`.",
        "What is refused is a problem document (RFC 9457), below `/v1` OpenAI's; README has a table of all problems.",
    ]
    for path, operations in sorted(document["paths"].items()):
        for method in METHODS:
            if method in operations:
                lines += ["", *_route(method, path, operations[method], document)]
    named = document["components"]["schemas"]
    shown: set[str] = set()
    while missing := sorted(_named_in(lines) - shown):
        for name in missing:
            lines += ["", f"## {name}", "", _cell(named[name].get("description", ""), in_table=False), ""]
            lines += ["| field | may be | meaning |", "|---|---|---|", *_fields(named[name], named)]
        shown.update(missing)
    return "\n".join(lines) + "\n"


def _named_in(lines: list[str]) -> set[str]:
    """The schemas that are told by their names, as far as these lines go."""
    return {name for line in lines for name in re.findall(r"\[(\w+)\]\(#\w+\)", line)}


def _route(method: str, path: str, operation: Schema, document: Schema) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    yield ""
    yield _cell(operation.get("description") or operation.get("summary", ""), in_table=False)
    named = document["components"]["schemas"]
    rows = [*_parameters(operation, named), *_body(operation, named)]
    if rows:
        yield ""
        yield "| what it takes | where | may be | meaning |"
        yield "|---|---|---|---|"
        yield from rows
    statuses = sorted(operation["responses"])
    good, bad = [code for code in statuses if code < "4"], [code for code in statuses if code >= "4"]
    yield ""
    yield f"Answers {', '.join(good)}" + (f"; refuses with {', '.join(bad)}." if bad else ".")


def _parameters(operation: Schema, named: Schema) -> Iterator[str]:
    for found in operation.get("parameters", ()):
        required = "required; " if found.get("required") and found["in"] != "path" else ""
        meaning = _cell(found.get("description") or found["schema"].get("description", ""))
        yield f"| `{found['name']}` | {found['in']} | {_kind(found['schema'], named)} | {required}{meaning} |"


def _body(operation: Schema, named: Schema) -> Iterator[str]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        while "$ref" in schema:
            schema = named[schema["$ref"].rpartition("/")[2]]
        for row in _fields(schema, named):
            name, rest = row.removeprefix("| ").split(" | ", 1)
            yield f"| {name} | {media_type.rpartition('/')[2]} | {rest}"


def _fields(schema: Schema, named: Schema) -> Iterator[str]:
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        required = "required; " if name in needed else ""
        yield f"| `{name}` | {_kind(field, named)} | {required}{_cell(field.get('description', ''))} |"


def _cell(text: str, *, in_table: bool = True) -> str:
    """Text of one line, in which nothing ends a table's cell."""
    line = " ".join(text.split())
    return line.replace("|", "\\|") if in_table else line


PAGES = {"settings.md": settings_page, "api.md": api_page}


def main() -> int:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
