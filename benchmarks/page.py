"""How fast the page is in a browser: `python -m benchmarks.page [--views 20] [--json FILE]`.

Chromium, with an empty cache each time, opens `/` of a `python -m app` that has loaded: from the request to the first
paint with content, and to the end of the page's own work. Then an answer of some hundred words is streamed: from the
moment at which the browser has a word's event to the frame that shows it. And the files' weight as they are sent.
"""

import argparse
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from app.pages.assets import load
from benchmarks.latency import service
from benchmarks.support import QUESTION, write_json
from tests.support.browser import ARGUMENTS, MISSING, chromium
from tests.support.model_server import ModelServer

AIMS = {"first_view_p50_ms": 300.0, "word_p95_ms": 50.0, "gzipped_kB": 60.0}
KNOBS = "gap=10ms-tokens=300"
SETTLED_MS = 30_000

VIEW = """() => {
    const [navigation] = performance.getEntriesByType("navigation");
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return {first_paint: paint.startTime, first_view: navigation.loadEventEnd, server: navigation.responseEnd};
}"""
WORDS = """
    window.words = [];
    const listen = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (name, listener, ...more) {
        listen.call(this, name, (event) => {
            const came = performance.now();
            listener.call(this, event);
            if (name !== "answer.delta") return;
            requestAnimationFrame(() => setTimeout(() => window.words.push(performance.now() - came)));
        }, ...more);
    };
"""
"""The time-out runs after the frame that the callback was called for: its pixels are there then."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path = chromium()
    assert path is not None, MISSING
    with (
        TemporaryDirectory(prefix="bench-page-") as folder,
        ModelServer(knobs=KNOBS) as model,
        service(Path(folder), "--ingest", "data/", OPENAI_BASE_URL=model.url, CHAT_MODEL="test") as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        figures = measure_views(browser, url, options.views) | measure_words(browser, url) | weigh()
        browser.close()
    for name, figure in figures.items():
        aim = f"   (aim: {AIMS[name]:g})" if name in AIMS else ""
        print(f"{name:32} {figure:10.2f}{aim}")
    if options.json:
        write_json(options.json, figures)


def measure_views(browser: Browser, url: str, count: int) -> dict[str, float]:
    """Medians in ms from the beginning of the request, over `count` first visits."""
    seen: list[dict[str, Any]] = []
    for _ in range(count):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.wait_for_load_state("networkidle")
        seen.append(page.evaluate(VIEW))
        context.close()
    return {f"{name}_p50_ms": median(view[name] for view in seen) for name in seen[0]}


def measure_words(browser: Browser, url: str) -> dict[str, float]:
    """From a word's event to the frame that shows it, in ms."""
    context = browser.new_context()
    context.add_init_script(WORDS)
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Question", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("button", name="Copy", exact=True).wait_for(timeout=SETTLED_MS)
    taken: list[float] = page.evaluate("window.words")
    context.close()
    return {"words": len(taken), "word_p50_ms": median(taken), "word_p95_ms": quantiles(taken, n=20)[18]}


def weigh() -> dict[str, float]:
    """All static files as they are sent, in kB."""
    files = load().files.values()
    return {"files": len(files), "gzipped_kB": sum(len(file.gzipped) for file in files) / 1000}


if __name__ == "__main__":
    main()
