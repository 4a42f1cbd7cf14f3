// Files on their way: two at once, each with its row; what fails for a while goes on by itself, what cannot says why.

import { byId } from "./dom.js";
import { pause } from "./health.js";
import { withSession } from "./session.js";
import { rowOfUpload } from "./upload_row.js";
import { NotTaken, send } from "./uploads.js";

const AT_ONCE = 2; // of one browser: a key may have a few under way
const AGAIN_S = [1, 2, 5, 10]; // where the service does not say when; the last one again and again
const PASSING = [0, 408, 429, 500, 502, 503, 504]; // statuses of what may pass; nothing is sent twice, by its key
const UNFIT = -2; // instead of a status: the file itself is at fault, whatever the service would say
const waiting = [];
const all = new Set(); // what is not there yet, those that have failed too
let sending = 0, taken = 0;

export const isSending = () => sending + waiting.length > 0;

/** Send these, each `{file, name, collection}`, after those that are waiting. */
export function enqueue(files) {
  if (!isSending()) taken = 0;
  for (const file of files) add(file);
  pump();
}

function add(file) {
  const one = { ...file, key: crypto.getRandomValues(new Uint32Array(4)).join("-"), leave: new AbortController(), isFailed: false };
  one.row = rowOfUpload(one, { stop: () => drop(one), again: () => retry(one) });
  all.add(one);
  byId("uploads").append(one.row.element);
  const wrong = unfit(one);
  if (wrong === null) waiting.push(one);
  else fail(one, new NotTaken(UNFIT, wrong));
}

/** Why it need not be sent at all. */
function unfit({ file, name }) {
  const { maxMb, suffixes } = byId("drop").dataset;
  if (!suffixes.split(",").some((suffix) => name.toLowerCase().endsWith(suffix))) return "This is none of the kinds that are read. Save it as a PDF, and send that.";
  if (file.size === 0) return "The file is empty. Look whether it was saved, or copied, to its end.";
  return file.size > maxMb * 2 ** 20 ? `It has more than ${maxMb} MiB. Split it, or make its pictures smaller.` : null;
}

function pump() {
  while (sending < AT_ONCE && waiting.length > 0) {
    sending++;
    sent(waiting.shift()).finally(() => { sending--; pump(); });
  }
  say();
}

async function sent(one) {
  try {
    const documents = await untilTaken(one);
    taken++;
    remove(one);
    document.dispatchEvent(new CustomEvent("uploaded", { detail: documents }));
  } catch (error) {
    if (error.status !== -1) fail(one, error);
  }
}

/** Try until it is taken, or never will be. The same key each time: what has arrived unheard is not taken twice. */
async function untilTaken(one) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await withSession(() => send(one, one.row.progress, one.leave.signal));
    } catch (error) {
      const isFull = error.status === 429 && error.retryAfter === 0; // of what stays until some is deleted
      if (!PASSING.includes(error.status) || isFull) throw error;
      if (!await isReadable(one.file)) throw new NotTaken(UNFIT, "The file has changed, or is no longer where it was. Choose it again.");
      const seconds = error.retryAfter || AGAIN_S[Math.min(attempt, AGAIN_S.length - 1)];
      one.row.pausing(`${error.message} Trying again in ${seconds} s.`);
      await Promise.race([pause(1000 * seconds), new Promise((done) => one.leave.signal.addEventListener("abort", done))]);
      if (one.leave.signal.aborted) throw new NotTaken(-1, "Stopped.");
    }
  }
}

const isReadable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

function fail(one, error) {
  one.isFailed = true;
  one.row.failed(error.message, error.status === UNFIT);
  say();
}

function retry(one) {
  Object.assign(one, { isFailed: false, leave: new AbortController(), key: crypto.getRandomValues(new Uint32Array(4)).join("-") });
  one.row.waiting();
  waiting.push(one);
  pump();
}

function drop(one) {
  one.leave.abort();
  const at = waiting.indexOf(one);
  if (at >= 0) waiting.splice(at, 1);
  remove(one);
  say();
}

function remove(one) {
  one.row.element.remove();
  all.delete(one);
}

function say() {
  const failed = [...all].filter((one) => one.isFailed).length, left = all.size - failed;
  byId("sending").hidden = all.size === 0;
  byId("stop-all").hidden = left === 0;
  byId("dismiss-all").hidden = failed === 0;
  byId("sent").textContent = [left > 0 && `${taken} of ${taken + left} sent`, failed > 0 && `${failed} not taken`].filter(Boolean).join(" · ");
}

const each = (fits) => () => { for (const one of [...all].filter(fits)) drop(one); };
byId("stop-all").addEventListener("click", each((one) => !one.isFailed));
byId("dismiss-all").addEventListener("click", each((one) => one.isFailed));
window.addEventListener("beforeunload", (event) => isSending() && event.preventDefault());
