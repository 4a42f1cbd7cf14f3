// The queues as rows, what they come to in short, and the model's budget.

import { duration, element } from "./dom.js";
import { number, span } from "./moments.js";
import { sparkline } from "./sparkline.js";

const ENDED = { rag_queries: "Answers", rag_ingest: "Documents", rag_webhooks: "Deliveries", rag_pages: "Pages" };
const MINUTE_MS = 60000;
const QUESTIONS = "rag_queries";

/** A cell; on a narrow screen, where no heading stands above it, it names itself. */
export const cell = (label, attributes, ...children) => element("td", { "data-label": label, ...attributes }, ...children);

/** A bar that shows `part` of `whole`, for the eye alone: the words stand beside it. */
export function gauge(part, whole) {
  const bar = element("span", { class: "gauge", "aria-hidden": "true" }, element("i"));
  bar.firstChild.style.width = `${whole > 0 ? Math.min(100, (100 * part) / whole) : 0}%`;
  return bar;
}

export const sum = (minutes, name) => minutes.reduce((total, minute) => total + minute[name], 0);
const both = ({ p50, p95 }) => (p50 === null ? "–" : `${duration(p50)}, ${duration(p95)}`);

/** How many ended well in the last sixty seconds: the minute that runs, and as much of the one before as is missing. */
function lastMinute(minutes) {
  if (minutes.length < 2) return 0;
  const part = Math.min(1, Math.max(0, (Date.now() - new Date(minutes.at(-1).at)) / MINUTE_MS));
  return Math.round(minutes.at(-1).finished + minutes.at(-2).finished * (1 - part));
}

/** One queue's row; `history` is null until it is known. */
export function queueRow(queue, history) {
  const threads = queue.workers.length;
  const minutes = history?.minutes ?? [];
  const tokens = sum(minutes, "input_tokens") + sum(minutes, "output_tokens");
  const later = queue.scheduled > 0 ? [element("small", {}, ` +${number(queue.scheduled)} later`)] : [];
  return element("tr", {},
    element("th", { scope: "row", class: "name" }, queue.name),
    cell("Waiting", { class: "num" }, number(queue.queued), ...later),
    cell("Oldest", { class: "num" }, queue.oldest_seconds === null ? "–" : span(queue.oldest_seconds)),
    cell("Running", { class: "running" }, gauge(queue.started, threads), ` ${number(queue.started)} of ${number(threads)}`),
    cell("Last hour", { class: "hour" }, sparkline(minutes, ENDED[queue.name] ?? "Jobs"), element("span", {}, `${number(lastMinute(minutes))} a min`)),
    cell("Waited p50, p95", { class: "num" }, history ? both(history.waiting_ms) : "–"),
    cell("Took p50, p95", { class: "num" }, history ? both(history.total_ms) : "–"),
    cell("Tokens", { class: "num" }, tokens > 0 ? number(tokens) : "–"),
    cell("Retries", { class: "num" }, number(sum(minutes, "retries"))),
    cell("Failed", { class: `num${sum(minutes, "failed") > 0 ? " bad" : ""}` }, number(sum(minutes, "failed"))));
}

/** What a glance is for: of the questions' queue. */
export function tiles(queues, histories) {
  const queue = queues.find((one) => one.name === QUESTIONS);
  const history = histories.get(QUESTIONS);
  const minutes = history?.minutes ?? [];
  const took = history?.total_ms ?? { p50: null, p95: null };
  const [finished, failed] = ["finished", "failed"].map((name) => sum(minutes, name));
  return [
    [number(lastMinute(minutes)), "answers in the last minute"],
    [took.p50 === null ? "–" : duration(took.p50), took.p50 === null ? "median answer" : `median answer, ${duration(took.p95)} at the 95th`],
    [queue.oldest_seconds === null ? "–" : span(queue.oldest_seconds), queue.oldest_seconds === null ? "no question waits" : "oldest question in the queue"],
    [number(failed), `failed in the last hour, of ${number(finished + failed)}`],
  ].map(([value, label]) => element("div", {}, element("dd", {}, value), element("dt", {}, label)));
}

/** The model's budget in words; none where nothing is limited. */
export function budgetWords(budget) {
  const parts = [];
  if (budget.concurrency !== null) parts.push(`${number(budget.in_flight)} of ${number(budget.concurrency)} calls in flight`);
  if (budget.requests_per_minute !== null) parts.push(`${number(budget.requests_per_minute)} requests a minute allowed`);
  if (budget.tokens_per_minute !== null) parts.push(`${number(budget.tokens_per_minute)} tokens a minute allowed`);
  if (budget.paused_seconds !== null) parts.push(`paused by the provider for ${span(budget.paused_seconds)} more`);
  return parts.length > 0 ? `Model's budget: ${parts.join(" · ")}` : "";
}
