/** Recommended items, and which events speak for each. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { number } from '../shell/format.js';

/** @param {{items: import('./store.js').Item[]}} props */
export function Items({ items }) {
  if (!items.length) return html`<p class="quiet">${t('users.no_items')}</p>`;
  return html`<ol class="users-items">${items.map((item) => html`
    <li key=${`${item.service}/${item.item}`}>
      <p><strong>${item.text}</strong> <span class="tag plain">${item.service}</span> <span class="quiet">${t('users.score', { n: number(item.score, 3) })}</span></p>
      ${item.why.length > 0 && html`<p class="quiet users-why">${t('users.because')}</p>
        <ul class="users-reasons">${item.why.map((reason) => html`<li key=${reason.event}>${reason.text} <span class="quiet">${t('users.drop', { n: number(reason.drop, 3) })}</span></li>`)}</ul>`}
    </li>`)}</ol>`;
}
