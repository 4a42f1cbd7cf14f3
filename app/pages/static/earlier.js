// The questions that this browser has asked, newest first; nowhere else are they listed.

const KEY = "rag-queue questions";
const MOST = 50;

/** `{id, question, at}` of each; none where the browser keeps nothing for us. */
export function earlier() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one?.id === "string" && typeof one?.question === "string") : [];
  } catch {
    return []; // storage is forbidden, or holds something else
  }
}

export function remember(id, question) {
  keep([{ id, question, at: Date.now() }, ...earlier()].slice(0, MOST));
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
