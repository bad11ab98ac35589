/** The models of this server: state, size, licence, download. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { bytes, number } from '../shell/format.js';
import { models } from '../shell/state.js';
import { about } from '../chat/model-about.js';
import { DownloadState } from '../chat/download-state.js';

export function Models() {
  return html`
    <p class="quiet">${t('models.lead')}</p>
    <div class="model-cards">${(models.value ?? []).map((model) => html`
      <article class="card" key=${model.name}>
        <header><h3>${model.title}</h3>${model.default && html`<span class="tag">${t('models.default')}</span>`}${model.base && html`<span class="tag plain">${t('model.base')}</span>`}
          <span class=${`state ${model.state}`}>${t(`model.state_${model.state}`)}</span></header>
        <p>${about(model)}</p>
        <dl>
          ${model.size_bytes > 0 && html`<div><dt>${t('first.disk')}</dt><dd>${bytes(model.size_bytes)}</dd></div>`}
          ${model.license && html`<div><dt>${t('first.license')}</dt><dd>${model.license}</dd></div>`}
          ${model.context_length && html`<div><dt>${t('models.context')}</dt><dd>${t('models.tokens', { n: number(model.context_length) })}</dd></div>`}
        </dl>
        <${DownloadState} model=${model} />
      </article>`)}</div>`;
}
