// One question before anything is destroyed or done to many: what will happen, and to how many.

import { byId } from "./dom.js";

/** Whether the reader says yes. `act` is the word on the button; `isBad`: it cannot be undone. */
export function confirmed({ title, text, act, isBad = false }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = act;
  byId("confirm-yes").classList.toggle("bad", isBad);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((told) => {
    dialog.onclose = () => told(dialog.returnValue === "yes");
  });
}
