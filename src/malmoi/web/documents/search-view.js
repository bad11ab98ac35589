/** Passages that answer a query; each opens its document at the very words. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { search } from './store.js';
import { Marked } from './marked.js';

const PAUSE = 300; // ms without a key before the server is asked

/** @param {{query: string, within: string|null}} props */
export function SearchView({ query, within }) {
  const hits = useSignal(/** @type {import('./store.js').Hit[]|null} */ (null));
  const newest = useRef(0);
  useEffect(() => {
    const mine = ++newest.current;
    const timer = setTimeout(() => attempt(async () => {
      const found = await search(query, within);
      if (mine === newest.current) hits.value = found;
    }), PAUSE);
    return () => clearTimeout(timer);
  }, [query, within]);
  if (!hits.value) return html`<div class="opening"><span class="spinner" aria-hidden="true"></span></div>`;
  return html`
    <p class="quiet" role="status">${hits.value.length ? t('documents.found', { n: hits.value.length }) : t('documents.nothing')}</p>
    <ol class="documents-hits">
      ${hits.value.map((hit) => html`<li key=${`${hit.document_id}:${hit.start}`}>
        <a href=${`/documents/file/${hit.document_id}?at=${hit.start}-${hit.end}`}>${hit.title || hit.name}</a>
        <p class="quiet">${[hit.place, ...hit.headings].filter(Boolean).join(' › ')}</p>
        <p class="documents-words"><${Marked} text=${hit.text} ranges=${hit.matches} /></p></li>`)}
    </ol>`;
}
