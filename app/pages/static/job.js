// A job's page: its way through the service, step by step with the waits between, live until it has ended.

import { address, request } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, clock, duration, element } from "./dom.js";
import { exactly, number } from "./moments.js";
import { pulse } from "./pulse.js";
import { signedIn } from "./session.js";

const LOOK_MS = 1000;
const WORDS = { queued: "queued", started: "started", retrieved: "passages found", first_word: "first word", parsing: "reading", embedding: "indexing", finished: "done", failed: "failed", stopped: "stopped" };
const KINDS = { answer: "Question", task: "A chat client's task", search: "Search", embed: "Embedding", ingest: "Document to index", delete: "Document to delete", erase: "Tenant to erase", page: "Page to show" };
const ENDED = new Set(["finished", "failed", "stopped"]);
const id = decodeURIComponent(location.pathname.split("/").at(-1));
let drawn = "", isAdmin = false;

async function look() {
  const job = await request(`/jobs/${encodeURIComponent(id)}/timeline`).catch((refusal) => {
    if (refusal.status !== 404) throw refusal;
    return null;
  });
  if (job === null) {
    byId("board").hidden = true;
    byId("title").textContent = "No such job";
    byId("told").textContent = "It has expired or was deleted, or it is not yours.";
    return false;
  }
  draw(job);
  return !ENDED.has(job.status);
}

function draw(job) {
  const all = JSON.stringify(job);
  byId("told").textContent = ENDED.has(job.status) ? WORDS[job.status] : `${job.status}, live`;
  if (all === drawn) return;
  drawn = all;
  const title = job.question ?? KINDS[job.kind];
  byId("title").textContent = title;
  document.title = `${title.slice(0, 60)} · rag-queue`;
  byId("reason").textContent = job.error?.message ?? "";
  byId("reason").hidden = job.error === null;
  byId("facts").replaceChildren(...facts(job).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  byId("steps").replaceChildren(...steps(job.steps));
  byId("no-steps").hidden = job.steps.length > 0;
  byId("answer").hidden = job.kind !== "answer";
  byId("answer").textContent = `Open the ${job.status === "finished" ? "answer" : "question"}`;
  byId("answer").href = address(`/?job=${id}`);
  for (const act of ["requeue", "delete"]) byId(act).hidden = !isAdmin || job.status !== "failed";
  byId("board").hidden = false;
}

function facts(job) {
  const took = job.steps.length > 1 ? duration(new Date(job.steps.at(-1).at) - new Date(job.steps[0].at)) : "–";
  return [["Kind", KINDS[job.kind]], ["Queue", job.queue], ["Attempts", number(job.attempt)], [ENDED.has(job.status) ? "Took" : "So far", took],
    ...(job.error === null ? [] : [["Reason", job.error.code]]), ["Id", job.job_id]];
}

/** Each step with a bar from the one before it to itself, all on one scale. */
function steps(all) {
  const times = all.map((step) => Number(new Date(step.at)));
  const [first, whole] = [times[0], Math.max(1, times.at(-1) - times[0])];
  const isTried = all.some((step) => step.attempt > 1);
  return all.map((step, place) => {
    const bar = element("span", { class: "bar-of", "aria-hidden": "true" }, element("i"));
    const from = place > 0 ? times[place - 1] : first;
    bar.firstChild.style.marginLeft = `${(100 * (from - first)) / whole}%`;
    bar.firstChild.style.width = `${(100 * (times[place] - from)) / whole}%`;
    const name = WORDS[step.name] + (isTried && step.name === "started" ? `, attempt ${step.attempt}` : "");
    const wait = step.since_ms === null ? "" : `after ${step.since_ms < 1 ? "under 1 ms" : duration(step.since_ms)}`;
    return element("li", { class: ENDED.has(step.name) ? `is-${step.name}` : null },
      element("b", {}, name), element("span", { class: "told" }, wait), bar, element("span", { class: "told" }, exactly(step.at)));
  });
}

async function act(how) {
  try {
    await how();
    live();
  } catch (refusal) {
    tell({ since: null, refusal });
  }
}

function tell(trouble) {
  byId("told").classList.toggle("problem", trouble !== null);
  if (trouble !== null) byId("told").textContent = trouble.since === null ? trouble.refusal.message : `Unavailable since ${clock(trouble.since)}; trying again. ${trouble.refusal.message}`;
}

const live = () => pulse(look, LOOK_MS, tell);

byId("requeue").addEventListener("click", () => act(async () => {
  await request(`/jobs/${id}/requeue`, { method: "POST" });
}));
byId("delete").addEventListener("click", () => act(async () => {
  if (!(await confirmed({ title: "Delete 1 failed job?", text: "Question, reason and events are removed for good.", yes: "Delete", isBad: true }))) return;
  await request(`/jobs/${id}`, { method: "DELETE" });
  drawn = "";
}));

signedIn().then((session) => {
  isAdmin = session.role === "admin";
  live();
}).catch((refusal) => tell({ since: null, refusal }));
