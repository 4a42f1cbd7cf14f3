// The cited page beside its answer, with the quote marked on its picture.

import { address, request } from "./api.js";
import { byId, element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const PICTURE_WIDTHS = { fit: 900, zoomed: 1800 };
let cited = null, page = 0, asked = 0;

/** Open the page that a citation names. */
export function show(citation) {
  cited = citation;
  go(citation.page);
}

export function hide() {
  byId("read").hidden = true;
  cited = null;
}

async function go(number) {
  const turn = ++asked;
  page = number;
  byId("read").hidden = false;
  byId("read-name").textContent = cited.filename;
  byId("read-page").textContent = `page ${number}`;
  byId("previous").disabled = number <= 1;
  byId("open").href = address(`/documents/${cited.document_id}/file#page=${number}`);
  byId("read-note").textContent = "";
  const isCited = number === cited.page;
  const query = isCited ? `?quote=${encodeURIComponent(cited.quote)}` : "";
  try {
    const found = await request(`/documents/${cited.document_id}/pages/${number}${query}`);
    if (turn !== asked) return;
    draw(found);
    byId("next").disabled = number >= found.pages;
    if (isCited && !found.found) byId("read-note").textContent = "The quote could not be found on the page's picture; it stands in its text.";
  } catch (refusal) {
    if (turn !== asked) return;
    byId("sheet").replaceChildren();
    byId("read-note").textContent = refusal.message;
  }
}

function draw({ width, height, boxes }) {
  const isZoomed = byId("zoom").getAttribute("aria-pressed") === "true";
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Page ${page} of ${cited.filename}` });
  const size = PICTURE_WIDTHS[isZoomed ? "zoomed" : "fit"];
  svg.append(node("image", { href: address(`/documents/${cited.document_id}/pages/${page}.png?width=${size}`), width, height }));
  for (const [x, y, w, h] of boxes) svg.append(node("rect", { x, y, width: w, height: h }));
  byId("sheet").replaceChildren(svg);
  svg.querySelector("rect")?.scrollIntoView({ block: "center" });
}

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

byId("previous").addEventListener("click", () => go(page - 1));
byId("next").addEventListener("click", () => go(page + 1));
byId("close").addEventListener("click", hide);
