// What is asked: a collection, or some documents of it. `{collection, documents: [{id, name}], total}`.

import { DEFAULT_COLLECTION } from "./library.js";

export const MOST = 100; // documents in one question, as the API has it
export const EVERYTHING = { collection: DEFAULT_COLLECTION, documents: [], total: null };

/** The fields of POST /chat. */
export function fields({ collection, documents }) {
  return {
    ...(collection === DEFAULT_COLLECTION ? {} : { collection }),
    ...(documents.length === 0 ? {} : { document_ids: documents.map((one) => one.id) }),
  };
}

/** "All documents", "handbook.pdf", "2 of 4 documents", "Collection legal". */
export function phrase({ collection, documents, total }) {
  if (documents.length === 1) return documents[0].name;
  if (documents.length > 1) return `${documents.length}${total === null ? "" : ` of ${total}`} documents`;
  return collection === DEFAULT_COLLECTION ? "All documents" : `Collection ${collection}`;
}

export const isEverything = ({ collection, documents }) => collection === DEFAULT_COLLECTION && documents.length === 0;

/** What another address asks for: `?collection=`, and `?document=` as often as there are some; null: nothing. */
export function wanted(given) {
  const [collection, ids] = [given.get("collection"), given.getAll("document").slice(0, MOST)];
  return collection === null && ids.length === 0 ? null : { collection, ids };
}

/** That, of the documents that there are. */
export function among({ collection, ids }, documents) {
  const chosen = documents.filter((one) => ids.includes(one.document_id));
  const name = collection ?? chosen[0]?.collection ?? DEFAULT_COLLECTION;
  return scopeOf(name, chosen.filter((one) => one.collection === name), documents);
}

export function scopeOf(collection, chosen, documents) {
  const total = documents.filter((one) => one.collection === collection).length;
  return { collection, documents: chosen.map((one) => ({ id: one.document_id, name: one.filename })), total };
}

/** What storage gives back, if it is one of these. */
export function checked(scope) {
  const isScope = typeof scope?.collection === "string" && Array.isArray(scope.documents)
    && scope.documents.every((one) => typeof one?.id === "string" && typeof one?.name === "string");
  return isScope ? { total: null, ...scope } : null;
}
