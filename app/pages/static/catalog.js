// The documents as the server has them, newest first: asked for page by page, and again for what has changed.

import { request } from "./api.js";
import { pause } from "./health.js";
import { withSession } from "./session.js";

const PAGE = 100; // documents in one request, the most that the API gives
const WORKING_MS = 1_000; // between two looks, for each page of them, while anything is at work
const QUIET_MS = 3_000; // while nothing is
const WHOLE_EVERY = 20; // looks, of which one goes through all pages: a document may be deleted by other hands
const documents = new Map(); // by id
let order = []; // of ids
let changed = new Set(); // by this page since the walk under way began, which may tell of before
let isWhole = false, isQuiet = false, looks = 0, wake = () => {}, notify = () => {};

export const isAtWork = ({ status }) => status !== "indexed" && status !== "failed";

export const catalog = {
  list: () => order.map((id) => documents.get(id)),
  get: (id) => documents.get(id),
  isWhole: () => isWhole,
  onChange: (then) => { notify = then; },

  /** A document as the server has just told. */
  put(one) {
    changed.add(one.document_id);
    if (!documents.has(one.document_id)) order.unshift(one.document_id);
    documents.set(one.document_id, one);
    notify();
    if (isQuiet && isAtWork(one)) wake();
  },

  /** A document that is no more. */
  drop(id) {
    changed.add(id);
    keep(order.filter((other) => other !== id));
  },

  /** One document anew. Throws `Refusal`. */
  async lookAt(id) {
    catalog.put(await withSession(() => request(`/documents/${id}`)));
  },

  /** Show what there is, from now on and for good; `tell(words)` what is wrong, or that nothing is. */
  async follow(tell) {
    let isTold = false;
    for (;;) {
      let waits = QUIET_MS;
      try {
        if (!document.hidden) waits = await withSession(walk);
        if (isTold) tell("");
        isTold = false;
      } catch (refusal) {
        tell(refusal.status === 0 ? "The service does not answer; the list is as it was, and goes on by itself." : refusal.message);
        isTold = true;
        waits = Math.max(waits, 1000 * (refusal.retryAfter ?? 0));
      }
      await seen(waits);
    }
  },
};

/** Wait; no longer than until the tab is looked at again, or something is at work where nothing was. */
const seen = (milliseconds) => Promise.race([pause(milliseconds), new Promise((done) => {
  wake = done;
  document.addEventListener("visibilitychange", done, { once: true });
})]);

/** Look at the first pages, as far as anything is at work or new; how long to wait then. */
async function walk() {
  const isThrough = !isWhole || looks++ % WHOLE_EVERY === 0;
  const walked = new Set();
  let cursor = null, pages = 0, isEnough = false;
  changed = new Set();
  do {
    const page = await request(`/documents?limit=${PAGE}${cursor === null ? "" : `&cursor=${cursor}`}`);
    pages++;
    cursor = page.next_cursor;
    for (const one of page.documents) take(one, walked);
    const known = order.indexOf(page.documents.at(-1)?.document_id);
    const rest = cursor === null ? [] : order.slice(known + 1).filter((id) => !walked.has(id));
    isWhole ||= cursor === null;
    merge(walked, rest);
    isEnough = !isThrough && known >= 0 && !rest.some(isIdAtWork);
  } while (cursor !== null && !isEnough);
  isQuiet = !order.some(isIdAtWork);
  return isQuiet ? QUIET_MS : pages * WORKING_MS;
}

const isIdAtWork = (id) => isAtWork(documents.get(id));

/** Note what a page tells of a document, unless this page has changed it since. */
function take(one, walked) {
  const id = one.document_id;
  if (changed.has(id) && !documents.has(id)) return; // just deleted
  if (!changed.has(id)) documents.set(id, one);
  walked.add(id);
}

/** What was walked through, then the rest; before both what was just added. */
function merge(walked, rest) {
  const others = new Set(rest);
  const added = order.filter((id) => changed.has(id) && !walked.has(id) && !others.has(id));
  keep([...added, ...walked, ...rest]);
}

function keep(ids) {
  const kept = new Set(ids);
  for (const id of documents.keys()) if (!kept.has(id)) documents.delete(id);
  order = ids;
  notify();
}
