// Files as they are chosen or dropped, those within folders too: each `{file, name}`, its name fit to be a document's.

const IGNORED = new Set(["thumbs.db", "desktop.ini"]); // what systems leave in folders; so are names with a dot before

/** Files of an `<input>`. */
export const picked = (files) => named(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));

/** All files of a drop. */
export async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()); // before any wait: then they are gone
  return named((await Promise.all(entries.filter(Boolean).map(files))).flat());
}

async function files(entry) {
  if (entry instanceof File) return [{ file: entry, path: entry.name }];
  if (entry.isFile) return [{ file: await new Promise((done, failed) => entry.file(done, failed)), path: entry.fullPath }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at most
    if (some.length === 0) return (await Promise.all(found.map(files))).flat();
    found.push(...some);
  }
}

/** A document is known by its name: of two files with one name, in two folders, neither may replace the other. */
function named(found) {
  const all = found.map(({ file, path }) => ({ file, parts: path.split("/").filter(Boolean) }))
    .filter(({ parts }) => parts.length === 1 || !parts.some(isIgnored));
  const counts = new Map();
  for (const { parts } of all) counts.set(last(parts), (counts.get(last(parts)) ?? 0) + 1);
  return all.map(({ file, parts }) => ({ file, name: counts.get(last(parts)) > 1 ? parts.join(" - ") : parts.at(-1) }));
}

const last = (parts) => parts.at(-1).normalize();
const isIgnored = (part) => part.startsWith(".") || IGNORED.has(part.toLowerCase());
