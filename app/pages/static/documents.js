// The view of documents: what the server has, what is on its way to it, and what can be done with either.

import { request } from "./api.js";
import { byId } from "./dom.js";
import { may, signedIn, withSession } from "./session.js";
import { confirmed } from "./confirm.js";
import { catalog } from "./catalog.js";
import { chosen } from "./chosen.js";
import { filters } from "./filters.js";
import { rowOf } from "./document_row.js";
import { Table } from "./table.js";
import { dropped, picked } from "./picked.js";
import { number } from "./units.js";
import { enqueue, isSending } from "./upload_queue.js";

const table = new Table(byId("rows"), (one) => rowOf(one, { remove, stop, again, replace, choose: chosen.toggle, isChosen: chosen.has }));

function draw() {
  const documents = catalog.list();
  filters.offer(new Set(documents.map((one) => one.collection)));
  const shown = table.draw(documents, filters.fits);
  const isEmpty = documents.length === 0;
  byId("table").hidden = shown === 0;
  byId("filters").hidden = isEmpty;
  byId("nothing").hidden = isEmpty || shown > 0;
  byId("none").hidden = !isEmpty || !catalog.isWhole() || isSending();
  byId("none-ask").hidden = may("ingest");
  const all = `${number(documents.length)}${catalog.isWhole() ? "" : "+"} ${documents.length === 1 ? "document" : "documents"}`;
  byId("count").textContent = shown === documents.length ? all : `${number(shown)} of ${all}`;
  byId("into").textContent = filters.collection() === "" ? "" : `, into the collection ${filters.collection()}`;
  chosen.draw(catalog.get);
}

function tell(message) {
  byId("problem").textContent = message;
  byId("problem").hidden = message === "";
}

/** Do something to a document, then show what has become of it. */
async function act(one, path, method, then = catalog.lookAt) {
  try {
    await withSession(() => request(path, { method }));
    await then(one.document_id);
    tell("");
  } catch (refusal) {
    if (refusal.status === 404) catalog.drop(one.document_id); // others were quicker
    else tell(`${one.filename}: ${refusal.message}`);
  }
}

const stop = (one) => act(one, `/jobs/${one.job_id}/cancel`, "POST");
const again = (one) => act(one, `/jobs/${one.job_id}/requeue`, "POST");

async function remove(one) {
  const text = `${one.filename} is removed from answers and from storage. This cannot be undone.`;
  if (!await confirmed({ title: "Delete this document?", text, yes: "Delete", no: "Keep it", isBad: true })) return;
  const next = table.beside(one.document_id);
  await act(one, `/documents/${one.document_id}`, "DELETE", catalog.drop);
  if (document.activeElement === document.body || document.activeElement === null) (next?.querySelector(".row-acts .btn, a") ?? byId("title")).focus();
}

function replace(one) {
  const input = byId("replacement");
  input.accept = one.filename.slice(one.filename.lastIndexOf("."));
  input.onchange = () => {
    enqueue([{ file: input.files[0], name: one.filename, collection: one.collection }]);
    input.value = "";
  };
  input.click();
}

const take = (files) => enqueue(files.map((one) => ({ ...one, collection: filters.collection() || "default" })));

for (const id of ["files", "folder"]) {
  byId(id).addEventListener("change", ({ target }) => { take(picked([...target.files])); target.value = ""; });
}
// Wherever on the page they are dropped: beside the box, a browser would leave the page to show the file.
const hasFiles = (event) => event.dataTransfer.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = may("ingest") ? "copy" : "none";
  byId("drop").classList.toggle("over", may("ingest"));
});
document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget === null && byId("drop").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  byId("drop").classList.remove("over");
  if (!may("ingest")) return;
  try {
    take(await dropped(event.dataTransfer));
  } catch (error) {
    tell(`The browser could not read what was dropped: ${error.message}`);
  }
});
byId("show-all").addEventListener("click", () => { filters.clear(); byId("filters").elements.name.focus(); });
document.addEventListener("uploaded", ({ detail }) => { for (const one of detail) catalog.put(one); });
filters.onChange(draw);
chosen.onChange(draw);
catalog.onChange(draw);
signedIn().then(() => catalog.follow(tell), (refusal) => tell(refusal.message));
