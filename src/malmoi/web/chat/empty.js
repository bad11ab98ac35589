/** The first page of a conversation: a greeting and a few ways to begin. */
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { Mark } from '../shell/icons.js';
import { chosenPersona } from './store.js';
import { send } from './conversation.js';
import { TemplateGallery } from './template-gallery.js';

const SUGGESTIONS = ['write', 'learn', 'code', 'translate'];

export function Empty() {
  const persona = chosenPersona.value;
  return html`
    <section class="empty" aria-labelledby="empty-title">
      <${Mark} />
      <h1 id="empty-title">${persona ? t('empty.with_persona', { name: said(persona.name) }) : t('empty.title')}</h1>
      ${persona?.description && html`<p class="lead">${said(persona.description)}</p>`}
      <ul class="suggestions">${SUGGESTIONS.map((name) => html`
        <li key=${name}><button type="button" onClick=${() => send(t(`empty.${name}_text`))}>
          <strong>${t(`empty.${name}`)}</strong><span>${t(`empty.${name}_text`)}</span></button></li>`)}</ul>
      <${TemplateGallery} />
    </section>`;
}
