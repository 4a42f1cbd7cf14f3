// Which documents to ask: chosen by their boxes, asked at an address that names them.

import { address } from "./api.js";
import { byId } from "./dom.js";

const MOST = 100; // documents in one question, the most that the API takes
const ids = new Set();
let notify = () => {};

export const chosen = {
  has: (one) => ids.has(one.document_id),
  toggle(one, isChosen) {
    if (isChosen) ids.add(one.document_id);
    else ids.delete(one.document_id);
    notify();
  },
  onChange: (then) => { notify = then; },

  /** Offer to ask them; `get(id)` is a document, or undefined where it has gone. */
  draw(get) {
    for (const id of ids) if (get(id)?.status !== "indexed") ids.delete(id);
    byId("chosen").hidden = ids.size === 0;
    if (ids.size === 0) return;
    const collections = new Set([...ids].map((id) => get(id).collection));
    const why = ids.size > MOST ? `${MOST} documents at most can be asked at once` : collections.size > 1 ? "One question asks the documents of one collection" : "";
    byId("chosen-count").textContent = why || `${ids.size} chosen`;
    byId("ask-these").hidden = why !== "";
    byId("ask-these").textContent = ids.size === 1 ? "Ask this one" : `Ask these ${ids.size}`;
    const query = new URLSearchParams([...ids].map((id) => ["document", id]));
    const [collection] = collections;
    if (collection !== "default") query.set("collection", collection);
    byId("ask-these").href = address(`/?${query}`);
  },
};

byId("choose-none").addEventListener("click", () => {
  ids.clear();
  for (const box of document.querySelectorAll("#rows input:checked")) box.checked = false;
  notify();
  byId("title").focus();
});
