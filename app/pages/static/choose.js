// The dialog in which a collection and documents are chosen.

import { byId, counted, element } from "./dom.js";
import { all, collections, isReady, titles } from "./library.js";
import { EVERYTHING, MOST, scopeOf } from "./scope.js";

const dialog = byId("choose");
const form = dialog.querySelector("form");
let documents = [], chosen = new Set(), opened = 0;

/** Let the reader choose, beginning with `scope`. Resolves to another scope, or to null when they leave it as it is. */
export async function choose(scope) {
  const turn = ++opened;
  documents = [];
  chosen = new Set(scope.documents.map((one) => one.id));
  form.reset();
  dialog.returnValue = "no";
  byId("collections").hidden = true;
  byId("choices").replaceChildren();
  byId("ask-these").disabled = true;
  tell("Looking for documents");
  dialog.showModal();
  const closed = new Promise((done) => { dialog.onclose = () => done(outcome(scope)); });
  Promise.all([all(), titles()]).then(([found, called]) => turn === opened && offer(found.filter(isReady), scope.collection, called), (refusal) => tell(refusal.message));
  return closed;
}

function outcome(scope) {
  opened++;
  const collection = form.elements.collection.value || scope.collection;
  if (dialog.returnValue === "all") return documents.length === 0 ? EVERYTHING : scopeOf(collection, [], documents);
  if (dialog.returnValue !== "these") return null;
  return scopeOf(collection, documents.filter((one) => one.collection === collection && chosen.has(one.document_id)), documents);
}

function offer(found, collection, called) {
  documents = found;
  const names = collections(documents);
  form.elements.collection.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === collection }, called.get(name) ?? name)));
  byId("collections").hidden = names.length < 2;
  draw();
}

function draw() {
  const name = form.elements.name.value.trim().toLowerCase();
  const here = documents.filter((one) => one.collection === form.elements.collection.value);
  const shown = here.filter((one) => one.filename.toLowerCase().includes(name));
  byId("choices").replaceChildren(...shown.map((one) => element("li", {}, element("label", {},
    element("input", { type: "checkbox", value: one.document_id, checked: chosen.has(one.document_id) }),
    element("span", {}, element("bdi", {}, one.filename)),
    element("small", {}, one.pages > 0 ? counted(one.pages, "page") : "")))));
  count(here);
}

function count(here) {
  const number = here.filter((one) => chosen.has(one.document_id)).length;
  byId("ask-these").disabled = number === 0 || number > MOST;
  if (here.length === 0) tell("There are no documents to ask yet.");
  else if (number > MOST) tell(`${number} of ${here.length} are chosen; one question is asked of ${MOST} at most, or of all.`);
  else tell(number === 0 ? `All ${counted(here.length, "document")} are asked, unless you choose some.` : `${number} of ${here.length} chosen.`);
}

const tell = (text) => { byId("choice").textContent = text; };

byId("choices").addEventListener("change", ({ target }) => {
  if (target.checked) chosen.add(target.value);
  else chosen.delete(target.value);
  count(documents.filter((one) => one.collection === form.elements.collection.value));
});
form.elements.collection.addEventListener("change", () => { chosen.clear(); draw(); });
form.elements.name.addEventListener("input", draw);
form.elements.name.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
