/** Plain words with formulas between them, typeset as in replies; nothing in them is markup. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { mathAt } from './math-rule.js';
import { typeset } from './math.js';

/** Words and formulas, in their order. @param {string} text @returns {{tex: string, display: boolean}[]|any[]} */
export function partsOf(text) {
  const parts = [];
  let words = '';
  for (let at = 0; at < text.length;) {
    const found = '$\\'.includes(text[at]) ? mathAt(text, at) : null;
    if (!found) { words += text[at]; at += 1; continue; }
    if (words) parts.push({ words });
    words = '';
    parts.push({ tex: found.tex, display: found.display });
    at = found.end;
  }
  if (words) parts.push({ words });
  return parts;
}

/** @param {{text: string}} props */
export function MathText({ text }) {
  const root = useRef(/** @type {HTMLSpanElement|null} */ (null));
  useLayoutEffect(() => {
    const element = /** @type {HTMLSpanElement} */ (root.current);
    element.replaceChildren(...partsOf(text).map((part) => {
      if (part.words !== undefined) return part.words;
      const formula = document.createElement('span');
      formula.className = part.display ? 'math math-display' : 'math';
      formula.textContent = part.tex;
      return formula;
    }));
    typeset(element);
  }, [text]);
  return html`<span ref=${root} class="math-text"></span>`;
}
