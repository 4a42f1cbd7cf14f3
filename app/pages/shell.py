"""The page's HTML, before any script has run: the same for everyone, so that it holds no secret."""

from functools import cache
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.pages.assets import load

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Vary": "Accept"}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def shell(view: str, base: str) -> HTMLResponse:
    """The view named `view`; `base` goes before every address of ours, as the client knows us."""
    digest = load().digest
    html = (
        _templates().get_template(f"{view}.html").render(view=view, base=base, static=f"{base}/page/static/{digest}")
    )
    return HTMLResponse(html, headers=HEADERS)
