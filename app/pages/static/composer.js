// The box to ask in: the question, and of what it is asked.

import { choose } from "./choose.js";
import { byId } from "./dom.js";
import { EVERYTHING, isEverything, phrase } from "./scope.js";

const QUERY_MOST = 8000; // characters, as the API has it
let scope = EVERYTHING;

/** What is asked now. */
export const currentScope = () => scope;

export function scopeTo(chosen) {
  scope = chosen;
  byId("scope-phrase").textContent = phrase(scope);
  byId("unscope").hidden = isEverything(scope);
}

/** Put a question that was not taken back into the box, unless another is being written there. */
export function takeBack(question) {
  byId("query").value ||= question;
  fits();
  byId("query").focus();
}

/** Say what the box is for: to go on from an answer, or to begin. */
export function invitesToGoOn(isAnswered) {
  byId("query").placeholder = isAnswered ? "Ask a follow-up question" : "Ask a question";
}

/** Where somebody types on keys, they may begin at once; on a phone half of the screen would go. */
export function invite() {
  if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) byId("query").focus();
}

/** Call `ask(question)` for each that is asked here, once the view has `begun()`: then what the address chose is known. */
export function compose(ask, begun) {
  byId("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    await begun();
    if (!fits()) return;
    const question = byId("query").value.trim();
    byId("query").value = "";
    ask(question);
  });
}

/** Whether what is written is a question, and short enough; says so where it is not. */
function fits() {
  const length = [...byId("query").value.trim()].length; // characters, not halves of them
  const isLong = length > QUERY_MOST;
  byId("too-long").textContent = isLong ? `A question has ${QUERY_MOST.toLocaleString()} characters at most; this one has ${length.toLocaleString()}.` : "";
  return length > 0 && !isLong;
}

byId("query").addEventListener("input", fits);
byId("query").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("scope").addEventListener("click", async () => scopeTo(await choose(scope) ?? scope));
byId("unscope").addEventListener("click", () => {
  scopeTo(EVERYTHING);
  byId("scope").focus();
});
