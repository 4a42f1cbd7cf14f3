// What is done with many failed jobs: some in each request, again and again, until none is left.

import { request } from "./api.js";

const COUNT_PAGE = 1000; // the most that the API lists at once
const COUNT_MAX = 10000; // beyond, nobody waits for an exact number
const IDS_MAX = 500; // the most that the API takes at once

/** How many failed jobs fit `filter`: `{count, isMore}`. */
export async function counted(filter) {
  let count = 0, cursor = null;
  do {
    const query = new URLSearchParams({ status: "failed", limit: COUNT_PAGE, ...filter, ...(cursor === null ? {} : { cursor }) });
    const page = await request(`/jobs?${query}`);
    count += page.jobs.length;
    cursor = page.next_cursor;
  } while (cursor !== null && count < COUNT_MAX);
  return { count, isMore: cursor !== null };
}

/** Do `act` ("requeue" or "delete") with the jobs of `ids`, or with all that fit `filter`. Resolves to `{done, problems}`. */
export async function doWith(act, { ids = null, filter = null }, onProgress) {
  const told = { done: 0, problems: [] };
  const add = async (json) => {
    const { done, problems, next_cursor: next } = await request(`/failed-jobs/${act}`, { method: "POST", json });
    told.done += done;
    told.problems.push(...problems);
    onProgress(told.done);
    return next;
  };
  try {
    if (ids !== null) for (let from = 0; from < ids.length; from += IDS_MAX) await add({ job_ids: ids.slice(from, from + IDS_MAX) });
    else for (let cursor = await add({ filter }); cursor !== null;) cursor = await add({ filter, cursor });
  } catch (refusal) {
    if (told.done === 0) throw refusal;
    told.problems.push({ detail: refusal.message });
  }
  return told;
}
