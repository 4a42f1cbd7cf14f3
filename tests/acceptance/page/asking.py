"""What tests of the page do with a question, and what they see of its answer."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Page


def ask(page: Page, question: str) -> None:
    """Ask it as a reader does."""
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def asked_elsewhere(url: str, question: str) -> str:
    """The id of a job that no browser has asked for."""
    return str(httpx.post(f"{url}/chat", json={"query": question}).json()["job_id"])


def job_of(page: Page) -> str:
    """The job that the page's address names."""
    return parse_qs(urlsplit(page.url).query)["job"][0]


def conversation_of(page: Page) -> str:
    """The conversation that the page's address names."""
    return parse_qs(urlsplit(page.url).query)["conversation"][0]


def answer_of(page: Page) -> dict[str, Any]:
    """The result of the job that the page's address names, once it has ended."""
    base = page.url.partition("/?")[0]
    body: dict[str, Any] = httpx.get(f"{base}/result/{job_of(page)}", params={"wait": 60}, timeout=70).json()
    found: dict[str, Any] = body["result"]
    return found


def words_of(page: Page) -> list[str]:
    """The answer's words as the page has them, each mark as it was written."""
    return str(
        page.locator("#answer").evaluate(
            """(one) => {
              const copy = one.cloneNode(true);
              for (const mark of copy.querySelectorAll(".cite")) mark.replaceWith(`[${mark.textContent}]`);
              for (const part of copy.querySelectorAll("p, li")) part.append("\\n");
              return copy.textContent;
            }"""
        )
    ).split()


REMEMBER_PLAIN = """
addEventListener("DOMContentLoaded", () => {
  const answer = document.getElementById("answer");
  new MutationObserver(() => {
    if (!answer.classList.contains("plain")) return;
    window.hasBegunAnew ||= answer.textContent.length < (window.lastPlain ?? "").length;
    window.lastPlain = answer.textContent;
  }).observe(answer, {childList: true, subtree: true, characterData: true});
});
"""
"""An init script: keeps what was written word by word, which the answer's HTML replaces at its end; and whether some
of it was taken back meanwhile."""


def written(page: Page) -> list[str]:
    """The words that the stream brought, as `REMEMBER_PLAIN` has kept them."""
    return str(page.evaluate("window.lastPlain")).split()
