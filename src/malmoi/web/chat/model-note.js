/** One line over the box when the chosen model is not ready: it loads, it downloads, it failed. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { chosenModel } from './store.js';

export function ModelNote() {
  const model = chosenModel.value;
  if (!model || model.state === 'ready' || model.state === 'installed') return null;
  if (model.state === 'loading') {
    return html`<div class="banner" role="status"><span class="spinner" aria-hidden="true"></span><div>${t('model.note_loading', { model: model.title })}</div></div>`;
  }
  const error = model.error ?? model.download?.error;
  const text = model.state === 'downloading' ? t('model.note_downloading', { model: model.title })
    : model.state === 'failed' ? t('model.note_failed', { model: model.title }) : t('model.note_absent', { model: model.title });
  return html`<div class=${`banner ${model.state === 'failed' ? 'error' : ''}`} role="status">${model.state === 'downloading' ? html`<span class="spinner" aria-hidden="true"></span>` : html`<${Icon} name="alert" />`}
    <div><strong>${text}</strong>${error && html`<span>${error.message} ${error.fix}</span>`}</div></div>`;
}
