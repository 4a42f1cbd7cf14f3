// The answer on the page: its words as they come, a frame at a time, then its HTML once, and its sources.

import { request } from "./api.js";
import { byId, element } from "./dom.js";
import { furnish } from "./furnish.js";
import { list, markUp } from "./marks.js";

const [answer, dock] = ["answer", "ask"].map(byId);
const NEAR_END_PX = 80;
const GAP_PX = 24; // between the last line and what is below it
let words = "", waiting = "", frame = 0, last = null, drawn = 0;

/** Begin with an empty answer. */
export function clear() {
  cancelAnimationFrame(frame);
  [words, waiting, frame, last] = ["", "", 0, null];
  drawn++;
  answer.className = "a plain";
  answer.replaceChildren();
  list(byId("sources"), []);
  byId("proof").hidden = true;
}

export const isBusy = (busy) => answer.setAttribute("aria-busy", String(busy));

/** All words that have come. */
export const written = () => words;

/** Add to the answer. A frame's words are added together: layout is what takes time, and it is once a frame. */
export function write(text) {
  words += text;
  waiting += text;
  frame ||= requestAnimationFrame(flush);
}

/** Show what is still waiting to be. */
export function flush() {
  cancelAnimationFrame(frame);
  frame = 0;
  if (waiting === "") return;
  keepingUp(() => add(waiting));
  waiting = "";
}

/** Text, a block for each paragraph: what is laid out again is the last one. */
function add(text) {
  last ??= block("");
  last.appendData(text);
  for (let at; (at = last.data.indexOf("\n\n")) >= 0;) {
    const rest = last.data.slice(at + 2);
    last.deleteData(at, last.length - at);
    last = block(rest);
  }
}

function block(text) {
  const made = document.createTextNode(text);
  answer.append(element("p", {}, made));
  return made;
}

/** Change what is shown; and if the reader was at its end, they still are. */
function keepingUp(change) {
  const isAtEnd = beyond() < NEAR_END_PX;
  change();
  const more = beyond() + GAP_PX;
  if (isAtEnd && more > 0) window.scrollBy({ top: more, behavior: "instant" });
}

/** How far the answer's end is below what can be seen. */
const beyond = () => answer.getBoundingClientRect().bottom - dock.getBoundingClientRect().top;

/** Show a finished job's whole answer and its sources; null for a job that is gone, whose answer was kept. `choose(citation)` is called for one that is chosen. */
export async function complete(jobId, found, choose) {
  const turn = drawn;
  const html = jobId && await request(`/page/answers/${jobId}`).then((response) => response.text(), () => null);
  if (turn !== drawn) return;
  cancelAnimationFrame(frame);
  [waiting, frame, words] = ["", 0, found.answer];
  const made = element("div");
  if (html === null) {
    made.append(found.answer); // the text itself is as good, and is here
  } else {
    made.innerHTML = html; // harmless by the server's hand (app/pages/answer_html.py)
    furnish(made);
  }
  markUp(made, found.citations, choose);
  keepingUp(() => {
    answer.className = html === null ? "a plain" : "a";
    answer.replaceChildren(...made.childNodes);
  });
  list(byId("sources"), found.citations, choose);
  byId("proof").hidden = found.citations.length === 0;
}
