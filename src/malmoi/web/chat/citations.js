/**
 * Where chips stand in an answer. While its Markdown is rendered, a chip is two private characters around a number;
 * those that a text brings itself are taken out first, so that no model and no document makes a chip.
 */

/**
 * @typedef {{number: number, document_id: string, start: number, end: number, quote: string, answer_start: number, answer_end: number}} Citation
 * @typedef {{number: number, document_id: string, title: string, place: string, headings: string[], start: number, end: number}} Source
 * @typedef {{sources: Source[], citations: Citation[], unsupported: [number, number][], suggestions: string[],
 *   extract: {text: string, citations: Citation[]}|null}} Grounds
 */

const OPEN = '\uE000';
const CLOSE = '\uE001';
const MADE = /[\uE000\uE001]/g;
const CHIP = /\uE000(\d{1,4})\uE001/g;

/** Marks take one unit as well, so that offsets stay true. @param {string} text */
const cleaned = (text) => text.replace(MADE, '\uFFFD');

/**
 * The text with a chip behind every sentence that is cited.
 * @param {string} text
 * @param {Citation[]} citations
 */
export function withChips(text, citations) {
  let rest = cleaned(text);
  const last = [...citations].map((citation, place) => ({ at: citation.answer_end, place })).sort((a, b) => b.at - a.at || b.place - a.place);
  for (const { at, place } of last) {
    if (at <= rest.length) rest = `${rest.slice(0, at)}${OPEN}${place}${CLOSE}${rest.slice(at)}`;
  }
  return rest;
}

/** The address of cited words. @param {{document_id: string, start: number, end: number}} span */
export const addressOf = (span) => `/documents/file/${encodeURIComponent(span.document_id)}?at=${span.start}-${span.end}`;

/**
 * Put links where chips stand in rendered text.
 * @param {HTMLElement} root
 * @param {Citation[]} citations
 * @param {(citation: Citation) => string} label
 */
export function placeChips(root, citations, label) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const found = [];
  while (walker.nextNode()) if (walker.currentNode.nodeValue?.includes(OPEN)) found.push(/** @type {Text} */ (walker.currentNode));
  for (const node of found) {
    const parts = document.createDocumentFragment();
    let at = 0;
    for (const chip of node.data.matchAll(CHIP)) {
      parts.append(node.data.slice(at, chip.index));
      at = chip.index + chip[0].length;
      const citation = citations[Number(chip[1])];
      if (citation && !node.parentElement?.closest('pre, code')) parts.append(link(citation, label(citation)));
    }
    parts.append(node.data.slice(at));
    node.replaceWith(parts);
  }
}

/** @param {Citation} citation @param {string} label */
function link(citation, label) {
  const made = document.createElement('a');
  made.className = 'cite';
  made.href = addressOf(citation);
  made.title = citation.quote;
  made.setAttribute('aria-label', label);
  made.textContent = String(citation.number);
  return made;
}
