// A small drawing of the last hour: what ended well in each minute as a line, what failed as marks below it.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, EDGE] = [120, 28, 2];

/** The drawing for `minutes`, oldest first; the last one is not over and is left out. `what` names what is counted. */
export function sparkline(minutes, what) {
  const over = minutes.slice(0, -1);
  const counts = over.map((minute) => minute.finished);
  const most = Math.max(1, ...counts);
  const x = (place) => (place * WIDTH) / Math.max(1, over.length - 1);
  const y = (count) => HEIGHT - EDGE - (count * (HEIGHT - 2 * EDGE)) / most;
  const line = counts.map((count, place) => `${x(place).toFixed(1)},${y(count).toFixed(1)}`).join(" ");
  const failed = over.reduce((sum, minute) => sum + minute.failed, 0);
  const label = `${what} a minute in the last hour: ${counts.at(-1) ?? 0} in the last one, ${Math.max(0, ...counts)} at most, ${failed} failed in all`;
  const drawing = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", role: "img", "aria-label": label, preserveAspectRatio: "none" });
  drawing.append(node("polygon", { points: `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` }), node("polyline", { points: line }));
  over.forEach((minute, place) => {
    if (minute.failed > 0) drawing.append(node("line", { x1: x(place), x2: x(place), y1: HEIGHT - 5, y2: HEIGHT }));
  });
  const title = node("title", {});
  title.textContent = label;
  drawing.prepend(title);
  return drawing;
}

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
