// The question on the page, above its answer; and what can be done with both.

import * as answer from "./answer.js";
import { invitesToGoOn } from "./composer.js";
import * as conversation from "./conversation.js";
import { announce, byId, copy } from "./dom.js";
import { place, press } from "./marks.js";
import * as rate from "./rate.js";
import { hide, show } from "./read.js";
import { isEverything } from "./scope.js";
import * as stage from "./stage.js";

const LONG = 300; // characters of a question that is shown in part
const COPIED_MS = 2000;
let asked = null;

/** The question on the page, `{question, scope, jobId, result, passages}`; null: none. */
export const current = () => asked;

/** Show a question that has no answer yet; what the last one had is gone. */
export function open(question, scope) {
  asked = { question, scope, jobId: null, result: null, passages: null };
  byId("talk").hidden = false;
  entitle(question);
  restart();
  hide();
  for (const id of ["again", "stop"]) byId(id).hidden = true;
  if (byId("turns").hidden) window.scrollTo({ top: 0, behavior: "instant" });
  else conversation.toQuestion();
}

/** No question is on the page. */
export function close() {
  asked = null;
  invitesToGoOn(false);
  hide();
}

/** The heading: the question, or that it is not known here. */
export function entitle(question) {
  asked.question = question;
  const heading = byId("question");
  heading.textContent = question || "A question asked elsewhere";
  heading.classList.toggle("muted", question === "");
  heading.classList.toggle("cut", question.length > LONG);
  byId("whole").hidden = question.length <= LONG;
  byId("whole").setAttribute("aria-expanded", "false");
  document.title = `${question.slice(0, 60) || "Answer"} · rag-queue`;
}

/** The answer begins, or begins anew. */
export function restart() {
  answer.clear();
  stage.remark();
  rate.ask(null);
  invitesToGoOn(false);
  understand(null);
  asked.result = null;
  for (const id of ["copy", "widen"]) byId(id).hidden = true;
}

/** Work on it goes on, and can be stopped. */
export function begin() {
  byId("stop").hidden = false;
  byId("again").hidden = true;
  answer.isBusy(true);
}

/** Nothing more comes. `tell` says why, and shows what there is. */
export async function end(tell) {
  const mine = asked;
  answer.flush();
  const hadFocus = document.activeElement === byId("stop");
  byId("stop").hidden = true;
  byId("again").hidden = mine.question === "";
  if (hadFocus) byId("again").focus();
  await tell();
  if (mine !== asked) return;
  byId("copy").hidden = answer.written() === "";
  answer.isBusy(false);
}

/** Show what a finished job has. */
export async function complete(found) {
  conversation.answered(asked.jobId);
  asked.result = found;
  stage.answered(found, asked.passages);
  stage.remarkOn(found, asked.scope);
  byId("widen").hidden = found.grounded || isEverything(asked.scope) || asked.question === "";
  await showAnswer(asked.jobId, found);
}

/** Show what its conversation has kept of an answer whose job is gone. */
export async function showKept(turn) {
  asked.result = turn;
  stage.say("Answered", new Date(turn.asked_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  await showAnswer(null, turn);
}

async function showAnswer(jobId, found) {
  understand(found.standalone_question);
  rate.ask(found.mode === "task" ? null : asked.jobId);
  invitesToGoOn(conversation.current() !== null);
  await answer.complete(jobId, found, choose);
}

/** Say what a question that leaned on others was taken for. */
function understand(standalone) {
  byId("understood").hidden = !standalone;
  byId("understood").textContent = conversation.understood(standalone);
}

function choose(citation) {
  press(citation.n, asked.result.citations.indexOf(citation));
  show(citation);
}

/** The answer's text with its sources, as one pastes it. */
function copied() {
  const rows = (asked.result?.citations ?? []).map((one) => `[${one.n}] ${one.filename}, ${place(one)}`);
  return [answer.written(), [...new Set(rows)].join("\n")].filter(Boolean).join("\n\n");
}

byId("copy").addEventListener("click", async () => {
  try {
    await copy(copied());
    announce("Copied");
    byId("copy").textContent = "Copied";
    setTimeout(() => { byId("copy").textContent = "Copy"; }, COPIED_MS);
  } catch (error) {
    stage.remark(error.message, true);
  }
});
byId("whole").addEventListener("click", () => {
  const isCut = byId("question").classList.toggle("cut");
  byId("whole").setAttribute("aria-expanded", String(!isCut));
  byId("whole").textContent = isCut ? "Show the whole question" : "Show less";
});
