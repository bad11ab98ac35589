/**
 * Markdown to HTML text, block by block. Raw HTML is never passed through; links leave the page safely;
 * pictures of other origins are links, because loading them would tell their server who reads.
 */
import MarkdownIt from 'markdown-it';
import { koreanEmphasis } from './emphasis.js';
import { mathRule } from './math-rule.js';

const SAFE_LINK = /^(https?:|mailto:)/i;
const SAFE_IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,/i;

/** @returns {any} a markdown-it parser with our rules */
export function buildMarkdown() {
  const md = new MarkdownIt({ html: false, linkify: true, breaks: true });
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
  md.validateLink = (/** @type {string} */ url) => SAFE_LINK.test(url.trim()) || SAFE_IMAGE.test(url.trim());
  md.use(mathRule);
  md.use(koreanEmphasis);
  const { rules } = md.renderer;
  const escape = md.utils.escapeHtml;

  rules.link_open = (/** @type {any[]} */ tokens, /** @type {number} */ at) => {
    const href = tokens[at].attrGet('href') ?? '';
    return SAFE_LINK.test(href)
      ? `<a href="${escape(href)}" target="_blank" rel="noopener noreferrer nofollow">` : '<a>';
  };
  rules.image = (/** @type {any[]} */ tokens, /** @type {number} */ at) => {
    const src = tokens[at].attrGet('src') ?? '';
    const alt = tokens[at].content;
    if (SAFE_IMAGE.test(src)) return `<img src="${escape(src)}" alt="${escape(alt)}">`;
    const words = escape(alt || src);
    return SAFE_LINK.test(src)
      ? `<a class="remote-image" href="${escape(src)}" target="_blank" rel="noopener noreferrer nofollow">${words}</a>` : words;
  };
  rules.fence = (/** @type {any[]} */ tokens, /** @type {number} */ at) => {
    const name = (tokens[at].info.trim().split(/\s+/)[0] ?? '').toLowerCase().replace(/[^a-z0-9+#_.-]/g, '');
    return `<pre><code class="language-${escape(name)}">${escape(tokens[at].content)}</code></pre>`;
  };
  rules.code_block = (/** @type {any[]} */ tokens, /** @type {number} */ at) =>
    `<pre><code class="language-">${escape(tokens[at].content)}</code></pre>`;
  // The policy forbids style attributes, so alignment of table cells becomes a class.
  for (const name of ['th_open', 'td_open']) {
    rules[name] = (/** @type {any[]} */ tokens, /** @type {number} */ at) => {
      const side = /text-align:(left|right|center)/.exec(tokens[at].attrGet('style') ?? '')?.[1];
      return side ? `<${tokens[at].tag} class="align-${side}">` : `<${tokens[at].tag}>`;
    };
  }
  return md;
}

/** @type {any} */
let shared = null;
const parser = () => (shared ??= buildMarkdown());

/**
 * @typedef {object} Block
 * @property {string} html
 * @property {{language: string, code: string}|null} code set when the block is one code block and nothing else
 * @property {number} start where its lines begin in the text that was parsed
 */

/** Parse a whole text into its top-level blocks. @param {string} text @returns {Block[]} */
export function blocksOf(text) {
  const md = parser();
  const env = {};
  const tokens = md.parse(text, env);
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  const blocks = [];
  for (let from = 0; from < tokens.length;) {
    let to = from;
    let depth = 0;
    do { depth += tokens[to].nesting; to += 1; } while (depth > 0 && to < tokens.length);
    const group = tokens.slice(from, to);
    const [first] = group;
    const isCode = group.length === 1 && (first.type === 'fence' || first.type === 'code_block');
    const html = md.renderer.render(group, md.options, env);
    blocks.push({
      html, start: lineStarts[first.map?.[0] ?? 0] ?? 0,
      code: isCode ? { language: /language-([^"]*)/.exec(html)?.[1] ?? '', code: first.content } : null,
    });
    from = to;
  }
  return blocks;
}

/**
 * Reads a text that grows: blocks that are finished are parsed once and kept; only the tail is parsed again.
 * At the end the whole text is parsed once more, so the result is exactly that of a single parse.
 */
export class BlockReader {
  /** @type {Block[]} */
  #finished = [];
  #offset = 0;
  #seen = '';

  /**
   * @param {string} text everything so far
   * @param {boolean} done whether no more will come
   * @returns {{blocks: Block[], finished: number}} `finished`: how many leading blocks will not change while it grows
   */
  read(text, done) {
    if (done || !text.startsWith(this.#seen)) {
      this.#finished = [];
      this.#offset = 0;
    }
    this.#seen = text;
    const tail = blocksOf(text.slice(this.#offset));
    if (done) return { blocks: tail, finished: tail.length };
    // The beginning of a line may still turn out to continue the list before it ("2" -> "2. "): wait for more.
    const lastLine = text.slice(text.lastIndexOf('\n') + 1);
    if (tail.length > 1 && lastLine.trim().length > 3) {
      const open = tail[tail.length - 1];
      const closed = tail.slice(0, -1);
      this.#finished = [...this.#finished, ...closed];
      this.#offset += open.start;
      return { blocks: [...this.#finished, { ...open, start: 0 }], finished: this.#finished.length };
    }
    return { blocks: [...this.#finished, ...tail], finished: this.#finished.length };
  }
}
