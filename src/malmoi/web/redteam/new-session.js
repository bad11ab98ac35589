/** The questions before an attack: what, how, against which models. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { language, said, t } from '../shell/i18n.js';
import { post } from '../shell/api.js';
import { attempt } from '../shell/notices.js';
import { navigate } from '../shell/router.js';
import { models, runnable } from '../shell/state.js';
import { Dialog } from '../shell/dialog.js';
import { strategies, topics } from './store.js';

const KEPT = 'malmoi.redteam.models';
const MOST = 6;

/** The models that were attacked last, as far as they are still there. @param {string[]} known @returns {string[]} */
function lastModels(known) {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? '[]').filter((/** @type {string} */ name) => known.includes(name));
    return kept.length ? kept : known.slice(0, 2);
  } catch { return known.slice(0, 2); }
}

/** @param {{cell: {topic: string, strategy: string}, onClose: () => void}} props */
export function NewSession({ cell, onClose }) {
  const able = (models.value ?? []).filter((model) => runnable(model) && (!model.capabilities?.length || model.capabilities.includes('chat')));
  const topic = useSignal(cell.topic);
  const strategy = useSignal(cell.strategy);
  const subtopic = useSignal('');
  const spoken = useSignal(language.value);
  const chosen = useSignal(lastModels(able.map((model) => model.name)));
  const busy = useSignal(false);
  const begin = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (!chosen.value.length || busy.value) return;
    busy.value = true;
    await attempt(async () => {
      const made = await post('/redteam/sessions', {
        topic: topic.value, subtopic: subtopic.value, strategy: strategy.value, language: spoken.value, models: chosen.value });
      try { localStorage.setItem(KEPT, JSON.stringify(chosen.value)); } catch { /* it is only a convenience */ }
      onClose();
      navigate(`/redteam/${made.session.id}`);
    });
    busy.value = false;
  };
  const toggle = (/** @type {string} */ name) => {
    chosen.value = chosen.value.includes(name) ? chosen.value.filter((item) => item !== name) : [...chosen.value, name].slice(0, MOST);
  };
  return html`
    <${Dialog} title=${t('redteam.new')} onClose=${onClose}>
      <form class="form" onSubmit=${begin}>
        <label>${t('redteam.topic')}<select autofocus value=${topic.value} onChange=${(event) => { topic.value = event.currentTarget.value; subtopic.value = ''; }}>
          ${[...topics.value.values()].map((item) => html`<option key=${item.id} value=${item.id}>${said(item.title)}</option>`)}</select>
          <small>${said(topics.value.get(topic.value)?.description)}</small></label>
        <label>${t('redteam.subtopic')}<select value=${subtopic.value} onChange=${(event) => { subtopic.value = event.currentTarget.value; }}>
          <option value="">${t('redteam.subtopic_any')}</option>
          ${topics.value.get(topic.value)?.subtopics.map((/** @type {any} */ item) => html`<option key=${item.id} value=${item.id}>${said(item.title)}</option>`)}</select></label>
        <label>${t('redteam.strategy')}<select value=${strategy.value} onChange=${(event) => { strategy.value = event.currentTarget.value; }}>
          ${[...strategies.value.values()].map((item) => html`<option key=${item.id} value=${item.id}>${said(item.title)}</option>`)}</select>
          <small>${said(strategies.value.get(strategy.value)?.description)}</small></label>
        <label>${t('redteam.language')}<select value=${spoken.value} onChange=${(event) => { spoken.value = event.currentTarget.value; }}>
          <option value="ko">한국어</option><option value="en">English</option></select></label>
        <fieldset class="choice"><legend>${t('redteam.models')}</legend>
          ${able.length === 0 && html`<p class="field-error">${t('redteam.models_none')}</p>`}
          ${able.map((model) => html`<label key=${model.name} class="check"><input type="checkbox" checked=${chosen.value.includes(model.name)} onChange=${() => toggle(model.name)} /><span>${model.title || model.name}</span></label>`)}
          <small>${t('redteam.models_help')}</small></fieldset>
        <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button>
          <button type="submit" class="button primary" disabled=${busy.value || !chosen.value.length}>${t('redteam.begin')}</button></div>
      </form>
    <//>`;
}
