/** Make or change a persona. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { explain } from '../shell/api.js';
import { models } from '../shell/state.js';
import { Dialog } from '../shell/dialog.js';
import { deletePersona, savePersona } from './store.js';

/** @param {{persona: any, onClose: () => void, onSaved?: (persona: any) => void}} props */
export function PersonaEditor({ persona, onClose, onSaved = () => {} }) {
  const failed = useSignal('');
  const save = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const text = (/** @type {string} */ name) => String(data.get(name) ?? '').trim();
    try {
      onSaved(await savePersona({
        ...(persona.id ? { id: persona.id } : {}), name: text('name'), description: text('description'),
        system_prompt: text('system_prompt'), model: text('model') || null, sampling: persona.sampling ?? {},
      }));
      onClose();
    } catch (error) {
      const { text: what, fix } = explain(error, t);
      failed.value = `${what} ${fix}`;
    }
  };
  return html`
    <${Dialog} title=${persona.id ? t('persona.edit') : t('persona.new')} onClose=${onClose}>
      <form class="form" onSubmit=${save}>
        <label>${t('persona.name')}<input name="name" required maxlength="80" value=${said(persona.name)} autofocus /></label>
        <label>${t('persona.description')}<input name="description" maxlength="200" value=${said(persona.description)} /></label>
        <label>${t('persona.prompt')}<textarea name="system_prompt" rows="7" maxlength="20000" defaultValue=${said(persona.system_prompt)}></textarea>
          <small>${t('persona.prompt_help')}</small></label>
        <label>${t('persona.model')}<select name="model" value=${persona.model ?? ''}><option value="">${t('persona.any_model')}</option>
          ${(models.value ?? []).map((model) => html`<option key=${model.name} value=${model.name}>${model.title}</option>`)}</select></label>
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div class="dialog-actions">
          ${persona.id && html`<button type="button" class="button danger quiet" onClick=${() => { onClose(); deletePersona(persona.id); }}>${t('action.delete')}</button>`}
          <span class="grow"></span>
          <button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button>
          <button type="submit" class="button primary">${t('action.save')}</button>
        </div>
      </form>
    <//>`;
}
