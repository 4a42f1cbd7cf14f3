// What stands here before anything was asked: what to try, or what to do first.

import { currentScope, scopeTo } from "./composer.js";
import { byId, counted, element } from "./dom.js";
import { DEFAULT_COLLECTION, collections, isReady, newest } from "./library.js";
import { samples } from "./samples.js";
import { isEverything, scopeOf } from "./scope.js";

const LOOK_MS = 2000; // between two looks at documents, while there are none to ask or some are being read
let turn = 0;

/** Show it. `ask(question)` is called for a question that is chosen; `mayAdd`: whether this reader may add documents. */
export async function welcome(ask, mayAdd) {
  if (byId("empty").hidden) byId("earlier").open = true;
  show();
  const mine = ++turn;
  const { documents, isAll } = await newest();
  if (mine !== turn) return;
  const ready = documents.filter(isReady);
  if (isAll) suggest(ready);
  const reading = documents.filter((one) => !["indexed", "failed"].includes(one.status));
  offer(samples(ready.filter((one) => one.collection === currentScope().collection)), ask);
  hint(ready.length, reading.length, isAll, mayAdd);
  if (ready.length === 0 || reading.length > 0) again(ask, mayAdd, mine);
}

function again(ask, mayAdd, mine) {
  setTimeout(() => {
    if (mine === turn) welcome(ask, mayAdd).catch(() => again(ask, mayAdd, turn));
  }, LOOK_MS);
}

function show() {
  byId("empty").hidden = false;
  byId("talk").hidden = true;
}

/** Say why nothing can be asked now. */
export function unwelcome(message) {
  show();
  byId("hint").textContent = `${message} It is tried again by itself.`;
}

/** Something is asked: this is over. */
export function leave() {
  turn++;
  byId("empty").hidden = true;
  byId("earlier").open = false;
}

/** Where all documents are in other collections than the one that is asked, ask the first of those. */
function suggest(ready) {
  const [first] = collections(ready);
  if (first !== undefined && first !== DEFAULT_COLLECTION && isEverything(currentScope())) scopeTo(scopeOf(first, [], ready));
}

function offer(questions, ask) {
  const shown = [...byId("samples").children].map((one) => one.textContent);
  if (questions.join() === shown.join()) return; // so that nobody's focus is taken away
  byId("samples").replaceChildren(...questions.map((question) => element("li", {},
    element("button", { class: "btn", on: { click: () => ask(question) } }, question))));
}

function hint(ready, reading, isAll, mayAdd) {
  const words = wordsFor(ready, reading, isAll, mayAdd);
  if (byId("hint").textContent !== words) byId("hint").textContent = words;
  byId("add").hidden = ready + reading > 0 || !mayAdd;
}

function wordsFor(ready, reading, isAll, mayAdd) {
  const are = (number) => `${counted(number, "document")} ${number === 1 ? "is" : "are"}`;
  if (ready + reading === 0) return `There are no documents yet. ${mayAdd ? "Add the first ones, then ask about them." : "Whoever runs this service adds them; then ask about them."}`;
  if (ready === 0) return `${are(reading)} being read. The first questions can be asked in a moment.`;
  const more = reading > 0 ? ` ${are(reading)} still being read.` : "";
  const number = isAll ? are(ready) : `More than ${are(ready)}`;
  return `${number} ready. Each answer shows the page that proves it.${more}`;
}
