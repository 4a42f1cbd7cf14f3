// The list of conversations, the latest used first: read when it is opened, a page at a time. Each can be deleted.

import { request } from "./api.js";
import { confirmed } from "./confirm.js";
import { addressOf, current } from "./conversation.js";
import { announce, byId, counted, element } from "./dom.js";
import { forgetConversation } from "./earlier.js";
import { list as listEarlier } from "./earlier_list.js";
import { ago } from "./moments.js";
import { withSession } from "./session.js";

const PAGE = 20; // of them in one request
let cursor = null;

async function more() {
  const first = cursor === null;
  try {
    const page = await withSession(() => request(`/conversations?limit=${PAGE}${first ? "" : `&cursor=${cursor}`}`));
    const rows = page.conversations.map(row);
    if (first) byId("conversation-list").replaceChildren(...rows);
    else byId("conversation-list").append(...rows);
    cursor = page.next_cursor;
    byId("more").hidden = cursor === null;
    tell(rows.length > 0 || !first ? "Everyone who may ask here sees them." : "There are none yet.");
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

function tell(text, isBad = false) {
  byId("conversations-told").textContent = text;
  byId("conversations-told").classList.toggle("problem", isBad);
}

function row({ session_id: name, title, turns, used_at: used }) {
  const isOpen = name === current();
  return element("li", {},
    element("a", { href: addressOf(null, name), dir: "auto", "aria-current": isOpen && "page" }, title),
    element("small", {}, counted(turns, "question"), " · ", ago(used), " ",
      element("button", { class: "btn quiet", "aria-label": `Delete ${title}`, on: { click: (event) => remove(name, title, event.target.closest("li")) } }, "Delete")));
}

async function remove(name, title, place) {
  const text = `“${title}”, with its answers and all that is kept of them, is removed for good.`;
  if (!(await confirmed({ title: "Delete this conversation?", text, yes: "Delete", isBad: true }))) return;
  try {
    await withSession(() => request(`/conversations/${encodeURIComponent(name)}`, { method: "DELETE" }));
  } catch (refusal) {
    if (refusal.status !== 404) return tell(refusal.message, true); // 404: somebody else has
  }
  forgetConversation(name);
  if (name === current()) return location.assign(addressOf(null, null));
  listEarlier();
  const next = place.nextElementSibling ?? place.previousElementSibling;
  place.remove();
  (next?.querySelector("button") ?? byId("conversations").firstElementChild).focus();
  announce("Deleted");
}

byId("more").addEventListener("click", more);
byId("conversations").addEventListener("toggle", () => {
  cursor = null;
  if (byId("conversations").open) more();
});
