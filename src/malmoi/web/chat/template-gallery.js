/** The templates on the first page, and the ways to begin under a template's first words. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { chosenPersona, templates } from './store.js';
import { live, send, waiting } from './conversation.js';
import { TemplateForm } from './template-form.js';
import { begin } from './templates.js';

export function TemplateGallery() {
  const filling = useSignal(/** @type {import('./templates.js').Template|null} */ (null));
  const starting = useSignal(false);
  const offered = templates.value.filter((template) => template.kind === 'template');
  if (!offered.length) return null;
  const open = async (/** @type {import('./templates.js').Template} */ template) => {
    if (template.fields.length || template.skills.length) { filling.value = template; return; }
    if (starting.value) return;
    starting.value = true;
    await attempt(() => begin(template, {}));
    starting.value = false;
  };
  return html`
    <section class="templates" aria-labelledby="templates-title">
      <h2 id="templates-title">${t('template.title')}</h2>
      <ul class="template-cards">${offered.map((template) => html`
        <li key=${template.id}><button type="button" aria-haspopup=${template.fields.length ? 'dialog' : undefined} disabled=${starting.value} onClick=${() => open(template)}>
          <strong>${said(template.name)}</strong><span>${said(template.description)}</span></button></li>`)}</ul>
    </section>
    ${filling.value && html`<${TemplateForm} template=${filling.value} onClose=${() => { filling.value = null; }} />`}`;
}

export function Starters() {
  const template = templates.value.find((item) => item.id === chosenPersona.value?.id);
  if (!template?.starters.length || live.value || waiting.value) return null;
  return html`
    <ul class="starters" aria-label=${t('template.starters')}>${template.starters.map((starter) => html`
      <li key=${starter.en}><button type="button" class="button small" onClick=${() => send(said(starter))}>${said(starter)}</button></li>`)}</ul>`;
}
