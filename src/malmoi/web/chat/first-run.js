/** Before the first model is here: which one to fetch, how far it is, and what to do when it fails. */
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { bytes, languageName } from '../shell/format.js';
import { models } from '../shell/state.js';
import { Mark } from '../shell/icons.js';
import { about } from './model-about.js';
import { DownloadState } from './download-state.js';

export function FirstRun() {
  const offered = (models.value ?? []).toSorted((a, b) => Number(b.default) - Number(a.default));
  const active = offered.find((model) => model.state === 'downloading');
  return html`
    <section class="first-run" aria-labelledby="first-run-title">
      <${Mark} />
      <h1 id="first-run-title">${active ? t('first.title_active') : t('first.title')}</h1>
      <p class="lead">${active ? t('first.lead_active') : t('first.lead')}</p>
      <div class="model-cards">${offered.map((model) => html`
        <article class=${`card ${model.default ? 'recommended' : ''}`} key=${model.name}>
          <header><h2>${model.title}</h2>${model.default && html`<span class="tag">${t('first.recommended')}</span>`}${model.base && html`<span class="tag plain">${t('model.base')}</span>`}</header>
          <p>${about(model)}</p>
          ${model.base && html`<p class="quiet">${t('first.base_note')}</p>`}
          <dl>
            <div><dt>${t('first.disk')}</dt><dd>${bytes(model.size_bytes)}</dd></div>
            <div><dt>${t('first.license')}</dt><dd>${model.license}</dd></div>
            <div><dt>${t('first.languages')}</dt><dd>${(model.languages ?? []).map(languageName).join(', ')}</dd></div>
          </dl>
          <${DownloadState} model=${model} primary=${model.default} />
        </article>`)}</div>
      <p class="quiet">${t('first.private')}</p>
    </section>`;
}
