/** Which model answers: its state, size and licence, and the way to get one that is not here yet. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { bytes } from '../shell/format.js';
import { models, preferences, runnable, savePreferences } from '../shell/state.js';
import { attempt } from '../shell/notices.js';
import { Icon } from '../shell/icons.js';
import { Popover } from '../shell/popover.js';
import { choose, chosenModel, current } from './store.js';
import { about } from './model-about.js';
import { DownloadState } from './download-state.js';

/** @typedef {import('../shell/state.js').Model} Model */

/** @param {{model: Model, chosen: boolean, onChoose: () => void}} props */
function ModelRow({ model, chosen, onChoose }) {
  const facts = [model.size_bytes ? bytes(model.size_bytes) : null, model.license].filter(Boolean).join(' · ');
  const id = `model-${model.name}`;
  return html`
    <li class=${`model-row ${chosen ? 'chosen' : ''}`}>
      <label class="model-choice">
        <input type="radio" name="model" checked=${chosen} disabled=${!runnable(model)} aria-describedby=${id} onChange=${onChoose} />
        <span class="model-title">${model.title}${model.base && html`<span class="tag">${t('model.base')}</span>`}</span>
        <span class=${`state ${model.state}`}>${t(`model.state_${model.state}`)}</span>
      </label>
      <p id=${id} class="model-facts">${about(model)}${model.description && html`<br />`}${facts}</p>
      <${DownloadState} model=${model} />
    </li>`;
}

export function ModelPicker() {
  const model = chosenModel.value;
  const button = html`<span class=${`dot ${model?.state ?? ''}`} aria-hidden="true"></span><span class="picker-text">${model?.title ?? t('model.none')}</span><${Icon} name="down" />`;
  /** @param {string} name */
  const pick = (name) => attempt(async () => {
    await choose({ model: name });
    if (!current.value?.conversation || !preferences.value.model) await savePreferences({ model: name });
  });
  return html`
    <${Popover} label=${t('model.choose', { model: model?.title ?? '' })} title=${t('model.title')} className="picker" panelClass="models-panel" button=${button}>
      ${(/** @type {() => void} */ close) => html`
        <h2>${t('model.title')}</h2>
        <ul class="model-list">${(models.value ?? []).map((item) => html`
          <${ModelRow} key=${item.name} model=${item} chosen=${item.name === model?.name} onChoose=${() => { pick(item.name); close(); }} />`)}</ul>`}
    <//>`;
}
