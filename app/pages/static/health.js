// Whether the service answers: said in the header while it does not, and looked at until it does again.

import { address } from "./api.js";
import { byId } from "./dom.js";
import { time } from "./units.js";

const WELL_MS = 20_000, UNWELL_MS = 2_000; // between two looks
const PATIENCE_MS = 5_000; // who is silent for longer does not answer
const WORDS = { valkey: "Queue unavailable", workers: "No worker", qdrant: "Index unavailable", queue: "Queue full" };
let timer, since = null, isLooking = false;

/** Wait, but no longer than until the service answers again. */
export const pause = (milliseconds) => new Promise((done) => {
  const timeout = setTimeout(done, milliseconds);
  document.addEventListener("answering", () => { clearTimeout(timeout); done(); }, { once: true });
});

async function look() {
  if (isLooking || document.hidden) return;
  isLooking = true;
  clearTimeout(timer);
  const wrong = await found();
  isLooking = false;
  if (wrong !== null) since ??= new Date();
  else if (since !== null) {
    since = null;
    document.dispatchEvent(new CustomEvent("answering"));
  }
  say(wrong);
  timer = setTimeout(look, wrong === null ? WELL_MS : UNWELL_MS);
}

/** What is wrong, in words; null: nothing. */
async function found() {
  try {
    const response = await fetch(address("/readyz"), { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.ok) return null;
    const { checks = {} } = await response.json();
    return Object.keys(WORDS).filter((part) => (checks[part] ?? "ok") !== "ok").map((part) => WORDS[part])[0] ?? "Unavailable";
  } catch {
    return "Unavailable";
  }
}

function say(wrong) {
  const words = wrong === null ? "" : `${wrong} since ${time(since)}, trying again`;
  if (byId("health").textContent !== words) byId("health").textContent = words; // said once, not at each look
}

const isFailed = ({ name, responseStatus }) => (responseStatus === 0 || responseStatus >= 500) && !name.endsWith("/readyz");

/* Any request of the page that fails is a reason to look at once, whoever has sent it. */
new PerformanceObserver((list) => list.getEntries().some(isFailed) && look()).observe({ type: "resource" });
document.addEventListener("visibilitychange", look);
for (const event of ["online", "offline"]) window.addEventListener(event, look);
window.addEventListener("load", () => setTimeout(look, 1000)); // the view itself goes first
