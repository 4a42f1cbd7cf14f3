// The failed jobs: a page of them as the filter in the address wants it, and what is done with those chosen.

import { request } from "./api.js";
import { confirmed } from "./confirm.js";
import { byId, element } from "./dom.js";
import { counted, doWith } from "./failed_bulk.js";
import { addressOf, fill, filter, offer, onFilter, wanted } from "./failed_filter.js";
import { ago, number } from "./moments.js";
import { jobLink } from "./process_rows.js";
import { cell } from "./queue_rows.js";

const PAGE = 25;
const KINDS = { answer: "question", task: "chat client's task", search: "search", embed: "embedding", ingest: "document", delete: "deletion", erase: "erasing" };
const WORDS = { requeue: ["Requeue", "requeued"], delete: ["Delete", "deleted"] };
const chosen = new Set();
let shown = [], drawn = "", isAll = false, isBusy = false, turn = 0;

/** Look at the page that the address asks for, and draw it if it is another than before. */
export async function lookAtFailed() {
  const asked = ++turn;
  const after = wanted().after;
  const query = new URLSearchParams({ status: "failed", limit: PAGE, ...filter(), ...(after ? { cursor: after } : {}) });
  let page = await request(`/jobs?${query}`);
  while (page.jobs.length === 0 && page.next_cursor !== null) { // it has looked at others' alone
    query.set("cursor", page.next_cursor);
    page = await request(`/jobs?${query}`);
  }
  if (asked === turn && !isBusy) draw(page);
}

function draw(page) {
  shown = page.jobs;
  const all = JSON.stringify(page);
  if (all !== drawn) {
    const key = document.activeElement?.dataset?.key;
    byId("failed").replaceChildren(...shown.map(rowOf));
    if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    drawn = all;
  }
  for (const time of byId("failed").querySelectorAll("time")) time.textContent = ago(time.dateTime).textContent;
  offer(shown.map((job) => job.error.code));
  const { after, ...asked } = wanted();
  const isFiltered = Object.keys(asked).length > 0;
  byId("failed-table").hidden = shown.length === 0;
  byId("none-failed").hidden = shown.length > 0;
  byId("none-failed").textContent = isFiltered ? "Nothing that failed fits this filter." : after ? "No more." : "Nothing has failed.";
  byId("failed-pages").hidden = !after && page.next_cursor === null;
  link("newest", after ? asked : null);
  link("older", page.next_cursor !== null ? { ...asked, after: page.next_cursor } : null);
  drawChoice();
}

function link(id, asked) {
  byId(id).hidden = asked === null;
  if (asked !== null) byId(id).href = addressOf(asked);
}

function rowOf(job) {
  const pick = element("input", { type: "checkbox", "aria-label": `Choose job ${job.job_id.slice(0, 8)}`, "data-key": `pick ${job.job_id}`, on: { change: ({ target }) => choose([job.job_id], target.checked) } });
  const button = (act, kind) => element("button", { class: `btn ${kind}`, "data-key": `${act} ${job.job_id}`, "aria-label": `${WORDS[act][0]} job ${job.job_id.slice(0, 8)}`, on: { click: () => doNow(act, { ids: [job.job_id] }) } }, WORDS[act][0]);
  return element("tr", {},
    element("td", { class: "pick" }, element("label", {}, pick)),
    cell("When", { class: "when" }, ago(job.ended_at)),
    cell("Job", { class: "which" }, KINDS[job.kind], " ", jobLink(job.job_id)),
    cell("Reason", { class: "why" }, job.error.message, " ", element("span", { class: "tag" }, job.error.code)),
    cell("Attempts", { class: "num" }, number(job.attempt)),
    element("td", { class: "row-acts" }, button("requeue", "quiet"), button("delete", "quiet bad")));
}

function choose(ids, isChosen) {
  isAll = false;
  for (const id of ids) if (isChosen) chosen.add(id); else chosen.delete(id);
  drawChoice();
}

function drawChoice() {
  const onPage = shown.filter((job) => chosen.has(job.job_id)).length;
  shown.forEach((job, place) => {
    const box = byId("failed").rows[place].querySelector("input");
    box.checked = isAll || chosen.has(job.job_id);
  });
  const all = byId("choose-page");
  all.checked = shown.length > 0 && (isAll || onPage === shown.length);
  all.indeterminate = !isAll && onPage > 0 && onPage < shown.length;
  byId("bulk").hidden = !isAll && chosen.size === 0;
  byId("chosen").textContent = isAll ? "All that match are chosen" : `${number(chosen.size)} chosen`;
  byId("choose-all").setAttribute("aria-pressed", String(isAll));
  byId("choose-all").classList.toggle("main", isAll);
  for (const id of ["requeue-chosen", "delete-chosen", "choose-all"]) byId(id).disabled = isBusy;
}

async function doNow(act, which) {
  const [word, past] = WORDS[act];
  try {
    const { count, isMore } = which.ids ? { count: which.ids.length, isMore: false } : await counted(which.filter);
    const what = `${isMore ? "more than " : ""}${number(count)} failed ${count === 1 ? "job" : "jobs"}`;
    const text = act === "delete" ? "Questions, reasons and events are removed for good." : "Each waits in its queue again, with all its attempts.";
    if (!(await confirmed({ title: `${word} ${what}?`, text, yes: word, isBad: act === "delete" }))) return;
    isBusy = true;
    drawChoice();
    const { done, problems } = await doWith(act, which, (soFar) => tell(`${number(soFar)} ${past} so far`));
    tell([`${number(done)} ${past}.`, problems.length > 0 && `${number(problems.length)} not: ${problems[0].detail}`].filter(Boolean).join(" "));
    chosen.clear();
    isAll = false;
  } catch (refusal) {
    tell(refusal.message);
  } finally {
    isBusy = false;
  }
  await lookAtFailed().catch((refusal) => tell(refusal.message));
}

const tell = (text) => { byId("done").textContent = text; };
const those = () => (isAll ? { filter: filter() } : { ids: [...chosen] });

/** Begin: the filter of the address, and what the reader does. */
export function beginFailed() {
  const again = () => { chosen.clear(); isAll = false; tell(""); lookAtFailed().catch((refusal) => tell(refusal.message)); };
  fill();
  onFilter(again);
  for (const id of ["newest", "older"]) byId(id).addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", byId(id).href);
    again();
  });
  byId("choose-page").addEventListener("change", ({ target }) => choose(shown.map((job) => job.job_id), target.checked));
  byId("choose-all").addEventListener("click", () => { isAll = !isAll; drawChoice(); });
  byId("requeue-chosen").addEventListener("click", () => doNow("requeue", those()));
  byId("delete-chosen").addEventListener("click", () => doNow("delete", those()));
}
