// What the page asks of the service: one way to send a request, one way to say what went wrong.

const BASE = document.documentElement.dataset.base;

export const address = (path) => BASE + path;

/** A refusal: its HTTP status (0: nobody answered) and words that a person can read. */
export class Refusal extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The answer's JSON, or its response where it has none. Throws `Refusal`. */
export async function request(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const types = json === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(address(path), {
      method, body: sent, signal, credentials: "same-origin",
      headers: { Accept: "application/json", ...types, ...headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The service does not answer.");
  }
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const told = isJson ? await response.json() : null;
  if (response.ok) return told ?? response;
  if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  throw new Refusal(response.status, words(response.status, told), Number(response.headers.get("Retry-After")) || 0);
}

function words(status, told) {
  const wrong = (told?.errors ?? []).map((error) => error.detail ?? error.message).filter(Boolean);
  return [told?.detail ?? told?.title ?? `The service answered ${status}.`, ...wrong].join(" ");
}
