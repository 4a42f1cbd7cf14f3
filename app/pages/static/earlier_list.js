// The list of this browser's earlier questions.

import { announce, byId, counted, element } from "./dom.js";
import { addressOf } from "./conversation.js";
import { earlier, forget } from "./earlier.js";
import { checked, isEverything, phrase } from "./scope.js";

/** Show it; nothing where there is none. The one that is open now is marked. */
export function list() {
  const questions = earlier();
  const open = new URLSearchParams(location.search).get("job");
  byId("earlier").hidden = questions.length === 0;
  byId("earlier-list").replaceChildren(...questions.map((one) => element("li", {},
    element("a", { href: addressOf(one.id, null), dir: "auto", "aria-current": one.id === open && "page" }, one.question),
    element("small", {}, told(one)))));
}

function told({ at, until, isGone, scope }) {
  const narrow = checked(scope);
  const parts = [Number.isFinite(at) && new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })];
  if (narrow !== null && !isEverything(narrow)) parts.push(phrase(narrow));
  if (isGone || until < Date.now()) parts.push("expired");
  return parts.filter(Boolean).join(" · ");
}

byId("forget").addEventListener("click", () => {
  const number = earlier().length;
  forget();
  list();
  byId("query").focus();
  announce(`${counted(number, "question is", "questions are")} forgotten here. Their answers stay with the service until they expire.`);
});
window.addEventListener("storage", list);
