// Small helpers over the DOM. Text is always text: nothing here reads HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a string child is text. `on` holds listeners. */
export function element(name, { on = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  made.append(...children);
  return made;
}

/** "340 ms", "2.4 s", "3 min": a duration as people say it. */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.round(milliseconds / 60000)} min`;
}

/** The time of day, to the second, as the reader's country writes it. */
export const clock = (time) => new Date(time).toLocaleTimeString();

/** "1 passage", "5 passages". */
export const counted = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

/** Say it to those who hear the page: what others see happen. */
export function announce(text) {
  byId("announced").textContent = text;
}

/** Copy text; also over plain http, where browsers have no clipboard for scripts. */
export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!isCopied) throw new Error("The browser did not let the page copy.");
}
