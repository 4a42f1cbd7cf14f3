// The answer's marks [n] as buttons, its list of sources, and that both and the page shown are one thing.

import { element } from "./dom.js";

const MARK = /\[(\d{1,4})\]/g;

/** Turn each `[n]` of a citation in `root`'s text into a button that calls `choose(n)`. */
export function markUp(root, citations, choose) {
  const known = new Set(citations.map((citation) => citation.n));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("code, pre")) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = pieces(text.data, known, choose);
    if (parts.length > 1) text.replaceWith(...parts);
  }
}

function pieces(text, known, choose) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(MARK)) {
    const n = Number(found[1]);
    if (!known.has(n)) continue;
    parts.push(text.slice(from, found.index), button(n, choose));
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)].filter((part) => part !== "");
}

function button(n, choose) {
  const label = `Source ${n}`;
  return element("button", { class: "cite", "data-n": n, "aria-pressed": "false", "aria-label": label, on: { click: () => choose(n) } }, String(n));
}

/** The list of sources: a row a citation, each choosing itself. */
export function list(root, citations, choose) {
  root.replaceChildren(...citations.map((citation) => element("li", {},
    element("button", { class: "source", "data-n": citation.n, "aria-pressed": "false", on: { click: () => choose(citation.n, citation) } },
      element("span", { class: "n" }, String(citation.n)),
      element("span", {}, citation.filename, element("q", {}, citation.quote)),
      element("span", { class: "p" }, `page ${citation.page_label || citation.page}`)))));
}

/** Show which source is chosen, wherever it stands; null: none. */
export function press(n) {
  for (const mark of document.querySelectorAll("[data-n]")) mark.setAttribute("aria-pressed", String(mark.dataset.n === String(n)));
}
