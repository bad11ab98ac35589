/** Many queries: one is run after another, and each becomes a draft. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { ApiError, explain, post } from '../shell/api.js';
import { complain } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { navigate } from '../shell/router.js';
import { number } from '../shell/format.js';
import { model, on, shown } from './bench.js';
import { follow, here } from './running.js';
import { path, refresh } from './store.js';

const MOST = 200;
/** @param {number} seconds */
const pause = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

/** @param {{set: import('./store.js').SkillSet, onClose: () => void}} props */
export function ManyQueries({ set, onClose }) {
  const text = useSignal('');
  const done = useSignal(0);
  const total = useSignal(0);
  const failed = useSignal(/** @type {string[]} */ ([]));
  const state = useSignal(/** @type {'ready'|'busy'|'over'} */ ('ready'));
  const stopping = useRef(new AbortController());
  useEffect(() => () => stopping.current.abort(), []);
  const lines = [...new Set(text.value.split('\n').map((line) => line.trim()).filter(Boolean))].slice(0, MOST);

  /** @param {string} query @param {AbortSignal} signal */
  async function one(query, signal) {
    for (;;) {
      try {
        const run = await follow(path(set.id, '/runs'), { query: query.slice(0, 4000), skills: on.value, shown: shown.value, model: model.value, ...here() }, () => {}, signal);
        await post(path(set.id, '/rows'), { run_id: run.runId });
        return;
      } catch (error) {
        if (signal.aborted || !(error instanceof ApiError) || !error.retryAfter) throw error;
        await pause(Math.min(error.retryAfter, 30));
      }
    }
  }
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { signal } = stopping.current;
    state.value = 'busy'; total.value = lines.length; done.value = 0;
    for (const query of lines) {
      if (signal.aborted) break;
      try { await one(query, signal); } catch (error) { if (!signal.aborted) failed.value = [...failed.value, `${query}: ${explain(error, t).text}`]; }
      done.value += 1;
    }
    state.value = 'over';
    try { await refresh(set.id); } catch (error) { complain(error); }
  };
  return html`
    <${Dialog} title=${t('trainer.many')} onClose=${onClose}>
      ${state.value === 'ready' ? html`<form class="form" onSubmit=${start}>
          <label>${t('trainer.many_label')}<textarea rows="8" value=${text.value} autofocus onInput=${(/** @type {any} */ event) => { text.value = event.currentTarget.value; }}></textarea><small>${t('trainer.many_about', { n: MOST })}</small></label>
          <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button><button class="button primary" disabled=${!lines.length}>${t('trainer.many_run', { n: number(lines.length) })}</button></div></form>`
        : html`<p role="status">${t('trainer.many_done', { done: number(done.value), total: number(total.value) })}</p><progress max=${total.value} value=${done.value} aria-label=${t('trainer.many')}></progress>
          ${failed.value.length > 0 && html`<ul class="field-error">${failed.value.map((told) => html`<li key=${told}>${told}</li>`)}</ul>`}
          <div class="dialog-actions">${state.value === 'busy' ? html`<button type="button" class="button" onClick=${() => { stopping.current.abort(); state.value = 'over'; refresh(set.id).catch(() => {}); }}>${t('trainer.stop')}</button>`
            : html`<button type="button" class="button primary" onClick=${() => { onClose(); navigate(`/trainer/${set.id}/rows?status=draft`); }}>${t('trainer.to_drafts')}</button>`}</div>`}
    <//>`;
}
