// The view to ask: a question becomes a job at once, and its address is the job's.

import * as answer from "./answer.js";
import { Refusal, address, request } from "./api.js";
import { compose, currentScope, invite, scopeTo, takeBack } from "./composer.js";
import { byId } from "./dom.js";
import * as earlier from "./earlier.js";
import { list } from "./earlier_list.js";
import { follow } from "./follow.js";
import { all } from "./library.js";
import * as question from "./question.js";
import * as scopes from "./scope.js";
import { left, send, unsent } from "./sending.js";
import { signedIn } from "./session.js";
import * as stage from "./stage.js";
import { leave as leaveWelcome, unwelcome, welcome } from "./welcome.js";

const LOOK_MS = 3000; // between two looks at the place in the queue, or at a service that is away
let stop = () => {}, leave = () => {};

function ask(text, scope = currentScope()) {
  open(text, scope);
  if (!byId("ask").contains(document.activeElement) || matchMedia("(pointer: coarse)").matches) byId("question").focus();
  deliver(unsent(text, scope));
}

function open(text, scope) {
  leave();
  leaveWelcome();
  question.open(text, scope);
}

/** Send it, and then watch its job. */
async function deliver(one) {
  const mine = question.current();
  const giveUp = new AbortController();
  leave = stop = () => giveUp.abort();
  question.begin();
  stage.say("Sending");
  try {
    const accepted = await sent(one, giveUp.signal);
    earlier.remember(accepted, one.question, one.scope);
    if (mine !== question.current()) return;
    history.pushState(null, "", address(`/?job=${accepted.job_id}`));
    list();
    watch(accepted.job_id);
  } catch (refusal) {
    if (mine === question.current()) question.end(() => notTaken(one, refusal));
  }
}

async function sent(one, signal) {
  for (;;) {
    try {
      return await send(one, stage.waits, signal);
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      await signedIn();
    }
  }
}

function notTaken(one, refusal) {
  takeBack(one.question);
  if (refusal.name === "AbortError") return stage.say("Not sent");
  stage.say("Not taken");
  stage.remark(refusal.message, true);
}

function watch(id) {
  const mine = question.current();
  mine.jobId = id;
  stop = () => {
    stage.say("Stopping");
    request(`/jobs/${id}/cancel`, { method: "POST" }).catch((refusal) => stage.remark(refusal.message, true));
  };
  question.begin();
  let timer, tell;
  const now = (telling) => { clearTimeout(timer); (tell = telling)(); };
  const place = ({ position }) => {
    now(() => stage.queued(position));
    if (position !== null) timer = setTimeout(look, LOOK_MS, position);
  };
  const look = (position) => request(`/job-status/${id}`).then(
    (state) => { if (state.status === "queued" && mine === question.current() && tell !== null) place(state); },
    () => place({ position }));
  const ended = (telling) => { clearTimeout(timer); tell = null; question.end(telling); };
  const unfollow = follow(id, {
    "job.queued": place,
    "job.started": () => { question.restart(); now(() => stage.say("Looking for passages")); },
    "retrieval.completed": ({ hits }) => { mine.passages = hits.length; now(() => stage.writing(hits.length)); },
    "answer.delta": ({ text }) => answer.write(text),
    "answer.completed": ({ result }) => ended(() => question.complete(result)),
    "job.failed": ({ error }) => ended(() => stage.failed(error, id)),
    "job.stopped": () => ended(() => stage.say("Stopped")),
    lost: (since) => stage.away(since),
    back: () => tell?.(),
    gone: (refusal) => (refusal.status === 401 ? signedOut(id) : ended(() => gone(id, refusal))),
  });
  leave = () => { clearTimeout(timer); tell = null; unfollow(); };
  now(() => stage.say("Looking for it"));
}

/** Go on from the first word, once somebody has signed in. */
async function signedOut(id) {
  const mine = question.current();
  stage.say("Signed out");
  await signedIn();
  if (mine !== question.current()) return;
  question.restart();
  watch(id);
}

function gone(id, refusal) {
  const isExpired = refusal.status === 404;
  stage.say(isExpired ? "Not there" : "Refused");
  stage.remark(isExpired ? "There is no such answer: it has expired, or it is not yours." : refusal.message, true);
  if (isExpired) earlier.gone(id);
  list();
}

/** The question of a job of another browser; null where the service does not tell. */
const theQuestion = (id) => request(`/jobs/${encodeURIComponent(id)}/timeline`).then((told) => told.question ?? null, () => null);

async function reopen(id) {
  const known = earlier.known(id);
  scopeTo(scopes.checked(known?.scope) ?? currentScope());
  open(known?.question ?? "", currentScope());
  const mine = question.current();
  watch(id);
  const told = known === null ? await theQuestion(id) : null;
  if (told === null || mine !== question.current()) return;
  question.entitle(told);
  byId("again").hidden = !byId("stop").hidden;
}

/** Show what the address says. */
async function start() {
  const session = await signedIn();
  const asked = new URLSearchParams(location.search);
  list();
  if (asked.has("job")) return reopen(asked.get("job"));
  const kept = left();
  if (kept !== null) {
    scopeTo(scopes.checked(kept.scope) ?? currentScope());
    open(kept.question, currentScope());
    return deliver({ ...kept, scope: currentScope() });
  }
  document.title = "Ask · rag-queue";
  invite();
  const wish = scopes.wanted(asked);
  if (wish !== null) scopeTo(scopes.among(wish, await all()));
  return welcome(ask, session.role !== "ask");
}

/** The same, as often as it takes. */
async function begin() {
  leave();
  question.close();
  try {
    await start();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    unwelcome(refusal.message);
    const timer = setTimeout(begin, LOOK_MS);
    leave = () => clearTimeout(timer);
  }
}

compose(ask);
byId("stop").addEventListener("click", () => stop());
byId("again").addEventListener("click", () => ask(question.current().question, question.current().scope));
byId("widen").addEventListener("click", () => { scopeTo(scopes.EVERYTHING); ask(question.current().question); });
window.addEventListener("popstate", begin);
begin();
