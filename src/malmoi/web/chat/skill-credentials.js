/** What a skill needs of a person: given once, kept sealed by the server, never shown again. */
import { useSignal } from '@preact/signals';
import { html } from '../shell/view.js';
import { t } from '../shell/i18n.js';
import { explain, put, remove } from '../shell/api.js';
import { notify } from '../shell/notices.js';
import { Dialog } from '../shell/dialog.js';
import { inLanguage, loadSkills, nameOf } from './skills.js';

/** @param {{skill: import('./skills.js').Skill, onClose: () => void}} props */
export function Credentials({ skill, onClose }) {
  const failed = useSignal('');
  const busy = useSignal(false);
  const path = `/skills/${encodeURIComponent(skill.name)}/credentials`;
  /** @param {() => Promise<any>} act @param {string} told */
  const change = async (act, told) => {
    if (busy.value) return;
    busy.value = true;
    try {
      await act();
      await loadSkills();
      notify(told);
      onClose();
    } catch (error) {
      const { text, fix } = explain(error, t);
      failed.value = `${text} ${fix}`;
      busy.value = false;
    }
  };
  const give = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const values = Object.fromEntries(skill.needs.map(({ name }) => [name, String(data.get(name) ?? '').trim()]).filter(([, value]) => value));
    change(() => put(path, { values }), t('skills.keys_kept'));
  };
  return html`
    <${Dialog} title=${t('skills.keys_title', { name: nameOf(skill) })} onClose=${onClose}>
      <p class="quiet">${skill.has_credentials ? t('skills.keys_again') : t('skills.keys_lead')}</p>
      <form class="form" onSubmit=${give}>
        ${skill.needs.map((need, at) => html`<label key=${need.name}><span>${inLanguage(need.title) || need.name} ${need.required && html`<span class="required" aria-hidden="true">*</span>`}</span>
          <input name=${need.name} type=${need.secret ? 'password' : 'text'} required=${need.required} maxlength="4000" autocomplete=${need.secret ? 'new-password' : 'off'} spellcheck=${false} autofocus=${at === 0} /></label>`)}
        ${failed.value && html`<p class="field-error" role="alert">${failed.value}</p>`}
        <div class="dialog-actions">
          ${skill.has_credentials && html`<button type="button" class="button danger quiet" onClick=${() => change(() => remove(path), t('skills.keys_forgotten'))}>${t('skills.forget_keys')}</button><span class="grow"></span>`}
          <button type="button" class="button" onClick=${onClose}>${t('action.cancel')}</button>
          <button type="submit" class="button primary" disabled=${busy.value}>${t('action.save')}</button></div>
      </form>
    <//>`;
}
