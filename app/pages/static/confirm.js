// One question before anything is destroyed, or done to many; the careful answer has the focus, and Escape is that answer.

import { byId } from "./dom.js";

/** Whether the reader says yes. `yes` and `no` are the words on the buttons; `isBad`: it cannot be undone. */
export function confirmed({ title, text, yes, no = "Cancel", isBad = false }) {
  const dialog = byId("confirm");
  for (const [id, words] of Object.entries({ "confirm-title": title, "confirm-text": text, "confirm-yes": yes, "confirm-no": no })) byId(id).textContent = words;
  byId("confirm-yes").classList.toggle("bad", isBad);
  dialog.returnValue = "no";
  return new Promise((told) => {
    dialog.onclose = () => told(dialog.returnValue === "yes");
    dialog.showModal();
  });
}
