// Times and numbers as people say them, and exact for who points at them.

import { clock, element } from "./dom.js";

const NUMBER = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat([], { notation: "compact", maximumFractionDigits: 1 });
const EXACT = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "long" });
const DAY_S = 86400;
const SHORT_FROM = 10000;

export const number = (value) => (value < SHORT_FROM ? NUMBER.format(value) : SHORT.format(value));

/** "4 s", "3 min", "2 h", "5 days". */
export function span(seconds) {
  if (seconds < 0.95) return `${Math.max(0, Math.round(seconds * 10) / 10)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / DAY_S)} days`;
}

/** "3 min ago" as an element, with the exact time for who points at it. */
export function ago(iso) {
  if (iso === null) return "–";
  const then = new Date(iso);
  const seconds = Math.max(0, (Date.now() - then) / 1000);
  const words = seconds < 1.5 ? "just now" : `${span(seconds)} ago`;
  return element("time", { datetime: iso, title: EXACT.format(then) }, words);
}

/** The time of day to the millisecond, and the date for who points at it. */
export function exactly(iso) {
  const then = new Date(iso);
  const milliseconds = String(then.getMilliseconds()).padStart(3, "0");
  return element("time", { datetime: iso, title: EXACT.format(then) }, `${clock(then)}`, element("small", {}, `.${milliseconds}`));
}
