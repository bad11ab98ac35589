/** Shows Markdown that may still be growing: finished blocks are never touched again, open code only grows. */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { BlockReader } from './markdown.js';
import { sanitized } from './sanitize.js';
import { highlight } from './highlight.js';
import { typeset } from './math.js';
import { placeChips, withChips } from './citations.js';

/** @typedef {import('./markdown.js').Block} Block */

class Shown {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.reader = new BlockReader();
    /** @type {import('./citations.js').Citation[]} */
    this.citations = [];
    /** @type {{html: string, element: HTMLElement, code: Text|null, final: boolean}[]} */
    this.blocks = [];
  }

  /** @param {string} text @param {boolean} done */
  update(text, done) {
    const { blocks, finished } = this.reader.read(text, done);
    blocks.forEach((block, at) => this.#show(block, at, done || at < finished));
    for (const old of this.blocks.splice(blocks.length)) old.element.remove();
  }

  /** @param {Block} block @param {number} at @param {boolean} final */
  #show(block, at, final) {
    const old = this.blocks[at];
    if (old && old.html === block.html) {
      if (final && !old.final) { old.final = true; this.#finish(old.element, block); }
      return;
    }
    if (!this.citations.length && old?.code?.isConnected && block.code && !old.final && block.code.code.startsWith(old.code.data)) {
      old.code.appendData(block.code.code.slice(old.code.data.length));
      old.html = block.html;
      if (final) { old.final = true; this.#finish(old.element, block); }
      return;
    }
    const element = document.createElement('div');
    element.className = 'block';
    element.append(sanitized(block.html));
    decorate(element);
    if (this.citations.length) placeChips(element, this.citations, (citation) => t('sources.open', { n: citation.number }));
    const code = block.code ? element.querySelector('pre > code') : null;
    if (code && !code.firstChild) code.append('');
    if (old) old.element.replaceWith(element);
    else this.root.append(element);
    this.blocks[at] = { html: block.html, element, code: /** @type {Text|null} */ (code?.firstChild ?? null), final };
    if (final) this.#finish(element, block);
    else typeset(element);
  }

  /** @param {HTMLElement} element @param {Block} _block */
  #finish(element, _block) {
    typeset(element);
    for (const code of element.querySelectorAll('pre > code')) {
      const language = /language-(\S+)/.exec(code.className)?.[1];
      if (language) highlight(/** @type {HTMLElement} */ (code), language);
    }
  }
}

/** Give code its heading with a copy button, and let wide tables and code scroll by keyboard. @param {HTMLElement} element */
function decorate(element) {
  for (const pre of element.querySelectorAll('pre')) {
    const frame = document.createElement('div');
    frame.className = 'code-block';
    const head = document.createElement('div');
    head.className = 'code-head';
    const name = document.createElement('span');
    name.textContent = /language-(\S+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? '';
    const copy = document.createElement('button');
    copy.type = 'button';
    copy.className = 'copy-code';
    copy.textContent = t('message.copy_code');
    head.append(name, copy);
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    frame.append(head, pre);
  }
  for (const table of element.querySelectorAll('table')) {
    const frame = document.createElement('div');
    frame.className = 'table-frame';
    frame.tabIndex = 0;
    table.replaceWith(frame);
    frame.append(table);
  }
}

/** @param {MouseEvent} event */
async function onClick(event) {
  const button = /** @type {Element} */ (event.target).closest('.copy-code');
  if (!button) return;
  await navigator.clipboard.writeText(button.closest('.code-block')?.querySelector('code')?.textContent ?? '');
  button.textContent = t('message.copied');
  setTimeout(() => { button.textContent = t('message.copy_code'); }, 1500);
}

/** @type {import('./citations.js').Citation[]} */
const NONE = [];

/** @param {{text: string, streaming?: boolean, citations?: import('./citations.js').Citation[]}} props */
export function Markdown({ text, streaming = false, citations = NONE }) {
  const root = useRef(/** @type {HTMLDivElement|null} */ (null));
  const shown = useRef(/** @type {Shown|null} */ (null));
  useLayoutEffect(() => {
    shown.current ??= new Shown(/** @type {HTMLElement} */ (root.current));
    // Chips stand in the text itself: a new one redraws its block, and only that.
    shown.current.citations = citations;
    shown.current.update(citations.length ? withChips(text, citations) : text, !streaming);
  }, [text, streaming, citations]);
  useEffect(() => {
    root.current?.addEventListener('click', onClick);
  }, []);
  return html`<div class="prose" ref=${root}></div>`;
}
