// Sizes and days as people say them.

const DAY_MS = 86_400_000;

/** "0 bytes", "340 kB", "1.2 MB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000).toLocaleString()} kB`;
  return `${(bytes / 1e6).toLocaleString([], { maximumFractionDigits: 1 })} MB`;
}

/** "today 09:14", "yesterday", "3 Nov 2026". */
export function day(iso) {
  const then = new Date(iso);
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (then >= midnight) return `today ${then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
  if (then >= midnight - DAY_MS) return "yesterday";
  return then.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}
