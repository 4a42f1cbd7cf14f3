// What the reader says of the answer: good or not, and what was wrong. There where the service keeps it.

import { request } from "./api.js";
import { byId } from "./dom.js";
import { withSession } from "./session.js";

const KEY = "rag-queue ratings";
const MOST = 100; // that this browser remembers: the service tells nobody but admins
const RATINGS = ["up", "down"];
const panel = byId("rate"); // not there without a chat log
const form = byId("wrong");
let jobId = null, isBusy = false;

/** Ask what the reader thinks of this job's answer; null: of none. */
export function ask(job) {
  if (panel === null) return;
  jobId = job;
  panel.hidden = job === null;
  form.hidden = true;
  form.reset();
  tell("");
  press(ratings()[job]);
}

function ratings() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Object.fromEntries(Object.entries(kept ?? {}).filter(([, rating]) => RATINGS.includes(rating)));
  } catch {
    return {}; // storage is forbidden, or holds something else
  }
}

function remember(job, rating) {
  const { [job]: _, ...others } = ratings();
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries([...Object.entries(others), [job, rating]].slice(-MOST))));
  } catch {
    // full or forbidden: the service has it
  }
}

const press = (rating) => RATINGS.forEach((one) => byId(one).setAttribute("aria-pressed", String(one === rating)));

function tell(text, isBad = false) {
  byId("rated").textContent = text;
  byId("rated").classList.toggle("problem", isBad);
}

/** Whether the service has taken it. What was said before is replaced, and stays where it was not taken. */
async function say(rating, more = {}) {
  const job = jobId;
  if (isBusy) return false;
  isBusy = true;
  try {
    await withSession(() => request(`/jobs/${job}/feedback`, { method: "POST", json: { rating, ...more } }));
    remember(job, rating);
    if (job !== jobId) return false;
    press(rating);
    tell("Thank you.");
    return true;
  } catch (refusal) {
    if (job === jobId) tell(`Not taken. ${refusal.message}`, true);
    return false;
  } finally {
    isBusy = false;
  }
}

const isPressed = (rating) => byId(rating).getAttribute("aria-pressed") === "true";

async function up() {
  if (isPressed("up") || !(await say("up"))) return;
  form.hidden = true;
}

/** It counts at once; what was wrong may be added, or not. */
async function down() {
  if (!isPressed("down") && !(await say("down"))) return;
  form.hidden = false;
  form.elements.comment.focus();
  form.scrollIntoView({ block: "center" }); // the box to ask in lies over the page's end
}

async function send(event) {
  event.preventDefault();
  const said = ["comment", "expected"].map((name) => [name, form.elements[name].value.trim()]).filter(([, text]) => text !== "");
  if (!(await say("down", Object.fromEntries(said)))) return;
  close();
}

function close() {
  form.hidden = true;
  byId("down").focus();
}

if (panel !== null) {
  byId("up").addEventListener("click", up);
  byId("down").addEventListener("click", down);
  form.addEventListener("submit", send);
  byId("not-now").addEventListener("click", close);
}
