// Who is asking: signs in with a key where the service wants one, signs out, and shows what the role may see.

import { request } from "./api.js";
import { byId } from "./dom.js";

/** The principal, once there is one. Where the service wants a key, this waits until it was given. */
export async function signedIn() {
  for (;;) {
    try {
      return shown(await request("/session"));
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      await askForKey();
    }
  }
}

function shown(session) {
  byId("who").textContent = session.expires_at === null ? "" : `${session.name}, ${session.tenant}`;
  byId("sign-out").hidden = session.expires_at === null;
  for (const part of document.querySelectorAll('[data-for="admin"]')) part.hidden = session.role !== "admin";
  return session;
}

function askForKey() {
  const dialog = byId("sign-in");
  const form = dialog.querySelector("form");
  const problem = form.querySelector(".problem");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  if (!dialog.open) dialog.showModal();
  return new Promise((done) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      problem.hidden = true;
      try {
        await request("/session", { method: "POST", json: { key: form.elements.key.value.trim() } });
      } catch (refusal) {
        problem.textContent = refusal.status === 401 ? "No such key." : refusal.message;
        problem.hidden = false;
        form.elements.key.select();
        return;
      }
      form.reset();
      dialog.close();
      done();
    };
  });
}

byId("sign-out").addEventListener("click", async () => {
  await request("/session", { method: "DELETE" });
  location.reload();
});
