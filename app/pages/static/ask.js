// The view to ask: a question becomes a job at once, and its address is the job's.

import { address, request } from "./api.js";
import { byId, copy, duration, element } from "./dom.js";
import { earlier, remember } from "./earlier.js";
import { follow } from "./follow.js";
import { list, markUp, press } from "./marks.js";
import { hide, show } from "./read.js";
import { signedIn } from "./session.js";

const [stage, answer, sources] = ["stage", "answer", "sources"].map(byId);
const NEAR_END_PX = 80;
let leave = () => {}, jobId = null, result = null;

const say = (...parts) => { stage.textContent = parts.filter(Boolean).join(" · "); };

async function ask(question) {
  leave();
  open(question);
  say("Sending");
  try {
    const accepted = await request("/chat", { method: "POST", json: { query: question }, headers: { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") } });
    remember(accepted.job_id, question);
    history.pushState(null, "", address(`/?job=${accepted.job_id}`));
    watch(accepted.job_id);
  } catch (refusal) {
    byId("query").value = question;
    say(refusal.message, refusal.retryAfter && `Try again in ${refusal.retryAfter} s.`);
  }
}

function open(question) {
  byId("empty").hidden = true;
  byId("talk").hidden = false;
  byId("question").textContent = question;
  document.title = `${question.slice(0, 60) || "Ask"} · rag-queue`;
  restart();
  hide();
}

function restart() {
  result = null;
  answer.className = "a plain";
  answer.replaceChildren();
  sources.replaceChildren();
  for (const id of ["copy", "again"]) byId(id).hidden = true;
}

function watch(id) {
  jobId = id;
  byId("stop").hidden = false;
  answer.setAttribute("aria-busy", "true");
  let told = "";
  const tell = (...parts) => say(...(told = parts));
  leave = follow(id, {
    "job.queued": ({ position }) => tell("Queued", position && `number ${position} in the queue`),
    "job.started": () => { restart(); tell("Looking for passages"); },
    "retrieval.completed": ({ hits }) => tell(`Found ${hits.length} passages`, "writing"),
    "answer.delta": ({ text }) => write(text),
    "answer.completed": (end) => ended(() => complete(end.result)),
    "job.failed": (end) => ended(() => tell("Failed", end.error?.message)),
    "job.stopped": () => ended(() => tell("Stopped")),
    lost: () => say("The service does not answer; trying again"),
    back: () => say(...told),
    gone: (refusal) => ended(() => tell(refusal.status === 404 ? "No such question: it has expired, or it is not yours." : refusal.message)),
  });
}

/** Add to the answer, and stay at its end if the reader is there. */
function write(text) {
  const page = document.documentElement;
  const isAtEnd = page.scrollHeight - page.clientHeight - page.scrollTop < NEAR_END_PX;
  answer.append(text);
  if (isAtEnd) page.scrollTop = page.scrollHeight;
}

function ended(tell) {
  answer.setAttribute("aria-busy", "false");
  byId("stop").hidden = true;
  byId("again").hidden = false;
  tell();
}

async function complete(found) {
  result = found;
  const times = found.timings_ms;
  const tokens = found.usage.input_tokens + found.usage.output_tokens;
  say(`Answered in ${duration(times.total)}`, `queued ${duration(times.queued)}`, `searched ${duration(times.retrieval)}`,
    found.model ?? "quoted without a model", tokens > 0 && `${tokens.toLocaleString()} tokens`);
  list(sources, found.citations, choose);
  byId("copy").hidden = false;
  try {
    const html = await (await request(`/page/answers/${jobId}`)).text();
    if (result !== found) return;
    answer.className = "a";
    answer.innerHTML = html; // harmless by the server's hand (app/pages/answer_html.py)
  } catch {
    answer.textContent = found.answer; // the text itself is as good, and is here
  }
  markUp(answer, found.citations, choose);
}

function choose(n, citation = result.citations.find((one) => one.n === n)) {
  press(n);
  show(citation);
}

async function start() {
  await signedIn();
  const asked = new URLSearchParams(location.search).get("job");
  if (asked === null) {
    byId("empty").hidden = false;
    byId("talk").hidden = true;
    return;
  }
  open(earlier().find((one) => one.id === asked)?.question ?? "");
  watch(asked);
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = byId("query").value.trim();
  if (question === "") return;
  byId("query").value = "";
  ask(question);
});
byId("query").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("stop").addEventListener("click", () => request(`/jobs/${jobId}/cancel`, { method: "POST" }).catch((refusal) => say(refusal.message)));
byId("again").addEventListener("click", () => ask(byId("question").textContent));
byId("copy").addEventListener("click", () => copy(result.answer).then(() => say("Copied"), (error) => say(error.message)));
window.addEventListener("popstate", () => { leave(); start(); });
start().catch((refusal) => { byId("talk").hidden = false; say(refusal.message); });
