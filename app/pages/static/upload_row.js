// One file on its way: how far it is, what it waits for, or why it was not taken.

import { element } from "./dom.js";
import { size } from "./units.js";

/** `{element, waiting(), progress(part), pausing(words), failed(words, isFinal)}`. */
export function rowOfUpload({ file, name }, { stop, again }) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${name}` });
  const words = element("span", { class: "told" });
  const leave = element("button", { class: "btn quiet", type: "button", on: { click: stop } });
  const retry = element("button", { class: "btn quiet", type: "button", "aria-label": `Try again ${name}`, hidden: true, on: { click: again } }, "Try again");
  const row = element("li", {}, element("span", { class: "name" }, element("bdi", {}, name)), element("span", { class: "told size" }, size(file.size)), bar, words, element("span", { class: "row-acts" }, retry, leave));
  const show = (told, { isBad = false, isFinal = false, part = null } = {}) => {
    row.classList.toggle("failed", isBad);
    words.textContent = told;
    bar.hidden = isBad;
    if (part === null) bar.removeAttribute("value");
    else bar.value = part;
    retry.hidden = !isBad || isFinal;
    leave.textContent = isBad ? "Dismiss" : "Stop";
    leave.setAttribute("aria-label", `${leave.textContent} ${name}`);
  };
  const waiting = () => show("waiting", { part: 0 });
  waiting();
  return {
    element: row,
    waiting,
    progress: (part) => show(part < 1 ? `${Math.floor(100 * part)} %` : "checking", part < 1 ? { part } : {}),
    pausing: (told) => show(told, { part: 0 }),
    failed: (told, isFinal) => show(told, { isBad: true, isFinal }),
  };
}
