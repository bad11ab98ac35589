/** Who answers: a persona is a name, a description and instructions that the model follows. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { attempt } from '../shell/notices.js';
import { savePreferences } from '../shell/state.js';
import { Icon } from '../shell/icons.js';
import { MenuItem, Popover } from '../shell/popover.js';
import { choose, chosenPersona, current, personas } from './store.js';
import { PersonaEditor } from './persona-editor.js';

export function PersonaPicker() {
  const editing = useSignal(/** @type {any} */ (null));
  const persona = chosenPersona.value;
  const button = html`<${Icon} name="person" /><span class="picker-text">${said(persona?.name) || t('persona.none')}</span>`;
  /** @param {string|null} id */
  const pick = (id) => attempt(async () => {
    await choose({ persona_id: id });
    if (!current.value?.conversation) await savePreferences({ persona_id: id });
  });
  return html`
    <${Popover} menu label=${t('persona.choose', { name: said(persona?.name) || t('persona.none') })} title=${t('persona.title')} className="picker persona" panelClass="menu" button=${button}>
      ${(/** @type {() => void} */ close) => html`
        <${MenuItem} checked=${!persona} onClick=${() => { pick(null); close(); }}>${t('persona.none')}<//>
        ${personas.value.filter((item) => item.kind !== 'template' || item.id === persona?.id).map((item) => html`<${MenuItem} key=${item.id} checked=${item.id === persona?.id}
          onClick=${() => { pick(item.id); close(); }}>${said(item.name)}<small>${said(item.description)}</small><//>`)}
        <hr />
        ${persona && !persona.builtin && html`<${MenuItem} icon=${html`<${Icon} name="edit" />`} onClick=${() => { close(); editing.value = persona; }}>${t('persona.edit')}<//>`}
        <${MenuItem} icon=${html`<${Icon} name="plus" />`} onClick=${() => { close(); editing.value = persona?.builtin ? { ...persona, id: null, name: '' } : {}; }}>${t('persona.new')}<//>`}
    <//>
    ${editing.value && html`<${PersonaEditor} persona=${editing.value} onClose=${() => { editing.value = null; }}
      onSaved=${(/** @type {any} */ saved) => pick(saved.id)} />`}`;
}
