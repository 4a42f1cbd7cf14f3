// The line that says where the question is, and the note below an answer: what went wrong or is missing, and what to do.

import { byId, clock, counted, duration } from "./dom.js";
import { isEverything, phrase } from "./scope.js";

const [stage, facts, note] = ["stage", "facts", "note"].map(byId);

/** Say where it is. It is read aloud, once for each change; `more` is not, and stands behind it. */
export function say(text, ...more) {
  if (stage.textContent !== text) stage.textContent = text;
  facts.textContent = more.filter(Boolean).map((fact) => ` · ${fact}`).join("");
}

/** Take note of something below the answer; of nothing: hide it. */
export function remark(text = "", isBad = false) {
  note.textContent = text;
  note.hidden = text === "";
  note.classList.toggle("bad", isBad);
}

export function queued(position) {
  if (position === null) say("Sent");
  else say(`Queued: number ${position.toLocaleString()}`, "waiting for a free worker");
}

export function writing(passages) {
  say("Writing", `from ${counted(passages, "passage")}`);
}

export function answered({ timings_ms: times, usage, model, cached }, passages) {
  const tokens = usage.input_tokens + usage.output_tokens;
  const found = passages === null ? "searched" : `found ${counted(passages, "passage")}`;
  say(`Answered in ${duration(times.total)}`, `queued ${duration(times.queued)}`, `${found} in ${duration(times.retrieval)}`,
    model ?? "quoted without a model", tokens > 0 && counted(tokens, "token"), cached && "as answered before");
}

/** What an answer lacks, and what to try. */
export function remarkOn({ grounded, citations, finish_reason: reason }, scope) {
  if (reason === "length") return remark("The model came to its limit, so that the answer is cut off. Ask for less at once.");
  if (grounded) return remark();
  if (citations.length > 0) return remark("Not everything in this answer could be found in the documents: check it against its sources.");
  const searched = isEverything(scope) ? "All documents were searched." : `Only this was searched: ${phrase(scope)}.`;
  return remark(`No passage proves an answer. ${searched} Try the words that a document itself would use, or add the document that knows.`);
}

/** Why there is no answer; the service's own words, which say what to do. */
export function failed(error, jobId) {
  say("Failed");
  const help = error?.retryable ? "" : ` (Job ${jobId}.)`;
  remark(`${error?.message ?? "Something went wrong."}${help}`, true);
}

export function away(since) {
  say(`The service has not answered since ${clock(since)}`, "it is tried again by itself");
}

/** A question that is not taken yet: nobody is there, or it is told to wait. */
export function waits(refusal, since, next) {
  if (refusal.status === 0) return away(since);
  const why = refusal.message.split(/(?<=\.) /).filter((sentence) => !sentence.includes("Retry-After")); // it is minded here
  return say(`Not taken yet: ${why.join(" ")}`, `since ${clock(since)}`, `it is sent again at ${clock(next)}`);
}
