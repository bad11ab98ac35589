/** Math in Markdown: $x$, \(x\), $$x$$ and \[x\] become tokens; prices such as $5 do not. */

/** @typedef {{open: string, close: string, display: boolean}} Fence */
/** @type {Fence[]} */
const FENCES = [
  { open: '$$', close: '$$', display: true },
  { open: '\\[', close: '\\]', display: true },
  { open: '\\(', close: '\\)', display: false },
  { open: '$', close: '$', display: false },
];

/**
 * Find the math that begins at `at`, if any.
 * @param {string} text @param {number} at
 * @returns {{tex: string, end: number, display: boolean}|null}
 */
export function mathAt(text, at) {
  const fence = FENCES.find(({ open }) => text.startsWith(open, at));
  if (!fence) return null;
  const from = at + fence.open.length;
  for (let to = text.indexOf(fence.close, from); to >= 0; to = text.indexOf(fence.close, to + 1)) {
    if (text[to - 1] === '\\' && fence.close[0] === '$') continue;
    const tex = text.slice(from, to);
    if (!tex.trim()) return null;
    if (fence.open === '$' && (/^\s|\s$|\n/.test(tex) || /[\d\w]/.test(text[to + 1] ?? ''))) return null;
    return { tex, end: to + fence.close.length, display: fence.display };
  }
  return null;
}

/** @param {any} md a markdown-it parser */
export function mathRule(md) {
  md.inline.ruler.before('escape', 'math', (/** @type {any} */ state, /** @type {boolean} */ silent) => {
    const found = mathAt(state.src, state.pos);
    if (!found || found.end > state.posMax) return false;
    if (!silent) {
      const token = state.push('math', 'span', 0);
      token.content = found.tex;
      token.meta = { display: found.display };
    }
    state.pos = found.end;
    return true;
  });

  md.block.ruler.before('fence', 'math_block', (/** @type {any} */ state, /** @type {number} */ start, /** @type {number} */ end, /** @type {boolean} */ silent) => {
    const begin = state.bMarks[start] + state.tShift[start];
    const first = state.src.slice(begin, state.eMarks[start]);
    const close = first.startsWith('$$') ? '$$' : first.startsWith('\\[') ? '\\]' : null;
    if (!close || state.sCount[start] - state.blkIndent >= 4) return false;
    const lines = [];
    for (let line = start; line < end; line += 1) {
      const from = line === start ? begin + 2 : state.bMarks[line];
      const text = state.src.slice(from, state.eMarks[line]);
      const at = text.indexOf(close);
      if (at < 0) { lines.push(text); continue; }
      if (text.slice(at + 2).trim()) return false; // words follow: the inline rule takes it
      if (silent) return true;
      lines.push(text.slice(0, at));
      const token = state.push('math', 'div', 0);
      token.block = true;
      token.content = lines.join('\n').trim();
      token.meta = { display: true };
      token.map = [start, line + 1];
      state.line = line + 1;
      return true;
    }
    return false;
  }, { alt: ['paragraph', 'list'] });

  md.renderer.rules.math = (/** @type {any[]} */ tokens, /** @type {number} */ index) => {
    const { content, meta, tag } = tokens[index];
    return `<${tag} class="math${meta.display ? ' math-display' : ''}">${md.utils.escapeHtml(content)}</${tag}>`;
  };
}
