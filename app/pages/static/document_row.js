// One document's row: its state in words, and what can be done with it.

import { address } from "./api.js";
import { isAtWork } from "./catalog.js";
import { element } from "./dom.js";
import { day, exactly, number, size } from "./units.js";
import { may } from "./session.js";

const WORDS = { queued: "waiting", parsing: "reading", embedding: "indexing" };
const DONE = ["indexed", "failed"];

/** `{element, update(one)}`; `acts` are functions of the document. */
export function rowOf(one, acts) {
  const cells = ["pick", "name", "hide", "num pages", "num hide", "state", "row-acts"].map((kind) => element("td", { class: kind }));
  const row = element("tr", {}, ...cells);
  let drawn = null;
  const update = (now) => {
    if (drawn !== null && isEqual(drawn, now)) return;
    const wasInside = cells[6].contains(document.activeElement) || cells[0].contains(document.activeElement);
    if (drawn === null || drawn.status !== now.status || DONE.includes(now.status)) fill(cells, now, acts);
    else progress(cells, now);
    if (wasInside && !row.contains(document.activeElement)) cells[6].querySelector(".btn")?.focus();
    drawn = now;
  };
  update(one);
  return { element: row, update };
}

/** All that a row shows. A row is looked at each second, and hardly ever another. */
const isEqual = (one, other) => ["status", "pages", "pages_done", "chunks", "sha256", "job_id", "updated_at"].every((part) => one[part] === other[part]);

function fill([pick, name, added, pages, passages, state, buttons], one, acts) {
  const isReady = one.status === "indexed";
  pick.replaceChildren(...(isReady ? [element("label", {}, element("input", { type: "checkbox", checked: acts.isChosen(one), "aria-label": `Ask ${one.filename}`, on: { change: (event) => acts.choose(one, event.target.checked) } }))] : []));
  name.replaceChildren(element("a", { href: address(`/documents/${encodeURIComponent(one.document_id)}/file`), target: "_blank", rel: "noopener", title: `${one.title ? `${one.title} · ` : ""}${size(one.size_bytes)}` }, element("bdi", {}, one.filename)),
    ...(one.collection === "default" ? [] : [" ", element("span", { class: "tag" }, one.collection)]));
  added.replaceChildren(element("time", { datetime: one.created_at, title: exactly(one.created_at) }, day(one.created_at)));
  passages.textContent = one.chunks ? number(one.chunks) : "";
  progress([, , , pages, , state], one);
  buttons.replaceChildren(...actions(one, acts));
}

function actions(one, acts) {
  const button = (label, act, kind = "quiet") => element("button", { class: `btn ${kind}`, type: "button", "aria-label": `${label} ${one.filename}`, on: { click: () => act(one) } }, label);
  const found = [];
  if (one.status === "indexed") found.push(element("a", { class: "btn quiet", href: address(`/?document=${encodeURIComponent(one.document_id)}${one.collection === "default" ? "" : `&collection=${encodeURIComponent(one.collection)}`}`), "aria-label": `Ask ${one.filename}` }, "Ask"));
  if (!may("ingest")) return found;
  if (isAtWork(one) && one.job_id !== null) return [button("Stop", acts.stop)];
  if (one.status === "failed" && one.job_id !== null && may("admin")) found.push(button("Try again", acts.again));
  return [...found, button("Replace", acts.replace), button("Delete", acts.remove)];
}

function progress([, , , pages, , state], one) {
  pages.textContent = one.pages ? number(one.pages) : "";
  if (one.pages) pages.dataset.unit = one.pages === 1 ? "page" : "pages"; // for where no heading stands above
  const told = `${number(one.pages_done)} of ${number(one.pages)} pages`;
  const bar = state.querySelector("progress");
  if (bar !== null && isAtWork(one) && one.pages) {
    Object.assign(bar, { max: one.pages, value: one.pages_done });
    bar.setAttribute("aria-label", told);
    bar.nextElementSibling.textContent = told;
  } else state.replaceChildren(...stateOf(one, told));
}

function stateOf(one, told) {
  if (one.status === "indexed") return [element("span", { class: "tag go" }, "ready"), ...missing(one)];
  if (one.status === "failed") return [element("span", { class: "tag bad" }, "failed"), element("p", { class: "why" }, one.error?.message ?? "Nobody knows why."), ...advice(one)];
  if (!one.pages) return [element("span", { class: "tag" }, WORDS[one.status] ?? one.status)];
  return [element("progress", { max: one.pages, value: one.pages_done, "aria-label": told }), element("span", { class: "told" }, told)];
}

function advice({ error, job_id: job }) {
  if (!may("ingest")) return [];
  const isStopped = error?.code === "stopped";
  const first = may("admin") && job !== null && isStopped ? "Try it again" : isStopped ? "Replace it by the same file to try again" : "Replace it by a file that can be read";
  return [element("p", { class: "why muted" }, `${first}, or delete it.`)];
}

function missing({ missing_pages: pages }) {
  if (pages.length === 0) return [];
  const [which, has] = pages.length === 1 ? ["page", "has"] : ["pages", "have"];
  return [element("p", { class: "why muted", title: pages.slice(0, 50).join(", ") }, `${number(pages.length)} ${which} ${has} no text that could be read`)];
}
