/** Short messages at the foot of the page: what was done, with a way back, or what went wrong. */
import { signal } from '@preact/signals';
import { explain } from './api.js';
import { t } from './i18n.js';
import { html } from './view.js';
import { Icon } from './icons.js';

/** @typedef {{id: number, text: string, fix?: string, kind: 'done'|'error', action?: {label: string, run: () => void}}} Notice */

const notices = signal(/** @type {Notice[]} */ ([]));
/** Words that only a screen reader gets, such as "the reply is complete". */
export const announcement = signal('');
let count = 0;

/** @param {number} id */
const drop = (id) => { notices.value = notices.value.filter((notice) => notice.id !== id); };

/**
 * @param {string} text
 * @param {{kind?: 'done'|'error', fix?: string, seconds?: number, action?: {label: string, run: () => void}}} [options]
 */
export function notify(text, { kind = 'done', fix = '', seconds = kind === 'error' ? 12 : 6, action } = {}) {
  const id = ++count;
  notices.value = [...notices.value.slice(-2), { id, text, fix, kind, action }];
  setTimeout(() => drop(id), seconds * 1000);
}

/** Tell a person about a failed call. @param {unknown} error */
export function complain(error) {
  const { text, fix, retryAfter } = explain(error, t);
  notify(text, { kind: 'error', fix: retryAfter ? t('error.retry_in', { n: retryAfter }) : fix });
}

/** Run an action; a failure becomes a notice. @template T @param {() => Promise<T>} action @returns {Promise<T|undefined>} */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    complain(error);
    return undefined;
  }
}

export function Notices() {
  return html`
    <div class="notices" role="status" aria-live="polite">
      ${notices.value.map((notice) => html`
        <div class=${`notice ${notice.kind}`} key=${notice.id}>
          <${Icon} name=${notice.kind === 'error' ? 'alert' : 'check'} />
          <div class="notice-text"><span>${notice.text}</span>${notice.fix && html`<small>${notice.fix}</small>`}</div>
          ${notice.action && html`<button class="link" onClick=${() => { drop(notice.id); notice.action?.run(); }}>${notice.action.label}</button>`}
          <button class="icon-button small" aria-label=${t('action.close')} onClick=${() => drop(notice.id)}><${Icon} name="close" /></button>
        </div>`)}
    </div>
    <div class="visually-hidden" role="status" aria-live="polite">${announcement.value}</div>`;
}
