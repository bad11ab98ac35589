/** What a reply rests on: its sources, what no source supports, and better queries. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { addressOf } from './citations.js';
import { live, send, waiting } from './conversation.js';

/** The best sentences of the documents, while the model still reads. @param {{extract: import('./citations.js').Grounds['extract']}} props */
export function Extract({ extract }) {
  if (!extract) return null;
  return html`<aside class="extract" aria-label=${t('sources.extract')}><p class="quiet">${t('sources.extract')}</p>
    ${extract.citations.map((citation) => html`<blockquote key=${citation.start}>${citation.quote} <a class="cite" href=${addressOf(citation)} aria-label=${t('sources.open', { n: citation.number })}>${citation.number}</a></blockquote>`)}</aside>`;
}

/** @param {{grounds: import('./citations.js').Grounds}} props */
export function Sources({ grounds }) {
  const cited = new Set(grounds.citations.map((citation) => citation.number));
  const used = grounds.sources.filter((source) => cited.has(source.number));
  const busy = Boolean(live.value) || waiting.value;
  // Better queries are for what was not answered: an answer that stands on its sources needs none.
  const isOpen = !grounds.citations.length || grounds.unsupported.length > 0;
  return html`
    ${grounds.unsupported.length > 0 && html`<p class="unsupported"><${Icon} name="alert" />${t('sources.unsupported', { n: grounds.unsupported.length })}</p>`}
    ${used.length > 0 && html`<section class="sources" aria-label=${t('sources.title')}><h3>${t('sources.title')}</h3>
      <ol>${used.map((source) => html`<li key=${source.number} value=${source.number}><a href=${addressOf(source)}>${source.title}</a>
        <span class="quiet">${[source.place, ...source.headings].filter(Boolean).join(' › ')}</span></li>`)}</ol></section>`}
    ${isOpen && grounds.suggestions.length > 0 && html`<section class="better" aria-label=${t('sources.better')}><p class="quiet">${t('sources.better')}</p>
      ${grounds.suggestions.map((query) => html`<button key=${query} type="button" class="button small" disabled=${busy} onClick=${() => send(query)}>${query}</button>`)}</section>`}`;
}
