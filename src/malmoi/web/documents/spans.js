/** Offsets of the server count characters; strings of the browser count UTF-16 units. */

/**
 * A function from offsets in characters to offsets in UTF-16 units of `text`.
 * @param {string} text
 * @returns {(offset: number) => number}
 */
export function unitsOf(text) {
  /** Where pairs stand, in characters. @type {number[]} */
  const pairs = [];
  let characters = 0;
  for (let unit = 0; unit < text.length; unit += 1, characters += 1) {
    const code = text.charCodeAt(unit);
    if (code >= 0xD800 && code < 0xDC00) { pairs.push(characters); unit += 1; }
  }
  if (!pairs.length) return (offset) => offset;
  return (offset) => {
    let low = 0;
    let high = pairs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pairs[middle] < offset) low = middle + 1; else high = middle;
    }
    return offset + low;
  };
}

/** "12-80" as two numbers, or nothing. @param {string|null} text @returns {[number, number]|null} */
export function parseSpan(text) {
  const found = /^(\d{1,9})-(\d{1,9})$/.exec(text ?? '');
  if (!found) return null;
  const [start, end] = [Number(found[1]), Number(found[2])];
  return start < end ? [start, end] : null;
}

/**
 * A text in pieces, those inside of `ranges` marked.
 * @param {string} text
 * @param {[number, number][]} ranges in order
 * @returns {{text: string, marked: boolean}[]}
 */
export function cut(text, ranges) {
  const pieces = [];
  let at = 0;
  for (const [start, end] of ranges) {
    const from = Math.max(start, at);
    const to = Math.min(end, text.length);
    if (to <= from) continue;
    if (from > at) pieces.push({ text: text.slice(at, from), marked: false });
    pieces.push({ text: text.slice(from, to), marked: true });
    at = to;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), marked: false });
  return pieces;
}
