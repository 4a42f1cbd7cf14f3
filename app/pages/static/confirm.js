// A question before what cannot be undone; the careful answer has the focus, and Escape is that answer.

import { byId } from "./dom.js";

/** Whether it was confirmed. */
export function confirmed({ title, text, yes, no }) {
  const dialog = byId("confirm");
  for (const [id, words] of Object.entries({ "confirm-title": title, "confirm-text": text, "confirm-yes": yes, "confirm-no": no })) byId(id).textContent = words;
  dialog.returnValue = "no";
  return new Promise((done) => {
    dialog.onclose = () => done(dialog.returnValue === "yes");
    dialog.showModal();
  });
}
