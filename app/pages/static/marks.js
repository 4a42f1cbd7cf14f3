// The answer's marks [n] as buttons, its list of sources, and that both and the page shown are one thing.

import { element } from "./dom.js";

const MARK = /\[(\d{1,4})\]/g;

/** Turn each `[n]` of a citation in `root`'s text into a button that calls `choose(citation)` with the first such. */
export function markUp(root, citations, choose) {
  const known = new Map(citations.toReversed().map((citation) => [citation.n, citation]));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("code, pre")) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = pieces(text.data, known, choose);
    if (parts.length > 1 || parts[0] instanceof Element) text.replaceWith(...parts);
  }
}

function pieces(text, known, choose) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(MARK)) {
    const citation = known.get(Number(found[1]));
    if (citation === undefined) continue;
    parts.push(text.slice(from, found.index), button(citation, choose));
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== "");
}

function button(citation, choose) {
  const label = `Source ${citation.n}: ${citation.filename}, ${place(citation)}`;
  return element("button", { class: "cite", "data-n": citation.n, "aria-pressed": "false", "aria-label": label, title: label, on: { click: () => choose(citation) } }, String(citation.n));
}

/** The list of sources: a row a citation, each choosing itself. */
export function list(root, citations, choose) {
  root.replaceChildren(...citations.map((citation, row) => element("li", {},
    element("button", { class: "source", "data-n": citation.n, "data-row": row, "aria-pressed": "false", on: { click: () => choose(citation) } },
      element("span", { class: "n" }, String(citation.n)),
      element("span", {}, element("bdi", {}, citation.filename), element("q", { dir: "auto" }, citation.quote)),
      element("span", { class: "p" }, place(citation))))));
}

/** "page 3", "pages 3 to 4"; in the words of the document itself, where it has some. */
export function place({ page, last_page: end, page_label: label }) {
  return end && end !== page ? `pages ${label || page} to ${end}` : `page ${label || page}`;
}

/** Show which source is chosen, wherever it stands: the mark, and of the rows that share it the one at `row`. */
export function press(n, row) {
  for (const mark of document.querySelectorAll("[data-n]")) {
    const isIt = mark.dataset.n === String(n) && (mark.dataset.row ?? String(row)) === String(row);
    mark.setAttribute("aria-pressed", String(isIt));
  }
}
