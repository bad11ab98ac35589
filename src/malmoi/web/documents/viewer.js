/** A document to read: its text block by block, and the words that somebody was sent to. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain, get } from '../shell/api.js';
import { bytes, moment } from '../shell/format.js';
import { Icon } from '../shell/icons.js';
import { file } from './store.js';
import { factsOf, pagesOf, remarkOf } from './remarks.js';
import { parseSpan, unitsOf } from './spans.js';
import { Marked } from './marked.js';

/**
 * @typedef {{kind: string, start: number, end: number, level: number, page: number|null, place: string, rows: string[][]}} Block
 */

/** The cells of a row whose words lie in the span. @param {string[]} row @param {number} start @param {[number, number]|null} span */
function cells(row, start, span) {
  let at = start;
  return row.map((text, place) => {
    const from = at;
    at += text.length + 1; // a tab, or the end of the line
    /** @type {[number, number][]} */
    const ranges = span && span[0] < from + text.length && span[1] > from ? [[span[0] - from, span[1] - from]] : [];
    return html`<td key=${place}><${Marked} text=${text} ranges=${ranges} /></td>`;
  });
}

/** @param {{block: Block, text: string, start: number, span: [number, number]|null}} props `start` and `span` in UTF-16 units */
function BlockView({ block, text, start, span }) {
  const inside = span && span[0] < start + text.length && span[1] > start;
  /** @type {[number, number][]} */
  const ranges = inside ? [[Math.max(0, span[0] - start), span[1] - start]] : [];
  const words = html`<${Marked} text=${text} ranges=${ranges} />`;
  if (block.kind === 'heading') {
    return block.level <= 1 ? html`<h2>${words}</h2>` : block.level === 2 ? html`<h3>${words}</h3>` : html`<h4>${words}</h4>`;
  }
  if (block.kind === 'code') return html`<pre><code>${words}</code></pre>`;
  if (block.kind === 'list_item') return html`<p class="viewer-item">${words}</p>`;
  if (block.kind === 'note') return html`<aside>${words}</aside>`;
  if (block.kind === 'table' && block.rows.length) {
    let at = start;
    return html`<div class="viewer-table" tabindex="0" role="region" aria-label=${t('documents.table')}><table><tbody>
      ${block.rows.map((row, place) => {
        const from = at;
        at += row.reduce((sum, cell) => sum + cell.length + 1, 0);
        return html`<tr key=${place}>${cells(row, from, span)}</tr>`;
      })}</tbody></table></div>`;
  }
  return html`<p>${words}</p>`;
}

/** @param {{id: string, at: string|null}} props `at` is a span of the text, "12-80" */
export function Viewer({ id, at }) {
  const loaded = useSignal(/** @type {any} */ (null));
  const failure = useSignal(/** @type {unknown} */ (null));
  const body = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    let left = false;
    loaded.value = null;
    failure.value = null;
    get(`${file(id)}/text`).then((found) => { if (!left) loaded.value = found; }, (error) => { if (!left) failure.value = error; });
    return () => { left = true; };
  }, [id]);
  useEffect(() => {
    if (!loaded.value) return;
    const mark = body.current?.querySelector('mark');
    mark?.scrollIntoView({ block: 'center' });
  }, [loaded.value, at]);
  if (failure.value) {
    const { text, fix } = explain(failure.value, t);
    return html`<section class="documents-none"><h2>${text}</h2><p class="lead">${fix}</p><p><a class="button" href="/documents">${t('documents.back')}</a></p></section>`;
  }
  if (!loaded.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  const { document: shown, text, blocks, properties } = loaded.value;
  const facts = factsOf(properties, shown.title);
  const units = unitsOf(text);
  const wanted = parseSpan(at);
  /** @type {[number, number]|null} */
  const span = wanted ? [units(wanted[0]), units(wanted[1])] : null;
  let page = /** @type {number|null} */ (null);
  return html`
    <article class="viewer" ref=${body} aria-label=${shown.title || shown.name}>
      <header><p class="viewer-way"><a href=${`/documents/${shown.collection_id}`}>${t('documents.back')}</a></p>
        <h1>${shown.title || shown.name}</h1>
        <p class="quiet">${shown.name} · ${shown.format} · ${bytes(shown.size)}${shown.pages ? ` · ${pagesOf(shown)}` : ''} · ${moment(shown.created_at)}</p>
        ${facts.length > 0 && html`<dl class="viewer-facts">${facts.map(({ name, label, text: value }) => html`<div key=${name}><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`}
        ${shown.remarks.length > 0 && html`<ul class="viewer-remarks">${shown.remarks.map((/** @type {string} */ remark) => html`<li key=${remark}>${remarkOf(remark)}</li>`)}</ul>`}
        <p><a class="button small" href=${`/api${file(shown.id)}/original`} download><${Icon} name="download" />${t('documents.original')}</a></p></header>
      <div class="viewer-text" lang="">
        ${blocks.map((/** @type {Block} */ block, /** @type {number} */ place) => {
          const start = units(block.start);
          const label = block.page !== null && block.page !== page ? block.place || t('documents.page', { n: block.page }) : '';
          page = block.page;
          return html`${label && html`<p class="viewer-page" key=${`p${place}`}>${label}</p>`}
            <${BlockView} key=${place} block=${block} text=${text.slice(start, units(block.end))} start=${start} span=${span} />`;
        })}
        ${blocks.length === 0 && html`<p class="quiet">${t('documents.no_text')}</p>`}
      </div>
    </article>`;
}
