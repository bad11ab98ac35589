/** What is filled in before a conversation begins from a template. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { said, t } from '../shell/i18n.js';
import { explain } from '../shell/api.js';
import { Dialog } from '../shell/dialog.js';
import { skillName } from './skills.js';
import { begin } from './templates.js';

/** @param {{field: import('./templates.js').Field, first: boolean}} props */
function Field({ field, first }) {
  const hint = field.hint ? said(field.hint) : '';
  const label = html`${said(field.label)}${field.required && html` <span class="required" aria-hidden="true">*</span>`}`;
  if (field.kind === 'choice') {
    return html`<label>${label}<select name=${field.id} autofocus=${first}>${field.choices.map((choice) => html`
      <option key=${choice.value} value=${choice.value} selected=${choice.value === field.default}>${said(choice.label)}</option>`)}</select></label>`;
  }
  if (field.kind === 'text') {
    return html`<label>${label}<textarea name=${field.id} rows="5" maxlength=${field.length} required=${field.required} placeholder=${hint} defaultValue=${field.default} autofocus=${first}></textarea></label>`;
  }
  if (field.kind === 'number') {
    return html`<label>${label}<input name=${field.id} type="number" inputmode="numeric" min=${field.lowest} max=${field.highest} step="1" required=${field.required} placeholder=${hint} defaultValue=${field.default} autofocus=${first} /></label>`;
  }
  return html`<label>${label}<input name=${field.id} type="text" maxlength=${field.length} required=${field.required} placeholder=${hint} defaultValue=${field.default} autofocus=${first} /></label>`;
}

/** @param {{template: import('./templates.js').Template, onClose: () => void}} props */
export function TemplateForm({ template, onClose }) {
  const failed = useSignal('');
  const busy = useSignal(false);
  const start = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (busy.value) return;
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const values = Object.fromEntries(template.fields.map((field) => [field.id, String(data.get(field.id) ?? '').trim()]).filter(([, value]) => value));
    busy.value = true;
    try {
      await begin(template, values);
      onClose();
    } catch (error) {
      const { text, fix } = explain(error, t);
      failed.value = `${text} ${fix}`;
    } finally {
      busy.value = false;
    }
  };
  return html`
    <${Dialog} title=${said(template.name)} onClose=${onClose}>
      <form class="form" onSubmit=${start}>
        <p class="quiet">${said(template.description)}</p>
        ${template.fields.map((field, place) => html`<${Field} key=${field.id} field=${field} first=${place === 0} />`)}
        ${template.skills.length > 0 && html`<p class="quiet template-skills">${t('template.skills')} ${template.skills.map((skill) => html`<span key=${skill.name} class=${`tag ${skill.installed ? '' : 'plain'}`}>${skill.installed ? skillName(skill.name) : t('template.missing', { name: skill.name })}</span> `)}</p>`}
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div class="dialog-actions">
          <span class="grow"></span>
          <button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button>
          <button type="submit" class="button primary" disabled=${busy.value}>${t('template.begin')}</button>
        </div>
      </form>
    <//>`;
}
