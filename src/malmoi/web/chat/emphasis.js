/**
 * Emphasis next to Korean. CommonMark lets `**` close after punctuation only before a space or punctuation, so
 * `**“말모이”**는` stays unmarked, although Korean puts its particles right there. Here a neighbouring Korean,
 * Chinese or Japanese character counts as a space does.
 */

const CJK = /[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const SPACE = /\s/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;

/** The character before or after a place; the ends of the text count as spaces. @param {string} text @param {number} at */
const before = (text, at) => (at > 0 ? /** @type {string} */ ([...text.slice(Math.max(0, at - 2), at)].at(-1)) : ' ');
/** @param {string} text @param {number} at */
const after = (text, at) => (at < text.length ? String.fromCodePoint(/** @type {number} */ (text.codePointAt(at))) : ' ');

/**
 * What a run of delimiters at `start` can do.
 * @param {string} text @param {number} start @param {number} max @param {boolean} splitsWords true for `*`, false for `_`
 */
export function scanDelimiters(text, start, max, splitsWords) {
  let end = start;
  while (end < max && text[end] === text[start]) end += 1;
  const last = before(text, start);
  const next = end < max ? after(text, end) : ' ';
  const lastOpen = SPACE.test(last) || (splitsWords && CJK.test(last));
  const nextOpen = SPACE.test(next) || (splitsWords && CJK.test(next));
  const lastMark = PUNCTUATION.test(last);
  const nextMark = PUNCTUATION.test(next);
  const left = !SPACE.test(next) && (!nextMark || lastOpen || lastMark);
  const right = !SPACE.test(last) && (!lastMark || nextOpen || nextMark);
  return {
    can_open: left && (splitsWords || !right || lastMark),
    can_close: right && (splitsWords || !left || nextMark),
    length: end - start,
  };
}

/** @param {any} md a markdown-it parser */
export function koreanEmphasis(md) {
  const { State } = md.inline;
  md.inline.State = class extends State {
    /** @param {number} start @param {boolean} splitsWords */
    scanDelims(start, splitsWords) {
      return scanDelimiters(this.src, start, this.posMax, splitsWords);
    }
  };
}
