/** All personas: those that came with Malmoi can be copied, one's own can be changed. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { Icon } from '../shell/icons.js';
import { personas } from '../chat/store.js';
import { PersonaEditor } from '../chat/persona-editor.js';

export function Personas() {
  const editing = useSignal(/** @type {any} */ (null));
  return html`
    <p class="quiet">${t('persona.lead')}</p>
    <p><button type="button" class="button primary" onClick=${() => { editing.value = {}; }}><${Icon} name="plus" />${t('persona.new')}</button></p>
    <ul class="lines">${personas.value.filter((persona) => persona.kind !== 'template').map((persona) => html`
      <li key=${persona.id}><div><strong>${said(persona.name)}</strong>${persona.builtin && html` <span class="tag plain">${t('persona.builtin')}</span>`}<p class="quiet">${said(persona.description)}</p></div>
        <button type="button" class="button small" aria-label=${`${persona.builtin ? t('persona.copy') : t('persona.edit')}: ${said(persona.name)}`}
          onClick=${() => { editing.value = persona.builtin ? { ...persona, id: null } : persona; }}>${persona.builtin ? t('persona.copy') : t('persona.edit')}</button></li>`)}</ul>
    ${editing.value && html`<${PersonaEditor} persona=${editing.value} onClose=${() => { editing.value = null; }} />`}`;
}
