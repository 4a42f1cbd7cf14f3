// The dialog that asks for a key: over whatever the page shows, until a session is there.

import { request } from "./api.js";
import { byId } from "./dom.js";

const dialog = byId("sign-in");
const form = dialog.querySelector("form");
const problem = form.querySelector(".problem");
let asking = null, done;

/** The session of the key that was given. However many ask meanwhile, the dialog is one. */
export function askForKey() {
  if (asking !== null) return asking;
  asking = new Promise((resolve) => { done = resolve; });
  for (const other of document.querySelectorAll("dialog[open]")) if (other !== dialog) other.close("no");
  problem.hidden = true;
  dialog.showModal();
  return asking;
}

async function signIn(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  problem.hidden = true;
  button.disabled = true;
  try {
    const session = await request("/session", { method: "POST", json: { key: form.elements.key.value.trim() } });
    form.reset(); // nothing on the page has the key from here on
    asking = null;
    dialog.close();
    done(session);
  } catch (refusal) {
    problem.textContent = words(refusal);
    problem.hidden = false;
    form.elements.key.select();
    form.elements.key.focus();
  } finally {
    button.disabled = false;
  }
}

function words({ status, retryAfter, message }) {
  if (status === 401) return "This key is not known here, or not any more.";
  if (status === 422) return "This cannot be a key: look whether all of it was copied, and nothing else.";
  if (status === 429) return `Too many attempts. Try again in ${retryAfter} s.`;
  if (status === 0) return "The service does not answer. Try again in a moment.";
  return message;
}

form.addEventListener("submit", signIn);
dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.addEventListener("close", () => asking !== null && dialog.showModal()); // Escape, pressed twice
