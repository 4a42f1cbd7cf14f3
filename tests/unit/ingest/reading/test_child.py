"""What passes between the child that reads and its parent."""

import json

from ingest.reading.child import REPLY_BYTES_MAX, Reply
from ingest.reading.limits import PAGE_CHARACTERS_MAX


def test_the_longest_page_fits_into_a_reply_even_when_all_of_it_is_headings() -> None:
    longest = {"text": "\n" * PAGE_CHARACTERS_MAX, "headings": ["\U0001f600"] * (PAGE_CHARACTERS_MAX // 2)}
    assert len(json.dumps(longest, ensure_ascii=False).encode()) < REPLY_BYTES_MAX
    assert (
        len(json.dumps({"text": "\U0001f600" * PAGE_CHARACTERS_MAX}, ensure_ascii=False).encode()) < REPLY_BYTES_MAX
    )


def test_a_page_s_reply_is_a_page() -> None:
    from dataclasses import asdict

    from ingest.reading.page import Page

    page = Page("The words.", ("The",), is_cut=True)
    reply = Reply.model_validate(asdict(page))
    assert (reply.text, reply.headings, reply.is_cut, reply.is_damaged) == ("The words.", ("The",), True, False)
