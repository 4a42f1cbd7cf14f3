// Sends one file, and tells how far it is. XMLHttpRequest: fetch does not tell how far an upload is.

import { address } from "./api.js";

const SILENCE_MS = 60_000; // after which nobody is taken to be there: a network that is lost says nothing

/** Why a file was not taken: the HTTP status (0: nobody answered, -1: stopped), words, and when to try again. */
export class NotTaken extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The documents that have come of it. `onProgress` is told the part sent, from 0 to 1. Throws `NotTaken`. */
export function send({ file, name, collection, key }, onProgress, signal) {
  return new Promise((done, failed) => {
    const sending = new XMLHttpRequest();
    let isSilent = false, silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => { isSilent = true; sending.abort(); }, SILENCE_MS);
    };
    const stop = () => sending.abort();
    sending.open("POST", address("/documents"));
    sending.setRequestHeader("Accept", "application/json");
    sending.setRequestHeader("Idempotency-Key", key);
    sending.responseType = "json";
    sending.upload.onprogress = (event) => { heard(); onProgress(event.loaded / event.total); };
    sending.onload = () => (sending.status < 300 && sending.response ? done(sending.response.documents) : failed(refusal(sending)));
    sending.onerror = () => failed(new NotTaken(0, "The service does not answer."));
    sending.onabort = () => failed(isSilent ? new NotTaken(0, "The service does not answer.") : new NotTaken(-1, "Stopped."));
    sending.onloadend = () => { clearTimeout(silence); signal.removeEventListener("abort", stop); };
    signal.addEventListener("abort", stop);
    const form = new FormData();
    form.append("collection", collection);
    form.append("files", file, name);
    heard();
    sending.send(form);
  });
}

function refusal(sending) {
  const { status, response: told } = sending;
  if (status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  const words = told?.detail ?? told?.title ?? `The service answered ${status}.`;
  return new NotTaken(status, words.replace(/ *Try again after the time in Retry-After.*/, ""), Number(sending.getResponseHeader("Retry-After")) || 0);
}
