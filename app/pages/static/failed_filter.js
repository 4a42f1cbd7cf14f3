// Which failed jobs are looked at: the filter's form, the address, and the service's query are one thing.

import { byId } from "./dom.js";

const SECONDS = { "15m": 900, "1h": 3600, "24h": 86400, "7d": 604800 };
const NAMES = ["kind", "code", "since", "text"];
const form = byId("failed-filters");

/** What the address asks for: the filter's fields by name, those that are set, and `after`, a page's cursor. */
export function wanted() {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries([...NAMES, "after"].map((name) => [name, asked.get(name) ?? ""]).filter(([, value]) => value !== ""));
}

/** Show in the form what the address asks for. */
export function fill() {
  const asked = wanted();
  for (const name of NAMES) {
    const control = form.elements[name];
    const value = asked[name] ?? "";
    if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value)) control.append(new Option(value.replaceAll("_", " "), value));
    if (document.activeElement !== control) control.value = value;
  }
}

/** The filter as the service takes it. */
export function filter() {
  const { kind, code, since, text } = wanted();
  const from = SECONDS[since] && new Date(Date.now() - SECONDS[since] * 1000).toISOString();
  return Object.fromEntries(Object.entries({ kind, code, text, since: from }).filter(([, value]) => value));
}

/** An address of this view that asks for `asked`. */
export function addressOf(asked) {
  const query = new URLSearchParams(asked).toString();
  return location.pathname + (query === "" ? "" : `?${query}`);
}

/** Calls `changed()` when the reader has changed the filter, or gone back to another one. */
export function onFilter(changed) {
  const set = (how) => {
    const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
    history[how](null, "", addressOf(given));
    changed();
  };
  form.addEventListener("input", ({ target }) => set(target.name === "text" ? "replaceState" : "pushState"));
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("popstate", () => {
    document.activeElement?.blur?.();
    fill();
    changed();
  });
}

/** Offer the reasons of jobs that were seen, beside those that are offered already. */
export function offer(codes) {
  const control = form.elements.code;
  const known = new Set([...control.options].map((option) => option.value));
  for (const code of new Set(codes)) if (!known.has(code)) control.append(new Option(code.replaceAll("_", " "), code));
}
