// The view to ask: a question becomes a job at once, and its address is the job's.

import { Refusal, request } from "./api.js";
import { compose, currentScope, invite, scopeTo, takeBack } from "./composer.js";
import * as conversation from "./conversation.js";
import "./conversations.js";
import { byId } from "./dom.js";
import * as earlier from "./earlier.js";
import { list } from "./earlier_list.js";
import { all } from "./library.js";
import { live } from "./live.js";
import * as question from "./question.js";
import * as scopes from "./scope.js";
import { drop, left, send, unsent } from "./sending.js";
import { signedIn, withSession } from "./session.js";
import * as stage from "./stage.js";
import { leave as leaveWelcome, unwelcome, welcome } from "./welcome.js";

const AGAIN_MS = 3000; // between two attempts to begin
let stop = () => {}, leave = () => {}, begun = null;

function ask(text, scope = currentScope()) {
  if (question.current() !== null) conversation.goOn(question.current());
  open(text, scope);
  if (!byId("ask").contains(document.activeElement) || matchMedia("(pointer: coarse)").matches) byId("question").focus();
  deliver(unsent(text, scope, conversation.begin()));
}

function open(text, scope) {
  leave();
  leaveWelcome();
  question.open(text, scope);
}

/** Send it, and then show its job. Who asks something else meanwhile finds it among the earlier questions. */
async function deliver(one) {
  const mine = question.current();
  const isOpen = () => mine === question.current();
  const giveUp = new AbortController();
  [leave, stop] = [() => {}, () => giveUp.abort()];
  const go = location.search === "" ? "pushState" : "replaceState";
  if (location.search !== "") history.pushState(null, "", conversation.addressSoFar()); // until it has an address: a reload sends it
  question.begin();
  stage.say("Sending");
  try {
    const accepted = await withSession(() => send(one, (...why) => isOpen() && stage.waits(...why), giveUp.signal));
    earlier.remember(accepted, one);
    if (isOpen()) {
      history[go](null, "", conversation.addressSoFar(accepted.job_id));
      watch(accepted.job_id);
    }
    list();
  } catch (refusal) {
    if (isOpen()) question.end(() => notTaken(one, refusal));
  }
}

function notTaken(one, refusal) {
  takeBack(one.question);
  if (refusal.name === "AbortError") return stage.say("Not sent");
  stage.say("Not taken");
  stage.remark(refusal.message, true);
}

function watch(id) {
  ({ leave, stop } = live(id));
}

/** The question of a job of another browser; null where the service does not tell. */
const theQuestion = (id) => request(`/jobs/${encodeURIComponent(id)}/timeline`).then((told) => told.question ?? null, () => null);

async function reopen(id) {
  const known = earlier.known(id);
  if (conversation.current() !== null) conversation.around(id);
  else conversation.enter(conversation.checked(known?.conversation));
  scopeTo(scopes.checked(known?.scope) ?? currentScope());
  open(known?.question ?? "", currentScope());
  const mine = question.current();
  watch(id);
  const told = known === null ? (await conversation.turnOf(id))?.question ?? await theQuestion(id) : null;
  if (told === null || mine !== question.current()) return;
  question.entitle(told);
  byId("again").hidden = !byId("stop").hidden;
}

async function openConversation(ready) {
  await conversation.load().catch((refusal) => { if (refusal.status !== 404) throw refusal; });
  ready();
  const turn = conversation.latest();
  if (turn !== undefined) return reopen(turn.job_id);
  conversation.enter(null);
  open("", currentScope());
  byId("question").textContent = "A conversation";
  stage.say("Not there");
  return stage.remark("There is no such conversation: it has expired or was deleted, or it is not yours.", true);
}

/** Show what the address says. `ready()` is called when it is known what a question would be asked of. */
async function start(ready) {
  const session = await signedIn();
  const asked = new URLSearchParams(location.search);
  const name = conversation.checked(asked.get("conversation"));
  conversation.enter(name);
  list();
  if (asked.has("job")) {
    ready();
    return reopen(asked.get("job"));
  }
  const kept = left();
  if (name !== null && kept?.conversation !== name) return openConversation(ready);
  if (kept?.isStale) {
    drop(kept);
    takeBack(kept.question);
  } else if (kept !== null) {
    scopeTo(scopes.checked(kept.scope) ?? currentScope());
    if (name === null) conversation.enter(conversation.checked(kept.conversation));
    else conversation.around(null);
    open(kept.question, currentScope());
    ready();
    return deliver({ ...kept, scope: currentScope() });
  }
  document.title = "Ask · rag-queue";
  invite();
  const wish = scopes.wanted(asked);
  if (wish !== null) scopeTo(scopes.among(wish, await all()));
  ready();
  return welcome(ask, session.role !== "ask");
}

/** The same, as often as it takes. */
const begin = () => { begun = new Promise(attempt); };

async function attempt(ready) {
  leave();
  question.close();
  const before = question.current();
  try {
    await start(ready);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (before !== question.current()) return; // somebody has asked meanwhile
    unwelcome(refusal.message);
    const timer = setTimeout(begin, AGAIN_MS);
    leave = () => clearTimeout(timer);
  } finally {
    ready();
  }
}

compose(ask, () => begun);
byId("stop").addEventListener("click", () => stop());
byId("again").addEventListener("click", () => ask(question.current().question, question.current().scope));
byId("widen").addEventListener("click", () => { scopeTo(scopes.EVERYTHING); ask(question.current().question); });
window.addEventListener("popstate", begin);
begin();
