// The view of documents: the list is the server's; what is being sent stands above it.

import { request } from "./api.js";
import { byId, element } from "./dom.js";
import { rowOf } from "./document_row.js";
import { signedIn } from "./session.js";
import { dropped, send } from "./uploads.js";

const PAGE = 100; // documents in one request, the most that the API gives
const LOOK_MS = 1000; // between two looks at documents that are at work
const AT_ONCE = 2; // uploads
const documents = new Map();
const waiting = [];
let sending = 0;

async function load() {
  const found = new Map();
  let cursor = null;
  do {
    const page = await request(`/documents?limit=${PAGE}${cursor === null ? "" : `&cursor=${cursor}`}`);
    for (const one of page.documents) found.set(one.document_id, one);
    cursor = page.next_cursor;
  } while (cursor !== null);
  documents.clear();
  for (const [id, one] of found) documents.set(id, one);
  draw();
}

function draw() {
  const { name, state } = Object.fromEntries(new FormData(byId("filters")));
  const shown = [...documents.values()].filter((one) => fits(one, name.toLowerCase(), state));
  byId("rows").replaceChildren(...shown.map((one) => rowOf(one, { remove, stop, again })));
  byId("none").hidden = documents.size > 0 || sending > 0;
  byId("count").textContent = shown.length === documents.size ? `${documents.size} documents` : `${shown.length} of ${documents.size} documents`;
}

function fits(one, name, state) {
  const is = { indexed: "ready", failed: "failed" }[one.status] ?? "working";
  return one.filename.toLowerCase().includes(name) && (state === "" || state === is);
}

/** Look at what is at work until nothing is; not while nobody sees it. */
async function look() {
  if (document.hidden) return;
  const working = [...documents.values()].filter((one) => !["indexed", "failed"].includes(one.status));
  if (working.length === 0) return;
  try {
    if (working.length > AT_ONCE * 2) await load();
    else for (const one of working) documents.set(one.document_id, await request(`/documents/${one.document_id}`));
    tell("");
  } catch (refusal) {
    if (refusal.status === 404) await load().catch(() => {});
    else tell(refusal.message);
  }
  draw();
}

function tell(message) {
  byId("problem").textContent = message;
  byId("problem").hidden = message === "";
}

const act = (doing) => doing.then(load).then(() => tell(""), (refusal) => tell(refusal.message));
const stop = (one) => act(request(`/jobs/${one.job_id}/cancel`, { method: "POST" }));
const again = (one) => act(request(`/jobs/${one.job_id}/requeue`, { method: "POST" }));

function remove(one) {
  byId("confirm-title").textContent = "Delete this document?";
  byId("confirm-text").textContent = `${one.filename} is removed from answers and from storage. This cannot be undone.`;
  const dialog = byId("confirm");
  dialog.returnValue = "no";
  dialog.onclose = () => dialog.returnValue === "yes" && act(request(`/documents/${one.document_id}`, { method: "DELETE" }));
  dialog.showModal();
}

function take(files) {
  for (const file of files) {
    const leave = new AbortController();
    const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
    const state = element("td", {}, bar);
    const button = element("button", { class: "btn quiet", on: { click: () => { leave.abort(); row.remove(); } } }, "Stop");
    const row = element("tr", {}, element("td", {}, file.name), element("td", { class: "hide" }, "now"), element("td"), element("td", { class: "hide" }), state, element("td", {}, button));
    byId("uploads").append(row);
    waiting.push({ file, leave, bar, state, button, row });
  }
  pump();
}

function pump() {
  while (sending < AT_ONCE && waiting.length > 0) {
    const one = waiting.shift();
    if (one.leave.signal.aborted) continue;
    sending++;
    sent(one).finally(() => { sending--; pump(); });
  }
}

async function sent({ file, leave, bar, state, button, row }) {
  try {
    const told = await send(file, (part) => { bar.value = part; }, leave.signal);
    for (const one of told.documents) documents.set(one.document_id, one);
    row.remove();
    draw();
  } catch (error) {
    state.replaceChildren(element("span", { class: "problem" }, error.message));
    button.textContent = "Dismiss";
  }
}

const drop = byId("drop");
for (const name of ["dragover", "dragenter"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", async (event) => { event.preventDefault(); take(await dropped(event.dataTransfer.items)); });
byId("files").addEventListener("change", (event) => { take([...event.target.files]); event.target.value = ""; });
byId("filters").addEventListener("input", draw);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
signedIn().then(load).then(() => setInterval(look, LOOK_MS)).catch((refusal) => tell(refusal.message));
