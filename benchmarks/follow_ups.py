"""How often a follow-up's page is among the first five: `python -m benchmarks.follow_ups`.

A hundred follow-ups of our own making (`benchmarks.follow_up_data`), over PDFs that are made here, indexed and
searched by the service's own code. Whether one leans on the past, and what it is then searched for, is told by
`worker.conversation`. The rewriting model is played from a table that has the right answer to each: so that row is
what a model reaches that always understands. It shows what is not told to lean, and what our checks refuse, not how
good a model is.
EMBEDDING_MODEL and QDRANT_URL as in `benchmarks.retrieval`.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from app.core.settings import Settings
from benchmarks.follow_up_data import FollowUp, follow_ups, write_pdfs
from benchmarks.retrieval import CHUNKS_FOUND, WHERE, deleting, embedded, found, qdrant, wait_until_green, write
from benchmarks.retrieval_data import Data
from benchmarks.retrieval_metrics import hit
from worker.answer.follow_up import leans_on_past
from worker.answer.pipeline import Completion, OnText
from worker.answer.prompt import Message
from worker.conversation import understood
from worker.http.qdrant import QdrantHttp
from worker.retrieval.search import Searcher

DEPTH = 5
NOTE = "the rewriting model is a table with the right answer to each: the best that any model reaches"


def searched_for(each: FollowUp) -> dict[str, str]:
    """What is searched for, by row of the table."""

    def table(messages: Sequence[Message], on_text: OnText) -> Completion:
        return Completion(text=each.alone)

    words = understood(each.question, [each.before], None).standalone
    rewritten = understood(each.question, [each.before], table).standalone
    return {
        "as if asked standalone": each.alone,
        "the follow-up as it is": each.question,
        "with words of the question before": words or each.question,
        "in other words (a table)": rewritten or each.question,
    }


def run(settings: Settings, folder: Path) -> dict[str, float]:
    """The share of follow-ups whose page is found, by row."""
    write_pdfs(folder / "pdfs")
    asked = list(follow_ups())
    rows = [searched_for(each) for each in asked]
    settings = settings.model_copy(update={"qdrant_collection": f"follow-ups-{uuid4().hex}"})
    assert settings.qdrant_url is not None
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    hits: dict[str, int] = {}
    with (
        closing(QdrantHttp(settings.qdrant_url, api_key=key, timeout_seconds=60)) as http,
        deleting(settings, key),
    ):
        write(Data(folder, {}, {}), settings)
        wait_until_green(http, settings.qdrant_collection)
        vectors = embedded(sorted({text for row in rows for text in row.values()}), settings)
        searcher = Searcher(http, settings, embed=vectors.__getitem__ if vectors else None)
        for each, row in zip(asked, rows, strict=True):
            for name, text in row.items():
                ranking = found(searcher.search(text, **WHERE, top_k=CHUNKS_FOUND), "", are_pages=True)
                hits[name] = hits.get(name, 0) + int(hit(ranking, {each.page: 1}, DEPTH))
    return {name: count / len(asked) for name, count in hits.items()}


def main() -> int:
    """Measure and print the table, then the same as one line of JSON."""
    asked = list(follow_ups())
    with tempfile.TemporaryDirectory() as directory, qdrant(Settings()) as settings:
        shares = run(settings, Path(directory) / "follow-ups")
    print(f"{len(asked)} follow-ups, {sum(leans_on_past(each.question) for each in asked)} told to lean on the past")
    print(f"their page is among the first {DEPTH}; {NOTE}\n")
    for name, share in shares.items():
        print(f"  {name:36}{share:8.0%}")
    print()
    print(json.dumps({"follow_ups": len(asked), "embedding_model": settings.embedding_model, "found": shares}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
