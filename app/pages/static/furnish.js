// What an answer's HTML still needs on this page: headings below the question's, and what is wide to be scrolled by key.

import { element } from "./dom.js";

const DEEPEST = 6;

export function furnish(root) {
  let above = 1; // the question
  for (const heading of root.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    above = Math.min(above + 1, Number(heading.localName[1]) + 1, DEEPEST);
    heading.setAttribute("aria-level", above);
  }
  for (const wide of root.querySelectorAll("table, pre")) {
    const frame = element("div", { class: "wide", tabindex: 0, role: "group", "aria-label": wide.localName === "pre" ? "Code" : "Table" });
    wide.replaceWith(frame);
    frame.append(wide);
  }
}
