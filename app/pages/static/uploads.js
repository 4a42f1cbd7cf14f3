// Sends files one after another, each with its progress: a folder of a thousand is a thousand small requests.

import { address } from "./api.js";

/** All files of a drop, those within its folders too. */
export async function dropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return (await Promise.all(entries.map(files))).flat();
}

async function files(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at most
    if (some.length === 0) return (await Promise.all(found.map(files))).flat();
    found.push(...some);
  }
}

/**
 * Send one file. `onProgress` is told the part sent, from 0 to 1. Resolves to `{documents, problems}`; rejects with an
 * `Error` whose message is for people. `signal` stops it. XMLHttpRequest: fetch does not tell how far an upload is.
 */
export function send(file, onProgress, signal) {
  return new Promise((done, failed) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", address("/documents"));
    sending.setRequestHeader("Accept", "application/json");
    sending.responseType = "json";
    sending.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    sending.onload = () => {
      const told = sending.response;
      if (sending.status < 300) done(told);
      else failed(Object.assign(new Error(told?.detail ?? told?.title ?? `The service answered ${sending.status}.`), { status: sending.status, retryAfter: Number(sending.getResponseHeader("Retry-After")) || 0 }));
    };
    sending.onerror = () => failed(Object.assign(new Error("The service does not answer."), { status: 0 }));
    sending.onabort = () => failed(Object.assign(new Error("Stopped."), { status: -1 }));
    signal.addEventListener("abort", () => sending.abort());
    const form = new FormData();
    form.append("files", file, file.name);
    sending.send(form);
  });
}
