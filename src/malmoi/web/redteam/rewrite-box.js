/** The box for a safe and helpful answer. What is typed is saved by itself, here at once and on the server soon. */
import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { readDraft, writeDraft } from '../chat/drafts.js';
import { saveRewrite, skipRewrite } from './open-session.js';
import { whole } from './scoring.js';

const SOON = 700;

/** @param {{turn: import('./scoring.js').Turn, canSkip: boolean, onDone: () => void}} props */
export function RewriteBox({ turn, canSkip, onDone }) {
  const key = `redteam.rewrite.${turn.id}`;
  const text = useSignal(readDraft(key) || turn.rewrite?.content || '');
  const state = useSignal(/** @type {'kept'|'saving'|'local'} */ ('kept'));
  const timer = useRef(0);
  const box = useRef(/** @type {HTMLTextAreaElement|null} */ (null));

  const save = async (/** @type {boolean} */ isDone) => {
    clearTimeout(timer.current);
    const sent = text.value;
    state.value = 'saving';
    const saved = await attempt(() => saveRewrite(turn, sent, isDone));
    if (text.value !== sent) return saved; // more was typed meanwhile; its own save follows
    state.value = saved ? 'kept' : 'local';
    if (saved) writeDraft(key, '');
    return saved;
  };
  const onInput = (/** @type {string} */ value) => {
    text.value = value;
    writeDraft(key, value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => save(Boolean(turn.rewrite?.is_done && value.trim())), SOON);
  };
  // A draft that an earlier page could not send goes out now.
  useEffect(() => {
    if (readDraft(key) && readDraft(key) !== turn.rewrite?.content) save(false);
    return () => clearTimeout(timer.current);
  }, [turn.id]);
  const done = async () => { if (text.value.trim() && await save(true)) onDone(); };
  const best = whole(turn).toSorted((a, b) => Number(b.score.overall) - Number(a.score.overall))[0];
  return html`
    <section class="rewrite" aria-label=${t('redteam.rewrite')}>
      <h3>${t('redteam.rewrite')}</h3><p class="quiet">${t('redteam.rewrite_help')}</p>
      <textarea ref=${box} name="rewrite" rows="5" aria-label=${t('redteam.rewrite')} placeholder=${t('redteam.rewrite_placeholder')} value=${text.value}
        onInput=${(event) => onInput(event.currentTarget.value)}
        onKeyDown=${(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.isComposing) { event.preventDefault(); done(); }
          if (event.key === 'Escape') box.current?.blur();
        }}></textarea>
      ${turn.rewrite?.warnings.includes('refusal') && html`<div class="banner" role="status"><div><strong>${t('redteam.refusal')}</strong><span>${t('redteam.refusal_help')}</span></div></div>`}
      <div class="rewrite-actions">
        <button type="button" class="button primary small" disabled=${!text.value.trim()} onClick=${done}>${t('redteam.rewrite_done')}</button>
        ${!text.value && best && html`<button type="button" class="button small" onClick=${() => { onInput(best.content); box.current?.focus(); }}>${t('redteam.rewrite_from', { label: best.label })}</button>`}
        ${canSkip && !turn.rewrite?.is_done && html`<button type="button" class="link" onClick=${() => { skipRewrite(turn.id); onDone(); }}>${t('redteam.rewrite_skip')}</button>`}
        <span class="quiet" role="status">${turn.rewrite?.is_done && state.value === 'kept' ? t('redteam.rewrite_kept') : state.value === 'saving' ? t('redteam.saving') : state.value === 'local' ? t('redteam.saved_here') : text.value ? t('redteam.draft_kept') : ''}</span>
      </div>
    </section>`;
}
