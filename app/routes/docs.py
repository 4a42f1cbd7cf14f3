"""/docs and /redoc: the OpenAPI document for people, shown by scripts that are pinned to the byte.

FastAPI's own pages load what a CDN serves as the newest version, and run it on our origin, where a key that was typed
in is. These name one version and the hash of its file (Subresource Integrity): a browser runs that, or nothing. To
raise one: `npm pack swagger-ui-dist`, and `openssl dgst -sha384 -binary FILE | base64` of its file.
"""

from base64 import b64encode
from hashlib import sha256
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


class Pinned(NamedTuple):
    """A file of a package on the CDN, and the hash that it must have."""

    url: str
    integrity: str


SWAGGER_SCRIPT = Pinned(
    "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/swagger-ui-bundle.js",
    "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9",
)
SWAGGER_STYLE = Pinned(
    "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/swagger-ui.css",
    "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I",
)
REDOC_SCRIPT = Pinned(
    "https://cdn.jsdelivr.net/npm/redoc@2.5.3/bundles/redoc.standalone.js",
    "sha384-xiEssMQFSpSfLbzRZCGfxxIM5QDb2DTrU6vyoZdp2sV1L6pmOMy6MpTtUoLbpC96",
)
START_SWAGGER = """
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#docs", deepLinking: true, presets: [SwaggerUIBundle.presets.apis]
});
"""


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, to try the API with."""
    body = f'<div id="docs"></div>\n{_script(SWAGGER_SCRIPT)}\n<script>{START_SWAGGER}</script>'
    style = f'<link rel="stylesheet" {_attributes("href", SWAGGER_STYLE)}>'
    allowed = (
        f"script-src {SWAGGER_SCRIPT.url} {_hash_of(START_SWAGGER)}; style-src {SWAGGER_STYLE.url} 'unsafe-inline'"
    )
    return _page(style, body, allowed)


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """ReDoc, to read."""
    body = f'<redoc spec-url="openapi.json"></redoc>\n{_script(REDOC_SCRIPT)}'
    return _page("", body, f"script-src {REDOC_SCRIPT.url}; style-src 'unsafe-inline'; worker-src blob:")


def _page(head: str, body: str, allowed: str) -> HTMLResponse:
    """A page that may load what `allowed` says, pictures within its styles, and what it asks of us; nothing else."""
    html = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>rag-queue</title>{head}</head>
<body>
{body}
</body>
</html>
"""
    policy = (
        f"default-src 'none'; {allowed}; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _script(file: Pinned) -> str:
    return f"<script {_attributes('src', file)}></script>"


def _attributes(address: str, file: Pinned) -> str:
    return f'{address}="{file.url}" integrity="{file.integrity}" crossorigin="anonymous"'


def _hash_of(script: str) -> str:
    """What a policy calls a script that stands in the page itself."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
