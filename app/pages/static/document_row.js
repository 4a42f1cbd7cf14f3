// One document's row: its state in words, and what can be done with it.

import { element } from "./dom.js";

const WORDS = { queued: "waiting", parsing: "reading", embedding: "indexing" };

export function rowOf(one, { remove, stop, again }) {
  const button = (label, act, kind = "quiet") => element("button", { class: `btn ${kind}`, "aria-label": `${label} ${one.filename}`, on: { click: () => act(one) } }, label);
  const isAtWork = !["indexed", "failed"].includes(one.status);
  const acts = [];
  if (isAtWork && one.job_id !== null) acts.push(button("Stop", stop));
  if (one.status === "failed" && one.job_id !== null) acts.push(button("Try again", again));
  if (!isAtWork) acts.push(button("Delete", remove));
  const added = new Date(one.created_at);
  return element("tr", {},
    element("td", { class: "name" }, one.filename),
    element("td", { class: "hide" }, element("time", { datetime: one.created_at, title: added.toLocaleString() }, added.toLocaleDateString())),
    element("td", { class: "num" }, one.pages ? one.pages.toLocaleString() : ""),
    element("td", { class: "num hide" }, one.chunks ? one.chunks.toLocaleString() : ""),
    element("td", {}, ...stateOf(one)),
    element("td", { class: "row-acts" }, ...acts));
}

function stateOf(one) {
  if (one.status === "indexed") return [element("span", { class: "tag go" }, "ready"), ...missing(one)];
  if (one.status === "failed") return [element("span", { class: "tag bad" }, one.error?.message ?? "failed")];
  if (!one.pages) return [element("span", { class: "tag" }, WORDS[one.status] ?? one.status)];
  const told = `${one.pages_done} of ${one.pages} pages`;
  return [element("progress", { max: one.pages, value: one.pages_done, "aria-label": told }), " ", element("span", { class: "tag" }, told)];
}

function missing({ missing_pages: pages }) {
  return pages.length === 0 ? [] : [" ", element("span", { class: "tag", title: pages.slice(0, 50).join(", ") }, `${pages.length} pages without text`)];
}
