// Follows one job's events, through lost networks and restarted services, until it has ended.

import { Refusal, address, request } from "./api.js";

const AGAIN_MS = [500, 1000, 2000, 5000];
/* Between two attempts, where the browser has given up (it does so for good at a 5xx); the last one again and again. */

/**
 * Calls `on[event](data)` for each event of the job, each once and in their order, whatever happens in between.
 * `on.lost()` and `on.back()` tell that nobody answers, and that someone does again; `on.gone(refusal)` ends it.
 * Returns a function that stops to follow.
 */
export function follow(jobId, on) {
  let source, timer, after = null, attempts = 0, isOver = false;

  const end = () => {
    isOver = true;
    clearTimeout(timer);
    source?.close();
  };

  const take = (name) => (event) => {
    after = event.lastEventId;
    on[name]?.(JSON.parse(event.data));
    if (LAST.has(name)) end();
  };

  async function check() {
    try {
      await request(`/job-status/${jobId}`);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      if (refusal.status === 404 || refusal.status === 401) {
        end();
        on.gone?.(refusal);
        return;
      }
    }
    connect();
  }

  function connect() {
    if (isOver) return;
    const from = after === null ? "" : `?starting_after=${after}`;
    source = new EventSource(address(`/stream/${jobId}${from}`));
    source.onopen = () => {
      attempts = 0;
      on.back?.();
    };
    source.onerror = () => {
      on.lost?.();
      if (source.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
      source.close();
      timer = setTimeout(check, AGAIN_MS[Math.min(attempts++, AGAIN_MS.length - 1)]);
    };
    for (const name of EVENTS) source.addEventListener(name, take(name));
  }

  connect();
  return end;
}

const LAST = new Set(["answer.completed", "job.failed", "job.stopped"]);
const EVENTS = ["job.queued", "job.started", "retrieval.completed", "answer.delta", ...LAST];
