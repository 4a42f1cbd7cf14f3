"""How many sentences of a folder's PDFs are marked on their page, how many wrongly, and how fast a page is seen.

    python -m benchmarks.marks FOLDER [--sentences 500] [--seed 13] [--json FILE]

`python -m app` indexes the folder; sentences are taken at random from the chunks in its index, quoted as an answer
would, and asked for over HTTP. A mark is right when pdfium has the quote's letters under its boxes, all of them and
no others.
The pictures are those of the sentences' pages: the first time, when a worker draws it, and once more.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx
import pypdfium2

from app.core.services import running
from app.core.settings import Settings
from benchmarks.latency import service
from benchmarks.support import write_json
from ingest.reading.pdf.page_letters import letters_of
from ingest.reading.pdf.quote_boxes import MarkBox, looked_at
from worker.answer.citations import stands_in
from worker.answer.sentences import clip, split_sentences, squeeze
from worker.table_rows import as_printed, is_row
from worker.vectors import METADATA, TEXT

AIM_MARKED = 0.98
AIM_FIRST_MS, AIM_AGAIN_MS = 300.0, 20.0
SCROLL_POINTS = 1_000
PAGE_END = "\f"
"""Parts a chunk that goes over a page's end."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A quote, and where it stands: pages count from 1, `last_page` is another one where it runs over."""

    document_id: str
    filename: str
    page: int
    last_page: int
    quote: str

    @property
    def path(self) -> str:
        return f"/documents/{self.document_id}/pages/{self.page}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marks", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bench-marks-") as folder:
        data_dir = Path(folder)
        with (
            service(data_dir, "--ingest", str(options.folder)) as url,
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
        ):
            all_sentences = sorted(set(sentences(data_dir)), key=repr)
            chosen = random.Random(options.seed).sample(all_sentences, options.sentences)
            figures = measure(client, options.folder, chosen)
    for name, figure in figures.items():
        print(f"{name:32} {figure:10.2f}")
    print(f"aims: marked {AIM_MARKED:.0%}, wrong 0, picture first {AIM_FIRST_MS:g} ms, again {AIM_AGAIN_MS:g} ms")
    if options.json:
        write_json(options.json, figures)


def sentences(data_dir: Path) -> Iterator[Sentence]:
    """Every sentence and row in the index of the service in `data_dir`, as an answer would quote it."""
    found = running(data_dir)
    assert found is not None
    headers = {"api-key": found.qdrant_api_key.get_secret_value()} if found.qdrant_api_key else {}
    path = f"/collections/{Settings().qdrant_collection}/points/scroll"
    asked: dict[str, Any] = {"limit": SCROLL_POINTS, "with_payload": True}
    with httpx.Client(base_url=found.qdrant_url, headers=headers, trust_env=False) as qdrant:
        while True:
            told = qdrant.post(path, json=asked).raise_for_status().json()["result"]
            for point in told["points"]:
                yield from _of_a_chunk(point["payload"])
            if told["next_page_offset"] is None:
                return
            asked["offset"] = told["next_page_offset"]


def _of_a_chunk(payload: dict[str, Any]) -> Iterator[Sentence]:
    text, about = payload[TEXT], payload[METADATA]
    above, _, below = text.partition(PAGE_END)
    for sentence in split_sentences(text):
        quote = clip(squeeze(as_printed(sentence)) if is_row(sentence) else sentence)
        if not letters_of(quote):
            continue
        page, last_page = about["page"], about["last_page"]
        if stands_in(quote, above):
            last_page = page
        elif stands_in(quote, below):
            page = last_page
        yield Sentence(about["document_id"], about["filename"], page, last_page, quote)


def measure(client: httpx.Client, folder: Path, chosen: Sequence[Sentence]) -> dict[str, float]:
    """Counts of sentences, and medians and 95th percentiles of requests in ms."""
    fates: Counter[str] = Counter()
    looks: list[float] = []
    for sentence in chosen:
        about = {"quote": sentence.quote, "last_page": sentence.last_page}
        view, took = timed(lambda s=sentence, a=about: client.get(s.path, params=a))  # type: ignore[misc]
        looks.append(took)
        fate = judge(folder, sentence, view.raise_for_status().json())
        fates[fate] += 1
        if fate != "right":
            print(f"{fate}: {sentence.filename}, page {sentence.page}: {sentence.quote[:120]!r}")
    zoomed = [f"{path}.png?width=1800" for path in dict.fromkeys(sentence.path for sentence in chosen)]
    first = [timed(lambda p=path: client.get(p).raise_for_status())[1] for path in zoomed]  # type: ignore[misc]
    again = [timed(lambda p=path: client.get(p).raise_for_status())[1] for path in zoomed]  # type: ignore[misc]
    counts = {
        "sentences": len(chosen),
        "right": fates["right"],
        "unmarked": fates["unmarked"],
        "wrong": fates["wrong"],
    }
    times = {"look": looks, "picture_first": first, "picture_again": again}
    return (
        counts
        | {"pictures": len(zoomed)}
        | {
            f"{name}_{part}_ms": figure
            for name, taken in times.items()
            for part, figure in (("p50", median(taken)), ("p95", quantiles(taken, n=20)[18]), ("max", max(taken)))
        }
    )


def timed(act: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """What comes of `act`, and how many ms it takes."""
    began = perf_counter()
    return act(), (perf_counter() - began) * 1000


def judge(folder: Path, sentence: Sentence, view: dict[str, Any]) -> str:
    """ "right", "wrong" or "unmarked"."""
    if not view["boxes"]:
        return "unmarked"
    [path] = folder.rglob(sentence.filename)
    with pypdfium2.PdfDocument(path) as document:
        found = letters_under(document[sentence.page - 1], view["boxes"])
        if view["next_boxes"]:
            found += letters_under(document[sentence.page], view["next_boxes"])
    return "right" if Counter(found) == Counter(letters_of(sentence.quote)) else "wrong"


def letters_under(page: Any, boxes: Sequence[MarkBox]) -> str:
    """The letters whose middle is under one of the boxes."""
    with looked_at(page) as (letters, shown):
        kept = [
            index for index in dict.fromkeys(letters.indices) if any(_holds(box, shown.box(index)) for box in boxes)
        ]
        under = set(kept)
        return "".join(letter for letter, index in zip(letters.text, letters.indices, strict=True) if index in under)


def _holds(box: MarkBox, other: MarkBox) -> bool:
    x, y = other[0] + other[2] / 2, other[1] + other[3] / 2
    return other[2] > 0 and box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]


if __name__ == "__main__":
    main()
