// Questions to try on the documents that come with the project.

const QUESTIONS = new Map([
  ["nordlys-station-annual-report-2025.pdf", "On how many nights was aurora seen in 2025?"],
  ["meridian-400-user-manual.pdf", "How many litres does the water tank hold?"],
  ["acme-widget-travel-policy.pdf", "How much may a hotel in Tokyo cost?"],
  ["harbour-lane-rowing-club-handbook.pdf", "What is the membership fee for students?"],
]);
const MOST = 3;

/** Those that these documents answer, three at most. */
export function samples(documents) {
  const names = new Set(documents.map((one) => one.filename));
  return [...QUESTIONS].filter(([name]) => names.has(name)).map(([, question]) => question).slice(0, MOST);
}
