// Who is asking: signs in with a key where the service wants one, signs out, and shows what the role may see.

import { request } from "./api.js";
import { byId } from "./dom.js";
import { pause } from "./health.js";
import { askForKey } from "./sign_in.js";

const OURS = "rag-queue"; // how the name of everything begins that the page keeps in this browser
const KEPT = `${OURS} session`; // whose that is; other tabs learn by it that somebody left
const AGAIN_S = 2; // until the next attempt, where the service did not say
const ROLES = ["ask", "ingest", "admin"]; // each may what those before it may
const page = document.documentElement;
let principal = null, ending;

/** The principal, once there is one. Where the service wants a key, this waits until it was given. */
export async function signedIn() {
  for (;;) {
    try {
      return await accepted("asksForKey" in page.dataset ? await askForKey() : await request("/session"));
    } catch (refusal) {
      if (refusal.status === 401) return accepted(await askForKey());
      if (![0, 429, 500, 502, 503, 504].includes(refusal.status)) throw refusal;
      await pause(1000 * (refusal.retryAfter || AGAIN_S));
    }
  }
}

/** Whether this session may do what needs `role`. */
export const may = (role) => principal !== null && ROLES.indexOf(principal.role) >= ROLES.indexOf(role);

/** What `doing()` gives; again after signing in, where the session had ended meanwhile. */
export async function withSession(doing) {
  for (;;) {
    try {
      return await doing();
    } catch (refusal) {
      if (refusal.status !== 401) throw refusal;
      await signedIn();
    }
  }
}

const isSame = (one, other) => ["tenant", "name", "role"].every((part) => one[part] === other[part]);

/** Show the session. A page that was somebody else's begins anew, and what waits here is not gone on with. */
function accepted(session) {
  delete page.dataset.asksForKey;
  if (principal !== null && !isSame(principal, session)) {
    own(null);
    location.reload();
    return new Promise(() => {});
  }
  principal = session;
  const isKeyed = session.expires_at !== null;
  byId("who").textContent = isKeyed ? `${session.name}, ${session.tenant}` : "";
  byId("sign-out").hidden = !isKeyed;
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = !may(part.dataset.for);
  own(isKeyed ? `${session.tenant}/${session.name}` : null);
  clearTimeout(ending);
  if (isKeyed) ending = setTimeout(() => document.dispatchEvent(new CustomEvent("signed-out")), Date.parse(session.expires_at) - Date.now());
  return session;
}

/** Nobody sees what somebody else has asked in this browser. */
function own(who) {
  try {
    if (localStorage.getItem(KEPT) === who) return;
    for (const storage of [localStorage, sessionStorage]) {
      for (const name of Object.keys(storage)) if (name.startsWith(OURS)) storage.removeItem(name);
    }
    if (who !== null) localStorage.setItem(KEPT, who);
  } catch {
    // storage is forbidden, so that nothing was kept either
  }
}

async function signOut() {
  try {
    await request("/session", { method: "DELETE" });
  } catch (refusal) {
    byId("who").textContent = `Not signed out: ${refusal.message}`;
    return;
  }
  own(null);
  page.classList.add("left");
  location.replace(location.pathname); // without what was asked or looked for
}

byId("sign-out").addEventListener("click", signOut);
document.addEventListener("signed-out", () => {
  if (principal === null) return; // who has not signed in yet is being asked
  page.dataset.asksForKey = "";
  signedIn();
});
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === KEPT && principal !== null && newValue !== `${principal.tenant}/${principal.name}`) location.reload();
});

// A browser keeps a page that was left, and shows it at "back": not to whoever sits there after a sign-out.
window.addEventListener("pagehide", () => page.classList.toggle("left", principal?.expires_at != null));
window.addEventListener("pageshow", async ({ persisted }) => {
  if (!persisted || !page.classList.contains("left")) return;
  try {
    if (!isSame(principal, await request("/session"))) location.reload();
    page.classList.remove("left");
  } catch {
    location.reload();
  }
});
