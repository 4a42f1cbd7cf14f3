// Sends a question until the service has it: under one key, so that however often it is sent it is asked once.

import { Refusal, request } from "./api.js";
import { fields } from "./scope.js";

const KEPT = "rag-queue unsent";
const AGAIN_MS = [1000, 2000, 5000, 10_000]; // between two attempts, where nobody says how long; the last again and again
const STALE_MS = 3_600_000; // a question that waited for longer, in a tab that was closed, is not sent without a word
const PASSING = new Set([0, 429, 502, 503, 504]);

/** A question to be sent: `{question, scope, conversation, key, at, since}`. A reload of this tab finds it again. */
export function unsent(question, scope, conversation) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return { question, scope, conversation, key, at: Date.now(), since: null };
}

/** What this tab was about to send when it was left; null: nothing. `isStale`: long ago. */
export function left() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT));
    const isOne = typeof found?.question === "string" && typeof found.key === "string" && typeof found.at === "number";
    return isOne ? { ...found, isStale: Date.now() - found.at > STALE_MS } : null;
  } catch {
    return null; // forbidden, or not ours
  }
}

/**
 * What POST /chat answers. While the service is away or full it is tried again and again, and each time `onWait(refusal,
 * since, next)` is told: since when, and when next. Throws `Refusal` for what waiting does not mend; `AbortError` by `signal`.
 */
export async function send(one, onWait, signal) {
  try {
    for (let attempt = 0; ; attempt++) {
      keep(one);
      try {
        return await request("/chat", { method: "POST", json: { query: one.question, ...fields(one.scope), session_id: one.conversation }, headers: { "Idempotency-Key": one.key }, signal });
      } catch (refusal) {
        if (!(refusal instanceof Refusal) || !PASSING.has(refusal.status)) throw refusal;
        one.since ??= Date.now();
        const wait = refusal.retryAfter * 1000 || AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)];
        onWait(refusal, one.since, Date.now() + wait);
        await pause(wait, signal);
      }
    }
  } finally {
    drop(one);
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
    sessionStorage.setItem(KEPT, JSON.stringify(one));
  } catch {
    // forbidden: then a reload loses what was not sent
  }
}

/** It needs no keeping any more; another one may. */
export function drop({ key }) {
  if (left()?.key === key) sessionStorage.removeItem(KEPT);
}
