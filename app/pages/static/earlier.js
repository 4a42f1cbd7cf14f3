// The questions that this browser has asked, newest first; nowhere else are they listed.

const KEY = "rag-queue questions";
const MOST = 50;

/** `{id, question, scope, conversation, at, until, isGone}` of each; none where the browser keeps nothing for us. */
export function earlier() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one?.id === "string" && typeof one?.question === "string") : [];
  } catch {
    return []; // storage is forbidden, or holds something else
  }
}

export const known = (id) => earlier().find((one) => one.id === id) ?? null;

export function remember(accepted, { question, scope, conversation }) {
  keep([{ id: accepted.job_id, question, scope, conversation, at: Date.now(), until: Date.parse(accepted.expires_at) }, ...earlier().filter((one) => one.id !== accepted.job_id)].slice(0, MOST));
}

/** The service has this one no more. */
export function gone(id) {
  keep(earlier().map((one) => (one.id === id ? { ...one, isGone: true } : one)));
}

/** A conversation was deleted: nothing of it stays here either. */
export function forgetConversation(name) {
  keep(earlier().filter((one) => one.conversation !== name));
}

export function forget() {
  keep([]);
}

function keep(questions) {
  try {
    localStorage.setItem(KEY, JSON.stringify(questions));
  } catch {
    // full or forbidden: the list is a convenience, the answers are the server's
  }
}
