// Which documents are shown: by name, state and collection, as the address says, so that a reload shows the same.

import { byId, element } from "./dom.js";

const SETTLED_MS = 300; // after a keystroke; browsers let no page change its address all the time
const STATES = { indexed: "ready", failed: "failed" }; // else: working
const form = byId("filters");
const parts = ["name", "state", "collection"].map((name) => form.elements[name]);
const [name, state, collection] = parts;
let notify = () => {}, timer, offered = new Set();

export const filters = {
  onChange: (then) => { notify = then; },
  collection: () => collection.value,
  fits(one) {
    return (state.value === "" || state.value === (STATES[one.status] ?? "working"))
      && (collection.value === "" || collection.value === one.collection)
      && one.filename.toLowerCase().includes(name.value.trim().toLowerCase());
  },

  /** Let choose among these collections, where there is a choice. */
  offer(collections) {
    for (const one of [...collections].sort()) if (!offered.has(one)) add(one);
    byId("collections").hidden = offered.size < 2;
  },

  clear() {
    for (const part of parts) part.value = "";
    change();
  },
};

function add(one) {
  offered.add(one);
  collection.append(element("option", { value: one }, one));
}

function change() {
  notify();
  clearTimeout(timer);
  timer = setTimeout(keep, SETTLED_MS);
}

function keep() {
  const query = new URLSearchParams(parts.filter((part) => part.value !== "").map((part) => [part.name, part.value]));
  history.replaceState(null, "", `${location.pathname}${query.size === 0 ? "" : `?${query}`}`);
}

const asked = new URLSearchParams(location.search);
if (asked.get("collection")) add(asked.get("collection"));
for (const part of parts) {
  part.value = asked.get(part.name) ?? "";
  if (part.selectedIndex === -1) part.value = ""; // the address says what is no choice
}
form.addEventListener("input", change);
form.addEventListener("submit", (event) => event.preventDefault());
