// Worker processes as rows: one a process, however many threads it has.

import { address } from "./api.js";
import { element } from "./dom.js";
import { ago, number } from "./moments.js";
import { cell, gauge } from "./queue_rows.js";

const SHOWN = 4; // of a process's jobs
const SILENT_S = 15; // as workers have it: who was not heard of for so long is dead

export const jobAddress = (id) => address(`/page/jobs/${id}`);
export const jobLink = (id) => element("a", { href: jobAddress(id), title: id, class: "job" }, id.slice(0, 8));

export function processRow(process) {
  const isSilent = process.heartbeat_at !== null && Date.now() - new Date(process.heartbeat_at) > 2 * SILENT_S * 1000;
  return element("tr", {},
    element("th", { scope: "row", class: "name" }, process.hostname || process.name, element("small", {}, process.pid === null ? "" : ` pid ${process.pid}`)),
    cell("Queues", { class: "hour" }, process.queues.map((name) => name.replace("rag_", "")).join(", ")),
    cell("Running", { class: "running" }, gauge(process.busy, process.threads), ` ${number(process.busy)} of ${number(process.threads)}`),
    cell("Jobs", { class: "jobs" }, ...jobs(process)),
    cell("Started", { class: "num" }, ago(process.started_at)),
    cell("Heard of", { class: `num${isSilent ? " bad" : ""}` }, ago(process.heartbeat_at)));
}

function jobs({ job_ids: own, busy }) {
  const links = own.slice(0, SHOWN).flatMap((id) => [jobLink(id), " "]);
  const more = busy - Math.min(own.length, SHOWN);
  if (busy === 0) return ["–"];
  return more > 0 ? [...links, element("span", { class: "muted" }, links.length > 0 ? `and ${number(more)} more` : `${number(more)} of other tenants`)] : links;
}
