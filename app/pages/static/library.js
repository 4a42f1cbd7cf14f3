// The documents that may be asked, as the service lists them.

import { request } from "./api.js";

const PAGE = 100; // documents in one request, the most that the API gives
export const DEFAULT_COLLECTION = "default";

/** The newest documents, and whether these are all: one request. */
export async function newest() {
  const page = await request(`/documents?limit=${PAGE}`);
  return { documents: page.documents, isAll: page.next_cursor === null };
}

/** All of them. */
export async function all() {
  const found = new Map();
  let cursor = null;
  do {
    const page = await request(`/documents?limit=${PAGE}${cursor === null ? "" : `&cursor=${cursor}`}`);
    for (const one of page.documents) found.set(one.document_id, one);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return [...found.values()];
}

/** What people call the first hundred collections, by name; nothing when that is not to be had. */
export async function titles() {
  const page = await request(`/collections?limit=${PAGE}`).catch(() => ({ collections: [] }));
  return new Map(page.collections.map((one) => [one.name, one.title]));
}

/** Whether questions find it: one that is read anew is still there as it was. */
export const isReady = (one) => one.status === "indexed" || (one.status !== "failed" && one.chunks > 0);

/** The names of their collections, the default one first. */
export function collections(documents) {
  const names = new Set(documents.map((one) => one.collection));
  return [...names].sort((a, b) => (b === DEFAULT_COLLECTION) - (a === DEFAULT_COLLECTION) || a.localeCompare(b));
}
