// Sends a question until the service has it: under one key, so that however often it is sent it is asked once.

import { Refusal, request } from "./api.js";
import { fields } from "./scope.js";

const KEPT = "rag-queue unsent";
const AGAIN_MS = [1000, 2000, 5000, 10_000]; // between two attempts, where nobody says how long; the last again and again
const PASSING = new Set([0, 429, 502, 503, 504]);

/** A question to be sent: `{question, scope, key, since}`. A reload of this tab finds it again. */
export function unsent(question, scope) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return { question, scope, key, since: null };
}

/** What this tab was about to send when it was left; null: nothing. */
export function left() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT));
    return typeof found?.question === "string" && typeof found.key === "string" ? found : null;
  } catch {
    return null; // forbidden, or not ours
  }
}

/**
 * What POST /chat answers. While the service is away or full it is tried again and again, and each time `onWait(refusal,
 * since, next)` is told: since when, and when next. Throws `Refusal` for what waiting does not mend; `AbortError` by `signal`.
 */
export async function send(one, onWait, signal) {
  keep(one);
  for (let attempt = 0; ; attempt++) {
    try {
      const accepted = await request("/chat", { method: "POST", json: { query: one.question, ...fields(one.scope) }, headers: { "Idempotency-Key": one.key }, signal });
      keep(null);
      return accepted;
    } catch (refusal) {
      if (!(refusal instanceof Refusal) || !PASSING.has(refusal.status)) {
        keep(null);
        throw refusal;
      }
      one.since ??= Date.now();
      keep(one);
      const wait = refusal.retryAfter * 1000 || AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)];
      onWait(refusal, one.since, Date.now() + wait);
      await pause(wait, signal).catch((error) => { keep(null); throw error; });
    }
  }
}

/** Wait; not longer than until the network is back. Throws `AbortError` by `signal`. */
function pause(milliseconds, signal) {
  return new Promise((done, failed) => {
    const over = new AbortController();
    const end = (settle) => (value) => { over.abort(); clearTimeout(timer); settle(value); };
    const timer = setTimeout(end(done), milliseconds);
    window.addEventListener("online", end(done), { signal: over.signal });
    signal.addEventListener("abort", () => end(failed)(signal.reason), { signal: over.signal });
    if (signal.aborted) end(failed)(signal.reason);
  });
}

function keep(one) {
  try {
    if (one === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, JSON.stringify(one));
  } catch {
    // forbidden: then a reload loses what was not sent
  }
}
