"""Links to what this service has, as whoever gets them can follow them."""

from dataclasses import dataclass
from os import urandom
from time import time
from typing import TypeVar
from urllib.parse import quote

from app.core.contract import AnswerResult, Citation, SearchHit, SearchResult, page_url
from app.core.queue.records import Result
from app.core.signed import SECRET_BYTES, Grant, Purpose, sign

PAGE_SECONDS = 3600
"""How long a link to a page can be followed. An answer that is fetched again has new ones."""
TICKET_SECONDS = 600
"""How long a ticket opens connections: EventSource connects again with the same address. An open one goes on."""
NEWS_SECONDS = 24 * 3600
"""The same in a webhook's news, which nobody fetches again."""
NEWS_NAME = "link:webhook"
"""For whom a webhook's links are counted. The colon keeps it apart from the names of keys, which have none."""

Cited = TypeVar("Cited", Citation, SearchHit)


@dataclass(frozen=True, slots=True)
class Links:
    """Links for one reader. `base` goes before each path: a prefix, an absolute URL, or nothing.

    With a `secret`, a link to a page shows who has been let in to follow it: `name` of `tenant`.
    """

    base: str = ""
    secret: bytes | None = None
    tenant: str = ""
    name: str = ""
    seconds: int = PAGE_SECONDS

    def page(self, document_id: str, page: int) -> str:
        """The link that opens the document's file at `page`."""
        if self.secret is None:
            return self.base + page_url(document_id, page)
        grant = Grant(Purpose.FILE, self.tenant, self.name, document_id, page, int(time()) + self.seconds)
        # The id may be hostile: an answer's record is read from Valkey.
        path = f"{self.base}/documents/{quote(document_id, safe='')}/file"
        return f"{path}?page={page}&sig={sign(self.secret, grant)}#page={page}"

    def ticket(self, job_id: str) -> tuple[str, int]:
        """A ticket to the job, and when it expires (seconds since 1970). Without keys nobody reads it."""
        grant = Grant(Purpose.JOB, self.tenant, self.name, job_id, 0, int(time()) + TICKET_SECONDS)
        return sign(self.secret or urandom(SECRET_BYTES), grant), grant.expires

    def shown(self, result: Result | None) -> Result | None:
        """`result` with links that can be followed."""
        if not (self.base or self.secret):
            return result
        if isinstance(result, AnswerResult):
            return result.model_copy(update={"citations": tuple(self.followed(cited) for cited in result.citations)})
        if isinstance(result, SearchResult):
            return result.model_copy(update={"hits": tuple(self.followed(hit) for hit in result.hits)})
        return result

    def followed(self, cited: Cited) -> Cited:
        """`cited` with a link that can be followed; what is no link to its own page stays as it is."""
        if cited.url is None or cited.url != page_url(cited.document_id, cited.page):
            return cited
        return cited.model_copy(update={"url": self.page(cited.document_id, cited.page)})


PLAIN = Links()
"""Paths as they are, which nobody needs a key to follow."""
