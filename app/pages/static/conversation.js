// The conversation that is on the page: its name, and what was asked and answered in it before the question that is open.

import { address, request } from "./api.js";
import { byId, counted, element } from "./dom.js";
import { withSession } from "./session.js";

const NAME = /^[\w.:-]{1,128}$/; // of a conversation, as the API has it
const PREVIEW = 200; // characters of an answer, of which a line is shown
let id = null, turns = [], loading = null, open = null;

/** Its name, for `session_id`; null: none has begun. */
export const current = () => id;

/** What storage or an address gives back, if it can be a conversation's name. */
export const checked = (name) => (typeof name === "string" && NAME.test(name) ? name : null);

/** Be in this conversation, or in none; its turns are still to be loaded. */
export function enter(name) {
  [id, turns, loading, open] = [name, [], null, null];
  draw();
}

/** Its name; a new one's, where none has begun. */
export function begin() {
  if (id === null) [id, loading] = [crypto.getRandomValues(new Uint32Array(4)).join("-"), Promise.resolve()];
  return id;
}

/** Where a job of it is to be found; without a job, its latest answer. */
export function addressOf(job, name = id) {
  const query = new URLSearchParams({ ...(job && { job }), ...(name && { conversation: name }) });
  return address(`/${query.size > 0 ? `?${query}` : ""}`);
}

/** The same for what is not answered yet: a conversation of which nothing is kept has no address. */
export const addressSoFar = (job = null) => addressOf(job, turns.some((one) => one.answer) ? id : null);

/** Its turns, as the service has them. Throws `Refusal`. */
export async function load() {
  const name = id;
  loading = withSession(() => request(`/conversations/${encodeURIComponent(name)}`));
  const found = await loading;
  if (name !== id) return;
  turns = found.turns;
  draw();
}

/** Show what was said before this job; before a question that has none yet, all. */
export function around(job) {
  open = job;
  if (loading === null) load().catch(lack);
  else draw();
}

/** Say that there is more, which could not be had; nothing where it is no more. */
function lack({ status, message }) {
  byId("turns").hidden = status === 404;
  byId("turns").replaceChildren(`What was asked before could not be had. ${message}`);
}

/** What is kept of a job's question and answer; undefined: nothing. */
export async function turnOf(job) {
  await loading?.catch(() => {});
  return turns.find((one) => one.job_id === job);
}

export const latest = () => turns.at(-1);

/** A job is answered, and so kept: its address is its conversation's too from now on, and what is around it is shown. */
export function answered(job) {
  if (id === null) return;
  history.replaceState(null, "", addressOf(job));
  if (loading === null) around(job);
}

/** Something else is asked in it: what was open, `{question, jobId, result}`, stands above from now on. */
export function goOn({ question, jobId, result }) {
  if (id === null || jobId === null) return;
  if (!turns.some((one) => one.job_id === jobId)) turns.push({ job_id: jobId, question, ...result });
  open = null;
  draw();
}

/** Bring the question that is open into view: all above it is earlier. */
export const toQuestion = () => byId("question").scrollIntoView({ block: "start", behavior: "instant" });

function draw() {
  const at = turns.findIndex((one) => one.job_id === open);
  const before = at < 0 ? turns : turns.slice(0, at);
  const after = turns.length - before.length - 1;
  byId("turns").replaceChildren(...before.map(row));
  byId("turns").hidden = before.length === 0;
  byId("later").hidden = after < 1;
  byId("later").textContent = `${counted(after, "later question")} in this conversation`;
  byId("later").href = addressOf(null);
  if (before.length > 0) toQuestion();
}

function row({ job_id: job, question, standalone_question: standalone, answer, citations = [] }) {
  const preview = answer === undefined ? "Not answered so far." : answer.slice(0, PREVIEW).replaceAll(/\s+/g, " ");
  return element("details", {},
    element("summary", { dir: "auto" }, element("b", {}, question), element("small", {}, preview)),
    ...(standalone ? [element("p", { class: "told", dir: "auto" }, understood(standalone))] : []),
    ...(answer ? [element("p", { dir: "auto" }, answer)] : []),
    element("a", { href: addressOf(job) }, citations.length > 0 ? `Open it with ${counted(citations.length, "source")}` : "Open it"));
}

export const understood = (standalone) => `Understood as: ${standalone}`;
