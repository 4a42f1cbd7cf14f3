// What the page asks of the service: one way to send a request, one way to say what went wrong.

const BASE = document.documentElement.dataset.base;
const PATIENCE_MS = 30_000; // for an answer; who hangs for longer is away

export const address = (path) => BASE + path;

/** A refusal: its HTTP status (0: nobody answered), words that a person can read, and the seconds of Retry-After. */
export class Refusal extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The answer's JSON, or its response where it has none. Throws `Refusal`, and `AbortError` when `signal` says so. */
export async function request(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const types = json === undefined ? {} : { "Content-Type": "application/json" };
  let response, told;
  try {
    response = await fetch(address(path), {
      method, body: json === undefined ? body : JSON.stringify(json), credentials: "same-origin",
      signal: AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])]),
      headers: { Accept: "application/json", ...types, ...headers },
    });
    const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
    told = isJson ? await response.json() : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The service does not answer."); // or in the middle of its answer no more
  }
  if (response.ok) return told ?? response;
  if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  throw new Refusal(response.status, words(response.status, told), Number(response.headers.get("Retry-After")) || 0);
}

function words(status, told) {
  const wrong = (told?.errors ?? []).map((error) => error.detail ?? error.message).filter(Boolean);
  return [told?.detail ?? told?.title ?? `The service answered ${status}.`, ...wrong].join(" ");
}
