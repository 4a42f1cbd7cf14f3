// The cited page beside its answer: its picture with the quote marked, and its words, marked as well.

import { address, request } from "./api.js";
import { byId, element } from "./dom.js";
import { press } from "./marks.js";

const SVG = "http://www.w3.org/2000/svg";
const FIT = "900", ZOOMED = "1800"; // of a picture, in pixels
const BESIDE_PX = 24; // left of a mark, in view
const read = byId("read");
let cited = null, page = 0, turn = 0, view = null;
let over = []; // boxes on the page after the cited one, where the quote runs over
let came = null; // what was chosen to come here

/** Open the page that a citation names. */
export function show(citation) {
  came = document.activeElement;
  cited = citation;
  over = [];
  go(citation.page);
  read.focus();
}

/** Put the page away; whoever closes it is back where they came from. */
export function hide({ isBack = false } = {}) {
  if (read.hidden) return;
  turn++;
  read.hidden = true;
  cited = view = null;
  press(null);
  if (isBack && came?.isConnected) came.focus();
}

async function go(number) {
  const mine = ++turn;
  page = number;
  read.hidden = false;
  read.setAttribute("aria-busy", "true");
  byId("read-name").textContent = cited.filename;
  byId("read-page").textContent = `page ${number}`;
  byId("open").href = address(`/documents/${cited.document_id}/file#page=${number}`);
  byId("previous").disabled = number <= 1;
  byId("read-again").hidden = true;
  tell("");
  try {
    const found = await request(`/documents/${cited.document_id}/pages/${number}${asked(number)}`);
    if (mine === turn) draw(found);
  } catch (refusal) {
    if (mine === turn) fail(refusal.status === 404 ? `${refusal.message} It may have been deleted or replaced since.` : refusal.message, refusal.status);
  }
  if (mine === turn) read.setAttribute("aria-busy", "false");
}

function asked(number) {
  if (number !== cited.page) return "";
  const query = new URLSearchParams({ quote: cited.quote });
  if (cited.last_page) query.set("last_page", cited.last_page);
  return `?${query}`;
}

function draw(found) {
  view = found;
  if (page === cited.page) over = found.next_boxes;
  byId("read-page").textContent = found.page_label ? `page ${found.page_label} · ${page} of ${found.pages}` : `page ${page} of ${found.pages}`;
  byId("next").disabled = page >= found.pages;
  byId("zoom").hidden = found.picture === null;
  byId("open").textContent = found.picture === null ? "Open file" : "Open PDF";
  byId("sheet").replaceChildren(...(found.picture === null ? [] : [picture()]));
  const mark = spell(found);
  tell(...note(found));
  bringIntoView(mark);
}

/** The marked words' middle, and where zoomed their left edge; without any the page's beginning. */
function bringIntoView(mark) {
  const rects = [...byId("sheet").querySelectorAll("rect")];
  read.scrollTop = 0;
  (rects[0] ?? mark ?? read).scrollIntoView({ block: rects[0] ?? mark ? "center" : "nearest" });
  if (rects.length === 0) return;
  const left = Math.min(...rects.map((rect) => rect.getBoundingClientRect().left));
  byId("sheet").scrollLeft += left - byId("sheet").getBoundingClientRect().left - BESIDE_PX;
}

function picture() {
  const isZoomed = byId("zoom").getAttribute("aria-pressed") === "true";
  const boxes = page === cited.page + 1 ? over : view.boxes;
  const { width, height } = view;
  byId("sheet").classList.toggle("zoomed", isZoomed);
  byId("sheet").tabIndex = isZoomed ? 0 : -1; // it scrolls then
  const label = `Page ${page} of ${cited.filename}${boxes.length > 0 ? ", the quote marked" : ""}`;
  const image = node("image", { href: view.picture[isZoomed ? ZOOMED : FIT], width, height });
  image.addEventListener("error", () => image.isConnected && fail("The page's picture could not be had.", 0));
  const marks = boxes.map(([x, y, w, h]) => node("rect", { x, y, width: w, height: h }));
  return node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, image, ...marks);
}

/** The page's words, the quote in them marked; the mark, if there is one. Offsets count code points. */
function spell({ words, span, picture: shown }) {
  const signs = [...words];
  const [from, to] = span ?? [signs.length, signs.length];
  const part = (start, end) => signs.slice(start, end).join("");
  const mark = span && element("mark", {}, part(from, to));
  byId("words").className = shown === null ? "words alone" : "words";
  byId("words").replaceChildren(part(0, from), ...(mark ? [mark] : []), part(to));
  return mark;
}

function note(found) {
  if (page !== cited.page) return [];
  if (found.next_boxes.length > 0) return ["The quote goes on on the next page."];
  if (found.found) return [];
  if (found.span !== null) return ["The quote could not be marked on the picture; it is marked in the words below it."];
  return ["The quote could not be found on this page as it is shown. It was read there: ", element("q", {}, cited.quote)];
}

function fail(message, status) {
  byId("sheet").replaceChildren();
  byId("words").replaceChildren();
  byId("next").disabled = true;
  byId("zoom").hidden = true;
  byId("read-again").hidden = status === 404 || status === 422;
  tell(message);
}

const tell = (...parts) => byId("read-note").replaceChildren(...parts);

function node(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

byId("previous").addEventListener("click", () => go(page - 1));
byId("next").addEventListener("click", () => go(page + 1));
byId("read-again").addEventListener("click", () => go(page));
byId("close").addEventListener("click", () => hide({ isBack: true }));
byId("zoom").addEventListener("click", () => {
  byId("zoom").setAttribute("aria-pressed", String(byId("zoom").getAttribute("aria-pressed") !== "true"));
  if (view !== null) draw(view);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !read.hidden && document.querySelector("dialog[open]") === null) hide({ isBack: true });
});
