// Follows one job's events, through lost networks and restarted services, until it has ended.

import { Refusal, address, request } from "./api.js";

const AGAIN_MS = [500, 1000, 2000, 5000];
/* Between two attempts, where the browser has given up (it does so for good at a 5xx); the last one again and again. */
const SILENCE_MS = 45_000;
/* Three of the service's pings, which no script hears: a connection that died without a word looks the same. */

const LAST = { finished: "answer.completed", failed: "job.failed", stopped: "job.stopped" };
const EVENTS = ["job.queued", "job.started", "retrieval.completed", "answer.delta", ...Object.values(LAST)];
const PASSING = new Set([0, 429, 500, 502, 503, 504]);

/**
 * Calls `on[event](data)` for each event of the job, each once and in their order, whatever happens in between.
 * `on.lost(since)` and `on.back()` tell that nobody answers, and that someone does again; `on.gone(refusal)` ends it.
 * Returns a function that stops to follow.
 */
export function follow(jobId, on) {
  const leaving = new AbortController();
  let source, timer, silence, after = null, attempts = 0, lostAt = null, wasOver = false;

  function end() {
    leaving.abort();
    clearTimeout(timer);
    clearTimeout(silence);
    source.close();
  }

  function connect() {
    clearTimeout(timer);
    source?.close();
    // The browser's own Last-Event-ID, where it connects again by itself, goes before `starting_after`.
    source = new EventSource(address(`/stream/${jobId}${after === null ? "" : `?starting_after=${after}`}`));
    source.onopen = opened;
    source.onerror = failed;
    for (const name of EVENTS) source.addEventListener(name, (event) => take(name, event));
    listen();
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(connect, SILENCE_MS);
  }

  function opened() {
    attempts = 0;
    if (lostAt !== null) on.back?.();
    lostAt = null;
  }

  function failed() {
    lostAt ??= Date.now();
    on.lost?.(lostAt);
    if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    clearTimeout(silence);
    timer = setTimeout(check, AGAIN_MS[Math.min(attempts++, AGAIN_MS.length - 1)]);
  }

  function take(name, event) {
    const number = Number(event.lastEventId);
    if (leaving.signal.aborted || (after !== null && number <= after)) return;
    after = number;
    listen();
    if (Object.values(LAST).includes(name)) end();
    on[name]?.(JSON.parse(event.data));
  }

  /** Why the stream was refused, which EventSource does not tell. */
  async function check() {
    try {
      const { status } = await request(`/job-status/${jobId}`, { signal: leaving.signal });
      if (wasOver && status in LAST) return await finish(); // over, and still no stream: a 204, we have all of it
      wasOver = status in LAST;
    } catch (refusal) {
      if (leaving.signal.aborted) return;
      if (!(refusal instanceof Refusal)) throw refusal;
      if (!PASSING.has(refusal.status)) {
        end();
        on.gone?.(refusal);
        return;
      }
    }
    connect();
  }

  async function finish() {
    const told = await request(`/result/${jobId}`, { signal: leaving.signal });
    end();
    on[LAST[told.status]]?.(told);
  }

  window.addEventListener("online", connect, { signal: leaving.signal });
  connect();
  return end;
}
