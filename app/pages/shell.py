"""The page's HTML before any script has run. It says of its reader only whether their browser must show a key."""

from functools import cache
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.formats import SUFFIXES
from app.pages.assets import load

FOLDER = Path(__file__).parent / "templates"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Vary": "Accept, Cookie", "Cache-Control": "private, no-cache"}
"""It is asked for each time: whether there is a session may have changed since."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def shell(view: str, base: str, *, asks_for_key: bool, keeps_ratings: bool, upload_max_mb: int) -> HTMLResponse:
    """The view named `view`; `base`, a path, goes before every address of ours.

    With `asks_for_key` the page asks for one at once, instead of being refused first; with `keeps_ratings` it asks
    whether an answer was good.
    """
    assets = load()
    html = (
        _templates()
        .get_template(f"{view}.html")
        .render(
            view=view,
            base=base,
            static=f"{base}/page/static/{assets.digest}",
            modules=assets.imports(f"{view}.js"),
            asks_for_key=asks_for_key,
            keeps_ratings=keeps_ratings,
            upload_max_mb=upload_max_mb,
            suffixes=tuple(SUFFIXES),
        )
    )
    return HTMLResponse(html, headers=HEADERS)
