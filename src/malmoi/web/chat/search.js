/** Search in everything said: opens with Ctrl or Cmd + K, shows where words were found, goes to the message. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { day } from '../shell/format.js';
import { explain, get } from '../shell/api.js';
import { navigate } from '../shell/router.js';
import { Icon } from '../shell/icons.js';
import { Dialog } from '../shell/dialog.js';
import { conversations } from './store.js';

/**
 * Cut a snippet into plain and found parts; ranges may overlap or lie outside and are put right.
 * @param {string} snippet @param {[number, number][]} ranges
 * @returns {{text: string, found: boolean}[]}
 */
export function marked(snippet, ranges) {
  const parts = [];
  let at = 0;
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const from = Math.max(at, Math.min(start, snippet.length));
    const to = Math.min(end, snippet.length);
    if (to <= from) continue;
    if (from > at) parts.push({ text: snippet.slice(at, from), found: false });
    parts.push({ text: snippet.slice(from, to), found: true });
    at = to;
  }
  if (at < snippet.length) parts.push({ text: snippet.slice(at), found: false });
  return parts;
}

/** @param {{onClose: () => void}} props */
export function Search({ onClose }) {
  const box = useRef(/** @type {HTMLInputElement|null} */ (null));
  const query = useSignal('');
  const items = useSignal(/** @type {any[]|null} */ (null));
  const failed = useSignal('');
  const at = useSignal(0);

  useEffect(() => { box.current?.focus(); }, []);
  useEffect(() => {
    const words = query.value.trim();
    if (!words) { items.value = null; failed.value = ''; return undefined; }
    const timer = setTimeout(async () => {
      try {
        const answer = await get(`/chat/search?limit=30&q=${encodeURIComponent(words)}`);
        if (query.value.trim() === words) { items.value = answer.items; at.value = 0; failed.value = ''; }
      } catch (error) {
        failed.value = explain(error, t).text;
      }
    }, 120);
    return () => clearTimeout(timer);
  }, [query.value]);

  // Before the first answer to a word the list is empty: the latest conversations are no results.
  const searching = Boolean(query.value.trim()) && !items.value && !failed.value;
  const found = items.value ?? (query.value.trim() ? [] : conversations.value.slice(0, 8).map((item) => (
    { conversation_id: item.id, title: item.title, message_id: null, snippet: '', ranges: [], created_at: item.updated_at })));
  const go = (/** @type {any} */ item) => {
    if (!item) return;
    onClose();
    navigate(`/chat/${item.conversation_id}${item.message_id ? `?m=${encodeURIComponent(item.message_id)}` : ''}`);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing) return;
    if (event.key === 'Escape') { // a search field would take it to empty itself
      event.preventDefault();
      onClose();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      at.value = (at.value + step + found.length) % found.length;
      document.getElementById(`found-${at.value}`)?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter') {
      event.preventDefault();
      go(found[at.value]);
    }
  };
  return html`
    <${Dialog} title=${t('search.title')} onClose=${onClose} className="search-dialog">
      <div class="search-box"><${Icon} name="search" />
        <input ref=${box} type="search" role="combobox" aria-expanded=${String(found.length > 0)} aria-controls="search-results" aria-autocomplete="list"
          aria-activedescendant=${found.length ? `found-${at.value}` : undefined}
          aria-label=${t('search.title')} placeholder=${t('search.placeholder')} onInput=${(event) => { query.value = event.currentTarget.value; }} onKeyDown=${onKeyDown} /></div>
      ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
      <p class="visually-hidden" role="status">${items.value ? t('search.count', { n: items.value.length }) : ''}</p>
      ${searching && html`<p class="search-none"><span class="spinner" aria-hidden="true"></span></p>`}
      ${items.value && !items.value.length && html`<p class="quiet search-none">${t('search.none', { words: query.value.trim() })}</p>`}
      <ul id="search-results" class="search-results" role="listbox" aria-label=${t('search.results')}>
        ${found.map((item, index) => html`
          <li id=${`found-${index}`} key=${`${item.conversation_id}-${item.message_id}`} role="option" aria-selected=${String(index === at.value)}
            onPointerMove=${() => { at.value = index; }} onClick=${() => go(item)}>
            <div class="found-head"><strong>${item.title || t('conversation.untitled')}</strong><time>${day(item.created_at)}</time></div>
            ${item.snippet && html`<p>${marked(item.snippet, item.ranges).map((part) => (part.found ? html`<mark>${part.text}</mark>` : part.text))}</p>`}
          </li>`)}
      </ul>
    <//>`;
}
