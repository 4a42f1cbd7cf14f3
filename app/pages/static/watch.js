// The view for operators: queues, worker processes and what failed, a moment old at most while somebody looks.

import { request } from "./api.js";
import { byId, clock } from "./dom.js";
import { beginFailed, lookAtFailed } from "./failed.js";
import { processRow } from "./process_rows.js";
import { pulse } from "./pulse.js";
import { budgetWords, queueRow, tiles } from "./queue_rows.js";
import { signedIn } from "./session.js";

const LOOK_MS = 2000;
const HISTORY_EVERY = 5; // looks: a minute's counts change slowly
const FAILED_EVERY = 2;
let histories = new Map();

async function look(turn) {
  const [{ queues, budget }, { workers }, history] = await Promise.all([
    request("/queues"), request("/workers"), turn % HISTORY_EVERY === 0 ? request("/queues/history") : null,
    turn % FAILED_EVERY === 0 ? lookAtFailed() : null,
  ]);
  if (history !== null) histories = new Map(history.queues.map((queue) => [queue.name, queue]));
  byId("tiles").replaceChildren(...tiles(queues, histories));
  byId("queues").replaceChildren(...queues.map((queue) => queueRow(queue, histories.get(queue.name) ?? null)));
  byId("budget").textContent = budgetWords(budget);
  rows("workers", workers.map(processRow));
  byId("workers-table").hidden = workers.length === 0;
  byId("no-workers").hidden = workers.length > 0;
  byId("board").hidden = false;
}

/** Draw rows anew, and leave the focus on the link that had it. */
function rows(id, made) {
  const focused = byId(id).contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  byId(id).replaceChildren(...made);
  if (focused !== null) byId(id).querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function tell(trouble) {
  const told = byId("told");
  const words = trouble === null ? "Live" : `Unavailable since ${clock(trouble.since)}; trying again. ${trouble.refusal.message}`;
  if (told.textContent !== words) told.textContent = words;
  told.classList.toggle("problem", trouble !== null);
  byId("board").classList.toggle("stale", trouble !== null);
}

async function begin() {
  const session = await signedIn();
  if (session.role !== "admin") {
    byId("told").textContent = "";
    byId("not-admin").textContent = `This view is for the role admin; yours is ${session.role}. Ask the operator for a key of that role.`;
    byId("not-admin").hidden = false;
    return;
  }
  beginFailed();
  pulse(look, LOOK_MS, tell);
}

begin().catch((refusal) => tell({ since: new Date(), refusal }));
