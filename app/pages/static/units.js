// Sizes and days as people say them. The formats are made once: a browser takes a millisecond for each.

const DAY_MS = 86_400_000;
const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });
const EXACT = new Intl.DateTimeFormat([], { dateStyle: "full", timeStyle: "medium" });
const NUMBER = new Intl.NumberFormat([], { maximumFractionDigits: 1 });

export const number = (value) => NUMBER.format(value);
export const time = (date) => TIME.format(date);
export const exactly = (iso) => EXACT.format(new Date(iso));

/** "0 bytes", "340 kB", "1.2 MB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  return bytes < 1e6 ? `${number(Math.round(bytes / 1000))} kB` : `${number(bytes / 1e6)} MB`;
}

/** "today 09:14", "yesterday", "3 Nov 2026". */
export function day(iso) {
  const then = new Date(iso);
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (then >= midnight) return `today ${time(then)}`;
  return then >= midnight - DAY_MS ? "yesterday" : DATE.format(then);
}
